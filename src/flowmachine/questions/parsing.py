"""From a spec to a query."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from flowmachine.errors import InvalidQuery
from flowmachine.questions.messages import not_one_of, problems
from flowmachine.questions.query import Query, parameters
from flowmachine.questions.registry import kinds


def parse(spec: Any) -> Query:
    """The query that a spec means; raises InvalidQuery naming each path that is wrong, and what is allowed."""
    if not isinstance(spec, Mapping):
        raise InvalidQuery({"": ["A query spec is an object with a query_kind."]})
    name = spec.get("query_kind")
    cls = kinds().get(str(name))
    if cls is None:
        missing = f"It is missing. Must be one of: {', '.join(kinds())}."
        raise InvalidQuery({"query_kind": [missing if name is None else not_one_of(name, kinds())]})
    try:
        return cls.model_validate(spec)
    except ValidationError as error:
        raise InvalidQuery(problems(error, spec, parameters)) from None
