"""Passwords: hashed with argon2id, and good enough to be taken."""

import base64
import hashlib
import mmap
import os
import secrets
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import hash_secret
from zxcvbn import zxcvbn
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from flowauth.errors import Refused

SHORTEST, LONGEST = 8, 256
BEST_SCORE = 4
"""The zxcvbn score that a password must have, of 0 to 4."""
_LOOKED_AT = 72
"""Characters that are judged: zxcvbn takes no more, for its time grows with the cube of the length."""
# OWASP's recommendation: 19 MiB, 2 passes, 1 lane.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
_HEX_DIGITS = 40
_GENERATED_LENGTH = 20
# Neither 0 and o nor 1, i and l: first passwords are read out and copied by hand.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
# Each verification takes 19 MiB; many at once would only take each other's time and the machine's memory.
_AT_ONCE = BoundedSemaphore(max(2, os.cpu_count() or 2))


def hashed(password: str, username: str, breached: Path | None = None) -> str:
    """The argon2id hash of a new password; Refused, with a hint, if it is too weak."""
    if complaint := weakness(password, username, breached):
        raise Refused(complaint, "password")
    return hash_of(password)


def generated() -> str:
    """A random first password of about 96 bits, in groups that can be read out."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_GENERATED_LENGTH))
    return "-".join(letters[at : at + 5] for at in range(0, _GENERATED_LENGTH, 5))


def hash_of(password: str, salt: bytes | None = None) -> str:
    """The argon2id hash of a password that was taken before, or of another secret that is typed."""
    return _HASHER.hash(_octets(password), salt=salt)


def alike(text: str, stored: str) -> str:
    """The hash of a text, made with the salt and at the cost of another hash."""
    cost = extract_parameters(stored)
    salt = stored.rsplit("$", 2)[1]
    return hash_secret(
        _octets(text),
        base64.b64decode(salt + "=" * (-len(salt) % 4)),
        time_cost=cost.time_cost,
        memory_cost=cost.memory_cost,
        parallelism=cost.parallelism,
        hash_len=cost.hash_len,
        type=cost.type,
        version=cost.version,
    ).decode()


def fits(password: str, stored: str | None) -> bool:
    """Whether a password is the one that was stored; it takes as long if nobody has stored one."""
    nobody = _of_nobody()
    try:
        with _AT_ONCE:
            return _HASHER.verify(stored or nobody, _octets(password)) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(stored: str) -> bool:
    """Whether a hash was made in an older way, so that it is made again when the password is next given."""
    return _HASHER.check_needs_rehash(stored)


def weakness(password: str, username: str, breached: Path | None = None) -> str | None:
    """Say what is wrong with a new password, and what would be better; None if it is good.

    It needs 8 characters or more, the best of zxcvbn's scores, and must not be among passwords that are known from
    breaches: those that zxcvbn brings, and those of a file with the SHA-1 of one a line, sorted, in hexadecimal, as
    Have I Been Pwned offers it.
    """
    if len(password) < SHORTEST:
        return f"The password is too short; use {SHORTEST} characters or more, such as four words of no one sentence."
    if len(password) > LONGEST:
        return f"The password is longer than {LONGEST} characters."
    if password.lower() in _known():
        return "This password is known from breaches of other sites; choose another one."
    if breached is not None and _listed(password, breached):
        return "This password is known from breaches of other sites; choose another one."
    judged = zxcvbn(password[:_LOOKED_AT], user_inputs=[username, "flowkit", "flowauth", "flowminder"])
    if judged["score"] < BEST_SCORE:
        feedback = judged["feedback"]
        advice = " ".join(part.rstrip(".") + "." for part in (feedback["warning"], *feedback["suggestions"]) if part)
        return f"The password can be guessed too easily. {advice}".strip()
    return None


def _octets(text: str) -> bytes:
    # A lone surrogate, which JSON may hold, is no UTF-8; it is a wrong password and not a mistake of the program.
    return text.encode("utf-8", "surrogatepass")


@cache
def _of_nobody() -> str:
    return _HASHER.hash("the password of nobody")


@cache
def _known() -> frozenset[str]:
    return frozenset(FREQUENCY_LISTS["passwords"])


def _listed(password: str, breached: Path) -> bool:
    """Whether the SHA-1 of a password begins a line of a sorted file; by halves, for such files are large."""
    digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    with breached.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        low, high = 0, len(text)
        while low < high:
            middle = (low + high) // 2
            start = text.rfind(b"\n", low, middle) + 1 or low
            line = bytes(text[start : start + _HEX_DIGITS]).upper()
            if line == digest:
                return True
            if line < digest:
                end = text.find(b"\n", middle)
                low = len(text) if end < 0 else end + 1
            else:
                high = start
    return False
