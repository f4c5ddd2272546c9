"""The queries that FlowAPI answers, as specs and over a connection.

Written by tools/generate_client.py from the catalogue of query kinds: change that, not this.
"""

# ruff: noqa: A002

from __future__ import annotations

from flowclient.connection import Query, QueryMaker
from flowclient.spec_values import (
    Bins,
    Bounds,
    Date,
    DayScores,
    Hours,
    Polygons,
    QuerySpec,
    bounds,
    day,
    given,
    histogram_bins,
    hour_range,
    interval_name,
)

__all__ = [
    "active_at_reference_location_counts",
    "active_at_reference_location_counts_spec",
    "aggregate_network_objects",
    "aggregate_network_objects_spec",
    "calendar_activity",
    "calendar_activity_spec",
    "consecutive_trips_od_matrix",
    "consecutive_trips_od_matrix_spec",
    "dfs_metric_total_amount",
    "dfs_metric_total_amount_spec",
    "dummy_query",
    "dummy_query_spec",
    "flows",
    "flows_spec",
    "histogram_aggregate",
    "histogram_aggregate_spec",
    "inflows",
    "inflows_spec",
    "joined_spatial_aggregate",
    "joined_spatial_aggregate_spec",
    "labelled_flows",
    "labelled_flows_spec",
    "labelled_spatial_aggregate",
    "labelled_spatial_aggregate_spec",
    "localised_calendar_activity",
    "localised_calendar_activity_spec",
    "location_event_counts",
    "location_event_counts_spec",
    "location_introversion",
    "location_introversion_spec",
    "meaningful_locations_aggregate",
    "meaningful_locations_aggregate_spec",
    "meaningful_locations_between_dates_od_matrix",
    "meaningful_locations_between_dates_od_matrix_spec",
    "meaningful_locations_between_label_od_matrix",
    "meaningful_locations_between_label_od_matrix_spec",
    "outflows",
    "outflows_spec",
    "spatial_aggregate",
    "spatial_aggregate_spec",
    "total_network_objects",
    "total_network_objects_spec",
    "trips_od_matrix",
    "trips_od_matrix_spec",
    "unique_subscriber_counts",
    "unique_subscriber_counts_spec",
    "unique_visitor_counts",
    "unique_visitor_counts_spec",
    "unmoving_at_reference_location_counts",
    "unmoving_at_reference_location_counts_spec",
    "unmoving_counts",
    "unmoving_counts_spec",
]


def active_at_reference_location_counts_spec(
    *, reference_locations: QuerySpec, unique_locations: QuerySpec
) -> QuerySpec:
    """How many of the subscribers who have each location as their reference location were seen there.

    A location none of whose subscribers was seen there has the value 0, as in FlowKit; release
    suppresses it.

    Parameters
    ----------
    reference_locations : dict
        The location that each subscriber belongs to, in the same unit.
    unique_locations : dict
        Everywhere each subscriber was seen.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "active_at_reference_location_counts",
        "reference_locations": reference_locations,
        "unique_locations": unique_locations,
    }


def active_at_reference_location_counts(
    *, connection: QueryMaker[Query], reference_locations: QuerySpec, unique_locations: QuerySpec
) -> Query:
    """How many of the subscribers who have each location as their reference location were seen there.

    A location none of whose subscribers was seen there has the value 0, as in FlowKit; release
    suppresses it.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    reference_locations : dict
        The location that each subscriber belongs to, in the same unit.
    unique_locations : dict
        Everywhere each subscriber was seen.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value (int64).
    """
    return connection.make_api_query(
        active_at_reference_location_counts_spec(
            reference_locations=reference_locations, unique_locations=unique_locations
        )
    )


def aggregate_network_objects_spec(
    *, total_network_objects: QuerySpec, statistic: str, aggregate_by: str = "day"
) -> QuerySpec:
    """A statistic of how many cells had an event at each location, over each longer stretch of time.

    The numbers of cells are those of `total_network_objects`, of the stretches that have any;
    `datetime` is the local time, with its offset, at which the longer stretch begins. `stddev` and
    `variance` are of the sample; of equally common numbers, `mode` is the smallest. A row is published
    if enough different subscribers were there in the whole of the longer stretch; it then has the
    statistic as it is. FlowKit's definition; FlowKit publishes every row.

    Parameters
    ----------
    total_network_objects : dict
        The numbers of cells.
    statistic : str
        The statistic of the numbers of each longer stretch. One of: count, sum, avg, max, min,
        median, stddev, variance, mode.
    aggregate_by : str, default 'day'
        The longer stretch: none is finer than total_by. One of: second, minute, hour, day, month,
        year, century.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "aggregate_network_objects",
        "total_network_objects": total_network_objects,
        "statistic": statistic,
        "aggregate_by": aggregate_by,
    }


def aggregate_network_objects(
    *, connection: QueryMaker[Query], total_network_objects: QuerySpec, statistic: str, aggregate_by: str = "day"
) -> Query:
    """A statistic of how many cells had an event at each location, over each longer stretch of time.

    The numbers of cells are those of `total_network_objects`, of the stretches that have any;
    `datetime` is the local time, with its offset, at which the longer stretch begins. `stddev` and
    `variance` are of the sample; of equally common numbers, `mode` is the smallest. A row is published
    if enough different subscribers were there in the whole of the longer stretch; it then has the
    statistic as it is. FlowKit's definition; FlowKit publishes every row.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    total_network_objects : dict
        The numbers of cells.
    statistic : str
        The statistic of the numbers of each longer stretch. One of: count, sum, avg, max, min,
        median, stddev, variance, mode.
    aggregate_by : str, default 'day'
        The longer stretch: none is finer than total_by. One of: second, minute, hour, day, month,
        year, century.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value (float64), datetime (timestamp).
    """
    return connection.make_api_query(
        aggregate_network_objects_spec(
            total_network_objects=total_network_objects, statistic=statistic, aggregate_by=aggregate_by
        )
    )


def calendar_activity_spec(
    *,
    start_date: Date,
    total_periods: int,
    period_unit: str = "days",
    period_length: int = 1,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """How many subscribers were active in exactly which periods.

    A row tells the starts of periods in order, in local time, and how many subscribers had an event,
    wherever it was, in each of these and in no other. Those without one are in no row. A sample is one
    of subscribers.

    Parameters
    ----------
    start_date : date or str
        When the first period begins, to the minute.
    total_periods : int
        How many periods there are.
    period_unit : str, default 'days'
        What period_length is counted in. One of: days, hours, minutes.
    period_length : int, default 1
        How many units long a period is.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "calendar_activity",
        "start_date": day(start_date),
        "total_periods": total_periods,
        "period_unit": period_unit,
        "period_length": period_length,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
        **given(sampling=sampling),
    }


def calendar_activity(
    *,
    connection: QueryMaker[Query],
    start_date: Date,
    total_periods: int,
    period_unit: str = "days",
    period_length: int = 1,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
    sampling: QuerySpec | None = None,
) -> Query:
    """How many subscribers were active in exactly which periods.

    A row tells the starts of periods in order, in local time, and how many subscribers had an event,
    wherever it was, in each of these and in no other. Those without one are in no row. A sample is one
    of subscribers.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    start_date : date or str
        When the first period begins, to the minute.
    total_periods : int
        How many periods there are.
    period_unit : str, default 'days'
        What period_length is counted in. One of: days, hours, minutes.
    period_length : int, default 1
        How many units long a period is.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns grp (periods), value (int64).
    """
    return connection.make_api_query(
        calendar_activity_spec(
            start_date=start_date,
            total_periods=total_periods,
            period_unit=period_unit,
            period_length=period_length,
            event_types=event_types,
            subscriber_subset=subscriber_subset,
            hours=hours,
            sampling=sampling,
        )
    )


def consecutive_trips_od_matrix_spec(
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
    """How many subscribers were seen at one location and, at their next event, at another or the same.

    A subscriber counts once for a pair, however often its events follow each other. Events are in the
    order of time; those at the same time, in the order of their places' codes. Events at no known place
    are passed over.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "consecutive_trips_od_matrix",
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


def consecutive_trips_od_matrix(
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
    """How many subscribers were seen at one location and, at their next event, at another or the same.

    A subscriber counts once for a pair, however often its events follow each other. Events are in the
    order of time; those at the same time, in the order of their places' codes. Events at no known place
    are passed over.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod_from (string), pcod_to (string), value (int64).
    """
    return connection.make_api_query(
        consecutive_trips_od_matrix_spec(
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


def dfs_metric_total_amount_spec(*, start_date: Date, end_date: Date, metric: str, aggregation_unit: str) -> QuerySpec:
    """Total amount, fee, commission or discount of mobile money transactions at each location, each day.

    Both parties of a transaction count, each at the cell and version of a cell where it was, so that a
    transfer within a unit counts twice. The window includes `end_date`, unlike every other kind's.
    FlowKit's definition. Transactions that do not tell the metric are left out. A row is published
    where enough different subscribers stand behind it, and none of them makes up too much of it: the
    amounts of all but the two greatest contributors must come to 10 % of the greatest one's (the
    p-percent rule, see `release.PERCENT`). FlowKit publishes every row.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The last day, which is included.
    metric : str
        Which amount of a transaction to add up. One of: amount, commission, fee, discount.
    aggregation_unit : str
        The level to tell locations by; not lon-lat. One of: admin0, admin1, admin2, admin3, cell,
        site.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "dfs_metric_total_amount",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "metric": metric,
        "aggregation_unit": aggregation_unit,
    }


def dfs_metric_total_amount(
    *, connection: QueryMaker[Query], start_date: Date, end_date: Date, metric: str, aggregation_unit: str
) -> Query:
    """Total amount, fee, commission or discount of mobile money transactions at each location, each day.

    Both parties of a transaction count, each at the cell and version of a cell where it was, so that a
    transfer within a unit counts twice. The window includes `end_date`, unlike every other kind's.
    FlowKit's definition. Transactions that do not tell the metric are left out. A row is published
    where enough different subscribers stand behind it, and none of them makes up too much of it: the
    amounts of all but the two greatest contributors must come to 10 % of the greatest one's (the
    p-percent rule, see `release.PERCENT`). FlowKit publishes every row.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    start_date : date or str
        The first day.
    end_date : date or str
        The last day, which is included.
    metric : str
        Which amount of a transaction to add up. One of: amount, commission, fee, discount.
    aggregation_unit : str
        The level to tell locations by; not lon-lat. One of: admin0, admin1, admin2, admin3, cell,
        site.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns date (date), pcod (string), value (float64).
    """
    return connection.make_api_query(
        dfs_metric_total_amount_spec(
            start_date=start_date, end_date=end_date, metric=metric, aggregation_unit=aggregation_unit
        )
    )


def dummy_query_spec(
    *,
    dummy_param: str,
    aggregation_unit: str,
    dummy_delay: int = 0,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
) -> QuerySpec:
    """Nothing about any data: it gives back its own parameter after a delay, to test clients.

    It runs through a server like any other question: it waits for a worker, takes `dummy_delay` seconds
    there, can be polled and cancelled meanwhile, and its result is kept. The result is one row with the
    `dummy_param`. It needs no data, and takes any unit for FlowKit's clients; in the library, nothing
    is waited for.

    Parameters
    ----------
    dummy_param : str
        Any text, which makes it another question.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    dummy_delay : int, default 0
        How many seconds a server's worker takes over it.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "dummy_query",
        "dummy_param": dummy_param,
        "aggregation_unit": aggregation_unit,
        "dummy_delay": dummy_delay,
        "mapping_table": mapping_table,
        "geom_table": geom_table,
        "geom_table_join_column": geom_table_join_column,
    }


def dummy_query(
    *,
    connection: QueryMaker[Query],
    dummy_param: str,
    aggregation_unit: str,
    dummy_delay: int = 0,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
) -> Query:
    """Nothing about any data: it gives back its own parameter after a delay, to test clients.

    It runs through a server like any other question: it waits for a worker, takes `dummy_delay` seconds
    there, can be polled and cancelled meanwhile, and its result is kept. The result is one row with the
    `dummy_param`. It needs no data, and takes any unit for FlowKit's clients; in the library, nothing
    is waited for.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    dummy_param : str
        Any text, which makes it another question.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    dummy_delay : int, default 0
        How many seconds a server's worker takes over it.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns dummy_param (string).
    """
    return connection.make_api_query(
        dummy_query_spec(
            dummy_param=dummy_param,
            aggregation_unit=aggregation_unit,
            dummy_delay=dummy_delay,
            mapping_table=mapping_table,
            geom_table=geom_table,
            geom_table_join_column=geom_table_join_column,
        )
    )


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
    bins span the metric's least to greatest value. If one bin stands for too few people, all are
    suppressed.

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
    bins span the metric's least to greatest value. If one bin stands for too few people, all are
    suppressed.

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

    Subscribers without the metric or a known location do not count. `stddev` and `variance` are of the
    sample; of equally common values, `mode` is the smallest. One person's value is never published: a
    published `max` is the greatest value that 16 people reach (or as many as the deployment asks for),
    a published `min` the least that 16 stay within, a `mode` is published where 16 people share it. A
    `sum` is published where no one makes up too much of it, and so are `avg`, `stddev` and `variance`,
    which tell the sum to whoever knows the number of people. A metric that is no number, a handset, has
    a `mode`, and a `distr`: the share of each value among the subscribers, with `key` the value. A
    share is published where 16 people make it up. As the shares of a location sum to 1, one that is
    withheld could be computed from the others: at least two are withheld, of 16 people together, the
    next smallest too if needed.

    Parameters
    ----------
    locations : dict
        Where each subscriber is.
    metric : dict
        A number, or a category, for each subscriber.
    method : str, default 'avg'
        The statistic of the metric at each location; of a category, distr or mode. One of: count,
        sum, avg, max, min, median, stddev, variance, mode, distr.

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

    Subscribers without the metric or a known location do not count. `stddev` and `variance` are of the
    sample; of equally common values, `mode` is the smallest. One person's value is never published: a
    published `max` is the greatest value that 16 people reach (or as many as the deployment asks for),
    a published `min` the least that 16 stay within, a `mode` is published where 16 people share it. A
    `sum` is published where no one makes up too much of it, and so are `avg`, `stddev` and `variance`,
    which tell the sum to whoever knows the number of people. A metric that is no number, a handset, has
    a `mode`, and a `distr`: the share of each value among the subscribers, with `key` the value. A
    share is published where 16 people make it up. As the shares of a location sum to 1, one that is
    withheld could be computed from the others: at least two are withheld, of 16 people together, the
    next smallest too if needed.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    locations : dict
        Where each subscriber is.
    metric : dict
        A number, or a category, for each subscriber.
    method : str, default 'avg'
        The statistic of the metric at each location; of a category, distr or mode. One of: count,
        sum, avg, max, min, median, stddev, variance, mode, distr.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value (float64).
    """
    return connection.make_api_query(joined_spatial_aggregate_spec(locations=locations, metric=metric, method=method))


def labelled_flows_spec(
    *, from_location: QuerySpec, to_location: QuerySpec, labels: QuerySpec, join_type: str = "inner"
) -> QuerySpec:
    """How many subscribers of each label went from each location to each other, those who stayed included.

    Subscribers without a label stand under an empty one. Where a label of a pair of locations stands
    for too few people, nothing of the pair is published; nor are moves from or to an unknown location,
    whatever their number.

    Parameters
    ----------
    from_location : dict
        Where each subscriber was before.
    to_location : dict
        Where each subscriber was after, in the same unit.
    labels : dict
        A label for each subscriber.
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
        "query_kind": "labelled_flows",
        "from_location": from_location,
        "to_location": to_location,
        "labels": labels,
        "join_type": join_type,
    }


def labelled_flows(
    *,
    connection: QueryMaker[Query],
    from_location: QuerySpec,
    to_location: QuerySpec,
    labels: QuerySpec,
    join_type: str = "inner",
) -> Query:
    """How many subscribers of each label went from each location to each other, those who stayed included.

    Subscribers without a label stand under an empty one. Where a label of a pair of locations stands
    for too few people, nothing of the pair is published; nor are moves from or to an unknown location,
    whatever their number.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    from_location : dict
        Where each subscriber was before.
    to_location : dict
        Where each subscriber was after, in the same unit.
    labels : dict
        A label for each subscriber.
    join_type : str, default 'inner'
        Which subscribers count: those with both locations (inner), with a location before (left),
        after (right), or either (full outer); a location that is missing is empty. One of: inner,
        full outer, left, right, left outer, right outer.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod_from (string), pcod_to (string), value_label
        (string), value (int64).
    """
    return connection.make_api_query(
        labelled_flows_spec(from_location=from_location, to_location=to_location, labels=labels, join_type=join_type)
    )


def labelled_spatial_aggregate_spec(*, locations: QuerySpec, labels: QuerySpec) -> QuerySpec:
    """How many subscribers of each label have each location as theirs.

    Subscribers without a label stand under an empty one. Where a label at a location stands for too few
    people, nothing of the location is published; nor are people without a location, whatever their
    number.

    Parameters
    ----------
    locations : dict
        Where each subscriber is.
    labels : dict
        A label for each subscriber.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "labelled_spatial_aggregate",
        "locations": locations,
        "labels": labels,
    }


def labelled_spatial_aggregate(*, connection: QueryMaker[Query], locations: QuerySpec, labels: QuerySpec) -> Query:
    """How many subscribers of each label have each location as theirs.

    Subscribers without a label stand under an empty one. Where a label at a location stands for too few
    people, nothing of the location is published; nor are people without a location, whatever their
    number.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    locations : dict
        Where each subscriber is.
    labels : dict
        A label for each subscriber.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value_label (string), value (int64).
    """
    return connection.make_api_query(labelled_spatial_aggregate_spec(locations=locations, labels=labels))


def localised_calendar_activity_spec(
    *,
    start_date: Date,
    total_periods: int,
    period_unit: str = "days",
    period_length: int = 1,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
    locations: QuerySpec | None = None,
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """How many subscribers of each location were active in exactly which periods.

    A row tells a location, the starts of periods in order, in local time, and how many of those who
    have the location as theirs had an event, wherever it was, in each of these periods and in no other;
    those without one have an empty label. A sample is one of the subscribers who have a location. A
    location of which one row stands for too few people is suppressed as a whole.

    Parameters
    ----------
    start_date : date or str
        When the first period begins, to the minute.
    total_periods : int
        How many periods there are.
    period_unit : str, default 'days'
        What period_length is counted in. One of: days, hours, minutes.
    period_length : int, default 1
        How many units long a period is.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).
    locations : dict, optional
        Where each subscriber is.
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "localised_calendar_activity",
        "start_date": day(start_date),
        "total_periods": total_periods,
        "period_unit": period_unit,
        "period_length": period_length,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
        "reference_location": locations,
        **given(sampling=sampling),
    }


def localised_calendar_activity(
    *,
    connection: QueryMaker[Query],
    start_date: Date,
    total_periods: int,
    period_unit: str = "days",
    period_length: int = 1,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
    locations: QuerySpec | None = None,
    sampling: QuerySpec | None = None,
) -> Query:
    """How many subscribers of each location were active in exactly which periods.

    A row tells a location, the starts of periods in order, in local time, and how many of those who
    have the location as theirs had an event, wherever it was, in each of these periods and in no other;
    those without one have an empty label. A sample is one of the subscribers who have a location. A
    location of which one row stands for too few people is suppressed as a whole.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    start_date : date or str
        When the first period begins, to the minute.
    total_periods : int
        How many periods there are.
    period_unit : str, default 'days'
        What period_length is counted in. One of: days, hours, minutes.
    period_length : int, default 1
        How many units long a period is.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).
    locations : dict, optional
        Where each subscriber is.
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value_label (periods), value (int64).
    """
    return connection.make_api_query(
        localised_calendar_activity_spec(
            start_date=start_date,
            total_periods=total_periods,
            period_unit=period_unit,
            period_length=period_length,
            event_types=event_types,
            subscriber_subset=subscriber_subset,
            hours=hours,
            locations=locations,
            sampling=sampling,
        )
    )


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
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    count_interval : str
        Count by day, hour or minute. One of: day, hour, min, minute.
    direction : str, default 'both'
        Incoming events, outgoing ones, or both. One of: in, out, both.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.
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
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    count_interval : str
        Count by day, hour or minute. One of: day, hour, min, minute.
    direction : str, default 'both'
        Incoming events, outgoing ones, or both. One of: in, out, both.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.
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


def location_introversion_spec(
    *,
    start_date: Date,
    end_date: Date,
    aggregation_unit: str,
    direction: str = "both",
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
) -> QuerySpec:
    """Which share of the calls and texts at each location have their other party at the same location, from 0 to 1.

    An interaction is two events of the same `id`, one outgoing and one incoming; it is looked at from
    the location of each of them, or with a `direction` of that one alone. Interactions whose other
    party is not among the events that are looked at, or at no known place, do not count. The definition
    is FlowKit's: ids are matched across days and event types, and events that share one with several of
    the other direction count with each.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    direction : str, default 'both'
        Incoming events, outgoing ones, or both. One of: in, out, both.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
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
        "query_kind": "location_introversion",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "aggregation_unit": aggregation_unit,
        "direction": direction,
        "mapping_table": mapping_table,
        "geom_table": geom_table,
        "geom_table_join_column": geom_table_join_column,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
    }


def location_introversion(
    *,
    connection: QueryMaker[Query],
    start_date: Date,
    end_date: Date,
    aggregation_unit: str,
    direction: str = "both",
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
) -> Query:
    """Which share of the calls and texts at each location have their other party at the same location, from 0 to 1.

    An interaction is two events of the same `id`, one outgoing and one incoming; it is looked at from
    the location of each of them, or with a `direction` of that one alone. Interactions whose other
    party is not among the events that are looked at, or at no known place, do not count. The definition
    is FlowKit's: ids are matched across days and event types, and events that share one with several of
    the other direction count with each.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    direction : str, default 'both'
        Incoming events, outgoing ones, or both. One of: in, out, both.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value (float64).
    """
    return connection.make_api_query(
        location_introversion_spec(
            start_date=start_date,
            end_date=end_date,
            aggregation_unit=aggregation_unit,
            direction=direction,
            mapping_table=mapping_table,
            geom_table=geom_table,
            geom_table_join_column=geom_table_join_column,
            event_types=event_types,
            subscriber_subset=subscriber_subset,
            hours=hours,
        )
    )


def meaningful_locations_aggregate_spec(
    *,
    start_date: Date,
    end_date: Date,
    label: str,
    labels: Polygons,
    tower_day_of_week_scores: DayScores,
    tower_hour_of_day_scores: list[float],
    aggregation_unit: str,
    tower_cluster_radius: float = 1.0,
    tower_cluster_call_threshold: int = 0,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
) -> QuerySpec:
    """How many subscribers have a cluster of sites with a label, such as their home, in each area.

    Sites that a subscriber was seen at are drawn together: in the order of the days with an event
    there, of equals by the site's id and version, each joins the first cluster whose centre is nearer
    than the radius, or founds a new one. A cell without a site is one by itself. A cluster's centre is
    the mean position of its sites weighted by days; its score the mean of its sites' scores, and a
    site's score the mean of its events', one by the hour and one by the day of the week. Clusters with
    fewer days than the threshold are left out. A cluster has the label whose polygon strictly contains
    its score, to six decimals; `unknown` is that of all others. A subscriber with several clusters of
    the label counts in parts that add up to one. A centre in no area, or exactly on a border, is
    counted where the location is empty. Source: Isaacman et al. (2011),
    doi:10.1007/978-3-642-21726-5_9, with FlowKit's scores.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    label : str
        The label to count: one of labels, or unknown.
    labels : dict of dict
        Labels by name, each a GeoJSON polygon of scores: x is the score of the hour, y that of the
        day of the week. They lie apart; a score in none of them is labelled unknown.
    tower_day_of_week_scores : dict of float
        How an event scores by its day of the week: a number from -1 to 1 for each. Written as
        {'monday': score, ..., 'sunday': score}.
    tower_hour_of_day_scores : list of float
        How an event scores by its hour: 24 numbers from -1 to 1, the first for the hour from
        midnight.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    tower_cluster_radius : float, default 1.0
        How near to a cluster's centre a site must be to join it, in km.
    tower_cluster_call_threshold : int, default 0
        On how many days a cluster's sites must be called from, each added up.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "meaningful_locations_aggregate",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "label": label,
        "labels": labels,
        "tower_day_of_week_scores": tower_day_of_week_scores,
        "tower_hour_of_day_scores": tower_hour_of_day_scores,
        "aggregation_unit": aggregation_unit,
        "tower_cluster_radius": tower_cluster_radius,
        "tower_cluster_call_threshold": tower_cluster_call_threshold,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "mapping_table": mapping_table,
        "geom_table": geom_table,
        "geom_table_join_column": geom_table_join_column,
    }


def meaningful_locations_aggregate(
    *,
    connection: QueryMaker[Query],
    start_date: Date,
    end_date: Date,
    label: str,
    labels: Polygons,
    tower_day_of_week_scores: DayScores,
    tower_hour_of_day_scores: list[float],
    aggregation_unit: str,
    tower_cluster_radius: float = 1.0,
    tower_cluster_call_threshold: int = 0,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
) -> Query:
    """How many subscribers have a cluster of sites with a label, such as their home, in each area.

    Sites that a subscriber was seen at are drawn together: in the order of the days with an event
    there, of equals by the site's id and version, each joins the first cluster whose centre is nearer
    than the radius, or founds a new one. A cell without a site is one by itself. A cluster's centre is
    the mean position of its sites weighted by days; its score the mean of its sites' scores, and a
    site's score the mean of its events', one by the hour and one by the day of the week. Clusters with
    fewer days than the threshold are left out. A cluster has the label whose polygon strictly contains
    its score, to six decimals; `unknown` is that of all others. A subscriber with several clusters of
    the label counts in parts that add up to one. A centre in no area, or exactly on a border, is
    counted where the location is empty. Source: Isaacman et al. (2011),
    doi:10.1007/978-3-642-21726-5_9, with FlowKit's scores.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    label : str
        The label to count: one of labels, or unknown.
    labels : dict of dict
        Labels by name, each a GeoJSON polygon of scores: x is the score of the hour, y that of the
        day of the week. They lie apart; a score in none of them is labelled unknown.
    tower_day_of_week_scores : dict of float
        How an event scores by its day of the week: a number from -1 to 1 for each. Written as
        {'monday': score, ..., 'sunday': score}.
    tower_hour_of_day_scores : list of float
        How an event scores by its hour: 24 numbers from -1 to 1, the first for the hour from
        midnight.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    tower_cluster_radius : float, default 1.0
        How near to a cluster's centre a site must be to join it, in km.
    tower_cluster_call_threshold : int, default 0
        On how many days a cluster's sites must be called from, each added up.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns label (string), pcod (string), value (float64).
    """
    return connection.make_api_query(
        meaningful_locations_aggregate_spec(
            start_date=start_date,
            end_date=end_date,
            label=label,
            labels=labels,
            tower_day_of_week_scores=tower_day_of_week_scores,
            tower_hour_of_day_scores=tower_hour_of_day_scores,
            aggregation_unit=aggregation_unit,
            tower_cluster_radius=tower_cluster_radius,
            tower_cluster_call_threshold=tower_cluster_call_threshold,
            event_types=event_types,
            subscriber_subset=subscriber_subset,
            mapping_table=mapping_table,
            geom_table=geom_table,
            geom_table_join_column=geom_table_join_column,
        )
    )


def meaningful_locations_between_dates_od_matrix_spec(
    *,
    start_date_a: Date,
    end_date_a: Date,
    start_date_b: Date,
    end_date_b: Date,
    label: str,
    labels: Polygons,
    tower_day_of_week_scores: DayScores,
    tower_hour_of_day_scores: list[float],
    aggregation_unit: str,
    tower_cluster_radius: float = 1.0,
    tower_cluster_call_threshold: int = 0,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
) -> QuerySpec:
    """How many subscribers have a cluster with a label in an area during one window and in each other during another.

    Clusters, scores and labels are those of `meaningful_locations_aggregate`, found anew in each
    window. Subscribers with the label in both count, in parts that add up to one over all pairs of
    their clusters. An area is empty where a centre lies in none.

    Parameters
    ----------
    start_date_a : date or str
        The first day of the window before.
    end_date_a : date or str
        The day after the last day of the window before.
    start_date_b : date or str
        The first day of the window after.
    end_date_b : date or str
        The day after the last day of the window after.
    label : str
        The label in both windows: one of labels, or unknown.
    labels : dict of dict
        Labels by name, each a GeoJSON polygon of scores: x is the score of the hour, y that of the
        day of the week. They lie apart; a score in none of them is labelled unknown.
    tower_day_of_week_scores : dict of float
        How an event scores by its day of the week: a number from -1 to 1 for each. Written as
        {'monday': score, ..., 'sunday': score}.
    tower_hour_of_day_scores : list of float
        How an event scores by its hour: 24 numbers from -1 to 1, the first for the hour from
        midnight.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    tower_cluster_radius : float, default 1.0
        How near to a cluster's centre a site must be to join it, in km.
    tower_cluster_call_threshold : int, default 0
        On how many days a cluster's sites must be called from, each added up.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "meaningful_locations_between_dates_od_matrix",
        "start_date_a": day(start_date_a),
        "end_date_a": day(end_date_a),
        "start_date_b": day(start_date_b),
        "end_date_b": day(end_date_b),
        "label": label,
        "labels": labels,
        "tower_day_of_week_scores": tower_day_of_week_scores,
        "tower_hour_of_day_scores": tower_hour_of_day_scores,
        "aggregation_unit": aggregation_unit,
        "tower_cluster_radius": tower_cluster_radius,
        "tower_cluster_call_threshold": tower_cluster_call_threshold,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "mapping_table": mapping_table,
        "geom_table": geom_table,
        "geom_table_join_column": geom_table_join_column,
    }


def meaningful_locations_between_dates_od_matrix(
    *,
    connection: QueryMaker[Query],
    start_date_a: Date,
    end_date_a: Date,
    start_date_b: Date,
    end_date_b: Date,
    label: str,
    labels: Polygons,
    tower_day_of_week_scores: DayScores,
    tower_hour_of_day_scores: list[float],
    aggregation_unit: str,
    tower_cluster_radius: float = 1.0,
    tower_cluster_call_threshold: int = 0,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
) -> Query:
    """How many subscribers have a cluster with a label in an area during one window and in each other during another.

    Clusters, scores and labels are those of `meaningful_locations_aggregate`, found anew in each
    window. Subscribers with the label in both count, in parts that add up to one over all pairs of
    their clusters. An area is empty where a centre lies in none.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    start_date_a : date or str
        The first day of the window before.
    end_date_a : date or str
        The day after the last day of the window before.
    start_date_b : date or str
        The first day of the window after.
    end_date_b : date or str
        The day after the last day of the window after.
    label : str
        The label in both windows: one of labels, or unknown.
    labels : dict of dict
        Labels by name, each a GeoJSON polygon of scores: x is the score of the hour, y that of the
        day of the week. They lie apart; a score in none of them is labelled unknown.
    tower_day_of_week_scores : dict of float
        How an event scores by its day of the week: a number from -1 to 1 for each. Written as
        {'monday': score, ..., 'sunday': score}.
    tower_hour_of_day_scores : list of float
        How an event scores by its hour: 24 numbers from -1 to 1, the first for the hour from
        midnight.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    tower_cluster_radius : float, default 1.0
        How near to a cluster's centre a site must be to join it, in km.
    tower_cluster_call_threshold : int, default 0
        On how many days a cluster's sites must be called from, each added up.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns label_from (string), label_to (string), pcod_from
        (string), pcod_to (string), value (float64).
    """
    return connection.make_api_query(
        meaningful_locations_between_dates_od_matrix_spec(
            start_date_a=start_date_a,
            end_date_a=end_date_a,
            start_date_b=start_date_b,
            end_date_b=end_date_b,
            label=label,
            labels=labels,
            tower_day_of_week_scores=tower_day_of_week_scores,
            tower_hour_of_day_scores=tower_hour_of_day_scores,
            aggregation_unit=aggregation_unit,
            tower_cluster_radius=tower_cluster_radius,
            tower_cluster_call_threshold=tower_cluster_call_threshold,
            event_types=event_types,
            subscriber_subset=subscriber_subset,
            mapping_table=mapping_table,
            geom_table=geom_table,
            geom_table_join_column=geom_table_join_column,
        )
    )


def meaningful_locations_between_label_od_matrix_spec(
    *,
    start_date: Date,
    end_date: Date,
    label_a: str,
    label_b: str,
    labels: Polygons,
    tower_day_of_week_scores: DayScores,
    tower_hour_of_day_scores: list[float],
    aggregation_unit: str,
    tower_cluster_radius: float = 1.0,
    tower_cluster_call_threshold: int = 0,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
) -> QuerySpec:
    """How many subscribers have a cluster with one label in an area and one with another label in each other.

    Clusters, scores and labels are those of `meaningful_locations_aggregate`. Subscribers with both
    labels count, in parts that add up to one over all pairs of their clusters. An area is empty where a
    centre lies in none.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    label_a : str
        The label at the origin: one of labels, or unknown.
    label_b : str
        The label at the destination: one of labels, or unknown.
    labels : dict of dict
        Labels by name, each a GeoJSON polygon of scores: x is the score of the hour, y that of the
        day of the week. They lie apart; a score in none of them is labelled unknown.
    tower_day_of_week_scores : dict of float
        How an event scores by its day of the week: a number from -1 to 1 for each. Written as
        {'monday': score, ..., 'sunday': score}.
    tower_hour_of_day_scores : list of float
        How an event scores by its hour: 24 numbers from -1 to 1, the first for the hour from
        midnight.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    tower_cluster_radius : float, default 1.0
        How near to a cluster's centre a site must be to join it, in km.
    tower_cluster_call_threshold : int, default 0
        On how many days a cluster's sites must be called from, each added up.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "meaningful_locations_between_label_od_matrix",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "label_a": label_a,
        "label_b": label_b,
        "labels": labels,
        "tower_day_of_week_scores": tower_day_of_week_scores,
        "tower_hour_of_day_scores": tower_hour_of_day_scores,
        "aggregation_unit": aggregation_unit,
        "tower_cluster_radius": tower_cluster_radius,
        "tower_cluster_call_threshold": tower_cluster_call_threshold,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "mapping_table": mapping_table,
        "geom_table": geom_table,
        "geom_table_join_column": geom_table_join_column,
    }


def meaningful_locations_between_label_od_matrix(
    *,
    connection: QueryMaker[Query],
    start_date: Date,
    end_date: Date,
    label_a: str,
    label_b: str,
    labels: Polygons,
    tower_day_of_week_scores: DayScores,
    tower_hour_of_day_scores: list[float],
    aggregation_unit: str,
    tower_cluster_radius: float = 1.0,
    tower_cluster_call_threshold: int = 0,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
) -> Query:
    """How many subscribers have a cluster with one label in an area and one with another label in each other.

    Clusters, scores and labels are those of `meaningful_locations_aggregate`. Subscribers with both
    labels count, in parts that add up to one over all pairs of their clusters. An area is empty where a
    centre lies in none.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    label_a : str
        The label at the origin: one of labels, or unknown.
    label_b : str
        The label at the destination: one of labels, or unknown.
    labels : dict of dict
        Labels by name, each a GeoJSON polygon of scores: x is the score of the hour, y that of the
        day of the week. They lie apart; a score in none of them is labelled unknown.
    tower_day_of_week_scores : dict of float
        How an event scores by its day of the week: a number from -1 to 1 for each. Written as
        {'monday': score, ..., 'sunday': score}.
    tower_hour_of_day_scores : list of float
        How an event scores by its hour: 24 numbers from -1 to 1, the first for the hour from
        midnight.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    tower_cluster_radius : float, default 1.0
        How near to a cluster's centre a site must be to join it, in km.
    tower_cluster_call_threshold : int, default 0
        On how many days a cluster's sites must be called from, each added up.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns label_from (string), label_to (string), pcod_from
        (string), pcod_to (string), value (float64).
    """
    return connection.make_api_query(
        meaningful_locations_between_label_od_matrix_spec(
            start_date=start_date,
            end_date=end_date,
            label_a=label_a,
            label_b=label_b,
            labels=labels,
            tower_day_of_week_scores=tower_day_of_week_scores,
            tower_hour_of_day_scores=tower_hour_of_day_scores,
            aggregation_unit=aggregation_unit,
            tower_cluster_radius=tower_cluster_radius,
            tower_cluster_call_threshold=tower_cluster_call_threshold,
            event_types=event_types,
            subscriber_subset=subscriber_subset,
            mapping_table=mapping_table,
            geom_table=geom_table,
            geom_table_join_column=geom_table_join_column,
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


def total_network_objects_spec(
    *,
    start_date: Date,
    end_date: Date,
    aggregation_unit: str,
    total_by: str = "day",
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
) -> QuerySpec:
    """How many cells had an event at each location, each second, minute, hour, day, month or year.

    Stretches of time are local, and `datetime` is the local time, with its offset, at which one begins:
    a local hour that is repeated when clocks go back is two hours, a day begins at its first instant. A
    stretch without an event is absent. A row is published if enough different subscribers stand behind
    it; the number of cells is then as it is. FlowKit's definition; FlowKit publishes every row.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    total_by : str, default 'day'
        Count cells by the second, minute, hour, day, month or year. One of: second, minute, hour,
        day, month, year.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
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
        "query_kind": "total_network_objects",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "aggregation_unit": aggregation_unit,
        "total_by": total_by,
        "mapping_table": mapping_table,
        "geom_table": geom_table,
        "geom_table_join_column": geom_table_join_column,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
    }


def total_network_objects(
    *,
    connection: QueryMaker[Query],
    start_date: Date,
    end_date: Date,
    aggregation_unit: str,
    total_by: str = "day",
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
) -> Query:
    """How many cells had an event at each location, each second, minute, hour, day, month or year.

    Stretches of time are local, and `datetime` is the local time, with its offset, at which one begins:
    a local hour that is repeated when clocks go back is two hours, a day begins at its first instant. A
    stretch without an event is absent. A row is published if enough different subscribers stand behind
    it; the number of cells is then as it is. FlowKit's definition; FlowKit publishes every row.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    total_by : str, default 'day'
        Count cells by the second, minute, hour, day, month or year. One of: second, minute, hour,
        day, month, year.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value (int64), datetime (timestamp).
    """
    return connection.make_api_query(
        total_network_objects_spec(
            start_date=start_date,
            end_date=end_date,
            aggregation_unit=aggregation_unit,
            total_by=total_by,
            mapping_table=mapping_table,
            geom_table=geom_table,
            geom_table_join_column=geom_table_join_column,
            event_types=event_types,
            subscriber_subset=subscriber_subset,
            hours=hours,
        )
    )


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
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.
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
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.
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
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
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
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    mapping_table : str, optional
        A table of the deployment's that says which unit each cell belongs to; left out: the one
        that it stands in. Cells that are not in the table are left out.
    geom_table : str, optional
        With lon-lat, a table of the deployment's that says where cells stand; left out: where the
        network's own table says. Other units do not look at it.
    geom_table_join_column : str, optional
        The column of geom_table that names cells, or that is also a column of mapping_table; left
        out: id.
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
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


def unique_visitor_counts_spec(
    *, active_at_reference_location_counts: QuerySpec, unique_subscriber_counts: QuerySpec
) -> QuerySpec:
    """How many subscribers were seen at each location beside those who have it as their reference location.

    It is the difference of two counts, of all who were seen and of the residents who were, and tells of
    visitors where both look at the same events. Locations that are nobody's reference location are
    absent; one where nobody was seen has no value. A row is published where both counts may be, and
    their difference stands for enough people too.

    Parameters
    ----------
    active_at_reference_location_counts : dict
        The residents who were seen at each location.
    unique_subscriber_counts : dict
        All who were seen at each location, in the same unit.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "unique_visitor_counts",
        "active_at_reference_location_counts": active_at_reference_location_counts,
        "unique_subscriber_counts": unique_subscriber_counts,
    }


def unique_visitor_counts(
    *,
    connection: QueryMaker[Query],
    active_at_reference_location_counts: QuerySpec,
    unique_subscriber_counts: QuerySpec,
) -> Query:
    """How many subscribers were seen at each location beside those who have it as their reference location.

    It is the difference of two counts, of all who were seen and of the residents who were, and tells of
    visitors where both look at the same events. Locations that are nobody's reference location are
    absent; one where nobody was seen has no value. A row is published where both counts may be, and
    their difference stands for enough people too.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    active_at_reference_location_counts : dict
        The residents who were seen at each location.
    unique_subscriber_counts : dict
        All who were seen at each location, in the same unit.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value (int64).
    """
    return connection.make_api_query(
        unique_visitor_counts_spec(
            active_at_reference_location_counts=active_at_reference_location_counts,
            unique_subscriber_counts=unique_subscriber_counts,
        )
    )


def unmoving_at_reference_location_counts_spec(
    *, reference_locations: QuerySpec, unique_locations: QuerySpec
) -> QuerySpec:
    """How many of the subscribers who have each location as their reference location were seen there and nowhere else.

    Subscribers who were not seen at all do not count.

    Parameters
    ----------
    reference_locations : dict
        The location that each subscriber belongs to, in the same unit.
    unique_locations : dict
        Everywhere each subscriber was seen.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "unmoving_at_reference_location_counts",
        "reference_locations": reference_locations,
        "locations": unique_locations,
    }


def unmoving_at_reference_location_counts(
    *, connection: QueryMaker[Query], reference_locations: QuerySpec, unique_locations: QuerySpec
) -> Query:
    """How many of the subscribers who have each location as their reference location were seen there and nowhere else.

    Subscribers who were not seen at all do not count.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    reference_locations : dict
        The location that each subscriber belongs to, in the same unit.
    unique_locations : dict
        Everywhere each subscriber was seen.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value (int64).
    """
    return connection.make_api_query(
        unmoving_at_reference_location_counts_spec(
            reference_locations=reference_locations, unique_locations=unique_locations
        )
    )


def unmoving_counts_spec(*, unique_locations: QuerySpec) -> QuerySpec:
    """How many subscribers were seen at each location and nowhere else.

    Parameters
    ----------
    unique_locations : dict
        Everywhere each subscriber was seen.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "unmoving_counts",
        "locations": unique_locations,
    }


def unmoving_counts(*, connection: QueryMaker[Query], unique_locations: QuerySpec) -> Query:
    """How many subscribers were seen at each location and nowhere else.

    Parameters
    ----------
    connection : Connection or ASyncConnection
        What connect() or connect_async() returned.
    unique_locations : dict
        Everywhere each subscriber was seen.

    Returns
    -------
    APIQuery or ASyncAPIQuery
        A query whose result has the columns pcod (string), value (int64).
    """
    return connection.make_api_query(unmoving_counts_spec(unique_locations=unique_locations))
