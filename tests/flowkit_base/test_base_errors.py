"""Errors of libraries become sentences; defects stay what they are."""

import errno
from pathlib import Path

import duckdb
import pytest
import shapely
import sqlalchemy as sa

from flowkit_base.errors import UserError, library_sentence


def _error_of(work):
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever the library raises is what is tested
        work()
    return caught.value


def test_an_interrupted_engine_is_not_told_as_a_full_disk():
    """Ctrl-C while DuckDB works is an interruption."""
    sentence = library_sentence(duckdb.InterruptException("INTERRUPT Error: Interrupted!"))
    assert "interrupted" in sentence
    assert "disk" not in sentence


def test_a_full_disk_is_named():
    """The one error that is about space says so, and where."""
    assert library_sentence(OSError(errno.ENOSPC, "No space left on device", "/lake/f")) == (
        "/lake/f: the disk is full: make room and run it again."
    )


@pytest.mark.parametrize(
    "work",
    [
        lambda: duckdb.sql("SELEC 1"),
        lambda: shapely.from_wkt("POLYGON ((0 0"),
        lambda: sa.create_engine("sqlite:////no/such/folder/f.db").connect(),
        b"\xe9".decode,
        Path("/no/such/file").read_text,
    ],
    ids=["duckdb", "shapely", "sqlalchemy", "codec", "file"],
)
def test_an_error_of_a_library_is_one_line_that_ends_in_a_full_stop(work):
    """Whatever a library raises, a user reads a sentence of one line."""
    sentence = library_sentence(_error_of(work))
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_defect_has_no_sentence():
    """A mistake of the program keeps its traceback."""
    assert library_sentence(KeyError("x")) is None
    assert library_sentence(TypeError("x")) is None


def test_a_user_error_is_its_own_sentence():
    """What we wrote for the user is printed as it is."""
    assert str(UserError("The file is empty.")) == "The file is empty."
