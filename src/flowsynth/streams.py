"""Random numbers by purpose and day, so that each part of a delivery is independent of the others."""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """The purposes of streams of random numbers; their values never change."""

    COUNTRY = 1
    NAMES = 2
    NETWORK = 3
    MOVES = 4
    HANDSETS = 5
    PEOPLE = 6
    TIES = 7
    CRISIS = 8
    TRIPS = 9
    WHEREABOUTS = 10
    CALLS = 11
    SMS = 12
    MDS = 13
    TOPUPS = 14
    MONEY = 15
    WALLETS = 16


def stream(seed: int, purpose: int, day: int = 0) -> np.random.Generator:
    """Give the random numbers of one purpose (see Purpose) on one day (days from 0 on)."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(int(purpose), day))))
