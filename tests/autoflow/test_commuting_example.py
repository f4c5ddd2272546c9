"""The commuting example finds the homes and workplaces of synthetic people, which are known."""

import json
import re
import shutil
import subprocess
import threading
from collections import Counter
from datetime import date

import geopandas
import pandas
import pyarrow.parquet as pq
import pytest
import scrapbook

import flowetl
import flowmachine
from autoflow.app import run_once
from autoflow.examples import copy_example
from autoflow.settings import Settings
from flowdb.lake import Lake
from flowdb.records import Catalogue
from flowdb.reference import cells, geography, sites
from flowsynth import synthesise

WEEK = [f"2016-01-{n:02d}" for n in range(4, 11)]
"""The days of the data, Monday to Sunday."""
RIGHT = 0.85
"""The share of the people who are said to commute between two units that must truly do so between these two."""
IN_ORDER = 0.8
"""How well the order of the flows by size must agree with the true one."""


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    """A week of calls and texts in a lake, the units as GeoJSON, and what is true of the people."""
    folder = tmp_path_factory.mktemp("country")
    made = synthesise(folder / "delivery", subscribers=6000, days=7, start=date(2016, 1, 4), crisis=None)
    lake = Lake.create(folder / "lake", "UTC")
    geography.load(lake, made.boundaries, unit="admin2", code="admin2pcod", name="admin2name")
    sites.load(lake, made.sites_file)
    cells.load(lake, made.cells_file)
    catalogue = Catalogue.open(f"sqlite:///{folder / 'catalogue.db'}")
    for event_type in ("calls", "sms"):
        flowetl.ingest(lake, catalogue, event_type, made.events[event_type], key=b"a key of these tests, of 32 bytes")
    catalogue.close()
    shapes = geopandas.read_file(made.boundaries).dissolve("admin2pcod")[["admin2name", "geometry"]].reset_index()
    units = shapes.set_axis(["pcod", "name", "geometry"], axis=1)
    return folder / "lake", json.loads(units.to_json()), pq.read_table(made.truth / "subscribers.parquet").to_pandas()


@pytest.fixture(scope="module")
def ran(country, tmp_path_factory, fake_flowapi):
    """The example after a pass over the week; answers are FlowMachine's, released as a server releases them."""
    lake, units, _ = country
    session, one_at_a_time = flowmachine.connect(lake), threading.Lock()

    def answer(spec):
        with one_at_a_time:
            return session.run(spec, release=True).to_pylist()

    api = fake_flowapi({"admin2": units})
    api.flows = answer
    api.dates = {"calls": WEEK, "sms": WEEK, "mds": WEEK[:2]}
    folder = tmp_path_factory.mktemp("commuting")
    copy_example("commuting", folder / "inputs")
    settings = Settings(
        flowapi_url=api.url,
        flowapi_token=api.token,
        autoflow_inputs_dir=folder / "inputs",
        autoflow_outputs_dir=folder / "outputs",
    )
    yield run_once(settings)
    api.close()
    session.close()


@pytest.fixture(scope="module")
def told(ran):
    """The report's flows between different units: people by (home, workplace)."""
    scraps = scrapbook.read_notebook(ran[0].outputs[1]["notebook"]).scraps
    return {(home, work): people for home, work, people in scraps["commuting"].data if home != work}


@pytest.fixture(scope="module")
def true(country):
    """How many people truly live and work in each two different units."""
    people = country[2]
    pairs = zip(people["home_admin3"].str[:5], people["work_admin3"].str[:5], strict=True)
    return Counter((home, work) for home, work in pairs if home != work)


def share_right(told, true):
    """The share of the people in a matrix who are in the right pair."""
    return sum(min(people, true[pair]) for pair, people in told.items()) / sum(told.values())


def agreement_in_order(told, true):
    """Spearman's rank correlation over the pairs that are told."""
    both = pandas.DataFrame([(people, true[pair]) for pair, people in told.items()]).rank()
    return both[0].corr(both[1])


@pytest.mark.takes_long("synthesises and loads a week of a country, and executes the example on it")
def test_one_week_makes_one_report(ran):
    """From Monday to Sunday one run is due, that of the Sunday, and it succeeds."""
    assert [(str(run.reference_date), run.state.value, run.error) for run in ran] == [(WEEK[-1], "success", None)]


def test_people_are_between_the_units_where_they_live_and_work(told, true):
    """The flows are the true ones: in the right pairs, in the right order, and about as many people."""
    assert len(told) >= 10
    assert share_right(told, true) > RIGHT
    assert agreement_in_order(told, true) > IN_ORDER
    assert 0.85 < sum(told.values()) / sum(true[pair] for pair in told) < 1.15


def test_wrong_flows_would_be_noticed(told, true):
    """Flows that lead the wrong way, or to the wrong units, are outside the bounds that the right ones are within."""
    reversed_ = {(work, home): people for (home, work), people in told.items()}
    units = sorted({unit for pair in true for unit in pair})
    beside = dict(zip(units, units[1:] + units[:1], strict=True))
    shifted = {(home, beside[work]): people for (home, work), people in told.items()}

    assert share_right(reversed_, true) < RIGHT
    assert agreement_in_order(reversed_, true) < IN_ORDER
    assert share_right(shifted, true) < RIGHT
    assert agreement_in_order(shifted, true) < IN_ORDER


def test_nothing_of_fifteen_people_or_fewer_is_told(told):
    """No flow in the report stands for 15 people or fewer, save for those who count in parts."""
    assert min(told.values()) > 7
    assert sum(people > 15 for people in told.values()) >= 0.8 * len(told)


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) is not installed")
def test_the_report_says_what_a_minister_asks(ran, told):
    """A report has its numbers in sentences, maps with units, tables by name, what is withheld, and its limits."""
    pdf = next(output["report"] for output in ran[0].outputs if "report" in output)
    text = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout
    images = subprocess.run(["pdfimages", "-list", pdf], capture_output=True, text=True, check=True).stdout
    text = " ".join(text.split())

    assert "Commuting between admin2 units" in text
    assert re.search(
        r"Of [\d,]+ subscribers whose home and workplace are known, [\d,]+ \(\d+ %\) work in another", text
    )
    assert f"Of the 182 pairs of different units {len(told)} are published." in text
    assert "4 January 2016 to 10 January 2016" in text
    for heading in ("Where people live", "Where people work", "The largest flows", "Every unit in numbers"):
        assert heading in text
    assert "the limits of that" in text
    assert images.count("image") >= 3
    assert "nan" not in text.lower().split()
    assert "flowclient" not in text


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="pdftotext (poppler-utils) is not installed")
@pytest.mark.takes_long("executes the example and sets its report")
def test_a_week_of_which_nothing_may_be_published_has_a_report(settings, flowapi):
    """When every number is withheld the report says so instead of failing."""
    flowapi.dates, flowapi.withhold = {"calls": WEEK}, True
    settings.autoflow_inputs_dir.rmdir()
    copy_example("commuting", settings.autoflow_inputs_dir)

    (run,) = run_once(settings)

    assert run.error is None
    text = subprocess.run(
        ["pdftotext", run.outputs[1]["report"], "-"], capture_output=True, text=True, check=True
    ).stdout
    assert "Nothing can be shown of commuting in this period." in text
    assert "Where people live" not in text


def test_a_weekend_that_is_no_day_is_refused(settings, flowapi):
    """A mistyped day of the weekend fails the run with a sentence that names it."""
    flowapi.dates = {"calls": WEEK}
    settings.autoflow_inputs_dir.rmdir()
    copy_example("commuting", settings.autoflow_inputs_dir)
    file = settings.autoflow_inputs_dir / "workflows.yml"
    file.write_text(file.read_text().replace("weekend: [saturday, sunday]", "weekend: [saturn, sunday]"))

    (run,) = run_once(settings)

    assert "weekend: ['saturn'] are not days of the week" in (run.error or "")
