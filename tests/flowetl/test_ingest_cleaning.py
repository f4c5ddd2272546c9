"""What becomes of delivered values."""

import datetime as dt
import gzip
import random

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowdb.lake import arrow_schema
from flowdb.tables import stored_columns
from flowetl import IngestError


def test_blanks_around_values_are_nothing(deployment):
    """Blanks, tabs and no-break spaces around a value do not change it, nor whom it names."""
    deployment.load(
        deployment.calls(
            "  i1 ,True, 2016-01-01 10:00:00 ,60.0,\t alice ,bob , C1\u00a0,92380772.0",
            "i1,False,2016-01-01 10:00:00,60.0,bob,alice,C2,92380773",
        )
    )
    (a, b) = deployment.rows("id, msisdn, msisdn_counterpart, location_id, tac")
    assert a[0] == b[0]
    assert (a[1], a[2]) == (b[2], b[1])
    assert {(a[3], a[4]), (b[3], b[4])} == {("C1", 92380772), ("C2", 92380773)}


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("True", True),
        ("true", True),
        ("1", True),
        ("t", True),
        ("FALSE", False),
        ("0", False),
        ("f", False),
        ("", None),
    ],
)
def test_truths_are_read_in_all_their_spellings(deployment, text, stored):
    """True, true, 1 and t are the same; so are their opposites; nothing is unknown."""
    deployment.load(deployment.calls(f"i1,{text},2016-01-01 10:00:00,60,alice,bob,C1,1"))
    assert deployment.rows("outgoing") == [(stored,)]


@pytest.mark.parametrize("nothing", ["", "  ", "NULL", "null", "None", "nan", "NaN", "\\N"])
def test_words_for_nothing_are_no_value(deployment, nothing):
    """An empty value, however it is written, is stored as none, in numbers, texts and identifiers."""
    deployment.load(deployment.calls(f"{nothing},,2016-01-01 10:00:00,{nothing},alice,{nothing},{nothing},{nothing}"))
    assert deployment.rows("id, duration, msisdn_counterpart, location_id, tac") == [(None,) * 5]


def test_the_stored_day_is_as_declared(deployment):
    """A stored day has the declared columns and types, is sorted by subscriber and time, and is compressed."""
    lines = [
        f"i{i},{i % 2},2016-01-01 {random.Random(i).randrange(24):02}:00:{i % 60:02},1,p{i % 50},q,C{i % 5},1"
        for i in range(2000)
    ]
    deployment.load(deployment.calls(*lines))
    stored = deployment.lake.snapshot().days["calls"][dt.date(2016, 1, 1)]
    table = pq.read_table(stored.files[0], partitioning=None)
    assert table.schema.names == [c.name for c in stored_columns("calls") if c.name != "day"]
    declared = arrow_schema(tuple(c for c in stored_columns("calls") if c.name != "day"))
    assert table.schema.types == declared.types
    keys = list(zip(table["msisdn"].to_pylist(), table["datetime"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    column = pq.read_metadata(stored.files[0]).row_group(0).column(table.schema.names.index("location_id"))
    assert column.compression == "ZSTD"
    assert "RLE_DICTIONARY" in column.encodings or "PLAIN_DICTIONARY" in column.encodings


def test_gzip_parquet_and_csv_give_the_same_rows(deployment):
    """The form of a delivery does not change what is stored."""
    lines = ["i1,True,2016-01-01 10:00:00.25,60.5,9841,9842,C1,92380772", "i2,,2016-01-02 00:00:00,,9842,,,"]
    plain = deployment.calls(*lines)
    deployment.load(plain)
    expected = deployment.rows()
    zipped = deployment.file(gzip.compress(plain.read_bytes()), "calls.csv.gz")
    deployment.load(zipped, replace=True)
    assert deployment.rows() == expected
    table = pa.table(
        {
            "id": ["i1", "i2"],
            "outgoing": pa.array([True, None]),
            "datetime": pa.array(["2016-01-01 10:00:00.25", "2016-01-02 00:00:00"]).cast(pa.timestamp("us")),
            "duration": pa.array([60.5, None]),
            "msisdn": pa.array([9841, 9842]),
            # Nulls made it float on its way.
            "msisdn_counterpart": pa.array([9842.0, None]),
            "location_id": ["C1", None],
            "tac": pa.array([92380772.0, None]),
        }
    )
    pq.write_table(table, deployment.inbox / "calls.parquet")
    deployment.load(deployment.inbox / "calls.parquet", replace=True)
    assert deployment.rows() == expected


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_quotes_and_line_ends_are_found_out(deployment, delimiter):
    """Commas, semicolons, tabs and bars, quoted values, byte order marks and Windows line ends are all read."""
    header = delimiter.join(["datetime", '"msisdn"', "location_id"])
    lines = [
        header,
        delimiter.join(["2016-01-01 10:00:00", "alice", f'"C{delimiter}""1"""']),
        delimiter.join(["2016-01-01 11:00:00", "bob", "C2"]),
    ]
    deployment.load(deployment.file("\ufeff" + "\r\n".join(lines)))
    assert deployment.rows("location_id") == [(f'C{delimiter}"1"',), ("C2",)]


def test_latin_1_is_read_when_told(deployment):
    """A file in Latin-1 loads whole when its encoding is named."""
    content = "datetime,msisdn,network\n2016-01-01 10:00:00,alice,T\u00e9l\u00e9com\n".encode("latin-1")
    deployment.load(deployment.file(content), encoding="latin-1")
    assert deployment.rows("network") == [("T\u00e9l\u00e9com",)]


def test_columns_may_be_renamed_and_left_out(deployment):
    """A mapping takes a column from another name, two of them exchanged too, and an empty one leaves a column out."""
    path = deployment.calls("2016-01-01 10:00:00,bob,alice,5", header="when,msisdn,msisdn_counterpart,duration")
    columns = {"datetime": "when", "msisdn": "msisdn_counterpart", "msisdn_counterpart": "msisdn", "duration": ""}
    (report,) = deployment.load(path, columns=columns)
    straight = deployment.calls(
        "2016-01-01 10:00:00,alice,bob", header="datetime,msisdn,msisdn_counterpart", name="straight.csv"
    )
    rows = deployment.rows("msisdn, msisdn_counterpart, duration")
    assert report.warnings == ("calls.csv: columns left out: duration.",)
    deployment.load(straight, replace=True)
    assert deployment.rows("msisdn, msisdn_counterpart, duration") == rows


def test_a_mapping_to_what_is_not_there_is_refused(deployment):
    """A mapping from or to a column that does not exist is one sentence naming the ones that do."""
    path = deployment.calls("i1,True,2016-01-01 10:00:00,60,alice,bob,C1,1")
    with pytest.raises(IngestError, match=r"calls.csv has no column 'when'; it has: id, outgoing"):
        deployment.load(path, columns={"datetime": "when"})
    with pytest.raises(IngestError, match="calls has no column 'volume_total'"):
        deployment.load(path, columns={"volume_total": "duration"})


def test_identical_rows_are_one(deployment):
    """A row delivered twice, in one file or two, is stored once and counted."""
    line = "i1,True,2016-01-01 10:00:00,60,alice,bob,C1,1"
    (report,) = deployment.load(
        deployment.calls(line, line, "i2" + line[2:]), deployment.calls(line, " " + line, name="more.csv")
    )
    assert (report.delivered, report.loaded, report.duplicates) == (5, 2, 3)


def test_rows_go_to_their_own_day(deployment):
    """A file that mixes days fills each of them, and several files may share a day, in whatever order."""
    one = deployment.calls("i1,1,2016-01-02 00:00:00,1,a,b,C1,1", "i2,1,2016-01-01 23:59:59,1,a,b,C1,1", name="z.csv")
    two = deployment.calls("i3,1,2016-01-02 12:00:00,1,a,b,C1,1", name="a [1]*.csv")
    reports = deployment.load(one, two)
    assert [(r.day.day, r.loaded) for r in reports] == [(1, 1), (2, 2)]
    facts = deployment.lake.facts("calls", dt.date(2016, 1, 2))
    assert {s["name"]: s["rows"] for s in facts["sources"]} == {"z.csv": 1, "a [1]*.csv": 1}


@pytest.mark.takes_long("loads a large file in little memory")
def test_memory_stays_bounded(deployment):
    """A delivery many times larger than the memory limit loads."""
    path = deployment.inbox / "big.csv"
    duckdb.sql(
        "SELECT md5(range::VARCHAR) AS id, range % 2 AS outgoing, "
        "TIMESTAMP '2016-01-01' + to_seconds((range * 7919) % 86400) AS datetime, 'p' || range % 9999 AS msisdn, "
        "'q' || range % 777 AS msisdn_counterpart, 'C' || range % 99 AS location_id FROM range(600000)"
    ).write_csv(str(path))
    (report,) = deployment.load(path, memory_limit="100MB", threads=1)
    assert report.loaded == 600_000
    assert path.stat().st_size > 40_000_000
