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
    given,
    hour_range,
    random_sample_spec,
)

__all__ = [
    "coalesced_location_spec",
    "daily_location_spec",
    "displacement_spec",
    "event_count_spec",
    "handset_spec",
    "location_visits_spec",
    "majority_location_spec",
    "mobility_classification_spec",
    "modal_location_from_dates_spec",
    "modal_location_spec",
    "most_frequent_location_spec",
    "nocturnal_events_spec",
    "pareto_interactions_spec",
    "radius_of_gyration_spec",
    "random_sample_spec",
    "subscriber_degree_spec",
    "topup_amount_spec",
    "topup_balance_spec",
    "total_active_periods_spec",
    "unique_location_counts_spec",
    "unique_locations_spec",
    "visited_most_days_spec",
]


def coalesced_location_spec(
    *,
    preferred_location: QuerySpec,
    fallback_location: QuerySpec,
    subscriber_location_weights: QuerySpec,
    weight_threshold: int,
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """Where each subscriber is by a preferred account, or else by a fallback that has enough weight.

    A fallback location counts where the subscriber's weight there is `weight_threshold` or more. A
    subscriber for whom neither account gives a location has an empty one if the preferred account has a
    row of them, and is absent otherwise. FlowKit's definition.

    Parameters
    ----------
    preferred_location : dict
        The account that is preferred.
    fallback_location : dict
        The account to take where the preferred one gives no location.
    subscriber_location_weights : dict
        How often each subscriber is at each location, to judge the fallback by.
    weight_threshold : int
        The least weight of a fallback location; one with less is not taken.
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "coalesced_location",
        "preferred_location": preferred_location,
        "fallback_location": fallback_location,
        "subscriber_location_weights": subscriber_location_weights,
        "weight_threshold": weight_threshold,
        **given(sampling=sampling),
    }


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
    sampling: QuerySpec | None = None,
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
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    method : str
        Take the place of the last event, or of most events. One of: last, most-common.
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
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

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
        **given(sampling=sampling),
    }


def displacement_spec(
    *,
    start_date: Date,
    end_date: Date,
    statistic: str,
    reference_location: QuerySpec,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """A statistic of how far each subscriber's events are from the subscriber's reference location, in km.

    Every event at a known place counts, with the geodesic distance on WGS84 of its cell. Subscribers
    without a reference location are absent; those whose reference location is recorded as nowhere are
    at no distance from it, as in FlowKit. `stddev` and `variance` are of the sample: a subscriber with
    one event has none and is absent. Of equally common distances, `mode` is the smallest.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    statistic : str
        The statistic of each subscriber's distances. One of: count, sum, avg, max, min, median,
        stddev, variance, mode.
    reference_location : dict
        Where each subscriber is at home; its unit is lon-lat.
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
        "query_kind": "displacement",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "statistic": statistic,
        "reference_location": reference_location,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
        **given(sampling=sampling),
    }


def event_count_spec(
    *,
    start_date: Date,
    end_date: Date,
    direction: str = "both",
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
    sampling: QuerySpec | None = None,
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
        "query_kind": "event_count",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "direction": direction,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
        **given(sampling=sampling),
    }


def handset_spec(
    *,
    start_date: Date,
    end_date: Date,
    characteristic: str = "hnd_type",
    method: str = "last",
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """A characteristic of each subscriber's handset: of the last one, or the most common.

    `last` is of the handset of the latest event that tells one; of events at the same time, the
    greatest type allocation code. `most-common` is the characteristic of most events; of equals, the
    one that sorts first. Subscribers whose handsets are not known, or not this characteristic of them,
    are absent.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    characteristic : str, default 'hnd_type'
        What to tell of the handset. One of: hnd_type, brand, model, software_os_name,
        software_os_vendor.
    method : str, default 'last'
        Take the last handset, or what most events are of. One of: last, most-common.
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
        "query_kind": "handset",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "characteristic": characteristic,
        "method": method,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
        **given(sampling=sampling),
    }


def location_visits_spec(*, locations: list[QuerySpec], sampling: QuerySpec | None = None) -> QuerySpec:
    """How many of several locations of each subscriber are at each place.

    Parameters
    ----------
    locations : list of dict
        The daily or modal locations to count, all in one unit.
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "location_visits",
        "locations": locations,
        **given(sampling=sampling),
    }


def majority_location_spec(
    *,
    subscriber_location_weights: QuerySpec,
    minimum_total_weight: float = 0.0,
    include_unlocatable: bool = False,
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """Where each subscriber is more often than everywhere else together.

    The place that has more than half of the subscriber's total weight, so there is never more than one.
    A subscriber whose places have half of it or less each is absent, or has an empty location with
    `include_unlocatable`. Where a subscriber's total is below `minimum_total_weight`, that stands for
    it. FlowKit's definition.

    Parameters
    ----------
    subscriber_location_weights : dict
        How often each subscriber is at each location.
    minimum_total_weight : float, default 0.0
        The least total weight: a location must have more than half of it, however little else is
        known of the subscriber.
    include_unlocatable : bool, default False
        Give subscribers without a majority location a row with an empty one.
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "majority_location",
        "subscriber_location_weights": subscriber_location_weights,
        "minimum_total_weight": minimum_total_weight,
        "include_unlocatable": include_unlocatable,
        **given(sampling=sampling),
    }


def mobility_classification_spec(
    *, locations: list[QuerySpec], stay_length_threshold: int, sampling: QuerySpec | None = None
) -> QuerySpec:
    """How much each subscriber moves from period to period, as one of five labels.

    Only subscribers with a row in the last period are labelled, by the first that is true: `unlocated`
    in the last period (an empty location); `irregular`, absent from some period; `not_always_locatable`
    in some period; `mobile`, never at one location for `stay_length_threshold` periods in a row; else
    `stable`. FlowKit's definition.

    Parameters
    ----------
    locations : list of dict
        Where subscribers are in each period, in order of time, all in one unit.
    stay_length_threshold : int
        How many periods in a row at one location make a subscriber stable.
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "mobility_classification",
        "locations": locations,
        "stay_length_threshold": stay_length_threshold,
        **given(sampling=sampling),
    }


def modal_location_spec(*, locations: list[QuerySpec], sampling: QuerySpec | None = None) -> QuerySpec:
    """Where each subscriber was on most of several days.

    Of equals, the place of the most recent day, then the one whose code sorts last. Days on which a
    subscriber was at no known place do not count.

    Parameters
    ----------
    locations : list of dict
        The daily locations to choose from, all in one unit.
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "modal_location",
        "locations": locations,
        **given(sampling=sampling),
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
    sampling: QuerySpec | None = None,
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
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).
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
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

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
        **given(sampling=sampling),
    }


def nocturnal_events_spec(
    *,
    start_date: Date,
    end_date: Date,
    hours: Hours,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """How many of each subscriber's events are at night, in per cent.

    The night is from the start of one local hour to the start of another; 20 to 4 wraps midnight, 1 to
    5 does not.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    hours : pair of int
        The hours of the night. Written as (first hour, hour after the last).
    event_types : list of str, optional
        The event types to look at; left out: calls and sms. One of: calls, sms, mds, topups,
        forwards.
    subscriber_subset : dict or str, optional
        Look at these subscribers alone: a nested subscriber-level query, or the id of one.
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "nocturnal_events",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "night_hours": hour_range(hours),
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        **given(sampling=sampling),
    }


def pareto_interactions_spec(
    *,
    start_date: Date,
    end_date: Date,
    proportion: float,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """The least share of each subscriber's contacts that account for a proportion of the events.

    Contacts are taken from the one with most events on, until their events are at least the proportion
    of all. All counterparts that are missing are one contact; the subscriber may be one too. Source:
    FlowKit's definition, after V. Pareto's principle that few account for most.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    proportion : float
        Which proportion of the events to account for.
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
        "query_kind": "pareto_interactions",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "proportion": proportion,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
        **given(sampling=sampling),
    }


def radius_of_gyration_spec(
    *,
    start_date: Date,
    end_date: Date,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """How far each subscriber's events spread: the root mean square distance from their centre, in km.

    The centre is the mean longitude and latitude of the subscriber's events, across the meridian of 180
    degrees too; distances are geodesic on WGS84. Source: González, Hidalgo and Barabási (2008),
    doi:10.1038/nature06958, with FlowKit's centre.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
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
        "query_kind": "radius_of_gyration",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
        **given(sampling=sampling),
    }


def subscriber_degree_spec(
    *,
    start_date: Date,
    end_date: Date,
    direction: str = "both",
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """How many others each subscriber had contact with.

    Others are counterparts other than the subscriber. Events whose counterpart is missing do not count;
    a subscriber who has no other event is absent, as are those without one.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    direction : str, default 'both'
        Incoming events, outgoing ones, or both. One of: in, out, both.
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
        "query_kind": "subscriber_degree",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "direction": direction,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
        **given(sampling=sampling),
    }


def topup_amount_spec(
    *,
    start_date: Date,
    end_date: Date,
    statistic: str,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """A statistic of the amounts that each subscriber recharged.

    Recharges whose amount is missing do not count. `stddev` and `variance` are of the sample: a
    subscriber with one recharge has none and is absent. Of equally common amounts, `mode` is the
    smallest.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    statistic : str
        The statistic of each subscriber's recharges. One of: count, sum, avg, max, min, median,
        stddev, variance, mode.
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
        "query_kind": "topup_amount",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "statistic": statistic,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
        **given(sampling=sampling),
    }


def topup_balance_spec(
    *,
    start_date: Date,
    end_date: Date,
    statistic: str,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """A statistic of the balance that each subscriber had over time, as the recharges tell it.

    Between two recharges the balance is taken as the mean of what the one left and what the other
    found; before the first it is what that found, after the last what that left. A balance weighs as
    many seconds as it lasted within the window: `sum` is balance times seconds, `avg` that divided by
    the window's seconds, `variance` and `stddev` are of the sample of seconds, `median` is the balance
    above and below which half of the time was spent, and `mode` the balance that lasted longest, of
    equals the smallest. `max` and `min` are over what recharges found and left, and `count` is how many
    recharges there were. Recharges at one instant come in the order of the balance before, then after;
    those that do not tell both balances do not count.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    statistic : str
        The statistic of each subscriber's balance. One of: count, sum, avg, max, min, median,
        stddev, variance, mode.
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
        "query_kind": "topup_balance",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "statistic": statistic,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
        **given(sampling=sampling),
    }


def total_active_periods_spec(
    *,
    start_date: Date,
    total_periods: int,
    period_unit: str = "days",
    period_length: int = 1,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
) -> QuerySpec:
    """In how many of several periods each subscriber had an event, wherever it was; those without one are absent.

    Periods are of local wall-clock time: on a day with a repeated hour, an hour's period holds both.

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

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "total_active_periods",
        "start_date": day(start_date),
        "total_periods": total_periods,
        "period_unit": period_unit,
        "period_length": period_length,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
    }


def unique_location_counts_spec(
    *,
    start_date: Date,
    end_date: Date,
    aggregation_unit: str,
    event_types: list[str] | None = None,
    subscriber_subset: QuerySpec | str | None = None,
    hours: Hours | None = None,
    mapping_table: str | None = None,
    geom_table: str | None = None,
    geom_table_join_column: str | None = None,
) -> QuerySpec:
    """In how many different locations each subscriber was seen; those who were seen in none are absent.

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
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).
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
        "query_kind": "unique_location_counts",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "aggregation_unit": aggregation_unit,
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "hours": hour_range(hours),
        "mapping_table": mapping_table,
        "geom_table": geom_table,
        "geom_table_join_column": geom_table_join_column,
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
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """Everywhere each subscriber was seen, each place once.

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
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

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
        **given(sampling=sampling),
    }


def visited_most_days_spec(
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
    sampling: QuerySpec | None = None,
) -> QuerySpec:
    """Where each subscriber was seen on most days.

    Days are local days; a subscriber may be seen at several places on one. Of places of equally many
    days, the one of most events; of equals, the one with the later event, then the one whose code sorts
    last. Subscribers without an event at a known place are absent.

    Parameters
    ----------
    start_date : date or str
        The first day.
    end_date : date or str
        The day after the last day.
    aggregation_unit : str
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    hours : pair of int, optional
        Look at these hours of each day alone; left out: all day. Written as (first hour, hour after
        the last).
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
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

    Returns
    -------
    dict
        A query spec.
    """
    return {
        "query_kind": "visited_most_days",
        "start_date": day(start_date),
        "end_date": day(end_date),
        "aggregation_unit": aggregation_unit,
        "hours": hour_range(hours),
        "event_types": event_types,
        "subscriber_subset": subscriber_subset,
        "mapping_table": mapping_table,
        "geom_table": geom_table,
        "geom_table_join_column": geom_table_join_column,
        **given(sampling=sampling),
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
    sampling: QuerySpec | None = None,
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
        The level to tell locations by. One of: admin0, admin1, admin2, admin3, lon-lat, cell, site.
    method : str
        Take the place of the last event, or of most events. One of: last, most-common.
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
    sampling : dict, optional
        Keep a random sample of the subscribers alone; left out: everyone. random_sample_spec writes
        it into a spec.

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
                sampling=sampling,
            )
            for date in days(start_date, end_date)
        ]
    )
