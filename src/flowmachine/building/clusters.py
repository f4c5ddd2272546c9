"""Where each subscriber was often: sites grouped into clusters, scored, labelled and placed in areas.

The chain of the kinds of meaningful locations. Source: Isaacman et al. (2011), "Identifying Important Places in
People's Lives from Cellular Network Data", doi:10.1007/978-3-642-21726-5_9, with FlowKit's scores and labels.
"""

from collections.abc import Sequence
from typing import Protocol

import ibis
import ibis.expr.types as ir

from flowdb.tables import BANDS_PER_DEGREE
from flowmachine.building.cdr import Cdr
from flowmachine.building.geodesy import eastward, is_across, wrapped
from flowmachine.building.places import at_cells
from flowmachine.building.polygons import side
from flowmachine.building.protocols import OverEvents
from flowmachine.building.windows import Window
from flowmachine.labels import WEEKDAYS, WeekdayScores

DECIDED_TO = 1_000_000
"""Mean scores are compared with polygons to six decimals, so that a mean of equal scores is that score."""


class Clustered(OverEvents, Protocol):
    """A query that has the parameters of clusters."""

    @property
    def aggregation_unit(self) -> str:
        """The level of areas in which clusters lie."""
        ...

    @property
    def tower_cluster_radius(self) -> float:
        """How near to a cluster's centre a site must be to join it, in km."""
        ...

    @property
    def tower_cluster_call_threshold(self) -> int:
        """On how many days a cluster's sites must be called from."""
        ...

    @property
    def tower_hour_of_day_scores(self) -> Sequence[float]:
        """How an event scores by its hour."""
        ...

    @property
    def tower_day_of_week_scores(self) -> WeekdayScores:
        """How an event scores by its day of the week."""
        ...


def clusters(cdr: Cdr, query: Clustered, windows: Sequence[Window]) -> ir.Table:
    """Each subscriber's clusters: subscriber, lon, lat, hour and weekday (mean scores).

    With several windows, `window` is the number of the window of each cluster.
    """
    sites = _sites(cdr, query, windows)
    by = [name for name in ("subscriber", "window") if name in sites.columns]
    # Centres are means of longitudes, which are counted eastward if the sites lie on both sides of 180 degrees.
    crossed = is_across(sites.lon.min().over(group_by=by), sites.lon.max().over(group_by=by))
    sites = sites.mutate(lon=ibis.ifelse(crossed, eastward(sites.lon), sites.lon))
    clustered = cdr.dialect.clusters(sites, by, query.tower_cluster_radius * 1000)
    if query.tower_cluster_call_threshold:
        clustered = clustered.filter(clustered.days >= query.tower_cluster_call_threshold)
    hour, weekday = _decided(clustered.hour / clustered.sites), _decided(clustered.weekday / clustered.sites)
    return clustered.select(*by, lon=wrapped(clustered.lon), lat=clustered.lat, hour=hour, weekday=weekday)


def placed(cdr: Cdr, query: Clustered, clustered: ir.Table) -> ir.Table:
    """The places where clusters lie, counted: subscriber, place, share, and `side` where clusters have one.

    `share` is the part of the subscriber's clusters, of that side, that lie in the place. Outside every unit, the
    place is missing.
    """
    clustered = cdr.once(clustered)
    # Clusters of one site share its position, so that few different ones are to be placed.
    points = clustered.select("lon", "lat").distinct()
    by = [name for name in ("subscriber", "side") if name in clustered.columns]
    located = clustered.left_join(_places(cdr, points, query.aggregation_unit), ["lon", "lat"]).select(*by, "place")
    each = located.group_by(*by, "place").agg(clusters=located.count())
    return each.select(*by, "place", share=each.clusters / each.clusters.sum().over(group_by=by))


def between(cdr: Cdr, places: ir.Table, first: int, second: int) -> ir.Table:
    """Places of one side's clusters in pairs with those of another: place_from, place_to, value, subscribers."""
    places = cdr.once(places)
    before, after = places.filter(places.side == first), places.filter(places.side == second)
    before = before.select(subscriber=before.subscriber, place_from=before.place, share_from=before.share)
    after = after.select(subscriber=after.subscriber, place_to=after.place, share_to=after.share)
    pairs = before.join(after, "subscriber")
    # Each place of a subscriber is one row, so that a pair's rows are people.
    return pairs.group_by("place_from", "place_to").agg(
        value=(pairs.share_from * pairs.share_to).sum(), subscribers=pairs.count()
    )


def _sites(cdr: Cdr, query: Clustered, windows: Sequence[Window]) -> ir.Table:
    """The sites that each subscriber called from: subscriber, site, days, lon, lat, and the mean scores of events."""
    cells = cdr.tables.reference("cell_positions")
    each = [cdr.events(query, "location_id", "day", "minute", windows=[window]) for window in windows]
    by = ["subscriber"]
    if len(windows) > 1:
        by.append("window")
        each = [events.mutate(window=ibis.literal(n, "int32")) for n, events in enumerate(each)]
    seen = at_cells(ibis.union(*each) if len(each) > 1 else each[0], cells, windows, "site")
    # By day first, so that days are counted plainly.
    a_day = seen.group_by(*by, "site", "day").agg(
        events=seen.count(), hour=_by_steps(seen.minute, query.tower_hour_of_day_scores, 60).sum()
    )
    weekday_scores = [getattr(query.tower_day_of_week_scores, name) for name in WEEKDAYS]
    a_day = a_day.mutate(weekday=_by_steps(a_day.day.day_of_week.index(), weekday_scores) * a_day.events)
    visits = a_day.group_by(*by, "site").agg(
        days=a_day.count(), hour=a_day.hour.sum() / a_day.events.sum(), weekday=a_day.weekday.sum() / a_day.events.sum()
    )
    sites = cells.group_by("site").agg(lon=cells.site_lon.min(), lat=cells.site_lat.min())
    return visits.join(sites, "site").select(*by, "site", "days", "lon", "lat", "hour", "weekday")


def _by_steps(value: ir.IntegerValue, scores: Sequence[float], width: int = 1) -> ir.FloatingValue:
    """The score of a value, of which so many in a row have the same; equal neighbours are one comparison."""
    changes = [n for n in range(1, len(scores)) if scores[n] != scores[n - 1]] or [len(scores)]
    steps = [(value < n * width, ibis.literal(scores[n - 1], "float64")) for n in changes]
    return ibis.cases(*steps, else_=ibis.literal(scores[-1], "float64"))


def _decided(score: ir.FloatingValue) -> ir.FloatingValue:
    return (score * DECIDED_TO).round().cast("float64") / DECIDED_TO


def _places(cdr: Cdr, points: ir.Table, unit: str) -> ir.Table:
    """The place of a unit that strictly contains each point: lon, lat, place; of several, the least code.

    A point on a border is in no place, and as all points in none it has no row.
    """
    edges = cdr.tables.reference("unit_edges")
    edges = edges.filter(edges.unit == unit)
    points = points.mutate(in_band=(points.lat * BANDS_PER_DEGREE).floor().cast("int32"))
    met = points.join(
        edges,
        [
            points.in_band == edges.band,
            points.lat >= edges.lat1,
            points.lat <= edges.lat2,
            # Edges to the west are met by no ray eastward.
            points.lon <= ibis.greatest(edges.lon1, edges.lon2),
        ],
    )
    met = met.mutate(side=side(met.lon, met.lat, (met.lon1, met.lat1, met.lon2, met.lat2)))
    crossed = (met.lat < met.lat2) & (met.side > 0)
    touched = (met.side == 0) & (met.lon >= ibis.least(met.lon1, met.lon2))
    counted = met.group_by("lon", "lat", "place").agg(
        crossed=crossed.cast("int32").sum(), touched=touched.cast("int32").sum()
    )
    inside = counted.filter(counted.crossed % 2 == 1, counted.touched == 0)
    return inside.group_by("lon", "lat").agg(place=inside.place.min())
