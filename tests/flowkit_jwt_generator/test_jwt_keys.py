import base64

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from flowkit_jwt_generator import generate_keypair, load_private_key, load_public_key, load_public_keys
from flowkit_jwt_generator.keys import public_pem

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = public_pem(KEY.public_key())


def private_pem(key=KEY, form=serialization.PrivateFormat.PKCS8, encryption=None):
    return key.private_bytes(serialization.Encoding.PEM, form, encryption or serialization.NoEncryption())


def test_a_new_pair_fits_together():
    """A new pair is RSA 4096, PKCS#1 and SubjectPublicKeyInfo, and its halves belong together."""
    private, public = generate_keypair()
    assert private.startswith(b"-----BEGIN RSA PRIVATE KEY-----")
    assert public.startswith(b"-----BEGIN PUBLIC KEY-----")
    key = load_private_key(private)
    assert key.key_size == 4096
    assert key.public_key() == load_public_key(public)


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize(
    "dress",
    [
        bytes.decode,
        lambda pem: pem,
        lambda pem: base64.b64encode(pem).decode(),
        lambda pem: base64.encodebytes(pem).decode(),
        lambda pem: pem.decode().replace("\n", "\\n"),
        lambda pem: f"\n  {pem.decode()}\n",
    ],
    ids=["text", "bytes", "base64", "base64 lines", "one line", "spaces around"],
)
def test_a_key_is_read_in_every_dress(form, dress):
    """PEM, base64 of PEM, and PEM on one line are read, PKCS#1 and PKCS#8."""
    assert load_private_key(dress(private_pem(form=form))).private_numbers() == KEY.private_numbers()
    assert load_public_key(dress(PUBLIC)) == KEY.public_key()


def test_several_public_keys_may_stand_in_a_row():
    """While keys are changed, the old and the new one are given together."""
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    keys = load_public_keys(PUBLIC + public_pem(other))
    assert keys == [KEY.public_key(), other]


@pytest.mark.parametrize(
    ("load", "text", "says"),
    [
        (load_private_key, "nonsense", "as PEM text"),
        (load_private_key, "", "as PEM text"),
        (load_private_key, PUBLIC, "private key of the pair is needed"),
        (load_public_key, private_pem(), "give the public key"),
        (load_public_key, PUBLIC.replace(b"M", b"!", 1), "damaged"),
        (load_private_key, private_pem().replace(b"M", b"!", 1), "damaged"),
        (
            load_private_key,
            private_pem(encryption=serialization.BestAvailableEncryption(b"secret")),
            "passphrase",
        ),
        (load_private_key, private_pem(ec.generate_private_key(ec.SECP256R1())), "RSA"),
        (
            load_public_key,
            public_pem(rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()),
            "1024 bits",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_key_says_what_is_wrong(load, text, says):
    """A key that cannot be used is a ValueError that says why."""
    with pytest.raises(ValueError, match=r"Failed to load key\.") as error:
        load(text)
    assert says in str(error.value)
