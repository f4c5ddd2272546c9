"""The units of a store, and its custom tables that say where cells are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import ibis
import pyarrow as pa

from flowdb.lake import Snapshot
from flowdb.tables import UNITS
from flowmachine.building.plan import Statement
from flowmachine.building.tables import Tables
from flowmachine.engines import Engine
from flowmachine.errors import InvalidQuery
from flowmachine.questions.messages import not_one_of
from flowmachine.questions.places import ByUnit
from flowmachine.questions.query import Query


@dataclass(frozen=True)
class Offered:
    """The units and mappings of a store."""

    units: tuple[str, ...]
    """The units that have places."""
    mappings: Mapping[str, tuple[str, ...]]
    """For each unit, the tables that place cells in it, as `cell_units.mapping` names them."""

    @property
    def named(self) -> tuple[str, ...]:
        """The units that have a meaning everywhere, then custom ones."""
        return tuple(dict.fromkeys([*UNITS, *self.units]))


def offered(engine: Engine, timezone: str, snapshot: Snapshot) -> Offered:
    """What a store offers at one moment."""
    tables = Tables(engine.dialect, timezone)
    levels = tables.reference("places").select("unit").distinct()
    mapped = tables.reference("cell_units").select("unit", "mapping").distinct()
    rows = levels.mutate(mapping=ibis.null("string")).union(mapped)
    schema = pa.schema([("unit", pa.string()), ("mapping", pa.string())])
    named = engine.run(Statement(expression=rows, schema=schema, sources=tables.sources), snapshot).to_pylist()
    units = tuple(sorted({row["unit"] for row in named}))
    by = {unit: {row["mapping"] for row in named if row["unit"] == unit} - {None} for unit in units}
    return Offered(units, {unit: tuple(sorted(mappings)) for unit, mappings in by.items()})


def require_offered(query: Query, offers: Callable[[], Offered]) -> None:
    """Raise InvalidQuery where a query, at any depth, names a unit or a table of places that is not offered."""
    named = list(_in_units("", query))
    if not named:
        return
    offer = offers()
    problems: dict[str, list[str]] = {}
    for path, part in named:
        for name, sentence in _wrong(part, offer):
            problems.setdefault(f"{path}{name}", []).append(sentence)
    if problems:
        raise InvalidQuery(problems)


def _in_units(path: str, query: Query) -> Iterator[tuple[str, ByUnit]]:
    """The parts of a query that name a unit, each with the path that its parameters have."""
    if isinstance(query, ByUnit) and not query.anywhere:
        yield path, query
    for name in type(query).model_fields:
        value = getattr(query, name)
        for number, item in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(item, Query):
                step = f"{name}[{number}]" if isinstance(value, tuple) else name
                yield from _in_units(f"{path}{step}.", item)


def _wrong(query: ByUnit, offer: Offered) -> Iterator[tuple[str, str]]:
    unit, mapping = query.aggregation_unit, query.mapping
    if not offer.units:
        yield "aggregation_unit", f"It is {unit!r}, and no cells or boundaries are loaded here."
    elif unit not in offer.units:
        yield "aggregation_unit", not_one_of(unit, offer.units)
    elif mapping is not None and mapping not in offer.mappings[unit]:
        yield _not_offered(unit, mapping, offer.mappings[unit])


def _not_offered(unit: str, mapping: str, offers: Sequence[str]) -> tuple[str, str]:
    """The parameter for which no such mapping is offered, and its choices."""
    given = _fields(mapping)
    # Without any table, cells are where they stand.
    left = [_fields(offer) for offer in ("", *offers)]
    for name, value in given.items():
        choices = sorted({offer[name] for offer in left})
        if value not in choices:
            named = f"Must be one of: {', '.join(filter(None, choices))}{', or left out' * ('' in choices)}."
            is_wrong = f"It is {value!r}." if value else "It is missing."
            return name, f"{is_wrong} {named if any(choices) else f'No such table is offered for {unit} here.'}"
        left = [offer for offer in left if offer[name] == value]
    raise AssertionError(mapping)


_FIELDS = ("geom_table", "geom_table_join_column", "mapping_table")


def _fields(mapping: str) -> dict[str, str]:
    """The parameters that a mapping stands for; empty where left out."""
    table, geom, column = (*mapping.split("/"), "", "")[:3]
    return dict(zip(_FIELDS, (geom, column, table), strict=True))
