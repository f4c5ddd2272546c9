"""FlowMachine: named questions about mobile operator data, answered on DuckDB, PostgreSQL or Spark.

>>> import flowmachine
>>> session = flowmachine.connect("deployment/lake")
>>> session.run(flowmachine.UniqueSubscriberCounts(
...     start_date="2016-01-01", end_date="2016-01-08", aggregation_unit="admin3"))
"""

from typing import Any

from flowmachine.questions.parsing import parse
from flowmachine.questions.query import Query
from flowmachine.questions.registry import kinds
from flowmachine.session import Session, connect

__all__ = ["Query", "Session", "connect", "kinds", "parse"]


def __getattr__(name: str) -> Any:
    """Every query kind, by its class name."""
    for kind in kinds().values() if name[:1].isupper() else ():
        if kind.__name__ == name:
            return kind
    raise AttributeError(f"flowmachine has no {name!r}; see flowmachine.kinds() for the query kinds.")


def __dir__() -> list[str]:
    return [*__all__, *(kind.__name__ for kind in kinds().values())]
