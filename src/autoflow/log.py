"""The log of AutoFlow: one line an event, `key=value`, times in UTC, on standard error, and no token in it."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from autoflow.secrecy import Secret

_hidden: list[Secret] = []


def hide(secret: str) -> None:
    """Keep a secret out of every line from now on."""
    if secret and not any(Secret(secret).forms == known.forms for known in _hidden):
        _hidden[:] = [*_hidden[-9:], Secret(secret)]


def _without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets and line breaks out of what is said."""
    for name, value in event.items():
        if not isinstance(value, (int, float)):
            text = " ".join(str(value).split())
            for secret in _hidden:
                text = secret.out_of(text)
            event[name] = text
    return event


log: structlog.stdlib.BoundLogger = structlog.wrap_logger(
    logging.getLogger("autoflow"),
    wrapper_class=structlog.stdlib.BoundLogger,
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_secrets,
        structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
    ],
)


NOISY = ("papermill", "traitlets", "nbconvert", "asyncio", "httpx", "flowclient")
"""Libraries whose messages below errors are not logged."""


class _Foreign(logging.Handler):
    """Log records of libraries, as lines of AutoFlow's log with the library's name."""

    def emit(self, record: logging.LogRecord) -> None:
        error = f" {record.exc_info[1]!r}" if record.exc_info and record.exc_info[1] else ""
        log.log(record.levelno, record.getMessage() + error, logger=record.name)


def write_log_to_stderr(level: str) -> None:
    """Send AutoFlow's log at `level` and above to standard error, with the complaints of the libraries that it uses."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("autoflow")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
    root = logging.getLogger()
    if not any(isinstance(each, _Foreign) for each in root.handlers):
        root.addHandler(_Foreign(logging.WARNING))
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(max(logging.ERROR, logging.getLevelName(level.upper())))
