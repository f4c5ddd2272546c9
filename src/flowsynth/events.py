"""One day's event files."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowdb.tables import DAILY, EVENTS
from flowsynth.csvfile import csv_writer
from flowsynth.parameters import EVENT_TYPES, MONEY
from flowsynth.people import other_network
from flowsynth.rhythm import Clock, clock, day_factor
from flowsynth.streams import Purpose, stream
from flowsynth.whereabouts import Whereabouts, make_whereabouts
from flowsynth.world import World

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Floats = NDArray[np.float64]

# Part of all rows that are of each type.
_ROW_SHARE = {"calls": 0.42, "sms": 0.22, "mds": 0.33, "topups": 0.03}
_OTHER_ROW_SHARE = 0.02
_PURPOSE = {
    "calls": Purpose.CALLS,
    "sms": Purpose.SMS,
    "mds": Purpose.MDS,
    "topups": Purpose.TOPUPS,
    MONEY: Purpose.MONEY,
}
# Other types draw from streams of random numbers that are named after them.
_OTHER_PURPOSES = 1000
_OTHER_NETWORK = 0.25
_OTHER_CONTACTS = 5
_BLOCK_ROWS = 1_500_000
_BLOCKS = (1, 2, 3, 4, 6, 8, 12, 24)
# Share of sightings at a frequently visited place, of people who are at home in the daytime.
_ERRANDS = 0.12
_ERRAND_HOURS = (8 * 3600, 20 * 3600)
_USUAL_SECTOR = 0.8
# People near a flood call more, on its first day and less so on the next two.
_ALARM = (1.8, 1.4, 1.2)
# Transactions that an account begins on a day, and what they are for.
_PAYMENTS = 0.8
_PAID_FOR = np.array(["transfer", "payment", "cash out", "cash in"])
_RECHARGES = np.array([10.0, 20.0, 50.0, 100.0, 200.0, 500.0])

_UNKNOWN = {"network", "operator_code", "country_code", "cell_version"}
"""Columns of FlowDB that the synthetic operator does not deliver."""
_LEFT_OUT = {"topups": {"type"}}
"""Further ones, by event type."""
_WRITTEN = {
    "bool": pa.bool_(),
    "int32": pa.int64(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "timestamp": pa.timestamp("s"),
}
_WHOLE_SECONDS = "duration"


@dataclass(frozen=True)
class _Day:
    """One day of a world."""

    world: World
    number: int
    date: date
    where: Whereabouts
    cells: Ints
    first_cell: Ints
    cell_count: Ints

    def cells_of(self, who: Ints, seconds: Ints, random: np.random.Generator) -> pa.Array:
        """Cells that serve these subscribers at these seconds."""
        people = self.world.people
        site = self.where.at(who, seconds)
        out = (
            (site == people.home[who])
            & (_ERRAND_HOURS[0] <= seconds)
            & (seconds < _ERRAND_HOURS[1])
            & (random.random(len(who), dtype=np.float32) < _ERRANDS)
        )
        if self.world.displacement is not None and self.number >= self.world.displacement.day:
            struck = self.world.displacement.struck
            out &= ~struck[people.haunt[who]] & ~struck[site]
        site = np.where(out, people.haunt[who], site)
        count = self.cell_count[site]
        usual = (who.astype(np.int64) * 2_654_435_761 + site * np.int64(40_503)) >> 7
        chance = random.random(len(who), dtype=np.float32)
        # The remainder of the same random number picks the sector of the other sightings.
        other = ((chance - _USUAL_SECTOR) / (1 - _USUAL_SECTOR) * count).astype(np.int64)
        sector = np.where(chance < _USUAL_SECTOR, usual % count, np.clip(other, 0, count - 1))
        return self.world.network.cell_ids.take(pa.array(self.cells[self.first_cell[site] + sector]))

    def who(self, who: Ints, seconds: Ints, random: np.random.Generator) -> dict[str, object]:
        """The columns of one party: number, cell and handset."""
        people = self.world.people
        return {
            "msisdn": people.msisdn[who],
            "location_id": self.cells_of(who, seconds, random),
            "imsi": people.imsi[who],
            "imei": people.imei[who],
            "tac": people.tac[who],
        }

    def datetimes(self, seconds: Ints) -> NDArray[np.datetime64]:
        """Local times of seconds of the day."""
        return np.datetime64(self.date, "s") + seconds.astype("timedelta64[s]")


def event_path(directory: Path, event_type: str, day: date) -> Path:
    """Where a day's file of an event type lies in a delivery."""
    return directory / event_type / f"{event_type}_{day:%Y%m%d}.csv"


def write_day(world: World, number: int, directory: Path) -> dict[str, int]:
    """Write a day's files (days count from 0) and give the rows of each; no other day is needed."""
    where = make_whereabouts(world, number)
    day = _Day(world, number, world.parameters.date(number), where, *world.network.cells_by_site(number))
    return {
        event_type: _write_events(day, event_type, event_path(directory, event_type, day.date))
        for event_type in world.parameters.event_types
    }


def _write_events(day: _Day, event_type: str, path: Path) -> int:
    random = stream(day.world.parameters.seed, _purpose(event_type), day.number)
    rates = _rates(day, event_type, random)
    times = clock("topups" if event_type == MONEY else event_type, day.date.weekday() >= 5)
    schema = _schema(event_type)
    rows = 0
    number = (int(f"{day.date:%Y%m%d}") * 10 + _digit(event_type)) * 1_000_000_000
    with csv_writer(path, schema) as writer:
        for begin, end in _hours(float(rates.sum())):
            who, seconds = _moments(rates, times, begin, end, random)
            ids = number + np.arange(len(who), dtype=np.int64)
            make = _COLUMNS.get(event_type) or partial(_others, event_type=event_type)
            columns = make(day, ids, who, seconds, random)
            table = pa.table([pa.array(columns[name], type=kind) for name, kind in _fields(schema)], schema=schema)
            writer.write_table(table)
            rows += table.num_rows
            number += len(who)
    return rows


def _schema(event_type: str) -> pa.Schema:
    """The columns of a type's files, in the order of FlowDB."""
    left_out = _UNKNOWN | _LEFT_OUT.get(event_type, set())
    return pa.schema(
        [
            (c.name, pa.int32() if c.name == _WHOLE_SECONDS else _WRITTEN[c.type])
            for c in DAILY[event_type]
            if c.name not in left_out
        ]
    )


def _purpose(event_type: str) -> int:
    return _PURPOSE.get(event_type) or _OTHER_PURPOSES + zlib.crc32(event_type.encode())


def _digit(event_type: str) -> int:
    """The digit that makes the ids of a type different from those of other types of the day."""
    with_habits = (*_PURPOSE,)
    if event_type in with_habits:
        return with_habits.index(event_type) + 1
    others = [name for name in EVENT_TYPES if name not in with_habits]
    return len(with_habits) + 1 + others.index(event_type)


def _fields(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    return ((field.name, field.type) for field in schema)


def _hours(events: float) -> list[tuple[int, int]]:
    """Parts of the day, as hours, that are written one after another so that memory stays bounded."""
    parts = next((n for n in _BLOCKS if events / n <= _BLOCK_ROWS), _BLOCKS[-1])
    return [(n * 24 // parts, (n + 1) * 24 // parts) for n in range(parts)]


def _rates(day: _Day, event_type: str, random: np.random.Generator) -> Floats:
    """Expected events (calls and messages begun) of each subscriber on the day."""
    parameters, people = day.world.parameters, day.world.people
    if event_type == MONEY:
        rates = np.zeros(len(people))
        rates[_wallets(day.world)] = _PAYMENTS
        return rates * people.activity**0.5
    rows_an_event = 2 - _OTHER_NETWORK if EVENTS[event_type].two_party else 1
    each = parameters.events_per_day * _ROW_SHARE.get(event_type, _OTHER_ROW_SHARE) / rows_an_event
    if event_type == "topups":
        weight = people.activity**0.5
    elif event_type == "mds":
        weight = people.activity * np.where(people.smart, 1.0, 0.08)
    else:
        weight = people.activity * np.where(people.smart, 0.9, 1.15)
    noise = float(np.exp(0.015 * random.standard_normal()))
    rates = weight / weight.mean() * each * day_factor(event_type, day.date) * noise
    flood = day.world.displacement
    if flood is not None and event_type != "topups" and 0 <= day.number - flood.day < len(_ALARM):
        rates = rates * np.where(flood.struck[people.home], _ALARM[day.number - flood.day], 1.0)
    return rates


def _moments(rates: Floats, times: Clock, begin: int, end: int, random: np.random.Generator) -> tuple[Ints, Ints]:
    """Who does something between two hours, and when (seconds of the day), in the order of time."""
    counts = random.poisson(rates * times.share(begin, end))
    who = np.repeat(np.arange(len(rates), dtype=np.int32), counts)
    seconds = times.seconds(begin, end, random, len(who))
    # Unique numbers sort fast, and their order does not depend on the sorting method.
    key = np.sort((seconds.astype(np.int64) << 32) | np.arange(len(who)))
    order = key & 0xFFFF_FFFF
    return who[order], (key >> 32).astype(np.int32)


def _interactions(
    day: _Day, ids: Longs, who: Ints, seconds: Ints, random: np.random.Generator
) -> tuple[dict[str, object], Longs]:
    """Rows of calls or messages: two if both parties are subscribers; and the event that each row is of."""
    people = day.world.people
    count = len(who)
    outside = random.random(count, dtype=np.float32) < _OTHER_NETWORK
    degree = people.first[who + 1] - people.first[who]
    # Contacts are in the order of closeness; the first are called most.
    other = people.known[people.first[who] + (random.random(count) ** 1.6 * degree).astype(np.int64)]
    contact = (random.random(count) ** 1.6 * _OTHER_CONTACTS).astype(np.int64)
    stranger = other_network(who.astype(np.int64) * 48_271 + contact * 15_485_863 + 7)
    begun = random.random(count, dtype=np.float32) < 0.5
    event = np.repeat(np.arange(count), np.where(outside, 1, 2))
    second = np.zeros(len(event), dtype=bool)
    second[1:] = event[1:] == event[:-1]
    party = np.where(second, other[event], who[event]).astype(np.int32)
    reached = np.where(second, who[event], other[event])
    outgoing = np.where(outside[event], begun[event], ~second)
    columns = {
        "id": ids[event],
        "outgoing": outgoing,
        "datetime": day.datetimes(seconds[event]),
        "msisdn_counterpart": np.where(outside[event], stranger[event], people.msisdn[reached]),
        **day.who(party, seconds[event], random),
    }
    return columns, event


def _calls(day: _Day, ids: Longs, who: Ints, seconds: Ints, random: np.random.Generator) -> dict[str, object]:
    columns, event = _interactions(day, ids, who, seconds, random)
    duration = np.clip(np.exp(4.3 + 1.1 * random.standard_normal(len(who), dtype=np.float32)), 1, 7200)
    return {**columns, "duration": duration.astype(np.int32)[event]}


def _sms(day: _Day, ids: Longs, who: Ints, seconds: Ints, random: np.random.Generator) -> dict[str, object]:
    return _interactions(day, ids, who, seconds, random)[0]


def _mds(day: _Day, ids: Longs, who: Ints, seconds: Ints, random: np.random.Generator) -> dict[str, object]:
    # Counted in hundredths of a megabyte, so that the parts add up to the total.
    size = np.where(day.world.people.smart[who], 1.2, -0.9)
    total = np.ceil(np.exp(size + 1.4 * random.standard_normal(len(who), dtype=np.float32)).clip(0, 5000) * 100)
    upload = np.floor(total * random.uniform(0.04, 0.3, len(who)))
    duration = np.clip(np.exp(5.4 + 1.0 * random.standard_normal(len(who), dtype=np.float32)), 1, 14_400)
    return {
        "id": ids,
        "datetime": day.datetimes(seconds),
        "duration": duration.astype(np.int32),
        "volume_total": total / 100,
        "volume_upload": upload / 100,
        "volume_download": (total - upload) / 100,
        **day.who(who, seconds, random),
    }


def _topups(day: _Day, ids: Longs, who: Ints, seconds: Ints, random: np.random.Generator) -> dict[str, object]:
    # Subscribers top up only when their balance is below their smallest recharge. So the balance after one topup is
    # never below that before the next, and days can be generated independently with consistent balances.
    smallest = (who.astype(np.int64) * 2_654_435_761 >> 5) % 3
    amount = _RECHARGES[smallest + np.minimum(random.geometric(0.55, len(who)) - 1, 3)]
    before = np.floor(_RECHARGES[smallest] * random.beta(0.8, 3.0, len(who)) * 100)
    return {
        "id": ids,
        "datetime": day.datetimes(seconds),
        "recharge_amount": amount,
        "airtime_fee": np.full(len(who), 0.5),
        "tax_and_fee": np.round(amount * 0.05, 2),
        "pre_event_balance": before / 100,
        "post_event_balance": (before + amount * 100) / 100,
        **day.who(who, seconds, random),
    }


def _others(
    day: _Day, ids: Longs, who: Ints, seconds: Ints, random: np.random.Generator, *, event_type: str
) -> dict[str, object]:
    """Events of a type without its own model: parties as in calls, and a plausible value in each further column."""
    if EVENTS[event_type].two_party:
        columns, event = _interactions(day, ids, who, seconds, random)
    else:
        event = np.arange(len(who))
        columns = {"id": ids, "datetime": day.datetimes(seconds), **day.who(who, seconds, random)}
    for name, kind in _fields(_schema(event_type)):
        if name not in columns:
            columns[name] = _drawn(kind, len(who), random)[event]
    return columns


def _drawn(kind: pa.DataType, count: int, random: np.random.Generator) -> NDArray[Any]:
    if pa.types.is_boolean(kind):
        return random.random(count) < 0.5
    if pa.types.is_string(kind):
        return np.array(["a", "b", "c"])[random.integers(0, 3, count)]
    size = np.ceil(np.exp(3 + random.standard_normal(count)).clip(0, 5000))
    return size / 4 if pa.types.is_floating(kind) else size.astype(np.int32)


def _wallets(world: World) -> Longs:
    """The subscribers who have an account of mobile money: those of a smaller share are among those of a larger one."""
    count = len(world.people)
    drawn = stream(world.parameters.seed, Purpose.WALLETS).random(count)
    # One account alone has no other to pay.
    return np.sort(np.argsort(drawn, kind="stable")[: max(2, round(count * world.parameters.mobile_money))])


def _transactions(day: _Day, ids: Longs, who: Ints, seconds: Ints, random: np.random.Generator) -> dict[str, object]:
    wallets = _wallets(day.world)
    payee = wallets[(np.searchsorted(wallets, who) + random.integers(1, len(wallets), len(who))) % len(wallets)]
    # Counted in hundredths, so that no sum is off by a fraction of one.
    amount = np.ceil(np.exp(3.2 + 1.0 * random.standard_normal(len(who))).clip(0.5, 5000) * 100)
    reduced = random.random(len(who)) < 0.1
    kind = _PAID_FOR[np.searchsorted([0.5, 0.8, 0.9], random.random(len(who)))]
    event = np.repeat(np.arange(len(who)), 2)
    pays = np.arange(len(event)) % 2 == 0
    party = np.where(pays, who[event], payee[event]).astype(np.int32)
    return {
        "id": ids[event],
        "outgoing": pays,
        "datetime": day.datetimes(seconds[event]),
        "amount": amount[event] / 100,
        "discount": np.where(reduced, np.floor(amount * 0.02), 0)[event] / 100,
        "fee": np.ceil(amount * 0.01)[event] / 100,
        "commission": np.floor(amount * 0.004)[event] / 100,
        "type": kind[event],
        "msisdn": day.world.people.msisdn[party],
        "location_id": day.cells_of(party, seconds[event], random),
    }


_COLUMNS: dict[str, Callable[[_Day, Longs, Ints, Ints, np.random.Generator], dict[str, object]]] = {
    "calls": _calls,
    "sms": _sms,
    "mds": _mds,
    "topups": _topups,
    MONEY: _transactions,
}
