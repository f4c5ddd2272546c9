"""Fingerprints: digests of the notebooks and the data of a run, by which changes of them are seen."""

import hashlib

from autoflow.definition.model import Workflow
from autoflow.schedule.available import Versions
from autoflow.schedule.candidates import Candidate


class Fingerprints:
    """The fingerprints of workflows as their files are now, with the versions of days that FlowAPI gave."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        # Workflows hold mappings and cannot be keys themselves; their names are unique.
        self._notebooks: dict[str, str | None] = {}

    def of(self, candidate: Candidate) -> dict[str, str]:
        """Give a digest of the "notebooks" and of the "data" of a candidate; a part that is not known is left out."""
        workflow = candidate.workflow
        if workflow.name not in self._notebooks:
            self._notebooks[workflow.name] = notebooks_digest(workflow)
        digests = {"notebooks": self._notebooks[workflow.name], "data": self._data_digest(candidate)}
        return {part: digest for part, digest in digests.items() if digest}

    def _data_digest(self, candidate: Candidate) -> str | None:
        days = [day.isoformat() for day in candidate.days]
        versions = {name: self._versions.get(name, {}) for name in candidate.cdr_types}
        lines = [
            f"{name}:{day}:{known[day]}" for name, known in sorted(versions.items()) for day in days if day in known
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest() if lines else None


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
