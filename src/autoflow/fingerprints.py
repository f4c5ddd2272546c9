"""Fingerprints: what a run was made from, so that a changed notebook or a corrected day can be told."""

import hashlib
from collections.abc import Mapping

from autoflow.log import log
from autoflow.sensor import Candidate, connection_of
from autoflow.settings import Settings
from autoflow.workflows import Workflow

Versions = Mapping[str, Mapping[str, str]]


def reported_versions(settings: Settings) -> Versions:
    """Ask FlowAPI for the version of each day of each type of CDR; empty where it does not tell.

    Nothing runs or fails for want of versions: where they cannot be had, the log says so.
    """
    import flowclient  # noqa: PLC0415  (slow to import)

    try:
        connection = connection_of(settings, timeout=settings.autoflow_dates_timeout)
        return flowclient.get_day_versions(connection=connection)
    except Exception as error:
        log.warning("FlowAPI did not tell the versions of the days", error=str(error))
        return {}


class Fingerprints:
    """The fingerprints of workflows as their files are now, with the versions of days that FlowAPI told."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        # Workflows hold mappings and cannot be keys themselves; their names are unique.
        self._notebooks: dict[str, str | None] = {}

    def of(self, candidate: Candidate) -> dict[str, str]:
        """Give a digest of the "notebooks" and of the "data" of a candidate; a part that cannot be told is left out."""
        workflow = candidate.workflow
        if workflow.name not in self._notebooks:
            self._notebooks[workflow.name] = notebooks_digest(workflow)
        found = {"notebooks": self._notebooks[workflow.name], "data": self._data_digest(candidate)}
        return {part: digest for part, digest in found.items() if digest}

    def _data_digest(self, candidate: Candidate) -> str | None:
        days = [day.isoformat() for day in candidate.days]
        versions = {name: self._versions.get(name, {}) for name in candidate.cdr_types}
        held = [
            f"{name}:{day}:{known[day]}" for name, known in sorted(versions.items()) for day in days if day in known
        ]
        return hashlib.sha256("\n".join(held).encode()).hexdigest() if held else None


def notebooks_digest(workflow: Workflow) -> str | None:
    """Give a digest of the notebooks and templates of a workflow; None where one of them cannot be read."""
    digest = hashlib.sha256()
    try:
        for notebook in sorted(workflow.notebooks, key=lambda each: each.key):
            for path in (notebook.path, notebook.template):
                content = path.read_bytes() if path else b""
                digest.update(f"{notebook.key}:{len(content)}:".encode() + content)
    except OSError:
        return None
    return digest.hexdigest()
