"""The lake: FlowDB as Delta Lake tables in a directory.

One Delta table for each event type, partitioned by local day, rows sorted by subscriber and time within a file. A day
is published when its Delta commit is written; the commit carries the day's own facts. Any engine that reads Delta Lake
can read it.
"""

from flowdb.lake.delta import LakeError
from flowdb.lake.directory import TOGETHER, Lake
from flowdb.lake.locks import day_lock, locked
from flowdb.lake.readers import reading
from flowdb.lake.retention import Cleaned, clean, sweep
from flowdb.lake.schema import ARROW, arrow_schema
from flowdb.lake.snapshot import Snapshot, StoredDay, StoredTable

__all__ = [
    "ARROW",
    "TOGETHER",
    "Cleaned",
    "Lake",
    "LakeError",
    "Snapshot",
    "StoredDay",
    "StoredTable",
    "arrow_schema",
    "clean",
    "day_lock",
    "locked",
    "reading",
    "sweep",
]
