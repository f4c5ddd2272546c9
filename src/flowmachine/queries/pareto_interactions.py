"""Which share of each subscriber's contacts most of the events are with."""

from typing import Annotated, ClassVar, Literal

import ibis
import ibis.expr.types as ir
from pydantic import Field

from flowmachine.kind import AtHours, Cdr, Contacts, Role, Sampled, Window

ROUNDING = 1e-9
"""The tolerance for a proportion times a number of events: 0.07 of 100 events are 7, not 7.000000000000001."""


class ParetoInteractions(Window, Contacts, AtHours, Sampled):
    """The least share of each subscriber's contacts that account for a proportion of the events.

    Contacts are taken from the one with most events on, until their events are at least the proportion of all. All
    counterparts that are missing are one contact; the subscriber may be one too. Source: FlowKit's definition, after
    V. Pareto's principle that few account for most.
    """

    query_kind: Literal["pareto_interactions"] = "pareto_interactions"
    proportion: Annotated[float, Field(gt=0, lt=1, description="Which proportion of the events to account for.")]

    role: ClassVar[Role] = "Metric"
    columns: ClassVar = {"subscriber": "int64", "value": "float64"}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "pareto_interactions",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "proportion": 0.8,
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, value."""
        events = cdr.events(self, "msisdn_counterpart")
        contacts = events.group_by("subscriber", "msisdn_counterpart").agg(events=events.count())
        # The order of contacts with equally many events does not matter: one row stands for all of them, so that
        # few rows per subscriber are sorted.
        alike = contacts.group_by("subscriber", "events").agg(contacts=contacts.count())
        everyone = ibis.window(group_by="subscriber")
        upto = ibis.window(group_by="subscriber", order_by=ibis.desc("events"), rows=(None, 0))
        these = alike.events * alike.contacts
        alike = alike.mutate(
            target=(these.sum().over(everyone) * self.proportion - ROUNDING).ceil().cast("int64"),
            all_contacts=alike.contacts.sum().over(everyone).cast("int64"),
            events_upto=these.sum().over(upto).cast("int64"),
            contacts_upto=alike.contacts.sum().over(upto).cast("int64"),
        )
        before = alike.events_upto - alike.events * alike.contacts
        last = alike.filter(before < alike.target, alike.target <= alike.events_upto)
        # The contacts of the last row that are not needed.
        spared = (last.events_upto - last.target) // last.events
        return last.select("subscriber", value=(last.contacts_upto - spared) / last.all_contacts)
