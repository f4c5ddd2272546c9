"""RSA keys of tokens: generated, and read from PEM or base64 of PEM."""

import base64
import binascii
import hashlib
import re

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

SMALLEST_KEY_BITS = 2048
_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)


def generate_keypair() -> tuple[bytes, bytes]:
    """Make a new RSA key pair of 4096 bits.

    Returns
    -------
    tuple of bytes
        The private key (PKCS#1 PEM, unencrypted) and the public key (SubjectPublicKeyInfo PEM).
    """
    private_key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    return (
        private_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        ),
        public_pem(private_key.public_key()),
    )


def load_private_key(key_string: str | bytes) -> rsa.RSAPrivateKey:
    """Read an RSA private key from PEM (PKCS#1 or PKCS#8) or base64 of PEM; ValueError says what is wrong."""
    blocks = _pem_blocks(key_string)
    if "PRIVATE KEY" not in blocks[0]:
        raise ValueError("Failed to load key. This is not a private key; the private key of the pair is needed.")
    try:
        key = serialization.load_pem_private_key(blocks[0].encode(), password=None)
    except TypeError:
        raise ValueError("Failed to load key. The private key has a passphrase; store it without one.") from None
    except Exception as error:
        raise ValueError("Failed to load key. The PEM text of the private key is damaged.") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("Failed to load key. Tokens are signed with RSA keys, and this key is of another type.")
    return key


def load_public_key(key_string: str | bytes) -> rsa.RSAPublicKey:
    """Read one RSA public key from PEM or base64 of PEM; ValueError says what is wrong."""
    return load_public_keys(key_string)[0]


def load_public_keys(key_string: str | bytes) -> list[rsa.RSAPublicKey]:
    """Read one or more RSA public keys, PEM blocks in a row, so that keys can be changed without a gap."""
    return [_public_key(block) for block in _pem_blocks(key_string)]


def public_pem(key: rsa.RSAPublicKey) -> bytes:
    """Write a public key as SubjectPublicKeyInfo PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: rsa.RSAPublicKey) -> str:
    """Name a public key by 16 hex digits of the SHA-256 of its DER form; tokens carry it as `kid`."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()[:16]


def _public_key(block: str) -> rsa.RSAPublicKey:
    if "PRIVATE KEY" in block:
        raise ValueError("Failed to load key. This is a private key; give the public key of the pair instead.")
    try:
        key = serialization.load_pem_public_key(block.encode())
    except Exception as error:
        raise ValueError("Failed to load key. The PEM text of the public key is damaged.") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("Failed to load key. Tokens are signed with RSA keys, and this key is of another type.")
    if key.key_size < SMALLEST_KEY_BITS:
        raise ValueError(
            f"Failed to load key. The RSA key has {key.key_size} bits; it needs {SMALLEST_KEY_BITS} or more."
        )
    return key


def _pem_blocks(key_string: str | bytes) -> list[str]:
    text = key_string.decode("ascii", "replace") if isinstance(key_string, bytes) else key_string
    # Environment files keep a PEM on one line by writing its line ends as backslash and n.
    text = text.replace("\\n", "\n").strip()
    if "-----BEGIN" not in text:
        try:
            text = base64.b64decode("".join(text.split()), validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            text = ""
    blocks = [match.group(0) for match in _PEM_BLOCK.finditer(text)]
    if not blocks:
        raise ValueError("Failed to load key. Give an RSA key as PEM text, or as base64 of PEM text.")
    return blocks
