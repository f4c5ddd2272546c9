import subprocess
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from flowkit_jwt_generator.keys import public_pem

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "PRIVATE_JWT_SIGNING_KEY": KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode(),
    "PUBLIC_JWT_SIGNING_KEY": public_pem(KEY.public_key()).decode(),
    "FLOWAPI_IDENTIFIER": "A_SERVER",
}
SUITE = """
from flowkit_jwt_generator import load_private_key, load_public_key, verify_token

def test_fixtures(private_key, public_key, private_key_bytes, public_key_bytes, access_token_builder):
    assert private_key.public_key() == public_key
    assert load_private_key(private_key_bytes).public_key() == public_key
    assert load_public_key(public_key_bytes) == public_key
    claims = verify_token(access_token_builder({"r": ["run"]}), [public_key], "A_SERVER")
    assert claims.subject == "test"
    assert claims.roles == {"r": {"run"}}

def test_without_fixtures():
    pass
"""


def run_suite(folder, environment):
    (folder / "test_suite.py").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)],
        env=environment, capture_output=True, text=True, timeout=60, check=False, cwd=folder,
    )  # fmt: skip
    return done.stdout


def test_fixtures_make_keys_and_tokens(tmp_path):
    """A test suite that has the package installed gets keys from the environment, and tokens."""
    assert "2 passed" in run_suite(tmp_path, ENVIRONMENT)


def test_without_keys_only_tests_that_use_them_fail(tmp_path):
    """A suite that needs no keys is not disturbed; one that does is told which variable is missing."""
    out = run_suite(tmp_path, {"PATH": "/usr/bin:/bin"})
    assert "1 passed" in out
    assert "1 error" in out
    assert "PRIVATE_JWT_SIGNING_KEY is not set" in out


def test_loading_the_plugin_loads_no_cryptography():
    """Every pytest run loads the plugin, so loading it must cost next to nothing."""
    program = (
        "import sys, flowkit_jwt_generator.pytest_plugin;print({'cryptography', 'jwt', 'httpx'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"
