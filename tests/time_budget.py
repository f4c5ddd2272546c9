"""Where the time of a test run goes: a line a folder, and the slowest tests with the reason that each gives.

A test that takes more than ten seconds says why, as in `@pytest.mark.takes_long("starts a Spark cluster")`. One that
does not is named at the end of the run.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import pytest

LONG = 10.0
"""Seconds after which a test says why it takes so long."""
SHOWN = 25


@dataclass
class Spent:
    """Seconds of the phases of one test."""

    phases: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    reason: str = ""

    @property
    def total(self) -> float:
        """Seconds of all phases; fixtures count for the test that needs them first."""
        return sum(self.phases.values())


class TimeBudget:
    """Collects the times of the tests of a run, of several processes too."""

    def __init__(self) -> None:
        self.tests: dict[str, Spent] = defaultdict(Spent)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the time of a phase."""
        spent = self.tests[report.nodeid]
        spent.phases[report.when or ""] += report.duration
        spent.reason = dict(report.user_properties).get("takes_long", spent.reason)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the budget of a run of at least a minute of tests."""
        whole = sum(spent.total for spent in self.tests.values())
        if whole < 60:
            return
        write = terminalreporter.write_line
        terminalreporter.section("time by folder")
        folders: dict[str, list[float]] = defaultdict(list)
        for name, spent in self.tests.items():
            folders[name.partition("::")[0].rpartition("/")[0]].append(spent.total)
        for folder, times in sorted(folders.items(), key=lambda each: -sum(each[1])):
            write(f"{sum(times):8.1f} s {sum(times) / whole:5.0%} {len(times):6} tests  {folder}")
        terminalreporter.section("slowest tests")
        slowest = sorted(self.tests.items(), key=lambda each: -each[1].total)[:SHOWN]
        for name, spent in slowest:
            write(f"{spent.total:8.1f} s  {name}{f'  ({spent.reason})' if spent.reason else ''}")
        silent = [name for name, spent in self.tests.items() if spent.phases["call"] > LONG and not spent.reason]
        for name in silent:
            write(f"Takes more than {LONG:.0f} s and does not say why: {name}")


def pytest_configure(config: pytest.Config) -> None:
    """Collect times in the process that reports."""
    config.addinivalue_line("markers", "takes_long(reason): takes more than ten seconds, and why")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(TimeBudget())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Send the reason of a test along with its reports."""
    for item in items:
        if marker := item.get_closest_marker("takes_long"):
            item.user_properties.append(("takes_long", marker.args[0]))
        elif item.get_closest_marker("spark"):
            item.user_properties.append(("takes_long", "computes on Spark"))
