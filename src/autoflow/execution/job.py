"""A job: what the notebooks of one run share."""

from dataclasses import dataclass, field
from pathlib import Path

from autoflow.definition.model import Workflow
from autoflow.execution.kernels import Kernels
from autoflow.runs.run import Run
from autoflow.settings import Settings


@dataclass(frozen=True)
class Job:
    """What the notebooks of one run share; `outputs` fills as their files are completed."""

    run: Run
    workflow: Workflow
    settings: Settings
    kernels: Kernels
    working: Path
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def unwanted(self) -> bool:
        """Whether the run is to end now."""
        return self.kernels.unwanted(str(self.run.run_id))
