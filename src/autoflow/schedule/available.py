"""Which days FlowAPI has, and the versions of these days."""

import datetime as dt
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from autoflow.log import log
from autoflow.settings import Settings
from flowkit_base.errors import UserError


class FlowApiError(UserError, RuntimeError):
    """FlowAPI did not report which days are available; the message says why and what to do."""


def available_dates(settings: Settings, cdr_types: Iterable[str] | None) -> list[dt.date]:
    """Ask FlowAPI for the days that any of the given types of CDR has, in order, each once.

    Types that FlowAPI does not report are named in the log. Raises FlowApiError.
    """
    by_type = reported_dates(settings)
    needed = list(by_type) if cdr_types is None else list(cdr_types)
    warn_of_unreported(needed, by_type)
    return sorted({day for name in needed for day in by_type.get(name, ())})


def reported_dates(settings: Settings, stopped: threading.Event | None = None) -> dict[str, list[dt.date]]:
    """Ask FlowAPI for the days of each type of CDR, in order, each once.

    Raises FlowApiError, also where FlowAPI takes longer than the setting allows or `stopped` is set meanwhile.
    """
    if not settings.flowapi_token.get_secret_value():
        raise FlowApiError("There is no token for FlowAPI; set FLOWAPI_TOKEN or put it in /run/secrets/FLOWAPI_TOKEN.")
    answers: list[dict[str, list[dt.date]] | Exception] = []
    # The client's own limit is for each piece of an answer; a server that sends one now and then would never end.
    request = threading.Thread(target=lambda: answers.append(_answer(settings)), name="dates", daemon=True)
    request.start()
    end = time.monotonic() + settings.autoflow_dates_timeout
    while request.is_alive() and time.monotonic() < end and not (stopped and stopped.is_set()):
        request.join(0.2)
    failed = f"FlowAPI at {settings.flowapi_url} did not return the available dates"
    if stopped and stopped.is_set():
        raise FlowApiError(f"{failed} before AutoFlow was stopped.")
    if not answers:
        limit = f"{settings.autoflow_dates_timeout:g} seconds (AUTOFLOW_DATES_TIMEOUT)"
        raise FlowApiError(f"{failed} within {limit}; look whether it is overloaded.")
    answer = answers[0]
    if isinstance(answer, Exception):
        reason = str(answer).replace(settings.flowapi_token.get_secret_value(), "[token removed]")
        raise FlowApiError(f"{failed}: {reason.rstrip('.') or type(answer).__name__}.") from answer
    return answer


def connection_of(settings: Settings, **more: Any) -> Any:
    """Connect to the FlowAPI of the settings; `more` goes to flowclient."""
    import flowclient  # noqa: PLC0415  (slow to import)

    return flowclient.connect(
        url=settings.flowapi_url,
        token=settings.flowapi_token.get_secret_value(),
        ssl_certificate=str(settings.ssl_certificate_file) if settings.ssl_certificate_file else True,
        **more,
    )


def _answer(settings: Settings) -> dict[str, list[dt.date]] | Exception:
    """Give FlowAPI's answer, or the error: the sensor must survive any error and report it."""
    try:
        import flowclient  # noqa: PLC0415  (slow to import, and `check` does not need it)

        by_type = flowclient.get_available_dates(connection=connection_of(settings))
        return {name: sorted(set(map(dt.date.fromisoformat, days))) for name, days in by_type.items()}
    except Exception as error:
        return error


def warn_of_unreported(needed: Iterable[str], reported: Iterable[str]) -> None:
    """Name in the log the types of CDR that FlowAPI does not report."""
    for unknown in sorted(set(needed) - set(reported)):
        log.warning("FlowAPI reports no days for this type of CDR", cdr_type=unknown)


Versions = Mapping[str, Mapping[str, str]]


def reported_versions(settings: Settings) -> Versions:
    """Ask FlowAPI for the version of each day of each type of CDR; empty if it does not report them.

    Nothing runs or fails for want of versions: where they cannot be had, the log says so.
    """
    import flowclient  # noqa: PLC0415  (slow to import)

    try:
        connection = connection_of(settings, timeout=settings.autoflow_dates_timeout)
        return flowclient.get_day_versions(connection=connection)
    except Exception as error:
        log.warning("FlowAPI did not report the versions of the days", error=str(error))
        return {}
