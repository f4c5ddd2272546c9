"""FlowKit's `autoflow.sensor`: the sensor as a Prefect flow. Nothing in AutoFlow imports this module."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Give the sensor as a Prefect flow, `available_dates_sensor`, which needs `flowkit[prefect]`."""
    if name != "available_dates_sensor":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from autoflow import prefect_flows  # noqa: PLC0415  (Prefect is large, and seldom there)

    return prefect_flows.available_dates_sensor
