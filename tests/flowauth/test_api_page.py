"""The page of the JSON API says what the API is, and its script runs as it is written."""

import importlib
import os
import re
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import jwt
import pytest
import sqlalchemy as sa
import uvicorn
from tests.flowauth.conftest import PASSWORD

from flowauth import api
from flowauth.tables import Token

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "docs" / "flowauth-api.md"


@pytest.fixture
def address(app):
    """The address of a FlowAuth that runs."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_the_page_tells_every_route_as_it_is():
    """The page is what the API describes today, and leaves no route out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(PROJECT / "tools")
        tool = importlib.import_module("describe_flowauth")
    page = PAGE.read_text()
    assert page == tool.page(page.splitlines()[2]), "Run python tools/generate_docs.py."
    told = set(re.findall(r"^### (\w+ \S+)$", page, re.MULTILINE))
    routes = [route for each in api.ROUTERS for route in each.routes if route.include_in_schema]
    assert told == {f"{method} {route.path}" for route in routes for method in route.methods}
    assert "anything" not in page, "Every value has a type."


def test_the_script_of_the_page_makes_a_token_and_renews_it(address, database, vault, analyst, make_role, tmp_path):
    """The page's script, run twice as it stands, leaves the newer of two tokens in a file of its owner's alone."""
    make_role("viewer", users=[analyst])
    script = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL).group(1)
    known = os.environ | {"FLOWAUTH_URL": address, "ME": "ann"}
    texts = []
    for password, code in ((PASSWORD, 0), (PASSWORD, 0), ("wrong", 1)):
        ran = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, env=known | {"MY_PASSWORD": password},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == code, ran.stderr
        assert ran.stdout.startswith("A token for TEST_SERVER until ") == (code == 0)
        assert (code == 0) or ran.stderr.strip() == "/signin: The name or the password is not right."
        texts.append((tmp_path / "token.txt").read_text())
    assert stat.S_IMODE((tmp_path / "token.txt").stat().st_mode) == 0o600
    numbers = [jwt.decode(text, options={"verify_signature": False})["jti"] for text in texts]
    assert numbers[0] != numbers[1] == numbers[2]
    with database.read() as session:
        assert session.execute(sa.select(Token.name, Token.jti).order_by(Token.id)).all() == [
            ("nightly", numbers[0]),
            ("nightly", numbers[1]),
        ]
