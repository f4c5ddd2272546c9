"""Fonts: those that reports are set in, and where their files are."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def font_folders() -> list[Path]:
    """Give the folders of fonts that come in packages: DejaVu with matplotlib, and Noto Sans Devanagari."""
    folders = []
    for package, inside in (("matplotlib", "mpl-data/fonts/ttf"), ("fontpkg_noto_sans_devanagari", "files")):
        # Only the folders are wanted: importing matplotlib would take longer than setting a report.
        found = find_spec(package)
        folders += [Path(place) / inside for place in (found.submodule_search_locations if found else None) or ()]
    return folders


def devanagari() -> list[Path]:
    """Give the files of the font that has the letters of Nepali and Hindi; none where its package is not installed."""
    return [file for folder in font_folders() for file in sorted(folder.glob("NotoSansDevanagari*.ttf"))]


@cache
def fonts() -> Any:
    """Give the fonts of a report: Typst's own, those of matplotlib, and the font packages that are installed.

    Typst's own have Latin, Greek and Cyrillic letters. Matplotlib's DejaVu Sans has Arabic ones from which a PDF's
    words can be searched and copied, which is not so with Noto's, made of parts. Devanagari needs Noto's.
    """
    import typst  # noqa: PLC0415

    return typst.Fonts(include_system_fonts=False, font_paths=[str(folder) for folder in font_folders()])
