"""A whole synthetic delivery: country, network, handsets, people, and their days."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

from flowsynth.country import ADMIN1, ADMIN2, ADMIN3, write_boundaries
from flowsynth.events import event_path, write_day
from flowsynth.handsets import write_tacs
from flowsynth.network import write_cells, write_sites
from flowsynth.parameters import Crisis, Parameters, Summary, SynthesisError, check
from flowsynth.truth import write_truth
from flowsynth.world import World, make_world


def synthesise(
    directory: Path,
    *,
    subscribers: int = 20_000,
    days: int = 14,
    start: date = date(2016, 1, 1),
    seed: int = 1,
    events_per_day: float = 18.0,
    sites: int = 300,
    crisis: Crisis | None = Crisis(),  # noqa: B008 - frozen
    mobile_money: float = 0.0,
    progress: Callable[[str, int, int], None] | None = None,
    threads: int | None = None,
) -> Summary:
    """Write a synthetic country, its people and their operator's daily deliveries into an empty directory.

    The files: `boundaries.geojson`, `sites.csv`, `cells.csv`, `tacs.csv`, one `calls/calls_<YYYYMMDD>.csv` a
    day and likewise `sms`, `mds` and `topups`, and the ground truth about people in `truth/`. Times are naive
    local times, durations seconds, volumes MB. `events_per_day` is the mean number of rows of a subscriber a day.
    `mobile_money` is the share of subscribers who have an account of mobile money; where there are any, there is one
    more file a day, `transactions/transactions_<YYYYMMDD>.csv`, and the others stay as they are without.

    The same parameters give the same bytes, whatever `threads` (days made at the same time; None: one a core,
    at most 4). A longer period begins with the same event files as a shorter one. `progress` is called with
    the step ("country", "people", "days"), how much of it is done, and of how much.

    Raises `SynthesisError` with one sentence if a parameter or the directory is invalid.
    """
    parameters = Parameters(subscribers, days, start, seed, events_per_day, sites, crisis, mobile_money)
    check(parameters)
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise SynthesisError(f"threads must be a whole number from 1 on, not {threads!r}.")
    tell = progress or _silent
    directory = Path(directory)
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise SynthesisError(f"{directory} is not an empty directory; name a new one, or empty it first.")
        return _write(parameters, directory, tell, threads or min(os.cpu_count() or 1, 4))
    except OSError as error:
        raise SynthesisError(
            f"Cannot write {error.filename or directory}: {error.strerror or error}; "
            "name a directory that can be written to and has room."
        ) from error


def _silent(_step: str, _done: int, _total: int) -> None:
    pass


def _write(parameters: Parameters, directory: Path, tell: Callable[[str, int, int], None], threads: int) -> Summary:
    tell("country", 0, 1)
    world = make_world(parameters)
    for name in (*parameters.event_types, "truth"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    paths = {name: directory / name for name in ("boundaries.geojson", "sites.csv", "cells.csv", "tacs.csv", "truth")}
    write_boundaries(world.country, paths["boundaries.geojson"])
    write_sites(world.network, world.country, parameters, paths["sites.csv"])
    write_cells(world.network, parameters, paths["cells.csv"])
    write_tacs(world.handsets, paths["tacs.csv"])
    tell("country", 1, 1)
    tell("people", 0, 1)
    displaced = write_truth(world, paths["truth"])
    tell("people", 1, 1)
    rows = _write_days(world, directory, tell, threads)
    dates = [parameters.date(day) for day in range(parameters.days)]
    flood = world.displacement
    return Summary(
        directory=directory,
        start=dates[0],
        end=dates[-1],
        subscribers=parameters.subscribers,
        units={"admin1": ADMIN1, "admin2": ADMIN2, "admin3": ADMIN3},
        sites=len(world.network.site_ids),
        cells=len(world.network.cell_ids),
        tacs=len(world.handsets.tac),
        rows=rows,
        size=sum(path.stat().st_size for path in directory.rglob("*") if path.is_file()),
        crisis=flood.unit if flood is not None and flood.day < parameters.days else None,
        displaced=displaced,
        boundaries=paths["boundaries.geojson"],
        sites_file=paths["sites.csv"],
        cells_file=paths["cells.csv"],
        tacs_file=paths["tacs.csv"],
        events={kind: tuple(event_path(directory, kind, date) for date in dates) for kind in parameters.event_types},
        truth=paths["truth"],
    )


def _write_days(world: World, directory: Path, tell: Callable[[str, int, int], None], threads: int) -> dict[str, int]:
    days = world.parameters.days
    rows: dict[str, int] = dict.fromkeys(world.parameters.event_types, 0)
    tell("days", 0, days)
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(write_day, world, day, directory) for day in range(days)]
        try:
            for done, written in enumerate(waiting, start=1):
                for event_type, count in written.result().items():
                    rows[event_type] += count
                tell("days", done, days)
        except BaseException:
            # Without this, an interrupted or failed run would still write the remaining days.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return rows
