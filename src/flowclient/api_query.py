"""The name by which FlowKit's programs import a query: see `flowclient.connection`."""

from flowclient.connection import APIQuery, Query, QueryMaker

__all__ = ["APIQuery", "Query", "QueryMaker"]
