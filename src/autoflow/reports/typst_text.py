"""Text as Typst markup in which nothing is code."""

import re


def quoted(value: str | None) -> str:
    """Give a Typst string, in which nothing is code; `none` for None."""
    if value is None:
        return "none"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


# ASCII but letters, figures, space, and the signs that mean nothing in any position.
_SIGNS = re.compile(r"([!-/:-@\[-`{-~])")


_PLAIN_SIGNS = set("\"',!?%&")


def escaped(text: str) -> str:
    """Give text as Typst markup that says exactly it, but for typographic quotation marks."""
    text = re.sub(r"[\s\u2028\u2029]+", lambda space: space[0] if space[0] in "\u00a0\u202f\u2009" else " ", text)
    return _SIGNS.sub(lambda sign: sign[0] if sign[0] in _PLAIN_SIGNS else "\\" + sign[0], breakable(text))


def breakable(text: str, longest: int = 48) -> str:
    """Give text in which words too long for a line may be broken."""

    def broken(word: re.Match[str]) -> str:
        pieces = re.split(r"(?<=[_./\-,;:|=&?])(?=.)|(?<=[a-z])(?=[A-Z])", word[0])
        short = [piece[n : n + 16] for piece in pieces for n in range(0, len(piece), 16)] if pieces else []
        return "\u200b".join(short)

    return re.sub(rf"[!-~\u00a1-\u02ff]{{{longest},}}", broken, text)
