"""Status: the state of every run, as a grid for the terminal, as JSON, and as one self-contained HTML page."""

import datetime as dt
import html
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from rich.markup import escape

from autoflow.schedule.planning import STATES, Overview, Standing

SIGNS = {
    "success": ("●", "+", "green"),
    "running": ("▶", ">", "cyan"),
    "due": ("○", "o", "blue"),
    "failed": ("✕", "x", "red"),
    "waiting": ("…", "~", "yellow"),
    "held back": ("!", "!", "magenta"),
    "withdrawn": ("–", "-", "magenta"),
    "left out": ("·", ".", "bright_black"),
}
"""For each state its sign, the sign where a terminal knows no other than ASCII's, and its colour."""
DAYS_SHOWN = 60
"""How many dates a page or a terminal shows by default."""


@dataclass(frozen=True)
class Line:
    """One entry of workflows.yml over the dates; `label` names it in short, with the values of its parameters."""

    name: str
    parameters: str
    standings: Mapping[dt.date, Standing]
    label: str


def lines_of(overview: Overview) -> list[Line]:
    """Give one line for each entry of workflows.yml, in its order."""
    lines = []
    ordered = sorted(overview.standings, key=lambda each: (each.candidate.entry, each.candidate.reference_date))
    for _, group in groupby(ordered, key=lambda each: each.candidate.entry):
        standings = list(group)
        own = ", ".join(f"{name}={_shown(value)}" for name, value in standings[0].own_parameters.items())
        by_day = {each.candidate.reference_date: each for each in standings}
        name = standings[0].candidate.workflow.name
        values = ", ".join(map(_shown, standings[0].own_parameters.values()))
        lines.append(Line(name, own, by_day, f"{name} ({values})" if values else name))
    return lines


def dates_of(overview: Overview, at_most: int | None = None) -> list[dt.date]:
    """Give the dates that any entry has, in order: all, or the last of them."""
    days = sorted({each.candidate.reference_date for each in overview.standings})
    return days[-at_most:] if at_most else days


def grid(overview: Overview, width: int, *, ascii_only: bool = False, at_most: int | None = DAYS_SHOWN) -> list[str]:
    """Give the lines of a grid of entries and dates, with Rich's markup, in blocks that are no wider than `width`."""
    lines = lines_of(overview)
    labels = [line.label for line in lines]
    room = max(12, min(max(map(len, labels), default=0), width * 2 // 5))
    shown = dates_of(overview, at_most)
    text: list[str] = []
    for start in range(0, len(shown), max(width - room - 2, 10)):
        block = shown[start : start + max(width - room - 2, 10)]
        text += ["", *(f"[dim]{' ' * room}  {row}[/]" for row in _axis(block) if row.strip())]
        for label, line in zip(labels, lines, strict=True):
            short = label if len(label) <= room else label[: room - 1] + ("~" if ascii_only else "…")
            text.append(f"{escape(short.ljust(room))}  {''.join(_sign(line, day, ascii_only) for day in block)}")
    if shown:
        states = {each.state for each in overview.standings}
        known = [f"[{SIGNS[s][2]}]{SIGNS[s][ascii_only]}[/] {STATES[s]}" for s in STATES if s in states]
        text += ["", "   ".join(known)]
    return text


def _sign(line: Line, day: dt.date, ascii_only: bool) -> str:
    standing = line.standings.get(day)
    if standing is None:
        return " "
    sign = SIGNS[standing.state]
    return f"[{sign[2]}]{sign[ascii_only]}[/]"


def _axis(days: Sequence[dt.date]) -> tuple[str, str]:
    """Give two rows over columns of one sign a date: months, and days of the month where there is room."""
    months, numbers = "", ""
    for n, day in enumerate(days):
        new = n == 0 or day.month != days[n - 1].month
        if new and (n == 0 or len(months) < n <= len(days) - 7):
            months = months.ljust(n) + f"{day:%Y-%m}"
        if (new or day.day in (5, 10, 15, 20, 25)) and (n == 0 or len(numbers) < n <= len(days) - 2):
            numbers = numbers.ljust(n) + str(day.day)
    return months, numbers


def done_of(standings: Iterable[Standing]) -> tuple[int, int]:
    """Give how many have run, of how many that are defined."""
    states = [each.state for each in standings]
    return states.count("success"), len(states) - states.count("left out")


def reasons(overview: Overview) -> list[tuple[str, str, str, str]]:
    """Entry, dates, state and reason of what has not run or has a warning; one row for dates that share them."""
    rows = []
    for line in lines_of(overview):
        for (state, reason), days in _alike(line.standings.values()):
            rows.append((line.label, spanned(days), state, reason))
    return rows


def _alike(standings: Iterable[Standing]) -> Iterator[tuple[tuple[str, str], list[dt.date]]]:
    groups: dict[tuple[str, str], list[dt.date]] = {}
    for each in standings:
        if each.state != "success" or each.reason:
            groups.setdefault((each.state, each.reason), []).append(each.candidate.reference_date)
    yield from groups.items()


def spanned(days: Sequence[dt.date]) -> str:
    """Give dates in order as text, those that follow each other as a span."""
    spans: list[list[dt.date]] = []
    for day in days:
        if spans and (day - spans[-1][-1]).days == 1:
            spans[-1][1:] = [day]
        else:
            spans.append([day])
    text = [" to ".join(map(str, span)) for span in spans]
    return ", ".join(text) if len(text) <= 3 else f"{', '.join(text[:2])} and {len(text) - 2} more"


def as_json(overview: Overview) -> dict[str, Any]:
    """Give everything as values for JSON."""
    return {
        "made": overview.created.isoformat(timespec="seconds"),
        "note": overview.note,
        "runs_not_in_workflows_yml": overview.strangers,
        "standings": [_as_json(overview, each) for each in overview.standings],
    }


def _as_json(overview: Overview, standing: Standing) -> dict[str, Any]:
    run, duration = standing.run, overview.duration(standing)
    return {
        "workflow": standing.candidate.workflow.name,
        "parameters": standing.own_parameters,
        "date": str(standing.candidate.reference_date),
        "state": standing.state,
        "reason": standing.reason,
        "starts": standing.starts,
        "attempts": (run.attempt or 0) if run else 0,
        "last_attempt": run.timestamp.isoformat(timespec="seconds") if run else None,
        "seconds": round(duration.total_seconds(), 1) if duration is not None else None,
        "outputs": [dict(output) for output in run.outputs] if run else [],
    }


def page(overview: Overview, target: Path, *, at_most: int | None = DAYS_SHOWN) -> str:
    """Give one HTML page, whose links lead from where `target` will lie to notebooks and reports.

    It holds all that it needs, and no script.
    """
    days = dates_of(overview, at_most)
    every = dates_of(overview)
    lines = lines_of(overview)
    earlier = len(every) - len(days)
    folder = target.absolute().parent
    counts = {state: sum(each.state == state for each in overview.standings) for state in STATES}
    tiles = "".join(
        f'<li class="{_class(state)}"><b>{count:,}</b><span>{_mark(state)}{STATES[state]}</span></li>'
        for state, count in counts.items()
        if count or state == "success"
    )
    notes = [overview.note and f"{overview.note} What follows is known from the run table alone."]
    if overview.strangers:
        notes.append(f"{_runs(overview.strangers)} of workflows or parameters that workflows.yml no longer has.")
    style = resources.files("autoflow").joinpath("status.html").read_text(encoding="utf-8")
    return Template(style).substitute(
        created=f"{overview.created:%Y-%m-%d %H:%M} UTC",
        schedule=html.escape(overview.definition.schedule or "once"),
        notes="".join(f'<p class="note">{html.escape(note)}</p>' for note in notes if note),
        tiles=tiles,
        grid=_table(lines, days, folder) if days else "<p>There is no date yet.</p>",
        earlier=f"<p class=quiet>{earlier:,} earlier dates are not shown here.</p>" if earlier else "",
        reasons=_reasons(overview),
        runs="".join(_runs_of(overview, n, line, days, folder) for n, line in enumerate(lines)),
    )


def _runs(number: int) -> str:
    return "The run table holds 1 run" if number == 1 else f"The run table holds {number:,} runs"


def _class(state: str) -> str:
    return state.replace(" ", "-")


def _state(state: str) -> str:
    return f"<span>{_mark(state)}{STATES[state]}</span>"


def _mark(state: str) -> str:
    return f'<i class="mark {_class(state)}" aria-hidden="true">{SIGNS[state][0]}</i>'


def _shown(value: Any) -> str:
    return " and ".join(map(str, value)) if isinstance(value, list) else str(value)


def _table(lines: Sequence[Line], days: Sequence[dt.date], folder: Path) -> str:
    months = "".join(
        f'<th scope="colgroup" colspan="{len(list(group))}"><span>{month}</span></th>'
        for month, group in groupby(f"{day:%B %Y}" for day in days)
    )
    head = "".join(f'<th scope="col"><abbr title="{day:%A}">{day:%a}</abbr><b>{day.day}</b></th>' for day in days)
    rows = []
    for n, line in enumerate(lines):
        done, total = done_of(line.standings.values())
        label = f"<b>{html.escape(line.name)}</b><small>{html.escape(line.parameters)}</small>"
        label += f"<small>{done:,} of {total:,} dates</small>"
        cells = "".join(_cell(n, day, line.standings.get(day), folder) for day in days)
        rows.append(f'<tr><th scope="row">{label}</th>{cells}</tr>')
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Workflows and dates"><table class="grid">'
        f'<thead><tr><td></td>{months}</tr><tr><th scope="col">Workflow</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(n: int, day: dt.date, standing: Standing | None, folder: Path) -> str:
    if standing is None:
        return '<td class="none"><span class="unseen">not defined</span></td>'
    text = f"{day}: {STATES[standing.state]}" + (f". {standing.reason}" if standing.reason else "")
    mark = f'{_mark(standing.state)}<span class="unseen">{html.escape(text)}</span>'
    files = "".join(
        f'<a class="file" href="{href}">{"nb" if kind == "notebook" else Path(href).suffix[1:]}'
        f'<span class="unseen"> {html.escape(f"{name} of {day}")}</span></a>'
        for kind, href, name in _last_of_each_kind(standing, folder)
    )
    return f'<td><a href="#{n}-{day}" title="{html.escape(text)}">{mark}</a>{files}</td>'


def _reasons(overview: Overview) -> str:
    rows = "".join(
        f"<tr><td data-label=Workflow>{html.escape(label)}</td><td data-label=Dates>{days}</td>"
        f"<td data-label=State>{_state(state)}</td>"
        f"<td data-label=Why>{html.escape(reason)}</td></tr>"
        for label, days, state, reason in reasons(overview)
    )
    if not rows:
        return "<p>Everything has run.</p>"
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Workflow", "Dates", "State", "Why"))
    return f'<table class="list"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _runs_of(overview: Overview, n: int, line: Line, days: Sequence[dt.date], folder: Path) -> str:
    names = ("Date", "State", "Why", "Last attempt", "Took", "Files")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    rows = []
    for day in reversed(days):
        standing = line.standings.get(day)
        if standing is None:
            continue
        run, took = standing.run, overview.duration(standing)
        attempt = f"{run.timestamp:%Y-%m-%d %H:%M} UTC" if run else ""
        if run and (run.attempt or 0) > 1:
            attempt += f", attempt {run.attempt}"
        why = html.escape(standing.reason)
        cells = (
            f"<b>{day}</b>",
            _state(standing.state),
            why,
            attempt,
            _duration_text(took),
            _links(standing, folder),
        )
        tagged = "".join(f'<td data-label="{name}">{cell}</td>' for name, cell in zip(names, cells, strict=True))
        rows.append(f'<tr id="{n}-{day}">{tagged}</tr>')
    title = f"{html.escape(line.name)} <small>{html.escape(line.parameters)}</small>"
    table = f'<table class="list"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
    return f"<section><h3>{title}</h3>{table}</section>"


def _duration_text(took: dt.timedelta | None) -> str:
    if took is None:
        return ""
    seconds = took.total_seconds()
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def _files(standing: Standing, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Give kind, address relative to a folder, and name of each file that a run has made."""
    for output in standing.run.outputs if standing.run else ():
        for kind in ("report", "notebook"):
            if kind in output:
                path = Path(os.path.relpath(output[kind], folder)).as_posix()
                yield kind, html.escape(quote(path)), f"{kind} {output.get('key', '')}".strip()


def _last_of_each_kind(standing: Standing, folder: Path) -> list[tuple[str, str, str]]:
    """Give the last report and the last notebook, which is what the others led to."""
    last = {kind: (kind, href, name) for kind, href, name in _files(standing, folder)}
    return [last[kind] for kind in ("report", "notebook") if kind in last]


def _links(standing: Standing, folder: Path) -> str:
    files = _files(standing, folder)
    return " ".join(f'<a href="{href}" class="{kind}">{html.escape(name)}</a>' for kind, href, name in files)
