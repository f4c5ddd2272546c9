"""Files that are there whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `path` when the block ends without an error, and is on the disk then.

    `mode` is the file's; None gives what the process gives new files. After an error `path` is as it was.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o666 & ~umask() if mode is None else mode)
        part.replace(path)
        sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes | str, mode: int | None = None) -> None:
    """Write a file in one step: whoever reads it meanwhile reads all of the old content or all of the new."""
    with replacing(path, mode) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def put(part: Path, path: Path) -> None:
    """Give a finished file its name; whoever sees the name sees the whole file, after a power cut too."""
    sync(part)
    part.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    # After a power cut a name must not outlive the bytes that it names.
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def umask() -> int:
    """The permissions that the process takes from new files."""
    # There is no way to read it but to set it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
