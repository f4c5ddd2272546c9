"""The settings of the FlowMachine server: each from /run/secrets/<NAME>, else from the environment's <NAME>."""

import shutil
from pathlib import Path

from pydantic import Field, SecretStr, field_validator

from flowkit_base.settings import LogLevel
from flowmachine.engines.registry import engine_kinds
from flowmachine.questions.messages import not_one_of
from flowmachine.release.rules import ReleaseSettings


class Settings(ReleaseSettings):
    """What an administrator sets for one FlowMachine server."""

    flowdb_store: SecretStr = Field(
        min_length=1, description="The data: the directory of a lake, or the postgresql:// URL of a FlowDB."
    )
    flowmachine_host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    flowmachine_port: int = Field(5555, ge=1, le=65535, description="Port to listen on.")
    flowmachine_engine: str | None = Field(
        None,
        description="What computes: duckdb or spark over a lake, postgres over a database, or an installed package's "
        "engine; default by the store.",
    )
    flowmachine_catalogue: SecretStr | None = Field(
        None, description="Database URL of the catalogue, one a server; default catalogue.db in the lake."
    )
    flowmachine_cache_dir: Path | None = Field(
        None, description="Directory of stored results; default cache in the lake."
    )
    flowmachine_cache_size: int | None = Field(
        None, ge=1_000_000, description="Bytes that stored results may take; default a tenth of the free disk."
    )
    cache_half_life: float = Field(
        1000, gt=0, description="After how many retrievals a retrieval counts half in the choice of what is kept."
    )
    cache_protected_period: float = Field(86400, ge=0, description="Seconds for which a new result is kept anyway.")
    db_connection_pool_size: int = Field(2, ge=1, le=64, description="How many questions are computed at once.")
    flowmachine_memory: str | None = Field(
        None,
        pattern=r"^[1-9]\d*(\.\d+)? ?([KMGT]i?)?B$",
        description="Memory that DuckDB may use, such as 4GB; default four fifths of what the machine or container has "
        "beside FlowKit's other services.",
    )
    flowmachine_spark_master: str = Field(
        "local[*]",
        pattern=r"^(local(\[(\*|[1-9]\d*)\])?|spark://\S+|yarn|k8s://\S+)$",
        description="Where Spark computes: local[*] on this machine, or a cluster such as spark://host:7077, whose "
        "machines see the lake and the stored results under the same paths.",
    )
    flowmachine_history: bool = Field(
        False,
        description="Give results of days that were withdrawn or replaced since, marked as such; else they are gone.",
    )
    flowmachine_log_level: LogLevel = Field("error", description="Least level of the debug log on standard error.")
    flowmachine_curve_secret_key: SecretStr | None = Field(
        None, description="CURVE secret key (Z85): the socket is then encrypted and clients are checked."
    )
    flowmachine_curve_client_keys: str = Field(
        "", description="CURVE public keys (Z85) of the clients that may connect, separated by blanks."
    )

    @field_validator("flowmachine_engine")
    @classmethod
    def _is_engine(cls, value: str | None) -> str | None:
        if value is not None and value not in (kinds := engine_kinds()):
            raise ValueError(not_one_of(value, kinds))
        return value

    @field_validator("flowmachine_curve_secret_key")
    @classmethod
    def _is_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) != 40:
            raise ValueError("a CURVE key has 40 characters (Z85)")
        return value

    @property
    def store(self) -> str:
        """The lake's directory or the database's URL."""
        return self.flowdb_store.get_secret_value()

    @property
    def in_lake(self) -> bool:
        """Whether the store is a lake."""
        return "://" not in self.store

    @property
    def cache_dir(self) -> Path:
        """Where results are stored."""
        return self.flowmachine_cache_dir or Path(self.store) / "cache"

    @property
    def catalogue_url(self) -> str:
        """The catalogue's database."""
        if self.flowmachine_catalogue is not None:
            return self.flowmachine_catalogue.get_secret_value()
        place = Path(self.store) if self.in_lake else self.cache_dir
        return f"sqlite:///{place.resolve() / 'catalogue.db'}"

    @property
    def cache_size(self) -> int:
        """How many bytes stored results may take."""
        return self.flowmachine_cache_size or shutil.disk_usage(self.cache_dir).free // 10

    @property
    def client_keys(self) -> list[str]:
        """The clients' public keys."""
        return self.flowmachine_curve_client_keys.split()
