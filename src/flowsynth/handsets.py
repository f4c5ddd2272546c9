"""Handsets on the market: a table of type allocation codes (TAC)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from flowsynth.csvfile import write_table
from flowsynth.streams import Purpose, stream

# Brand, its part of the market, and the parts of Smart, Feature and Basic models among its models.
_BRANDS = (
    ("Aurix", 0.27, (0.80, 0.15, 0.05)),
    ("Belora", 0.19, (0.65, 0.20, 0.15)),
    ("Kestrelo", 0.16, (0.30, 0.40, 0.30)),
    ("Lumova", 0.12, (0.95, 0.05, 0.00)),
    ("Orsenta", 0.09, (0.60, 0.25, 0.15)),
    ("Tessaro", 0.07, (0.15, 0.40, 0.45)),
    ("Vindel", 0.06, (0.50, 0.30, 0.20)),
    ("Zendari", 0.04, (0.85, 0.15, 0.00)),
)
_MODELS = 12
# Millimetres and grams; display in pixels.
_BUILD = {
    "Smart": {
        "width": 72,
        "height": 148,
        "depth": 8,
        "weight": 165,
        "display_width": 720,
        "display_height": 1280,
    },
    "Feature": {
        "width": 52,
        "height": 115,
        "depth": 13,
        "weight": 95,
        "display_width": 240,
        "display_height": 320,
    },
    "Basic": {
        "width": 47,
        "height": 108,
        "depth": 15,
        "weight": 78,
        "display_width": 128,
        "display_height": 160,
    },
}


@dataclass(frozen=True)
class Handsets:
    """The models on the market: what part of the handsets in use each is, and whether it is smart."""

    table: pa.Table
    tac: NDArray[np.int64]
    share: NDArray[np.float64]
    smart: NDArray[np.bool_]


def make_handsets(seed: int) -> Handsets:
    """Make a market of invented brands: few models sell most."""
    random = stream(seed, Purpose.HANDSETS)
    # TACs that begin with 99 belong to no reporting body, so that no real handset has one of ours.
    tacs = 99_000_000 + np.sort(random.choice(1_000_000, len(_BRANDS) * _MODELS, replace=False))
    rows: list[dict[str, object]] = []
    share: list[float] = []
    for brand, part, kinds in _BRANDS:
        popularity = np.arange(1, _MODELS + 1.0) ** -0.8
        for rank, weight in enumerate(popularity / popularity.sum()):
            kind = tuple(_BUILD)[int(random.choice(3, p=kinds))]
            smart = kind == "Smart"
            build = {name: round(size * random.uniform(0.92, 1.08), 1) for name, size in list(_BUILD[kind].items())[:4]}
            rows.append(
                {
                    "id": int(tacs[len(rows)]),
                    "brand": brand,
                    "model": f"{brand[:2].upper()}-{int(random.integers(10, 99))}{'ABCDEFGHJKLM'[rank]}",
                    **build,
                    "display_type": "LCD",
                    "display_colors": kind != "Basic",
                    "display_width": _BUILD[kind]["display_width"],
                    "display_height": _BUILD[kind]["display_height"],
                    "mms_receiver": kind != "Basic",
                    "mms_built_in_camera": kind != "Basic",
                    "hardware_gprs": kind != "Basic",
                    "hardware_edge": kind != "Basic",
                    "hardware_umts": smart,
                    "hardware_wifi": smart,
                    "hardware_bluetooth": kind != "Basic",
                    "hardware_gps": smart,
                    "software_os_vendor": "Google" if smart else None,
                    "software_os_name": "Android" if smart else None,
                    "software_os_version": f"{int(random.integers(4, 7))}.0" if smart else None,
                    "hnd_type": kind,
                }
            )
            share.append(part * float(weight))
    table = pa.Table.from_pylist(rows)
    smart_models = np.array([row["hnd_type"] == "Smart" for row in rows])
    return Handsets(table, tacs, np.array(share) / sum(share), smart_models)


def write_tacs(handsets: Handsets, path: Path) -> None:
    """Write the models with FlowKit's column names."""
    write_table(handsets.table, path)
