"""How many others each subscriber had contact with."""

from typing import ClassVar, Literal

import ibis.expr.types as ir

from flowmachine.kind import AtHours, Cdr, Contacts, Directed, Role, Sampled, Window


class SubscriberDegree(Window, Contacts, Directed, AtHours, Sampled):
    """How many others each subscriber had contact with.

    Others are counterparts other than the subscriber. Events whose counterpart is missing do not count; a subscriber
    who has no other event is absent, as are those without one.
    """

    query_kind: Literal["subscriber_degree"] = "subscriber_degree"

    role: ClassVar[Role] = "Metric"
    columns: ClassVar = {"subscriber": "int64", "value": "int64"}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "subscriber_degree",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, value."""
        events = cdr.events(self, "msisdn_counterpart")
        others = events.filter(events.msisdn_counterpart != events.subscriber).distinct()
        return others.group_by("subscriber").agg(value=others.count())
