"""A query spec as it is given to a command: as JSON, in a file, or on standard input."""

import json
import sys
from pathlib import Path
from typing import Any

from flowkit.errors import DeploymentError


def read(argument: str) -> Any:
    """The spec that an argument holds or names; raises DeploymentError if there is none."""
    if not argument.strip():
        raise DeploymentError("The spec is empty: give a query spec as JSON, the name of a file that holds one, or - .")
    try:
        spec = json.loads(_text(argument))
    except RecursionError:
        raise DeploymentError("The spec is nested too deeply.") from None
    except ValueError as problem:
        raise DeploymentError(f"The spec is not JSON: {problem}.") from None
    return spec.get("spec", spec) if isinstance(spec, dict) else spec


def _text(argument: str) -> str:
    if argument.lstrip()[:1] in ("{", "[", '"'):
        return argument
    name = "standard input" if argument == "-" else argument
    try:
        return sys.stdin.buffer.read().decode() if argument == "-" else Path(argument).read_text(encoding="utf-8")
    except IsADirectoryError:
        raise DeploymentError(f"{name} is a folder: name a file that holds a query spec as JSON.") from None
    except OSError as problem:
        raise DeploymentError(f"{name} cannot be read: {problem.strerror}.") from None
    except UnicodeDecodeError:
        raise DeploymentError(f"{name} is not text in UTF-8: a query spec is JSON.") from None
    except ValueError:
        raise DeploymentError(f"{name!r} cannot be the name of a file.") from None
