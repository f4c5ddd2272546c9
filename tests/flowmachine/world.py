"""One small world, small enough to work answers out by hand; each kind's expected rows lie in `rows/`.

Two regions, N and S; N has the districts N1 and N2, S has S1. Cell a is in N1 and moves to S1 on the 3rd; b is in N2,
c in S1; x is known but outside every unit. Times are local, in UTC.

    subscriber  1 January          2 January        3 January
    1           08:00 a, 20:00 b   09:00 b          10:00 a
    2           08:00 a, 08:00 c   -                23:59 c (text)
    3           00:00 c            12:00 x          12:00 b, 13:00 nowhere known
    4           (data) 07:00 b     -                -

Handsets, in the order of the events: 1 has a Sony twice, then a Nokia twice; 2 has a Nokia, one that is not told, and
another Nokia; 3 has an unknown one, one not told, a Sony, and another unknown one. Recharges, with the balance before
and after: 1 at 06:00 on the 1st (5 to 15) and on the 2nd (7 to 27), 2 at 12:00 on the 1st (0 to 10).

Mobile money: at 10:00 on the 1st 1 at a pays 100 to 2 at c; at 23:30 on the 2nd 3 at b pays 20.25 to 1, who is said to
be at the later version of a; at 00:00 on the 3rd 2 at a pays 5 to 3 at x.

Boundaries, which place the centres of clusters, are rectangles half a degree round these cells: N1 and N2, one above
the other, meet S1 at 80.5 east.
"""

import datetime as dt

from flowmachine.testing import Cell, Event, World

N1, N2 = {"admin1": "N", "admin3": "N1"}, {"admin1": "N", "admin3": "N2"}
S1 = {"admin1": "S", "admin3": "S1"}


def recharge(amount: float, before: float, after: float) -> dict[str, float]:
    return {"recharge_amount": amount, "pre_event_balance": before, "post_event_balance": after}


def payment(amount: float, version: int | None) -> dict[str, float | int | None]:
    return {"amount": amount, "fee": amount / 100, "cell_version": version}


WORLD = World(
    cells=[
        Cell("a", 0, 80.0, 26.0, N1, last_day=dt.date(2016, 1, 2)),
        Cell("a", 1, 81.0, 26.0, S1, first_day=dt.date(2016, 1, 3)),
        Cell("b", 0, 80.0, 27.0, N2),
        Cell("c", 0, 81.0, 27.0, S1),
        Cell("x", 0, 99.0, 50.0, {}),
    ],
    events=[
        Event("calls", 1, "2016-01-01T08:00", "a", counterpart=2, outgoing=True, id=1, values={"tac": 1}),
        Event("calls", 2, "2016-01-01T08:00", "c", counterpart=1, outgoing=False, id=1, values={"tac": 2}),
        Event("calls", 2, "2016-01-01T08:00", "a", counterpart=9, outgoing=True, id=2),
        Event("calls", 1, "2016-01-01T20:00", "b", counterpart=3, outgoing=True, id=3, values={"tac": 1}),
        Event("calls", 3, "2016-01-01T00:00", "c", counterpart=1, outgoing=False, id=4, values={"tac": 4}),
        Event("mds", 4, "2016-01-01T07:00", "b"),
        Event("calls", 1, "2016-01-02T09:00", "b", counterpart=2, outgoing=False, id=5, values={"tac": 2}),
        Event("calls", 3, "2016-01-02T12:00", "x", counterpart=2, outgoing=False, id=6),
        Event("calls", 1, "2016-01-03T10:00", "a", counterpart=3, outgoing=True, id=7, values={"tac": 2}),
        Event("sms", 2, "2016-01-03T23:59", "c", counterpart=1, outgoing=True, id=8, values={"tac": 3}),
        Event("calls", 3, "2016-01-03T12:00", "b", counterpart=1, outgoing=True, id=9, values={"tac": 1}),
        Event("calls", 3, "2016-01-03T13:00", "gone", counterpart=1, outgoing=True, id=10, values={"tac": 9}),
        Event("topups", 1, "2016-01-01T06:00", "a", values=recharge(10.0, 5.0, 15.0)),
        Event("topups", 1, "2016-01-02T06:00", "a", values=recharge(20.0, 7.0, 27.0)),
        Event("topups", 2, "2016-01-01T12:00", "c", values=recharge(10.0, 0.0, 10.0)),
        Event("transactions", 1, "2016-01-01T10:00", "a", outgoing=True, id=50, values=payment(100.0, 0)),
        Event("transactions", 2, "2016-01-01T10:00", "c", outgoing=False, id=50, values=payment(100.0, 0)),
        Event("transactions", 3, "2016-01-02T23:30", "b", outgoing=True, id=51, values=payment(20.25, None)),
        Event("transactions", 1, "2016-01-02T23:30", "a", outgoing=False, id=51, values=payment(20.25, 1)),
        Event("transactions", 2, "2016-01-03T00:00", "a", outgoing=True, id=52, values=payment(5.0, None)),
        Event("transactions", 3, "2016-01-03T00:00", "x", outgoing=False, id=52, values=payment(5.0, 0)),
    ],
    tacs=[
        {"id": 1, "brand": "Sony", "hnd_type": "Smart"},
        {"id": 2, "brand": "Nokia", "hnd_type": "Smart"},
        {"id": 3, "brand": "Nokia", "hnd_type": "Feature"},
    ],
    boundaries={
        "admin1": {
            "N": "POLYGON ((79.5 25.5, 80.5 25.5, 80.5 27.5, 79.5 27.5, 79.5 25.5))",
            "S": "POLYGON ((80.5 25.5, 81.5 25.5, 81.5 27.5, 80.5 27.5, 80.5 25.5))",
        },
        "admin3": {
            "N1": "POLYGON ((79.5 25.5, 80.5 25.5, 80.5 26.5, 79.5 26.5, 79.5 25.5))",
            "N2": "POLYGON ((79.5 26.5, 80.5 26.5, 80.5 27.5, 79.5 27.5, 79.5 26.5))",
            "S1": "POLYGON ((80.5 25.5, 81.5 25.5, 81.5 27.5, 80.5 27.5, 80.5 25.5))",
        },
    },
)
