"""Secrecy: removes a secret from text, in plain and in encoded form."""

import base64
import json
from functools import cached_property
from typing import Any
from urllib.parse import quote

REMOVED = "[token removed]"
# A shorter text would be found in words that are none of the secret's.
SHORTEST = 8


class Secret:
    """A secret to remove in every form: plain, in JSON, in a URL, in hexadecimal digits or in base64."""

    def __init__(self, value: str) -> None:
        self._value = value if len(value) >= SHORTEST else ""

    @cached_property
    def forms(self) -> tuple[str, ...]:
        """Give every form of the secret that is looked for, the longest first."""
        if not self._value:
            return ()
        content = self._value.encode()
        forms = {self._value, json.dumps(self._value)[1:-1], quote(self._value, safe=""), content.hex()}
        for before in range(3):
            # The text before and after the secret decides on the first and last characters of its base64.
            first, last = -(-before * 8 // 6), (before + len(content)) * 8 // 6
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                forms.add(encode(bytes(before) + content).decode()[first:last])
        return tuple(sorted(forms, key=len, reverse=True))

    def out_of(self, text: str) -> str:
        """Give a text without the secret."""
        for form in self.forms:
            if form in text:
                text = text.replace(form, REMOVED)
        return text

    def out_of_all(self, value: Any) -> Any:
        """Give a JSON value without the secret in any of its strings."""
        if isinstance(value, str):
            return self.out_of(value)
        if isinstance(value, dict):
            return {self.out_of_all(key): self.out_of_all(part) for key, part in value.items()}
        return [self.out_of_all(part) for part in value] if isinstance(value, list) else value
