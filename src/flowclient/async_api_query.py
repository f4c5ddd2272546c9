"""The name by which FlowKit's programs import an asynchronous query: see `flowclient.async_connection`."""

from flowclient.async_connection import ASyncAPIQuery

__all__ = ["ASyncAPIQuery"]
