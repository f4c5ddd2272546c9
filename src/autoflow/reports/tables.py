"""Tables of a notebook as grids of cells."""

import copy
import re

from bs4 import BeautifulSoup, Tag

from autoflow.reports.contents import MOST_ROWS, Cell, Table, text_of
from autoflow.reports.styles import Styles, hidden, style_of

NUMBER = re.compile(r"^[-+−]?[\d٫٬][\d,.٫٬   ]*(?:[eE][-+]?\d+)?\s?[%٪]?$|^(?:nan|NaN|None|–|—|-)?$")


def read_table(table: Tag, styles: "Styles") -> Table:
    """Give an HTML table as a grid."""
    every = [row for row in table.find_all("tr") if row.find_parent("table") is table]
    own = str(table.get("id", ""))
    rows = [row for row in every if not hidden(row, own, styles)]
    heads = {id(row) for row in rows if row.find_parent("thead") is not None}
    left_out = max(0, len(rows) - len(heads) - MOST_ROWS)
    if left_out:
        rows = rows[: len(heads) + MOST_ROWS]
    grid, width = _grid(rows, own, styles)
    head = [line for row, line in zip(rows, grid, strict=True) if id(row) in heads]
    body = [line for row, line in zip(rows, grid, strict=True) if id(row) not in heads]
    numbers = [
        all(NUMBER.match(line[n].text) for line in body if n in line)
        and any(line[n].text for line in body if n in line)
        for n in range(width)
    ]
    # A head row that is all blanks, as pandas writes for the name of an index, says nothing.
    head = _joined_heads([line for line in head if any(cell.text for cell in line.values())])
    caption = table.find("caption")
    shown = caption if isinstance(caption, Tag) and caption.get_text(strip=True) else None
    return Table(head, body, width, numbers, shown, left_out)


def _joined_heads(head: list[dict[int, Cell]]) -> list[dict[int, Cell]]:
    """Give head rows with the last two as one where neither says anything of a column that the other names.

    pandas writes the names of an index in a row below the names of the columns.
    """
    if len(head) < 2:
        return head
    upper, lower = head[-2], head[-1]
    single = all(cell.across == cell.down == 1 for line in (upper, lower) for cell in line.values())
    if not single or upper.keys() != lower.keys() or any(upper[n].text and lower[n].text for n in upper):
        return head
    return [*head[:-2], {n: upper[n] if upper[n].text else lower[n] for n in upper}]


def _grid(rows: list[Tag], own: str, styles: "Styles") -> tuple[list[dict[int, Cell]], int]:
    """Give the cells of each row by the column in which they begin, and the number of columns."""
    taken: set[tuple[int, int]] = set()
    grid: list[dict[int, Cell]] = []
    for r, row in enumerate(rows):
        line: dict[int, Cell] = {}
        n = 0
        for tag in row.find_all(["td", "th"], recursive=False):
            style = style_of(tag, own, styles)
            if style.get("display") == "none":
                continue
            while (r, n) in taken:
                n += 1
            across, down = _span(tag, "colspan", 200), min(_span(tag, "rowspan", MOST_ROWS), len(rows) - r)
            # A cell that would reach into one from above ends before it.
            across = next((j for j in range(1, across) if (r, n + j) in taken), across)
            line[n] = Cell(copy.copy(tag), text_of(tag), across, down, tag.name == "th", style)
            taken |= {(r + i, n + j) for i in range(down) for j in range(across)}
            n += across
        grid.append(line)
    width = max((n + 1 for _, n in taken), default=0)
    blank = BeautifulSoup("", "html.parser").new_tag("td")
    for r, line in enumerate(grid):
        # Short rows are filled up, or the next row's cells would flow into them.
        line.update({n: Cell(blank, "", 1, 1, False, {}) for n in range(width) if (r, n) not in taken})
        ordered = dict(sorted(line.items()))
        line.clear()
        line.update(ordered)
    return grid, width


def _span(tag: Tag, name: str, most: int) -> int:
    value = str(tag.get(name, "1"))
    return min(max(1, int(value)), most) if re.fullmatch(r"[0-9]{1,6}", value) else 1
