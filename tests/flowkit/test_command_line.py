"""Every command, as typed by a person: what it says, and how it refuses."""

import csv
import gzip
import io
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import jwt
import pyarrow.compute as pc
import pytest
from tests.flowkit.living_deployment import (
    COMMAND,
    DAYS,
    EVENT_TYPES,
    LEVELS,
    Place,
    daily,
    environment,
    flowkit,
    people,
    refused,
)

from flowdb.lake.directory import TOGETHER

pytestmark = pytest.mark.takes_long("makes a deployment by its commands, each a process")

GROUPS = ("geography", "cells", "sites", "tacs", "etl")
NEW = "2016-01-09"
"""A day that is not in."""


@pytest.fixture(scope="module")
def ailing(copy_of_model):
    """A deployment that is given bad things and must not change by them."""
    place = copy_of_model()
    place.set(flowapi_port=1, flowmachine_port=2)
    return place


@pytest.fixture(scope="module")
def lines(delivery):
    """The header and some lines of calls, as if of a day that is not in."""
    text = (delivery / "calls" / "calls_20160102.csv").read_text().splitlines()
    return [text[0], *(line.replace("2016-01-02", NEW) for line in text[1:301])]


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_help_names_every_command():
    """`flowkit --help` lists the commands; each has a sentence of its own."""
    told = flowkit("--help")
    assert told.returncode == 0
    for command in ("init", "ingest", "synth", "up", "token", "query", "status", "doctor", "demo", *GROUPS):
        assert f" {command} " in told.stdout, command


HEAVY = ("pyarrow", "pandas", "duckdb", "sqlalchemy", "ibis", "cryptography", "fastapi", "httpx", "pydantic")


def test_help_loads_nothing_heavy():
    """`flowkit --help` comes at once: a command imports what it needs when it is called."""
    script = f"import sys, flowkit.__main__; print(*sorted(set({HEAVY}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment())
    assert done.stdout.split() == []


def test_the_version_is_told():
    """`flowkit --version` prints the version and nothing else."""
    assert flowkit("--version").stdout == f"flowkit {version('flowkit')}\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_ends_by_a_signal(model, tmp_path, number, code):
    """Ctrl-C and SIGTERM end any command with one sentence and the exit code that says so."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [*COMMAND, "--deployment", str(model.path), "query", str(pipe)]
    # As from a terminal: a shell ignores Ctrl-C for what it runs in the background.
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - it calls the kernel
    )
    # Opened for writing once the command reads it.
    with pipe.open("w"):
        process.send_signal(number)
        written, said = process.communicate(timeout=60)
    assert (process.returncode, written) == (code, "")
    (line,) = said.splitlines()
    assert line.endswith(" What was not finished was not stored.")


def test_a_deployment_is_made_step_by_step(model, said):
    """Each step says in a sentence what it did; the first one says what comes next."""
    assert said["init"].stdout.splitlines()[0].endswith("with days of Asia/Kathmandu.")
    assert f"flowkit --deployment {model.path} geography load" in said["init"].stdout
    assert [said[level].stdout for level in LEVELS] == [
        "Loaded 1 unit of admin0.\n",
        "Loaded 4 units of admin1.\n",
        "Loaded 14 units of admin2.\n",
        "Loaded 60 units of admin3.\n",
    ]
    assert said["sites"].stdout.endswith("versions of sites.\n")
    assert said["cells"].stdout.endswith("versions of cells.\n")
    assert said["tacs"].stdout.endswith("handset models.\n")
    for event_type in EVENT_TYPES:
        days = [line.split()[:2] for line in said[event_type].stdout.splitlines()[1:]]
        assert days == [[day, "ingested"] for day in DAYS]
    for done in said.values():
        assert all(line.startswith("Note: ") for line in done.stderr.splitlines()), done.stderr


def test_every_delivered_row_is_in(model, delivery):
    """`flowkit status` tells as many rows of each event type as were delivered, and that nothing is up."""
    told = model.done("status")
    for event_type in EVENT_TYPES:
        files = sorted((delivery / event_type).glob("*.csv"))
        rows = sum(len(file.read_text().splitlines()) - 1 for file in files)
        assert f"{rows:,} rows, 8 days, {DAYS[0]} to {DAYS[-1]}" in told
    assert "not up: flowkit up" in told
    assert str(model.path / "lake") in told, "a path is not broken"


def test_secrets_are_the_owner_s(model):
    """Keys can be read by their owner only, and no file of the settings holds one."""
    secrets = list((model.path / "secrets").iterdir())
    assert {file.name for file in secrets} >= {"PRIVATE_JWT_SIGNING_KEY", "PSEUDONYM_KEY"}
    for file in secrets:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text().strip() not in (model.path / "flowkit.toml").read_text()
    assert stat.S_IMODE(model.path.stat().st_mode) == 0o700


def test_a_repeated_load_changes_nothing(ailing, delivery):
    """Files that are in already are told to be in already, and no row is doubled."""
    before = ailing.held
    told = ailing.done("ingest", "topups", *sorted((delivery / "topups").glob("*.csv")))
    assert told.count("already in") == len(DAYS)
    assert ailing.held == before


def test_a_day_is_withdrawn_and_loaded_again(copy_of_model, delivery):
    """A day that is taken out is in no answer, its history says why, and it can be loaded again."""
    place = copy_of_model()
    file = delivery / "calls" / "calls_20160103.csv"
    assert place.done("etl", "withdraw", "calls", DAYS[2], "--reason", "wrong clock") == (
        f"The calls of {DAYS[2]} are withdrawn.\n"
    )
    (line,) = [line for line in place.done("etl", "status").splitlines() if line.split()[:2] == ["calls", DAYS[2]]]
    assert line.split()[2] == "withdrawn"
    assert line.rstrip().endswith("wrong clock")
    sentence = refused(place.flowkit("etl", "withdraw", "calls", DAYS[2], "--reason", "again"))
    assert f"There are no calls of {DAYS[2]}" in sentence
    doctor = place.flowkit("doctor")
    assert doctor.returncode == 1
    assert f"Days of calls are missing between {DAYS[0]} and {DAYS[-1]}" in doctor.stdout
    # The columns of the file are called otherwise than FlowKit's, as an operator's are.
    other = place.path / "other.csv"
    other.write_text(file.read_text().replace("msisdn,", "subscriber,", 1))
    assert "ingested" in place.done("ingest", "calls", other, "--map", "msisdn=subscriber")


def test_a_query_is_run_inside(model, tmp_path):
    """`flowkit query` takes a spec as text, from a file or from a pipe, and prints a table, CSV or SQL."""
    spec = json.dumps(people())
    file = tmp_path / "spec.json"
    file.write_text(spec)
    table = model.done("query", spec)
    printed = rows_of(model.done("query", file, "--csv"))
    assert [row["pcod"] for row in printed] == ["FK1", "FK2", "FK3", "FK4"]
    assert [line.split() for line in table.splitlines()[1:-1]] == [[row["pcod"], row["value"]] for row in printed]
    assert table.splitlines()[-1] == "4 rows."
    assert rows_of(model.done("query", "-", "--csv", text=spec)) == printed
    assert "\nSELECT" in model.done("query", spec, "--explain")


def test_the_deployment_s_rule_is_kept_inside(copy_of_model):
    """`flowkit query` suppresses what the server would: rows of fewer people than flowmachine_smallest says.

    An answer that is empty by that says so, and how many rows are suppressed.
    """
    place = copy_of_model()
    place.set(flowmachine_smallest=300)
    country = rows_of(place.done("query", json.dumps(people(unit="admin0")), "--csv"))
    assert [int(row["value"]) >= 300 for row in country] == [True]
    units = json.dumps(people(unit="admin1"))
    suppressed = "4 rows are suppressed: a published row stands for at least 300 people"
    assert place.done("query", units).splitlines()[-1].startswith(f"0 rows. {suppressed}")
    done = place.flowkit("query", units, "--csv")
    assert (rows_of(done.stdout), done.stderr.startswith(f"Note: {suppressed}")) == ([], True)
    assert len(rows_of(place.done("query", units, "--csv", "--no-released"))) == 4
    place.set(flowmachine_smallest=16)
    assert place.done("query", units, FLOWMACHINE_SMALLEST="300").splitlines()[-1].startswith("0 rows. 4 rows are")
    for wrong in ("15", "many"):
        assert "FLOWMACHINE_SMALLEST: " in refused(place.flowkit("query", units, FLOWMACHINE_SMALLEST=wrong))


def test_rows_about_people_need_the_option_that_says_so(model):
    """A kind about single people is refused, naming the option that prints its rows inside the operator."""
    spec = json.dumps(daily())
    for options in ((), ("--csv",), ("--explain",)):
        assert "add --no-released" in refused(model.flowkit("query", spec, *options))
    assert len(rows_of(model.done("query", spec, "--csv", "--no-released"))) > 300


def test_unknown_cells_are_told(copy_of_model):
    """`flowkit doctor` names events at cells that are not loaded, and a directory that others can open."""
    place = copy_of_model()
    cells = place.lake.reference("cells")
    renamed = pc.binary_join_element_wise(cells["id"].cast("string"), "X", "").cast(cells.schema.field("id").type)
    place.lake.replace_reference(
        "cells", cells.set_column(cells.schema.get_field_index("id"), cells.schema.field("id"), renamed)
    )
    place.path.chmod(0o755)
    doctor = place.flowkit("doctor").stdout
    assert f"can be opened by others, who see logs and stored rows: chmod 700 {place.path}" in doctor
    assert f"100% of the calls of {DAYS[-1]} are at cells that are not loaded" in doctor
    lines = [line for line in doctor.splitlines() if line.startswith("✗")]
    assert len(lines) == 3, doctor


def test_a_day_of_unknown_cells_is_an_empty_answer_with_its_reason(copy_of_model):
    """An answer that is empty because no event is at a loaded cell says that, and the command that helps."""
    place = copy_of_model()
    tables = {name: place.lake.reference(name) for name in TOGETHER}
    place.lake.replace_together({**tables, "cell_units": tables["cell_units"].slice(0, 0)})
    said = place.done("query", json.dumps(people()))
    assert said.splitlines()[-1].startswith("0 rows. No cell lies in a unit of admin1: see `flowkit doctor`.")


def test_a_token_stands_alone(model):
    """`flowkit token` prints a token and nothing else; it is for this deployment, and lasts as long as is said."""
    done = model.flowkit("token", "ann", "--days", 2)
    assert done.stderr == ""
    claims = jwt.decode(done.stdout.strip(), options={"verify_signature": False})
    assert (claims["sub"], claims["aud"]) == ("ann", "nepal.test")
    assert claims["exp"] - claims["iat"] == 2 * 86400


def test_a_token_that_a_proxy_would_refuse_is_noted(model):
    """A token of more than 8,000 bytes stands alone on standard output; a note names the limits of proxies to raise."""
    done = model.flowkit("token", "a" * 4000)
    assert done.returncode == 0
    assert len(done.stdout.strip()) > 8000
    (note,) = done.stderr.splitlines()
    assert note.startswith(f"Note: The token has {len(done.stdout.strip()):,} bytes")
    assert "large_client_header_buffers" in note
    assert "LimitRequestFieldSize" in note


def test_doctor_says_what_to_do(model):
    """A deployment that is well but not up has one thing to mend, and doctor says which command does."""
    done = model.flowkit("doctor")
    assert done.returncode == 1
    (ill,) = [line for line in done.stdout.splitlines() if line.startswith("✗")]
    assert "does not answer: flowkit up" in ill


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nonsense",), "No such command"),
        (("ingest", "calls"), "Missing argument"),
        (("ingest", "calls", "x.csv", "--encoding", "utf-16"), "it is one of utf-8, latin-1, cp1252"),
        (("ingest", "calls", "x.csv", "--map", "msisdn"), "is not TARGET=SOURCE"),
        (("token", "ann", "--days", "0"), "--days"),
        (("etl", "withdraw", "calls", "yesterday", "--reason", "r"), "yesterday"),
    ],
)
def test_wrong_usage_is_told(ailing, arguments, told):
    """What the command line itself does not allow ends with 2 and says which argument it is."""
    assert told in refused(ailing.flowkit(*arguments), 2)


def _write(folder: Path, lines, name="calls_bad.csv", encoding="utf-8"):
    folder.mkdir(exist_ok=True)
    path = folder / name
    data = ("\n".join(lines) + "\n").encode(encoding)
    path.write_bytes(gzip.compress(data)[: len(data) // 10] if name.endswith(".gz") else data)
    return path


BAD_FILES = {
    "a wrong header": (
        lambda lines: [lines[0].replace("msisdn,", "abonent,"), *lines[1:]],
        {},
        ("lacks msisdn", "--map msisdn=abonent"),
    ),
    "a truncated gzip": (lambda lines: lines, {"name": "calls_bad.csv.gz"}, ("cut short or damaged gzip",)),
    "latin-1 bytes": (
        lambda lines: [*lines[:9], lines[9].replace(",C0", ",Cé"), *lines[10:]],
        {"encoding": "latin-1"},
        ("line 10", "not UTF-8"),
    ),
    "a date out of range": (
        lambda lines: [*lines[:9], lines[9].replace("2016-", "2099-"), *lines[10:]],
        {},
        ("line 10", "datetime is before 1990 or after tomorrow", "2099-01-09"),
    ),
    "a date that is none": (
        lambda lines: [*lines[:9], lines[9].replace("2016-01-09", "2016-13-45"), *lines[10:]],
        {},
        ("line 10", "datetime is not a time"),
    ),
    "an empty day": (lambda lines: lines[:1], {}, ("is empty", "a header but no line")),
    "a day of which half is missing": (
        lambda lines: [line.replace(NEW, DAYS[0]) for line in lines],
        {},
        (f"The calls of {DAYS[0]} are in with", "replace"),
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_whole(ailing, lines, tmp_path, case):
    """A file that cannot be loaded is named with what is wrong and the way out; nothing of it is in."""
    make, form, told = BAD_FILES[case]
    path = _write(tmp_path, make(lines), **form)
    before = ailing.held
    sentence = refused(ailing.flowkit("ingest", "calls", path, "--max-bad-lines", 0))
    for part in (*told, *(() if "half" in case else (path.name,))):
        assert part in sentence
    assert ailing.held == before
    assert not list((ailing.path / "lake" / "tmp").iterdir())


def test_a_file_that_is_not_there_is_named(ailing, tmp_path):
    """A file that does not exist is named."""
    assert f"{tmp_path}/none.csv cannot be read" in refused(ailing.flowkit("ingest", "calls", tmp_path / "none.csv"))
    assert "calls, sms" in refused(ailing.flowkit("ingest", "phonecalls", tmp_path / "none.csv"))


def test_bad_lines_and_unknown_cells_are_told(copy_of_model, lines, tmp_path):
    """A day loads without its bad lines and with rows at cells that nobody knows; both are counted and told."""
    place = copy_of_model()
    bad = [*lines[:9], lines[9].replace("2016-", "2099-"), lines[10].replace(",C0", ",NOWHERE"), *lines[11:]]
    done = place.flowkit("ingest", "calls", _write(tmp_path, bad))
    assert done.returncode == 0
    row = done.stdout.splitlines()[1].split()
    assert row == [NEW, "ingested", "300", "299", "0", "1", "1"]
    notes = done.stderr.splitlines()
    assert any(note.startswith("Note:") and "quarantine/calls" in note for note in notes)
    assert any(note.startswith("Note:") and "cells that are not loaded" in note for note in notes)
    phones = {line.split(",")[4] for line in bad[1:]}
    assert not [phone for phone in phones if phone in done.stdout + done.stderr]


BAD_SPECS = {
    "kind": ({**people(), "query_kind": "spatial_agg"}, "query_kind: It is 'spatial_agg'. Must be one of:"),
    "unit": (people(unit="admin9"), "locations.aggregation_unit: It is 'admin9'. Must be one of: admin0"),
    "field": (
        {"query_kind": "spatial_aggregate", "locations": {**daily(), "dates": 1}},
        "locations.dates: There is no such parameter.",
    ),
    "date that is none": (people("2016-13-02"), "locations.date: '2016-13-02' is not a date"),
    "date without data": (people("2015-01-02"), "of 2015-01-02, of which there is no data: there is data from"),
    "JSON": ('{"query_kind": ', "The spec is not JSON"),
    "object": ("[1]", "A query spec is an object"),
    "file": ("nothing.json", "nothing.json cannot be read"),
    "nothing": ("", "The spec is empty"),
    "folder": ("/", "/ is a folder: name a file"),
}


@pytest.mark.parametrize("case", BAD_SPECS)
def test_a_bad_spec_is_told(ailing, case):
    """A spec with an unknown kind, field, unit or date is answered with the field and what it may be."""
    spec, told = BAD_SPECS[case]
    assert told in refused(ailing.flowkit("query", spec if isinstance(spec, str) else json.dumps(spec)))


def test_what_is_no_deployment_is_told(ailing, tmp_path):
    """A directory that is no deployment, or whose lake is none, is named with the command that makes one."""
    sentence = refused(Place(tmp_path).flowkit("status"))
    assert f"{tmp_path} is not a deployment" in sentence
    assert "flowkit init" in sentence
    shutil.copy(ailing.path / "flowkit.toml", tmp_path)
    assert f"{tmp_path}/lake is not a lake" in refused(Place(tmp_path).flowkit("status"))
    assert f"{tmp_path}/lake is not a lake" in refused(Place(tmp_path).flowkit("query", json.dumps(people())))


def test_init_makes_all_or_nothing(ailing, tmp_path):
    """A directory in use and a zone that is none are refused; nothing is made and nothing changed."""
    before = sorted(ailing.path.iterdir())
    assert "is not empty" in refused(flowkit("init", ailing.path, "--timezone", "UTC"))
    assert sorted(ailing.path.iterdir()) == before
    new = tmp_path / "new"
    assert "'Mars/Base' is not a time zone" in refused(flowkit("init", new, "--timezone", "Mars/Base"))
    assert not new.exists()
    assert "cannot name a deployment" in refused(flowkit("init", tmp_path / "a b", "--timezone", "UTC"))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("flowapi_prt = 1", "there is no setting 'flowapi_prt'; perhaps flowapi_port is meant."),
        ('flowapi_token = "x"', "is a secret"),
        ('flowapi_port = "http"', "FLOWAPI_PORT is 'http'"),
        ('name = "a b"', "name"),
        ("flowapi_port 9090", "cannot be read"),
        ('roles = "all"', "list of scopes"),
    ],
)
def test_a_wrong_setting_is_told(tmp_path, line, told):
    """A mistake in flowkit.toml is told with the file and the setting."""
    (tmp_path / "flowkit.toml").write_text(line + "\n")
    sentence = refused(Place(tmp_path).flowkit("up"))
    assert told in sentence
    assert str(tmp_path / "flowkit.toml") in sentence


def test_a_wrong_role_or_key_is_told(ailing, tmp_path):
    """A token is not made for nobody, for a role that is not there, nor with a key that is damaged or lost."""
    for nobody in ("", " ", "a\nb"):
        assert "names the person" in refused(ailing.flowkit("token", nobody))
    assert "There is no role 'boss'" in refused(ailing.flowkit("token", "ann", "--role", "boss"))
    place = Place(tmp_path)
    shutil.copy(ailing.path / "flowkit.toml", tmp_path)
    assert "PRIVATE_JWT_SIGNING_KEY is missing" in refused(place.flowkit("token", "ann"))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "PRIVATE_JWT_SIGNING_KEY").write_text("rubbish")
    assert "PRIVATE_JWT_SIGNING_KEY is damaged" in refused(place.flowkit("token", "ann"))


def test_wrong_places_are_refused(ailing, delivery, tmp_path):
    """Boundaries and cells with wrong fields or doubtful versions are refused, and what was there stays."""
    before = ailing.held
    boundaries = ("geography", "load", delivery / "boundaries.geojson", "--unit", "admin3", "--code", "pcode")
    assert "has no field 'pcode'; it has: admin0name" in refused(ailing.flowkit(*boundaries))
    assert "no field 'wkt'" in refused(
        ailing.flowkit("geography", "load", delivery / "cells.csv", "--unit", "admin3", "--code", "id")
    )
    cells = (delivery / "cells.csv").read_text().splitlines()
    wrong = tmp_path / "cells.csv"
    wrong.write_text("\n".join([cells[0].replace("longitude", "easting"), *cells[1:]]))
    assert "longitude" in refused(ailing.flowkit("cells", "load", wrong))
    assert ailing.held == before


def test_a_port_in_use_is_told(ailing):
    """`flowkit up` on a port that is taken says which, and where to choose another; nothing is left running."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sentence = refused(ailing.flowkit("up", FLOWAPI_PORT=str(port), FLOWMACHINE_PORT="55"))
    assert f"Port {port} is in use" in sentence
    assert "flowapi_port" in sentence
    assert str(ailing.path / "flowkit.toml") in sentence


def test_synth_refuses_a_directory_in_use(delivery):
    """A synthetic delivery is not written among other files."""
    assert "is not an empty directory" in refused(flowkit("synth", delivery, "--subscribers", 20, "--days", 1))
