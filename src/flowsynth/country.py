"""An invented country: its coast, its towns, and three levels of units that nest exactly."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import Point, Polygon
from shapely.geometry.base import BaseGeometry

from flowsynth.names import Namer
from flowsynth.streams import Purpose, stream

Floats = NDArray[np.float64]

NAME, CODE = "Felkénia", "FK"
ADMIN1, ADMIN2, ADMIN3 = 4, 14, 60
TOWNS = 40
URBAN_SHARE = 0.6

# Open ocean, so that no real country lies under the invented one.
_CENTRE = (78.0, -11.0)
_KM_PER_DEGREE = (111.32 * np.cos(np.radians(_CENTRE[1])), 110.57)
# Coordinates lie on a grid of 0.00001 degrees (about a metre), so that neighbours share every vertex.
_GRID = 1e-5


@dataclass(frozen=True)
class Unit:
    """An admin3 unit, with the units above it."""

    admin1name: str
    admin1pcod: str
    admin2name: str
    admin2pcod: str
    admin3name: str
    admin3pcod: str
    geometry: BaseGeometry


@dataclass(frozen=True)
class Town:
    """A town; `km` is its position in the plane of the country, `share` its share of the population."""

    name: str
    km: tuple[float, float]
    share: float


@dataclass(frozen=True)
class Country:
    """A country: units in the order of their codes, and towns from the largest to the smallest."""

    units: tuple[Unit, ...]
    towns: tuple[Town, ...]


def to_degrees(km: Floats) -> Floats:
    """Turn points of the country's plane (n, 2; km) into longitude and latitude, on the grid."""
    return np.round(np.asarray(km) / _KM_PER_DEGREE + _CENTRE, 5)


def to_km(degrees: Floats) -> Floats:
    """Turn longitude and latitude (n, 2) into points of the country's plane, in km."""
    return (np.asarray(degrees) - _CENTRE) * _KM_PER_DEGREE


def make_country(seed: int) -> Country:
    """Make the country of a seed."""
    random = stream(seed, Purpose.COUNTRY)
    namer = Namer(stream(seed, Purpose.NAMES))
    bend = _Bend(random)
    outline = Polygon(_coast(random))
    places = _town_places(random, outline)
    shares = _rank_size(random)
    cells, points = _unit_cells(random, outline, places, shares)
    geometries = _bent(cells, points, bend)
    towns = tuple(
        Town(namer.town(), (float(x), float(y)), float(share))
        for (x, y), share in zip(bend(places), shares, strict=True)
    )
    return Country(_units(geometries, towns, namer), towns)


def write_boundaries(country: Country, path: Path) -> None:
    """Write one GeoJSON feature an admin3 unit (WGS84), with the names and codes of all its levels."""
    features = [
        {
            "type": "Feature",
            "properties": {
                "admin0name": NAME,
                "admin0pcod": CODE,
                "admin1name": unit.admin1name,
                "admin1pcod": unit.admin1pcod,
                "admin2name": unit.admin2name,
                "admin2pcod": unit.admin2pcod,
                "admin3name": unit.admin3name,
                "admin3pcod": unit.admin3pcod,
            },
            "geometry": json.loads(shapely.to_geojson(unit.geometry)),
        }
        for unit in country.units
    ]
    lines = ",\n".join(json.dumps(feature, ensure_ascii=False, separators=(",", ":")) for feature in features)
    path.write_text(f'{{"type":"FeatureCollection","features":[\n{lines}\n]}}\n', encoding="utf-8")


def _coast(random: np.random.Generator) -> Floats:
    """A long island, round the clock: an ellipse, rougher with every octave, and two bays."""
    angle = np.linspace(0, 2 * np.pi, 1800, endpoint=False)
    waves = np.arange(2, 240)
    size = 0.165 * waves**-1.22 * random.standard_normal(waves.size)
    phase = random.uniform(0, 2 * np.pi, waves.size)
    radius = np.exp((size * np.cos(np.outer(angle, waves) + phase)).sum(axis=1))
    radius /= np.hypot(np.cos(angle) / 215, np.sin(angle) / 125)
    first = random.uniform(0, 2 * np.pi)
    for at, depth, width in ((first, 0.38, 0.20), (first + random.uniform(2, 4), 0.28, 0.13)):
        away = np.angle(np.exp(1j * (angle - at)))
        radius *= 1 - depth * np.exp(-((away / width) ** 2))
    tilt = random.uniform(0.1, 0.6)
    return np.column_stack([np.cos(angle + tilt), np.sin(angle + tilt)]) * radius[:, None]


class _Bend:
    """A smooth, invertible distortion of the plane: straight borders become natural ones and still meet."""

    def __init__(self, random: np.random.Generator) -> None:
        lengths = np.repeat([170.0, 80.0, 40.0, 20.0, 10.0], 3)
        angle = random.uniform(0, 2 * np.pi, lengths.size)
        along = np.column_stack([np.cos(angle), np.sin(angle)])
        self.wave = along / lengths[:, None] * 2 * np.pi
        # Each wave shears across its own direction, which cannot fold the plane.
        self.shift = along[:, ::-1] * (-1, 1) * lengths[:, None] * 0.027
        self.phase = random.uniform(0, 2 * np.pi, lengths.size)

    def __call__(self, km: Floats) -> Floats:
        return km + np.sin(km @ self.wave.T + self.phase) @ self.shift


def _inside(random: np.random.Generator, area: BaseGeometry, count: int) -> Floats:
    """Points drawn uniformly in an area (count, 2)."""
    low_x, low_y, high_x, high_y = area.bounds
    shapely.prepare(area)
    inside = np.empty((0, 2))
    while len(inside) < count:
        points = random.uniform((low_x, low_y), (high_x, high_y), (4 * count, 2))
        inside = np.concatenate([inside, points[shapely.contains_xy(area, points[:, 0], points[:, 1])]])
    return inside[:count]


def _town_places(random: np.random.Generator, outline: Polygon) -> Floats:
    """Where the towns are: the capital near the coast, the larger ones far from each other."""
    candidates = _inside(random, outline.buffer(-9), 3000)
    shore = shapely.distance(shapely.points(candidates), outline.exterior)
    middle = np.hypot(*(candidates - candidates.mean(axis=0)).T)
    capital = candidates[np.argmin(np.abs(shore - 16) + 0.15 * middle)]
    places = [capital]
    # Candidates near the sea come first more often: most towns of an island are near the coast.
    order = np.argsort(random.random(len(candidates)) * np.where(shore < 25, 0.6, 1.0), kind="stable")
    apart = 110.0
    while len(places) < TOWNS:
        for index in order:
            distance = np.hypot(*(np.array(places) - candidates[index]).T)
            if distance.min() > max(apart / len(places) ** 0.6, 7):
                places.append(candidates[index])
                break
        else:
            apart *= 0.8
    return np.array(places)


def _rank_size(random: np.random.Generator) -> Floats:
    """Part of the population in each town, by Zipf's law with some noise, the largest first."""
    sizes = np.arange(1, TOWNS + 1.0) ** -0.95 * np.exp(0.12 * random.standard_normal(TOWNS))
    sizes = np.sort(sizes)[::-1]
    return sizes / sizes.sum() * URBAN_SHARE


def _unit_cells(
    random: np.random.Generator, outline: Polygon, places: Floats, shares: Floats
) -> tuple[list[BaseGeometry], Floats]:
    """Polygons of the admin3 units before distortion, smaller near towns, and a point in each."""
    near = round(ADMIN3 * 0.5)
    towns = random.choice(TOWNS, 20 * near, p=shares**0.6 / (shares**0.6).sum())
    scattered = places[towns] + 24 * random.standard_normal((towns.size, 2))
    scattered = scattered[shapely.contains_xy(outline, scattered[:, 0], scattered[:, 1])][:near]
    points = np.concatenate([scattered, _inside(random, outline, ADMIN3 - len(scattered))])
    for _ in range(4):
        cells = _voronoi(points, outline)
        points = shapely.get_coordinates(shapely.centroid(cells))
    cells = _voronoi(points, outline)
    # A bay may cut a polygon in two: the larger part stays the unit, and its point lies well inside.
    largest = [max(shapely.get_parts(cell), key=lambda part: part.area) for cell in cells]
    return cells, shapely.get_coordinates(shapely.point_on_surface(largest))


def _voronoi(points: Floats, outline: Polygon) -> list[BaseGeometry]:
    diagram = shapely.voronoi_polygons(shapely.MultiPoint(points), extend_to=outline, ordered=True)
    return list(shapely.intersection(shapely.get_parts(diagram), outline))


def _bent(cells: list[BaseGeometry], points: Floats, bend: _Bend) -> Sequence[BaseGeometry]:
    """Distort the borders and divide the country along them; returns a polygon (degrees) for each point."""
    lines = shapely.union_all([shapely.boundary(cell) for cell in cells])
    edges = shapely.get_parts(shapely.line_merge(lines))
    bent = [
        shapely.LineString(to_degrees(bend(shapely.get_coordinates(edge)))) for edge in shapely.segmentize(edges, 1.5)
    ]
    noded = shapely.union_all(bent, grid_size=_GRID)
    faces = list(shapely.get_parts(shapely.polygonize(shapely.get_parts(noded))))
    owner = np.full(len(faces), -1)
    for number, point in enumerate(map(Point, to_degrees(bend(points)))):
        owner[[face.contains(point) for face in faces]] = number
    # A face without a point was cut off by a bay: it is merged into the neighbour with the longest shared border.
    loose = np.flatnonzero(owner < 0).tolist()
    for face in sorted(loose, key=lambda n: -faces[n].area):
        shared = [faces[face].intersection(other).length if owner[n] >= 0 else 0.0 for n, other in enumerate(faces)]
        if max(shared) > 0:
            owner[face] = owner[int(np.argmax(shared))]
    return [
        shapely.union_all([face for face, at in zip(faces, owner, strict=True) if at == number])
        for number in range(len(points))
    ]


def _units(geometries: Sequence[BaseGeometry], towns: tuple[Town, ...], namer: Namer) -> tuple[Unit, ...]:
    """Groups the admin3 units into connected admin2 and admin1 units, and names and numbers them all."""
    admin2 = _grouped(geometries, ADMIN2)
    wholes = [
        shapely.union_all([g for g, at in zip(geometries, admin2, strict=True) if at == n]) for n in range(ADMIN2)
    ]
    admin1 = _grouped(wholes, ADMIN1)
    provinces = [shapely.union_all([g for g, at in zip(wholes, admin1, strict=True) if at == n]) for n in range(ADMIN1)]
    largest_town = _largest_towns(geometries, towns)
    units: list[Unit] = []
    for first, province in enumerate(_north_to_south(provinces), start=1):
        name1, code1 = namer.region(), f"{CODE}{first}"
        districts = [d for d in range(ADMIN2) if admin1[d] == province]
        for second, place in enumerate(_north_to_south([wholes[d] for d in districts]), start=1):
            name2, code2 = namer.region(), f"{code1}{second:02}"
            members = [u for u in range(ADMIN3) if admin2[u] == districts[place]]
            for third, member in enumerate(_north_to_south([geometries[u] for u in members]), start=1):
                unit = members[member]
                name3 = largest_town[unit] or namer.town()
                units.append(
                    Unit(
                        name1,
                        code1,
                        name2,
                        code2,
                        name3,
                        f"{code2}{third:02}",
                        shapely.normalize(geometries[unit]),
                    )
                )
    return tuple(units)


def _north_to_south(geometries: Sequence[BaseGeometry]) -> list[int]:
    return sorted(range(len(geometries)), key=lambda n: -geometries[n].centroid.y)


def _largest_towns(geometries: Sequence[BaseGeometry], towns: tuple[Town, ...]) -> list[str | None]:
    named: list[str | None] = [None] * len(geometries)
    for town in towns:
        point = Point(to_degrees(np.array([town.km]))[0])
        for number, geometry in enumerate(geometries):
            if named[number] is None and geometry.contains(point):
                named[number] = town.name
    return named


def _grouped(geometries: Sequence[BaseGeometry], groups: int) -> list[int]:
    """Group neighbouring polygons into connected groups of about equal size; the group of each."""
    middles = to_km(shapely.get_coordinates(shapely.centroid(geometries)))
    # Neighbours share a part of a border; a shared corner is not enough.
    touching = [
        {n for n, b in enumerate(geometries) if b is not a and a.intersection(b).length > 0} for a in geometries
    ]
    seeds = [int(np.argmax(np.hypot(*middles.T)))]
    while len(seeds) < groups:
        nearest = np.min([np.hypot(*(middles - middles[s]).T) for s in seeds], axis=0)
        seeds.append(int(np.argmax(nearest)))
    owner = [-1] * len(geometries)
    for group, seed in enumerate(seeds):
        owner[seed] = group
    while -1 in owner:
        sizes = [owner.count(group) for group in range(groups)]
        for group in sorted(range(groups), key=lambda g: (sizes[g], g)):
            members = [n for n in range(len(owner)) if owner[n] == group]
            reachable = sorted({n for m in members for n in touching[m] if owner[n] == -1})
            if reachable:
                centre = middles[members].mean(axis=0)
                owner[min(reachable, key=lambda n: float(np.hypot(*(middles[n] - centre))))] = group
                break
    return owner
