"""The error that loading raises for a delivered file."""

from flowdb.lake import LakeError


class DeliveryError(LakeError):
    """What is wrong with a delivered file, and the way out, in a sentence."""
