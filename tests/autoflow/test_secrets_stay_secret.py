"""Secrets: the token reaches a notebook, and stands nowhere afterwards; ways into databases do not reach it."""

import base64
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoflow.execution.kernels import kernel_environment
from autoflow.log import NOISY, hide, log, write_log_to_stderr
from autoflow.secrecy import Secret
from autoflow.settings import Settings

TELLING = """\
import base64, logging, sys, urllib.parse
from get_secret_or_env_var import environ as secrets, getenv
token = secrets['FLOWAPI_TOKEN']
assert token == os.environ['FLOWAPI_TOKEN'] == getenv('FLOWAPI_TOKEN', 'none')
print(dict(os.environ)); print(token, file=sys.stderr); logging.getLogger().error(token)
sys.stdout.write(token[:20]); sys.stdout.flush(); sys.stderr.write(''); print(token[20:])
for before in ('', 'a', 'ab', 'user:'):
    print(base64.b64encode((before + token + ' tail').encode()).decode())
print(urllib.parse.quote(token, safe=''), token.encode().hex())
from IPython.display import HTML, Markdown, display
display(HTML(f'<a href="?token={token}">x</a>'), Markdown(token), {'token': token})
token"""
WORKFLOWS = """\
workflows:
  - {name: failing, notebooks: {n: {filename: failing.ipynb}}}
  - {name: telling, notebooks: {n: {filename: telling.ipynb, output: {format: pdf}}}}
available_dates_sensor: {schedule: null, workflows: [{workflow_name: failing}, {workflow_name: telling}]}
"""


@pytest.mark.takes_long("executes notebooks in another process, and searches everything that they leave")
def test_the_token_is_nowhere_in_what_is_left(
    settings: Settings,
    flowapi: Any,
    token: str,
    write_notebook: Callable[..., Path],
    write_workflows: Callable[[str], Path],
) -> None:
    """Outputs, reports, run table and log of notebooks that print their whole environment hold it in no form."""
    flowapi.dates = {"calls": ["2016-01-01"]}
    write_workflows(WORKFLOWS)
    write_notebook("telling.ipynb", "p = 1", "import os", TELLING)
    write_notebook("failing.ipynb", "p = 1", "import os", "raise ValueError(dict(os.environ))")
    places = {
        "AUTOFLOW_INPUTS_DIR": settings.autoflow_inputs_dir,
        "AUTOFLOW_OUTPUTS_DIR": settings.autoflow_outputs_dir,
    }
    done = subprocess.run(
        [sys.executable, "-m", "autoflow", "once"],
        env={
            **os.environ,
            **{name: str(path) for name, path in places.items()},
            "FLOWAPI_URL": flowapi.url,
            "FLOWAPI_TOKEN": token,
            "AUTOFLOW_LOG_LEVEL": "DEBUG",
        },
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert "telling 2016-01-01 success" in done.stdout, done.stdout + done.stderr
    assert "failing.ipynb, cell 3: ValueError: " in done.stdout
    lines = done.stderr.splitlines()
    assert all(line.startswith("timestamp=") for line in lines)
    told = [re.search(r'event="([^"]+)" workflow=telling date=2016-01-01 attempt=1', line) for line in lines]
    assert [found[1] for found in told if found] == ["run started", "run succeeded"]
    files = [path for path in settings.autoflow_outputs_dir.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".ipynb", ".pdf", ".db"}
    needles = [token.encode(), token.encode().hex().encode(), token[20:].encode()]
    for before in range(3):
        needles.append(base64.b64encode(b"x" * before + token.encode())[4:-4])
    for content in [done.stdout.encode(), done.stderr.encode(), *(path.read_bytes() for path in files)]:
        assert not [needle for needle in needles if needle in content]
    telling = next(path for path in settings.notebooks_dir.iterdir() if path.name.startswith("telling"))
    assert telling.read_text().count("[token removed]") >= 10


@pytest.mark.parametrize(
    "name",
    [
        "AUTOFLOW_DB_URI",
        "AUTOFLOW_DB_PASSWORD",
        "PGPASSWORD",
        "POSTGRES_PASSWORD",
        "FLOWMACHINE_FLOWDB_PASSWORD",
        "PREFECT_API_KEY",
        "PREFECT_API_AUTH_STRING",
        "PREFECT__CONTROL_TOKEN",
        "PREFECT_API_DATABASE_CONNECTION_URL",
        "PREFECT_API_DATABASE_PASSWORD",
        "PREFECT_SERVER_API_AUTH_STRING",
    ],
)
def test_a_kernel_gets_no_way_into_a_database_or_a_prefect_server(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Credentials of databases and of Prefect are not in the environment of a notebook; what it needs is."""
    monkeypatch.setenv(name, "s3cret")
    monkeypatch.setenv("MY_MAP_SERVER_PASSWORD", "mine")
    environment = kernel_environment(settings)
    assert name not in environment
    assert "s3cret" not in environment.values()
    assert environment["MY_MAP_SERVER_PASSWORD"] == "mine"
    assert environment["FLOWAPI_TOKEN"] == settings.flowapi_token.get_secret_value()


def test_a_short_secret_is_left_alone() -> None:
    """A token so short that it stands in every other word is not cut out of them."""
    assert Secret("a").out_of("a banana") == "a banana"
    assert Secret("").out_of_all({"a": ["b"]}) == {"a": ["b"]}


def test_each_event_is_one_line(capsys: pytest.CaptureFixture[str], token: str) -> None:
    """Whatever is said, by AutoFlow or by a library, is one line of key=value without the token."""
    loggers = [logging.getLogger(), *map(logging.getLogger, ("autoflow", *NOISY))]
    before = [(each, each.handlers[:], each.propagate, each.level) for each in loggers]
    write_log_to_stderr("INFO")
    hide(token)
    try:
        log.error("it broke", error=f"first\nsecond {token}", attempt=2)
        logging.getLogger("some.library").warning("two\nlines and %s", token)
    finally:
        for each, handlers, propagate, level in before:
            each.handlers[:], each.propagate = handlers, propagate
            each.setLevel(level)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert re.fullmatch(
        r'timestamp=\S+Z level=error event="it broke" error="first second \[token removed\]" attempt=2', lines[0]
    )
    assert 'event="two lines and [token removed]" logger=some.library' in lines[1]
