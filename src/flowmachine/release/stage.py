"""The stage: the rows of a query's expression that a rule lets through."""

import ibis.expr.types as ir

from flowmachine.building.contributions import summed_up
from flowmachine.questions.query import Query
from flowmachine.release.dominance import nobody_dominates
from flowmachine.release.publication import is_published
from flowmachine.release.rules import Rule
from flowmachine.release.shares import suppress_shares
from flowmachine.release.threshold import enough_people, suppress_table, suppress_together


def released(rows: ir.Table, query: Query, rule: Rule) -> ir.Table:
    """The rows of a query's expression that may be published.

    Raises PermissionError for kinds whose rows are about single subscribers.
    """
    if not is_published(query):
        raise PermissionError(f"{query.kind} tells of single subscribers; only aggregates of it are published.")
    if query.summary is not None:
        # One person's value is never published: an extreme is one that enough people reach.
        rows = summed_up(rows, query.summary, reach=rule.smallest)
    if query.counts is None:
        return rows
    passes = enough_people(rows, query.counts, rule.smallest)
    if query.contributions is not None:
        passes &= nobody_dominates(rows, query.contributions, rule.percent)
    if query.shares is not None:
        *by, key = query.shares
        return suppress_shares(rows, query.counts, by, key, rule.smallest)
    if query.suppressed_together is None:
        return rows.filter(passes)
    if not query.suppressed_together:
        return suppress_table(rows, passes)
    return suppress_together(rows, passes, query.suppressed_together)
