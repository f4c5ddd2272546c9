"""Event files: columns, rows, times and amounts as an operator delivers them."""

import duckdb
import pytest

from flowsynth import EVENT_TYPES, Summary

WHO = "msisdn,location_id,imsi,imei,tac"
PARTIES = "msisdn,msisdn_counterpart,location_id,imsi,imei,tac"
HEADERS = {
    "calls": f"id,outgoing,datetime,duration,{PARTIES}",
    "sms": f"id,outgoing,datetime,{PARTIES}",
    "mds": f"id,datetime,duration,volume_total,volume_upload,volume_download,{WHO}",
    "topups": "id,datetime,recharge_amount,airtime_fee,tax_and_fee,pre_event_balance,post_event_balance," + WHO,
}


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_each_day_has_a_file_with_its_own_events(delivery: Summary, event_type: str):
    """Every day has one file of each type: FlowKit's column names, the day's local times in order, no gaps."""
    counted = 0
    assert len(delivery.events[event_type]) == 14
    for number, path in enumerate(delivery.events[event_type], start=1):
        assert path.name == f"{event_type}_201601{number:02}.csv"
        header, *lines = path.read_text().splitlines()
        assert header == HEADERS[event_type]
        place = header.split(",").index("datetime")
        times = [line.split(",")[place] for line in lines]
        assert times == sorted(times)
        assert all(len(time) == 19 and time.startswith(f"2016-01-{number:02} ") for time in times)
        assert not any(",," in line or '"' in line or line.endswith(",") for line in lines)
        counted += len(lines)
    assert counted == delivery.rows[event_type] > 0


@pytest.mark.parametrize("event_type", ["calls", "sms"])
def test_both_parties_of_a_call_have_a_row(located: duckdb.DuckDBPyConnection, event_type: str):
    """An interaction of two subscribers has two rows that mirror each other; one with an outsider has one row."""
    duration = "count(DISTINCT duration)" if event_type == "calls" else "1"
    located.execute(
        f"""
        CREATE OR REPLACE TABLE pairs AS
        SELECT id, count(*) AS rows, count(DISTINCT datetime) AS times, {duration} AS durations,
            sum(outgoing::INT) AS outgoing, min(msisdn) AS a, max(msisdn) AS b,
            min(msisdn_counterpart) AS c, max(msisdn_counterpart) AS d,
            bool_or(msisdn = msisdn_counterpart) AS alone
        FROM {event_type} GROUP BY id
        """
    )
    wrong = located.sql(
        """
        SELECT count(*) FROM pairs
        WHERE rows = 2 AND (times <> 1 OR durations <> 1 OR outgoing <> 1 OR a <> c OR b <> d)
        """
    )
    assert wrong.fetchall() == [(0,)]
    assert located.sql("SELECT count(*) FROM pairs WHERE rows > 2 OR alone").fetchall() == [(0,)]
    known = "SELECT msisdn::BIGINT FROM true_subscribers"
    assert located.sql(f"SELECT count(*) FROM pairs WHERE rows = 1 AND c IN ({known})").fetchall() == [(0,)]
    assert located.sql(f"SELECT count(*) FROM {event_type} WHERE msisdn NOT IN ({known})").fetchall() == [(0,)]
    share, outgoing = located.sql("SELECT avg((rows = 1)::INT), avg(outgoing) FILTER (rows = 1) FROM pairs").fetchall()[
        0
    ]
    assert 0.2 < share < 0.3
    assert 0.4 < outgoing < 0.6


def test_ids_are_unique_over_types_and_days(located: duckdb.DuckDBPyConnection):
    """No id is used for two interactions."""
    ids = " UNION ALL ".join(f"SELECT DISTINCT id FROM {event_type}" for event_type in EVENT_TYPES)
    total, distinct = located.sql(f"SELECT count(*), count(DISTINCT id) FROM ({ids}) AS every").fetchall()[0]
    assert total == distinct


def test_data_volumes_add_up(located: duckdb.DuckDBPyConnection):
    """Upload and download add up to the total, none is negative, and most is download."""
    wrong, download = located.sql(
        """
        SELECT count(*) FILTER (
            abs(volume_total - volume_upload - volume_download) > 1e-6 OR volume_upload < 0 OR volume_total <= 0
        ), sum(volume_download) / sum(volume_total) FROM mds
        """
    ).fetchall()[0]
    assert wrong == 0
    assert download > 0.7


def test_balances_of_a_subscriber_agree(located: duckdb.DuckDBPyConnection):
    """A topup adds its amount to the balance, and no balance grows between two topups."""
    wrong, grown, repeated = located.sql(
        """
        SELECT count(*) FILTER (abs(pre_event_balance + recharge_amount - post_event_balance) > 1e-6
                OR pre_event_balance < 0),
            count(*) FILTER (pre_event_balance > previous + 1e-6), count(previous)
        FROM (SELECT *, lag(post_event_balance) OVER (PARTITION BY msisdn ORDER BY datetime, id) AS previous
            FROM topups) AS each
        """
    ).fetchall()[0]
    assert (wrong, grown) == (0, 0)
    assert repeated > 1000


def test_numbers_look_like_numbers_and_stay_with_their_phone(located: duckdb.DuckDBPyConnection):
    """Numbers have 12 digits of the unassigned prefix 999, an IMEI has its TAC and check digit, phones are kept."""
    numbers = located.sql(
        """
        FROM calls SELECT msisdn, imsi, imei, tac UNION FROM mds SELECT msisdn, imsi, imei, tac
        """
    ).fetchall()
    assert len(numbers) == len({msisdn for msisdn, *_ in numbers})
    assert len(numbers) == len({imsi for _, imsi, *_ in numbers}) == len({imei for _, _, imei, _ in numbers})
    for msisdn, imsi, imei, tac in numbers:
        assert str(msisdn).startswith("999")
        assert (len(str(msisdn)), len(str(imsi)), len(str(imei))) == (12, 15, 15)
        assert str(imei).startswith(str(tac))
        doubled = "".join(str(int(digit) * (1 + place % 2)) for place, digit in enumerate(str(imei)))
        assert sum(map(int, doubled)) % 10 == 0


def test_a_day_has_a_rhythm(located: duckdb.DuckDBPyConnection):
    """Nights are quiet, the evening is busiest, and people call less on Sundays than on working days."""
    by_hour = dict(located.sql("SELECT hour(datetime), count(*) FROM events GROUP BY ALL").fetchall())
    assert sorted(by_hour) == list(range(24))
    assert 17 <= max(by_hour, key=by_hour.__getitem__) <= 21
    assert by_hour[3] * 15 < by_hour[19]
    by_day = dict(located.sql("SELECT isodow(datetime), count(*) FROM calls GROUP BY ALL").fetchall())
    assert by_day[7] < 0.9 * by_day[2]


def test_the_number_of_rows_is_what_was_asked_for(delivery: Summary):
    """Subscribers have `events_per_day` rows a day on average, over all types."""
    asked = delivery.subscribers * 14 * 18
    assert sum(delivery.rows.values()) == pytest.approx(asked, rel=0.05)
