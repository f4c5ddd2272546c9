"""The operator's network: sites, their cells, and cells that move."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from flowsynth.country import URBAN_SHARE, Country, to_degrees, to_km
from flowsynth.csvfile import write_table
from flowsynth.parameters import Parameters
from flowsynth.streams import Purpose, stream

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

NEVER = np.int32(2**30)  # a day that never comes

_DAILY_CELL_MOVES = 0.002
_MOBILE_MASTS = 0.02


@dataclass(frozen=True)
class Network:
    """Sites and cells; the arrays of sites and those of cells are each in the order of their ids.

    Of sites: `degrees` and `moved_degrees` (n, 2), `unit` (index into the country's units), `town` (index, -1
    in the country), `people` (share of the population), `moves` (day that a mobile mast moves on, from 0, or
    `NEVER`). Of cells: `site`, `moved_site` and `cell_moves`.
    """

    site_ids: tuple[str, ...]
    degrees: Floats
    moved_degrees: Floats
    unit: Ints
    town: Ints
    people: Floats
    mobile: NDArray[np.bool_]
    moves: Ints
    cell_ids: pa.StringArray
    site: Ints
    moved_site: Ints
    cell_moves: Ints

    def distance(self) -> Floats:
        """Kilometres between all sites (n, n)."""
        km = to_km(self.degrees)
        return np.hypot(km[:, None, 0] - km[None, :, 0], km[:, None, 1] - km[None, :, 1])

    def cells_by_site(self, day: int) -> tuple[Ints, Ints, Ints]:
        """Give the cells in the order of their sites on a day; for each site, where they begin and how many."""
        site = np.where(self.cell_moves <= day, self.moved_site, self.site)
        counts = np.bincount(site, minlength=len(self.site_ids)).astype(np.int32)
        return (
            np.argsort(site, kind="stable").astype(np.int32),
            (np.cumsum(counts) - counts).astype(np.int32),
            counts,
        )


def make_network(parameters: Parameters, country: Country) -> Network:
    """Distribute sites by population, at least one in each unit and town, with 2 to 4 cells each."""
    random = stream(parameters.seed, Purpose.NETWORK)
    degrees, unit, town = _site_places(parameters.sites, country, random)
    people = _people(country, town, random)
    order = np.argsort(random.random(len(unit)), kind="stable")  # ids do not depend on the place
    degrees, unit, town, people = degrees[order], unit[order], town[order], people[order]
    crowd = people / people.mean()
    counts = 2 + (random.random(len(unit)) < 0.55 * np.minimum(crowd, 1.5)) + (random.random(len(unit)) < 0.3 * crowd)
    site = np.repeat(np.arange(len(unit)), counts).astype(np.int32)
    site = site[np.argsort(random.random(len(site)), kind="stable")]
    moves = stream(parameters.seed, Purpose.MOVES)
    mobile, site_moves, moved_degrees = _mobile_masts(country, degrees, unit, people, moves)
    moved_site, cell_moves = _cell_moves(degrees, site, counts, mobile, moves)
    return Network(
        site_ids=tuple(f"S{number:04}" for number in range(1, len(unit) + 1)),
        degrees=degrees,
        moved_degrees=moved_degrees,
        unit=unit,
        town=town,
        people=people,
        mobile=mobile,
        moves=site_moves,
        cell_ids=pa.array([f"C{number:05}" for number in range(1, len(site) + 1)]),
        site=site,
        moved_site=moved_site,
        cell_moves=cell_moves,
    )


def write_sites(network: Network, country: Country, parameters: Parameters, path: Path) -> None:
    """Write every version of every site that began in or before the period, with FlowKit's column names."""
    random = stream(parameters.seed, Purpose.NETWORK, 1)
    opened = _opening_days(random, len(network.site_ids))
    structures = np.array(["lattice tower", "guyed mast", "rooftop", "monopole"])
    structure = structures[random.integers(0, len(structures), len(opened))]
    rows: list[dict[str, object]] = []
    numbers: dict[str, int] = {}
    for index, site in enumerate(network.site_ids):
        area = (
            country.towns[network.town[index]].name
            if network.town[index] >= 0
            else country.units[network.unit[index]].admin3name
        )
        numbers[area] = numbers.get(area, 0) + 1
        for version, (first, last, at) in enumerate(
            _versions(parameters, int(opened[index]), int(network.moves[index]))
        ):
            place = network.moved_degrees[index] if at else network.degrees[index]
            rows.append(
                {
                    "id": site,
                    "version": version,
                    "name": f"{area} {numbers[area]}",
                    "type": "macro" if network.town[index] < 0 else "urban",
                    "status": "active",
                    "structure_type": "trailer" if network.mobile[index] else str(structure[index]),
                    "is_cow": bool(network.mobile[index]),
                    "longitude": float(place[0]),
                    "latitude": float(place[1]),
                    "date_of_first_service": first,
                    "date_of_last_service": last,
                }
            )
    write_table(_table(rows), path)


def write_cells(network: Network, parameters: Parameters, path: Path) -> None:
    """Write every version of every cell that began in or before the period, with FlowKit's column names."""
    random = stream(parameters.seed, Purpose.NETWORK, 2)
    opened = _opening_days(random, len(network.site))
    kinds = np.array(["GSM", "UMTS", "LTE"])
    kind = kinds[np.searchsorted([0.25, 0.65], random.random(len(network.site)))]
    # Sectors of a mast have different azimuths.
    rank = np.zeros(len(network.site), dtype=np.int64)
    seen: dict[int, int] = {}
    for cell, site in enumerate(network.site.tolist()):
        rank[cell] = seen[site] = seen.get(site, -1) + 1
    rows: list[dict[str, object]] = []
    for index, cell in enumerate(network.cell_ids.to_pylist()):
        own, mast = int(network.cell_moves[index]), int(network.moves[network.site[index]])
        for version, (first, last, moved) in enumerate(_versions(parameters, int(opened[index]), min(own, mast))):
            site = network.moved_site[index] if moved and own < mast else network.site[index]
            place = network.moved_degrees[site] if moved and mast < own else network.degrees[site]
            rows.append(
                {
                    "id": cell,
                    "version": version,
                    "site_id": network.site_ids[site],
                    "name": f"{network.site_ids[site]} sector {rank[index] + 1}",
                    "type": str(kind[index]),
                    "status": "active",
                    "height": 30,
                    "azimuth": int(rank[index] * 120 + site * 7) % 360,
                    "longitude": float(place[0]),
                    "latitude": float(place[1]),
                    "date_of_first_service": first,
                    "date_of_last_service": last,
                }
            )
    write_table(_table(rows), path)


def _site_places(count: int, country: Country, random: np.random.Generator) -> tuple[Floats, Ints, Ints]:
    """Where the sites are (degrees, on the grid), in which unit, and of which town."""
    # Away from borders, a rounded coordinate cannot change its unit.
    areas = [unit.geometry.buffer(-0.004) for unit in country.units]
    for area in areas:
        shapely.prepare(area)
    centres = np.array([town.km for town in country.towns])
    shares = np.array([town.share for town in country.towns])
    places: list[tuple[float, float, int, int]] = []

    def put(km: Floats, town: int, inside: int | None = None) -> bool:
        point = to_degrees(km[None])[0]
        units = range(len(areas)) if inside is None else (inside,)
        for unit in units:
            if shapely.contains_xy(areas[unit], point[0], point[1]):
                places.append((float(point[0]), float(point[1]), unit, town))
                return True
        return False

    for unit, area in enumerate(areas):
        low, high = to_km(np.array(area.bounds).reshape(2, 2))
        while not put(random.uniform(low, high), -1, unit):
            pass
    free = count - len(places) - len(centres)
    weight = shares**0.85 / (shares**0.85).sum()
    towns = np.concatenate([np.arange(len(centres)), random.choice(len(centres), round(free * 0.65), p=weight)])
    for town in towns.tolist():
        spread = 1.2 + 14 * shares[town] ** 0.5
        while not put(centres[town] + spread * random.standard_normal(2), town):
            spread *= 1.02  # a town by the sea: try farther away
    low, high = to_km(shapely.total_bounds(areas).reshape(2, 2))
    while len(places) < count:
        put(random.uniform(low, high), -1)
    table = np.array(places)
    return table[:, :2], table[:, 2].astype(np.int32), table[:, 3].astype(np.int32)


def _people(country: Country, town: Ints, random: np.random.Generator) -> Floats:
    """Part of the population around each site: a town's is split among its sites."""
    weight = np.exp(0.5 * random.standard_normal(len(town)))
    share = np.empty(len(town))
    for number in range(-1, len(country.towns)):
        here = town == number
        total = 1 - URBAN_SHARE if number < 0 else country.towns[number].share
        share[here] = weight[here] / weight[here].sum() * total
    return share


def _mobile_masts(
    country: Country, degrees: Floats, unit: Ints, people: Floats, random: np.random.Generator
) -> tuple[NDArray[np.bool_], Ints, Floats]:
    """Which sites are mobile masts; on one day such a mast moves a few kilometres within its unit."""
    count = max(1, round(_MOBILE_MASTS * len(unit)))
    chosen = random.choice(np.flatnonzero(people < np.median(people)), count, replace=False)
    mobile = np.zeros(len(unit), dtype=bool)
    mobile[chosen] = True
    moves = np.full(len(unit), NEVER)
    moves[chosen] = random.integers(1, 14, count)
    moved = degrees.copy()
    for site in chosen.tolist():
        area = country.units[unit[site]].geometry.buffer(-0.002)
        while True:
            moved[site] = to_degrees(to_km(degrees[site][None]) + 4 * random.standard_normal((1, 2)))[0]
            if area.contains(shapely.Point(moved[site])):
                break
    return mobile, moves.astype(np.int32), moved


def _cell_moves(
    degrees: Floats,
    site: Ints,
    counts: NDArray[np.int64],
    mobile: NDArray[np.bool_],
    random: np.random.Generator,
) -> tuple[Ints, Ints]:
    """When cells move to a nearby mast, and to which one; every mast keeps at least one cell."""
    km = to_km(degrees)
    left = counts.copy()
    moved_site = site.copy()
    moves = np.full(len(site), NEVER)
    day = random.geometric(_DAILY_CELL_MOVES, len(site))
    for cell in range(len(site)):
        here = int(site[cell])
        if mobile[here] or left[here] < 3:
            continue
        away = np.hypot(*(km - km[here]).T)
        away[mobile] = np.inf
        away[here] = np.inf
        left[here] -= 1
        moved_site[cell] = int(np.argmin(away))
        moves[cell] = day[cell]
    return moved_site, moves.astype(np.int32)


def _opening_days(random: np.random.Generator, count: int) -> NDArray[np.int64]:
    """Days before the period that something came into service."""
    return random.integers(60, 3000, count)


def _versions(parameters: Parameters, opened: int, moves: int) -> list[tuple[date, date | None, bool]]:
    """First and last day of service (inclusive) of each version known by the end, and whether it moved."""
    first = parameters.start - timedelta(days=opened)
    if moves >= parameters.days:
        return [(first, None, False)]
    return [(first, parameters.date(moves - 1), False), (parameters.date(moves), None, True)]


def _table(rows: list[dict[str, object]]) -> pa.Table:
    table = pa.Table.from_pylist(rows)
    # Without moves no service ends, and a column of nulls alone would have no type.
    ends = table.schema.get_field_index("date_of_last_service")
    return table.set_column(ends, "date_of_last_service", table.column(ends).cast(pa.date32()))
