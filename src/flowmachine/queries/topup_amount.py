"""How much each subscriber recharged."""

from typing import Annotated, ClassVar, Literal

import ibis.expr.types as ir
from pydantic import Field

from flowmachine.building.statistic import summarised
from flowmachine.kind import AtHours, Cdr, OfTopups, Role, Sampled, Statistic, Window


class TopUpAmount(Window, OfTopups, AtHours, Sampled):
    """A statistic of the amounts that each subscriber recharged.

    Recharges whose amount is missing do not count. `stddev` and `variance` are of the sample: a subscriber with one
    recharge has none and is absent. Of equally common amounts, `mode` is the smallest.
    """

    query_kind: Literal["topup_amount"] = "topup_amount"
    statistic: Annotated[Statistic, Field(description="The statistic of each subscriber's recharges.")]

    role: ClassVar[Role] = "Metric"
    columns: ClassVar = {"subscriber": "int64", "value": "float64"}
    counts: ClassVar = None
    example: ClassVar = {
        "query_kind": "topup_amount",
        "start_date": "2016-01-01",
        "end_date": "2016-01-08",
        "statistic": "sum",
    }

    def expression(self, cdr: Cdr) -> ir.Table:
        """One row a subscriber: subscriber, value."""
        events = cdr.events(self, "recharge_amount").rename(value="recharge_amount")
        amounts = summarised(events.filter(events.value.notnull()), ["subscriber"], self.statistic)
        return amounts.filter(amounts.value.notnull())
