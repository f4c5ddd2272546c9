"""The schedule: the moments that a cron expression names, in a time zone and across its changes of the clock."""

import datetime as dt
from zoneinfo import ZoneInfo

from croniter import croniter


def next_tick(cron: str, now: dt.datetime, timezone: str = "UTC") -> dt.datetime:
    """Give the first moment after `now` that a cron expression names in a time zone, in UTC.

    A time of the day that the clocks skip falls at the moment of the jump or as much later as it lay behind it; one
    that they show twice counts once, the first time. A schedule of every hour follows the hours that pass.
    """
    zone = ZoneInfo(timezone)
    local = now.astimezone(zone)
    fields = cron.split()
    # The hour is the second field, with six fields too: the seconds are the last.
    if len(fields) > 1 and fields[1] == "*":
        return (
            croniter(cron, local.replace(tzinfo=dt.timezone(local.utcoffset() or dt.timedelta())))
            .get_next(dt.datetime)
            .astimezone(dt.UTC)
        )
    # croniter itself gives the hour that comes twice two ticks; clock times without a zone are distinguished here.
    named = croniter(cron, local.replace(tzinfo=None) - dt.timedelta(hours=3))
    while True:
        moment = named.get_next(dt.datetime).replace(tzinfo=zone, fold=0).astimezone(dt.UTC)
        if moment > now:
            return moment
