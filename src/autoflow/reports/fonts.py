"""Fonts of reports, and where their files are."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

DEBIAN = (Path("/usr/share/fonts/truetype/noto"), Path("/usr/share/fonts/opentype/noto"))
"""Folders of the packages fonts-noto-core and fonts-noto-cjk of Debian and Ubuntu."""


@cache
def font_folders() -> tuple[Path, ...]:
    """The folders of the fonts of reports: matplotlib's, those of Python packages fontpkg-…, and Noto's of the system.

    Other fonts of the system are not taken, so that a report looks the same on each machine.
    """
    packages = [("matplotlib", "mpl-data/fonts/ttf")]
    packages += [(module.name, "files") for module in iter_modules() if module.name.startswith("fontpkg_")]
    folders = []
    for package, inside in packages:
        # Only the folders are needed: importing matplotlib would take longer than setting a report.
        spec = find_spec(package)
        folders += [Path(place) / inside for place in (spec.submodule_search_locations if spec else None) or ()]
    return tuple(folder for folder in (*folders, *DEBIAN) if folder.is_dir())


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
