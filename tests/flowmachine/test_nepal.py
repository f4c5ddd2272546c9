"""On a real-shaped delivery, every engine gives the published system's rows, for every kind that exists here."""

import json
from pathlib import Path

import pytest
from tests.flowmachine.agreement import DIFFERENT, EXPECTED, copied_to_postgres, difference, kinds_in, load_delivery
from tests.flowmachine.test_kinds_on_engines import ENGINES

from flowmachine.questions.registry import kinds
from flowmachine.session import connect
from flowmachine.testing import rows

ANSWERED = [f for f in EXPECTED if set(kinds_in(json.loads(f.read_text())["spec"])) <= set(kinds())]


@pytest.fixture(scope="module")
def lake(nepal, tmp_path_factory):
    """The delivery, loaded with its faults."""
    return load_delivery(nepal / "data" / "nepal", tmp_path_factory.mktemp("nepal"))


@pytest.fixture(scope="module", params=ENGINES)
def session(request, lake):
    """A session on the delivery, on each engine."""
    if request.param == "spark":
        yield connect(lake.path, engine="spark", session=request.getfixturevalue("spark"))
    elif request.param == "postgres":
        with copied_to_postgres(lake, request.getfixturevalue("postgres")) as session:
            yield session
    else:
        yield connect(lake.path, threads=2)


@pytest.mark.shared
@pytest.mark.parametrize("file", [f for f in ANSWERED if f.stem not in DIFFERENT], ids=lambda file: Path(file).stem)
def test_gives_the_published_rows(session, file):
    """The released rows are those that the published system releases."""
    assert difference(session, json.loads(file.read_text())) is None


@pytest.mark.shared
def test_flows_back_are_the_flows_there_transposed(session):
    """Where the published system repeats the flows there, the flows back are told."""
    there, back = (
        rows(session.run(json.loads(file.read_text())["spec"], release=True))
        for file in ANSWERED
        if file.stem in ("flows_a1", "flows_rev_a1")
    )

    assert sorted(back) == sorted((b, a, n) for a, b, n in there)
    assert sorted(back) != sorted(there)


@pytest.mark.shared
@pytest.mark.parametrize("file", [f for f in ANSWERED if f.stem == "joined_handset_distr"], ids=lambda file: file.stem)
def test_shares_are_the_published_ones_and_fewer_are_released(session, file):
    """Inside, the shares of handsets are those that the published system tells; released are those of 16 people."""
    told = json.loads(file.read_text())
    published = {tuple(row[:-1]): row[-1] for row in told["rows"]}

    shares = {row[:-1]: row[-1] for row in rows(session.run(told["spec"]))}
    released = {row[:-1]: row[-1] for row in rows(session.run(told["spec"], release=True))}

    assert shares == pytest.approx(published)
    assert released == {key: shares[key] for key in released}
    assert list(released) == [("524 2", "value", "Sony"), ("524 4", "value", "Sony")]


@pytest.mark.shared
def test_most_reference_answers_are_of_kinds_that_exist(nepal):
    """The comparison is not empty."""
    assert len(ANSWERED) >= 14
