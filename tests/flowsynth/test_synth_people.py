"""People: homes, work, ties and flight can be found again in the events."""

import duckdb

from flowsynth import Summary


def test_homes_can_be_found_from_nights(located: duckdb.DuckDBPyConnection):
    """The unit where a subscriber is seen most at night, before the flood, is their home for more than 80 %."""
    found, right = located.sql(
        """
        SELECT count(*), avg((unit = home_admin3)::INT)
        FROM (SELECT msisdn, mode(admin3pcod) AS unit FROM events
            WHERE (hour(datetime) >= 20 OR hour(datetime) < 6) AND datetime < '2016-01-08' GROUP BY msisdn) AS nights
        JOIN true_subscribers AS truth ON nights.msisdn::VARCHAR = truth.msisdn
        """
    ).fetchall()[0]
    assert found > 2900
    assert right > 0.8


def test_commuters_are_at_work_on_working_days_and_not_on_sundays(located: duckdb.DuckDBPyConnection):
    """Those who work in another unit are seen there on working days; on Sundays they are not."""
    working, sunday, commuters = located.sql(
        """
        SELECT avg((admin3pcod = work_admin3)::INT) FILTER (isodow(datetime) < 6),
            avg((admin3pcod = work_admin3)::INT) FILTER (isodow(datetime) = 7), count(DISTINCT events.msisdn)
        FROM events JOIN true_subscribers AS truth ON events.msisdn::VARCHAR = truth.msisdn
        WHERE home_admin3 <> work_admin3 AND hour(datetime) BETWEEN 10 AND 15 AND datetime < '2016-01-08'
        """
    ).fetchall()[0]
    assert commuters > 300
    assert working > 0.7
    assert sunday < 0.2


def test_work_is_near_home(located: duckdb.DuckDBPyConnection, delivery: Summary):
    """Fewer people work the farther it is: the median way to another site is short, some ways are long."""
    located.execute(f"CREATE OR REPLACE TABLE sites AS FROM '{delivery.sites_file}' WHERE version = 0")
    median, longest = located.sql(
        """
        SELECT median(km), max(km) FROM (
            SELECT 111 * sqrt((h.longitude - w.longitude) ** 2 + (h.latitude - w.latitude) ** 2) AS km
            FROM true_subscribers JOIN sites AS h ON home_site = h.id JOIN sites AS w ON work_site = w.id
            WHERE home_site <> work_site) AS ways
        """
    ).fetchall()[0]
    assert median < 25
    assert longest > 80


def test_some_travel_between_regions(located: duckdb.DuckDBPyConnection):
    """On a day, a few percent of people are far away, in another admin1 unit than home and work."""
    share = located.sql(
        """
        SELECT count(DISTINCT events.msisdn) FILTER (
            admin3pcod[:3] NOT IN (home_admin3[:3], work_admin3[:3])) / count(DISTINCT events.msisdn)
        FROM events JOIN true_subscribers AS truth ON events.msisdn::VARCHAR = truth.msisdn
        WHERE datetime::DATE = '2016-01-06'
        """
    ).fetchall()[0][0]
    assert 0.005 < share < 0.1


def test_calls_follow_ties(located: duckdb.DuckDBPyConnection):
    """Subscribers only call those they know, and their household more than others."""
    located.execute(
        """
        CREATE OR REPLACE TABLE talks AS
        SELECT least(msisdn, msisdn_counterpart)::VARCHAR AS a, greatest(msisdn, msisdn_counterpart)::VARCHAR AS b
        FROM calls WHERE outgoing AND msisdn_counterpart IN (SELECT msisdn FROM calls)
        """
    )
    rows = located.sql(
        """
        SELECT same_household,
            count(*) / (SELECT count(*) FROM true_ties AS t WHERE t.same_household = k.same_household)
        FROM talks LEFT JOIN (SELECT least(msisdn_a, msisdn_b) AS a, greatest(msisdn_a, msisdn_b) AS b, same_household
            FROM true_ties) AS k USING (a, b) GROUP BY same_household
        """
    ).fetchall()
    per_tie = dict(rows)
    assert set(per_tie) == {True, False}  # a call without a tie would be null
    assert per_tie[True] > per_tie[False]


def test_activity_is_uneven(located: duckdb.DuckDBPyConnection):
    """Few people make many events: the busiest tenth makes at least a quarter of them."""
    share = located.sql(
        """
        SELECT sum(n) FILTER (part = 1) / sum(n) FROM (
            SELECT n, ntile(10) OVER (ORDER BY n DESC) AS part
            FROM (SELECT msisdn, count(*) AS n FROM events GROUP BY msisdn) AS each) AS parts
        """
    ).fetchall()[0][0]
    assert share > 0.25


def test_the_flood_empties_its_unit_and_fills_others(located: duckdb.DuckDBPyConnection, delivery: Summary):
    """After the flood less than half as many sleep in the struck unit, and no other unit loses people."""
    before, after = (
        dict(
            located.sql(
                f"""
                SELECT admin2pcod, count(*) FROM (
                    SELECT msisdn, arg_max(admin2pcod, datetime) AS admin2pcod FROM events
                    WHERE datetime::DATE BETWEEN '{first}' AND '{last}' AND hour(datetime) >= 19 GROUP BY msisdn
                ) AS nights GROUP BY admin2pcod
                """
            ).fetchall()
        )
        for first, last in (("2016-01-06", "2016-01-07"), ("2016-01-09", "2016-01-10"))
    )
    assert delivery.crisis in before
    assert after[delivery.crisis] < 0.5 * before[delivery.crisis]
    others = [unit for unit in before if unit != delivery.crisis]
    assert max(after[unit] / before[unit] for unit in others) > 1.1
    assert min(after[unit] / before[unit] for unit in others) > 0.85


def test_the_truth_tells_who_fled_where_and_who_came_back(located: duckdb.DuckDBPyConnection, delivery: Summary):
    """All displaced people lived in the struck unit and fled from it on or after the day, and few returned."""
    total, wrong, first, returned = located.sql(
        f"""
        SELECT count(*),
            count(*) FILTER (NOT starts_with(from_admin3, '{delivery.crisis}')
                OR starts_with(to_admin3, '{delivery.crisis}') OR returned <= "left"),
            min("left")::VARCHAR, count(returned)
        FROM true_crisis
        """
    ).fetchall()[0]
    assert total == delivery.displaced > 50
    assert (wrong, first) == (0, "2016-01-08")
    assert 0 < returned < 0.3 * total
    there = located.sql(
        """
        SELECT avg((admin3pcod = to_admin3)::INT)
        FROM events JOIN true_crisis AS truth ON events.msisdn::VARCHAR = truth.msisdn
        WHERE datetime::DATE > "left" AND (returned IS NULL OR datetime::DATE < returned)
        """
    ).fetchall()[0][0]
    assert there > 0.8


def test_everyone_knows_somebody(located: duckdb.DuckDBPyConnection, delivery: Summary):
    """No subscriber is without a tie, and no tie is to oneself or told twice."""
    people, ties, distinct, alone = located.sql(
        """
        SELECT (SELECT count(DISTINCT msisdn) FROM (FROM true_ties SELECT msisdn_a AS msisdn
                UNION ALL FROM true_ties SELECT msisdn_b) AS sides),
            count(*), count(DISTINCT (least(msisdn_a, msisdn_b), greatest(msisdn_a, msisdn_b))),
            count(*) FILTER (msisdn_a = msisdn_b)
        FROM true_ties
        """
    ).fetchall()[0]
    assert people == delivery.subscribers
    assert ties == distinct > delivery.subscribers
    assert alone == 0
