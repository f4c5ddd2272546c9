"""The ground truth of a synthetic country, for tests of what can be recovered from its events."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flowsynth.network import NEVER
from flowsynth.world import World


def write_truth(world: World, directory: Path) -> int:
    """Write subscribers, ties and the crisis as Parquet files; give the number of people displaced.

    `subscribers.parquet`: numbers, handset, household, home and work (site, admin3), activity (1 on average).
    `ties.parquet`: each pair of people who know each other once, and whether they share a home.
    `crisis.parquet`: who left the struck unit (site and admin3 from and to), and the days of leaving and of
    return (null while away). Days after the period are null.
    """
    people, network = world.people, world.network
    msisdn = pa.array(people.msisdn).cast(pa.string())
    sites = pa.array(network.site_ids)
    admin3 = pa.array([world.country.units[unit].admin3pcod for unit in network.unit.tolist()])
    subscribers = pa.table(
        {
            "msisdn": msisdn,
            "imsi": pa.array(people.imsi).cast(pa.string()),
            "imei": pa.array(people.imei).cast(pa.string()),
            "tac": people.tac,
            "household": people.household,
            "home_site": sites.take(pa.array(people.home)),
            "home_admin3": admin3.take(pa.array(people.home)),
            "work_site": sites.take(pa.array(people.work)),
            "work_admin3": admin3.take(pa.array(people.work)),
            "activity": people.activity,
        }
    )
    pq.write_table(subscribers, directory / "subscribers.parquet", compression="zstd")
    one = np.repeat(np.arange(len(people), dtype=np.int32), np.diff(people.first))
    once = one < people.known
    one, other = one[once], people.known[once]
    ties = pa.table(
        {
            "msisdn_a": msisdn.take(pa.array(one)),
            "msisdn_b": msisdn.take(pa.array(other)),
            "same_household": people.household[one] == people.household[other],
        }
    )
    pq.write_table(ties, directory / "ties.parquet", compression="zstd")
    return _write_crisis(world, msisdn, sites, admin3, directory / "crisis.parquet")


def _write_crisis(world: World, msisdn: pa.Array, sites: pa.Array, admin3: pa.Array, path: Path) -> int:
    people, parameters, flood = world.people, world.parameters, world.displacement
    left = np.full(len(people), NEVER) if flood is None else flood.left
    returned = np.full(len(people), NEVER) if flood is None else flood.returned
    refuge = people.home if flood is None else flood.refuge
    who = np.flatnonzero(left < parameters.days)
    first = np.datetime64(parameters.start, "D")
    home, away, fled = pa.array(people.home[who]), returned[who] >= parameters.days, pa.array(refuge[who])
    crisis = pa.table(
        {
            "msisdn": msisdn.take(pa.array(who)),
            "from_site": sites.take(home),
            "from_admin3": admin3.take(home),
            "to_site": sites.take(fled),
            "to_admin3": admin3.take(fled),
            "left": pa.array(first + left[who].astype("timedelta64[D]"), pa.date32()),
            "returned": pa.array(
                first + np.where(away, 0, returned[who]).astype("timedelta64[D]"), pa.date32(), mask=away
            ),
        }
    )
    pq.write_table(crisis, path, compression="zstd")
    return len(who)
