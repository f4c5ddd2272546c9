"""Drives a FlowAPI server with the published flowclient; run by an environment that has it, prints one JSON object."""

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

URL = os.environ["PEER_FLOWAPI_URL"]
TOKENS = json.loads(os.environ["PEER_TOKENS"])


def daily(day):
    return fc.daily_location_spec(date=day, aggregation_unit="admin3", method="last")


def rows(frame):
    return json.loads(frame.to_json(orient="records"))


def failure(action):
    try:
        action()
    except Exception as error:
        return [type(error).__name__, str(error)]
    return ["no error", ""]


def sync_calls():
    connection = fc.connect(url=URL, token=TOKENS["all"])
    query = fc.spatial_aggregate(connection=connection, locations=daily("2017-01-01"))
    said = {"not_running": query.status}
    query.run()
    said["running"] = query.status
    query.wait_until_ready(poll_interval=0.1, disable_progress=True)
    said["ready"] = query.status
    said["pandas"] = rows(query.get_result(disable_progress=True))
    said["geojson"] = query.get_result(format="geojson", disable_progress=True)
    spec = {"query_kind": "spatial_aggregate", "locations": daily("2017-01-02")}
    said["get_result"] = rows(fc.get_result(connection=connection, query_spec=spec, disable_progress=True))
    said["dates"] = fc.get_available_dates(connection=connection, event_types=["calls"])
    said["geography"] = fc.get_geography(connection=connection, aggregation_unit="admin3")
    said["checks"] = fc.get_available_qa_checks(connection=connection)
    check = {"event_type": "calls", "check_type": "count_null_imeis"}
    said["outcome"] = fc.get_qa_check_outcome(connection=connection, event_date="2016-01-01", **check)
    said["outcomes"] = fc.get_qa_check_outcomes(
        connection=connection, start_date="2016-01-01", end_date="2016-01-02", **check
    )
    slash = fc.connect(url=URL + "/", token=TOKENS["all"])
    said["slash"] = fc.get_available_dates(connection=slash, event_types=["mds"])
    said["unknown"] = failure(lambda: fc.get_result_by_query_id(connection=connection, query_id="0" * 32))
    broken = {"query_kind": "spatial_aggregate", "locations": {**daily("2017-01-01"), "aggregation_unit": "admin9"}}
    said["invalid"] = failure(lambda: fc.run_query(connection=connection, query_spec=broken))
    said["failed"] = failure(
        lambda: fc.get_result_by_query_id(connection=connection, query_id=os.environ["PEER_FAILED_ID"])
    )
    said["aborted"] = failure(
        lambda: fc.get_result_by_query_id(connection=connection, query_id=os.environ["PEER_BREAKING_ID"])
    )
    weak = fc.connect(url=URL, token=TOKENS["weak"])
    said["forbidden"] = failure(lambda: fc.run_query(connection=weak, query_spec=spec))
    expired = fc.connect(url=URL, token=TOKENS["expired"])
    said["expired"] = failure(lambda: fc.get_available_dates(connection=expired))
    return said


async def async_calls():
    connection = await fc.connect_async(url=URL, token=TOKENS["all"])
    spec = {"query_kind": "spatial_aggregate", "locations": daily("2017-02-01")}
    query = connection.make_api_query(parameters=spec)
    await query.run()
    await query.wait_until_ready(poll_interval=0.1, disable_progress=True)
    return {
        "pandas": rows(await query.get_result(disable_progress=True)),
        "geojson": await query.get_result(format="geojson", disable_progress=True),
        "dates": await async_client.get_available_dates(connection=connection, event_types=["calls"]),
        "geography": await async_client.get_geography(connection=connection, aggregation_unit="admin3"),
    }


# The client prints responses of errors and progress; what this program says must stand alone.
with contextlib.redirect_stdout(io.StringIO()):
    result = {"sync": sync_calls(), "async": asyncio.run(async_calls())}
json.dump(result, sys.stdout)
