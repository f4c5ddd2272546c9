"""The sensor: which workflows run for which of the available days."""

import datetime as dt
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from autoflow.sensor import Candidate, FlowApiError, available_dates, candidates
from autoflow.settings import Settings
from autoflow.workflows import Definition, read_workflows


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
    found = candidates(definition(f"{{workflow_name: w, parameters: {{unit: a}}, {entry}}}"), days)

    assert ready(found) == expected


def test_a_waiting_day_says_for_what(definition: Callable[[str], Definition]) -> None:
    """Each day that is not ready carries its reason."""
    entry = "{workflow_name: w, parameters: {unit: a}, date_stencil: [[-5, 0]], earliest_date: 2016-01-02}"
    found = candidates(definition(entry), [day(1), day(2)])

    assert found[0].waits_for == "before the earliest date, 2016-01-02"
    assert found[1].waits_for == "waits for 2015-12-28, 2015-12-29, 2015-12-30 and 1 more days"


def test_parameters_are_completed_for_each_day(definition: Callable[[str], Definition]) -> None:
    """A run gets its configured parameters, the reference date and the ranges of the stencil, all as JSON."""
    found = candidates(
        definition("{workflow_name: w, parameters: {unit: {since: 2016-01-01}}, date_stencil: [-1, 0]}"),
        [day(1), day(2)],
    )

    assert found[1].parameters == {
        "unit": {"since": "2016-01-01"},
        "reference_date": "2016-01-02",
        "date_ranges": [["2016-01-01", "2016-01-02"], ["2016-01-02", "2016-01-03"]],
    }


def test_the_same_workflow_with_the_same_parameters_is_one(definition: Callable[[str], Definition]) -> None:
    """Two entries that come to the same make one run a day, and one that waits does not hide one that is ready."""
    late = "{workflow_name: w, parameters: {unit: a}, earliest_date: 2016-02-01}"
    found = candidates(definition(f"{late}, {{workflow_name: w, parameters: {{unit: a}}}}"), [day(1), day(2)])

    assert ready(found) == [1, 2]
