"""The sensor: which workflows run for which of the available days."""

import contextlib
import datetime as dt
import logging
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoflow.definition.model import Definition
from autoflow.definition.reading import read_workflows
from autoflow.schedule.available import FlowApiError, available_dates, reported_dates
from autoflow.schedule.candidates import Candidate, candidates
from autoflow.settings import Settings


def day(number: int) -> dt.date:
    return dt.date(2016, 1, number)


@pytest.fixture
def definition(settings: Settings, write_workflows: Callable[[str], Path]) -> Callable[[str], Definition]:
    """Read entries for a workflow of one notebook with one parameter, `unit`."""
    (settings.autoflow_inputs_dir / "a.ipynb").write_text("{}")

    def read(entries: str) -> Definition:
        write_workflows(
            "workflows: [{name: w, notebooks: {n: {filename: a.ipynb, parameters: {unit: unit}}}}]\n"
            f"available_dates_sensor: {{schedule: null, workflows: [{entries}]}}\n"
        )
        return read_workflows(settings.autoflow_inputs_dir)

    return read


def ready(found: list[Candidate]) -> list[int]:
    return [candidate.reference_date.day for candidate in found if candidate.waits_for is None]


def test_the_days_of_all_types_are_united(settings: Settings, flowapi: Any) -> None:
    """A day counts once, in order, if any type of CDR has it."""
    flowapi.dates = {"sms": ["2016-01-03", "2016-01-02"], "calls": ["2016-01-01", "2016-01-02"]}

    assert available_dates(settings, None) == [day(1), day(2), day(3)]
    assert available_dates(settings, ["calls"]) == [day(1), day(2)]


def test_a_type_that_flowapi_does_not_know_is_warned_of(
    settings: Settings, flowapi: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """An unknown type does not stop the known ones, and unknown types alone give no days."""
    flowapi.dates = {"calls": ["2016-01-01"]}
    with caplog.at_level(logging.WARNING, "autoflow"):
        assert available_dates(settings, ["calls", "mds"]) == [day(1)]

    assert "cdr_type=mds" in caplog.text
    assert available_dates(settings, ["mds"]) == []


def test_the_way_to_flowapi_is_told_when_it_fails(settings: Settings, flowapi: Any, token: str) -> None:
    """A FlowAPI that is down, a token that is refused, or none at all: one sentence, without the token."""
    flowapi.down = True
    with pytest.raises(FlowApiError, match="out of order") as raised:
        available_dates(settings, None)
    assert token not in str(raised.value)
    with pytest.raises(FlowApiError, match="FLOWAPI_TOKEN"):
        available_dates(settings.model_copy(update={"flowapi_token": type(settings.flowapi_token)("")}), None)
    with pytest.raises(FlowApiError, match=r"127\.0\.0\.1:9"):
        available_dates(settings.model_copy(update={"flowapi_url": "http://127.0.0.1:9"}), None)


def test_the_certificate_is_passed_on(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A certificate file goes to the client as its path; without one the public authorities are trusted."""
    import flowclient

    seen = []
    monkeypatch.setattr(flowclient, "connect", lambda **kwargs: seen.append(kwargs["ssl_certificate"]))
    monkeypatch.setattr(flowclient, "get_available_dates", lambda **_: {})

    available_dates(settings, None)
    available_dates(settings.model_copy(update={"ssl_certificate_file": tmp_path / "c.pem"}), None)

    assert seen == [True, str(tmp_path / "c.pem")]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("", [1, 2, 3, 5, 6]),
        ("earliest_date: 2016-01-03", [3, 5, 6]),
        ("date_stencil: [-1, 0]", [2, 3, 6]),
        ("date_stencil: [-1, 0], earliest_date: 2016-01-03", [3, 6]),
        ("date_stencil: [1]", [1, 2, 5]),
        ("date_stencil: [2016-01-04]", []),
        ("date_stencil: [[2016-01-01, -1]]", [3, 5]),
    ],
)
def test_days_are_filtered_by_the_earliest_date_and_the_stencil(
    definition: Callable[[str], Definition], entry: str, expected: list[int]
) -> None:
    """Only available days from the earliest on, whose stencil is there, are ready; stencil days may be earlier."""
    days = [day(n) for n in (1, 2, 3, 5, 6)]
    found = candidates(definition(f"{{workflow_name: w, parameters: {{unit: a}}, {entry}}}"), {"calls": days})

    assert ready(found) == expected


def test_a_waiting_day_says_for_what(definition: Callable[[str], Definition]) -> None:
    """Each day that is not ready carries its reason."""
    entry = "{workflow_name: w, parameters: {unit: a}, date_stencil: [[-5, 0]], earliest_date: 2016-01-02}"
    found = candidates(definition(entry), {"calls": [day(1), day(2)]})

    assert found[0].waits_for == "before the earliest date, 2016-01-02"
    assert found[1].waits_for == "waits for 2015-12-28, 2015-12-29, 2015-12-30 and 1 more day"


def test_parameters_are_completed_for_each_day(definition: Callable[[str], Definition]) -> None:
    """A run gets its configured parameters, the reference date and the ranges of the stencil, all as JSON."""
    found = candidates(
        definition("{workflow_name: w, parameters: {unit: {since: 2016-01-01}}, date_stencil: [-1, 0]}"),
        {"calls": [day(1), day(2)]},
    )

    assert found[1].parameters == {
        "unit": {"since": "2016-01-01"},
        "reference_date": "2016-01-02",
        "date_ranges": [["2016-01-01", "2016-01-02"], ["2016-01-02", "2016-01-03"]],
    }


def test_the_same_workflow_with_the_same_parameters_is_one(definition: Callable[[str], Definition]) -> None:
    """Two entries that come to the same make one run a day, and one that waits does not hide one that is ready."""
    late = "{workflow_name: w, parameters: {unit: a}, earliest_date: 2016-02-01}"
    found = candidates(
        definition(f"{late}, {{workflow_name: w, parameters: {{unit: a}}}}"), {"calls": [day(1), day(2)]}
    )

    assert ready(found) == [1, 2]


def test_a_new_list_is_given(definition: Callable[[str], Definition]) -> None:
    """What is given to be filtered stays as it was."""
    days = [day(3), day(1)]
    candidates(definition("{workflow_name: w, parameters: {unit: a}, earliest_date: 2016-01-02}"), {"calls": days})

    assert days == [day(3), day(1)]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("", [1, 2, 3, 4]),
        ("cdr_types: [calls]", [1, 2]),
        ("cdr_types: [calls, sms]", [1, 2, 3]),
        ("cdr_types: [calls, sms], require: all", [2]),
        ("require: all", []),
        ("cdr_types: [calls, topups]", [1, 2]),
        ("cdr_types: [calls, topups], require: all", []),
        ("cdr_types: [topups]", []),
    ],
)
def test_types_of_an_entry(
    definition: Callable[[str], Definition], entry: str, expected: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """An entry may choose its types of CDR, and whether any or all must have a day; a type unknown has no days."""
    reported = {"calls": [day(1), day(2)], "sms": [day(2), day(3)], "mds": [day(4)]}
    with caplog.at_level(logging.WARNING, "autoflow"):
        found = candidates(definition(f"{{workflow_name: w, parameters: {{unit: a}}, {entry}}}"), reported)

    assert ready(found) == expected
    assert ("cdr_type=topups" in caplog.text) == ("topups" in entry)


def test_the_types_of_the_sensor_hold_for_entries_without_their_own(
    settings: Settings, write_workflows: Callable[[str], Path]
) -> None:
    """`cdr_types` of the sensor counts for entries that name none; with `require: all` every one must have the day."""
    (settings.autoflow_inputs_dir / "a.ipynb").write_text("{}")
    write_workflows(
        "workflows: [{name: w, notebooks: {n: {filename: a.ipynb, parameters: {unit: unit}}}}]\n"
        "available_dates_sensor:\n  schedule: null\n  cdr_types: [calls, sms]\n  workflows:\n"
        "  - {workflow_name: w, parameters: {unit: any}}\n"
        "  - {workflow_name: w, parameters: {unit: all}, require: all}\n"
        "  - {workflow_name: w, parameters: {unit: own}, cdr_types: [mds]}\n"
    )
    reported = {"calls": [day(1), day(2)], "sms": [day(2), day(3)], "mds": [day(4)]}
    found = candidates(read_workflows(settings.autoflow_inputs_dir), reported)

    by_unit = [(each.parameters["unit"], each.reference_date.day) for each in found]
    assert by_unit == [("any", 1), ("any", 2), ("any", 3), ("all", 2), ("own", 4)]
    assert found[3].cdr_types == ("calls", "sms")


def test_a_stencil_needs_all_types_where_all_are_required(definition: Callable[[str], Definition]) -> None:
    """With `require: all` the days of the stencil, too, must be there for every type."""
    entry = "{workflow_name: w, parameters: {unit: a}, date_stencil: [-1, 0], cdr_types: [calls, sms], require: all}"
    found = candidates(definition(entry), {"calls": [day(1), day(2), day(3)], "sms": [day(2), day(3)]})

    assert ready(found) == [3]
    assert found[0].waits_for == "waits for 2016-01-01"


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        ("day", 60),
        ("week", ["01-03", "01-10", "01-17", "01-24", "01-31", "02-07", "02-14", "02-21", "02-28"]),
        ("month", ["01-31", "02-29"]),
    ],
)
def test_every_picks_reference_dates(
    definition: Callable[[str], Definition], every: str, expected: list[str] | int
) -> None:
    """Every day, Sundays, or the last days of months (of February in a leap year, too) are reference dates."""
    days = [day(1) + dt.timedelta(days=n) for n in range(60)]
    found = candidates(definition(f"{{workflow_name: w, parameters: {{unit: a}}, every: {every}}}"), {"calls": days})

    told = [f"{each.reference_date:%m-%d}" for each in found]
    assert (len(told) if isinstance(expected, int) else told) == expected


def test_the_days_of_a_candidate_are_those_of_its_stencil(definition: Callable[[str], Definition]) -> None:
    """The worked example of the description of AutoFlow: at 2016-01-07 three ranges, and five days."""
    entry = "{workflow_name: w, parameters: {unit: a}, date_stencil: [[2016-01-01, 2016-01-03], -3, [-2, 0]]}"
    found = candidates(definition(entry), {"calls": [day(n) for n in (1, 2, 4, 5, 6, 7)]})

    (only,) = [each for each in found if each.waits_for is None]
    assert only.reference_date == day(7)
    assert only.parameters["date_ranges"] == [
        ["2016-01-01", "2016-01-03"],
        ["2016-01-04", "2016-01-05"],
        ["2016-01-05", "2016-01-07"],
    ]
    assert only.days == [day(n) for n in (1, 2, 4, 5, 6)]


class OddServer:
    """A server that answers each request with what it is told to, or keeps silent."""

    def __init__(self, answer: bytes | None, pause: float = 0) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self._answer, self._pause, self._open = answer, pause, list[socket.socket]()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._send, args=(connection,), daemon=True).start()

    def _send(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection.recv(65536)
            if self._answer is None:
                return
            for n in range(len(self._answer)) if self._pause else ():
                connection.sendall(self._answer[n : n + 1])
                time.sleep(self._pause)
            if not self._pause:
                connection.sendall(self._answer)
            connection.close()

    def close(self) -> None:
        self.socket.close()
        for connection in self._open:
            connection.close()


def answer(body: str, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + body).encode()


ODD: dict[str, tuple[bytes | None, float, str]] = {
    "silent": (None, 0, r"within 1 seconds \(AUTOFLOW_DATES_TIMEOUT\)"),
    "a letter at a time": (answer('{"available_dates": {}}'), 0.05, r"within 1 seconds \(AUTOFLOW_DATES_TIMEOUT\)"),
    "no date": (answer('{"available_dates": {"calls": ["2016-13-01"]}}'), 0, "month must be in"),
    "a number": (answer('{"available_dates": {"calls": [3]}}'), 0, "argument must be str"),
    "no JSON": (answer("<html>"), 0, "did not return the available dates"),
    "refused": (answer('{"msg": "Token has expired"}', "401 Unauthorized"), 0, "Token has expired"),
    "forbidden": (answer('{"msg": "no claim for available_dates"}', "403 Forbidden"), 0, "no claim"),
}


@pytest.mark.parametrize("oddity", ODD)
def test_an_odd_flowapi_is_a_sentence(settings: Settings, oddity: str) -> None:
    """A FlowAPI that keeps silent, drips, refuses or talks nonsense is told in a sentence, in time."""
    said, pause, expected = ODD[oddity]
    server = OddServer(said, pause)
    odd = settings.model_copy(update={"flowapi_url": server.url, "autoflow_dates_timeout": 1})
    begin = time.monotonic()
    try:
        with pytest.raises(FlowApiError, match=expected) as raised:
            reported_dates(odd)
    finally:
        server.close()

    assert time.monotonic() - begin < 3
    assert str(raised.value).startswith(f"FlowAPI at {server.url} did not return the available dates")


def test_a_stop_does_not_wait_for_flowapi(settings: Settings) -> None:
    """Who asks AutoFlow to stop does not wait for a FlowAPI that keeps silent."""
    server, stopped, begin = OddServer(None), threading.Event(), time.monotonic()
    threading.Timer(0.2, stopped.set).start()
    try:
        with pytest.raises(FlowApiError, match="before AutoFlow was stopped"):
            reported_dates(settings.model_copy(update={"flowapi_url": server.url}), stopped)
    finally:
        server.close()

    assert time.monotonic() - begin < 3
