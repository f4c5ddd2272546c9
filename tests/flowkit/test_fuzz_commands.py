"""Every command with arguments, files and settings that nobody should give: only our sentences come out."""

import io
import os
import random
import signal
import sys
import warnings

import pytest
import typer

from flowkit import __main__ as command_line
from flowkit import chosen
from flowkit.deployment import creation
from flowkit.deployment.settings import TEMPLATE
from flowmachine.errors import FlowMachineError

ROUNDS = 4
"""How often each command is typed."""
AUTH = 6
"""How many of FlowAuth's commands are typed, once each: each opens a database."""
SETTINGS = 60
"""How many settings files are tried."""
SERVICES = {"up", "demo", "auth serve"}
"""Commands that run until they are stopped."""
WORDS = (
    "", " ", "-", ".", "/", "..", "é", "\udc80", "a" * 5000, "a/b", "x=y", "=", "*", "{}", "[]", "null", "[1", '"x"',
    "0", "-1", "1e999", "nan", "2016-01-01", "2016-13-01", "9999-12-31", "admin3", "calls", "locations", "UTC", "none",
    "Asia/Kathmandu", "sqlite://", "geography.x", "cut", "refuse", "id=x", "'; DROP TABLE cells; --",
    '{"query_kind": "daily_location"}', '{"query_kind": ["a"]}', '{"query_kind": "geography", "aggregation_unit": 1}',
    '{"query_kind": "unique_subscriber_counts", "start_date": 1, "aggregation_unit": "admin3"}',
)  # fmt: skip
FILES = {
    "empty.csv": b"",
    "header.csv": b"id,msisdn,datetime\n",
    "rows.csv": b"id,version,longitude,latitude\n1,0,85.3,27.7\n2,0,nan,\n",
    "noise.csv": bytes(range(256)) * 8,
    "sheet.xlsx": b"PK\x03\x04" + b"\0" * 60,
    "cut.csv.gz": b"\x1f\x8b\x08\0\0",
    "cut.parquet": b"PAR1",
    "places.geojson": b'{"type": "FeatureCollection", "features": [{"type": "Feature", "geometry": null}]}',
    "deep.json": b"[" * 100_000,
    "utf16.csv": "id,version\n1,2\n".encode("utf-16"),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty deployment, and files beside it; the process is as it was afterwards."""
    deployment = creation.create(tmp_path / "deployment", "UTC")
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    # What is made under a relative name is made here.
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    before = dict(os.environ), os.umask(0o077), chosen.directory()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with warnings.catch_warnings():
        yield deployment.path
    for number, handler in handlers.items():
        signal.signal(number, handler)
    os.umask(before[1])
    os.environ.clear()
    os.environ.update(before[0])
    chosen.choose(before[2])


@pytest.fixture
def typed(place, monkeypatch, capsys):
    """Type a command in this process: its exit code and what it wrote to standard error."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["flowkit", "--deployment", str(place), *words])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
        capsys.readouterr()
        try:
            command_line.main()
        except SystemExit as ended:
            return ended.code or 0, capsys.readouterr().err
        raise AssertionError("a command line ends its process")

    return run


def commands(command=None, names=()):
    """Every command that ends by itself, by its words."""
    command = command or typer.main.get_command(command_line.app)
    below = getattr(command, "commands", None)
    if below is None:
        yield names, command
    for name, inner in (below or {}).items():
        if " ".join((*names, name)) not in SERVICES:
            yield from commands(inner, (*names, name))


def is_ours(code, text):
    """Whether a command ended as ours do: well, wrongly used, or with one sentence."""
    if code not in (0, 1, 2):
        return False
    if code == 2:
        return "Usage:" in text or "Error" in text
    lines = [line for line in text.splitlines() if not line.startswith("Note: ")]
    return not lines if code == 0 else len(lines) == 1 and lines[0].startswith("Error: ") and lines[0].endswith(".")


@pytest.mark.takes_long("tries every command with many wrong files")
def test_only_sentences_come_out(typed, place, tmp_path):
    """Whatever a command is given, it ends with 0, 1 or 2, and never with a traceback."""
    draw = random.Random(7)
    files = [str(tmp_path / name) for name in (*FILES, "missing.csv", "deployment")]

    def value(parameter):
        if getattr(parameter, "is_flag", False):
            return []
        # A country of the usual size would take minutes.
        words = ("-1", "0", "x", "") if parameter.name in ("subscribers", "days") else (*WORDS, *files, *files)
        return [draw.choice(words)]

    wrong = []
    every = [*commands()]
    auth = draw.sample([names for names, _ in every if names[0] == "auth"], AUTH)
    for names, command in every:
        for _ in range(names in auth if names[0] == "auth" else ROUNDS):
            words = list(names)
            for parameter in command.params:
                if parameter.param_type_name == "argument":
                    words += value(parameter)
                elif parameter.name != "help" and (parameter.required or names[-1] == "synth" or draw.random() < 0.4):
                    words += [draw.choice(parameter.opts), *value(parameter)]
            try:
                code, text = typed(*words)
            except Exception as problem:
                wrong.append((words, problem))
                continue
            if (names, code) != (("doctor",), 1) and not is_ours(code, text):
                wrong.append((words, code, text))
    assert not wrong


def test_a_settings_file_that_is_damaged_is_told(typed, place):
    """Whatever flowkit.toml holds, a command reads it or says in a sentence what is wrong with it."""
    draw = random.Random(11)
    text = TEMPLATE.format(name='"fuzz"')
    pieces = ["=", "[", "]", '"', "\n", "\0", "name = 1", "roles = 1", "[roles]\nx = 1", "flowapi_port = -1", "é", "{}"]
    wrong = []
    for _ in range(SETTINGS):
        at, length = draw.randrange(len(text)), draw.choice([0, 1, 20])
        content = (text[:at] + draw.choice(pieces) + text[at + length :]).encode()
        (place / "flowkit.toml").write_bytes(content if draw.random() < 0.8 else content[:at] + b"\xff\xfe")
        try:
            code, said = typed("token", "ann", "--role", "nobody")
        except Exception as problem:
            wrong.append((content, problem))
            continue
        if code != 1 or not is_ours(code, said):
            wrong.append((content, code, said))
    assert not wrong


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_told_as_itself(typed, monkeypatch, number, code):
    """A signal that a library takes for a failure of its own ends the command as that signal, in one sentence."""

    def interrupted():
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise FlowMachineError("The disk is full.") from None

    # A shell ignores Ctrl-C for what it runs in the background.
    signal.signal(number, signal.default_int_handler)
    monkeypatch.setattr(chosen, "deployment", interrupted)
    ended, text = typed("status")
    assert ended == code
    (line,) = text.splitlines()
    assert "What was not finished was not stored" in line


def test_a_defect_keeps_its_traceback(typed, monkeypatch):
    """An exception that nobody wrote for a user is a defect of the program, and is shown whole."""
    monkeypatch.setattr(chosen, "deployment", lambda: {}["nothing"])
    with pytest.raises(KeyError):
        typed("status")
