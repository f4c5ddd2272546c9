"""Mobile money in a synthetic delivery."""

import hashlib
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flowsynth import Summary, SynthesisError, synthesise

SMALL: dict[str, Any] = {"subscribers": 600, "days": 3, "events_per_day": 5.0, "crisis": None, "seed": 4}
HEADER = "id,outgoing,datetime,amount,discount,fee,commission,type,msisdn,location_id"


def hashes(directory: Path) -> dict[str, str]:
    files = (path for path in sorted(directory.rglob("*")) if path.is_file())
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def money(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return synthesise(tmp_path_factory.mktemp("money"), **SMALL, mobile_money=0.2, threads=1)


def test_it_is_made_when_it_is_asked_for_and_changes_nothing_else(money: Summary, tmp_path: Path):
    """Without it there is no such file, and the same parameters give the same bytes; the other files are the same."""
    plain = synthesise(tmp_path / "plain", **SMALL)
    again = synthesise(tmp_path / "again", **SMALL, mobile_money=0.2, threads=3)

    assert "transactions" not in plain.events
    assert hashes(again.directory) == hashes(money.directory)
    assert hashes(plain.directory).items() <= hashes(money.directory).items()
    assert {name.split("/")[0] for name in hashes(money.directory).keys() - hashes(plain.directory).keys()} == {
        "transactions"
    }


def test_each_transaction_has_two_parties_with_accounts(money: Summary):
    """A day has one file; each transaction has a row of who pays and one of who gets, of the share with accounts."""
    assert [path.name for path in money.events["transactions"]] == [f"transactions_2016010{n}.csv" for n in (1, 2, 3)]
    assert all(path.read_text().splitlines()[0] == HEADER for path in money.events["transactions"])
    rows = duckdb.sql(f"SELECT * FROM '{money.directory}/transactions/*.csv'")
    count, people, pairs = rows.query(
        "t",
        """SELECT count(*), count(DISTINCT msisdn), count(DISTINCT id) FROM t
        WHERE id IN (SELECT id FROM t GROUP BY id HAVING count(*) = 2 AND sum(outgoing::INT) = 1
            AND count(DISTINCT msisdn) = 2 AND count(DISTINCT (datetime, amount, discount, fee, commission, type)) = 1)
        """,
    ).fetchall()[0]
    assert count == money.rows["transactions"] == 2 * pairs > 100
    assert 60 < people <= 120
    assert rows.query("t", "SELECT count(*) FROM t WHERE amount <= 0 OR fee < 0 OR location_id IS NULL").fetchall() == [
        (0,)
    ]


def test_a_share_that_is_none_is_refused(tmp_path: Path):
    """A share of more than all is refused in a sentence."""
    with pytest.raises(SynthesisError, match="mobile_money must be a number from 0 to 1, not 2"):
        synthesise(tmp_path / "delivery", **SMALL, mobile_money=2)
