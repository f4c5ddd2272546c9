"""Loading of mobile money: a line a party, with the same care as events."""

import datetime as dt

import pytest
from tests.flowetl.conftest import KEY

from flowdb.records import get_checks, latest_states
from flowetl import IngestError, withdraw
from flowetl.pseudonyms import pseudonym

HEADER = "id,outgoing,datetime,amount,discount,fee,commission,type,msisdn,location_id,cell_version"
PAYS = "t1,True,2016-01-01 10:00:00,100.25,0,1,0.5,transfer,alice,C1,0"
GETS = "t1,False,2016-01-01 10:00:00,100.25,0,1,0.5,transfer,bob,C2,"
LATER = "t2,True,2016-01-02 10:00:00,7.5,,,,cash out,alice,C1,"


def money(deployment, *lines, header=HEADER, **options):
    file = deployment.file("\n".join([header, *lines]) + "\n", "money.csv")
    return deployment.load(file, event_type="transactions", **options)


def test_both_parties_come_in_by_pseudonym(deployment):
    """Each party is a row of its day, both share the transaction, and no identifier is as it was delivered."""
    first, second = money(deployment, PAYS, GETS, LATER)

    assert (first.day, first.loaded, second.day, second.loaded) == (dt.date(2016, 1, 1), 2, dt.date(2016, 1, 2), 1)
    rows = deployment.rows("id, msisdn, outgoing, amount, fee, type, location_id, cell_version, minute", "transactions")
    alice, bob = (pseudonym(KEY, "msisdn", name) for name in ("alice", "bob"))
    t1, t2 = (pseudonym(KEY, "id", name) for name in ("t1", "t2"))
    assert sorted(rows, key=lambda row: (row[3], not row[2])) == [
        (t2, alice, True, 7.5, None, "cash out", "C1", None, 600),
        (t1, alice, True, 100.25, 1.0, "transfer", "C1", 0, 600),
        (t1, bob, False, 100.25, 1.0, "transfer", "C2", None, 600),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (PAYS.replace("100.25", "a lot"), "amount is not a number"),
        (PAYS.replace("t1", ""), "id is empty"),
        (PAYS.replace("alice", ""), "msisdn is empty"),
        (PAYS.replace("C1,0", "C1,first"), "cell_version is not a whole number"),
        (PAYS.replace("True", "maybe"), "outgoing is not true or false"),
        (PAYS + ",more", "it has 12 fields, the header has 11"),
    ],
)
def test_a_bad_line_of_money_is_kept_with_its_reason(deployment, line, reason):
    """A line that cannot be read stands in the quarantine with file, line and reason; the others load."""
    (report,) = money(deployment, GETS, line)

    assert (report.loaded, report.quarantined) == (1, 1)
    assert [told[:3] for told in deployment.quarantined("transactions")] == [("money.csv", 3, reason)]


def test_other_names_of_columns_are_proposed(deployment):
    """A header in the words of FlowKit's own tables is refused with the options that name its columns."""
    header = (
        "transaction_id,is_outgoing,timestamp,amount,discount,fee,commission,type,subscriber_id,cell_id,cell_version"
    )
    with pytest.raises(IngestError) as refusal:
        money(deployment, PAYS, header=header)

    told = {"id": "transaction_id", "outgoing": "is_outgoing", "datetime": "timestamp"}
    told |= {"msisdn": "subscriber_id", "location_id": "cell_id"}
    assert all(f"--map {target}={source}" in str(refusal.value) for target, source in told.items())
    assert money(deployment, PAYS, header=header, columns=told)[0].loaded == 1


def test_a_day_of_money_is_checked_replaced_and_withdrawn(deployment):
    """Its checks are kept, a new delivery replaces it whole, and it can be taken out with a reason."""
    day = dt.date(2016, 1, 1)
    money(deployment, PAYS, GETS.replace("100.25", "99"))
    checks = {c.name: c.outcome for c in get_checks(deployment.catalogue, "transactions")}
    assert checks["count_added_rows"] == "2"
    assert checks["count_transactions.transactions"] == "1"
    assert checks["count_differing_parties.transactions"] == "1"
    assert checks["total_amount.transactions"] == "199.25"
    assert checks["count_msisdns"] == "2"

    (report,) = money(deployment, PAYS, GETS)
    assert (report.replaced, report.loaded) == (2, 2)
    assert {c.name: c.outcome for c in get_checks(deployment.catalogue, "transactions")}[
        "count_differing_parties.transactions"
    ] == "0"

    withdraw(deployment.lake, deployment.catalogue, "transactions", day, "of another operator")
    assert deployment.rows("*", "transactions") == []
    assert [(s.event_type, s.day, s.state) for s in latest_states(deployment.catalogue)] == [
        ("transactions", day, "withdrawn")
    ]


def test_events_have_the_checks_that_they_had(deployment):
    """Checks of mobile money are none of calls, under the names that FlowKit gives them."""
    deployment.load(deployment.calls("i1,True,2016-01-01 10:00:00,60,alice,bob,C1,1"))

    names = {c.name for c in get_checks(deployment.catalogue, "calls")}

    assert {"count_added_rows", "count_msisdns", "count_duplicates", "count_imeis"} <= names
    assert not {n for n in names if "transaction" in n or "amount" in n}
