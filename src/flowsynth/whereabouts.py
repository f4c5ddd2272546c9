"""The sites of every subscriber over one day."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowsynth.flood import Displacement
from flowsynth.gravity import draw
from flowsynth.people import People
from flowsynth.streams import Purpose, stream
from flowsynth.world import World

Ints = NDArray[np.int32]

_LONGEST_TRIP = 6
_TRIP_STARTS = 0.011
_WEEKEND_OUTINGS = 0.3
_WEEKDAY_OUTINGS = 0.1
_DAYS_OFF = 0.06
_END = 86_400


@dataclass(frozen=True)
class Whereabouts:
    """Sites of each subscriber on a day: `first` until `leave`, `middle` until `back` (seconds), then `last`."""

    first: Ints
    middle: Ints
    last: Ints
    leave: Ints
    back: Ints

    def at(self, who: Ints, seconds: Ints) -> Ints:
        """Site of each of these subscribers at each of these seconds of the day."""
        return np.where(
            seconds < self.leave[who],
            self.first[who],
            np.where(seconds < self.back[who], self.middle[who], self.last[who]),
        )


def make_whereabouts(world: World, day: int) -> Whereabouts:
    """The sites of all subscribers on a day (counted from 0)."""
    parameters, people = world.parameters, world.people
    random = stream(parameters.seed, Purpose.WHEREABOUTS, day)
    count = len(people)
    weekend = parameters.date(day).weekday() >= 5
    middle = people.home.copy() if weekend else people.work.copy()
    middle = np.where(random.random(count) < _DAYS_OFF, people.home, middle)
    idle = middle == people.home
    out = np.flatnonzero(idle & (random.random(count) < (_WEEKEND_OUTINGS if weekend else _WEEKDAY_OUTINGS)))
    middle[out] = draw(world.outings, people.home[out], random)
    leave = people.leave + random.normal(0, 900, count)
    back = people.back + random.normal(0, 2400, count)
    leave[out] = random.uniform(9, 13, len(out)) * 3600
    back[out] = leave[out] + random.uniform(2, 6, len(out)) * 3600
    where = Whereabouts(
        first=people.home.copy(),
        middle=middle.astype(np.int32),
        last=people.home.copy(),
        leave=leave.astype(np.int32),
        back=np.clip(back, leave + 1800, _END).astype(np.int32),
    )
    for ago in range(_LONGEST_TRIP):
        _travel(where, world, day, ago)
    if world.displacement is not None and day >= world.displacement.day:
        _flee(where, day, people, world.displacement, random)
    return where


def _travel(where: Whereabouts, world: World, day: int, ago: int) -> None:
    """Place the travellers who left some days ago and are not back yet."""
    # Trips that began before the first day are drawn too: otherwise nobody would be away at the start.
    people = world.people
    random = stream(world.parameters.seed, Purpose.TRIPS, day - ago + _LONGEST_TRIP)
    who = np.flatnonzero(random.random(len(people)) < _TRIP_STARTS).astype(np.int32)
    target = draw(world.journeys, people.home[who], random)
    nights = np.minimum(random.geometric(0.4, len(who)) - 1, _LONGEST_TRIP - 1)
    hour = (random.uniform(6, 13, len(who)) * 3600).astype(np.int32)
    away = nights >= ago
    who, target, nights, hour = who[away], target[away], nights[away], hour[away]
    over = nights == ago
    where.first[who] = people.home[who] if ago == 0 else target
    where.middle[who] = target
    where.last[who] = np.where(over, people.home[who], target)
    where.leave[who] = hour
    where.back[who] = np.where(over, hour + 5 * 3600, _END)


def _flee(
    where: Whereabouts, day: int, people: People, displacement: Displacement, random: np.random.Generator
) -> None:
    """Keep non-residents out of the flooded unit, and displaced people at their refuges."""
    # Nobody goes to the struck unit to work or visit; residents who stay are at home.
    for site in (where.first, where.middle, where.last):
        kept_out = displacement.struck[site]
        site[kept_out] = people.home[kept_out]
    struck_homes = displacement.struck[people.home]
    for site in (where.first, where.middle, where.last):
        site[struck_homes] = people.home[struck_homes]
    fled = np.flatnonzero((displacement.left <= day) & (day < displacement.returned))
    for site in (where.first, where.middle, where.last):
        site[fled] = displacement.refuge[fled]
    going = np.flatnonzero(displacement.left == day)
    where.first[going] = people.home[going]
    where.leave[going] = (random.uniform(5, 15, len(going)) * 3600).astype(np.int32)
    where.back[going] = _END
