"""What a deployment of AutoFlow may set."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict
from sqlalchemy import URL

from flowkit_base.databases import DatabaseError, database_url
from flowkit_base.settings import LogLevel
from flowkit_base.settings import Settings as ServiceSettings
from flowkit_base.zones import is_zone


class Settings(ServiceSettings):
    """The settings of one AutoFlow process.

    Every value is read from the file `/run/secrets/<NAME>` first, then from the environment variable
    `<NAME>`, where the name is the field's in upper case. Values given by keyword win over both.
    """

    model_config = SettingsConfigDict(str_strip_whitespace=True)

    flowapi_url: str = Field("http://localhost:9090", description="Address of FlowAPI.")
    flowapi_token: SecretStr = Field(
        SecretStr(""), description="FlowAPI token that allows available_dates and the notebooks' queries."
    )
    flowapi_token_file: Path | None = Field(
        None,
        description="File with the token, which wins over FLOWAPI_TOKEN; it is read again for each run, so that a "
        "token may be short-lived.",
    )
    ssl_certificate_file: Path | None = Field(
        None, description="Certificate file of an https FlowAPI that is not signed by a public authority."
    )
    autoflow_inputs_dir: Path = Field(
        Path("/mounts/inputs"), description="Directory with workflows.yml and the notebooks."
    )
    autoflow_outputs_dir: Path = Field(
        Path("/mounts/outputs"), description="Directory that receives notebooks/ and reports/."
    )
    autoflow_db_uri: str = Field(
        "",
        description="SQLAlchemy URI of the run table; {} is replaced by the password. "
        "Empty means the SQLite file autoflow.db in the outputs directory.",
    )
    autoflow_db_password: SecretStr = Field(SecretStr(""), description="Password of the run table's database.")
    autoflow_log_level: LogLevel = Field("info", description="debug, info, warning, error or critical.")
    autoflow_parallel: int = Field(2, ge=1, le=64, description="Notebooks that may run at the same time.")
    autoflow_cell_timeout: int = Field(
        7200, ge=1, description="Seconds after which a cell that has not ended fails its notebook."
    )
    autoflow_notebook_timeout: int = Field(
        86400, ge=1, description="Seconds after which a notebook that has not ended is failed, whatever its cells do."
    )
    autoflow_timezone: str = Field(
        "UTC",
        description="Time zone of the schedule in workflows.yml, such as Africa/Accra; days of data have their own.",
    )
    autoflow_dates_timeout: float = Field(
        60, gt=0, description="Seconds within which FlowAPI must return the available dates."
    )
    prefect__asciidoc_template_path: Path | None = Field(
        None,
        description="AsciiDoc template (.tpl or .j2) for every PDF whose workflow names none; "
        "FlowKit's variable. Unset, reports need neither a template nor asciidoctor-pdf.",
    )
    autoflow_max_attempts: int = Field(5, ge=1, description="Times that a failing run is tried.")
    autoflow_max_deaths: int = Field(
        10,
        ge=1,
        description="Times that the process may end while a run is under way before the run is put aside; "
        "such an end costs no attempt.",
    )
    autoflow_retry_delay: float = Field(
        300, ge=0, description="Seconds before the first retry; each further wait is twice as long."
    )
    autoflow_lease: float = Field(
        60, ge=1, description="Seconds without a sign of life after which a run is taken to be dead."
    )

    @field_validator("autoflow_timezone", mode="after")
    @classmethod
    def _known_timezone(cls, name: str) -> str:
        if not is_zone(name):
            raise ValueError(f"'{name}' is not a time zone; name one of the tz database, such as Asia/Kathmandu")
        return name

    @field_validator("flowapi_url", mode="after")
    @classmethod
    def _http_address(cls, url: str) -> str:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"'{url}' is not an address that begins with http:// or https://")
        return url.rstrip("/")

    @field_validator(
        "autoflow_inputs_dir",
        "autoflow_outputs_dir",
        "ssl_certificate_file",
        "flowapi_token_file",
        "prefect__asciidoc_template_path",
        mode="after",
    )
    @classmethod
    def _absolute(cls, path: Path | None) -> Path | None:
        # A kernel works in its own folder, where a relative path would name another file.
        return path.expanduser().absolute() if path else None

    @model_validator(mode="after")
    def _readable_uri(self) -> Self:
        try:
            _ = self.database
        except DatabaseError as error:
            raise ValueError(str(error).rstrip(".")) from None
        return self

    @property
    def database(self) -> URL:
        """The database of the run table; autoflow.db among the outputs unless AUTOFLOW_DB_URI names another."""
        uri = self.autoflow_db_uri or f"sqlite:///{self.autoflow_outputs_dir.resolve() / 'autoflow.db'}"
        return database_url("AUTOFLOW_DB_URI", uri, self.autoflow_db_password.get_secret_value())

    def renewed(self) -> Self:
        """The settings with the token that its file holds now; the same if the token is in no file."""
        if self.flowapi_token_file is None:
            return self
        token = self.flowapi_token_file.read_text(encoding="utf-8").strip()
        return self.model_copy(update={"flowapi_token": SecretStr(token)})

    @property
    def notebooks_dir(self) -> Path:
        """Directory of the executed notebooks."""
        return self.autoflow_outputs_dir / "notebooks"

    @property
    def reports_dir(self) -> Path:
        """Directory of the PDF reports."""
        return self.autoflow_outputs_dir / "reports"

    @property
    def working_dir(self) -> Path:
        """Directory of files in the making; on the same disk as the outputs, so that they can be renamed into place."""
        return self.autoflow_outputs_dir / ".running"
