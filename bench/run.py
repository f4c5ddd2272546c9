"""Times every kind of question: ours, the best SQL that we can write by hand, and the same question on PostgreSQL.

python -m bench.run --events 20e6 --engines duckdb,postgres --repeat 5

Ours and the hand-written SQL run turn by turn in one process, on the same files, with the same threads, after one turn
of each that is not timed; their rows must be equal. Nothing is asserted of times: `--check` marks what is too slow.
"""

import argparse
import datetime as dt
import json
import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from string import Template

import duckdb
import pyarrow as pa
from bench.data import FIRST, TIMEZONE, Size, bench_lake
from bench.questions import QUESTIONS
from rich.console import Console
from rich.table import Column, Table

from flowdb.lake import Lake, Snapshot
from flowmachine.building import plan as plans
from flowmachine.engines import duckdb as duckdb_engine
from flowmachine.session import Session, connect

HERE = Path(__file__).parent
ENGINES = ("duckdb", "postgres")
MOST_OF_HAND_WRITTEN = 1.2
"""How much longer than the hand-written SQL a kind may take."""
LEAST_OF_POSTGRES = 20
"""How many times faster than PostgreSQL the median kind shall be."""
SAME = 1e-9
"""The relative difference that floating-point values may have: sums depend on the order of their terms."""
POSTGRES = {
    "shared_buffers": "4GB",
    "work_mem": "256MB",
    "maintenance_work_mem": "1GB",
    "max_wal_size": "8GB",
    "effective_cache_size": "12GB",
}


class DifferentRows(Exception):
    """Says which question two engines answer differently."""


@dataclass(frozen=True)
class Timed:
    """What one question took, in seconds."""

    name: str
    rows: int
    ours: Sequence[float]
    """Each turn of session.run."""
    first: float
    """The first time that a process asks, when the plan and its SQL are built too."""
    hand_written: Sequence[float]
    postgres: float | None = None
    """None where it was not asked or took longer than the limit."""
    beside: float | None = None
    """Ours again, in the moments in which PostgreSQL was timed, so that a busy machine is as busy for both."""

    @property
    def ratio(self) -> float:
        """Ours to the hand-written, by the medians."""
        return statistics.median(self.ours) / statistics.median(self.hand_written)

    @property
    def first_ratio(self) -> float:
        """The first time to the hand-written."""
        return self.first / statistics.median(self.hand_written)

    def faster_than_postgres(self, limit: float) -> float:
        """PostgreSQL to ours; where it was stopped, at least so much."""
        return (self.postgres or limit) / (self.beside or statistics.median(self.ours))


class Files(dict[str, str]):
    """What the names in hand-written SQL stand for: $calls_0_7 is the files of the first seven days, $visits_0_7 those
    of their settled visits.
    """

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def __missing__(self, name: str) -> str:
        days = re.fullmatch(r"(calls|topups|visits)_(\d+)_(\d+)", name)
        if not days:
            return str([str(file) for file in self.snapshot.reference[name].files])
        start, stop = (FIRST + dt.timedelta(days=int(n)) for n in days.groups()[1:])
        days_of = self.snapshot.days["topups" if days[1] == "topups" else "calls"]
        stored = [each for day, each in sorted(days_of.items()) if start <= day < stop]
        return str([str(file) for each in stored for file in (each.visits if days[1] == "visits" else each.files)])


def hand_written(name: str, snapshot: Snapshot) -> str:
    """The hand-written SQL of a question over a lake's files."""
    return Template((HERE / "handwritten" / f"{name}.sql").read_text()).substitute(Files(snapshot))


def same_rows(ours: pa.Table, other: pa.Table) -> bool:
    """Whether two answers have the same columns and rows in the same order; sums may differ in their last digits."""
    if ours.schema.names != other.schema.names or ours.num_rows != other.num_rows:
        return False
    for name in ours.schema.names:
        a, b = ours[name], other[name].cast(ours[name].type)
        if pa.types.is_floating(a.type):
            near = all(abs(x - y) <= SAME * max(1, abs(x)) for x, y in zip(a.to_pylist(), b.to_pylist(), strict=True))
            if not near:
                return False
        elif not a.equals(b):
            return False
    return True


def run(lake: Lake, names: Sequence[str], repeat: int, threads: int) -> Iterator[Timed]:
    """Time questions on DuckDB, ours and by hand; raises DifferentRows where the answers differ."""
    session = connect(lake.path, engine="duckdb", threads=threads)
    by_hand = duckdb.connect(config={"threads": threads})
    by_hand.execute("SET TimeZone = 'UTC'; SET parquet_metadata_cache = true")
    for name in names:
        spec, sql = QUESTIONS[name], hand_written(name, lake.snapshot())

        def ask(spec: Mapping[str, object] = spec) -> pa.Table:
            return session.run(spec)

        def ask_by_hand(sql: str = sql) -> pa.Table:
            return by_hand.sql(sql).to_arrow_table()

        answer = ask()
        if not same_rows(answer, ask_by_hand()):
            raise DifferentRows(f"{name}: our rows are not those of bench/handwritten/{name}.sql.")
        first: list[float] = []
        ours: list[float] = []
        hand: list[float] = []
        for _ in range(repeat):
            forget_plans()
            first.append(seconds(ask))
            hand.append(seconds(ask_by_hand))
            ours.append(seconds(ask))
        yield Timed(name, answer.num_rows, ours, statistics.median(first), hand)
    session.close()
    by_hand.close()


def forget_plans() -> None:
    """Forget the plans and SQL that the process remembers, so that they are built again."""
    plans._plan.cache_clear()
    plans._plan_part.cache_clear()
    duckdb_engine._sql.cache_clear()


def seconds(what: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


@contextmanager
def postgres_session(lake: Lake, limit: float, console: Console) -> Iterator[Session]:
    """A session on a PostgreSQL that holds the lake and lives as long as the block."""
    # DuckDB alone can be timed where PostgreSQL's driver is not installed.
    import psycopg  # noqa: PLC0415
    from tests.engines import postgres_cluster  # noqa: PLC0415

    from flowdb.postgres import copy_from_lake, create  # noqa: PLC0415

    with postgres_cluster.cluster(POSTGRES) as server, server.database() as url:
        began = time.perf_counter()
        create(url, TIMEZONE)
        copied = copy_from_lake(lake, url)
        console.print(f"Copied {copied.rows:,} events into PostgreSQL in {time.perf_counter() - began:.0f} s.")
        with psycopg.connect(url, autocommit=True) as connection:
            database = url.rpartition("/")[2]
            connection.execute(f"ALTER DATABASE {database} SET statement_timeout = '{limit:.0f}s'".encode())
        yield connect(url)


def with_postgres(timed: Timed, postgres: Session, ours: Session, limit: float) -> Timed:
    """A question's times with PostgreSQL's, the better of two turns; raises DifferentRows where its rows differ."""
    spec = QUESTIONS[timed.name]
    took: list[float] = []
    beside: list[float] = []
    expected, answer = ours.run(spec), None
    for _ in range(2):
        began = time.perf_counter()
        try:
            answer = postgres.run(spec)
        except Exception as problem:
            if "statement timeout" not in str(problem):
                raise
            break
        took.append(time.perf_counter() - began)
        beside.append(seconds(lambda: ours.run(spec)))
        if took[0] > limit / 5:
            break
    if answer is not None and not same_rows(expected, as_lake_tells(answer, expected)):
        raise DifferentRows(f"{timed.name}: PostgreSQL's rows are not DuckDB's.")
    return replace(timed, postgres=min(took, default=None), beside=min(beside, default=None))


def as_lake_tells(answer: pa.Table, ours: pa.Table) -> pa.Table:
    """PostgreSQL's rows in the lake's order: its pseudonyms are text, which sorts otherwise than numbers."""
    if "subscriber" not in answer.schema.names:
        return answer
    answer = answer.cast(ours.schema)
    return answer.sort_by([(name, "ascending") for name in answer.schema.names if name != "value"])


def machine(threads: int) -> str:
    """The machine and the software, in a sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores and {memory:.0f} GB of memory, {threads} threads, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}, DuckDB {duckdb.__version__}"
    )


def markdown(results: Sequence[Timed], size: Size, told: str, limit: float, asked: Sequence[str]) -> str:
    """The page of the documentation."""
    head = ["question", "rows", "ours, s", "by hand, s", "ratio", "first time, s", "ratio"]
    lines = [[r.name, f"{r.rows:,}", *figures(r)] for r in results]
    if "postgres" in asked:
        head += ["PostgreSQL, s", "times faster"]
        lines = [[*line, *postgres_figures(r, limit)] for line, r in zip(lines, results, strict=True)]
    table = [head, ["---", *["---:"] * (len(head) - 1)], *lines]
    rows = "\n".join(f"| {' | '.join(line)} |" for line in table)
    page = (HERE / "page.md").read_text()
    counts = {name: f"{count:,}" for name, count in asdict(size).items()}
    columns = WITH_POSTGRES if "postgres" in asked else WITHOUT_POSTGRES
    return page.format(**counts, **columns, machine=told, table=rows, summary=summary(results, limit, asked))


WITHOUT_POSTGRES = {
    "also": "",
    "postgres": "",
    "targets": f"Target: at most {MOST_OF_HAND_WRITTEN} of the hand-written SQL.",
}
WITH_POSTGRES = {
    "also": ", and beside\nthe same question on PostgreSQL",
    "postgres": (
        "- **PostgreSQL** runs the SQL that our kinds give it, over the same events in FlowKit's schema with its\n"
        "  indexes and fresh statistics, and memory to suit the machine; it is asked at most twice, with ours in\n"
        "  between, and the better times of both are compared.\n"
    ),
    "targets": (
        f"Targets: at most {MOST_OF_HAND_WRITTEN} of the hand-written SQL; at least 20 times faster than PostgreSQL in "
        "the median."
    ),
}
"""What the page says of the columns that a run has measured, and of no others."""


def figures(timed: Timed) -> list[str]:
    """What the table tells of ours and the hand-written SQL."""
    return [
        f"{statistics.median(timed.ours):.3f}",
        f"{statistics.median(timed.hand_written):.3f}",
        f"{timed.ratio:.2f}",
        f"{timed.first:.3f}",
        f"{timed.first_ratio:.2f}",
    ]


def postgres_figures(timed: Timed, limit: float) -> list[str]:
    """What the table tells of PostgreSQL."""
    more = "" if timed.postgres is not None else "> "
    taken = limit if timed.postgres is None else timed.postgres
    return [f"{more}{taken:.1f}", f"{more}{timed.faster_than_postgres(limit):.0f}"]


def summary(results: Sequence[Timed], limit: float, asked: Sequence[str]) -> str:
    """What the table comes to."""
    slow = [r.name for r in results if r.ratio > MOST_OF_HAND_WRITTEN]
    told = f"The median ratio to the hand-written SQL is {statistics.median(r.ratio for r in results):.2f}"
    told += f"; over {MOST_OF_HAND_WRITTEN}: {', '.join(slow)}." if slow else f"; none is over {MOST_OF_HAND_WRITTEN}."
    if "postgres" in asked:
        faster = statistics.median(r.faster_than_postgres(limit) for r in results)
        told += f" PostgreSQL takes {faster:.0f} times as long in the median."
    return told


def show(results: Sequence[Timed], limit: float, asked: Sequence[str], *, check: bool, console: Console) -> None:
    """Print the table."""
    table = Table(
        Column("question", no_wrap=True), "rows", "ours", "by hand", "ratio", "first", "ratio", "PostgreSQL", "times"
    )
    for r in results:
        line = [r.name, f"{r.rows:,}", *figures(r), *(postgres_figures(r, limit) if "postgres" in asked else ["", ""])]
        table.add_row(*line, style="red" if check and r.ratio > MOST_OF_HAND_WRITTEN else None)
    console.print(table)
    console.print(summary(results, limit, asked))


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line's arguments."""
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=lambda n: int(float(n)), default=Size.events, help="how many calls")
    parser.add_argument("--engines", default="duckdb", help="duckdb, or duckdb,postgres")
    parser.add_argument("--repeat", type=int, default=5, help="timed turns of each question")
    parser.add_argument("--threads", type=int, default=cores, help="threads of DuckDB")
    parser.add_argument("--limit", type=float, default=300, help="seconds before PostgreSQL is stopped")
    parser.add_argument("--questions", help="only these, separated by commas")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "flowkit-bench")
    parser.add_argument("--json", type=Path, help="where to write the times; left out: results.json in the directory")
    parser.add_argument("--page", type=Path, help="where to write the page, such as docs/benchmarks.md")
    parser.add_argument("--check", action="store_true", help=f"mark kinds over {MOST_OF_HAND_WRITTEN} in red")
    given = parser.parse_args(arguments)
    given.engines = given.engines.split(",")
    given.questions = given.questions.split(",") if given.questions else list(QUESTIONS)
    if unknown := [e for e in given.engines if e not in ENGINES]:
        parser.error(f"there is no engine {unknown[0]!r} to time: name {' or '.join(ENGINES)}.")
    if unknown := [q for q in given.questions if q not in QUESTIONS]:
        parser.error(f"there is no question {unknown[0]!r}: name some of {', '.join(QUESTIONS)}.")
    if given.events < Size.days or given.repeat < 1:
        parser.error(f"--events must be at least {Size.days}, one a day, and --repeat at least 1.")
    return given


def main(arguments: Sequence[str] | None = None) -> list[Timed]:
    """Run the benchmarks as the command line asks."""
    given, console = parsed(arguments), Console()
    if not console.is_terminal:
        console = Console(width=140)  # A file has no width of its own, and 80 columns cut the figures.
    size = Size.of(given.events)
    given.directory.mkdir(parents=True, exist_ok=True)
    lake = bench_lake(given.directory, size)
    results = list(run(lake, given.questions, given.repeat, given.threads))
    if "postgres" in given.engines:
        show(results, given.limit, ["duckdb"], check=given.check, console=console)
        ours = connect(lake.path, engine="duckdb", threads=given.threads)
        with postgres_session(lake, given.limit, console) as postgres:
            results = [with_postgres(r, postgres, ours, given.limit) for r in results]
        ours.close()
    show(results, given.limit, given.engines, check=given.check, console=console)
    told = machine(given.threads)
    report = {"machine": told, **asdict(size), "limit": given.limit, "times": [asdict(r) for r in results]}
    (given.json or given.directory / "results.json").write_text(json.dumps(report, indent=2))
    if given.page:
        given.page.write_text(markdown(results, size, told, given.limit, given.engines))
    return results


if __name__ == "__main__":
    main()
