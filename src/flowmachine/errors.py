"""What can be wrong with a question; every message is a sentence for the person who asked."""

from collections.abc import Mapping

from flowkit_base.errors import UserError


class FlowMachineError(UserError):
    """Says what is wrong and what to do."""


class InvalidQuery(FlowMachineError):
    """A spec that is no question; `problems` holds the messages for each path in it."""

    def __init__(self, problems: Mapping[str, list[str]]) -> None:
        self.problems = {path: list(messages) for path, messages in problems.items()}
        super().__init__(
            " ".join(f"{path}: {message}" if path else message for path, ms in self.problems.items() for message in ms)
        )


class MissingDates(FlowMachineError):
    """A window on which no data lies."""


class Unsupported(FlowMachineError):
    """An ability that an engine lacks."""
