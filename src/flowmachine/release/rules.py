"""The rule of a deployment: one object for the server, the command line and the library."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError

from flowkit_base.errors import UserError
from flowkit_base.settings import Settings, complaints

SMALLEST = 16
"""The fewest people that a published row stands for, unless a deployment asks for more: more than 15."""

PERCENT = 10
"""The p of the p-percent rule, unless a deployment asks for more: the second greatest contributor to a published sum,
who knows their own part, cannot tell the greatest one's to within p percent.

Source: A. Hundepool et al. (2012), Statistical Disclosure Control, Wiley, chapter 4.
"""

REVISION = 2
"""Raised when the stage changes what it lets through, so that former results are not served."""


class ReleaseSettings(Settings):
    """The settings that the rule of a deployment is made of."""

    flowmachine_smallest: int = Field(
        SMALLEST, ge=SMALLEST, description="The fewest people that a published row stands for."
    )


@dataclass(frozen=True)
class Rule:
    """What a row must satisfy to be published."""

    smallest: int = SMALLEST
    percent: int = PERCENT

    def __post_init__(self) -> None:
        if self.smallest < SMALLEST:
            raise ValueError(f"A published row must stand for at least {SMALLEST} people, not {self.smallest}.")
        if self.percent < PERCENT:
            raise ValueError(f"The p of the p-percent rule must be at least {PERCENT}, not {self.percent}.")

    @classmethod
    def of(cls, settings: ReleaseSettings) -> Self:
        """The rule that settings ask for."""
        return cls(smallest=settings.flowmachine_smallest)

    @classmethod
    def of_deployment(cls, configured: Mapping[str, Any]) -> Self:
        """The rule of a deployment whose flowkit.toml says `configured`; secret files and the environment win over it.

        Raises UserError if a setting is wrong.
        """
        try:
            given = ReleaseSettings.model_validate({}).model_dump(exclude_unset=True)
            names = ReleaseSettings.model_fields
            return cls.of(ReleaseSettings.model_validate({n: v for n, v in configured.items() if n in names} | given))
        except ValidationError as problem:
            raise UserError(" ".join(complaints(problem, ReleaseSettings))) from None

    @classmethod
    def of_store(cls, store: str | Path) -> Self:
        """The rule of the deployment that a lake belongs to, by the flowkit.toml beside it; else of the environment.

        Raises UserError if a setting is wrong.
        """
        file = Path(store).parent / "flowkit.toml"
        if "://" in str(store) or not file.is_file():
            return cls.of_deployment({})
        try:
            return cls.of_deployment(tomllib.loads(file.read_text()))
        except (OSError, ValueError) as problem:
            raise UserError(f"{file} cannot be read, and it says what may be published: {problem}.") from None

    @property
    def identity(self) -> dict[str, int]:
        """What makes results of the rule another's: its numbers, and the revision of the stage."""
        return asdict(self) | {"revision": REVISION}
