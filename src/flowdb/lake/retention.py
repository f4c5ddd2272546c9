"""The files of a lake that nobody reads any more, and their deletion."""

import datetime as dt
import time
from contextlib import suppress

from flowdb.lake import visits
from flowdb.lake.delta import ever_added
from flowdb.lake.directory import Lake
from flowdb.tables import DAILY


def sweep(lake: Lake, older_than: dt.timedelta = dt.timedelta(days=1), event_type: str | None = None) -> int:
    """Delete what nobody reads any more, of one event type or of all; returns how many files.

    Staged days that no commit of any version added, left by a killed load; and visits of days that are not published,
    or were replaced or withdrawn so long ago that no query can read them still.
    """
    swept = 0
    for each in [event_type] if event_type else DAILY:
        root = lake.events_path(each)
        added, removed = ever_added(root)
        files = [(file, False) for file in root.glob("day=*/*.parquet")]
        files += [(file, True) for file in lake.visits_path(each).glob("day=*/*.parquet*")]
        for file, derived in files:
            path = f"{file.parent.name}/{visits.events_name(file)}"
            unread = path not in added or (derived and (path in removed or file.suffix != ".parquet"))
            # Another process may be sweeping too.
            with suppress(FileNotFoundError):
                since = max(file.stat().st_mtime, removed.get(path, 0))
                if unread and time.time() - since > older_than.total_seconds():
                    file.unlink()
                    swept += 1
    return swept
