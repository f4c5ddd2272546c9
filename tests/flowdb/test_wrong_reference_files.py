"""Files that are not the list that they are said to be, which are refused before anything is stored."""

import pytest

from flowdb.lake import LakeError
from flowdb.reference import cells, geography, sites

CELLS = "id,version,site_id,msc,longitude,latitude\nc1,0,s1,m,30,-19\nc2,0,s1,m,30,-19\n"
SITES = "id,version,structure_type,is_cow,longitude,latitude\ns1,0,mast,no,30,-19\n"


@pytest.mark.parametrize(
    ("module", "table", "wrong", "sentence"),
    [
        (cells, "cells", SITES, "looks like sites, not cells: it has structure_type, is_cow."),
        (sites, "sites", CELLS, "looks like cells, not sites: it has site_id, msc."),
    ],
)
def test_a_list_of_another_kind_is_refused(lake, write, module, table, wrong, sentence):
    """Sites are not loaded as cells, nor cells as sites, unless somebody insists; what was loaded stays."""
    right = CELLS if table == "cells" else SITES
    module.load(lake, write("right.csv", right))
    before = lake.reference(table).to_pylist()
    with pytest.raises(LakeError) as refused:
        module.load(lake, write("wrong.csv", wrong))
    assert str(refused.value) == f"wrong.csv {sentence} If it is {table} all the same, say --insist."
    assert lake.reference(table).to_pylist() == before
    assert module.load(lake, write("wrong.csv", wrong), insist=True).rows > 0


def test_a_load_that_keeps_no_id_is_refused(lake, write):
    """If all ids of a table would change at once, it is another kind of list; insisting loads it."""
    plain = "id,version,longitude,latitude\n{},0,30,-19\n"
    cells.load(lake, write("cells.csv", plain.format("c1")))
    with pytest.raises(LakeError, match=r"^None of the 1 cells loaded so far is in this file: .* say --insist"):
        cells.load(lake, write("sites.csv", plain.format("s1")))
    assert lake.reference("cells")["id"].to_pylist() == ["c1"]
    cells.load(lake, write("sites.csv", plain.format("s1")), insist=True)
    assert lake.reference("cells")["id"].to_pylist() == ["s1"]


def test_a_level_that_keeps_no_code_is_refused(lake, squares):
    """Boundaries of another level do not replace a level by a slip of --unit."""
    geography.load(lake, squares("provinces.geojson", ("P1", 0, 0)), unit="admin1", code="pcode")
    districts = squares("districts.geojson", ("D1", 0, 0), ("D2", 1, 0))
    with pytest.raises(LakeError, match="None of the 1 codes of admin1 loaded so far is in this file"):
        geography.load(lake, districts, unit="admin1", code="pcode")
    assert geography.load(lake, districts, unit="admin1", code="pcode", insist=True).rows == 2


@pytest.mark.parametrize("unit", ["amdin3", "admn3", "adimn3"])
def test_a_misspelt_level_is_asked_about(lake, squares, unit):
    """A new level named almost like a known one is refused with that one; insisting makes it."""
    file = squares("districts.geojson", ("D1", 0, 0))
    with pytest.raises(LakeError, match=f"There is no level '{unit}' yet, and it reads like admin3: write --unit"):
        geography.load(lake, file, unit=unit, code="pcode")
    assert lake.reference("geography").num_rows == 0
    assert geography.load(lake, file, unit=unit, code="pcode", insist=True).rows == 1


def test_levels_of_other_names_are_made(lake, squares):
    """A deeper level, and one of another name, are made at once."""
    for unit in ("admin4", "province", "health_zone"):
        assert geography.load(lake, squares("u.geojson", ("D1", 0, 0)), unit=unit, code="pcode").rows == 1
