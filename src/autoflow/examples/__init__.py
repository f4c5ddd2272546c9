"""The examples that people start from: a folder each, with a workflows.yml and its notebooks."""

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

PARTS = (".ipynb", ".yml")


def examples() -> dict[str, str]:
    """Give what each example shows, by its name."""
    folders = [each for each in _home().iterdir() if each.is_dir() and each.joinpath("workflows.yml").is_file()]
    return {each.name: _first_line(each) for each in sorted(folders, key=lambda each: each.name)}


def example_files(name: str) -> dict[str, bytes]:
    """Give the files of an example, workflows.yml and notebooks, by their names.

    Raises ValueError with a sentence where there is no such example.
    """
    if name not in examples():
        raise ValueError(f"There is no example '{name}'; there are {', '.join(examples())}.")
    files = [each for each in _home().joinpath(name).iterdir() if each.name.endswith(PARTS)]
    return {each.name: each.read_bytes() for each in sorted(files, key=lambda each: each.name)}


def copy_example(name: str, folder: Path) -> list[Path]:
    """Copy an example into a folder, which is made where it is missing, and give the files that were written.

    An existing file is never replaced: FileExistsError says so before anything is written.
    Raises ValueError where there is no such example; both errors are sentences.
    """
    content = example_files(name)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; name a directory for the example.")
    for file in content:
        if (folder / file).exists():
            raise FileExistsError(f"{folder} has a {file} already; name an empty directory for the example.")
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / file for file in content]
    for path in written:
        path.write_bytes(content[path.name])
    return written


def _home() -> Traversable:
    return resources.files("autoflow").joinpath("examples")


def _first_line(folder: Traversable) -> str:
    """What an example shows: the first line of its workflows.yml, a comment."""
    return folder.joinpath("workflows.yml").read_text(encoding="utf-8").splitlines()[0].lstrip("# ")
