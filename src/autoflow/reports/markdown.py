"""Markdown of a notebook as clean HTML, with Jupyter's formulas and footnotes."""

import html
import re
from collections.abc import Callable, Mapping
from typing import Any

from bs4 import BeautifulSoup

from autoflow.reports.contents import Contents, Formula
from autoflow.reports.markup import BLOCKS, DROPPED, EMBEDDING, INLINES, TABLE_PARTS, harmless

# The opening sign touches the formula and the closing one no digit, so that "$5 and $10" are sums of money.
INLINE_FORMULA = (
    r"\$\$(?P<shown_tex>[^$]+?)\$\$"
    r"|\$(?P<line_tex>(?=[^\s$])(?:[^$\\]|\\[\s\S])*?[^\s\\$]|[^\s\\$]|\s(?=[^$]*[\\^_=])(?:[^$\\]|\\[\s\S])+?\s)\$(?!\d)"
    r"|\\\\\((?P<paren_tex>[\s\S]+?)\\\\\)"
    r"|\\\\\[(?P<square_tex>[\s\S]+?)\\\\\]"
)


BLOCK_FORMULA = (
    r"^ {0,3}\$\$(?P<dollar_tex>[^$]+?)\$\$[ \t]*$"
    r"|^ {0,3}(?P<env_tex>\\begin\{(?P<env_name>[a-z]+\*?)\}[\s\S]+?\\end\{(?P=env_name)\})[ \t]*$"
    r"|^ {0,3}\\\\\[(?P<bracket_tex>[\s\S]+?)\\\\\][ \t]*$"
)


def from_markdown(source: str, contents: Contents, attachments: Mapping[str, Any]) -> BeautifulSoup:
    """Markdown as clean HTML; formulas, pictures, tables and footnotes go to `contents`."""
    import mistune  # noqa: PLC0415  (needed only for a report)

    nonce = contents.nonce

    class Renderer(mistune.HTMLRenderer):
        """HTML in which formulas carry our marker, and markup that is not HTML is shown as text."""

        def inline_html(self, html: str) -> str:
            return _known_or_text(html)

        def block_html(self, html: str) -> str:
            return _known_or_text(html) + "\n"

        def formula(self, text: str, display: bool) -> str:
            contents.formulas.append(Formula(text.strip(), display))
            return f'<math {nonce}="{len(contents.formulas) - 1}"></math>'

        def footnote_ref(self, key: str, index: int) -> str:
            return f'<sup {nonce}="{index}"></sup>'

        def footnotes(self, text: str) -> str:
            return f"<section {nonce}>{text}</section>"

        def footnote_item(self, text: str, key: str, index: int) -> str:
            return f'<li {nonce}="{index}">{text}</li>'

    def own(renderer: Renderer, method: str) -> Callable[..., str]:
        return lambda _, *args, **kwargs: getattr(renderer, method)(*args, **kwargs)

    renderer = Renderer(escape=False, allow_harmful_protocols=True)
    plugins = ["strikethrough", "table", "url", "task_lists", "def_list", "footnotes", _formulas]
    markdown = mistune.create_markdown(renderer=renderer, plugins=plugins)
    # Plugins put their own functions before the methods of the renderer.
    for method in ("formula", "footnote_ref", "footnotes", "footnote_item"):
        renderer.register(method, own(renderer, method))
    try:
        text = markdown(source)
    except RecursionError:
        text = f"<pre>{html.escape(source)}</pre>"
    return harmless(str(text), contents, attachments)


def _formulas(markdown: Any) -> None:
    """Add Jupyter's formulas to mistune."""

    def inline(_: Any, match: re.Match[str], state: Any) -> int:
        tex = {name: value for name, value in match.groupdict().items() if name.endswith("_tex") and value is not None}
        name, text = next(iter(tex.items()))
        state.append_token({"type": "formula", "raw": text, "attrs": {"display": name in ("shown_tex", "square_tex")}})
        return match.end()

    def block(_: Any, match: re.Match[str], state: Any) -> int:
        tex = {name: value for name, value in match.groupdict().items() if name.endswith("_tex") and value is not None}
        state.append_token({"type": "formula", "raw": next(iter(tex.values())), "attrs": {"display": True}})
        return match.end() + 1

    markdown.inline.register("formula", INLINE_FORMULA, inline, before="escape")
    markdown.block.register("block_formula", BLOCK_FORMULA, block, before="fenced_code")


def _known_or_text(markup: str) -> str:
    """Give markup as it is where all its elements are HTML's that a text may have, else as text."""
    names = {name.lower() for name in re.findall(r"</?([A-Za-z][\w:-]*)", markup)}
    known = BLOCKS | INLINES | TABLE_PARTS | DROPPED | set(EMBEDDING) | {"input"}
    if names <= known and (names or markup.startswith("<!--")):
        return markup
    return re.sub(
        r"</?([A-Za-z][\w:-]*)?|[<&]",
        lambda match: match[0] if match[1] and match[1].lower() in known else html.escape(match[0]),
        markup,
    )
