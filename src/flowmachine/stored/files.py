"""Files of stored rows: one, or a directory of several if several machines wrote them."""

import shutil
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq

from flowkit_base.files import sync


def measured(path: Path) -> tuple[int, int]:
    """How many rows and bytes stored rows have."""
    files = parquet_files(path)
    return sum(pq.read_metadata(f).num_rows for f in files), sum(f.stat().st_size for f in files)


def size(path: Path) -> int | None:
    """How many bytes stored rows take; None where there are none."""
    try:
        return sum(f.stat().st_size for f in parquet_files(path))
    except FileNotFoundError:
        return None


def parquet_files(path: Path) -> list[Path]:
    """The Parquet files of stored rows."""
    return sorted(path.glob("*.parquet")) if path.is_dir() else [path]


def publish(staged: Path, path: Path) -> None:
    """Give staged rows their name, for this user alone and in one step, once all of them are on the disk."""
    for file in [*staged.rglob("*"), staged] if staged.is_dir() else [staged]:
        file.chmod(0o700 if file.is_dir() else 0o600)
        sync(file)
    staged.rename(path)
    sync(path.parent)


def remove(path: Path) -> None:
    """Delete stored or staged rows, if there are any."""
    with suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
