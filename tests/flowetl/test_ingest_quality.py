"""Quality checks against plain counting."""

import datetime as dt
import random
import statistics
from collections import Counter

import pytest

from flowdb.records import get_checks
from flowdb.reference import cells
from flowetl import IngestError, quality

DAY = dt.date(2016, 1, 1)
CELLS = """id,version,longitude,latitude,date_of_first_service,date_of_last_service
C0,0,85.1,27.1,,
C1,0,85.2,27.2,,2015-12-31
C1,1,85.2,27.2,2016-01-01,
C2,0,85.3,27.3,2016-01-02,
C3,0,,,,
"""


@pytest.fixture
def events():
    """Random calls, with repeats, gaps and cells that are not known."""
    draw = random.Random(3)
    made = []
    for i in range(400):
        event = {
            "id": f"e{i}",
            "outgoing": draw.choice(["True", "False"]),
            "datetime": f"2016-01-01 {draw.randrange(24):02}:{draw.randrange(60):02}:00",
            "duration": draw.choice(["", str(draw.randrange(5))]),
            "msisdn": f"p{draw.randrange(9)}",
            "msisdn_counterpart": draw.choice(["", f"p{draw.randrange(30)}"]),
            "location_id": draw.choice(["C0", "C1", "C2", "C3", "C9", ""]),
            "imei": draw.choice(["", "h1", "h2"]),
            "imsi": draw.choice(["", "s1", "s2", "s3"]),
        }
        made.append(event)
        if draw.random() < 0.2:
            made.append(event | {"id": f"again{i}"})
    return made


def test_checks_agree_with_plain_counting(deployment, events):
    """Every check has the value that counting the delivered rows one by one gives."""
    cells.load(deployment.lake, deployment.file(CELLS, "cells.csv"))
    lines = [",".join(e.values()) for e in events]
    (report,) = deployment.load(deployment.calls(*lines, header=",".join(events[0])))
    found = {c.name: c.outcome for c in get_checks(deployment.catalogue, "calls")}

    def distinct(name, rows=events):
        return len({e[name] for e in rows if e[name]})

    def most(name):
        return max(len({e["msisdn"] for e in events if e[name] == v}) for v in {e[name] for e in events} - {""})

    repeats = Counter(tuple(v for k, v in e.items() if k != "id") for e in events)
    durations = [float(e["duration"]) for e in events if e["duration"]]
    locatable = [e for e in events if e["location_id"] in ("C0", "C1")]
    out, into = ([e for e in events if e["outgoing"] == v] for v in ("True", "False"))
    expected = {
        "count_added_rows": len(events),
        "count_duplicated": sum(n > 1 for n in repeats.values()),
        "count_duplicates": sum(n - 1 for n in repeats.values()),
        "count_imeis": distinct("imei"),
        "count_imsis": distinct("imsi"),
        "count_null_imeis": sum(not e["imei"] for e in events),
        "count_null_imsis": sum(not e["imsi"] for e in events),
        "count_null_location_ids": sum(not e["location_id"] for e in events),
        "count_location_ids": len({e["location_id"] for e in events}),
        "count_locatable_location_ids": distinct("location_id", locatable),
        "count_locatable_events": len(locatable),
        "count_msisdns": len({e["msisdn"] for e in events} | {e["msisdn_counterpart"] for e in events} - {""}),
        "max_msisdns_per_imei": most("imei"),
        "max_msisdns_per_imsi": most("imsi"),
        "earliest_timestamp": min(e["datetime"] for e in events) + "+00",
        "latest_timestamp": max(e["datetime"] for e in events) + "+00",
        "count_added_rows_outgoing.calls": len(out),
        "count_null_counterparts.calls": sum(not e["msisdn_counterpart"] for e in events),
        "count_onnet_msisdns.calls": distinct("msisdn"),
        "count_onnet_msisdns_incoming.calls": distinct("msisdn", into),
        "count_onnet_msisdns_outgoing.calls": distinct("msisdn", out),
        "count_null_durations.calls": len(events) - len(durations),
        "max_duration.calls": max(durations),
        "median_duration.calls": statistics.median(durations),
    }
    assert found == {name: str(value) for name, value in expected.items()}
    assert deployment.lake.facts("calls", DAY)["checks"] == found
    assert report.unknown_cells == sum(e["location_id"] == "C9" for e in events)
    assert any(
        w == f"{report.unknown_cells} calls of 2016-01-01 are at cells that are not loaded." for w in report.warnings
    )


def test_each_type_has_its_checks():
    """Sixteen checks for all types, five more for texts, eight for calls, none more for data and recharges."""
    counts = {t: len(quality.named(t)) for t in ("calls", "sms", "forwards", "mds", "topups")}
    assert counts == {"calls": 24, "sms": 21, "forwards": 21, "mds": 16, "topups": 16}
    assert all(c.description.endswith(".") for c in quality.read())


def test_a_deployment_adds_checks_of_its_own(deployment, tmp_path):
    """A folder of SQL files adds checks, as an expression or a query."""
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "long_calls.sql").write_text(
        "-- calls: Calls of more than an hour.\ncount(*) FILTER (duration > 3600)\n"
    )
    (tmp_path / "checks" / "first_cell.sql").write_text("-- all: The first cell.\nSELECT min(location_id) FROM day;\n")
    path = deployment.calls("i,1,2016-01-01 10:00:00,4000,p,q,C7,1")
    deployment.load(path, checks=[tmp_path / "checks"])
    found = {c.name: (c.outcome, c.description) for c in get_checks(deployment.catalogue, "calls")}
    assert found["long_calls.calls"] == ("1", "Calls of more than an hour.")
    assert found["first_cell"] == ("C7", "The first cell.")


def test_a_check_that_does_not_say_what_it_is_for_is_refused(deployment, tmp_path):
    """A check without its first line is named before anything is loaded."""
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "mystery.sql").write_text("SELECT 1")
    with pytest.raises(IngestError, match=r"mystery.sql must begin with a line such as"):
        deployment.load(deployment.calls("i,1,2016-01-01 10:00:00,1,p,q,C7,1"), checks=[tmp_path / "checks"])
