"""Errors that are sentences for the user, and sentences for the errors of libraries."""

import errno


class UserError(Exception):
    """What is wrong and the way out, in sentences for the person at the keyboard.

    Every error that a command or a route shows is one of these; any other exception is a defect of the program.
    """


def first_line(error: BaseException) -> str:
    """The first line of an error's text without its full stop; the name of its class where it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def library_sentence(error: BaseException) -> str | None:
    """The sentence for an error that the operating system or a library raised; None where it has none.

    A class is known by its name, so that no library is imported for it. `None` means a defect: let it be raised.
    """
    if isinstance(error, OSError):
        return _of_the_system(error)
    for words in _DISK_FULL:
        if words in str(error):
            return f"The disk is full ({words}): make room and run it again."
    if isinstance(error, UnicodeError):
        return "A text is in another encoding than was expected: name the right one with --encoding."
    # The compiled half of a package is a module with a leading underscore.
    names = {f"{cls.__module__.partition('.')[0].lstrip('_')}.{cls.__name__}" for cls in type(error).__mro__}
    for name, sentence in _LIBRARIES.items():
        if name in names:
            return sentence.format(reason=first_line(getattr(error, "orig", None) or error))
    return None


_DISK_FULL = ("No space left on device", "Disk quota exceeded", "File too large", "database or disk is full")
_LIBRARIES = {
    "duckdb.InterruptException": "The work was interrupted: nothing of it was stored; run it again.",
    "duckdb.OutOfMemoryException": "The work needs more memory than its limit ({reason}): raise the limit, or ask for "
    "less at once.",
    "duckdb.Error": "The engine could not do it ({reason}).",
    "deltalake.DeltaError": "The lake could not be read or written ({reason}).",
    "internal.DeltaError": "The lake could not be read or written ({reason}).",
    "shapely.ShapelyError": "A geometry is not valid ({reason}).",
    "pyogrio.DataSourceError": "The file could not be read as boundaries ({reason}).",
    "sqlalchemy.SQLAlchemyError": "The database could not be read or written ({reason}).",
    "psycopg.Error": "The database could not be read or written ({reason}).",
    "zmq.ZMQError": "The connection to the FlowMachine server failed ({reason}).",
}
"""What errors of libraries mean, the narrower class first; `{reason}` is the first line of the error."""


def _of_the_system(error: OSError) -> str | None:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return f"{where}{'the' if where else 'The'} disk is full: make room and run it again."
    if error.strerror is None:
        return f"{first_line(error)}." if str(error) else None
    return f"{where}{error.strerror}."
