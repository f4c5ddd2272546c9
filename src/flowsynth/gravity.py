"""Random destinations by a gravity model: more likely with more people and a shorter distance."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


def gravity(weights: Floats, distance: Floats, reach: float, anywhere: float = 0.0) -> Floats:
    """Compute the cumulative shares of destinations of every origin, one origin after another.

    A destination's attraction is its weight times (exp(-distance / reach) + anywhere); `anywhere` is the part that does
    not decrease with distance. `distance` is (n, n) in km, `weights` (n,); the answer is flat and increasing.
    """
    pull = weights * (np.exp(-distance / reach) + anywhere)
    shares = np.cumsum(pull, axis=1)
    shares /= shares[:, -1:]
    return (shares + np.arange(len(weights))[:, None]).ravel()


def draw(table: Floats, origins: Ints, random: np.random.Generator) -> Ints:
    """Draw a destination for each origin from a table made by `gravity`."""
    count = round(len(table) ** 0.5)
    position = np.searchsorted(table, origins + random.random(len(origins)), side="right")
    # By rounding, a sum can exceed the end of the row and fall into the next origin's row.
    return (np.minimum(position, origins * np.int64(count) + count - 1) % count).astype(np.int32)
