"""Reference tables as operators deliver them: delimiters, decimal commas, encodings, names of columns, workbooks."""

import gzip
import zipfile

import pytest

from flowdb.lake import LakeError
from flowdb.reference import cells, sites, tacs

PLAIN = "id,version,longitude,latitude,name\n100,0,30.5,-19.5,Zamb\u00e9zia\n101,0,31.5,-19.5,\n"
EUROPEAN = "id;version;longitude;latitude;name\r\n100;0;30,5;-19,5;Zamb\u00e9zia\r\n101;0;31,5;-19,5;NULL\r\n"


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (PLAIN.encode(), "utf-8"),
        (EUROPEAN.encode("utf-8-sig"), "utf-8"),
        (EUROPEAN.encode("latin-1"), "latin-1"),
        (EUROPEAN.encode("cp1252"), "cp1252"),
        (PLAIN.replace(",", "\t").encode(), "utf-8"),
        (gzip.compress(PLAIN.replace(",", "|").encode()), "utf-8"),
    ],
    ids=["plain", "semicolons", "Latin-1", "Windows", "tabs", "gzip"],
)
def test_one_table_in_every_dialect(lake, tmp_path, content, encoding):
    """Semicolons, decimal commas, tabs, byte order marks, encodings and gzip give the rows that plain CSV gives."""
    file = tmp_path / "cells.csv"
    file.write_bytes(content)
    assert cells.load(lake, file, encoding=encoding).warnings == ()
    rows = lake.reference("cells").select(["id", "version", "longitude", "latitude", "name"]).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("100", 0, 30.5, -19.5, "Zamb\u00e9zia"),
        ("101", 0, 31.5, -19.5, None),
    ]


def test_another_encoding_is_named_with_its_line(lake, tmp_path):
    """Text that is not UTF-8 is refused with its line and the option that reads it."""
    file = tmp_path / "cells.csv"
    file.write_bytes(PLAIN.encode("latin-1"))
    with pytest.raises(LakeError, match=r"^cells.csv, line 2: the text is not UTF-8; .* --encoding latin-1, .* cp1252"):
        cells.load(lake, file)


def test_a_decimal_comma_in_a_file_of_commas_is_no_number(lake, write):
    """Where commas part the columns, "1,234" may be a thousand: it is refused, not guessed."""
    file = write("cells.csv", 'id,version,longitude,latitude\na,0,"30,5",-19\n')
    with pytest.raises(LakeError, match="line 2: longitude '30,5' is not a number"):
        cells.load(lake, file)


def test_a_table_without_versions_has_version_0(lake, write):
    """Cells and sites of which no version was delivered have version 0, with a word."""
    content = "id,longitude,latitude\na,30,-19\nb,31,-19\n"
    for module, table in ((cells, "cells"), (sites, "sites")):
        loaded = module.load(lake, write(f"{table}.csv", content))
        assert loaded.warnings[0] == f"{table}.csv has no column version: 0 is taken."
        assert lake.reference(table)["version"].to_pylist() == [0, 0]


def test_names_that_operators_use_are_proposed(lake, write):
    """Other names of columns are refused with the options that read them, and those options do."""
    file = write("cells.csv", "cell_id,lon,lat\na,30,-19\n")
    with pytest.raises(LakeError, match="try --map id=cell_id --map longitude=lon --map latitude=lat"):
        cells.load(lake, file)
    columns = {"id": "cell_id", "longitude": "lon", "latitude": "lat"}
    assert cells.load(lake, file, columns).rows == 1


def test_a_column_that_looks_like_a_missing_one_is_asked_about(lake, write):
    """A misspelt column is not left out in silence; told so, it is."""
    file = write("cells.csv", "id,longitude,latitude,sit_id\na,30,-19,s\n")
    with pytest.raises(LakeError, match="try --map site_id=sit_id, or leave it out: --map site_id="):
        cells.load(lake, file)
    cells.load(lake, file, {"site_id": ""})
    assert lake.reference("cells")["site_id"].to_pylist() == [None]


def test_a_workbook_is_called_one(lake, tmp_path):
    """A workbook is not "a zip archive: unpack it": it is to be saved as CSV, whatever it is called."""
    for name in ("data.xlsx", "data.csv"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("xl/workbook.xml", "<workbook/>")
        with pytest.raises(LakeError, match=f"^{name} is a workbook of a spreadsheet: save it as CSV"):
            cells.load(lake, tmp_path / name)


def test_of_many_columns_left_out_the_first_are_named(lake, write):
    """A table of many columns that are not loaded is one short note."""
    file = write("tacs.csv", ",".join(["id", *(f"band_{n}" for n in range(39))]) + "\n1" + ",x" * 39 + "\n")
    (note,) = tacs.load(lake, file).warnings
    assert note.endswith("band_6, band_7 and 31 more.")
