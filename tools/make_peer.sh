#!/bin/sh
# Makes an environment with FlowKit's published client and token maker, which tests run as they are against ours:
#   tools/make_peer.sh DIR && FLOWKIT_PEER_PYTHON=DIR/bin/python FLOWKIT_REQUIRE_PEER=1 pytest tests
set -eu
if [ $# -ne 1 ]; then
    echo "usage: tools/make_peer.sh DIR" >&2
    exit 2
fi
python3 -m venv "$1"
# click, cryptography and requests: the token maker's command and keys need them, and its package does not say so.
"$1/bin/python" -m pip install --quiet --disable-pip-version-check \
    flowclient==1.34.0 flowkit-jwt-generator==1.34.0 click cryptography requests
"$1/bin/python" -c "import flowclient, flowkit_jwt_generator"
echo "FLOWKIT_PEER_PYTHON=$(cd "$1" && pwd)/bin/python"
