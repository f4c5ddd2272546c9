"""Settings of a service: declared once; read from secret files and the environment; their help and complaints derive.

A service declares one class derived from `Settings`. A value comes from keywords, else from the file
`/run/secrets/<NAME>`, else from the environment variable `<NAME>`, where the name is the field's in upper case.
"""

import textwrap
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict

SECRETS = Path("/run/secrets")

LogLevel = Annotated[
    Literal["debug", "info", "warning", "error", "critical"],
    BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value),
]
"""The least level of a log, in letters of either case."""


class Settings(BaseSettings):
    """The settings of one service; frozen."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", case_sensitive=False, env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: keywords, then secret files, then the environment."""
        # pydantic-settings warns of a folder of secrets that does not exist.
        files = (SecretsSettingsSource(settings_cls, secrets_dir=SECRETS),) if SECRETS.is_dir() else ()
        return (init_settings, *files, env_settings)


def complaints(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """What is wrong with the settings of a model: one sentence each, which never repeats a value (it may be a key)."""
    sentences = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name = ".".join(map(str, problem["loc"])).upper()
        reason = problem["msg"].removeprefix("Value error, ").rstrip(".")
        if problem["type"] == "missing":
            field = model.model_fields.get(str(problem["loc"][0]))
            meaning = ((field.description if field else None) or "").rstrip(".")
            sentences.append(
                f"{name} is not set ({meaning}); set it as an environment variable or in the file {SECRETS / name}."
            )
        else:
            sentences.append(f"{name}: {reason}." if name else f"{reason}.")
    return sentences


def settings_help(model: type[BaseModel]) -> str:
    """The settings of a model as text for `--help`: name, meaning and default of each."""
    lines = [f"settings, each from the file {SECRETS}/<NAME> or the environment variable <NAME>:"]
    for name, field in model.model_fields.items():
        default = "required" if field.default is PydanticUndefined else f"default {field.default}"
        lines.append(f"  {name.upper()}")
        lines += textwrap.wrap(
            f"{field.description} ({default})", 96, initial_indent="      ", subsequent_indent="      "
        )
    return "\n".join(lines)
