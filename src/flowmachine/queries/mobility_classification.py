"""How much each subscriber moves from period to period."""

import functools
import operator
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import ibis
import ibis.expr.types as ir
from pydantic import Field, model_validator

from flowmachine.kind import Cdr, Query, Role, Sampled, require_one_unit
from flowmachine.queries.coalesced_location import CoalescedLocation, Threshold, coalesced_of

PERIODS = (("2016-01-01", "2016-01-02", "2016-01-03"), ("2016-01-04", "2016-01-05", "2016-01-06"))
"""The periods of the example."""
DAYS_APART = (("2016-01-01",), ("2016-01-07",))
"""Two periods of one day each, for examples of kinds whose rows are published: few people move within some days."""


def mobility_of(*periods: Sequence[str], unit: str = "admin3") -> dict[str, Any]:
    """The spec of how subscribers move between periods, each some days."""
    return {
        "query_kind": "mobility_classification",
        "locations": [coalesced_of(*dates, unit=unit) for dates in periods],
        "stay_length_threshold": len(periods),
    }


class MobilityClassification(Sampled):
    """How much each subscriber moves from period to period, as one of five labels.

    Only subscribers with a row in the last period are labelled, by the first that is true: `unlocated` in the last
    period (an empty location); `irregular`, absent from some period; `not_always_locatable` in some period; `mobile`,
    never at one location for `stay_length_threshold` periods in a row; else `stable`. FlowKit's definition.
    """

    query_kind: Literal["mobility_classification"] = "mobility_classification"
    locations: Annotated[
        tuple[CoalescedLocation, ...],
        Field(min_length=1, description="Where subscribers are in each period, in order of time, all in one unit."),
    ]
    stay_length_threshold: Annotated[
        Threshold, Field(description="How many periods in a row at one location make a subscriber stable.")
    ]

    role: ClassVar[Role] = "Label"
    columns: ClassVar = {"subscriber": "int64", "value": "string"}
    counts: ClassVar = None
    example: ClassVar = mobility_of(*PERIODS)

    @model_validator(mode="after")
    def _one_unit(self) -> Self:
        require_one_unit("The locations", sorted(str(location.unit) for location in self.locations))
        return self

    def parts(self) -> Iterator[Query]:
        """The periods, each stored for itself, so that next month's query can reuse this month's."""
        yield from self.locations

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, value."""
        periods, longest = len(self.locations), self.stay_length_threshold
        tables = [
            rows.select("subscriber", period=ibis.literal(n, "int64"), place=rows.place)
            for n, rows in enumerate(map(cdr.rows, self.locations))
        ]
        rows = ibis.union(*tables) if len(tables) > 1 else tables[0]
        each = rows.group_by("subscriber").agg(
            last=rows.period.max(),
            present=rows.count(),
            located=rows.place.count(),
            **{f"place_{n}": rows.place.max(where=rows.period == n) for n in range(periods)},
        )
        each = each.filter(each["last"] == periods - 1)
        # A text with a 1 for each period whose place is that of the period before. A stay is a run of 1s in it, so
        # that the plan grows with the number of periods and not with the number of possible stays.
        stays = [each[f"place_{n}"] == each[f"place_{n - 1}"] for n in range(1, periods)]
        pattern = functools.reduce(operator.add, (ibis.ifelse(stay, "1", "0") for stay in stays), ibis.literal(""))
        stable = pattern.contains("1" * max(longest - 1, 0)) if longest <= periods else ibis.literal(value=False)
        return each.select(
            "subscriber",
            value=ibis.cases(
                (each[f"place_{periods - 1}"].isnull(), "unlocated"),
                (each.present < periods, "irregular"),
                (each.located < periods, "not_always_locatable"),
                (stable, "stable"),
                else_="mobile",
            ),
        )
