"""Loading of boundaries."""

import difflib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely
import shapely.errors
from shapely import MultiPolygon

from flowdb.lake import Lake, LakeError
from flowdb.reference.errors import DeliveryError
from flowdb.reference.features import Features, as_text, in_wgs84, polygons_of, read_features
from flowdb.reference.replacement import Loaded, changing, refuse_other_ids
from flowdb.reference.settling import settle_locked
from flowdb.reference.values import Encoding
from flowdb.tables import GRID, LEVELS, RESERVED, is_unit_name
from flowkit_base.errors import first_line

_ALIKE = 0.75


def load(
    lake: Lake,
    files: Path | Iterable[Path],
    *,
    unit: str,
    code: str,
    name: str | None = None,
    layer: str | None = None,
    encoding: Encoding | None = None,
    insist: bool = False,
) -> Loaded:
    """Load the boundaries of one level, in place of any that the level had.

    `files` are GeoJSON, GeoPackage, Shapefile (also zipped), or CSV with a `wkt` column in WGS84; `code` and `name`
    are their fields; `layer` names one of several layers; `encoding` is that of texts, if a file says it wrongly.
    Features that share a code, within a file or over several, become one unit. Then the unit of each cell is settled
    again. Raises LakeError, naming file, field or feature, if that cannot be done; also, unless `insist`, if the level
    is new and named almost like another one, or if no code of the level stays.
    """
    check_name(unit)
    if unit.startswith(GRID):
        raise LakeError(f"{unit!r} is a name of grids, which flowkit geography grid makes: choose another one.")
    paths = [files] if isinstance(files, Path) else list(files)
    if not paths:
        raise LakeError("No file of boundaries is given.")
    notes: list[str] = []
    parts: dict[str, list[MultiPolygon]] = {}
    names: dict[str, dict[str, None]] = {}
    for path in paths:
        features = read_features(path, layer=layer, encoding=encoding)
        for pcod, label, shape in _labelled(features, code, name):
            parts.setdefault(pcod, []).append(shape)
            names.setdefault(pcod, {}).update({label: None} if label else {})
        notes += features.notes
    notes += _ambiguous_codes(names)
    rows = _units(unit, parts, names)
    with changing(lake):
        if not insist:
            former = lake.reference("geography").select(["unit", "pcod"]).to_pylist()
            _refuse_misspelling(unit, {*LEVELS, *(row["unit"] for row in former)})
            refuse_other_ids(f"codes of {unit}", [row["pcod"] for row in former if row["unit"] == unit], parts)
        return Loaded(rows.num_rows, (*notes, *replace_level(lake, unit, rows)))


def _refuse_misspelling(unit: str, known: set[str]) -> None:
    """Raise LakeError if a new level is named almost like a known one."""
    if unit in known:
        return
    for other in sorted(known):
        # admin4 beside admin3 is another level.
        same_digits = _only(str.isdigit, unit) == _only(str.isdigit, other)
        alike = difflib.SequenceMatcher(None, _only(str.isalpha, unit), _only(str.isalpha, other)).ratio() >= _ALIKE
        if same_digits and alike:
            raise LakeError(
                f"There is no level {unit!r} yet, and it reads like {other}: write --unit {other}, or, if you mean a "
                "new level of this name, say --insist."
            )


def _only(kind: Callable[[str], bool], name: str) -> str:
    return "".join(filter(kind, name))


def _ambiguous_codes(names: dict[str, dict[str, None]]) -> list[str]:
    """The sentence about codes that stand for places of different names, if there are any."""
    ambiguous = {code: list(labels) for code, labels in names.items() if len(labels) > 1}
    if not ambiguous:
        return []
    shown = ", ".join(f"{code} ({', '.join(labels)})" for code, labels in list(ambiguous.items())[:3])
    verb, more = ("code stands", "") if len(ambiguous) == 1 else ("codes stand", ", ..." * (len(ambiguous) > 3))
    return [f"{len(ambiguous)} {verb} for places of different names, which become one unit: {shown}{more}."]


def replace_level(lake: Lake, unit: str, rows: pa.Table) -> tuple[str, ...]:
    """Replace the rows of a level, and settle what follows from them."""
    for name, key in (("cell_mappings", "mapping_table"), ("geom_points", "geom_table")):
        if f"geography.{unit}" in lake.reference(name)[key].to_pylist():
            raise LakeError(f"geography.{unit} is a custom table already: choose another name.")
    former = lake.reference("geography")
    others = former.filter(pa.array(np.asarray(former["unit"]) != unit, pa.bool_()))
    lake.replace_reference("geography", pa.concat_tables([others, rows.cast(others.schema)]))
    return tuple(settle_locked(lake))


def check_name(unit: str) -> None:
    """Raise LakeError if a level cannot be called this."""
    if unit in RESERVED:
        raise LakeError(f"{unit!r} has a meaning of its own and cannot name a level: choose another name.")
    if not is_unit_name(unit):
        raise LakeError(
            f"{unit!r} cannot name a level: use small letters, digits, - and _, 40 at most, such as health_zone."
        )


def _labelled(features: Features, code: str, name: str | None) -> Iterator[tuple[str, str | None, MultiPolygon]]:
    """The code, name and valid WGS84 polygon of each feature."""
    file, fields = features.path.name, features.fields
    for field in (code, *([name] if name else [])):
        if field not in fields:
            raise DeliveryError(f"{file} has no field {field!r}; it has: {', '.join(fields)}.")
    codes = [as_text(v) for v in fields[code]]
    labels: list[str | None] = [as_text(v) or None for v in fields[name]] if name else [None] * len(codes)
    for number, (pcod, geometry) in enumerate(zip(codes, features.shapes, strict=True), 1):
        if not pcod:
            raise DeliveryError(f"{file}: feature {number} has nothing in field {code!r}.")
        if geometry is None or shapely.is_empty(geometry):
            raise DeliveryError(f"{file}: feature {number} ({pcod}) has no shape.")
    for number, (pcod, label, shape) in enumerate(zip(codes, labels, in_wgs84(features), strict=True), 1):
        try:
            # make_valid may leave lines and points beside the polygons; only what has an area can hold a cell.
            parts = polygons_of(shapely.make_valid(shapely.force_2d(shape)))
        except shapely.errors.ShapelyError as error:
            reason = first_line(error)
            raise DeliveryError(f"{file}: feature {number} ({pcod}) has an invalid shape ({reason}).") from None
        if not parts:
            raise DeliveryError(f"{file}: feature {number} ({pcod}) is not a polygon.")
        yield pcod, label, MultiPolygon(parts)


def _units(unit: str, parts: dict[str, list[MultiPolygon]], names: dict[str, dict[str, None]]) -> pa.Table:
    pcods = sorted(parts)
    geoms = []
    for pcod in pcods:
        whole = shapely.make_valid(shapely.union_all(parts[pcod])) if len(parts[pcod]) > 1 else parts[pcod][0]
        geoms.append(MultiPolygon(polygons_of(whole)))
    labels = shapely.point_on_surface(geoms)
    return pa.table(
        {
            "gid": pa.array(range(1, len(pcods) + 1), pa.int32()),
            "unit": [unit] * len(pcods),
            "pcod": pcods,
            "name": pa.array([next(iter(names[p]), None) for p in pcods], pa.string()),
            "geom": pa.array(list(shapely.to_wkb(geoms)), pa.binary()),
            "longitude": shapely.get_x(labels),
            "latitude": shapely.get_y(labels),
        }
    )
