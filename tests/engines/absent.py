"""What a test does where the machine lacks an engine: skip in one line, or fail where everything must run."""

import os
from typing import NoReturn

import pytest

REQUIRED = "FLOWKIT_REQUIRE_ENGINES"


def absent(reason: str) -> NoReturn:
    """Skip the test for `reason`; fail it where FLOWKIT_REQUIRE_ENGINES=1, as in continuous integration."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED}=1, but {reason}", pytrace=False)
    pytest.skip(reason)
