"""How each kind agrees with its plain definition, on every engine, and with the published system's answers.

    python -m tests.flowmachine.agreement                              two random worlds an engine, told on the screen
    python -m tests.flowmachine.agreement --worlds 200                 more of them
    python -m tests.flowmachine.agreement --worlds duckdb=500,spark=20 as many as named, else two; 0 leaves one out
    python -m tests.flowmachine.agreement --page docs/agreement.md     written down too

The published answers lie beside the project, and not in every clone: where they are absent, the page keeps what it
said of them. Exit code 1 says that an answer is not what it should be.
"""

import argparse
import itertools
import json
import logging
import math
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import SHARED
from tests.engines.postgres_cluster import NoPostgresError, cluster
from tests.engines.spark_session import NoSparkError, spark_session
from tests.flowmachine import reference
from tests.flowmachine.conftest import postgres_worlds
from tests.flowmachine.random_examples import afresh
from tests.flowmachine.test_expected_rows import as_rows
from tests.flowmachine.test_kinds_on_engines import COUNTED, same, worlds_and_questions

from flowdb.lake import Lake
from flowdb.records import Catalogue
from flowdb.reference import cells, geography, sites, tacs
from flowetl import ingest
from flowmachine.questions.parsing import parse
from flowmachine.questions.registry import kinds
from flowmachine.session import connect
from flowmachine.testing import rows

EXPECTED = sorted((SHARED / "expected" / "nepal").glob("*.json"))
"""The published system's answers, a file each, where they lie beside the project."""

DIFFERENT = {
    "flows_rev_a1": "the published system gives flows and swapped flows one id, and the rows of the first",
    "joined_handset_distr": "the published system tells the share of a single person",
}
"""The answers that ours differ from on purpose, and why."""

ENGINES = {"duckdb": "DuckDB", "postgres": "PostgreSQL", "spark": "Spark"}
DEFAULT_WORLDS = 2
WRITTEN = "<!-- Written by `python -m tests.flowmachine.agreement --page docs/agreement.md`: run that, do not edit. -->"
INTRODUCED = """\
Every kind exists twice: as the one expression that all engines run, and as a plain, slow definition in loops and
dicts, written by itself ([tests/flowmachine/reference](../tests/flowmachine/reference)). This page tells how the two
agree, and how the kinds agree with FlowKit.

- **DuckDB**, **PostgreSQL**, **Spark**: to how many random questions of the kind, about random small worlds, the engine
  gave exactly the rows of the definition, of how many were asked. The worlds have ties, gaps, cells that move, cells
  nowhere, four time zones and a change to summer time; floats agree to 1 in 5,000, for the definition measures
  distances by a plainer formula. A dash: not asked.
- **FlowKit 1.34**: how many of FlowKit's answers, to questions that the kind stands in, are what every engine releases,
  of how many there are. They are about one delivery with the faults of real ones. An answer without rows is no
  evidence and does not count. If FlowKit has given no answer with rows, the kind was compared with its definition
  alone."""
NO_ANSWER = "no answer to compare"
EMPTY_ALONE = "only answers without rows"
NO_DEFINITION = {"geography": "its rows are the boundaries as they were loaded, which tests compare by themselves"}


def kinds_in(spec: Any) -> Iterator[str]:
    """The kinds that a question is made of."""
    if isinstance(spec, dict):
        yield from [spec["query_kind"]] if "query_kind" in spec else []
        for value in spec.values():
            yield from kinds_in(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from kinds_in(value)


def load_delivery(data: Path, home: Path) -> Lake:
    """The published system's delivery, loaded with its faults: swapped headers, start_time, blanks, moving cells."""
    made = Lake.create(home / "lake", "UTC")
    for level in range(4):
        geography.load(
            made, data / "districts.geojson", unit=f"admin{level}", code=f"admin{level}Pcod", name=f"admin{level}Name"
        )
    cells.load(made, data / "cells.csv", {"longitude": "latitude", "latitude": "longitude"})
    sites.load(made, data / "sites.csv")
    tacs.load(made, data / "tacs.csv")
    catalogue = Catalogue.open(f"sqlite:///{home / 'catalogue.db'}")
    for event_type in ("calls", "sms", "mds", "topups"):
        files = sorted((data / "records" / event_type).glob("*.csv"))
        columns = {"datetime": "start_time"} if event_type == "calls" else {}
        ingest(made, catalogue, event_type, files, key=bytes(32), columns=columns)
    catalogue.close()
    return made


@contextmanager
def copied_to_postgres(lake: Lake, postgres: Any) -> Iterator[Any]:
    """A session on a copy of a lake in PostgreSQL."""
    from flowdb.postgres import copy_from_lake, create

    with postgres.database() as url:
        create(url, lake.timezone)
        copy_from_lake(lake, url)
        yield connect(url)


def difference(session: Any, told: dict[str, Any]) -> str | None:
    """What differs between the released rows and the published ones; None where they are the same."""
    got = session.run(parse(told["spec"]), release=True)
    if got.column_names != told["columns"]:
        return f"the columns are {got.column_names}, published were {told['columns']}"
    # Floats are told with other digits, so rows are put in order by what goes with them.
    key = [i for i, name in enumerate(told["columns"]) if name != "value" and not name.endswith("_edge")]
    found = rows(got), as_rows(told["rows"])
    ours, theirs = (sorted(table, key=lambda row: ([str(row[i]) for i in key], row)) for table in found)
    if len(ours) != len(theirs):
        return f"{len(ours)} rows, published were {len(theirs)}"
    for mine, published in zip(ours, theirs, strict=True):
        for a, b in zip(mine, published, strict=True):
            if not (math.isclose(a, b, rel_tol=1e-4) if isinstance(b, float) and a is not None else same(a, b)):
                return f"the row {mine}, published was {published}"
    return None


def agrees(session: Any, query: Any, world: Any) -> bool:
    """Whether an engine gives the rows of a query's definition."""
    got, expected = rows(session.run(query)), reference.answer(query, world)
    return len(got) == len(expected) and all(
        same(a, b) for ours, theirs in zip(got, expected, strict=True) for a, b in zip(ours, theirs, strict=True)
    )


def ask_random_questions(
    open_world: Callable[[Any], Any], worlds: int, seed: int, tell: Callable[[str], None]
) -> dict[str, Counter[str]]:
    """By kind, how many questions were `asked` about random worlds, and how many answers `agreed`."""
    counted: dict[str, Counter[str]] = {kind: Counter() for kind in COUNTED}

    @afresh(worlds, seed, worlds_and_questions(len(COUNTED)))
    def ask(drawn: Any) -> None:
        world, asked = drawn
        with open_world(world) as session:
            for query in asked:
                counted[query.kind]["asked"] += 1
                try:
                    good, why = agrees(session, query, world), "other rows"
                except Exception as problem:  # One failing kind must not hide the others.
                    good, why = False, " ".join(f"{type(problem).__name__}: {problem}".split())[:200]
                counted[query.kind]["agreed"] += good
                if not good:
                    tell(f"{query.kind} differs ({why}): {json.dumps(query.spec)}")

    ask()
    return counted


def compare_with_published(sessions: dict[str, Any], tell: Callable[[str], None]) -> dict[str, Counter[str]]:
    """By kind, how many published answers have rows (`asked`) or none (`empty`), and how many every engine repeats.

    Answers that every engine repeats are counted as `agreed`, of those that have rows. A difference is told of any.
    """
    counted: dict[str, Counter[str]] = {}
    for file in EXPECTED:
        told = json.loads(file.read_text())
        if not told["rows"]:
            for kind in set(kinds_in(told["spec"])):
                counted.setdefault(kind, Counter())["empty"] += 1
        found = {name: difference(session, told) for name, session in sessions.items()}
        for name, what in found.items():
            if what is not None and file.stem not in DIFFERENT:
                tell(f"{file.stem} differs on {name}: {what}")
        for kind in set(kinds_in(told["spec"])) if told["rows"] else ():
            numbers = counted.setdefault(kind, Counter())
            numbers["asked"] += 1
            numbers["agreed"] += not any(found.values())
            numbers["on purpose"] += any(found.values()) and file.stem in DIFFERENT
    return counted


def page(engines: dict[str, tuple[int, dict[str, Counter[str]]]], published: dict[str, str], seed: int) -> str:
    """The table of kinds, engines and published answers."""
    worlds = ", ".join(f"{number:,} on {ENGINES[name]}" for name, (number, _) in engines.items())
    lines = ["# Agreement", "", WRITTEN, "", INTRODUCED, "", f"Worlds drawn from the seed {seed}: {worlds}.", ""]
    lines += [f"| Kind | {' | '.join(ENGINES.values())} | FlowKit 1.34 |", "|---" * (len(ENGINES) + 2) + "|"]
    for kind in sorted(kinds()):
        cells_ = [_told(engines[name][1].get(kind)) if name in engines else "–" for name in ENGINES]
        lines.append(f"| [{kind}](queries/{kind}.md) | {' | '.join(cells_)} | {published.get(kind, NO_ANSWER)} |")
    lines += ["", "FlowKit's answers that ours differ from on purpose:", ""]
    lines += [f"- `{name}`: {why}." for name, why in sorted(DIFFERENT.items())]
    lines += ["", "Kinds without a definition in loops:", ""]
    lines += [f"- `{kind}`: {why}." for kind, why in NO_DEFINITION.items()]
    lines += ["", "More is in [differences from FlowKit](differences-from-flowkit.md).", ""]
    return "\n".join(lines)


def _told(numbers: Counter[str] | None) -> str:
    return f"{numbers['agreed']} of {numbers['asked']}" if numbers else "–"


def _told_published(numbers: Counter[str]) -> str:
    if not numbers["asked"]:
        return EMPTY_ALONE
    different = numbers["on purpose"]
    verb = "differs" if different == 1 else "differ"
    return _told(numbers) + (f", {different} {verb} on purpose" if different else "")


def said_before(path: Path) -> dict[str, str]:
    """What a page says of FlowKit's answers, by kind."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return dict(re.findall(r"^\| \[(\w+)\].*\| ([^|]+) \|$", text, re.MULTILINE))


def worlds_told(text: str) -> dict[str, int]:
    """How many worlds each engine is asked about: 200, or duckdb=200,spark=20."""
    if text.isdecimal():
        return dict.fromkeys(ENGINES, int(text))
    found = dict.fromkeys(ENGINES, DEFAULT_WORLDS)
    for part in text.split(","):
        name, _, number = part.partition("=")
        if name not in ENGINES or not number.isdecimal():
            raise argparse.ArgumentTypeError(f"{part!r} is not like duckdb=200; engines are {', '.join(ENGINES)}.")
        found[name] = int(number)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Compare, tell and write, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--worlds", type=worlds_told, default=str(DEFAULT_WORLDS), metavar="N", help="random worlds")
    parser.add_argument("--seed", type=int, default=2016, help="what the worlds are drawn from")
    parser.add_argument("--page", type=Path, metavar="FILE", help="where to write the table")
    options = parser.parse_args(arguments)
    problems: list[str] = []
    # Random worlds lack days, which sessions warn of.
    logging.disable(logging.WARNING)

    def tell(problem: str) -> None:
        problems.append(problem)
        print(problem, file=sys.stderr)

    with ExitStack() as kept, tempfile.TemporaryDirectory() as scratch:
        numbers, root = itertools.count(), Path(scratch)
        lake = load_delivery(SHARED / "data" / "nepal", root) if EXPECTED else None
        sessions: dict[str, Any] = {}
        engines: dict[str, tuple[int, dict[str, Counter[str]]]] = {}
        for name, worlds in options.worlds.items():
            if not worlds:
                continue
            began = time.monotonic()
            try:
                opened = _open(name, kept, lambda: root / str(next(numbers)), lake)
            except (NoPostgresError, NoSparkError) as lacking:
                print(f"{ENGINES[name]} is left out: {lacking}", file=sys.stderr)
                continue
            open_world, session = opened
            engines[name] = worlds, ask_random_questions(open_world, worlds, options.seed, tell)
            if session is not None:
                sessions[name] = session
            asked = sum(counted["asked"] for counted in engines[name][1].values())
            agreed = sum(counted["agreed"] for counted in engines[name][1].values())
            took = time.monotonic() - began
            print(f"{ENGINES[name]}: {worlds} worlds, {agreed:,} of {asked:,} answers agree, {took:.0f} s")
        if sessions:
            began = time.monotonic()
            counted = compare_with_published(sessions, tell)
            published = {kind: _told_published(numbers) for kind, numbers in counted.items()}
            took = time.monotonic() - began
            print(f"FlowKit: {len(EXPECTED)} answers, on {', '.join(ENGINES[n] for n in sessions)}, {took:.0f} s")
        else:
            published = said_before(options.page) if options.page else {}
            print("FlowKit: its answers do not lie beside this clone; the page keeps what it said of them.")
    if options.page:
        options.page.write_text(page(engines, published, options.seed), encoding="utf-8")
        print(f"wrote {options.page}")
    return 1 if problems else 0


def _open(name: str, kept: ExitStack, new_directory: Callable[[], Path], lake: Lake | None) -> tuple[Any, Any]:
    """How an engine opens a world, and a session of it on the published system's delivery."""
    if name == "postgres":
        postgres = kept.enter_context(cluster())
        open_world = kept.enter_context(postgres_worlds(postgres, new_directory))
        return open_world, None if lake is None else kept.enter_context(copied_to_postgres(lake, postgres))
    if name == "spark":
        spark = kept.enter_context(spark_session())

        @contextmanager
        def on_spark(world: Any) -> Iterator[Any]:
            yield connect(world.lake(new_directory()).path, engine="spark", session=spark)

        return on_spark, None if lake is None else connect(lake.path, engine="spark", session=spark)

    @contextmanager
    def on_duckdb(world: Any) -> Iterator[Any]:
        session = world.session(new_directory(), threads=2)
        try:
            yield session
        finally:
            session.close()

    return on_duckdb, None if lake is None else connect(lake.path, threads=2)


if __name__ == "__main__":
    sys.exit(main())
