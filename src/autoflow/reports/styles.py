"""Style sheets such as pandas' Styler writes: the declarations for each cell of a table."""

import re

from bs4 import Tag

# The declarations for one element by its id, and the rules for others: a table's id, and a condition on its elements.
Styles = tuple[dict[str, dict[str, str]], list[tuple[str, str, dict[str, str]]]]


def style_of(tag: Tag, own: str, styles: Styles) -> dict[str, str]:
    """The declarations that hold for an element of the table with the id `own`."""
    by_id, rules = styles
    style: dict[str, str] = {}
    for table, condition, declarations in rules:
        kind = condition.removeprefix(".")
        if table == own and (condition == tag.name or kind in tag.get_attribute_list("class")):
            style.update(declarations)
    style.update(by_id.get(str(tag.get("id", "")), {}))
    style.update(_declarations(str(tag.get("style", ""))))
    return style


def hidden(tag: Tag, own: str, styles: Styles) -> bool:
    """Whether the styles hide an element."""
    return style_of(tag, own, styles).get("display") == "none"


def _declarations(css: str) -> dict[str, str]:
    pairs = (part.replace("!important", "").partition(":") for part in css.split(";"))
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def style_rules(css: str) -> Styles:
    """Read a style sheet such as pandas' Styler writes; selectors of any other form are passed over."""
    by_id: dict[str, dict[str, str]] = {}
    rules: list[tuple[str, str, dict[str, str]]] = []
    for selectors, declarations in re.findall(r"([^{}]+)\{([^{}]*)\}", css):
        said = _declarations(declarations)
        for selector in selectors.split(","):
            if id_selector := re.fullmatch(r"#([\w-]+)", selector.strip()):
                by_id.setdefault(id_selector[1], {}).update(said)
            elif nested_selector := re.fullmatch(r"#([\w-]+)\s+(td|th|\.[\w-]+)", selector.strip()):
                rules.append((nested_selector[1], nested_selector[2], said))
    return by_id, rules
