"""Whole files that are refused, in one sentence each, before anything is loaded."""

import gzip

import pytest

from flowetl import IngestError

GOOD = "i1,True,2016-01-01 10:00:00,60.0,alice,bob,C1,92380772.0"


def _refusal(deployment, path, **options):
    good = deployment.calls(GOOD, name="good.csv")
    with pytest.raises(IngestError) as refused:
        deployment.load(good, path, **options)
    assert deployment.rows() == []
    assert not (deployment.lake.path / "tmp").exists() or not list((deployment.lake.path / "tmp").iterdir())
    return str(refused.value)


def test_a_header_that_lacks_the_time_proposes_the_column_that_has_it(deployment):
    """A wrong header names what lacks, what is unknown, and the mapping that would mend it."""
    path = deployment.calls("2016-01-01 10:00:00,al", header="start_time,msisdn")
    assert _refusal(deployment, path) == (
        "The header of calls.csv lacks datetime and has columns that calls do not have: start_time; "
        "try --map datetime=start_time."
    )


def test_a_misspelt_column_is_not_dropped_in_silence(deployment):
    """A column that looks like a missing one is asked about."""
    path = deployment.calls("2016-01-01 10:00:00,al,C1", header="datetime,msisdn,locaton_id")
    assert "try --map location_id=locaton_id" in _refusal(deployment, path)


def test_a_column_of_no_use_is_left_out_with_a_word(deployment):
    """A column that is nothing like ours does not hold the delivery back."""
    (report,) = deployment.load(deployment.calls("2016-01-01 10:00:00,al,x", header="datetime,msisdn,tariff"))
    assert report.warnings == ("calls.csv: columns left out: tariff.",)


def test_data_without_a_header_is_refused_and_not_repeated(deployment):
    """A first line that is data is no header, and whom it names is not told."""
    said = _refusal(deployment, deployment.calls(header="i1,True,2016-01-01 10:00:00,60,9841234567,9842,C1,1"))
    assert said == "calls.csv begins with data: its first line must name the columns."


def test_a_column_named_twice_is_refused(deployment):
    """Two columns of one name leave open which is meant."""
    path = deployment.calls("2016-01-01 10:00:00,al,bo", header="datetime,msisdn,msisdn")
    assert _refusal(deployment, path) == "calls.csv names a column twice: msisdn."


def test_a_truncated_gzip_is_refused(deployment):
    """A transfer that was cut off is seen before a line of it is loaded."""
    whole = gzip.compress(deployment.calls(*[GOOD] * 5000).read_bytes())
    for cut in (whole[: len(whole) // 2], whole[:-4], whole[:12]):
        said = _refusal(deployment, deployment.file(cut, "calls.csv.gz"))
        assert said == "calls.csv.gz is cut short or damaged gzip: have it delivered again."


def test_a_damaged_gzip_is_refused(deployment):
    """A checksum that fails is seen too."""
    whole = bytearray(gzip.compress(deployment.calls(*[GOOD] * 5000).read_bytes()))
    whole[-6] ^= 0xFF
    assert "damaged gzip" in _refusal(deployment, deployment.file(bytes(whole), "calls.csv.gz"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty."),
        (b"\n\n", "is empty."),
        (b"datetime,msisdn\n", "is empty: it has a header but no line."),
        (b"\x00\x01\x02binary", "is not text"),
        (b"PK\x03\x04zip", "is a zip archive: unpack it."),
        (b"\xd0\xcf\x11\xe0workbook", "is an Excel workbook or another Office file: save it as CSV."),
        (b'{"type": "FeatureCollection"}\n', "is JSON: save it as CSV."),
        (b"<html>\n<p>Sign in</p>\n", "is a web page or XML: download the CSV file itself."),
        ("datetime,msisdn\n1,2\n".encode("utf-16"), "is UTF-16 text: save it as UTF-8."),
        (b"datetime,msisdn\r2016-01-01 10:00:00,al\r", "ends its lines by carriage returns alone"),
        (b"PAR1 and no more", "is damaged Parquet"),
    ],
)
def test_what_is_no_delivery_is_refused(deployment, content, said):
    """Empty files, archives, binaries and foreign encodings are called by their name."""
    assert f"delivery.csv {said}" in _refusal(deployment, deployment.file(content, "delivery.csv"))


def test_a_file_in_another_encoding_names_the_way_out(deployment):
    """A file full of Latin-1 is not put into quarantine line by line."""
    content = b"datetime,msisdn,network\n" + b"2016-01-01 10:00:00,al,T\xe9l\xe9com\n" * 10_001
    said = _refusal(deployment, deployment.file(content, "latin.csv"))
    assert said.startswith("latin.csv: in more than 10,000 lines the text is not UTF-8; ")
    assert "--encoding latin-1" in said


def test_a_file_that_is_not_there_is_named(deployment):
    """A missing file is one sentence."""
    assert _refusal(deployment, deployment.inbox / "no.csv").endswith(
        "no.csv cannot be read: No such file or directory."
    )
    assert "Is a directory" in _refusal(deployment, deployment.inbox)


def test_wrong_orders_are_refused(deployment):
    """An unknown event type or zone, no file, and a short key are one sentence each."""
    path = deployment.calls(GOOD)
    with pytest.raises(IngestError, match="'fax' is no event type; there are: calls, sms"):
        deployment.load(path, event_type="fax")
    with pytest.raises(IngestError, match="'Mars/Base' is not a time zone"):
        deployment.load(path, timezone_of_source="Mars/Base")
    with pytest.raises(IngestError, match="No file is given"):
        deployment.load()
    with pytest.raises(IngestError, match="shorter than 16 bytes"):
        deployment.load(path, key=b"short")
    with pytest.raises(IngestError, match="memory limit 'lots' is not taken"):
        deployment.load(path, memory_limit="lots")
