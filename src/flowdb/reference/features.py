"""Delivered files of features: GeoJSON, GeoPackage, Shapefile and CSV with well-known text."""

import warnings as python_warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.errors
import pyogrio.raw
import shapely
import shapely.errors
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from shapely import Polygon

from flowdb.reference.delivered_csv import read_csv
from flowdb.reference.errors import DeliveryError
from flowdb.reference.values import ENCODINGS, Encoding, without_blanks
from flowkit_base.errors import first_line

WGS84 = CRS.from_epsg(4326)

_SHOWN = 5


@dataclass(frozen=True)
class Features:
    """A file's features: their fields by name, their shapes (None for none), and sentences that someone should read."""

    path: Path
    fields: dict[str, Any]
    shapes: Any
    crs: str | None
    """The coordinate system; None if the file names none."""
    notes: list[str]


def read_features(path: Path, *, layer: str | None = None, encoding: Encoding | None = None) -> Features:
    """Read a file's features, at least one; raises DeliveryError if it cannot be read.

    `layer` names one of several; `encoding` that of texts, if the file does not say it or says it wrongly.
    """
    if not path.exists():
        raise DeliveryError(f"{path} does not exist.")
    if path.suffix.lower() == ".csv":
        features = _csv_features(path, encoding or "utf-8")
    else:
        notes: list[str] = []
        with _library_errors(path, encoding, notes):
            features = _vector_features(path, _layer(path, layer), encoding, notes)
    if not len(features.shapes):
        raise DeliveryError(f"{path.name} holds no feature.")
    return features


@contextmanager
def _library_errors(path: Path, encoding: str | None, notes: list[str]) -> Iterator[None]:
    """Turn what the reader of boundaries raises into a DeliveryError, and what it warns of into sentences."""
    with python_warnings.catch_warnings(record=True) as caught:
        python_warnings.simplefilter("always")
        try:
            yield
        except UnicodeDecodeError as error:
            # A Shapefile's .cpg may name another encoding than its .dbf has.
            choices = ", ".join(e for e in reversed(ENCODINGS) if e != (encoding or "utf-8"))
            raise DeliveryError(
                f"{path.name} has text that is not {encoding or error.encoding}: name its encoding with --encoding "
                f"({choices})."
            ) from None
        except (
            pyogrio.errors.DataSourceError,
            pyogrio.errors.DataLayerError,
            pyogrio.errors.GeometryError,
            pyogrio.errors.FieldError,
            pyogrio.errors.FeatureError,
            ValueError,
            OSError,
            # What pyogrio raises for layers without any feature or field that it can read.
            IndexError,
        ) as error:
            raise DeliveryError(f"{path.name} cannot be read as boundaries: {first_line(error)}.") from None
    for message in dict.fromkeys(first_line(w.message) for w in caught if isinstance(w.message, Warning)):
        # Rings that are not closed are reported by feature.
        if "ring" not in message.lower():
            notes.append(f"{path.name}: {message}.")


def _layer(path: Path, name: str | None) -> str | None:
    """The layer to read; raises DeliveryError if that is not clear."""
    layers = [str(layer) for layer, kind in pyogrio.list_layers(path) if kind is not None]
    if name is not None and name not in layers:
        raise DeliveryError(f"{path.name} has no layer {name!r}; it has: {', '.join(layers)}.")
    if name is None and len(layers) > 1:
        raise DeliveryError(f"{path.name} has {len(layers)} layers, {', '.join(layers)}: name one with --layer.")
    return name or (layers[0] if layers else None)


def _vector_features(path: Path, layer: str | None, encoding: str | None, notes: list[str]) -> Features:
    meta, _, wkb, values = pyogrio.raw.read(path, layer=layer, encoding=encoding)
    if wkb is None:
        raise DeliveryError(f"{path.name} holds no shapes.")
    fields = dict(zip(meta["fields"], values, strict=True))
    return Features(path, fields, _shapes(path, wkb, notes), meta["crs"], notes)


def _shapes(path: Path, wkb: Any, notes: list[str]) -> Any:
    """Shapes of well-known binary; rings that are not closed are closed, with a word."""
    try:
        return shapely.from_wkb(wkb)
    except shapely.errors.ShapelyError:
        shapes = shapely.from_wkb(wkb, on_invalid="ignore")
    closed: list[int] = []
    for number, binary in enumerate(wkb):
        if shapes[number] is not None or binary is None:
            continue
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore")
            shapes[number] = shapely.from_wkb(binary, on_invalid="fix")
        if shapes[number] is None:
            raise DeliveryError(f"{path.name}: feature {number + 1} has a shape that cannot be read.")
        closed.append(number + 1)
    which = ", ".join(map(str, closed[:_SHOWN])) + ", ..." * (len(closed) > _SHOWN)
    notes.append(f"{path.name}: rings that were not closed have been closed, of feature {which}.")
    return shapes


def _csv_features(path: Path, encoding: Encoding) -> Features:
    content = read_csv(path, encoding)
    if "wkt" not in content.header:
        raise DeliveryError(f"{path.name} has no field 'wkt'; it has: {', '.join(content.header)}.")
    fields = {h: [row[at] for _, row in content.rows] for at, h in enumerate(content.header)}
    shapes = shapely.from_wkt(fields.pop("wkt"), on_invalid="ignore")
    for (line, _), shape in zip(content.rows, shapes, strict=True):
        if shape is None:
            raise DeliveryError(f"{path.name}, line {line}: field 'wkt' is not well-known text.")
    return Features(path, fields, shapes, "EPSG:4326", [])


def in_wgs84(features: Features) -> Any:
    """The shapes in longitude and latitude; raises DeliveryError if that cannot be."""
    path, shapes, crs = features.path, np.asarray(features.shapes, dtype=object), features.crs
    if crs is None:
        if not _within_degrees(shapes):
            raise DeliveryError(
                f"{path.name} does not say its coordinate system and its numbers are no degrees: "
                "give the .prj file beside it, or save it as GeoJSON or GeoPackage."
            )
        features.notes.append(f"{path.name} does not say its coordinate system: longitude and latitude are assumed.")
        return shapes
    try:
        if CRS.from_user_input(crs) != WGS84:
            change = Transformer.from_crs(crs, WGS84, always_xy=True)
            shapes = shapely.transform(shapes, lambda xy: np.column_stack(change.transform(xy[:, 0], xy[:, 1])))
    except (ProjError, shapely.errors.ShapelyError) as error:
        raise DeliveryError(
            f"{path.name} cannot be transformed from its coordinate system ({first_line(error)}): save it in WGS84."
        ) from None
    if not _within_degrees(shapes):
        raise DeliveryError(f"{path.name} holds points that are no longitude and latitude on earth.")
    return shapes


def _within_degrees(shapes: Any) -> bool:
    west, south, east, north = shapely.total_bounds(shapes)
    return bool(west >= -180 and east <= 180 and south >= -90 and north <= 90)


def polygons_of(geometry: shapely.Geometry) -> list[Polygon]:
    """The polygons that a geometry is made of; lines and points are left out."""
    parts = shapely.get_parts(geometry)
    # Multipolygons within a collection take one more unpacking.
    parts = shapely.get_parts(parts)
    return [p for p in parts if isinstance(p, Polygon) and not p.is_empty]


def as_text(value: Any) -> str:
    """A field's value as text; empty where there is none."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    # A numeric field read as float says 524.0 for the code 524.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return without_blanks(str(value))
