"""Which tokens are believed: by the keys and the revocation list that FlowAuth publishes, read again and again."""

import asyncio
import contextlib
import datetime
import json
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa

from flowapi.settings import Settings, is_address
from flowkit_base.files import write_whole
from flowkit_jwt_generator.jwt import Claims, TokenError, unverified_key_id, verify_token
from flowkit_jwt_generator.keys import key_id
from flowkit_jwt_generator.published import (
    LARGEST_KEY_SET_BYTES,
    LARGEST_REVOCATIONS_BYTES,
    RevocationList,
    read_key_set,
    read_revocations,
    revocation_list,
)

PATIENCE = 5.0
"""Seconds that FlowAuth has to send a document."""
EARLY_SECONDS = 5.0
"""Seconds between two early readings; anybody can send a token that names an unknown key."""

# uvicorn's own, which writes to standard error at FLOWAPI_LOG_LEVEL.
log = logging.getLogger("uvicorn.error")


class UnreadableError(Exception):
    """A document cannot be read; the message says why, and not where, for anybody may see it."""


class RevokedError(Exception):
    """A token was ended before its time; `claims` is what it says."""

    def __init__(self, claims: Claims) -> None:
        super().__init__("This token was revoked; make a new one in FlowAuth.")
        self.claims = claims


class UntrustedError(Exception):
    """No token can be believed at present; `code` says the same to programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Followed:
    """A document that is read again and again: where from, when last, and why it could not be read."""

    name: str
    place: str
    largest: int
    take: Callable[[bytes], None]
    read: datetime.datetime | None = None
    problem: str | None = field(default=None)


class Trust:
    """The keys and the revocation list of one running FlowAPI."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._audience = settings.flowapi_identifier
        self._state = settings.flowapi_state / f"{quote(self._audience, safe='')}.json"
        self._client: httpx.AsyncClient | None = None
        self._reading = asyncio.Lock()
        self._early = -math.inf
        self._key_set: str | None = None
        self.keys: list[rsa.RSAPublicKey] = settings.public_keys
        self.revocations: RevocationList | None = None
        self.unkept: str | None = None
        """Why the documents could not be kept on disk, if they could not."""
        places = (
            ("key_set", settings.flowapi_key_set, LARGEST_KEY_SET_BYTES, self._take_keys),
            ("revocations", settings.flowapi_revocations, LARGEST_REVOCATIONS_BYTES, self._take_revocations),
        )
        # The keys come first: the list may be signed by the newest.
        self.followed = [Followed(name, place, largest, take) for name, place, largest, take in places if place]
        if self.followed:
            self._restore()

    @contextlib.asynccontextmanager
    async def kept_in_step(self) -> AsyncIterator[None]:
        """Read the documents now, and then again and again in the background."""
        if not self.followed:
            yield
            return
        async with httpx.AsyncClient(timeout=PATIENCE, follow_redirects=False) as self._client:
            await self.refresh()
            again = asyncio.create_task(self._again_and_again())
            try:
                yield
            finally:
                again.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await again

    async def verify(self, token: str) -> Claims:
        """Check a token by all that is known now; a key that is not known may come by an early reading.

        Raises
        ------
        TokenError
            The token is refused.
        RevokedError
            It was ended before its time.
        UntrustedError
            There is no key, or the revocation list is too old.
        """
        if not self.keys and not await self._hastened():
            raise self.doubts() or UntrustedError("keys_absent", _NO_KEYS)
        try:
            claims = await self._checked(token)
        except TokenError as error:
            if error.code != "token_signature" or not await self._comes(unverified_key_id(token)):
                raise
            claims = await self._checked(token)
        if doubts := self.doubts():
            raise doubts
        if self.revocations is not None and claims.token_id in self.revocations.revoked:
            raise RevokedError(claims)
        return claims

    def doubts(self) -> UntrustedError | None:
        """Tell why no token at all can be believed at present, if that is so."""
        if not self.keys:
            return UntrustedError("keys_absent", _NO_KEYS)
        most = self._settings.flowapi_revocations_max_age
        if most is not None and not self.revocations_age() <= most:
            return UntrustedError("revocations_stale", _STALE)
        return None

    def revocations_age(self) -> float:
        """Seconds since FlowAuth signed the current list; NaN if there is none."""
        if self.revocations is None:
            return math.nan
        return (_now() - self.revocations.issued).total_seconds()

    def status(self) -> dict[str, Any]:
        """For /api/0/health: the current keys and revocations, their age, and why they could not be read."""
        status: dict[str, Any] = {"keys": len(self.keys)}
        for each in self.followed:
            read = each.read.isoformat() if each.read else None
            status[each.name] = {"read": read, "problem": each.problem}
        if "revocations" in status:
            current = self.revocations
            status["revocations"] |= {
                "issued": current.issued.isoformat() if current else None,
                "revoked": len(current.revoked) if current else 0,
            }
        if self.unkept is not None:
            status["unkept"] = self.unkept
        return status

    async def refresh(self) -> None:
        """Read every document once; of what cannot be read, the last good one stays."""
        async with self._reading:
            taken = [await self._read(each) for each in self.followed]
            if any(taken):
                await asyncio.to_thread(self._keep)

    async def _again_and_again(self) -> None:
        while True:
            await asyncio.sleep(self._settings.flowapi_refresh_seconds)
            try:
                await self.refresh()
            except Exception:
                # Nobody notices that a task has ended, and FlowAPI would accept revoked tokens for ever.
                log.exception("FlowAPI failed at reading the key set and the revocation list; it will try again.")

    async def _checked(self, token: str) -> Claims:
        return verify_token(token, self.keys, self._audience)

    async def _comes(self, kid: str | None) -> bool:
        """Whether a key that was not known is known after an early reading."""
        if kid is None or self._settings.flowapi_key_set is None or kid in map(key_id, self.keys):
            return False
        await self._hastened()
        return kid in map(key_id, self.keys)

    async def _hastened(self) -> bool:
        """Read the documents early, at most once in a few seconds; whether there are keys then."""
        if self._reading.locked():
            async with self._reading:
                pass
        elif time.monotonic() - self._early >= EARLY_SECONDS:
            self._early = time.monotonic()
            await self.refresh()
        return bool(self.keys)

    async def _read(self, document: Followed) -> bool:
        try:
            content = await self._fetched(document)
            await asyncio.to_thread(document.take, content)
        except (UnreadableError, TokenError, ValueError) as error:
            problem = str(error).rstrip(".") + "."
            if problem != document.problem:
                log.error("The %s of %s is not taken: %s The last good one stays.", *_names(document), problem)
            document.problem = problem
            return False
        if document.problem is not None:
            log.warning("The %s of %s is taken again.", *_names(document))
        document.read, document.problem = _now(), None
        return True

    async def _fetched(self, document: Followed) -> bytes:
        if not is_address(document.place):
            return await asyncio.to_thread(_file, Path(document.place), document.largest)
        if self._client is None:
            raise UnreadableError("FlowAPI does not run")
        content = bytearray()
        try:
            # A compressed answer may be small and unpack to a large one, so bytes are counted uncompressed.
            headers = {"Accept-Encoding": "identity"}
            async with (
                asyncio.timeout(PATIENCE),
                self._client.stream("GET", document.place, headers=headers) as answer,
            ):
                if answer.status_code == httpx.codes.NOT_FOUND and document.name == "revocations":
                    raise UnreadableError("FlowAuth has no server of this name; add it there")
                if answer.status_code != httpx.codes.OK:
                    raise UnreadableError(f"FlowAuth answered {answer.status_code}")
                async for piece in answer.aiter_raw():
                    content += piece
                    if len(content) > document.largest:
                        raise UnreadableError(f"It has more than {document.largest:,} bytes")
        except TimeoutError:
            raise UnreadableError(f"FlowAuth did not send it within {PATIENCE:g} seconds") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.info("%s: %s", document.place, error)
            raise UnreadableError(f"FlowAuth could not be reached ({type(error).__name__})") from None
        return bytes(content)

    def _take_keys(self, content: bytes) -> None:
        self.keys = read_key_set(content)
        self._key_set = content.decode()

    def _take_revocations(self, content: bytes) -> None:
        try:
            text = content.decode("ascii")
        except UnicodeDecodeError:
            raise UnreadableError("It is not a signed list") from None
        new = read_revocations(text, self.keys, self._audience)
        current = self.revocations
        if current is not None and new.issued < current.issued:
            raise UnreadableError(f"It was signed at {new.issued.isoformat()}, before the current one")
        # What was revoked stays so, even where FlowAuth's database comes from a backup that knows nothing of it.
        now = _now().timestamp()
        kept = {jti: expiry for jti, expiry in (current.revoked if current else {}).items() if expiry > now}
        self.revocations = RevocationList(new.audience, new.issued, {**kept, **new.revoked})

    def _keep(self) -> None:
        """Write the current documents to the disk, whole or not at all."""
        state: dict[str, Any] = {"audience": self._audience}
        for each in self.followed:
            read = each.read.isoformat() if each.read else None
            if each.name == "key_set" and self._key_set is not None:
                state[each.name] = {"place": each.place, "text": self._key_set, "read": read}
            elif each.name == "revocations" and (current := self.revocations) is not None:
                said = {"aud": current.audience, "iat": current.issued.timestamp(), "revoked": dict(current.revoked)}
                state[each.name] = {"said": said, "read": read}
        try:
            self._state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._state, json.dumps(state), 0o600)
        except OSError as error:
            if self.unkept is None:
                log.error("FLOWAPI_STATE: %s cannot be written (%s).", self._state, error.strerror)
            self.unkept = f"The last good documents cannot be kept for a restart ({error.strerror}); see FLOWAPI_STATE."
        else:
            self.unkept = None

    def _restore(self) -> None:
        """Take the documents of before a restart.

        The signature of the list was checked when it was taken; its key may have been withdrawn since, which must not
        bring revoked tokens back.
        """
        try:
            state = json.loads(self._state.read_bytes())
            for each in self.followed:
                kept = state.get(each.name)
                if kept is None or (each.name == "key_set" and kept["place"] != each.place):
                    continue
                if each.name == "key_set":
                    self.keys, self._key_set = read_key_set(kept["text"]), kept["text"]
                else:
                    self.revocations = revocation_list(kept["said"], self._audience)
                each.read = datetime.datetime.fromisoformat(kept["read"]) if kept["read"] else None
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, TokenError) as error:
            log.error("FLOWAPI_STATE: %s cannot be read (%s) and is left aside.", self._state, error)


_NO_KEYS = (
    "FlowAPI has no key to check tokens with, for it could not read FLOWAPI_KEY_SET; tell your administrator to look "
    "at /api/0/health."
)
_STALE = (
    "FlowAPI takes no token at present, for its revocation list is missing or too old (FLOWAPI_REVOCATIONS_MAX_AGE); "
    "tell your administrator to look at /api/0/health."
)


def _names(document: Followed) -> tuple[str, str]:
    return document.name.replace("_", " ").replace("revocations", "revocation list"), document.place


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _file(path: Path, largest: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise UnreadableError(f"The file cannot be read ({error.strerror})") from None
    if len(content) > largest:
        raise UnreadableError(f"It has more than {largest:,} bytes")
    return content
