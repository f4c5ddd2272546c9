"""FlowAuth's refusals: one family of errors, each a sentence for the person who asked."""

from collections.abc import Iterator
from contextlib import contextmanager

from flowkit_base.errors import UserError


class Refused(UserError):
    """What was asked cannot be done as it stands.

    Attributes
    ----------
    message : str
        What is wrong and what to do, in a sentence.
    field : str or None
        The field of the form or document that is meant.
    status : int
        The HTTP status that says the same.
    """

    status = 400

    def __init__(self, message: str, field: str | None = None) -> None:
        # It may repeat what was sent, which JSON lets hold what UTF-8 cannot.
        self.message = _utf8(message)
        self.field = None if field is None else _utf8(field)
        super().__init__(self.message)


class NameTaken(Refused):
    """Something of this name is there already."""


class NotSignedIn(Refused):
    """Nobody is signed in, or the sign-in did not succeed."""

    status = 401


class NotAllowed(Refused):
    """The person who is signed in may not do this."""

    status = 403


class NotThere(Refused):
    """There is no such thing, or it is not for the person who asks."""

    status = 404


class NotReachable(Refused):
    """Another service that is needed for this does not answer, or not as it should."""

    status = 502


class NotNow(Refused):
    """FlowAuth's own database takes or gives nothing at present."""

    status = 503

    def __init__(self) -> None:
        super().__init__(
            "FlowAuth's database takes or gives nothing at present, and nothing was changed: whoever runs FlowAuth "
            "finds the reason in its log. Try again later."
        )


class TooMany(Refused):
    """Too many attempts; `wait` is the seconds after which another is looked at."""

    status = 429

    def __init__(self, message: str, wait: float) -> None:
        super().__init__(message)
        self.wait = wait


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@contextmanager
def fields(otherwise: str | None = None, /, **names: str) -> Iterator[None]:
    """Name the fields of what is refused in the block as the sender calls them: `fields(code="two_factor_code")`.

    A refusal of another field, or of none, keeps what it names unless `otherwise` is given.
    """
    try:
        yield
    except Refused as refused:
        refused.field = names.get(refused.field or "", otherwise or refused.field)
        raise
