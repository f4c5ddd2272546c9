"""The bar that shows how much of a query has run."""

from __future__ import annotations

import warnings
from typing import Any


class ProgressBar:
    """A bar of the parts of a query that have run, shown only once there is something to wait for.

    `disable`: True never shows it, False always does, None shows it on a terminal or in a notebook.
    """

    def __init__(self, disable: bool | None = None) -> None:
        self._disable = disable
        self._bar: Any = None

    def update(self, progress: dict[str, int]) -> None:
        """Show a new state; `eligible` is the number of parts still to be run."""
        if self._disable is True:
            return
        eligible = int(progress.get("eligible") or 0)
        if self._bar is None:
            with warnings.catch_warnings():
                # In a notebook without ipywidgets tqdm warns, and then draws a plain bar, which is fine.
                warnings.simplefilter("ignore")
                from tqdm.auto import tqdm  # noqa: PLC0415  # not needed by queries that are ready at once

                self._bar = tqdm(desc="Parts run", unit="q", total=eligible, disable=self._disable)
        # Parts may be added while the query runs: the bar grows, it never runs backwards.
        self._bar.total = max(self._bar.total or 0, eligible)
        done = self._bar.total - eligible
        if done > self._bar.n:
            self._bar.update(done - self._bar.n)
        self._bar.set_postfix(running=progress.get("running", 0), queued=progress.get("queued", 0))

    def finish(self) -> None:
        """Fill the bar: the query is ready."""
        if self._bar is not None and (self._bar.total or 0) > self._bar.n:
            self._bar.update(self._bar.total - self._bar.n)

    def close(self) -> None:
        """Put the bar away; closing twice does no harm."""
        if self._bar is not None:
            self._bar.close()
