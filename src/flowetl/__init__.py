"""FlowETL: a delivered day becomes a stored day."""

from flowdb.reference.errors import DeliveryError as IngestError
from flowetl.loading import DayReport, ingest, withdraw

__all__ = ["DayReport", "IngestError", "ingest", "withdraw"]
