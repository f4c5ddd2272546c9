"""Keyed pseudonyms: what the lake holds in place of everything that leads to a person.

A pseudonym is HMAC-SHA-256 of `kind:identifier` under the deployment's key, its first 8 bytes read as a big-endian
integer with the sign bit cleared. The kind keeps a subscriber and a handset of equal number apart; an msisdn and a
counterpart are of one kind, so that they match.
"""

import hashlib
import hmac

import duckdb

from flowdb.reference.errors import DeliveryError

KINDS = {
    "msisdn": "subscriber",
    "msisdn_counterpart": "subscriber",
    "imei": "imei",
    "imsi": "imsi",
    "id": "event",
}
"""The kind of identifier that each identifying column holds."""

_SHORTEST_KEY = 16
_BLOCK = 64


def pseudonym(key: bytes, column: str, identifier: str) -> int:
    """The pseudonym of one identifier of a column, such as msisdn; the same that loading gives it."""
    message = f"{KINDS[column]}:{identifier.strip()}".encode()
    return int.from_bytes(hmac.digest(key, message, "sha256")[:8], "big") & (2**63 - 1)


def fingerprint(key: bytes) -> str:
    """What tells keys apart without telling the key."""
    return hmac.digest(key, b"flowkit key fingerprint", "sha256")[:8].hex()


def give_key(connection: duckdb.DuckDBPyConnection, key: bytes) -> None:
    """Make a key known to a connection, for the expressions of `expression`; it stands in no SQL text."""
    if len(key) < _SHORTEST_KEY:
        raise DeliveryError(f"The key for pseudonyms is shorter than {_SHORTEST_KEY} bytes: make a longer one.")
    block = (hashlib.sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
    connection.execute("SET VARIABLE inner_pad = ?", [bytes(b ^ 0x36 for b in block)])
    connection.execute("SET VARIABLE outer_pad = ?", [bytes(b ^ 0x5C for b in block)])


def expression(column: str, text: str) -> str:
    """The SQL expression of the pseudonym of a text, an SQL expression itself, as identifier of a column."""
    inner = f"sha256(getvariable('inner_pad')::BLOB || encode('{KINDS[column]}:' || {text}))"
    outer = f"sha256(getvariable('outer_pad')::BLOB || unhex({inner}))"
    return f"(('0x' || left({outer}, 16))::UBIGINT & 9223372036854775807)::BIGINT"
