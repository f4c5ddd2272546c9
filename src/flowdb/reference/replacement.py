"""Replacing a reference table: one process at a time, and what a load reports."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from flowdb.lake import ARROW, Lake, LakeError, locked
from flowdb.tables import Table

_REFUSAL = "Cells or boundaries are being loaded by another process: wait for it to end."
_WAIT = 60.0


@dataclass(frozen=True)
class Loaded:
    """What a load of a reference table did: rows stored, and sentences that someone should read."""

    rows: int
    warnings: tuple[str, ...] = ()


@contextmanager
def changing(lake: Lake) -> Iterator[None]:
    """Hold the lake's reference tables against other processes; waits a minute for them to be free."""
    with locked(lake, "reference", _REFUSAL, _WAIT):
        yield


def arrow_table(rows: list[dict[str, Any]], table: Table) -> pa.Table:
    """Rows as the Arrow table of a declared one; columns that the rows lack are null."""
    return pa.table({c.name: pa.array([r.get(c.name) for r in rows], ARROW[c.type]) for c in table})


def refuse_other_ids(what: str, former: Collection[str], new: Collection[str]) -> None:
    """Raise LakeError if none of the ids of a table stays, which happens if another kind of list is loaded."""
    if former and new and not {*former} & {*new}:
        raise LakeError(
            f"None of the {len({*former}):,} {what} loaded so far is in this file: is it another kind of list? "
            "If all of them have changed, say --insist."
        )
