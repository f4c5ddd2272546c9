"""Specs of the queries that other queries are made of.

Written by tools/generate_client.py from the catalogue of query kinds: change that, not this.
"""

from __future__ import annotations

from flowclient.spec_values import (
    Date,
    Hours,
    QuerySpec,
    day,
    days,
    hour_range,
)

__all__ = [
    "daily_location_spec",
    "event_count_spec",
    "modal_location_from_dates_spec",
    "modal_location_spec",
    "most_frequent_location_spec",
    "radius_of_gyration_spec",
    "unique_locations_spec",
]


def daily_location_spec(
    *,
    date: Date,
    aggregation_unit: str,
    method: str,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
    hours: Hours | None = None,
) -> QuerySpec:
    """Where each subscriber was on a day: at the last event, or at most events.

    `last` is the place of the latest event; of events at the same time, the place whose code sorts
    last. `most-common` is the place of most events; of equals, the one with the later event, then the
    one whose code sorts last. Subscribers without an event at a known place that day are absent.

    Parameters
    ----------
    date : date or str
        The day; with a time of day, the 24 hours from it.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat.
    method : str
        Take the place of the last event, or of most events. One of: last, most-common.
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
        "query_kind": "daily_location",
        "date": day(date),
        "aggregation_unit": aggregation_unit,
        "method": method,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "mapping_table": mapping_table,
        "geom_table": geom_table,
        "geom_table_join_column": geom_table_join_column,
        "hours": hour_range(hours),
    }


def event_count_spec(
    *,
    start_date: Date,
    end_date: Date,
    direction: str = "both",
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
) -> QuerySpec:
    """How many events each subscriber had; those without one are absent.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    direction : str, default 'both'
        Incoming events, outgoing ones, or both. One of: in, out, both.
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
        "query_kind": "event_count",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "direction": direction,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
    }


def modal_location_spec(*, locations: list[QuerySpec]) -> QuerySpec:
    """Where each subscriber was on most of several days.

    Of equals, the place of the most recent day, then the one whose code sorts last. Days on which a
    subscriber was at no known place do not count.

    Parameters
    ----------
    locations : list of dict
        The daily locations to choose from, all in one unit.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "modal_location",
        "locations": locations,
    }


def most_frequent_location_spec(
    *,
    start_date: Date,
    end_date: Date,
    aggregation_unit: str,
    hours: Hours | None = None,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
) -> QuerySpec:
    """Where most of each subscriber's events were.

    Of equals, the place of the later event, then the one whose code sorts last.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).
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

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "most_frequent_location",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "aggregation_unit": aggregation_unit,
        "hours": hour_range(hours),
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "mapping_table": mapping_table,
        "geom_table": geom_table,
        "geom_table_join_column": geom_table_join_column,
    }


def radius_of_gyration_spec(
    *,
    start_date: Date,
    end_date: Date,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
) -> QuerySpec:
    """How far each subscriber's events spread: the root mean square distance from their centre, in km.

    The centre is the mean longitude and latitude of the subscriber's events; distances are geodesic on
    WGS84. Source: González, Hidalgo and Barabási (2008), doi:10.1038/nature06958, with FlowKit's
    centre.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
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
        "query_kind": "radius_of_gyration",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
    }


def unique_locations_spec(
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
    """Everywhere each subscriber was seen, each place once.

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
        "query_kind": "unique_locations",
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


def modal_location_from_dates_spec(
    *,
    start_date: Date,
    end_date: Date,
    aggregation_unit: str,
    method: str,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
    hours: Hours | None = None,
) -> QuerySpec:
    """Where each subscriber was on most of several days.

    It is made of one daily_location a day.

    Parameters
    ----------
    start_date : date or str
        First day.
    end_date : date or str
        Day after the last day; later than start_date.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat.
    method : str
        Take the place of the last event, or of most events. One of: last, most-common.
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
    return modal_location_spec(
        locations=[
            daily_location_spec(
                date=date,
                aggregation_unit=aggregation_unit,
                method=method,
                event_types=event_types,
                subscriber_subset=subscriber_subset,
                mapping_table=mapping_table,
                geom_table=geom_table,
                geom_table_join_column=geom_table_join_column,
                hours=hours,
            )
            for date in days(start_date, end_date)
        ]
    )
