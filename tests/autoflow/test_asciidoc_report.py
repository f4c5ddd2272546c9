"""Reports by way of AsciiDoc: templates of FlowKit's users, old and new, and what is wrong with them."""

import base64
import io
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from autoflow.reports import asciidoc
from autoflow.reports.contents import ReportError

OLD = """{%- extends 'asciidoc.tpl' -%}

{% block input_group %}{% endblock input_group %}
{% block in_prompt %}{% endblock in_prompt %}
{% block output_prompt %}{% endblock output_prompt %}
{% block stream %}{% endblock stream %}

{% block data_png %}
image::{{ output.metadata.filenames['image/png'] | path2url }}[pdfwidth=90%]
{% endblock data_png %}

{% block data_text scoped %}
----
{{ output.data['text/plain'] }}
----
{% endblock data_text %}
"""
NEW = """{% extends 'asciidoc/index.asciidoc.j2' %}
{% block input %}{% endblock input %}
{% block stream %}{% endblock stream %}
{% block output_group %}
{% block outputs %}
{{ super() }}
{% endblock outputs %}
{% endblock output_group %}
{% block data_png %}

image::{{ output.metadata.filenames['image/png'] | path2url }}[pdfwidth=90%]

{% endblock data_png %}
"""
needs_asciidoctor = pytest.mark.skipif(
    not (asciidoc.is_installed() and shutil.which("pdftotext")),
    reason="asciidoctor-pdf or pdftotext (poppler-utils) is not installed",
)


def shown(**data: Any) -> Any:
    kinds = {"html": "text/html", "plain": "text/plain", "png": "image/png"}
    return new_output("display_data", data={kinds.get(kind, kind): value for kind, value in data.items()})


def picture() -> str:
    file = io.BytesIO()
    Image.new("RGB", (200, 100), "#336699").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    """An executed notebook with text, a table, a picture, glued data, and paths of files that are not its own."""
    secret = tmp_path / "secret.png"
    Image.new("RGB", (50, 50), "#ff0000").save(secret)
    attached = new_markdown_cell(
        "# Déplacements à Ñandú\n\nSome *text*.\n\n![of mine](attachment:a.png)\n\n"
        f"![one]({secret}) ![two](../secret.png) ![three](https://example.org/x.png)\n\ninclude::/etc/passwd[]"
    )
    attached["attachments"] = {"a.png": {"image/png": picture()}}
    outputs = [
        new_output("stream", text="printed"),
        shown(html=pd.DataFrame({"unité": ["Åre"], "value": [3456]}).to_html(index=False), plain="x"),
        shown(png=picture(), plain="<Figure>"),
        shown(plain="a result"),
        shown(**{"application/scrapbook.scrap.text+json": {"data": "glued"}}),
    ]
    path = tmp_path / "n.ipynb"
    nbformat.write(new_notebook(cells=[attached, new_code_cell("the_code", outputs=outputs)]), path)
    return path


def template(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@needs_asciidoctor
@pytest.mark.parametrize(("name", "text"), [("own.tpl", OLD), ("own.j2", NEW)])
def test_both_kinds_of_template_make_a_report(name: str, text: str, notebook: Path, tmp_path: Path) -> None:
    """FlowKit's kind of template and nbconvert's present one give text, tables and pictures, and nothing hidden."""
    asciidoc.write_report(notebook, tmp_path / "out.pdf", template(tmp_path, name, text))

    done = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "out.pdf", "-"], capture_output=True, text=True, check=True
    )
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    images = subprocess.run(["pdfimages", "-list", tmp_path / "out.pdf"], capture_output=True, text=True, check=True)
    for wanted in ("Déplacements à Ñandú", "unité value", "Åre 3456", "a result"):
        assert wanted in lines, wanted
    for unwanted in ("the_code", "printed", "glued", "|===", "root:"):
        assert unwanted not in done.stdout, unwanted
    # The attached picture and the plot; those elsewhere on the machine or the network are named.
    assert len(images.stdout.splitlines()) - 2 == 2
    for alt in ("one", "two", "three"):
        assert f"picture not in the notebook: {alt}" in " ".join(lines)


@needs_asciidoctor
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{% extends 'asciidoc.tpl' %}\n\n{% block data_png %}\n{% endblok %}\n", r"own\.tpl, line 4: .*endblok"),
        (
            "{% extends 'asciidoc.tpl' %}\n{% block markdowncell %}\n{{ no.such.thing }}\n{% endblock %}",
            r"own\.tpl, line 3: 'no'",
        ),
        ("{% extends 'nowhere.tpl' %}", r"the template needs 'nowhere\.tpl'"),
        ("{{ 'x' | nofilter }}", r"own\.tpl, line 1: .*nofilter"),
    ],
)
def test_an_error_in_a_template_is_told_with_its_line(text: str, told: str, notebook: Path, tmp_path: Path) -> None:
    """A template that is wrong is told in one sentence with its file and line."""
    with pytest.raises(ReportError, match=told) as error:
        asciidoc.write_report(notebook, tmp_path / "out.pdf", template(tmp_path, "own.tpl", text))

    assert "\n" not in str(error.value)
    assert not (tmp_path / "out.pdf").exists()


def test_a_template_is_given_to_asciidoctor(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reaches asciidoctor-pdf is AsciiDoc with bare tables and pictures, in a mode that reads no other file."""
    program = tmp_path / "bin" / "asciidoctor-pdf"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n[ "$1" = --out-file ] && { cat "$3"; echo "$@"; } > "$2"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    asciidoc.write_report(notebook, tmp_path / "out.pdf", template(tmp_path, "own.tpl", OLD))

    made = (tmp_path / "out.pdf").read_text()
    assert "== Déplacements à Ñandú" in made
    assert "|unité |value" in made
    assert "[pdfwidth=90%]" in made
    assert "--safe-mode safe" in made
    assert "the_code" not in made


def test_a_failing_asciidoctor_is_told(notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where asciidoctor-pdf fails, its own word on why is in the sentence."""
    program = tmp_path / "bin" / "asciidoctor-pdf"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho no such theme >&2; echo '  Use --trace to show backtrace' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    with pytest.raises(ReportError, match=r"^asciidoctor-pdf could not set n\.ipynb: no such theme\.$"):
        asciidoc.write_report(notebook, tmp_path / "out.pdf", template(tmp_path, "own.j2", NEW))


def test_a_template_without_asciidoctor_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where asciidoctor-pdf is not installed, one sentence says so and what to do."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ReportError, match=r"asciidoctor-pdf is not installed.*leave out 'template'"):
        asciidoc.write_report(tmp_path / "n.ipynb", tmp_path / "out.pdf", tmp_path / "own.tpl")
