"""A flood: the unit that is struck, the people who leave it, their destinations and returns."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowsynth.country import Country
from flowsynth.gravity import draw, gravity
from flowsynth.network import NEVER, Network
from flowsynth.parameters import Parameters, SynthesisError
from flowsynth.people import People
from flowsynth.streams import Purpose, stream

Ints = NDArray[np.int32]

_FRIENDS_TRIED = 8
_CITIES = 12


@dataclass(frozen=True)
class Displacement:
    """The effect of the crisis on each subscriber; days count from 0, `NEVER` is a day that never comes.

    `struck` marks the flooded sites; `left` and `returned` are days; `refuge` is the site of refuge.
    """

    unit: str
    day: int
    struck: NDArray[np.bool_]
    left: Ints
    returned: Ints
    refuge: Ints


def struck_unit(parameters: Parameters, country: Country, network: Network) -> str | None:
    """Code of the admin2 unit that the crisis strikes, None without a crisis."""
    if parameters.crisis is None:
        return None
    codes = sorted({unit.admin2pcod for unit in country.units})
    if parameters.crisis.unit is not None:
        if parameters.crisis.unit not in codes:
            raise SynthesisError(
                f"crisis.unit {parameters.crisis.unit!r} is no admin2 unit of this country; "
                f"name one of {', '.join(codes)}."
            )
        return parameters.crisis.unit
    site_unit = np.array([unit.admin2pcod for unit in country.units])[network.unit]
    people = {code: float(network.people[site_unit == code].sum()) for code in codes}
    capital = site_unit[int(np.argmax(np.where(network.town == 0, network.people, -1)))]
    # A unit with about a twelfth of the population: visible on a map, and the other units can absorb its people.
    return min((c for c in codes if c[:3] != capital[:3]), key=lambda code: abs(people[code] - 1 / 12))


def make_displacement(
    parameters: Parameters, country: Country, network: Network, people: People
) -> Displacement | None:
    """Decide for every household of the struck unit whether and when it leaves, and for where."""
    code = struck_unit(parameters, country, network)
    if code is None or parameters.crisis is None:
        return None
    crisis, day = parameters.crisis, parameters.crisis.day - 1
    random = stream(parameters.seed, Purpose.CRISIS)
    struck = np.array([unit.admin2pcod == code for unit in country.units])[network.unit]
    households = int(people.household[-1]) + 1
    leaves = random.random(households) < crisis.leaving
    # Most flee on the first day, the others within three more.
    delay = np.searchsorted([0.6, 0.85, 0.95], random.random(households))
    comes_back = random.random(households) < crisis.returning
    stay = 3 + random.geometric(0.3, households)
    refuge = _refuges(network, people, struck, random)
    affected = struck[people.home] & leaves[people.household]
    left = np.where(affected, day + delay[people.household], NEVER)
    returned = np.where(affected & comes_back[people.household], left + stay[people.household], NEVER)
    return Displacement(code, day, struck, left.astype(np.int32), returned.astype(np.int32), refuge)


def _refuges(network: Network, people: People, struck: NDArray[np.bool_], random: np.random.Generator) -> Ints:
    """The refuge of each subscriber: with friends outside for most households, otherwise in a nearby city."""
    safe = np.where(struck, 0.0, network.people)
    cities = safe * ((network.town >= 0) & (network.town < _CITIES))
    if not cities.any():
        cities = safe
    refuge = draw(gravity(cities, network.distance(), 30.0, anywhere=0.01), people.home, random)
    degree = np.diff(people.first)
    hosted = np.zeros(len(people), dtype=bool)
    for _ in range(_FRIENDS_TRIED):
        friend = people.known[people.first[:-1] + (random.random(len(people)) * degree).astype(np.int64)]
        welcome = ~hosted & ~struck[people.home[friend]]
        refuge[welcome] = people.home[friend[welcome]]
        hosted |= welcome
    # A household flees together, to the refuge of its first member.
    begins = np.searchsorted(people.household, np.arange(int(people.household[-1]) + 1))
    return refuge[begins[people.household]]
