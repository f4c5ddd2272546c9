"""Makes the example reports of the documentation: a synthetic country, from its delivery to PDF, and pages as pictures.
And a picture of the status page that goes with them.

    python tools/make_report_examples.py [--demo DIR]

Runs `flowkit demo --once` in a temporary directory, or takes the demo that is in DIR, and writes docs/reports/ and
two of docs/pictures/. The pictures need pdftoppm (poppler-utils) and chromium. The country is the same each
time; the reports say when they were made.
"""

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from flowkit.deployment import Deployment, autoflow
from flowkit.services import services

DOCS = Path(__file__).parents[1] / "docs"
TARGET, STATUS = DOCS / "reports", DOCS / "pictures" / "autoflow-status.png"
SHOWN = DOCS / "pictures" / "report.png"
"""What the README shows: the first page of the flows, down to its map."""
REPORTS = {
    "flows_above_normal": "flows_report__*_2016-01-14_*.pdf",
    "commuting": "commuting_report__*_2016-01-10_*.pdf",
}
LARGEST = 200_000
"""Bytes that a picture may have."""


def main() -> None:
    """Make the reports and their pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--demo", type=Path, help="a directory in which `flowkit demo` has run")
    demo = parser.parse_args().demo
    for program, package in (("pdftoppm", "poppler-utils"), ("chromium", "chromium")):
        if not shutil.which(program):
            sys.exit(f"{program} draws the pages, and is not installed; install {package}.")
    with tempfile.TemporaryDirectory(prefix="flowkit-") as folder:
        if demo is None:
            demo = Path(folder) / "demo"
            subprocess.run([sys.executable, "-m", "flowkit", "demo", str(demo), "--once"], check=True)
        TARGET.mkdir(parents=True, exist_ok=True)
        for name, pattern in REPORTS.items():
            reports = sorted(
                (demo / "autoflow" / "outputs" / "reports").glob(pattern), key=lambda file: file.stat().st_mtime
            )
            if not reports:
                sys.exit(f"{demo} has no report {pattern}; was `flowkit demo` stopped before its end?")
            shutil.copyfile(reports[-1], TARGET / f"{name}.pdf")
            _pictures(TARGET / f"{name}.pdf")
        _shown(TARGET / "flows_above_normal.pdf", Path(folder))
        _status(demo, Path(folder))


def _pictures(pdf: Path) -> None:
    """Draw each page beside the PDF, in place of former pictures."""
    for former in pdf.parent.glob(f"{pdf.stem}-*.png"):
        former.unlink()
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["pdftoppm", "-r", "110", "-png", str(pdf), f"{folder}/page"], check=True)
        for number, page in enumerate(sorted(Path(folder).iterdir()), start=1):
            target = pdf.parent / f"{pdf.stem}-{number}.png"
            _write(target, Image.open(page))


def _shown(pdf: Path, folder: Path) -> None:
    """Draw the part of a report that the README shows."""
    part = ["-x", "58", "-y", "70", "-W", "628", "-H", "615"]
    command = ["pdftoppm", "-r", "90", "-png", "-singlefile", *part, str(pdf), str(folder / "shown")]
    subprocess.run(command, check=True)
    _write(SHOWN, Image.open(folder / "shown.png"))


def _status(demo: Path, folder: Path) -> None:
    """Draw the beginning of the status page of the demo's AutoFlow."""
    deployment, page, shot = Deployment.open(demo), folder / "status.html", folder / "status.png"
    with services(deployment, autoflow=False):
        # That of a demo of some days ago has expired.
        autoflow.Token(deployment).issue()
        command = [sys.executable, "-m", "autoflow", "status", "--html", str(page)]
        subprocess.run(command, env=autoflow.environment(deployment), check=True)
    browser = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    size = ["--force-device-scale-factor=1.5", "--window-size=1080,960", f"--user-data-dir={folder / 'browser'}"]
    subprocess.run([*browser, *size, f"--screenshot={shot}", page.as_uri()], check=True, capture_output=True)
    _write(STATUS, Image.open(shot))


def _write(target: Path, picture: Image.Image) -> None:
    target.write_bytes(_small(picture))
    print(f"{target.relative_to(DOCS.parent)}: {target.stat().st_size:,} bytes")


def _small(page: Image.Image) -> bytes:
    """Give a page as PNG, with as many colours as the limit of its size allows."""
    for colours in (256, 128, 64, 32, 16):
        written = io.BytesIO()
        page.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
        if written.tell() < LARGEST:
            break
    return written.getvalue()


if __name__ == "__main__":
    main()
