"""FlowETL: a delivered day becomes a stored day."""

from flowetl.errors import IngestError
from flowetl.loading import DayReport, ingest, withdraw

__all__ = ["DayReport", "IngestError", "ingest", "withdraw"]
