"""Settings of AutoFlow: where they come from and what is refused."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from autoflow.settings import Settings
from flowkit_base import settings as module


def test_a_secret_file_wins_over_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the directory of secrets is read first, without the blanks around it."""
    (tmp_path / "FLOWAPI_TOKEN").write_text("  from the file\n")
    monkeypatch.setattr(module, "SECRETS", tmp_path)
    monkeypatch.setenv("FLOWAPI_TOKEN", "from the environment")
    monkeypatch.setenv("AUTOFLOW_DB_PASSWORD", "from the environment")

    found = Settings()

    assert found.flowapi_token.get_secret_value() == "from the file"
    assert found.autoflow_db_password.get_secret_value() == "from the environment"


def test_flowkits_variables_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every variable of FlowKit's AutoFlow sets what it set there."""
    monkeypatch.setattr(module, "SECRETS", tmp_path / "none")
    values = {
        "AUTOFLOW_LOG_LEVEL": "DEBUG",
        "AUTOFLOW_DB_URI": "postgresql://u:{}@h/d",
        "AUTOFLOW_INPUTS_DIR": "in",
        "AUTOFLOW_OUTPUTS_DIR": "/out",
        "FLOWAPI_URL": "https://flow.example/",
        "SSL_CERTIFICATE_FILE": "/run/secrets/cert.pem",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    found = Settings()

    assert found.autoflow_log_level == "debug"
    assert found.autoflow_db_uri == "postgresql://u:{}@h/d"
    assert found.autoflow_inputs_dir == tmp_path / "in"
    assert found.notebooks_dir == Path("/out/notebooks")
    assert found.flowapi_url == "https://flow.example"
    assert found.ssl_certificate_file == Path("/run/secrets/cert.pem")


def test_secrets_do_not_show(tmp_path: Path) -> None:
    """Neither the token nor the password stands in what the settings print as."""
    shown = repr(Settings(flowapi_token="t0ken", autoflow_db_password="passw0rd", autoflow_inputs_dir=tmp_path))

    assert "t0ken" not in shown
    assert "passw0rd" not in shown


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("autoflow_log_level", "LOUD", "should be .debug., .info."),
        ("flowapi_url", "flow.example", "begins with http"),
        ("autoflow_db_uri", "nonsense", "not a database URI: write it as"),
        ("autoflow_db_uri", "sqlite://", "needs a file"),
        ("autoflow_parallel", "0", "greater than or equal to 1"),
        ("autoflow_timezone", "Atlantis/Capital", "'Atlantis/Capital' is not a time zone"),
        ("autoflow_notebook_timeout", "0", "greater than or equal to 1"),
    ],
)
def test_a_bad_value_is_refused_with_a_way_out(name: str, value: str, said: str) -> None:
    """Each refusal says what would be right."""
    with pytest.raises(ValidationError, match=said):
        Settings(**{name: value})
