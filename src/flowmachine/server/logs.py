"""Two logs as JSON lines: requests and runs on standard output, possible faults on standard error."""

import logging
import sys
import traceback
from typing import Any, TextIO

import structlog
from structlog.typing import FilteringBoundLogger


def _logger(name: str, stream: TextIO, level: int) -> FilteringBoundLogger:
    return structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    ).bind(logger=name)


def run_log() -> FilteringBoundLogger:
    """The log of requests and runs: action, ids, kind, state, seconds, rows; never a value of the data."""
    return _logger("flowmachine.query_run_log", sys.stdout, logging.INFO)


def debug_log(level: str) -> FilteringBoundLogger:
    """The log for finding faults."""
    least = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(stream=sys.stderr, level=least, format="%(name)s: %(message)s")
    return _logger("flowmachine.debug", sys.stderr, least)


def fault(error: BaseException) -> dict[str, Any]:
    """An error for the log: its type and place; its text is left out, because engines quote data in theirs."""
    frames = traceback.extract_tb(error.__traceback__)
    return {"error": type(error).__name__, "at": [f"{f.filename}:{f.lineno} {f.name}" for f in frames[-6:]]}
