"""Copies an example: `python -m autoflow.examples NAME DIR`; without words it lists them."""

import sys
from pathlib import Path

from autoflow.examples import copy_example, examples

USAGE = "python -m autoflow.examples NAME DIR"


def main(words: list[str]) -> int:
    """List the examples, or copy one; give the exit code."""
    if not words:
        for name, shows in examples().items():
            print(f"{name}: {shows}")
        print(f"To copy one: {USAGE}")
        return 0
    if len(words) != 2:
        print(f"An example's name and a directory are needed: {USAGE}", file=sys.stderr)
        return 1
    try:
        written = copy_example(words[0], Path(words[1]))
    except OSError as error:
        print(f"{error.filename}: {error.strerror}." if error.filename else str(error), file=sys.stderr)
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{words[1]} has {', '.join(path.name for path in written)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
