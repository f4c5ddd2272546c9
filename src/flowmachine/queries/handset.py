"""What kind of handset each subscriber uses."""

from typing import Annotated, ClassVar, Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field

from flowmachine.kind import AtHours, Cdr, OfEvents, Role, Sampled, Window

Characteristic = Literal["hnd_type", "brand", "model", "software_os_name", "software_os_vendor"]

MOST_VALUES = 2**20
"""The most different values of a characteristic: there are some 100,000 models."""


class Handset(Window, OfEvents, AtHours, Sampled):
    """A characteristic of each subscriber's handset: of the last one, or the most common.

    `last` is of the handset of the latest event that tells one; of events at the same time, the greatest type
    allocation code. `most-common` is the characteristic of most events; of equals, the one that sorts first.
    Subscribers whose handsets are not known, or not this characteristic of them, are absent.
    """

    query_kind: Literal["handset"] = "handset"
    characteristic: Annotated[Characteristic, Field(description="What to tell of the handset.")]
    method: Annotated[
        Literal["last", "most-common"], Field(description="Take the last handset, or what most events are of.")
    ]

    role: ClassVar[Role] = "CategoricalMetric"
    columns: ClassVar = {"subscriber": "int64", "value": "string"}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "handset",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "characteristic": "brand",
        "method": "most-common",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, value."""
        last = self.method == "last"
        events = cdr.events(self, "tac", *(["datetime"] if last else []))
        events = events.filter(events.tac.notnull())
        tacs = cdr.tables.reference("tacs")
        if last:
            used = cdr.best(events, ["subscriber"], ["datetime", "tac"], keep="tac")
            return _values_of(used, tacs.select(tac=tacs.id, value=tacs[self.characteristic]), "tac")
        # Characteristics become numbers, the greatest for the one that sorts first: quick to count and compare.
        tacs = tacs.filter(tacs[self.characteristic].notnull())
        numbered = ibis.window(order_by=tacs[self.characteristic].desc())
        known = tacs.select(tac=tacs.id, value=tacs[self.characteristic], number=ibis.dense_rank().over(numbered))
        known = cdr.once(known)
        used = events.join(known, "tac")
        used = used.group_by("subscriber", "number").agg(events=used.count())
        # Both in one integer, whose maximum has most events and, among equals, sorts first.
        used = used.mutate(packed=used.events * MOST_VALUES + used.number)
        most = used.group_by("subscriber").agg(packed=used.packed.max())
        commonest = most.select("subscriber", number=most.packed % MOST_VALUES)
        return _values_of(commonest, known.select("number", "value").distinct(), "number")


def _values_of(used: ir.Table, values: ir.Table, key: str) -> ir.Table:
    rows = used.join(values, key).select("subscriber", "value")
    return rows.filter(rows.value.notnull())
