"""Days that come again, late, twice, or under another key."""

import datetime as dt

import pytest

from flowdb.records import available_dates, get_checks, latest_states, mend
from flowetl import IngestError, withdraw
from flowkit_base.errors import UserError

DAY = dt.date(2016, 1, 1)


def _lines(n, start=0, day="2016-01-01"):
    return [f"i{i},1,{day} 10:00:00,1,p{i},q,C1,1" for i in range(start, start + n)]


def _version(deployment, day=DAY):
    return deployment.lake.snapshot().days["calls"][day].version


def test_the_same_file_again_changes_nothing(deployment):
    """A delivery that is in already, under whatever name and packing of files, is left alone."""
    one, two = deployment.calls(*_lines(10), name="a.csv"), deployment.calls(*_lines(5, 10), name="b.csv")
    deployment.load(one, two)
    version = _version(deployment)
    for files in ([one, two], [two], [deployment.calls(*_lines(10), name="other.csv")], [one, one]):
        (report,) = deployment.load(*files)
        assert report.state == "already in"
        assert _version(deployment) == version


def test_a_corrected_file_replaces_its_days(deployment):
    """A re-delivery with other content takes the place of the day, and says how many rows there were."""
    deployment.load(deployment.calls(*_lines(10)))
    (report,) = deployment.load(deployment.calls(*_lines(8), "x,1,2016-01-01 11:00:00,1,p0,q,C1,1"))
    assert (report.state, report.loaded, report.replaced) == ("ingested", 9, 10)
    assert len(deployment.rows()) == 9


def test_a_late_file_alone_does_not_wipe_out_the_day(deployment):
    """A delivery with fewer than half of a day's rows is refused, and all ways out are named."""
    first, late = deployment.calls(*_lines(10)), deployment.calls(*_lines(4, 10), name="late.csv")
    deployment.load(first)
    with pytest.raises(IngestError) as refused:
        deployment.load(late, deployment.calls(*_lines(3, day="2016-01-02"), name="next.csv"))
    assert str(refused.value) == (
        "The calls of 2016-01-01 are in with 10 rows and this delivery has 4: give late files together with the first "
        "ones, or add them (--add), or say that they shall replace the day (--replace)."
    )
    assert deployment.lake.snapshot().dates("calls") == [DAY]
    (report,) = deployment.load(first, late)
    assert (report.loaded, report.replaced) == (14, 10)


def test_late_rows_can_be_added(deployment):
    """With late=add they join the day, those that are in already only once, and then count as its sources."""
    late = deployment.calls(*_lines(4, 8), name="late.csv")
    deployment.load(deployment.calls(*_lines(10)))
    (report,) = deployment.load(late, late="add")
    assert (report.loaded, report.duplicates, report.replaced) == (12, 2, 10)
    (again,) = deployment.load(late)
    assert again.state == "already in"
    with pytest.raises(IngestError, match="loaded under another key"):
        deployment.load(deployment.calls(*_lines(1, 50), name="l.csv"), late="add", key=b"another key of the house")


def test_a_smaller_day_replaces_when_told(deployment):
    """With replace the new delivery is the day, however small."""
    deployment.load(deployment.calls(*_lines(10)))
    (report,) = deployment.load(deployment.calls(*_lines(1)), replace=True)
    assert (report.loaded, report.replaced) == (1, 10)


def test_another_reading_of_the_same_file_is_another_delivery(deployment):
    """A file read by other columns or of another zone is loaded again."""
    path = deployment.calls(*_lines(10))
    deployment.load(path)
    (report,) = deployment.load(path, timezone_of_source="Asia/Kathmandu")
    assert report.state == "ingested"
    assert deployment.rows("minute")[0] == (4 * 60 + 15,)


def test_another_key_is_noticed(deployment):
    """Days under two keys do not match; that is said."""
    deployment.load(deployment.calls(*_lines(2)))
    (report,) = deployment.load(deployment.calls(*_lines(2, day="2016-01-02")), key=b"another key of the house")
    assert "1 other days, such as 2016-01-01, were loaded under another key" in report.warnings[-1]


def test_a_file_of_two_days_goes_on_where_it_was_left(deployment):
    """If one of its days was withdrawn, only that day is loaded again."""
    path = deployment.calls(*_lines(3), *_lines(3, day="2016-01-02"))
    deployment.load(path)
    version = _version(deployment)
    withdraw(deployment.lake, deployment.catalogue, "calls", dt.date(2016, 1, 2), "wrong cells")
    reports = deployment.load(path)
    assert [r.state for r in reports] == ["already in", "ingested"]
    assert _version(deployment) == version


def test_a_known_file_is_read_again_where_another_shares_its_day(deployment):
    """A late file with the first one makes the day of both."""
    first = deployment.calls(*_lines(5), *_lines(5, day="2016-01-02"))
    deployment.load(first)
    late = deployment.calls(*_lines(2, 5), name="late.csv")
    reports = deployment.load(first, late)
    assert [(r.state, r.loaded) for r in reports] == [("ingested", 7), ("already in", 0)]


def test_states_tell_the_way_of_a_day(deployment):
    """Found, loading, ingested, withdrawn: each is recorded, with the reason, and decides what is available."""
    deployment.load(deployment.calls(*_lines(2)))
    assert [(s.day, s.state) for s in latest_states(deployment.catalogue)] == [(DAY, "ingested")]
    assert available_dates(deployment.catalogue) == {"calls": [DAY]}
    assert {c.name for c in get_checks(deployment.catalogue, "calls")} >= {"count_added_rows", "max_duration.calls"}
    withdraw(deployment.lake, deployment.catalogue, "calls", DAY, "wrong cells")
    (state,) = latest_states(deployment.catalogue)
    assert (state.state, state.reason) == ("withdrawn", "wrong cells")
    assert available_dates(deployment.catalogue) == {}
    assert get_checks(deployment.catalogue, "calls") == []
    assert mend(deployment.catalogue, deployment.lake) == 0


def _meanwhile(deployment, other):
    """A progress callback that runs another load just before the first day is locked."""
    pending = [other]

    def progress(phase, *_):
        if phase == "loading rows" and pending:
            pending.pop()()

    return progress


def test_a_day_published_meanwhile_is_not_wiped_out(deployment):
    """A load that read its files before another published more of the same day is refused, as if it came later."""
    late, first = deployment.calls(*_lines(4, 10), name="late.csv"), deployment.calls(*_lines(10), name="first.csv")
    meanwhile = _meanwhile(deployment, lambda: deployment.load(first))
    with pytest.raises(UserError, match="2016-01-01 are in with 10 rows and this delivery has 4"):
        deployment.load(late, progress=meanwhile)
    assert len(deployment.rows()) == 10
    assert latest_states(deployment.catalogue)[0].state == "failed"
    assert available_dates(deployment.catalogue) == {"calls": [DAY]}


def test_rows_are_added_to_the_day_as_it_is_then(deployment):
    """With late=add they join what another load published meanwhile, and both files count as the day's sources."""
    late, first = deployment.calls(*_lines(4, 10), name="late.csv"), deployment.calls(*_lines(10), name="first.csv")
    meanwhile = _meanwhile(deployment, lambda: deployment.load(first))
    (report,) = deployment.load(late, late="add", progress=meanwhile)
    assert (report.loaded, report.replaced) == (14, 10)
    facts = deployment.lake.facts("calls", DAY)
    assert [source["name"] for source in facts["sources"]] == ["first.csv", "late.csv"]


def test_the_same_file_loaded_twice_at_once_is_loaded_once(deployment):
    """Of two loads of one file the second leaves the day alone, and the records agree with the lake."""
    file = deployment.calls(*_lines(10))
    meanwhile = _meanwhile(deployment, lambda: deployment.load(file))
    (report,) = deployment.load(file, progress=meanwhile)
    assert report.state == "already in"
    assert len(deployment.lake.history("calls")) == 1
    assert latest_states(deployment.catalogue)[0].state == "ingested"
    assert mend(deployment.catalogue, deployment.lake) == 0
