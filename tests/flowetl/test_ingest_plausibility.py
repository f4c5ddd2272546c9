"""Deliveries that are not what they are said to be, and numbers of people in the column of cells."""

import pytest

from flowdb.reference import cells
from flowetl import IngestError

CELLS = "id,version,longitude,latitude\n" + "".join(f"C{n},0,85,27\n" for n in range(20))
SWAPPED = "id,outgoing,datetime,duration,msisdn,location_id,msisdn_counterpart,tac"


@pytest.fixture
def located(deployment):
    """A deployment with twenty cells, C0 to C19."""
    cells.load(deployment.lake, deployment.file(CELLS, "cells.csv"))
    return deployment


def _calls(deployment, cell_of, header=None, people=30):
    """Calls of people to each other, at cells that a function of the caller gives."""
    lines = [
        f"i{n},True,2016-01-01 10:00:{n:02},60,98412345{n:02},98412345{(n + 1) % people:02},{cell_of(n)},1"
        for n in range(people)
    ]
    return deployment.calls(*lines, **({"header": header} if header else {}))


def _texts_in_lake(lake):
    """All bytes below the lake, with Parquet's columns as text."""
    import pyarrow.parquet as pq

    columns = []
    for path in lake.path.rglob("*.parquet"):
        columns += [str(value) for row in pq.read_table(path, partitioning=None).to_pylist() for value in row.values()]
    return "\n".join(columns)


def test_calls_are_not_loaded_as_texts(deployment):
    """A file with the columns of another event type is refused with that type; insisting loads it."""
    path = _calls(deployment, lambda _: "C1")
    with pytest.raises(IngestError, match=r"^calls.csv looks like calls, not sms: it has duration\. .* say --insist"):
        deployment.load(path, event_type="sms")
    assert deployment.rows(event_type="sms") == []
    assert deployment.load(path, event_type="sms", insist=True)[0].loaded == 30


def test_one_file_is_not_loaded_as_two_types(deployment):
    """A file that is loaded as texts is not loaded as calls, though its columns fit both."""
    header = "id,outgoing,datetime,msisdn,msisdn_counterpart,location_id"
    path = deployment.calls("i1,True,2016-01-01 10:00:00,alice,bob,C1", header=header)
    deployment.load(path, event_type="sms")
    with pytest.raises(IngestError, match=r"^calls.csv is loaded already, as sms of 2016-01-01\."):
        deployment.load(path)
    assert deployment.rows() == []


def test_a_delivery_at_unknown_cells_is_refused(located):
    """If nearly no cell of a file is loaded, nothing of it is stored; the message shows the form of its cells alone."""
    path = _calls(located, lambda n: f"KTM-{n}")
    with pytest.raises(IngestError) as refused:
        located.load(path)
    assert str(refused.value).startswith("calls.csv: 30 of 30 rows are at cells that are not loaded (such as aaa-9")
    assert located.rows() == []
    assert located.load(path, insist=True)[0].unknown_cells == 30


def test_some_unknown_cells_are_told_and_loaded(located):
    """New cells that are not loaded yet hold no delivery back."""
    (report,) = located.load(_calls(located, lambda n: f"C{n}"))
    assert (report.loaded, report.unknown_cells) == (30, 10)


def test_a_handful_of_rows_at_a_new_cell_is_loaded(located):
    """One late event at a cell that is not loaded yet is no sign of a wrong file."""
    header = "id,outgoing,datetime,msisdn,msisdn_counterpart,location_id"
    path = located.calls("i1,True,2016-01-01 10:00:00,alice,bob,NEW", header=header)
    (report,) = located.load(path)
    assert (report.loaded, report.unknown_cells) == (1, 1)


@pytest.mark.parametrize("with_cells", [True, False])
def test_swapped_columns_bring_no_number_into_the_lake(deployment, with_cells):
    """If the columns of cells and counterparts are swapped, the delivery is refused, and no raw number stays behind."""
    if with_cells:
        cells.load(deployment.lake, deployment.file(CELLS, "cells.csv"))
    path = _calls(deployment, lambda n: f"C{n % 20}", header=SWAPPED)
    with pytest.raises(IngestError, match=r"calls.csv: in 30 of 30 rows the cell looks like the number of a "):
        deployment.load(path)
    assert deployment.rows() == []
    assert "98412345" not in _texts_in_lake(deployment.lake)


@pytest.mark.parametrize("insist", [False, True])
def test_a_person_in_the_column_of_cells_is_left_empty(located, insist):
    """A few rows that name a person of the delivery as their cell are loaded without a cell, even if one insists."""
    path = _calls(located, lambda n: "9841234507" if n == 3 else "C1")
    (report,) = located.load(path, insist=insist)
    assert report.warnings == ("calls.csv: in 1 rows the cell was a person's number, and is left empty.",)
    assert sorted(located.rows("location_id"), key=str) == [("C1",)] * 29 + [(None,)]
    assert "98412345" not in _texts_in_lake(located.lake)


def test_cells_that_are_long_numbers_are_cells(deployment):
    """A network whose cells are long numbers is loaded as any other; before its cells are, one has to insist."""
    path = _calls(deployment, lambda n: f"42901{n:08}")
    with pytest.raises(IngestError, match="If these are cells, load the cells first, or say --insist"):
        deployment.load(path)
    numbered = "id,version,longitude,latitude\n" + "".join(f"42901{n:08},0,85,27\n" for n in range(28))
    cells.load(deployment.lake, deployment.file(numbered, "cells.csv"))
    (report,) = deployment.load(path)
    assert (report.loaded, report.unknown_cells) == (30, 2)
    assert len({cell for (cell,) in deployment.rows("location_id")}) == 30


def test_identical_rows_are_left_out_or_kept_and_always_told(located):
    """Rows identical in all columns are one, with their count in a note; a delivery may keep them."""
    lines = ["2016-01-01 10:00,alice,C1"] * 3 + ["2016-01-01 10:01,alice,C1"]
    path = located.calls(*lines, header="datetime,msisdn,location_id")
    (report,) = located.load(path)
    assert (report.loaded, report.duplicates) == (2, 2)
    assert report.warnings == (
        "2 calls of 2016-01-01 are identical to others in all columns and are left out; --keep-duplicates loads them.",
    )
    (report,) = located.load(path, keep_duplicates=True)
    assert (report.state, report.loaded, report.duplicates, report.warnings) == ("ingested", 4, 0, ())
    assert located.load(path, keep_duplicates=True)[0].state == "already in"


def test_decimal_commas_are_read_where_semicolons_part_columns(deployment):
    """Durations of a file of semicolons may have decimal commas."""
    path = deployment.calls("2016-01-01 10:00:00;alice;62,5", header="datetime;msisdn;duration")
    deployment.load(path)
    assert deployment.rows("duration") == [(62.5,)]
