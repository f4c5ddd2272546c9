"""Letters that the fonts of a PDF report lack: they would be empty boxes in a report that counts as a success."""

import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from autoflow.reports.fonts import font_folders

SCRIPTS = {
    "CJK": "Chinese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "MYANMAR": "Burmese",
    "ETHIOPIC": "Amharic",
}
"""Names of scripts that Unicode calls otherwise."""
EAST_ASIAN = ("Chinese", "Japanese", "Korean")
PYTHON_PACKAGES = {
    "Bengali": "fontpkg-hind-siliguri",
    "Khmer": "fontpkg-noto-sans-khmer",
    "Tamil": "fontpkg-noto-sans-tamil",
    "Telugu": "fontpkg-noto-sans-telugu",
    "Thai": "fontpkg-noto-sans-thai",
}
"""Python packages that have a script's letters; the others come in packages of Debian and Ubuntu."""
_OTHER_FACES = ("Bold", "Italic", "Oblique", "Light", "Thin", "Black", "Medium")
_ALWAYS = 0x0530
"""The first letter after Latin, Greek and Cyrillic, which Typst itself has."""


def lacking(text: str) -> dict[str, str]:
    """The scripts with letters in the text that no font of a report has, each with such a letter."""
    letters = {char for char in text if ord(char) >= _ALWAYS and unicodedata.category(char)[0] in "LMN"}
    return {_script(char): char for char in sorted(letters - _known(), reverse=True)} if letters else {}


def warnings_of(name: str, text: str) -> list[str]:
    """A sentence for each script of a notebook's text that its PDF cannot show, with the package that has it."""
    return [
        f"{name}: no installed font has its {script} letters, such as {char}, which the PDF shows as empty boxes; "
        f"install {_package(script)}."
        for script, char in sorted(lacking(text).items())
    ]


def _script(char: str) -> str:
    word = unicodedata.name(char, "unknown").split()[0]
    return SCRIPTS.get(word, word.capitalize())


def _package(script: str) -> str:
    debian = "fonts-noto-cjk" if script in EAST_ASIAN else "fonts-noto-core"
    package = PYTHON_PACKAGES.get(script)
    return (f"the Python package {package}, or " if package else "") + f"the package {debian} of Debian or Ubuntu"


@cache
def _known() -> frozenset[str]:
    """Every letter that the fonts of the font packages have."""
    return frozenset(char for file in _files() for char in _letters(file))


def _files() -> Iterable[Path]:
    files = (file for folder in font_folders() for file in sorted(folder.rglob("*")))
    # Bold and slanted faces have the letters of the regular one; the font of last resort has a box for each letter.
    return (file for file in files if file.suffix in (".ttf", ".otf", ".ttc") and _is_regular(file.stem))


def _is_regular(stem: str) -> bool:
    return not any(style in stem for style in (*_OTHER_FACES, "LastResort"))


def _letters(file: Path) -> Iterable[str]:
    from fontTools.ttLib import TTCollection, TTFont, TTLibError  # noqa: PLC0415  (needed only for rare letters)

    try:
        fonts = TTCollection(file, lazy=True).fonts if file.suffix == ".ttc" else [TTFont(file, lazy=True)]
        return [chr(code) for font in fonts for code in font.getBestCmap() or ()]
    except (TTLibError, OSError):
        return []
