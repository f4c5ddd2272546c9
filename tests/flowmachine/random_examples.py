"""Random examples that differ from each other, each drawn by Hypothesis in a run of its own."""

import itertools

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

_TWO = settings(
    max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck), database=None
)


def afresh(number, first_seed, *strategies):
    """Have a function called with so many different random examples, each drawn afresh.

    In one run Hypothesis makes most examples by changing parts of another one: of 750 questions 203 were different.
    So each example is drawn in a run of its own.
    """

    def of(hold):
        def hold_of_all():
            for example in _examples(number, first_seed, st.tuples(*strategies)):
                try:
                    hold(*example)
                except Exception as problem:
                    problem.add_note(f"The example: {example!r}")
                    raise

        return hold_of_all

    return of


def _examples(number, first_seed, strategy):
    tried = set()
    for run in itertools.count(first_seed * 1_000_000):
        example = _drawn(run, strategy)
        if repr(example) not in tried:
            tried.add(repr(example))
            yield example
        if len(tried) == number:
            return


def _drawn(run, strategy):
    """A random example: the second of a run, which begins with the simplest one."""
    drawn = []

    @_TWO
    @seed(run)
    @given(strategy)
    def draw(example):
        drawn.append(example)

    draw()
    return drawn[-1]
