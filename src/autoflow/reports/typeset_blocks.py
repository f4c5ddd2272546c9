"""Blocks of a report in Typst: paragraphs, headings, lists, pictures and tables."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from bs4 import BeautifulSoup, Tag

from autoflow.reports.contents import text_of
from autoflow.reports.markup import BLOCKS
from autoflow.reports.typeset_lines import Block, Report, inline_of, inlines, picture_call, spoken
from autoflow.reports.typeset_tables import table_blocks
from autoflow.reports.typst_text import breakable, quoted


def blocks_of(node: Tag, report: Report) -> Iterator[Block]:
    """Give the blocks of a container; bare text in it is a paragraph."""
    loose: list[Any] = []
    for child in node.children:
        if isinstance(child, Tag) and (child.name in BLOCKS or _is_large(child, report)):
            yield from _paragraph(loose, report)
            loose = []
            yield from _block(child, report)
        else:
            loose.append(child)
    yield from _paragraph(loose, report)


def _is_large(tag: Tag, report: Report) -> bool:
    """Whether an element within a text is still a block: a picture, or what holds a block."""
    if tag.name == "img":
        return report.contents.pictures[int(str(tag["data-n"]))].height > 24
    return any(_is_large(inner, report) or inner.name in BLOCKS for inner in tag.find_all(True, recursive=False))


def _paragraph(children: Sequence[Any], report: Report) -> Iterator[Block]:
    code = "".join(inline_of(child, report) for child in children).strip()
    if not code:
        return
    text = " ".join("".join(child.get_text() for child in children).split())
    yield Block(spoken(code, text, report), "lead" if text and len(text) < 400 else "text")


def _block(tag: Tag, report: Report) -> Iterator[Block]:
    name = tag.name
    if name in ("p", "dt", "address"):
        yield from blocks_of(tag, report)
    elif re.fullmatch("h[1-6]", name):
        inner = inlines(tag, report).strip()
        if inner:
            yield Block(spoken(f"#heading(level: {name[1]})[{inner}]", text_of(tag), report), "heading")
    elif name in ("ul", "ol"):
        yield Block(spoken(_list(tag, report), text_of(tag), report))
    elif name == "dl":
        yield Block(spoken(_terms(tag, report), text_of(tag), report))
    elif name == "blockquote":
        yield Block(spoken(f"#quote(block: true)[\n{inner_of(tag, report)}\n]", text_of(tag), report))
    elif name == "pre":
        language = tag.get("data-language")
        options = f", lang: {quoted(str(language))}" if language else ""
        kind = "source" if language else "result"
        text = breakable(tag.get_text().rstrip("\n"), 90)
        yield Block(f"#{kind}(raw({quoted(text)}, block: true{options}))")
    elif name == "hr":
        yield Block("#horizontalrule")
    elif name == "table":
        yield from table_blocks(report.contents.tables[int(str(tag["data-n"]))], report)
    elif name == "img":
        n = int(str(tag["data-n"]))
        picture = report.contents.pictures[n]
        if n in report.broken_pictures:
            yield Block("#note[\\[a picture that cannot be read\\]]")
        else:
            yield Block(picture_call(picture, n), "picture", picture.turned)
    elif name == "figcaption":
        yield Block(f"#caption[{spoken(inlines(tag, report), text_of(tag), report)}]")
    elif name == "summary":
        yield Block(f"#strong[{inlines(tag, report)}]", "lead")
    elif name == "li":
        yield Block(_list(_wrapped(tag), report))
    else:
        yield from blocks_of(tag, report)


def _wrapped(item: Tag) -> Tag:
    """Give an item outside a list as a list of one."""
    soup = BeautifulSoup("", "html.parser")
    whole = soup.new_tag("ul")
    whole.extend([BeautifulSoup(str(item), "html.parser")])
    return whole


def inner_of(tag: Tag, report: Report) -> str:
    """The blocks within an element as code."""
    return "\n\n".join(block.code for block in blocks_of(tag, report))


def _list(tag: Tag, report: Report) -> str:
    items = tag.find_all("li", recursive=False)
    tight = not any(item.find("p", recursive=False) for item in items)
    options = [f"tight: {str(tight).lower()}"]
    if tag.name == "ol" and re.fullmatch(r"\d{1,9}", str(tag.get("start", ""))):
        options.append(f"start: {tag['start']}")
    bodies = [f"[{inner_of(item, report)}]" for item in items]
    kind = "enum" if tag.name == "ol" else "list"
    return f"#{kind}({', '.join(options + bodies)})" if bodies else ""


def _terms(tag: Tag, report: Report) -> str:
    items, term = [], ""
    for child in tag.find_all(["dt", "dd"], recursive=False):
        if child.name == "dt":
            term = inlines(child, report)
        else:
            items.append(f"terms.item([{term}], [{inner_of(child, report)}])")
            term = ""
    return f"#terms({', '.join(items)})" if items else ""
