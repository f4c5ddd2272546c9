"""How much balance each subscriber had over time."""

import datetime as dt
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
from pydantic import Field

from flowmachine.building.statistic import weighted
from flowmachine.kind import AtHours, Cdr, OfTopups, Role, Sampled, Statistic, Window

SECOND = 1_000_000
"""Microseconds of a second: times are in microseconds, weights in seconds."""


class TopUpBalance(Window, OfTopups, AtHours, Sampled):
    """A statistic of the balance that each subscriber had over time, as the recharges tell it.

    Between two recharges the balance is taken as the mean of what the one left and what the other found; before the
    first it is what that found, after the last what that left. A balance weighs as many seconds as it lasted within
    the window: `sum` is balance times seconds, `avg` that divided by the window's seconds, `variance` and `stddev` are
    of the sample of seconds, `median` is the balance above and below which half of the time was spent, and `mode` the
    balance that lasted longest, of equals the smallest. `max` and `min` are over what recharges found and left, and
    `count` is how many recharges there were. Recharges at one instant come in the order of the balance before, then
    after; those that do not tell both balances do not count.
    """

    query_kind: Literal["topup_balance"] = "topup_balance"
    statistic: Annotated[Statistic, Field(description="The statistic of each subscriber's balance.")]

    role: ClassVar[Role] = "Metric"
    columns: ClassVar = {"subscriber": "int64", "value": "float64"}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "topup_balance",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "statistic": "avg",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, value."""
        timeless = self.statistic in ("count", "max", "min")
        events = cdr.events(self, *([] if timeless else ["datetime"]), "pre_event_balance", "post_event_balance")
        events = events.rename(before="pre_event_balance", after="post_event_balance")
        events = events.filter(events.before.notnull(), events.after.notnull())
        each = events.group_by("subscriber")
        match self.statistic:
            case "count":
                return each.agg(value=events.count())
            case "max":
                return each.agg(value=ibis.greatest(events.before, events.after).max())
            case "min":
                return each.agg(value=ibis.least(events.before, events.after).min())
        return weighted(self._balances(cdr, events), ["subscriber"], self.statistic, once=SECOND)

    def _balances(self, cdr: Cdr, events: ir.Table) -> ir.Table:
        """Each balance and for how many microseconds it lasted: subscriber, value, weight."""
        ((first, last),) = self.windows
        start, stop = (_microseconds(moment, cdr.timezone) for moment in (first, last))
        events = events.select("subscriber", "before", "after", at=cdr.dialect.microseconds(events.datetime))
        in_order = ibis.window(group_by="subscriber", order_by=["at", "before", "after"])
        events = cdr.once(
            events.mutate(
                since=ibis.coalesce(events.at.lag().over(in_order), start),
                was=ibis.coalesce(events.after.lag().over(in_order), events.before),
                next=events.at.lead().over(in_order),
            )
        )
        upto = events.select("subscriber", value=(events.before + events.was) / 2, weight=events.at - events.since)
        latest = events.filter(events.next.isnull())
        return upto.union(latest.select("subscriber", value=latest.after, weight=stop - latest.at))


def _microseconds(local: dt.datetime, timezone: str) -> int:
    return int(local.replace(tzinfo=ZoneInfo(timezone)).timestamp()) * SECOND
