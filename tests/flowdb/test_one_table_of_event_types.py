"""An event type is declared in one place, and everything that lists event types has it."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from flowdb.tables import DEFAULT_TYPES, EVENTS, QUERYABLE, USUAL_TYPES

DECLARED = """
        EventTable(
            "ussd",
            "A USSD session.",
            (_ID, _DATETIME, Column("code", "string", "The code that was dialled."), _MSISDN, _LOCATION, *_DEVICE),
        ),
        EventTable(
            "calls","""

STEPS = """
import json, sys
from pathlib import Path

import flowdb, flowetl, flowmachine, flowsynth
from autoflow.definition.grammar import json_schema
from flowapi import openapi
from flowapi.routes import router
from flowdb.records import Catalogue
from flowdb.lake import Lake
from flowdb.reference import cells
from flowmachine.catalogue import catalogue, schemas

root = Path(sys.argv[1])
sys.path.insert(0, str(root / "tools"))
import generate_client

summary = flowsynth.synthesise(root / "delivery", subscribers=200, days=1, sites=120, crisis=None, threads=1)
lake, records = Lake.create(root / "lake", "UTC"), Catalogue.open(f"sqlite:///{root}/catalogue.db")
cells.load(lake, root / "delivery" / "cells.csv")
(report,) = flowetl.ingest(lake, records, "ussd", summary.events["ussd"], key=b"only tests know this key, long enough")
session = flowmachine.connect(lake.path)
window = {"start_date": "2016-01-01", "end_date": "2016-01-02", "event_types": ["ussd"]}
counted = session.run({"query_kind": "event_count", **window})
client = dict(generate_client.generate(catalogue()))
units = ("admin0", "admin1", "admin2", "admin3", "lon-lat", "cell", "site")
print(json.dumps({
    "source": flowdb.__file__,
    "synthesised": summary.rows["ussd"],
    "loaded": report.loaded,
    "counted": sum(counted["value"].to_pylist()),
    "checks": sorted(name for name in lake.facts("ussd", report.day)["checks"] if name.startswith("count_msisdns")),
    "api": openapi.document(router.routes, schemas(units), "test").body.decode(),
    "client": client["event_types.py"] + client["query_specs.py"],
    "autoflow": json.dumps(json_schema()),
}))
"""


def test_forwards_can_be_queried_and_are_no_default():
    """Forwarded calls can be named in a query; one that names nothing looks at calls and texts, as in FlowKit."""
    assert "forwards" in QUERYABLE
    assert DEFAULT_TYPES == ("calls", "sms")
    assert "forwards" not in USUAL_TYPES
    assert [name for name, table in EVENTS.items() if table.two_party] == ["calls", "sms", "forwards"]
    assert all(table.directed == table.two_party for table in EVENTS.values())


@pytest.fixture
def with_ussd(tmp_path, pytestconfig):
    """A copy of the source in which a type of events was declared, in flowdb/tables/events.py alone."""
    ignored = shutil.ignore_patterns("__pycache__")
    for folder in ("src", "tools"):
        shutil.copytree(pytestconfig.rootpath / folder, tmp_path / folder, ignore=ignored)
    file = tmp_path / "src" / "flowdb" / "tables" / "events.py"
    text = file.read_text()
    before = '\n        EventTable(\n            "calls",'
    assert text.count(before) == 1
    file.write_text(text.replace(before, DECLARED))
    return tmp_path


@pytest.mark.takes_long("generates everything for a further event type")
def test_a_declared_event_type_is_everywhere(with_ussd, pytestconfig):
    """It is synthesised, ingested, checked and queried, and is in the API's schema, the client and AutoFlow."""
    environment = os.environ | {"PYTHONPATH": str(with_ussd / "src")}
    generator = [sys.executable, str(with_ussd / "tools" / "generate_client.py")]
    subprocess.run(generator, env=environment, check=True, capture_output=True)
    command = [sys.executable, "-c", STEPS, str(with_ussd)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)

    assert seen["source"].startswith(str(with_ussd))
    assert seen["synthesised"] > 0
    assert seen["loaded"] == seen["counted"] == seen["synthesised"]
    assert seen["checks"] == ["count_msisdns"]
    assert "ussd" in seen["api"]
    assert "EVENT_TYPES" in seen["client"]
    assert "One of: ussd, calls, sms" in " ".join(seen["client"].split())
    assert '"ussd"' in seen["autoflow"]
