import csv
import datetime
import decimal
import io
import json
import math

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowapi.formats import FORMATS, batches_of


def written(name, batches, schema=None, query_id="a" * 32):
    """Write batches as the server does: through an Arrow stream, batch by batch."""
    schema = schema or batches[0].schema
    writer = FORMATS[name].writer(query_id, schema)
    parts = [writer.begin()]
    for batch in batches:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as stream:
            stream.write_batch(batch)
        parts += [writer.rows(each) for each in batches_of(sink.getvalue().to_pybytes())[1]]
    return b"".join([*parts, writer.end()])


EVERY_TYPE = pa.record_batch(
    {
        "pcod": pa.array(['A "quoted"\n', "b,\\", None, "ü\x01"]),
        "name": pa.array(["x", "x", "y", None]).dictionary_encode(),
        "count": pa.array([1, -2, None, 2**53 + 1], pa.int64()),
        "value": pa.array([1.0, float("nan"), float("inf"), 0.1 + 0.2]),
        "amount": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("-3.00"), decimal.Decimal("0")]),
        "seen": pa.array([True, False, None, True]),
        "day": pa.array([datetime.date(2016, 1, 1), None, datetime.date(2016, 2, 29), datetime.date(1, 1, 1)]),
        "at": pa.array([1_451_651_400, None, None, None], pa.timestamp("s")),
        "bins": pa.array([[1.0, float("nan")], None, [], [2.5]]),
    }
)


def test_json_holds_every_type():
    """Numbers stay numbers, dates are ISO 8601, what is not finite or missing is null, order is kept."""
    result = json.loads(written("json", [EVERY_TYPE]), parse_float=str)
    assert result["query_id"] == "a" * 32
    first, second, third, fourth = result["query_result"]
    assert list(first) == EVERY_TYPE.schema.names
    assert first == {
        "pcod": 'A "quoted"\n',
        "name": "x",
        "count": 1,
        "value": "1.0",
        "amount": "1.50",
        "seen": True,
        "day": "2016-01-01",
        "at": "2016-01-01T12:30:00",
        "bins": ["1.0", None],
    }
    assert (second["value"], second["amount"], second["day"], second["bins"]) == (None, None, None, None)
    assert (third["pcod"], third["count"], third["value"]) == (None, None, None)
    assert (fourth["count"], fourth["value"], fourth["pcod"]) == (2**53 + 1, "0.30000000000000004", "ü\x01")


def test_periods_are_lists_of_times():
    """A set of periods is a list of their starts, which have no zone; in CSV it is that list as JSON, in one field."""
    told = ["2016-01-01T00:00:00", "2016-01-02T06:30:00"]
    starts = [datetime.datetime.fromisoformat(text) for text in told]
    groups = pa.array([starts, None], pa.list_(pa.timestamp("us")))
    batch = pa.record_batch({"grp": groups, "value": pa.array([20, 16])})

    assert json.loads(written("json", [batch]))["query_result"] == [
        {"grp": told, "value": 20},
        {"grp": None, "value": 16},
    ]
    assert list(csv.reader(written("csv", [batch]).decode().splitlines())) == [
        ["grp", "value"],
        [json.dumps(told), "20"],
        ["", "16"],
    ]


def test_boundaries_as_text_are_hexadecimal():
    """A binary column is told in hexadecimal digits, as PostGIS tells a geometry."""
    batch = pa.record_batch({"geom": pa.array([b"\x01\xab", None], pa.binary())})

    assert json.loads(written("json", [batch]))["query_result"] == [{"geom": "01AB"}, {"geom": None}]
    assert written("csv", [batch]) == b"geom\r\n01AB\r\n\r\n"


def test_csv_is_rfc_4180():
    """Lines end in CR LF, cells are quoted where they must be, missing is empty, the header is there."""
    text = written("csv", [EVERY_TYPE]).decode()
    assert text.startswith("pcod,name,count,value,amount,seen,day,at,bins\r\n")
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    assert len(rows) == 5
    assert rows[1][:8] == [
        'A "quoted"\n', "x", "1", "1.0", "1.50", "true", "2016-01-01", "2016-01-01T12:30:00",
    ]  # fmt: skip
    assert rows[2][0] == "b,\\"
    assert rows[2][3] == rows[3][3] == ""
    assert text.endswith("\r\n")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("json", b'{"query_id":"' + b"a" * 32 + b'","query_result":[]}'),
        ("csv", b"pcod,value\r\n"),
    ],
)
def test_an_empty_result_is_whole(name, expected):
    """A result without rows is a valid file, the CSV header included."""
    empty = pa.record_batch({"pcod": pa.array([], pa.string()), "value": pa.array([], pa.int64())})
    assert written(name, [empty]) == expected


def test_an_empty_map_is_whole():
    """A map without features is a valid FeatureCollection."""
    empty = pa.record_batch({"feature": pa.array([], pa.string())})
    assert written("geojson", [empty]) == b'{"type":"FeatureCollection","features":[]}'


def test_arrow_and_parquet_hold_the_same_rows():
    """Both binary formats hold every batch, with what is not finite as null."""
    batches = [EVERY_TYPE.drop_columns(["bins"]), EVERY_TYPE.drop_columns(["bins"]).slice(0, 0)] * 2
    stream = pa.ipc.open_stream(written("arrow", batches)).read_all()
    file = pq.read_table(io.BytesIO(written("parquet", batches)))
    assert stream.num_rows == file.num_rows == 8
    assert stream.column("value").to_pylist() == file.column("value").to_pylist()
    assert stream.column("value").null_count == 4
    assert stream.column("pcod").to_pylist() == file.column("pcod").to_pylist()


_rows = st.lists(
    st.tuples(
        st.one_of(st.none(), st.text(max_size=8)),
        st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        st.one_of(st.none(), st.floats()),
    ),
    max_size=12,
)


@given(rows=_rows, cut=st.integers(0, 12))
@settings(max_examples=150, deadline=None)
def test_any_rows_survive_json_and_csv(rows, cut):
    """Whatever the rows and wherever the batches are cut, a reader of JSON or CSV gets them back."""
    schema = pa.schema([("pcod", pa.string()), ("count", pa.int64()), ("value", pa.float64())])
    table = [dict(zip(schema.names, row, strict=True)) for row in rows]
    batches = [pa.RecordBatch.from_pylist(part, schema) for part in (table[:cut], table[cut:])]
    expected = [
        {**row, "value": row["value"] if row["value"] is not None and math.isfinite(row["value"]) else None}
        for row in table
    ]
    assert json.loads(written("json", batches))["query_result"] == expected
    cells = list(csv.reader(io.StringIO(written("csv", batches).decode(), newline=""), strict=True))[1:]
    assert [cell[0] for cell in cells] == [row["pcod"] or "" for row in expected]
    assert [cell[1] for cell in cells] == ["" if row["count"] is None else str(row["count"]) for row in expected]
    values = [None if cell[2] == "" else float(cell[2]) for cell in cells]
    assert values == [row["value"] for row in expected]


THREE = [pa.record_batch({"pcod": [f"P{n}", f"Q{n}"], "value": [n, n + 0.5]}) for n in range(3)]


@pytest.mark.parametrize(
    ("filetype", "media_type"),
    [
        ("json", "application/json"),
        ("csv", "text/csv; charset=utf-8"),
        ("geojson", "application/geo+json"),
        ("arrow", "application/vnd.apache.arrow.stream"),
        ("parquet", "application/vnd.apache.parquet"),
    ],
)
def test_every_format_streams_every_batch(call, fake, spec, filetype, media_type):
    """All batches of a result arrive, in order, whatever the format."""
    query_id = fake.add(spec, batches=THREE)
    answer = call("GET", f"/api/0/get/{query_id}.{filetype}")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["Content-Disposition"] == f"attachment;filename={query_id}.{filetype}"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    read = {
        "json": lambda: [row["pcod"] for row in answer.json()["query_result"]],
        "csv": lambda: [row["pcod"] for row in csv.DictReader(io.StringIO(answer.text))],
        "geojson": lambda: [one["properties"]["pcod"] for one in answer.json()["features"]],
        "arrow": lambda: pa.ipc.open_stream(answer.content).read_all().column("pcod").to_pylist(),
        "parquet": lambda: pq.read_table(io.BytesIO(answer.content)).column("pcod").to_pylist(),
    }
    assert read[filetype]() == ["P0", "Q0", "P1", "Q1", "P2", "Q2"]


@pytest.mark.parametrize("filetype", ["json", "csv", "geojson", "arrow", "parquet"])
def test_a_result_that_breaks_off_is_an_error(call, fake, spec, flowapi, filetype):
    """When a later batch fails the connection is cut: no client takes the part for the whole."""
    query_id = fake.add(spec, batches=THREE, failing=frozenset({2}))
    with pytest.raises(httpx.RemoteProtocolError):
        call("GET", f"/api/0/get/{query_id}.{filetype}")
    aborted = [line for line in flowapi.lines() if line["event"] == "request" and line["query_id"] == query_id]
    assert aborted[-1]["outcome"] == "aborted"
    assert aborted[-1]["rows"] == 4


def test_a_result_whose_columns_change_is_an_error(call, fake, spec):
    """A result that is replaced while it is sent is cut off too."""
    other = pa.record_batch({"pcod": ["X"], "other": [1]})
    query_id = fake.add(spec, batches=[THREE[0], other])
    with pytest.raises(httpx.RemoteProtocolError):
        call("GET", f"/api/0/get/{query_id}")


def test_a_result_that_cannot_be_written_at_all_is_an_answer(call, fake, spec, monkeypatch):
    """An error before the first byte is an ordinary JSON error."""
    query_id = fake.add(spec)
    ready = {"status": "success", "msg": "", "payload": {"query_state": "completed", "batch": 0, "batches": 1}}
    monkeypatch.setattr(fake, "do_get_result", lambda **_: [ready, b"no arrow"], raising=False)
    answer = call("GET", f"/api/0/get/{query_id}")
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    monkeypatch.setattr(fake, "do_get_result", lambda **_: [ready], raising=False)
    assert call("GET", f"/api/0/get/{query_id}").json()["code"] == "backend_answer_unreadable"
