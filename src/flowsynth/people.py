"""Subscribers: homes, workplaces, contacts, handsets and activity."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flowsynth.gravity import draw, gravity
from flowsynth.handsets import Handsets
from flowsynth.network import Network
from flowsynth.parameters import Parameters
from flowsynth.streams import Purpose, stream

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]

_WORKERS = 0.62
_COMMUTING_KM = 11.0
_HOUSEHOLD = 2.6
_FRIENDS = 3.0
_ACTIVITY_SPREAD = 0.8
# Numbers of the invented plan: +999 is assigned to no country, and mobile country code 999 to no network.
_OWN_PREFIX, _OTHER_PREFIX = 99_970_000_0000, 99_980_000_0000
_IMSI_PREFIX = 999_07_00000_00000


@dataclass(frozen=True)
class People:
    """Subscribers, ordered by home site and household; sites and handsets are indexes.

    `haunt` is a site that the subscriber often visits. `known[first[i]:first[i + 1]]` are the subscribers that i knows,
    family first, at least one. `activity` has the mean 1; `leave` and `back` are seconds of a usual working day.
    """

    home: Ints
    work: Ints
    haunt: Ints
    household: Ints
    handset: Ints
    smart: NDArray[np.bool_]
    activity: NDArray[np.float64]
    leave: Ints
    back: Ints
    first: Longs
    known: Ints
    msisdn: Longs
    imsi: Longs
    imei: Longs
    tac: Longs

    def __len__(self) -> int:
        return len(self.home)


def other_network(numbers: Longs) -> Longs:
    """Give phone numbers of people who are not subscribers."""
    return _OTHER_PREFIX + numbers % 100_000_000


def make_people(parameters: Parameters, network: Network, handsets: Handsets) -> People:
    """Make the subscribers."""
    random = stream(parameters.seed, Purpose.PEOPLE)
    count = parameters.subscribers
    residents = random.multinomial(count, network.people)
    home = np.repeat(np.arange(len(residents)), residents).astype(np.int32)
    household = _households(home, random)
    handset = random.choice(len(handsets.tac), count, p=handsets.share).astype(np.int32)
    activity = np.exp(_ACTIVITY_SPREAD * random.standard_normal(count))
    activity /= activity.mean()
    distance = network.distance()
    # Workplaces are more concentrated than homes, and the busiest sites attract people from far.
    jobs = gravity(network.people**1.2, distance, _COMMUTING_KM, anywhere=0.002)
    work = np.where(random.random(count) < _WORKERS, draw(jobs, home, random), home).astype(np.int32)
    haunt = draw(gravity(network.people, distance, 8.0), home, random)
    leave = np.clip(random.normal(7.4, 0.7, count), 5.5, 10) * 3600
    back = np.clip(random.normal(17.3, 0.9, count), 14, 20) * 3600
    first, known = _ties(home, household, activity, distance, stream(parameters.seed, Purpose.TIES))
    tac = handsets.tac[handset]
    return People(
        home=home,
        work=work,
        haunt=haunt,
        household=household,
        handset=handset,
        smart=handsets.smart[handset],
        activity=activity,
        leave=leave.astype(np.int32),
        back=back.astype(np.int32),
        first=first,
        known=known,
        msisdn=_OWN_PREFIX + _scattered(count, 100_000_000, 37_795_137, parameters.seed),
        imsi=_IMSI_PREFIX + _scattered(count, 10_000_000_000, 7_861_370_953, parameters.seed),
        imei=_imei(tac, handset, len(handsets.tac)),
        tac=tac,
    )


def _scattered(count: int, size: int, step: int, seed: int) -> Longs:
    """Give `count` different numbers below `size`; `step` shares no factor with it."""
    start = seed % size
    return (np.arange(count, dtype=np.int64) * step % size + start) % size


def _imei(tac: Longs, handset: Ints, models: int) -> Longs:
    """A serial number on every handset's TAC, and the check digit (Luhn)."""
    order = np.argsort(handset, kind="stable")
    begins = np.searchsorted(handset[order], np.arange(models))
    serial = np.empty(len(tac), dtype=np.int64)
    serial[order] = np.arange(len(tac)) - begins[handset[order]]
    digits = tac * 1_000_000 + serial % 1_000_000
    total = np.zeros(len(tac), dtype=np.int64)
    for place in range(14):
        digit = digits // 10**place % 10
        doubled = digit * 2
        total += np.where(doubled > 9, doubled - 9, doubled) if place % 2 == 0 else digit
    return digits * 10 + -total % 10


def _households(home: Ints, random: np.random.Generator) -> Ints:
    """Number the households: neighbours in the order of homes, never across sites."""
    begins = random.random(len(home)) < 1 / _HOUSEHOLD
    begins[1:] |= home[1:] != home[:-1]
    begins[0] = True
    return (np.cumsum(begins) - 1).astype(np.int32)


def _ties(
    home: Ints,
    household: Ints,
    activity: NDArray[np.float64],
    distance: NDArray[np.float64],
    random: np.random.Generator,
) -> tuple[Longs, Ints]:
    """The contacts of each subscriber, symmetric: the household, and friends, fewer with distance."""
    count = len(home)
    everyone = np.arange(count)
    pairs: list[tuple[Longs, Longs]] = []
    for step in (1, 2, 3):
        near = everyone[: max(count - step, 0)]
        near = near[household[near] == household[near + step]]
        pairs.append((near, near + step))
    families = sum(len(a) for a, _ in pairs)
    residents = np.bincount(home, minlength=len(distance))
    begins = np.cumsum(residents) - residents
    friends = np.repeat(everyone, random.poisson(_FRIENDS * np.minimum(activity, 4) ** 0.5))
    site = draw(gravity(residents.astype(float), distance, 14.0, anywhere=0.004), home[friends], random)
    met = begins[site] + random.integers(0, residents[site])
    pairs.append((friends[met != friends], met[met != friends]))
    # Everyone knows the next in the list, so that nobody is without contacts.
    alone = np.setdiff1d(everyone, np.concatenate([side for pair in pairs for side in pair]))
    pairs.append((alone, (alone + 1) % count))
    one = np.concatenate([a for a, _ in pairs])
    other = np.concatenate([b for _, b in pairs])
    key = np.minimum(one, other) * count + np.maximum(one, other)
    # The first of equal pairs stays, so that a friend at home counts as family.
    _, kept = np.unique(key, return_index=True)
    friend = kept >= families
    one, other = one[kept], other[kept]
    source = np.concatenate([one, other])
    target = np.concatenate([other, one])
    order = np.lexsort((random.random(len(source)), np.concatenate([friend, friend]), source))
    degree = np.bincount(source, minlength=count)
    return np.concatenate([[0], np.cumsum(degree)]), target[order].astype(np.int32)
