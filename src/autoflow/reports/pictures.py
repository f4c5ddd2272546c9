"""Pictures of a notebook, pixels or vectors: checked, and no finer than paper shows."""

import io
import re
from dataclasses import replace
from typing import Any

from bs4 import BeautifulSoup, Tag

from autoflow.reports.contents import FINEST_DPI, MOST_PIXELS, Contents, Picture, scale
from autoflow.reports.text import clean, note_line

POINTS = {"pt": 1.0, "px": 0.75, "": 0.75, "in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4, "pc": 12.0}


def keep_picture(content: bytes, contents: Contents, width: float | None, alt: str = "", caption: str = "") -> Tag:
    """Keep a picture and give its placeholder element, or a line that says why it cannot be shown.

    Its size on paper is what its file says (pixels and dots per inch); `width`, in pixels of a screen,
    counts where the file says nothing.
    """
    drawing = b"<svg" in content[:4000]
    picture = _drawing(content, width) if drawing else _photograph(content, width)
    if isinstance(picture, str):
        return note_line(picture)
    contents.pictures.append(replace(picture, alt=clean(alt), caption=clean(caption)))
    return BeautifulSoup("", "html.parser").new_tag("img", attrs={"data-n": str(len(contents.pictures) - 1)})


def _photograph(content: bytes, width: float | None) -> Picture | str:
    """Give a pixel picture, or the reason why not."""
    from PIL import Image, ImageFile, UnidentifiedImageError  # noqa: PLC0415  (not needed to read workflows)

    try:
        image = Image.open(io.BytesIO(content))
        if image.width * image.height > MOST_PIXELS:
            return f"a picture of {image.width:,} × {image.height:,} pixels, too large to be shown"
        ImageFile.LOAD_TRUNCATED_IMAGES = False
        image.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return "a picture that cannot be read"
    dpi = _number(image.info.get("dpi", (0, 0)))
    across = image.width / dpi * 72 if dpi > 1 else (width or image.width) * POINTS["px"]
    down = across * image.height / image.width
    most = int(across * scale(across, down) / 72 * FINEST_DPI) + 1
    kind = {"PNG": "png", "JPEG": "jpg"}.get(image.format or "")
    if image.width > most * 1.05:
        if image.mode not in ("L", "LA", "RGB", "RGBA"):
            image = image.convert("RGBA")
        image = image.resize((most, max(1, round(most * image.height / image.width))), Image.Resampling.LANCZOS)
        kind = "png" if kind != "jpg" else "jpg"
    elif kind:
        return Picture(content, kind, across, down)
    elif image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGBA")
    return Picture(*_encoded(image, kind or "png"), across, down)


def _encoded(image: Any, kind: str) -> tuple[bytes, str]:
    """Give a picture as a file: a PNG, or a JPEG where that is what it was or a PNG is too heavy."""
    file = io.BytesIO()
    if kind == "png":
        image.save(file, "PNG")
        if file.tell() < 3_000_000 or (image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema()[0] < 255):
            return file.getvalue(), "png"
        file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=88)
    return file.getvalue(), "jpg"


def _number(value: object) -> float:
    """Give the first number of a pair such as PIL's dots per inch, 0 where there is none."""
    try:
        return float(value[0])  # pyright: ignore[reportIndexIssue]
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return 0.0


def _drawing(content: bytes, width: float | None) -> Picture | str:
    """Give an SVG drawing without scripts and external references, or the reason why not."""
    from xml.etree.ElementTree import ParseError, register_namespace, tostring  # noqa: PLC0415

    from defusedxml import DefusedXmlException  # noqa: PLC0415
    from defusedxml.ElementTree import fromstring  # noqa: PLC0415

    content = content[content.find(b"<") :]
    try:
        root = fromstring(content)
    except (ParseError, DefusedXmlException, ValueError, RecursionError, LookupError):
        try:
            # Inline drawings of a web page often leave out what XML requires.
            soup = BeautifulSoup(content, "html.parser").find("svg")
            markup = str(soup).replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
            root = fromstring(re.sub(r"viewbox=", "viewBox=", markup))
        except (ParseError, DefusedXmlException, ValueError, RecursionError, LookupError):
            return "a drawing that cannot be read"
    register_namespace("", "http://www.w3.org/2000/svg")
    register_namespace("xlink", "http://www.w3.org/1999/xlink")
    if not root.tag.startswith("{"):
        for element in root.iter():
            element.tag = "{http://www.w3.org/2000/svg}" + str(element.tag).rpartition("}")[2]
    changed = not content.lstrip().startswith(b"<?xml")
    for parent in root.iter():
        for child in list(parent):
            name = str(child.tag).rpartition("}")[2].lower()
            if name in ("script", "foreignobject", "iframe") or any(
                key.rpartition("}")[2] == "href" and not value.strip().startswith(("#", "data:image/"))
                for key, value in child.attrib.items()
                if name != "a"
            ):
                parent.remove(child)
                changed = True
    if changed:
        content = tostring(root, encoding="utf-8", xml_declaration=True)
    across, down = length(root.get("width", "")), length(root.get("height", ""))
    box = [float(part) for part in re.findall(r"[-+]?[\d.]+(?:e[-+]?\d+)?", root.get("viewBox", "")) if part != "."]
    if len(box) == 4 and box[2] > 0 and box[3] > 0:
        across = across or (width or box[2]) * POINTS["px"]
        down = down or across * box[3] / box[2]
    across, down = across or 300 * POINTS["px"], down or 150 * POINTS["px"]
    return Picture(content, "svg", across, down)


def length(value: str) -> float | None:
    """A length of CSS in points; None for anything else."""
    number = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([a-z]*)", value.strip())
    return (float(number[1]) * POINTS[number[2]] or None) if number and number[2] in POINTS else None
