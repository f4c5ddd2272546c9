"""Places and the cells that lie in them are read as one, whenever they are replaced."""

import threading

import pyarrow as pa
import pytest

from flowdb.lake import TOGETHER, Lake, LakeError, arrow_schema, directory
from flowdb.reference import cells, settling
from flowdb.tables import REFERENCE

EMPTY = {name: arrow_schema(REFERENCE[name].columns).empty_table() for name in TOGETHER}


@pytest.fixture
def lake(tmp_path):
    """A lake whose places were settled once."""
    lake = Lake.create(tmp_path / "lake", "UTC")
    lake.replace_together(EMPTY)
    return lake


def test_a_reader_never_sees_half_of_what_is_replaced(lake):
    """While places are replaced again and again, every snapshot holds tables of one and the same settling."""
    ended = threading.Event()
    mixed = []

    def read():
        while not ended.is_set():
            files = lake.snapshot().reference
            mixed.extend([files] if len({files[name].version for name in TOGETHER}) > 1 else [])

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(10):
        lake.replace_together(EMPTY)
    ended.set()
    reader.join()

    assert mixed == []


def test_a_replacement_that_was_cut_off_is_told(lake, monkeypatch):
    """Where a load was killed between the tables, a reader gets a sentence instead of a wrong answer."""
    monkeypatch.setattr(directory, "_PATIENCE", 0.2)
    lake.replace_reference("places", EMPTY["places"], None, "set-other")

    with pytest.raises(LakeError, match="half replaced"):
        lake.snapshot()

    lake.replace_together(EMPTY)
    assert isinstance(lake.reference("places"), pa.Table)
    assert lake.snapshot().reference["places"]


def test_more_places_than_questions_can_number_are_refused(lake, tmp_path, monkeypatch):
    """A level with more places than fit beside a time in one integer is refused, not miscounted."""
    monkeypatch.setattr(settling, "MOST_PLACES", 1)
    file = tmp_path / "cells.csv"
    file.write_text("id,version,longitude,latitude\na,0,80,26\nb,0,81,26\n")

    with pytest.raises(LakeError, match="lon-lat would have 2 places"):
        cells.load(lake, file)
