"""Lines that cannot be loaded, and what is told about them."""

import datetime as dt
import random

import pytest

from flowetl import IngestError

GOOD = "i1,True,2016-01-01 10:00:00,60.0,alice,bob,C1,92380772.0"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("i1,True,2016-13-01 10:00:00,60,al,b,C1,1", "datetime is not a time: 2016-13-01 10:00:00"),
        ("i1,True,2016-01-01,60,al,b,C1,1", "datetime is not a time"),
        ("i1,True,10:00:00,60,al,b,C1,1", "datetime is not a time"),
        ("i1,True,epoch,60,al,b,C1,1", "datetime is not a time"),
        ("i1,True,2016-01-01 10:00:00 Asia/Tokyo,60,al,b,C1,1", "datetime is not a time"),
        ("i1,True,9841234567,60,al,b,C1,1", "datetime is not a time"),
        ("i1,True,,60,al,b,C1,1", "datetime is empty"),
        ("i1,True,1989-12-31 23:59:59,60,al,b,C1,1", "datetime is before 1990 or after tomorrow: 1989-12-31 23:59:59"),
        ("i1,True,2999-01-01 00:00:00,60,al,b,C1,1", "datetime is before 1990 or after tomorrow: 2999-01-01 00:00:00"),
        ("i1,True,2016-01-01 10:00:00,60, ,b,C1,1", "msisdn is empty"),
        ("i1,True,2016-01-01 10:00:00,60,NULL,b,C1,1", "msisdn is empty"),
        ("i1,True,2016-01-01 10:00:00,a minute,al,b,C1,1", "duration is not a number"),
        ("i1,True,2016-01-01 10:00:00,inf,al,b,C1,1", "duration is not a number"),
        ("i1,True,2016-01-01 10:00:00,1_000,al,b,C1,1", "duration is not a number"),
        ("i1,maybe,2016-01-01 10:00:00,60,al,b,C1,1", "outgoing is not true or false"),
        ("i1,True,2016-01-01 10:00:00,60,al,b,C1,1.5", "tac is not a whole number"),
        ("i1,True,2016-01-01 10:00:00,60,al,b,C1,3000000000", "tac is not a whole number"),
        ("i1,True,2016-01-01 10:00:00,60,al,b,C1", "it has 7 fields, the header has 8"),
        ("i1,True,2016-01-01 10:00:00,60,al,b,C1,1,9", "it has 9 fields, the header has 8"),
        ('i1,True,2016-01-01 10:00:00,60,al,"b,C1,1', "its quotes are not balanced"),
        ("i1,True,2016-01-01 10:00:00,60,al,b\0,C1,1", "it holds a NUL character"),
    ],
)
def test_a_bad_line_is_kept_with_its_reason_and_the_day_loads(deployment, line, reason):
    """A bad line stands in the quarantine with file, line number and reason; the good lines around it load."""
    (report,) = deployment.load(deployment.calls(GOOD, line, "i2" + GOOD[2:]))
    assert (report.delivered, report.loaded, report.quarantined) == (3, 2, 1)
    ((file, number, why, _),) = deployment.quarantined()
    assert (file, number, why) == ("calls.csv", 3, reason)
    assert report.warnings[-1] == "calls.csv: 1 bad line is in the lake's quarantine/calls."


def test_bytes_that_are_not_utf_8_make_a_bad_line(deployment):
    """A line in another encoding is bad by itself; the file loads."""
    content = (
        f"{deployment.calls(GOOD).read_text()}".encode()
        + b"i2,1,2016-01-01 10:00:00,1,\xff\xfe,b,C1,1\n"
        + (b"i3,1,2016-01-01 11:00:00,1,al,b,caf\xc3\xa9,1\n")
    )
    (report,) = deployment.load(deployment.file(content))
    assert (report.loaded, report.quarantined) == (2, 1)
    assert [q[:3] for q in deployment.quarantined()] == [("calls.csv", 3, "it is not UTF-8")]
    assert deployment.rows("location_id")[-1] == ("caf\u00e9",)


def test_line_numbers_are_those_of_an_editor(deployment):
    """Whatever else is in a file, blank lines and stray quotes included, the number told is the line's own."""
    draw = random.Random(7)
    lines, wrong = [], []
    for number in range(2, 3000):
        kind = draw.random()
        if kind < 0.02:
            lines.append(b"")
        elif kind < 0.04:
            lines.append(b'i,1,2016-01-01 10:00:00,1,al,"b,C1,1')
            wrong.append(number)
        elif kind < 0.06:
            lines.append(b"i,1,2016-01-01 10:00:00,1,\xe9,b,C1,1")
            wrong.append(number)
        elif kind < 0.1:
            lines.append(b"i,1,yesterday,1,al,b,C1,1")
            wrong.append(number)
        else:
            lines.append(f'i{number},1,2016-01-01 10:00:00,1,al,"b",C1,1'.encode())
    content = deployment.calls().read_bytes() + b"\r\n".join(lines)
    (report,) = deployment.load(deployment.file(content))
    assert [q[1] for q in deployment.quarantined()] == wrong
    assert report.loaded == len([line for line in lines if line]) - len(wrong)
    assert report.delivered == report.loaded + len(wrong)


def test_the_quarantine_tells_the_form_of_a_line_and_nothing_of_its_content(deployment):
    """No identifier of a bad line touches the store, wherever it stands in the line."""
    deployment.load(deployment.calls(GOOD, "9841234567,True,9841234568,60,+9779841,al\u00efce,98412 34569"))
    ((_, _, _, form),) = deployment.quarantined()
    assert form == "9999999999,aaaa,9999999999,99,+9999999,aaaaa,99999 99999"
    deployment.load(deployment.calls(GOOD, "i1,True,9841234568,60,alice,bob,9841234569,1"), replace=True)
    for path in deployment.lake.path.rglob("*"):
        if path.is_file():
            assert b"98412345" not in path.read_bytes(), path


def test_a_limit_on_bad_lines_holds_the_delivery_back(deployment):
    """With more bad lines than allowed nothing loads, and the sentence names file, number and first fault."""
    path = deployment.calls(GOOD, "i1,1,never,1,al,b,C1,1", "i2,1,,1,al,b,C1,1")
    with pytest.raises(IngestError, match=r"calls.csv has 2 bad lines, more than the 1 that are allowed; .* line 3: "):
        deployment.load(path, max_bad_lines=1)
    assert deployment.rows() == []
    (report,) = deployment.load(path, max_bad_lines=2)
    assert report.loaded == 1


def test_a_file_without_a_good_line_is_refused(deployment):
    """Dates that are all out of range refuse the whole delivery, other files included."""
    old = deployment.calls("i1,1,1889-01-01 10:00:00,1,al,b,C1,1", name="old.csv")
    with pytest.raises(IngestError, match=r"old.csv has no good line; the first is line 2: datetime is before 1990"):
        deployment.load(deployment.calls(GOOD), old)
    assert deployment.rows() == []


def test_today_and_tomorrow_are_plausible(deployment):
    """An event of now loads; the clock of the source may be ahead by a day."""
    now = dt.datetime.now(dt.UTC)
    lines = [f"i{n},1,{now + dt.timedelta(days=n):%Y-%m-%d %H:%M:%S},1,al,b,C1,1" for n in range(3)]
    reports = deployment.load(deployment.calls(*lines))
    assert [r.loaded for r in reports] == [1, 1]


def test_bad_rows_of_parquet_are_told_by_their_row(deployment):
    """A Parquet row without a subscriber is kept by its number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = deployment.inbox / "calls.parquet"
    pq.write_table(pa.table({"datetime": ["2016-01-01 10:00:00"] * 2, "msisdn": ["al", None]}), path)
    (report,) = deployment.load(path)
    assert report.loaded == 1
    assert [q[:3] for q in deployment.quarantined()] == [("calls.parquet", 2, "msisdn is empty")]
