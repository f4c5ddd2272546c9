"""The log of AutoFlow: one line an event, `key=value`, times in UTC, on standard error."""

import logging
import sys

import structlog

log: structlog.stdlib.BoundLogger = structlog.wrap_logger(
    logging.getLogger("autoflow"),
    wrapper_class=structlog.stdlib.BoundLogger,
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
    ],
)


def write_log_to_stderr(level: str) -> None:
    """Send AutoFlow's log at `level` and above to standard error, and keep the notebook machinery's own quiet."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("autoflow")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
    for noisy in ("papermill", "traitlets", "nbconvert", "asyncio", "httpx", "flowclient"):
        logging.getLogger(noisy).setLevel(max(logging.ERROR, logging.getLevelName(level)))
