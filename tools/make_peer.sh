#!/bin/sh
# Makes an environment with FlowKit's published client and token maker, which tests run as they are against ours:
#   tools/make_peer.sh DIR && FLOWKIT_PEER_PYTHON=DIR/bin/python FLOWKIT_REQUIRE_PEER=1 pytest tests
# With a second word, flowmachine, also the published flowmachine, which bench/published.py times beside ours; with
# notebooks, what AutoFlow's examples import, so that they can be executed with the published client.
set -eu
if [ $# -ne 1 ] && [ "${2:-}" != flowmachine ] && [ "${2:-}" != notebooks ]; then
    echo "usage: tools/make_peer.sh DIR [flowmachine|notebooks]" >&2
    exit 2
fi
python3 -m venv "$1"
python="$1/bin/python"
install() { "$python" -m pip install --quiet --no-compile --disable-pip-version-check "$@"; }
# click, cryptography and requests: the token maker's command and keys need them, and its package does not say so.
install flowclient==1.34.0 flowkit-jwt-generator==1.34.0 click cryptography requests
"$python" -c "import flowclient, flowkit_jwt_generator"
if [ "${2:-}" = flowmachine ]; then
    # It asks for exactly pglast 6.3, which cannot be had any more: it goes in alone, and what it needs after it.
    install --no-deps flowmachine==1.34.0
    install "pglast==6.17" "SQLAlchemy>=2,<2.1" cachetools "apispec<6.8" apispec-oneofschema "marshmallow<4" \
        marshmallow-oneofschema "numpy<2" networkx "pandas<2.3" python-dateutil pytz python-louvain psycopg2-binary \
        finist redis pyzmq structlog shapely python-rapidjson get-secret-or-env-var duckdb geopandas
fi
if [ "${2:-}" = notebooks ]; then
    install ipykernel scrapbook six geopandas matplotlib jinja2 get-secret-or-env-var
fi
echo "FLOWKIT_PEER_PYTHON=$(cd "$1" && pwd)/bin/python"
