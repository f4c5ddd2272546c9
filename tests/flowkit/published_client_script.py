"""Drives a deployment with the published flowclient; run by an environment that has it, prints one JSON object."""

import asyncio
import contextlib
import io
import json
import os
import sys
import warnings

warnings.filterwarnings("ignore")
import flowclient as fc  # noqa: E402
from flowclient import async_client  # noqa: E402

URL, TOKEN = os.environ["PEER_FLOWAPI_URL"], os.environ["PEER_TOKEN"]
BEFORE, AFTER, END = "2016-01-02", "2016-01-03", "2016-01-05"


def daily(date, unit):
    return fc.daily_location_spec(date=date, aggregation_unit=unit, method="last")


BETWEEN = {"from_location": daily(BEFORE, "admin1"), "to_location": daily(AFTER, "admin1")}
WINDOW = {"start_date": BEFORE, "end_date": END, "aggregation_unit": "admin1"}
MODAL = fc.modal_location_spec(locations=[daily(BEFORE, "admin2"), daily(AFTER, "admin2")])
METRIC = fc.radius_of_gyration_spec(start_date=BEFORE, end_date=END)
EVENTS = fc.event_count_spec(start_date=BEFORE, end_date=END, direction="both")
ASKED = {
    "spatial_aggregate": {"locations": MODAL},
    "flows": BETWEEN,
    "inflows": BETWEEN,
    "outflows": {**BETWEEN, "join_type": "left outer"},
    "unique_subscriber_counts": WINDOW,
    "location_event_counts": {**WINDOW, "count_interval": "hour"},
    "trips_od_matrix": WINDOW,
    "joined_spatial_aggregate": {"locations": daily(BEFORE, "admin1"), "metric": METRIC, "method": "avg"},
    "histogram_aggregate": {"metric": EVENTS, "bins": [0, 50, 100000]},
}
NO_SHAPES = {"histogram_aggregate"}


def rows(frame):
    return json.loads(frame.to_json(orient="records"))


def sync_calls():
    connection = fc.connect(url=URL, token=TOKEN)
    said = {"results": {}, "specs": {}, "features": {}}
    for kind, parameters in ASKED.items():
        query = getattr(fc, kind)(connection=connection, **parameters)
        query.run()
        query.wait_until_ready(poll_interval=0.1, disable_progress=True)
        said["specs"][kind] = query.parameters
        said["results"][kind] = rows(query.get_result(disable_progress=True))
        if kind not in NO_SHAPES:
            said["features"][kind] = len(query.get_result(format="geojson", disable_progress=True)["features"])
    said["dates"] = fc.get_available_dates(connection=connection, event_types=["calls", "sms"])
    said["units"] = {
        unit: len(fc.get_geography(connection=connection, aggregation_unit=unit)["features"])
        for unit in ("admin0", "admin1", "admin2", "admin3")
    }
    return said


async def async_calls():
    connection = await fc.connect_async(url=URL, token=TOKEN)
    said = {"results": {}, "features": {}}
    for kind in ("spatial_aggregate", "flows", "unique_subscriber_counts"):
        query = connection.make_api_query(parameters={"query_kind": kind, **ASKED[kind]})
        await query.run()
        await query.wait_until_ready(poll_interval=0.1, disable_progress=True)
        said["results"][kind] = rows(await query.get_result(disable_progress=True))
        shapes = await query.get_result(format="geojson", disable_progress=True)
        said["features"][kind] = len(shapes["features"])
    said["dates"] = await async_client.get_available_dates(connection=connection, event_types=["calls", "sms"])
    shapes = await async_client.get_geography(connection=connection, aggregation_unit="admin1")
    said["units"] = {"admin1": len(shapes["features"])}
    return said


# The client prints progress and answers; what this program says must stand alone.
with contextlib.redirect_stdout(io.StringIO()):
    result = {"sync": sync_calls(), "async": asyncio.run(async_calls())}
json.dump(result, sys.stdout)
