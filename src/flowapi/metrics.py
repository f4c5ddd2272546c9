"""Counts and times of FlowAPI's answers, in Prometheus' form."""

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from flowapi.audit import Record
from flowapi.revocations import Followed, Trust

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

    def watch(self, trust: Trust) -> None:
        """Tell of the keys and the revocation list that tokens are checked with."""
        facts: dict[str, tuple[str, Callable[[], float]]] = {
            "flowapi_keys": ("Keys that tokens are checked with.", lambda: len(trust.keys)),
            "flowapi_revoked_tokens": (
                "Tokens of the current revocation list.",
                lambda: len(trust.revocations.revoked) if trust.revocations else 0,
            ),
            "flowapi_revocations_age_seconds": (
                "Seconds since the current revocation list was signed; NaN if there is none.",
                trust.revocations_age,
            ),
        }
        for name, (text, value) in facts.items():
            Gauge(name, text, registry=self._registry).set_function(value)
        hindered = Gauge(
            "flowapi_document_problem",
            "1 where the key set or the revocation list could not be read at the last attempt.",
            ["document"],
            registry=self._registry,
        )
        for document in trust.followed:
            hindered.labels(document.name).set_function(partial(_hindered, document))

    def page(self) -> bytes:
        """Write all metrics."""
        return generate_latest(self._registry)


def _hindered(document: Followed) -> float:
    return float(document.problem is not None)
