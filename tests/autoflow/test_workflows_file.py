"""workflows.yml: what is accepted, and how every mistake is told with its line and the way out."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from autoflow.definition.model import Definition
from autoflow.definition.reading import WorkflowsError, read_workflows
from autoflow.definition.stencil import DateStencil
from autoflow.schedule import planning
from autoflow.settings import Settings

FULL = """\
workflows:
  - name: one
    notebooks:
      second:
        filename: b.ipynb
        parameters: {previous: first, unit: unit, day: reference_date, ranges: date_ranges}
        output: {format: pdf, template: report.tpl}
      first:
        filename: a.ipynb
        parameters: {url: flowapi_url}
  - name: two
    notebooks:
      only: {filename: a.ipynb}
available_dates_sensor:
  schedule: "0 0 * * *"
  cdr_types: [calls, sms]
  workflows:
    - workflow_name: one
      parameters: {unit: admin3}
      earliest_date: 2016-01-04
      date_stencil: [[2016-01-01, "2016-01-03"], -1, 0]
    - workflow_name: two
"""


@pytest.fixture
def read(settings: Settings, write_workflows: Callable[[str], Path]) -> Callable[[str], Definition]:
    """Read a text as workflows.yml of a directory with two notebooks and a template."""
    for name in ("a.ipynb", "b.ipynb", "report.tpl", "notes.txt"):
        (settings.autoflow_inputs_dir / name).write_text("{}")

    def _read(text: str) -> Definition:
        write_workflows(text)
        return read_workflows(settings.autoflow_inputs_dir)

    return _read


@pytest.fixture
def problems(read: Callable[[str], Definition]) -> Callable[[str], list[str]]:
    """Give the problems of a text, which must have some."""

    def _problems(text: str) -> list[str]:
        with pytest.raises(WorkflowsError) as raised:
            read(text)
        return [str(problem) for problem in raised.value.problems]

    return _problems


def test_a_full_file_is_read(read: Callable[[str], Definition]) -> None:
    """Every part of the grammar arrives, and notebooks stand in the order in which they can run."""
    definition = read(FULL)
    one = definition.workflows["one"]

    assert definition.schedule == "0 0 * * *"
    assert definition.cdr_types == ("calls", "sms")
    assert [(notebook.key, notebook.format) for notebook in one.notebooks] == [("first", None), ("second", "pdf")]
    assert one.notebooks[1].template is not None
    assert one.notebooks[1].template.name == "report.tpl"
    assert one.dependencies() == {"first": set(), "second": {"first"}}
    assert one.required_parameters() == {"unit"}
    assert definition.entries[0].earliest_date == dt.date(2016, 1, 4)
    assert definition.entries[0].parameters == {"unit": "admin3"}


def test_defaults_are_filled_in(read: Callable[[str], Definition]) -> None:
    """Without a stencil the day itself is needed; without types all count; a null schedule means once."""
    entry = read(FULL.replace('"0 0 * * *"', "null").replace("  cdr_types: [calls, sms]\n", "")).entries[1]

    assert entry.date_stencil == DateStencil([0])
    assert entry.earliest_date is None
    assert entry.parameters == {}
    definition = read(FULL.replace('"0 0 * * *"', "null").replace("  cdr_types: [calls, sms]\n", ""))
    assert definition.schedule is None
    assert definition.cdr_types is None


def test_an_entry_may_choose_types_days_and_reruns(read: Callable[[str], Definition]) -> None:
    """An entry's own keys arrive, and without them it has the defaults."""
    more = "cdr_types: [mds, calls, mds], require: all, every: week, on_change: [data, notebooks, data]"
    own, plain = (
        read(FULL.replace("    - workflow_name: two", f"    - {{workflow_name: two, {keys}}}")).entries[1]
        for keys in (more, "cdr_types: null, require: null, every: null, on_change: null")
    )

    assert own.cdr_types == ("mds", "calls")
    assert (own.require, own.every, own.on_change) == ("all", "week", {"data", "notebooks"})
    assert (plain.cdr_types, plain.require, plain.every, plain.on_change) == (None, "any", "day", frozenset())


def test_a_report_is_a_pdf_or_a_page_with_or_without_code(read: Callable[[str], Definition]) -> None:
    """The format is kept; no template and no code are the defaults."""
    page = read(FULL.replace("format: pdf, template: report.tpl", "format: html, code: true"))
    plain = read(FULL.replace("format: pdf, template: report.tpl", "format: pdf"))
    found = [definition.workflows["one"].notebooks[1] for definition in (page, plain)]

    assert [(notebook.format, notebook.code, notebook.template) for notebook in found] == [
        ("html", True, None),
        ("pdf", False, None),
    ]


def test_dates_may_be_text_or_dates(read: Callable[[str], Definition]) -> None:
    """A quoted date means the same as one without quotes."""
    quoted = FULL.replace("earliest_date: 2016-01-04", 'earliest_date: "2016-01-04"')

    assert read(quoted).entries[0] == read(FULL).entries[0]


def test_workflows_may_be_listed_more_than_once_or_not_at_all(read: Callable[[str], Definition]) -> None:
    """One workflow may run with several sets of parameters, and the list may be empty."""
    twice = FULL + "    - workflow_name: one\n      parameters: {unit: admin1}\n"
    none = FULL[: FULL.index("  workflows:\n    - workflow_name")] + "  workflows: []\n"

    assert [entry.parameters.get("unit") for entry in read(twice).entries] == ["admin3", None, "admin1"]
    assert read(none).entries == ()


# What to replace in the full file, by what, and what the one problem says.
MISTAKES = {
    "no cron": ('"0 0 * * *"', "yes please", "line 15: available_dates_sensor.schedule: 'yes please' is not a cron"),
    "never": ('"0 0 * * *"', '"0 0 31 2 *"', "names a time that never comes"),
    "cron number": ('"0 0 * * *"', "5", "5 is not a cron schedule"),
    "no schedule": ('  schedule: "0 0 * * *"\n', "", "available_dates_sensor: the key 'schedule' is missing"),
    "odd type": ("[calls, sms]", "[calls, post]", "line 16: available_dates_sensor.cdr_types[1]: 'post' is not"),
    "types no list": ("[calls, sms]", "calls", "cdr_types: this must be a list"),
    "no filename": ("{filename: a.ipynb}", "{}", "workflows[1].notebooks.only: the key 'filename' is missing"),
    "suffix": ("{filename: a.ipynb}", "{filename: notes.txt}", "'notes.txt' is not a notebook"),
    "no file": (
        "{filename: a.ipynb}",
        "{filename: c.ipynb}",
        "line 13: workflows[1].notebooks.only.filename: there is no",
    ),
    "escape": ("{filename: a.ipynb}", "{filename: ../a.ipynb}", "lies outside the directory"),
    "absolute": ("{filename: a.ipynb}", "{filename: /etc/a.ipynb}", "lies outside the directory"),
    "file number": ("{filename: a.ipynb}", "{filename: 3}", "must be the name of a notebook"),
    "unknown key": (
        "{filename: a.ipynb}",
        "{filename: a.ipynb, colour: red}",
        "only.colour: this key is not known here",
    ),
    "literal": ("{url: flowapi_url}", "{url: 3}", "first.parameters.url: this must be a name, not the value 3"),
    "number name": ("{url: flowapi_url}", "{3: flowapi_url}", "a parameter's name must be text, not 3"),
    "no mapping": ("{url: flowapi_url}", "[url]", "first.parameters: this must be a mapping"),
    "reserved key": ("      only:", "      date_ranges:", "'date_ranges' is given to notebooks automatically"),
    "number key": ("      only:", "      7:", "the key of a notebook must be text, not 7"),
    "cycle": (
        "{url: flowapi_url}",
        "{url: second}",
        "line 3: workflows[0].notebooks: these notebooks wait for each other",
    ),
    "self": ("{url: flowapi_url}", "{url: first}", "wait for each other: first -> first"),
    "format": (
        "format: pdf, template: report.tpl",
        "format: docx",
        "output.format: the format must be one of 'pdf', 'html', not 'docx'",
    ),
    "no format": ("format: pdf, template: report.tpl", "template: report.tpl", "output: the key 'format' is missing"),
    "template": ("report.tpl", "fine.tpl", "output.template: there is no file 'fine.tpl'"),
    "no name": ("  - name: two\n    notebooks:", "  - notebooks:", "workflows[1]: the key 'name' is missing"),
    "number": ("name: two", "name: 2", "the name must be text, not 2"),
    "twice": ("name: two", "name: one", "line 11: workflows[1].name: a workflow above is called 'one' already"),
    "no notebooks": (
        "notebooks:\n      only: {filename: a.ipynb}",
        "notebooks: {}",
        "workflows[1].notebooks: this must be",
    ),
    "notebooks missing": (
        "  - name: two\n    notebooks:\n      only: {filename: a.ipynb}",
        "  - name: two",
        "workflows[1]: the key 'notebooks' is missing",
    ),
    "entries missing": (
        FULL[FULL.index("  workflows:\n    - workflow_name") :],
        "",
        "available_dates_sensor: the key 'workflows' is missing",
    ),
    "entries null": (
        FULL[FULL.index("  workflows:\n    - workflow_name") :],
        "  workflows:\n",
        "available_dates_sensor.workflows: this must be a list",
    ),
    "blank": ("name: two", 'name: " "', "workflows[1].name: the name must not be blank"),
    "schedule of its own": (
        "  - name: two\n",
        "  - name: two\n    schedule: null\n",
        "workflows[1].schedule: this key",
    ),
    "no types": ("[calls, sms]", "[]", "cdr_types: this list is empty; name at least one, or leave the key out"),
    "own types": (
        "    - workflow_name: two\n",
        "    - {workflow_name: two, cdr_types: [fax]}\n",
        "[1].cdr_types[0]: 'fax'",
    ),
    "require": (
        "    - workflow_name: two\n",
        "    - {workflow_name: two, require: some}\n",
        "one of 'any', 'all', not 'some'",
    ),
    "every": (
        "    - workflow_name: two\n",
        "    - {workflow_name: two, every: 7}\n",
        "one of 'day', 'week', 'month', not 7",
    ),
    "change": (
        "    - workflow_name: two\n",
        "    - {workflow_name: two, on_change: [code]}\n",
        "workflows[1].on_change[0]: this must be one of 'notebooks', 'data', not 'code'",
    ),
    "change no list": ("    - workflow_name: two\n", "    - {workflow_name: two, on_change: data}\n", "must be a list"),
    "code": ("template: report.tpl}", "code: 1}", "output.code: this must be true or false, not 1"),
    "html template": ("format: pdf", "format: html", "an AsciiDoc template makes a PDF; write format: pdf"),
    "binary": ("{unit: admin3}", "{unit: !!binary aGk=}", "parameters.unit: a notebook cannot be given a bytes"),
    "set": ("{unit: admin3}", "{unit: !!set {a, b}}", "a notebook cannot be given a set"),
    "not a number": ("{unit: admin3}", "{unit: [.nan]}", "nan is not a number that a notebook can be given"),
    "parameter number": ("{unit: admin3}", "{3: admin3}", "the name of a parameter must be text, not 3"),
    "parameters list": ("{unit: admin3}", "[unit]", "this must be a mapping from the names of parameters"),
    "compact day": ("earliest_date: 2016-01-04", 'earliest_date: "20160104"', "'20160104' is not a date; write it as"),
    "moment": ("earliest_date: 2016-01-04", "earliest_date: 2016-01-04 10:00:00", "is not a date; write it as"),
    "who": (
        "workflow_name: two",
        "workflow_name: three",
        "no workflow is called 'three'; those above are 'one', 'two'",
    ),
    "who number": ("workflow_name: two", "workflow_name: 2", "this must be the name of a workflow, not 2"),
    "who none": ("    - workflow_name: two\n", "    - {}\n", "workflows[1]: the key 'workflow_name' is missing"),
    "automatic": ("{unit: admin3}", "{unit: admin3, reference_date: 1}", "'reference_date' is given automatically"),
    "url": ("{unit: admin3}", "{unit: admin3, flowapi_url: x}", "has no parameter 'flowapi_url'"),
    "both": (
        "{unit: admin3}",
        "{size: 1}",
        "needs 'unit' as well; add the value; workflow 'one' has no parameter 'size'",
    ),
    "earliest": (
        "earliest_date: 2016-01-04",
        "earliest_date: 4",
        "line 20: available_dates_sensor.workflows[0].earliest",
    ),
    "no day": ("earliest_date: 2016-01-04", "earliest_date: 2016-02-30", "'2016-02-30' is not a day of the calendar"),
    "stencil": ('date_stencil: [[2016-01-01, "2016-01-03"], -1, 0]', "date_stencil: -1", "a date stencil is a list"),
    "triple": ("-1, 0]", "[1, 2, 3]]", "an interval is a pair"),
    "reversed": ("-1, 0]", "[0, -1]]", "the interval [0, -1] is empty"),
    "far": ("-1, 0]", "999999999]", "more than a century away"),
    "key twice": (
        "  - name: two\n",
        "  - name: two\n    name: three\n",
        "line 12: workflows[1].name: this key is used twice here",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_place(problems: Callable[[str], list[str]], mistake: str) -> None:
    """One mistake gives a sentence that names the place and what to do."""
    old, new, said = MISTAKES[mistake]
    assert FULL.count(old) >= 1

    told = problems(FULL.replace(old, new, 1) if mistake != "twice" else FULL.replace(old, new))

    assert any(said in problem for problem in told), told
    assert all(problem.startswith("workflows.yml, line ") for problem in told)


@pytest.mark.parametrize("section", ["workflows", "available_dates_sensor"])
def test_a_missing_section_is_named(problems: Callable[[str], list[str]], section: str) -> None:
    """Both sections must be there."""
    other = FULL[: FULL.index("available")] if section != "workflows" else FULL[FULL.index("available") :]

    assert any(f"the key '{section}' is missing" in problem for problem in problems(other))


def test_all_mistakes_are_told_at_once(problems: Callable[[str], list[str]]) -> None:
    """Who mends a file sees everything that is wrong with it, in the order of its lines."""
    text = FULL.replace("a.ipynb", "z.ipynb").replace("[calls, sms]", "[fax]").replace("{unit: admin3}", "{}")
    told = problems(text)

    assert [problem.split(":")[0] for problem in told] == [f"workflows.yml, line {number}" for number in (9, 13, 16)]


def test_every_further_workflow_of_a_name_is_told(problems: Callable[[str], list[str]]) -> None:
    """Of three workflows with one name the second and the third are told."""
    more = "  - name: one\n    notebooks:\n      only: {filename: a.ipynb}\n"
    told = problems(FULL.replace("available_dates_sensor:", more + more + "available_dates_sensor:"))

    assert [problem.split(": ")[1] for problem in told] == ["workflows[2].name", "workflows[3].name"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "a: [1",
        "a: &x [*x]",
        "{a: b}: c",
        "\x00",
        "workflows: 1\navailable_dates_sensor: 2",
        "a: !!python/object:os.system {}",
    ],
)
def test_nonsense_is_told_without_a_traceback(problems: Callable[[str], list[str]], text: str) -> None:
    """Whatever the file holds, it is told as a problem of the file."""
    assert all(problem.startswith("workflows.yml") for problem in problems(text))


def test_a_missing_file_names_the_setting(settings: Settings) -> None:
    """Without a workflows.yml the sentence names the directory and the variable to set."""
    with pytest.raises(FileNotFoundError, match="AUTOFLOW_INPUTS_DIR"):
        read_workflows(settings.autoflow_inputs_dir)


def test_what_will_not_go_well_here_is_warned_of(
    read: Callable[[str], Definition], write_notebook: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A template without asciidoctor-pdf, and parameters that are not declared, are told before anything runs."""
    monkeypatch.setenv("PATH", "")
    definition = read(FULL)
    write_notebook("a.ipynb", "x = 1")

    told = planning.warnings_of(definition)

    assert len(told) == 2
    assert told[0].startswith("workflows.yml, line 10: workflows[0].notebooks.first.parameters.url: a.ipynb does not")
    assert told[1].startswith("workflows.yml, line 7: workflows[0].notebooks.second.output: ")
    assert "asciidoctor-pdf is not installed" in told[1]
