"""Tables of a report in Typst: as wide as the page allows, turned, or in parts."""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from bs4 import Tag
from bs4.element import NavigableString

from autoflow.reports.contents import Cell, Table, text_of
from autoflow.reports.markup import BLOCKS
from autoflow.reports.typeset_lines import Block, Report, inlines, spoken
from autoflow.reports.typst_text import breakable, escaped

# Letters of a table's size (9.4 pt) across the page, upright and turned, and between the text of two columns.
ACROSS, ACROSS_TURNED, GUTTER = 50.0, 77.0, 1.6


# A table that would have to be set smaller than this is turned, and then parted.
SMALLEST = 0.74


LONGEST_WORD = 26


# Rows of a table that is kept on one page.
SHORT = 16


def table_blocks(table: Table, report: Report) -> Iterator[Block]:
    """Give a table as one block; turned, or in parts of some columns each, where the page is too narrow for it."""
    if not table.width or not (table.head or table.body):
        return
    wide = [width_of(table, n) for n in range(table.width)]
    needed = sum(wide)
    names = [n for n in range(table.width) if table.body and all(line[n].head for line in table.body if n in line)]
    names = names[: next((i for i, n in enumerate(names) if i != n), len(names))]
    if needed * SMALLEST <= ACROSS:
        parts, turned, room = [list(range(table.width))], False, ACROSS
    elif needed * SMALLEST <= ACROSS_TURNED:
        parts, turned, room = [list(range(table.width))], True, ACROSS_TURNED
    else:
        parts = _parted(wide, names, ACROSS / SMALLEST)
        turned, room = len(parts) > 3, ACROSS
        if turned:
            parts, room = _parted(wide, names, ACROSS_TURNED / SMALLEST), ACROSS_TURNED
    for number, columns in enumerate(parts):
        size = min(1.0, room / sum(wide[n] for n in columns))
        part = f"part {number + 1} of {len(parts)}" if len(parts) > 1 else ""
        yield Block(_table_call(table, columns, size, part, report), "table", turned)
    if table.left_out:
        yield Block(f"#note[\\[{table.left_out:,} more rows of this table: see the notebook\\]]")


def _parted(wide: Sequence[float], names: Sequence[int], room: float) -> list[list[int]]:
    """Share columns out to parts that fit, each with the columns that name the rows unless those take half of it."""
    repeated = list(names) if sum(wide[n] for n in names) < room / 2 else []
    parts: list[list[int]] = [list(repeated)]
    for n in range(len(wide)):
        if n in repeated:
            continue
        if len(parts[-1]) > len(repeated) and sum(wide[i] for i in parts[-1]) + wide[n] > room:
            parts.append(list(repeated))
        parts[-1].append(n)
    # The last columns are not left alone where they can share what there is.
    count = math.ceil(sum(len(part) - len(repeated) for part in parts) / len(parts))
    rest = [n for n in range(len(wide)) if n not in repeated]
    even = [[*repeated, *rest[i : i + count]] for i in range(0, len(rest), count)]
    return even if all(sum(wide[n] for n in part) <= room for part in even) else parts


def width_of(table: Table, n: int) -> float:
    """Give the width that a column needs in letters: its longest word, and some room for text to be broken in."""
    longest, whole = 1.0, 1.0
    for line in (*table.head, *table.body):
        cell = line.get(n)
        if cell is None or cell.across > 1:
            continue
        words = breakable(cell.text, LONGEST_WORD).replace("\u200b", " ").split()
        longest = max(longest, *(_letters(word) for word in words), 1.0)
        # Numbers are never broken.
        whole = max(whole, _letters(cell.text))
    return (whole if table.numbers[n] else max(longest, min(whole, 16.0))) + GUTTER


def _letters(text: str) -> float:
    """Give the width of text in letters' sizes, near enough."""
    return sum(
        0.3 if char in " .,:;'il|" else 0.66 if char.isupper() or char in "mw_%" else 0.5 for char in text
    ) + sum(0.5 for char in text if "\u2e80" <= char <= "\uffef")


def _table_call(table: Table, columns: Sequence[int], size: float, part: str, report: Report) -> str:
    voice = report.voice(table.plain())
    aligned = ", ".join("right" if table.numbers[n] else "start" for n in columns)
    rtl = voice.direction == "rtl"
    head = [cell for line in table.head for cell in _row(table, line, columns, report, head=True, rtl=rtl)]
    body = [cell for line in table.body for cell in _row(table, line, columns, report, head=False, rtl=rtl)]
    arguments = [f"columns: {len(columns)}", f"align: ({aligned},)", f"size: {9.4 * size:.2f}pt"]
    arguments += [f'lang: "{voice.language}"', f"dir: {voice.direction}"]
    caption = f"{inlines(table.caption, report).strip()}" if table.caption else ""
    if part:
        caption += f" ({part})" if caption else part
    if caption:
        said = spoken(caption, text_of(table.caption) if table.caption else "", report)
        arguments.append(f"caption: [{said}]")
    if len(table.body) <= SHORT:
        arguments.append("whole: true")
    if head:
        arguments.append(f"head: ({', '.join(head)},)")
    return f"#data-table(\n{', '.join(arguments)},\n{', '.join(body)}\n)"


def _row(
    table: Table, line: dict[int, Cell], columns: Sequence[int], report: Report, *, head: bool, rtl: bool
) -> Iterator[str]:
    for n, cell in line.items():
        across = sum(n <= column < n + cell.across for column in columns)
        if across:
            yield _cell(cell, across, report, number=not head and table.numbers[n], head=head, rtl=rtl)


def _cell(cell: Cell, across: int, report: Report, *, number: bool, head: bool, rtl: bool) -> str:
    options = []
    aligned = cell.style.get("text-align")
    if across > 1:
        options.append(f"colspan: {across}, align: center")
    elif aligned in ("left", "right", "center") and (not head or aligned != "right"):
        options.append(f"align: {aligned}")
    if cell.down > 1:
        options.append(f"rowspan: {cell.down}")
    if fill := _fill(cell.style):
        options.append(f"fill: {fill}")
    look = []
    if ink := _colour(cell.style.get("color")):
        look.append(f"fill: {ink}")
    if cell.style.get("font-weight") in ("bold", "bolder", "600", "700", "800", "900"):
        look.append('weight: "bold"')
    if cell.style.get("font-style") == "italic":
        look.append('style: "italic"')
    shown = re.sub(r"^-(?=[\d.])", "−", cell.text)
    inner = escaped(shown) if number else _cell_content(cell.content, report)
    if number and rtl and shown:
        # A line with its own direction keeps a number's signs in their places among words that run from the right.
        inner = f"#box(text(dir: ltr)[{inner}])"
    if head and inner:
        inner = f"#strong[{inner}]"
    if look:
        inner = f"#text({', '.join(look)})[{inner}]"
    return f"table.cell({', '.join(options)})[{inner}]" if options else f"[{inner}]"


def _cell_content(content: Tag, report: Report) -> str:
    if any(child.name in BLOCKS for child in content.find_all(True)):
        return report.inner(content, report)
    for string in content.find_all(string=True):
        if len(string) > LONGEST_WORD:
            string.replace_with(NavigableString(breakable(str(string), LONGEST_WORD)))
    return inlines(content, report).strip()


def _fill(style: Any) -> str | None:
    """Give the ground of a cell: a colour, or the bar that pandas' Styler draws by a gradient with sharp edges."""
    value = style.get("background") or style.get("background-image") or ""
    if gradient := re.fullmatch(r"linear-gradient\(90deg,(.*)\)", value):
        stops = []
        for colour, place in re.findall(r"(transparent|#\w+|rgba?\([^)]*\)|[a-z]+)(?:\s+(\d+\.?\d*)%)?", gradient[1]):
            ink = "rgb(255, 255, 255, 0)" if colour == "transparent" else _colour(colour)
            if ink:
                stops.append((ink, min(100.0, float(place)) if place else (0.0 if not stops else 100.0)))
        if len(stops) > 1:
            stops = [(stops[0][0], 0.0), *stops, (stops[-1][0], 100.0)]
            ordered = [(ink, max(place, *(each for _, each in stops[: n + 1]))) for n, (ink, place) in enumerate(stops)]
            return f"gradient.linear({', '.join(f'({ink}, {place:g}%)' for ink, place in ordered)})"
    return _colour(style.get("background-color")) or _colour(value)


def _colour(value: str | None) -> str | None:
    if not value or value in ("inherit", "transparent", "initial", "unset", "none"):
        return None
    from PIL import ImageColor  # noqa: PLC0415  (knows the colour names of CSS)

    try:
        red, green, blue, *alpha = ImageColor.getrgb(value)
    except ValueError:
        return None
    return f"rgb({red}, {green}, {blue}{''.join(f', {part}' for part in alpha)})"
