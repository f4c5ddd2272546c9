"""A small deployment to deliver to, and ways to look into it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flowdb.lake import Lake
from flowdb.records import Catalogue
from flowetl import DayReport, ingest

KEY = b"a key that only tests know, long enough"
HEADER = "id,outgoing,datetime,duration,msisdn,msisdn_counterpart,location_id,tac"


@dataclass
class Deployment:
    """A lake with its catalogue, and a folder for deliveries."""

    lake: Lake
    catalogue: Catalogue
    inbox: Path

    def file(self, content: str | bytes, name: str = "calls.csv") -> Path:
        """Write a delivered file."""
        path = self.inbox / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def calls(self, *lines: str, name: str = "calls.csv", header: str = HEADER) -> Path:
        """Write a delivery of calls."""
        return self.file("\n".join([header, *lines]) + "\n", name)

    def load(self, *files: Path, event_type: str = "calls", **options: Any) -> list[DayReport]:
        """Ingest files as a user does."""
        options = {"key": KEY, "memory_limit": "500MB"} | options
        return ingest(self.lake, self.catalogue, event_type, list(files), **options)

    def rows(
        self, columns: str = "* REPLACE (datetime::VARCHAR AS datetime)", event_type: str = "calls"
    ) -> list[tuple[Any, ...]]:
        """Rows of all days that are in, in order of time, subscriber and id."""
        days = self.lake.snapshot().days.get(event_type, {})
        files = [str(f) for s in days.values() for f in s.files]
        if not files:
            return []
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.execute(
                f"SELECT {columns} FROM read_parquet({files}) AS e ORDER BY e.datetime, e.msisdn, e.id"
            ).fetchall()

    def quarantined(self, event_type: str = "calls") -> list[tuple[Any, ...]]:
        """File, line, reason and form of every bad line that is kept."""
        files = [str(p) for p in (self.lake.path / "quarantine" / event_type).glob("*.parquet")]
        if not files:
            return []
        with duckdb.connect() as connection:
            return connection.execute(
                f"SELECT file, line, reason, form FROM read_parquet({files}) AS e ORDER BY file, line"
            ).fetchall()


@pytest.fixture
def deployment_in(tmp_path: Path) -> Callable[[str], Deployment]:
    """Make a deployment in a time zone."""

    def make(timezone: str) -> Deployment:
        lake = Lake.create(tmp_path / "lake", timezone)
        inbox = tmp_path / "inbox"
        inbox.mkdir()
        return Deployment(lake, Catalogue.open(f"sqlite:///{tmp_path}/catalogue.db"), inbox)

    return make


@pytest.fixture
def deployment(deployment_in: Callable[[str], Deployment]) -> Deployment:
    """A deployment in UTC."""
    return deployment_in("UTC")
