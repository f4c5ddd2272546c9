"""What every command that loads a reference table does after loading."""

from collections.abc import Sequence
from typing import Protocol

from flowkit import mirror
from flowkit.deployment import Deployment
from flowkit.terminal import counted, note, out


class Loaded(Protocol):
    """The report of a load."""

    @property
    def rows(self) -> int:
        """The rows that were loaded."""
        ...

    @property
    def warnings(self) -> Sequence[str]:
        """Sentences about what the user should know."""
        ...


def finish(deployment: Deployment, loaded: Loaded, one: str, many: str | None = None) -> None:
    """Update the mirror and print the warnings and the number of rows, which are called `one` or `many`."""
    for warning in loaded.warnings:
        note(warning)
    mirror.update(deployment)
    out.print(f"Loaded {counted(loaded.rows, one, many)}.")
