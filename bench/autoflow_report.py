"""How long a report takes: ten pages with six maps, in a fresh process with all its imports and again when warm.

    python bench/autoflow_report.py

Prints one line for each form of report. The goal is a PDF in under 3 seconds in a fresh process.
"""

import base64
import io
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

GOAL = 3.0
TEXT = (
    "Between the two weeks the number of people who stayed in a unit other than their home rose by a tenth, most of "
    "all along the road to the north. *Units with 15 people or fewer are withheld.* The change is "
    "$c_i = \\frac{n_i}{\\bar n_i} - 1$, where $n_i$ counts the people present at noon. "
)


def notebook() -> dict[str, Any]:
    """Give an executed notebook of ten pages: six maps of 600 units, a table of 150 rows, text and formulas."""
    # The process that makes the maps is not the one that is timed, nor may the timed one load these.
    import geopandas as gpd  # noqa: PLC0415
    import matplotlib as mpl  # noqa: PLC0415
    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415
    from shapely.geometry import Point  # noqa: PLC0415

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    rng = np.random.default_rng(1)
    places = gpd.GeoSeries([Point(x, y) for x, y in rng.random((600, 2)) * 100]).buffer(3)
    cells: list[dict[str, Any]] = [
        markdown(f"# Movements above normal\n\n{TEXT * 3}\n\n$$\\sum_i n_i = N$$\n\n- one\n- two")
    ]
    for n in range(6):
        frame = gpd.GeoDataFrame({"value": rng.integers(16, 5000, 600)}, geometry=places)
        axes = frame.plot("value", legend=True, figsize=(7, 6))
        axes.set_axis_off()
        file = io.BytesIO()
        plt.savefig(file, format="png", dpi=150)
        plt.close()
        cells.append(markdown(f"## Map {n + 1}\n\n{TEXT * 2}"))
        cells.append(result("image/png", base64.b64encode(file.getvalue()).decode()))
        cells.append(markdown(TEXT * 3))
    table = pd.DataFrame(rng.integers(16, 99999, (150, 6)), columns=[f"week {n}" for n in range(6)])
    cells += [markdown("## All units"), result("text/html", table.to_html(max_rows=None))]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}


def markdown(text: str) -> dict[str, Any]:
    """Give a cell of text."""
    return {"cell_type": "markdown", "metadata": {}, "source": text}


def result(kind: str, value: str) -> dict[str, Any]:
    """Give a code cell with one result."""
    output = {"output_type": "display_data", "metadata": {}, "data": {kind: value}}
    return {"cell_type": "code", "metadata": {}, "execution_count": 1, "source": "", "outputs": [output]}


def once(source: Path, form: str) -> None:
    """Make the report twice in this process, and print the seconds of each."""
    begun = time.perf_counter()
    from autoflow.reports.report import write_report  # noqa: PLC0415

    for _ in range(2):
        write_report(source, source.with_suffix(f".{form}"), "2016-01-04", format=form)  # pyright: ignore[reportArgumentType]
        print(time.perf_counter() - begun)
        begun = time.perf_counter()


def main() -> None:
    """Print the times of both forms of report."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "report.ipynb"
        source.write_text(json.dumps(notebook()), encoding="utf-8")
        for form in ("pdf", "html"):
            begun = time.perf_counter()
            done = subprocess.run(
                [sys.executable, __file__, str(source), form], capture_output=True, text=True, check=True
            )
            whole = time.perf_counter() - begun
            fresh, warm = (float(line) for line in done.stdout.split())
            target = source.with_suffix(f".{form}")
            pages = len(re.findall(rb"/Type\s*/Page\b", target.read_bytes()))
            verdict = (
                ("within" if whole - warm < GOAL else "above") + f" the goal of {GOAL:.0f} s" if form == "pdf" else ""
            )
            print(
                f"{form}: {whole - warm:.2f} s in a fresh process ({fresh:.2f} s of it after Python's start), "
                f"{warm:.2f} s warm; {target.stat().st_size / 1e6:.1f} MB"
                + (f", {pages} pages, {verdict}" if form == "pdf" else "")
            )


if __name__ == "__main__":
    once(Path(sys.argv[1]), sys.argv[2]) if len(sys.argv) > 2 else main()
