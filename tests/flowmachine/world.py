"""One small world, small enough to work answers out by hand; each kind's expected rows lie in `rows/`.

Two regions, N and S; N has the districts N1 and N2, S has S1. Cell a is in N1 and moves to S1 on the 3rd; b is in N2,
c in S1; x is known but outside every unit. Times are local, in UTC.

    subscriber  1 January          2 January        3 January
    1           08:00 a, 20:00 b   09:00 b          10:00 a
    2           08:00 a, 08:00 c   -                23:59 c (text)
    3           00:00 c            12:00 x          12:00 b, 13:00 nowhere known
    4           (data) 07:00 b     -                -
"""

import datetime as dt

from flowmachine.testing import Cell, Event, World

N1, N2 = {"admin1": "N", "admin3": "N1"}, {"admin1": "N", "admin3": "N2"}
S1 = {"admin1": "S", "admin3": "S1"}

WORLD = World(
    cells=[
        Cell("a", 0, 80.0, 26.0, N1, last_day=dt.date(2016, 1, 2)),
        Cell("a", 1, 81.0, 26.0, S1, first_day=dt.date(2016, 1, 3)),
        Cell("b", 0, 80.0, 27.0, N2),
        Cell("c", 0, 81.0, 27.0, S1),
        Cell("x", 0, 99.0, 50.0, {}),
    ],
    events=[
        Event("calls", 1, "2016-01-01T08:00", "a", counterpart=2, outgoing=True, id=1),
        Event("calls", 2, "2016-01-01T08:00", "c", counterpart=1, outgoing=False, id=1),
        Event("calls", 2, "2016-01-01T08:00", "a", counterpart=9, outgoing=True, id=2),
        Event("calls", 1, "2016-01-01T20:00", "b", counterpart=3, outgoing=True, id=3),
        Event("calls", 3, "2016-01-01T00:00", "c", counterpart=1, outgoing=False, id=4),
        Event("mds", 4, "2016-01-01T07:00", "b"),
        Event("calls", 1, "2016-01-02T09:00", "b", counterpart=2, outgoing=False, id=5),
        Event("calls", 3, "2016-01-02T12:00", "x", counterpart=2, outgoing=False, id=6),
        Event("calls", 1, "2016-01-03T10:00", "a", counterpart=3, outgoing=True, id=7),
        Event("sms", 2, "2016-01-03T23:59", "c", counterpart=1, outgoing=True, id=8),
        Event("calls", 3, "2016-01-03T12:00", "b", counterpart=1, outgoing=True, id=9),
        Event("calls", 3, "2016-01-03T13:00", "gone", counterpart=1, outgoing=True, id=10),
    ],
)
