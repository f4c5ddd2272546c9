"""Asks every question of a lake and of one ten times as large: what time and memory grow by.

python -m bench.growth --events 20e6,200e6 --memory 7GB --page docs/benchmarks-growth.md

Each question is asked twice in a process of its own, whose greatest resident memory is told; the second time counts.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from bench.data import Size, bench_lake
from bench.questions import QUESTIONS
from bench.run import machine

from flowmachine.session import connect

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Asked:
    """What one question took of one lake."""

    rows: int
    seconds: float
    gigabytes: float
    """The greatest resident memory of the process."""


def ask(lake: Path, name: str, memory: str, threads: int) -> Asked:
    """Ask a question of a lake twice in this process, and tell of the second time."""
    session = connect(lake, engine="duckdb", memory_limit=memory, threads=threads)
    session.run(QUESTIONS[name])
    began = time.perf_counter()
    rows = session.run(QUESTIONS[name]).num_rows
    took = time.perf_counter() - began
    session.close()
    return Asked(rows, took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def growth(lakes: Mapping[int, Path], name: str, memory: str, threads: int) -> dict[int, Asked]:
    """Ask a question of each lake, in a process of its own."""
    asked = {}
    for events, lake in lakes.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            asked[events] = alone.submit(ask, lake, name, memory, threads).result()
    return asked


def markdown(results: Mapping[str, Mapping[int, Asked]], sizes: Sequence[int], memory: str, threads: int) -> str:
    """The page of the documentation."""
    factor = sizes[-1] / sizes[0]
    head = ["question", *(f"{n:,}: s" for n in sizes), "times", *(f"{n:,}: GB" for n in sizes)]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    times = {name: told[sizes[-1]].seconds / told[sizes[0]].seconds for name, told in results.items()}
    for name, told in results.items():
        seconds, memories = ([f"{getattr(told[n], each):.2f}" for n in sizes] for each in ("seconds", "gigabytes"))
        lines.append([name, *seconds, f"{times[name]:.1f}", *memories])
    most = max(told[sizes[-1]].gigabytes for told in results.values())
    slower = [f"{name} ({grown:.1f})" for name, grown in times.items() if grown > factor * 1.1]
    summary = (
        f"{factor:.0f} times the events take {statistics.median(times.values()):.1f} times as long in the median; "
        + (f"more than {factor * 1.1:.0f} times: {', '.join(slower)}. " if slower else "no question grows faster. ")
        + f"The most memory that a process had was {most:.1f} GB."
    )
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    page = (HERE / "growth.md").read_text()
    subscribers = Size.of(sizes[-1]).subscribers
    return page.format(
        sizes=" and ".join(f"{n:,}" for n in sizes),
        subscribers=f"{subscribers:,}",
        memory=memory,
        machine=machine(threads),
        summary=summary,
        table=table,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison as the command line asks."""
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", default="20e6,200e6", help="how many calls, separated by commas")
    parser.add_argument("--memory", default="7GB", help="what DuckDB may use; it spills to disk beyond that")
    parser.add_argument("--threads", type=int, default=cores, help="threads of DuckDB")
    parser.add_argument("--questions", default=",".join(QUESTIONS), help="only these, separated by commas")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "flowkit-bench")
    parser.add_argument("--page", type=Path, help="where to write the page, such as docs/benchmarks-growth.md")
    given = parser.parse_args(arguments)
    if unknown := [q for q in given.questions.split(",") if q not in QUESTIONS]:
        parser.error(f"there is no question {unknown[0]!r}: name some of {', '.join(QUESTIONS)}.")
    sizes = sorted(int(float(n)) for n in given.events.split(","))
    given.directory.mkdir(parents=True, exist_ok=True)
    lakes = {n: bench_lake(given.directory, Size.of(n)).path for n in sizes}
    results = {}
    for name in given.questions.split(","):
        results[name] = growth(lakes, name, given.memory, given.threads)
        told = "; ".join(f"{n:,}: {r.seconds:.2f} s, {r.gigabytes:.1f} GB" for n, r in results[name].items())
        print(f"{name}: {told}", flush=True)
    page = markdown(results, sizes, given.memory, given.threads)
    print(page)
    if given.page:
        given.page.write_text(page)


if __name__ == "__main__":
    main()
