"""AutoFlow where there is no Prefect, which is the usual case."""

import subprocess
import sys

USES = """\
import sys
import autoflow.app, autoflow.__main__, autoflow.sensor, autoflow.workflows
assert not [name for name in sys.modules if name.partition('.')[0] == 'prefect']
sys.modules['prefect'] = None  # as where it is not installed
for use in (
    lambda: autoflow.workflows.make_notebooks_workflow('w', {}),
    lambda: autoflow.sensor.available_dates_sensor,
):
    try:
        use()
    except ModuleNotFoundError as error:
        print(error.name, error)
"""


def test_prefect_is_not_needed() -> None:
    """AutoFlow's own service never loads Prefect, and its flows say in a sentence what to install without it."""
    done = subprocess.run([sys.executable, "-c", USES], capture_output=True, text=True, timeout=100, check=False)

    sentence = "Prefect is not installed; install flowkit[prefect] to have AutoFlow's workflows as Prefect flows."
    assert done.stdout.splitlines() == [f"prefect {sentence}"] * 2, done.stderr
