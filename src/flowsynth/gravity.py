"""Drawing places by gravity: the more people and the shorter the way, the likelier."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


def gravity(weights: Floats, distance: Floats, reach: float, anywhere: float = 0.0) -> Floats:
    """Lay out, for every origin, the cumulative shares of its destinations, one after another.

    A destination's pull is its weight times exp(-distance / reach); `anywhere` is the part of it that does
    not fade with distance. `distance` is (n, n) in km, `weights` (n,); the answer is flat and increasing.
    """
    pull = weights * (np.exp(-distance / reach) + anywhere)
    shares = np.cumsum(pull, axis=1)
    shares /= shares[:, -1:]
    return (shares + np.arange(len(weights))[:, None]).ravel()


def draw(table: Floats, origins: Ints, random: np.random.Generator) -> Ints:
    """Draw a destination for each origin from a table made by `gravity`."""
    count = round(len(table) ** 0.5)
    position = np.searchsorted(table, origins + random.random(len(origins)), side="right")
    # A sum a hair above the row's end would fall into the next origin's row.
    return (np.minimum(position, origins * np.int64(count) + count - 1) % count).astype(np.int32)
