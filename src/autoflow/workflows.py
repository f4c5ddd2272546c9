"""FlowKit's `autoflow.workflows`: workflows of notebooks as Prefect flows. Nothing in AutoFlow imports this module."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect import Flow


def make_notebooks_workflow(name: str, notebooks: Mapping[str, Any]) -> "Flow[..., Any]":
    """Make a Prefect flow of notebooks, which are given as in workflows.yml; needs `flowkit[prefect]`.

    Raises WorkflowsError, and ModuleNotFoundError with a sentence if Prefect is not installed.
    """
    from autoflow import prefect_flows  # noqa: PLC0415  (Prefect is large, and an extra)

    return prefect_flows.make_notebooks_workflow(name, notebooks)
