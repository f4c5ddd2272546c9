"""The error that loading raises for a delivery."""

from flowkit_base.errors import UserError


class IngestError(UserError):
    """What is wrong with a delivery, and the way out, in one sentence."""
