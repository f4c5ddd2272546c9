"""Scripts: in which direction a text runs, and which language its letters make likely."""

import unicodedata
from typing import NamedTuple

RIGHT_TO_LEFT = {"ar", "fa", "ur", "ps", "ckb", "sd", "ug", "dv", "he", "yi"}


# The languages that share a script; the first is taken where a notebook does not say its own.
LANGUAGES = {
    "ARABIC": ("ar", "fa", "ur", "ps", "ckb", "sd", "ug"),
    "HEBREW": ("he", "yi"),
    "DEVANAGARI": ("ne", "hi", "mr", "sa", "mai", "bho", "new"),
    "CYRILLIC": ("ru", "uk", "bg", "sr", "kk", "ky", "mn", "tg"),
    "GREEK": ("el",),
}


class Voice(NamedTuple):
    """How a text is set: its language, and `rtl` or `ltr`."""

    language: str
    direction: str


def voice_of_language(language: str) -> Voice:
    """Give the voice of a language by its code."""
    return Voice(language, "rtl" if language in RIGHT_TO_LEFT else "ltr")


def voice_of(text: str, language: str) -> Voice:
    """Give the voice of a text by its first letter with a strong direction; the document's if it has none."""
    for char in text:
        if unicodedata.bidirectional(char) not in ("L", "R", "AL"):
            continue
        script = unicodedata.name(char, "").partition(" ")[0]
        known = LANGUAGES.get(script)
        if known:
            return voice_of_language(language if language in known else known[0])
        foreign = any(language in others for others in LANGUAGES.values())
        return voice_of_language("en" if foreign and script == "LATIN" else language)
    return voice_of_language(language)
