"""Invented but pronounceable names, some with accents."""

import numpy as np

_ONSETS = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "br", "dr", "gr")
_MIDDLES = ("l", "m", "n", "r", "v", "nd", "rn", "ld", "st", "rv", "lm", "d", "t", "ss")
_VOWELS = ("a", "a", "e", "i", "o", "o", "u")
_ENDINGS = {
    "town": ("a", "o", "an", "el", "is", "os", "in", "ava", "ona", "eni", "or", "és", "ão", "ília", "úma"),
    "region": ("ara", "ovia", "ene", "uria", "este", "ália", "enor", "ímar", "onde", "érie", "ana", "isco"),
}
_ACCENTS = {"a": "á", "e": "é", "i": "í", "o": "ô", "u": "ú"}


class Namer:
    """Generates distinct names."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._given: set[str] = set()
        self._endings: dict[str, list[str]] = {}

    def town(self) -> str:
        """Give the name of a town or a small unit."""
        return self._fresh("town")

    def region(self) -> str:
        """Give the name of a large unit."""
        return self._fresh("region")

    def _fresh(self, kind: str) -> str:
        while True:
            name = self._name(kind)
            if name not in self._given:
                self._given.add(name)
                return name

    def _name(self, kind: str) -> str:
        vowel = self._pick(_VOWELS)
        if self._random.random() < 0.15:
            vowel = _ACCENTS[vowel]
        middle = self._pick(_MIDDLES)
        if kind == "town" and self._random.random() < 0.3:
            middle += self._pick(_VOWELS) + self._pick(_MIDDLES[:5])
        return (self._pick(_ONSETS) + vowel + middle + self._ending(kind)).capitalize()

    def _ending(self, kind: str) -> str:
        # Endings are shuffled: neighbours with the same ending would look like a mistake.
        if not self._endings.get(kind):
            self._endings[kind] = [str(ending) for ending in self._random.permutation(_ENDINGS[kind])]
        return self._endings[kind].pop()

    def _pick(self, parts: tuple[str, ...]) -> str:
        return parts[int(self._random.integers(len(parts)))]
