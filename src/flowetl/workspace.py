"""What one load works in: a directory of its own in the lake, a bounded engine, and sentences for what breaks."""

import fcntl
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from deltalake.exceptions import DeltaError
from sqlalchemy.exc import SQLAlchemyError

from flowdb.bounded_duckdb import open_duckdb
from flowdb.lake import Lake, LakeError
from flowdb.reference.errors import DeliveryError
from flowetl import pseudonyms

BREAKS = (OSError, duckdb.Error, DeltaError, SQLAlchemyError)
"""What a full disk, too little memory or a damaged lake raises."""


@contextmanager
def directory_of_run(lake: Lake) -> Iterator[Path]:
    """A directory of this run inside the lake; those of dead runs are removed."""
    if set("*?[") & set(str(lake.path)):
        raise DeliveryError(f"The lake's path {lake.path} holds one of * ? [: give its directory another name.")
    root = lake.path / "tmp"
    root.mkdir(mode=0o700, exist_ok=True)
    for lock_path in root.glob("ingest-*.lock"):
        with lock_path.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(lock_path.with_suffix(""), ignore_errors=True)
            lock_path.unlink(missing_ok=True)
    directory = root / f"ingest-{uuid.uuid4().hex}"
    lock_path = root / f"{directory.name}.lock"
    with lock_path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            (directory / "sources").mkdir(parents=True)
            yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)
            lock_path.unlink(missing_ok=True)


@contextmanager
def connected(
    directory: Path, key: bytes, memory_limit: str, threads: int | None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """An engine within its memory limit that spills into the directory, keeps UTC and knows the key."""
    try:
        connection = open_duckdb(
            directory / "spill", memory_limit=memory_limit, threads=threads, preserve_insertion_order=False
        )
    except duckdb.Error as error:
        raise DeliveryError(f"The memory limit {memory_limit!r} is not taken: {_first_line(error)}.") from None
    with connection:
        pseudonyms.give_key(connection, key)
        yield connection


@contextmanager
def sentences(lake: Lake) -> Iterator[None]:
    """Turn what a full disk, too little memory or a damaged lake raises into an DeliveryError."""
    try:
        yield
    except BREAKS as error:
        raise DeliveryError(sentence(lake, error)) from error


def sentence(lake: Lake, error: BaseException) -> str:
    """What an error means for the load, and what to do."""
    match error:
        case DeliveryError() | LakeError():
            return str(error)
        case duckdb.OutOfMemoryException():
            return f"The load needs more than its memory limit: raise it, or give fewer files ({_first_line(error)})."
        case SQLAlchemyError():
            reason = _first_line(getattr(error, "orig", None) or error)
            return f"The catalogue cannot be written ({reason}): days that are in stay in; mend it and run again."
        case OSError() | duckdb.Error() | DeltaError():
            free = shutil.disk_usage(lake.path).free >> 20
            return (
                f"The lake {lake.path} cannot be written ({_first_line(error)}; {free} MB are free): "
                "nothing of the day at hand was stored; make room and run it again."
            )
        case _:
            return "The load was stopped: run it again."


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
