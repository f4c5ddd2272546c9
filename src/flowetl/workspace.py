"""What one load works in: a directory of its own in the lake, a bounded engine, and sentences for what breaks."""

import fcntl
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from flowdb.bounded_duckdb import open_duckdb
from flowdb.lake import Lake
from flowdb.reference.errors import DeliveryError
from flowetl import pseudonyms
from flowkit_base.errors import UserError, first_line, library_sentence


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
        raise DeliveryError(f"The memory limit {memory_limit!r} is not taken: {first_line(error)}.") from None
    with connection:
        pseudonyms.give_key(connection, key)
        yield connection


@contextmanager
def sentences() -> Iterator[None]:
    """Turn what a full disk, too little memory or a damaged lake raises into a DeliveryError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if (sentence := library_sentence(error)) is None:
            raise
        raise DeliveryError(f"{sentence} Nothing of the day at hand was stored; loaded days stay loaded.") from error
