"""Asks the published flowmachine 1.34.0, as a black box, what a FlowDB answers; run by the Python that has it.

    python published_ask.py LIMIT

Each line of standard input is a list of a name and a spec, and each is answered by a line before the next is read: the
rows' number and the seconds that it took from the spec to the rows, or why there is no answer. The database and the
redis are told by the environment.
"""

# It runs where the published package is, whose modules have names of ours.
# ruff: noqa: PLC0415
# pyright: reportMissingImports=false, reportCallIssue=false

import contextlib
import io
import json
import os
import signal
import sys
import time


class TooLong(Exception):
    """The question took longer than the limit."""


def stop(*_):
    raise TooLong


def main():
    limit = int(sys.argv[1])
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        from flowmachine.core.context import get_db
        from flowmachine.core.server.query_schemas import FlowmachineQuerySchema
        from sqlalchemy import text

        import flowmachine

        flowmachine.connect(
            flowdb_host="127.0.0.1",
            flowdb_port=int(os.environ["PEER_FLOWDB_PORT"]),
            flowdb_user="flowmachine",
            flowdb_password=os.environ["PEER_FLOWDB_PASSWORD"],
            redis_host="127.0.0.1",
            redis_port=int(os.environ["PEER_REDIS_PORT"]),
            redis_password=os.environ["PEER_REDIS_PASSWORD"],
            log_level="critical",
        )
    signal.signal(signal.SIGALRM, stop)
    for name, spec in map(json.loads, sys.stdin):
        signal.alarm(limit)
        try:
            with contextlib.redirect_stdout(printed):
                began = time.perf_counter()
                query = FlowmachineQuerySchema().load(spec)._flowmachine_query_obj
                with get_db().engine.begin() as connection:
                    rows = connection.execute(text(query.get_query().replace(":", r"\:"))).fetchall()
                told = {"rows": len(rows), "seconds": time.perf_counter() - began}
        except TooLong:
            told = {"over": limit}
        except Exception as problem:
            told = {"problem": f"{type(problem).__name__}: {problem}"[:200]}
        finally:
            signal.alarm(0)
        print(json.dumps({"name": name, **told}), flush=True)


if __name__ == "__main__":
    main()
