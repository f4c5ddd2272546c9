"""Counts and times of FlowAPI's answers, in Prometheus' form."""

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from flowapi.audit import Record

MEDIA_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The metrics of one FlowAPI server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "flowapi_requests", "Answered requests.", ["method", "route", "status"], registry=self._registry
        )
        self._aborted = Counter(
            "flowapi_aborted_responses", "Answers cut off before their end.", ["route"], registry=self._registry
        )
        self._seconds = Histogram(
            "flowapi_request_seconds",
            "Seconds from request to the end of its answer.",
            ["route"],
            registry=self._registry,
        )
        self._rows = Counter("flowapi_result_rows", "Rows of results sent.", registry=self._registry)
        self._bytes = Counter("flowapi_sent_bytes", "Bytes of answers sent.", registry=self._registry)

    def count(self, record: Record, http_status: int, *, aborted: bool) -> None:
        """Count one request."""
        # A method is any text that a stranger sends; only known ones may become a label.
        method = record.method if record.method in {"GET", "POST", "HEAD"} else "other"
        self._requests.labels(method, record.route, str(http_status)).inc()
        self._seconds.labels(record.route).observe(record.seconds)
        self._bytes.inc(record.sent_bytes)
        self._rows.inc(record.rows or 0)
        if aborted:
            self._aborted.labels(record.route).inc()

    def page(self) -> bytes:
        """Write all metrics."""
        return generate_latest(self._registry)
