"""Markup: HTML in which only elements known to be harmless are left."""

import base64
import binascii
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import unquote

from bs4 import BeautifulSoup, Tag
from bs4.element import PreformattedString

from autoflow.reports.contents import DEEPEST, Contents, text_of
from autoflow.reports.pictures import POINTS, keep_picture, length
from autoflow.reports.styles import style_rules
from autoflow.reports.tables import read_table
from autoflow.reports.text import as_paragraph, joined, note_line

BLOCKS = {
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "pre", "hr", "table",
    "div", "section", "article", "main", "header", "footer", "aside", "nav", "figure", "figcaption", "details",
    "summary", "center", "address",
}  # fmt: skip


INLINES = {
    "a", "abbr", "b", "bdi", "bdo", "big", "br", "cite", "code", "del", "dfn", "em", "font", "i", "img", "ins", "kbd",
    "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "svg", "time", "tt", "u", "var", "wbr",
}  # fmt: skip


TABLE_PARTS = {"caption", "colgroup", "col", "thead", "tbody", "tfoot", "tr", "th", "td"}


DROPPED = {
    "script", "style", "noscript", "template", "head", "title", "meta", "link", "base", "button", "select", "textarea",
    "canvas",
}  # fmt: skip


EMBEDDING = {"iframe": "src", "embed": "src", "object": "data", "video": "src", "audio": "src", "frame": "src"}


KEPT_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "td": set(), "th": set()}


def harmless(text: str, contents: Contents, attachments: Mapping[str, Any]) -> BeautifulSoup:
    """Give HTML as a tree that holds nothing but known elements, and our own in place of what is kept apart."""
    try:
        soup = BeautifulSoup(text, "html.parser")
        styles = style_rules("\n".join(style.get_text() for style in soup.find_all("style")))
        _flatten(soup)
        _simplify(soup, contents, attachments)
        _keep_footnotes(soup, contents)
        for table in reversed(soup.find_all("table")):
            # From the innermost to the outermost: a table within a table's cell becomes text.
            if table.find_parent("table") is not None:
                table.replace_with(text_of(table))
            else:
                contents.tables.append(read_table(table, styles))
                table.replace_with(soup.new_tag("table", attrs={"data-n": str(len(contents.tables) - 1)}))
        for tag in soup.find_all(class_=True):
            if tag.get("class") != ["note"] or tag.name != "span":
                del tag["class"]
    except RecursionError:
        return as_paragraph(note_line("markup that is nested too deeply to be shown"))
    return soup


def _flatten(soup: BeautifulSoup) -> None:
    """Take out elements that are nested more deeply than any text is, and keep what they hold."""
    depth = {id(soup): 0}
    for tag in soup.find_all(True):
        depth[id(tag)] = depth.get(id(tag.parent), 0) + 1
        if depth[id(tag)] > DEEPEST:
            tag.unwrap()


def _simplify(soup: BeautifulSoup, contents: Contents, attachments: Mapping[str, Any]) -> None:
    """Drop what is not known, and replace pictures and formulas by our own elements."""
    for string in soup.find_all(string=lambda text: isinstance(text, PreformattedString)):
        string.extract()
    for tag in soup.find_all(True):
        if tag.decomposed:
            continue
        name = tag.name
        number = tag.get(contents.nonce)
        if number is not None:
            tag.attrs = {contents.nonce: number} if name in ("li", "section") else {"data-n": number}
        elif name in EMBEDDING:
            source = str(tag.get(EMBEDDING[name]) or "")
            tag.replace_with(note_line(f"not in the notebook: {source[:200]}" if source else f"{name} left out"))
        elif name in DROPPED:
            tag.decompose()
        elif name == "img":
            tag.replace_with(_named_picture(tag, contents, attachments))
        elif name == "svg":
            tag.replace_with(keep_picture(str(tag).encode(), contents, None))
            for inner in tag.find_all(True):
                inner.decompose()
        elif name == "input":
            box = str(tag.get("type", "")).lower() == "checkbox"
            tag.replace_with(("☑ " if tag.has_attr("checked") else "☐ ") if box else "")
        elif name in TABLE_PARTS or name == "table":
            kept = ("style", "id", "class", "colspan", "rowspan")
            tag.attrs = {key: value for key, value in tag.attrs.items() if key in kept}
        elif name in BLOCKS or name in INLINES:
            kept = KEPT_ATTRIBUTES.get(name, set())
            tag.attrs = {key: value for key, value in tag.attrs.items() if key in kept}
            if name == "a" and not str(tag.get("href", "")).lower().startswith(("http://", "https://", "mailto:")):
                # Anchors of a notebook and files beside it are not there where a report is read.
                tag.unwrap()
        else:
            tag.unwrap()


def _keep_footnotes(soup: BeautifulSoup, contents: Contents) -> None:
    nonce, first = contents.nonce, len(contents.footnotes)
    section = soup.find("section", attrs={nonce: True})
    for item in section.find_all("li", attrs={nonce: True}) if isinstance(section, Tag) else ():
        item.extract()
        item.attrs = {}
        contents.footnotes.append(item)
    if isinstance(section, Tag):
        section.decompose()
    for reference in [*soup.find_all("sup", attrs={"data-n": True})]:
        reference["data-n"] = str(first + int(str(reference["data-n"])) - 1)


def _named_picture(image: Tag, contents: Contents, attachments: Mapping[str, Any]) -> Tag:
    """Give our own element for a picture that the text names, if it is in the notebook."""
    source, alt = str(image.get("src", "")), " ".join(str(image.get("alt") or "").split())
    width = length(str(image.get("width", "")))
    looks = partial(keep_picture, contents=contents, width=width / POINTS["px"] if width else None)
    caption = " ".join(str(image.get("title") or "").split())
    if source.startswith("data:"):
        head, _, payload = source.partition(",")
        try:
            content = base64.b64decode(payload) if head.endswith(";base64") else unquote(payload).encode()
        except (binascii.Error, ValueError):
            content = b""
        return looks(content, alt=alt, caption=caption)
    if source.startswith("attachment:"):
        bundle = attachments.get(unquote(source.removeprefix("attachment:")))
        for kind, value in bundle.items() if isinstance(bundle, dict) else ():
            try:
                content = joined(value).encode() if kind == "image/svg+xml" else base64.b64decode(joined(value))
            except (binascii.Error, ValueError):
                content = b""
            return looks(content, alt=alt, caption=caption)
    # A picture elsewhere on the network is not fetched, and one elsewhere on the disk is not ours to publish.
    return note_line(f"picture not in the notebook: {alt or source[:200]}")
