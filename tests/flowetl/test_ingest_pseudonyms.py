"""Keyed pseudonyms."""

import hashlib
import hmac

import pytest

from flowetl.pseudonyms import fingerprint, pseudonym

from .conftest import KEY


def _expected(key, kind, text):
    digest = hmac.new(key, f"{kind}:{text}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") & (2**63 - 1)


@pytest.mark.parametrize("key", [KEY, b"k" * 64, b"a key that is longer than a block of the hash: " * 3])
def test_pseudonyms_are_truncated_hmacs(deployment, key):
    """What is stored is HMAC-SHA-256 under the key, for keys of any length and identifiers in any script."""
    header = "datetime,id,msisdn,msisdn_counterpart,imei,imsi"
    deployment.load(deployment.calls("2016-01-01 10:00:00,e1,9841,\u0967\u0968\u0969,353,429", header=header), key=key)
    assert deployment.rows("id, msisdn, msisdn_counterpart, imei, imsi") == [
        (
            _expected(key, "event", "e1"),
            _expected(key, "subscriber", "9841"),
            _expected(key, "subscriber", "\u0967\u0968\u0969"),
            _expected(key, "imei", "353"),
            _expected(key, "imsi", "429"),
        )
    ]
    assert pseudonym(key, "msisdn", " 9841 ") == _expected(key, "subscriber", "9841")


def test_kinds_of_identifiers_are_kept_apart(deployment):
    """A handset, a SIM card and a subscriber of equal number have nothing in common; caller and counterpart have."""
    header = "datetime,id,msisdn,msisdn_counterpart,imei,imsi"
    deployment.load(deployment.calls("2016-01-01 10:00:00,7,7,7,7,7", header=header))
    (row,) = deployment.rows("id, msisdn, imei, imsi, msisdn_counterpart")
    assert len(set(row)) == 4
    assert row[1] == row[4]


def test_another_key_gives_other_pseudonyms_and_another_fingerprint():
    """Without the key nothing can be matched, and the fingerprint does not tell the key."""
    other = b"another key of the house"
    assert pseudonym(KEY, "msisdn", "9841") != pseudonym(other, "msisdn", "9841")
    assert fingerprint(KEY) != fingerprint(other)
    assert fingerprint(KEY) not in KEY.hex()
