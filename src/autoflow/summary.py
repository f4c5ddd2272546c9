"""The states of a deployment's runs in one sentence, for commands that report more than AutoFlow."""

from dataclasses import dataclass

from autoflow.definition.reading import read_workflows
from autoflow.runs.run import RunState
from autoflow.runs.table import open_run_table
from autoflow.schedule.planning import Standing, given_up, survey
from autoflow.settings import Settings


@dataclass(frozen=True)
class Summary:
    """The runs that workflows.yml defines and the run table knows; `given_up` are the failed ones not tried again."""

    succeeded: int
    running: int
    failing: int
    given_up: tuple[Standing, ...]

    def __str__(self) -> str:
        counts = {
            "succeeded": self.succeeded,
            "running": self.running,
            "failed, to be tried again": self.failing,
            "given up": len(self.given_up),
        }
        return "; ".join(f"{count:,} {state}" for state, count in counts.items() if count) or "no runs yet"

    @property
    def problem(self) -> str | None:
        """What was given up, and the way out; None if nothing was."""
        if not self.given_up:
            return None
        first = self.given_up[0]
        more = f" and {len(self.given_up) - 1} more" if len(self.given_up) > 1 else ""
        return (
            f"AutoFlow has given up {first.candidate.workflow.name} {first.candidate.reference_date}{more} "
            f"({first.reason}): mend the cause, and run autoflow once --retry-failed"
        )


def summary(settings: Settings) -> Summary:
    """Count the runs of a deployment by state, from the run table alone.

    Nothing is made or changed, and FlowAPI is not queried. Raises WorkflowsError or FileNotFoundError with a sentence.
    """
    definition = read_workflows(settings.autoflow_inputs_dir)
    lost = tuple(given_up(settings))
    table = open_run_table(settings, read_only=True)
    try:
        states = [standing.run.state for standing in survey(definition, None, table).standings if standing.run]
    finally:
        table.close()
    return Summary(
        states.count(RunState.success),
        states.count(RunState.running),
        states.count(RunState.failed) - len(lost),
        lost,
    )
