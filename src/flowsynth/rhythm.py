"""When people call, text, use data and top up: by hour of the day and day of the week."""

from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np
from numpy.typing import NDArray

# Relative activity in the 24 hours of a working day, and of a day at the weekend.
_HOURS = {
    "calls": (
        (8, 4, 2, 2, 3, 9, 25, 52, 74, 86, 92, 90, 82, 76, 74, 77, 86, 98, 110, 112, 96, 70, 42, 20),
        (14, 8, 4, 3, 3, 6, 14, 30, 52, 72, 88, 92, 88, 80, 76, 78, 84, 94, 104, 106, 94, 72, 46, 26),
    ),
    "sms": (
        (12, 6, 3, 2, 3, 8, 24, 50, 66, 72, 76, 78, 80, 74, 70, 72, 80, 90, 100, 106, 102, 84, 56, 28),
        (22, 12, 6, 4, 3, 6, 14, 30, 48, 62, 74, 80, 80, 76, 74, 76, 80, 88, 96, 102, 100, 86, 62, 38),
    ),
    "mds": (
        (26, 14, 8, 6, 8, 18, 42, 64, 66, 66, 70, 76, 88, 80, 72, 74, 82, 94, 106, 120, 132, 128, 100, 58),
        (40, 24, 13, 9, 8, 13, 26, 44, 62, 74, 82, 88, 92, 90, 86, 86, 90, 98, 108, 120, 130, 128, 106, 72),
    ),
    "topups": (
        (3, 2, 1, 1, 2, 10, 40, 76, 92, 96, 94, 92, 88, 82, 80, 84, 94, 104, 98, 72, 40, 20, 10, 5),
        (5, 3, 1, 1, 2, 6, 20, 44, 70, 88, 98, 98, 90, 82, 80, 82, 86, 90, 84, 64, 40, 24, 12, 7),
    ),
}
# Activity of the days from Monday to Sunday; a week adds up to 7.
_WEEK = {
    "calls": (1.03, 1.03, 1.03, 1.04, 1.07, 0.95, 0.85),
    "sms": (0.98, 0.98, 0.98, 0.99, 1.05, 1.04, 0.98),
    "mds": (0.97, 0.96, 0.97, 0.97, 1.00, 1.06, 1.07),
    "topups": (1.02, 1.00, 1.00, 1.01, 1.07, 1.02, 0.88),
}


@dataclass(frozen=True)
class Clock:
    """Cumulative share of a day's events at the quarter hours, from 0 to 1 (97 values)."""

    cumulative: NDArray[np.float64]

    def share(self, begin: int, end: int) -> float:
        """Part of the events between two hours."""
        return float(self.cumulative[end * 4] - self.cumulative[begin * 4])

    def seconds(self, begin: int, end: int, random: np.random.Generator, count: int) -> NDArray[np.int32]:
        """Draw seconds of the day between two hours (`end` excluded)."""
        low, high = self.cumulative[begin * 4], self.cumulative[end * 4]
        drawn = np.interp(random.uniform(low, high, count), self.cumulative, np.arange(97) * 900.0)
        return np.minimum(drawn, end * 3600 - 1).astype(np.int32)


@cache
def clock(event_type: str, weekend: bool) -> Clock:
    """Give the clock of an event type on working days or at weekends; types without one have that of calls."""
    hours = np.array(_HOURS.get(event_type, _HOURS["calls"])[weekend], dtype=float)
    # Each hour's value applies at its middle; across midnight, 23:30 is interpolated to 00:30.
    middles = np.concatenate([[-0.5], np.arange(24) + 0.5, [24.5]])
    rate = np.interp((np.arange(96) + 0.5) / 4, middles, np.concatenate([hours[-1:], hours, hours[:1]]))
    return Clock(np.concatenate([[0.0], np.cumsum(rate) / rate.sum()]).clip(0, 1))


def day_factor(event_type: str, day: date) -> float:
    """The relative activity of a day of the week; 1 on average."""
    return _WEEK.get(event_type, _WEEK["calls"])[day.weekday()]
