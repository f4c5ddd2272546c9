"""The queries that FlowAPI answers, as specs and over a connection.

Written by tools/generate_client.py from the catalogue of query kinds: change that, not this.
"""

# ruff: noqa: A002

from __future__ import annotations

from flowclient.api_query import Query, QueryMaker
from flowclient.spec_values import (
    Bins,
    Bounds,
    Date,
    Hours,
    QuerySpec,
    bounds,
    day,
    given,
    histogram_bins,
    hour_range,
    interval_name,
)

__all__ = [
    "flows",
    "flows_spec",
    "histogram_aggregate",
    "histogram_aggregate_spec",
    "inflows",
    "inflows_spec",
    "joined_spatial_aggregate",
    "joined_spatial_aggregate_spec",
    "location_event_counts",
    "location_event_counts_spec",
    "outflows",
    "outflows_spec",
    "spatial_aggregate",
    "spatial_aggregate_spec",
    "trips_od_matrix",
    "trips_od_matrix_spec",
    "unique_subscriber_counts",
    "unique_subscriber_counts_spec",
]


def flows_spec(*, from_location: QuerySpec, to_location: QuerySpec, join_type: str = "inner") -> QuerySpec:
    """How many subscribers went from each location to each other, those who stayed included.

    With unique locations on a side, a subscriber counts once for each pair.

    Parameters
    ----------
    from_location : dict
        Where each subscriber was before.
    to_location : dict
        Where each subscriber was after, in the same unit.
    join_type : str, default 'inner'
        Which subscribers count: those with both locations (inner), with a location before (left),
        after (right), or either (full outer); a location that is missing is empty. One of: inner,
        full outer, left, right, left outer, right outer.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "flows",
        "from_location": from_location,
        "to_location": to_location,
        "join_type": join_type,
    }


def flows(
    *, connection: QueryMaker[Query], from_location: QuerySpec, to_location: QuerySpec, join_type: str = "inner"
) -> Query:
    """How many subscribers went from each location to each other, those who stayed included.

    With unique locations on a side, a subscriber counts once for each pair.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    from_location : dict
        Where each subscriber was before.
    to_location : dict
        Where each subscriber was after, in the same unit.
    join_type : str, default 'inner'
        Which subscribers count: those with both locations (inner), with a location before (left),
        after (right), or either (full outer); a location that is missing is empty. One of: inner,
        full outer, left, right, left outer, right outer.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod_from (string), pcod_to (string), value (int64).
    """
    return connection.make_api_query(
        flows_spec(from_location=from_location, to_location=to_location, join_type=join_type)
    )


def histogram_aggregate_spec(*, metric: QuerySpec, bins: Bins, range: Bounds | None = None) -> QuerySpec:
    """How many subscribers have a metric in each bin.

    A bin holds its lower edge and not its upper one; the last bin holds both. Without a range, equal
    bins span the metric's least to greatest value. Where one bin stands for too few people, none is
    told.

    Parameters
    ----------
    metric : dict
        A number for each subscriber.
    bins : int or list of float
        The bins. Written as their number, or as a list of their edges.
    range : pair of float, optional
        What equal bins span; left out: all values. Written as (least, greatest).

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "histogram_aggregate",
        "metric": metric,
        "bins": histogram_bins(bins),
        **given(range=bounds(range)),
    }


def histogram_aggregate(
    *, connection: QueryMaker[Query], metric: QuerySpec, bins: Bins, range: Bounds | None = None
) -> Query:
    """How many subscribers have a metric in each bin.

    A bin holds its lower edge and not its upper one; the last bin holds both. Without a range, equal
    bins span the metric's least to greatest value. Where one bin stands for too few people, none is
    told.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    metric : dict
        A number for each subscriber.
    bins : int or list of float
        The bins. Written as their number, or as a list of their edges.
    range : pair of float, optional
        What equal bins span; left out: all values. Written as (least, greatest).

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns value (int64), lower_edge (float64), upper_edge
        (float64).
    """
    return connection.make_api_query(histogram_aggregate_spec(metric=metric, bins=bins, range=range))


def inflows_spec(*, from_location: QuerySpec, to_location: QuerySpec, join_type: str = "inner") -> QuerySpec:
    """How many subscribers came to each location from any, those who stayed included.

    Parameters
    ----------
    from_location : dict
        Where each subscriber was before.
    to_location : dict
        Where each subscriber was after, in the same unit.
    join_type : str, default 'inner'
        Which subscribers count: those with both locations (inner), with a location before (left),
        after (right), or either (full outer); a location that is missing is empty. One of: inner,
        full outer, left, right, left outer, right outer.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "inflows",
        "from_location": from_location,
        "to_location": to_location,
        "join_type": join_type,
    }


def inflows(
    *, connection: QueryMaker[Query], from_location: QuerySpec, to_location: QuerySpec, join_type: str = "inner"
) -> Query:
    """How many subscribers came to each location from any, those who stayed included.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    from_location : dict
        Where each subscriber was before.
    to_location : dict
        Where each subscriber was after, in the same unit.
    join_type : str, default 'inner'
        Which subscribers count: those with both locations (inner), with a location before (left),
        after (right), or either (full outer); a location that is missing is empty. One of: inner,
        full outer, left, right, left outer, right outer.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value (int64).
    """
    return connection.make_api_query(
        inflows_spec(from_location=from_location, to_location=to_location, join_type=join_type)
    )


def joined_spatial_aggregate_spec(*, locations: QuerySpec, metric: QuerySpec, method: str = "avg") -> QuerySpec:
    """A statistic of a metric of the subscribers who have each location as theirs.

    Subscribers without the metric do not count. `stddev` and `variance` are of the sample; of equally
    common values, `mode` is the smallest. One person's value is never published: a published `max` is
    the greatest value that 16 people reach (or as many as the deployment asks for), a published `min`
    the least that 16 stay within, and a `mode` is published where 16 people share it.

    Parameters
    ----------
    locations : dict
        Where each subscriber is.
    metric : dict
        A number for each subscriber.
    method : str, default 'avg'
        The statistic of the metric at each location. One of: count, sum, avg, max, min, median,
        stddev, variance, mode.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "joined_spatial_aggregate",
        "locations": locations,
        "metric": metric,
        "method": method,
    }


def joined_spatial_aggregate(
    *, connection: QueryMaker[Query], locations: QuerySpec, metric: QuerySpec, method: str = "avg"
) -> Query:
    """A statistic of a metric of the subscribers who have each location as theirs.

    Subscribers without the metric do not count. `stddev` and `variance` are of the sample; of equally
    common values, `mode` is the smallest. One person's value is never published: a published `max` is
    the greatest value that 16 people reach (or as many as the deployment asks for), a published `min`
    the least that 16 stay within, and a `mode` is published where 16 people share it.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    locations : dict
        Where each subscriber is.
    metric : dict
        A number for each subscriber.
    method : str, default 'avg'
        The statistic of the metric at each location. One of: count, sum, avg, max, min, median,
        stddev, variance, mode.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value (float64).
    """
    return connection.make_api_query(joined_spatial_aggregate_spec(locations=locations, metric=metric, method=method))


def location_event_counts_spec(
    *,
    start_date: Date,
    end_date: Date,
    aggregation_unit: str,
    count_interval: str,
    direction: str = "both",
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
    hours: Hours | None = None,
) -> QuerySpec:
    """How many events there were at each location, each day, hour or minute.

    Intervals are of local time. A row is published where enough different subscribers stand behind it.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat.
    count_interval : str
        Count by day, hour or minute. One of: day, hour, min, minute.
    direction : str, default 'both'
        Incoming events, outgoing ones, or both. One of: in, out, both.
    event_types : list of str, optional
        The event types to look at; left out: those with two parties, calls and sms. One of: calls,
        sms, mds, topups.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of cells and units; none is offered.
    geom_table : str, optional
        A table of positions; none is offered.
    geom_table_join_column : str, optional
        A column of geom_table; none is offered.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "location_event_counts",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "aggregation_unit": aggregation_unit,
        "interval": interval_name(count_interval),
        "direction": direction,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "mapping_table": mapping_table,
        "geom_table": geom_table,
        "geom_table_join_column": geom_table_join_column,
        "hours": hour_range(hours),
    }


def location_event_counts(
    *,
    connection: QueryMaker[Query],
    start_date: Date,
    end_date: Date,
    aggregation_unit: str,
    count_interval: str,
    direction: str = "both",
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
    hours: Hours | None = None,
) -> Query:
    """How many events there were at each location, each day, hour or minute.

    Intervals are of local time. A row is published where enough different subscribers stand behind it.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat.
    count_interval : str
        Count by day, hour or minute. One of: day, hour, min, minute.
    direction : str, default 'both'
        Incoming events, outgoing ones, or both. One of: in, out, both.
    event_types : list of str, optional
        The event types to look at; left out: those with two parties, calls and sms. One of: calls,
        sms, mds, topups.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of cells and units; none is offered.
    geom_table : str, optional
        A table of positions; none is offered.
    geom_table_join_column : str, optional
        A column of geom_table; none is offered.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), date (string), value (int64).
    """
    return connection.make_api_query(
        location_event_counts_spec(
            start_date=start_date,
            end_date=end_date,
            aggregation_unit=aggregation_unit,
            count_interval=count_interval,
            direction=direction,
            event_types=event_types,
            subscriber_subset=subscriber_subset,
            mapping_table=mapping_table,
            geom_table=geom_table,
            geom_table_join_column=geom_table_join_column,
            hours=hours,
        )
    )


def outflows_spec(*, from_location: QuerySpec, to_location: QuerySpec, join_type: str = "inner") -> QuerySpec:
    """How many subscribers went from each location to any, those who stayed included.

    Parameters
    ----------
    from_location : dict
        Where each subscriber was before.
    to_location : dict
        Where each subscriber was after, in the same unit.
    join_type : str, default 'inner'
        Which subscribers count: those with both locations (inner), with a location before (left),
        after (right), or either (full outer); a location that is missing is empty. One of: inner,
        full outer, left, right, left outer, right outer.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "outflows",
        "from_location": from_location,
        "to_location": to_location,
        "join_type": join_type,
    }


def outflows(
    *, connection: QueryMaker[Query], from_location: QuerySpec, to_location: QuerySpec, join_type: str = "inner"
) -> Query:
    """How many subscribers went from each location to any, those who stayed included.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    from_location : dict
        Where each subscriber was before.
    to_location : dict
        Where each subscriber was after, in the same unit.
    join_type : str, default 'inner'
        Which subscribers count: those with both locations (inner), with a location before (left),
        after (right), or either (full outer); a location that is missing is empty. One of: inner,
        full outer, left, right, left outer, right outer.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value (int64).
    """
    return connection.make_api_query(
        outflows_spec(from_location=from_location, to_location=to_location, join_type=join_type)
    )


def spatial_aggregate_spec(*, locations: QuerySpec) -> QuerySpec:
    """How many subscribers have each location as theirs.

    Parameters
    ----------
    locations : dict
        Where each subscriber is.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "spatial_aggregate",
        "locations": locations,
    }


def spatial_aggregate(*, connection: QueryMaker[Query], locations: QuerySpec) -> Query:
    """How many subscribers have each location as theirs.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    locations : dict
        Where each subscriber is.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value (int64).
    """
    return connection.make_api_query(spatial_aggregate_spec(locations=locations))


def trips_od_matrix_spec(
    *,
    start_date: Date,
    end_date: Date,
    aggregation_unit: str,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
    hours: Hours | None = None,
) -> QuerySpec:
    """How many subscribers were seen at one location and, later, at another.

    A subscriber counts once for a pair if the first event at the one came before the last event at the
    other.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat.
    event_types : list of str, optional
        The event types to look at; left out: those with two parties, calls and sms. One of: calls,
        sms, mds, topups.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of cells and units; none is offered.
    geom_table : str, optional
        A table of positions; none is offered.
    geom_table_join_column : str, optional
        A column of geom_table; none is offered.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "trips_od_matrix",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "aggregation_unit": aggregation_unit,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "mapping_table": mapping_table,
        "geom_table": geom_table,
        "geom_table_join_column": geom_table_join_column,
        "hours": hour_range(hours),
    }


def trips_od_matrix(
    *,
    connection: QueryMaker[Query],
    start_date: Date,
    end_date: Date,
    aggregation_unit: str,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
    hours: Hours | None = None,
) -> Query:
    """How many subscribers were seen at one location and, later, at another.

    A subscriber counts once for a pair if the first event at the one came before the last event at the
    other.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat.
    event_types : list of str, optional
        The event types to look at; left out: those with two parties, calls and sms. One of: calls,
        sms, mds, topups.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of cells and units; none is offered.
    geom_table : str, optional
        A table of positions; none is offered.
    geom_table_join_column : str, optional
        A column of geom_table; none is offered.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod_from (string), pcod_to (string), value (int64).
    """
    return connection.make_api_query(
        trips_od_matrix_spec(
            start_date=start_date,
            end_date=end_date,
            aggregation_unit=aggregation_unit,
            event_types=event_types,
            subscriber_subset=subscriber_subset,
            mapping_table=mapping_table,
            geom_table=geom_table,
            geom_table_join_column=geom_table_join_column,
            hours=hours,
        )
    )


def unique_subscriber_counts_spec(
    *,
    start_date: Date,
    end_date: Date,
    aggregation_unit: str,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
) -> QuerySpec:
    """How many different subscribers were seen at each location.

    A subscriber who was seen in three places counts once in each of them.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat.
    mapping_table : str, optional
        A table of cells and units; none is offered.
    geom_table : str, optional
        A table of positions; none is offered.
    geom_table_join_column : str, optional
        A column of geom_table; none is offered.
    event_types : list of str, optional
        The event types to look at; left out: those with two parties, calls and sms. One of: calls,
        sms, mds, topups.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "unique_subscriber_counts",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "aggregation_unit": aggregation_unit,
        "mapping_table": mapping_table,
        "geom_table": geom_table,
        "geom_table_join_column": geom_table_join_column,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
    }


def unique_subscriber_counts(
    *,
    connection: QueryMaker[Query],
    start_date: Date,
    end_date: Date,
    aggregation_unit: str,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
) -> Query:
    """How many different subscribers were seen at each location.

    A subscriber who was seen in three places counts once in each of them.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat.
    mapping_table : str, optional
        A table of cells and units; none is offered.
    geom_table : str, optional
        A table of positions; none is offered.
    geom_table_join_column : str, optional
        A column of geom_table; none is offered.
    event_types : list of str, optional
        The event types to look at; left out: those with two parties, calls and sms. One of: calls,
        sms, mds, topups.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value (int64).
    """
    return connection.make_api_query(
        unique_subscriber_counts_spec(
            start_date=start_date,
            end_date=end_date,
            aggregation_unit=aggregation_unit,
            mapping_table=mapping_table,
            geom_table=geom_table,
            geom_table_join_column=geom_table_join_column,
            event_types=event_types,
            subscriber_subset=subscriber_subset,
            hours=hours,
        )
    )
