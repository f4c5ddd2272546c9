"""Loads a delivery in a process of its own, to be killed or starved: lake, catalogue, limit in bytes or 0, files."""

import resource
import sys
from pathlib import Path

from flowdb.lake import Lake, LakeError
from flowdb.records import Catalogue
from flowetl import IngestError, ingest
from flowkit_base.stopping import Stopped

lake, catalogue, limit, *files = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
try:
    opened = Catalogue.open(f"sqlite:///{catalogue}")
    print("ready", flush=True)
    ingest(
        Lake.open(Path(lake)),
        opened,
        "calls",
        [Path(f) for f in files],
        key=b"a key that only tests know, long enough",
        memory_limit="500MB",
        progress=lambda what, done, of: print(what, done, of, flush=True),
    )
except Stopped as stopped:
    print(stopped)
    sys.exit(stopped.code)
except (IngestError, LakeError) as error:
    print(error)
    sys.exit(3)
