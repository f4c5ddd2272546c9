"""What queries come to when the disk is full, the server dies, a stored file is lost, or a day is withdrawn."""

import os
import signal
import subprocess

import pytest
from tests.flowmachine_server.living_server import FIRST, Wire, make_lake, people, store_day, usual_day
from tests.flowmachine_server.test_server_store import bench  # noqa: F401 - a fixture

from flowmachine.server.memory import LEAST, default_memory
from flowmachine.server.states import EXECUTING
from flowmachine.server.store import MOST_DEATHS


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk can only be made full here by somebody who may mount one")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk):
    """Write a file that takes what a file system has left."""
    handle = os.open(disk / "full", os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(handle, b"x" * 4096)
    except OSError:
        os.close(handle)


def test_a_query_on_a_full_disk_ends_once_its_end_can_be_recorded(bench, lake, small_disk):  # noqa: F811
    """The disk fills while a query runs: neither rows nor failure can be written. With room again, it has failed."""
    b = bench(directory=small_disk)
    b.engine.go.clear()
    query_id = b.submit(people())
    assert b.engine.began.wait(10)
    fill(small_disk)
    b.engine.go.set()
    while not any(line["event"] == "a worker failed" for line in b.debug_log.lines):
        b.pause()
    assert b.store.find(query_id).state == EXECUTING, "the disk was not full enough for this test"

    (small_disk / "full").unlink()

    row = b.ended(query_id)
    assert (row.state, "the disk" in row.error) == ("errored", True)
    assert b.run(people()).state == "completed"


def test_a_query_that_no_worker_has_runs_again(bench):  # noqa: F811
    """A query that says that it runs, while no worker has it, runs again without a restart."""
    b = bench()
    query_id = b.run(people()).query_id
    b.store.change(query_id, "reset")
    for event in ("finish_resetting", "queue", "execute"):
        b.store.change(query_id, event)
    b.workers.wake()

    assert b.ended(query_id).state == "completed"


def test_a_query_that_kills_the_server_is_put_aside(bench):  # noqa: F811
    """A query that ran at two deaths of the server has failed with that reason; what only waited runs."""
    for deaths in range(1, MOST_DEATHS + 1):
        b = bench(start=False)
        mended = b.store.mend()
        poison, other = b.submit(people()), b.submit(people("2016-01-02"))
        assert mended.get("requeued", 0) == (2 if deaths > 1 else 0)
        taken = b.store.take(set())
        assert taken is not None
        assert taken.query_id == poison
        # After one death it runs alone, so that the second tells which query it was.
        assert (b.store.take({poison}) is None) == (deaths > 1)
        b.die()
    b = bench(start=False)
    assert b.store.mend()["put_aside"] == 1
    row = b.store.find(poison)
    assert (row.state, row.deaths) == ("errored", MOST_DEATHS)
    assert "died 2 times while this query ran" in row.error
    b.workers.start()
    assert b.ended(other).state == "completed"


def test_a_stop_is_no_death(bench):  # noqa: F811
    """Queries that run when the server is told to stop, however often, are never put aside."""
    for _ in range(MOST_DEATHS + 1):
        b = bench(start=False)
        assert "requeued" not in b.store.mend()
        b.workers.start()
        b.engine.go.clear()
        query_id = b.submit(people())
        assert b.engine.began.wait(10)
        b.workers.close()
        assert (b.store.find(query_id).state, b.store.find(query_id).deaths) == ("queued", 0)
        b.close()


@pytest.mark.takes_long("starts servers, and kills them")
def test_a_killed_server_counts_its_death(new_server, lake):
    """A server that is killed twice while a query runs starts again, and answers why it does not run the query."""
    server = new_server(lake.path)
    slow = {"query_kind": "dummy_query", "dummy_param": "slow", "dummy_delay": 600, "aggregation_unit": "admin3"}
    for _ in range(MOST_DEATHS):
        server.start()
        client = Wire(server.port)
        query_id = client.run(slow)
        while client.ask("poll_query", {"query_id": query_id})["payload"]["query_state"] != "executing":
            pass
        client.close()
        server.stop(signal.SIGKILL)
    server.start()
    client = Wire(server.port)
    poll = client.ask("poll_query", {"query_id": query_id})["payload"]
    assert poll["query_state"] == "errored"
    assert "died 2 times" in poll["error"]
    assert client.result(people()) == [{"pcod": "A", "value": 40}, {"pcod": "C", "value": 20}]
    client.close()


def test_a_result_whose_file_is_lost_is_computed_again(new_server, lake):
    """What is said to be completed is there: a result whose file was deleted waits again when it is asked for."""
    server = new_server(lake.path).start()
    client = Wire(server.port)
    query_id = client.run(people())
    client.wait(query_id)
    results = server.directory / "cache" / "results"
    for ask in (
        lambda: client.ask("poll_query", {"query_id": query_id}),
        lambda: client.ask("get_result", {"query_id": query_id}),
        lambda: client.ask("run_query", people()),
    ):
        (results / f"{query_id}.parquet").unlink()
        assert ask()["payload"].get("query_state") in ("queued", "executing", None)
        assert client.wait(query_id)["query_state"] == "completed"
        assert client.rows(query_id) == [{"pcod": "A", "value": 40}, {"pcod": "C", "value": 20}]
    client.close()


@pytest.mark.parametrize("history", [False, True])
def test_a_result_of_withdrawn_days_is_gone(tmp_path, new_server, history):
    """After a day was withdrawn or replaced, old ids say so and give nothing; or, with history, give it with a note."""
    lake = make_lake(tmp_path / "lake")
    server = new_server(lake.path, FLOWMACHINE_HISTORY=history).start()
    client = Wire(server.port)
    replaced, withdrawn, untouched = (client.run(people(f"2016-01-0{n}")) for n in (1, 2, 3))
    for query_id in (replaced, withdrawn, untouched):
        client.wait(query_id)
    store_day(lake, FIRST, [(s, 10, "d") for s in range(50)])
    lake.withdraw_day("calls", FIRST.replace(day=2), "wrong")
    # A day that comes later makes no result wrong.
    store_day(lake, FIRST.replace(day=5), usual_day(3))

    changes = {replaced: "calls of 2016-01-01 was replaced", withdrawn: "calls of 2016-01-02 was withdrawn"}
    for query_id, change in changes.items():
        for action in ("poll_query", "get_result"):
            reply = client.ask(action, {"query_id": query_id})
            assert change in reply["msg"]
            assert reply["status"] == ("success" if history else "error")
            assert reply["payload"]["query_state"] == ("completed" if history else "withdrawn")
            assert ("arrow" in reply) == (history and action == "get_result")
    assert [row["value"] for row in client.rows(untouched)] == [20, 20, 20]
    again = client.run(people())
    assert again != replaced
    client.wait(again)
    assert client.rows(again) == [{"pcod": "A", "value": 30}, {"pcod": "D", "value": 20}]
    client.close()


def test_rows_of_withdrawn_days_are_deleted(bench, tmp_path):  # noqa: F811
    """What was stored of a withdrawn day is deleted, results and parts; what was stored of other days stays."""
    b = bench(lake=make_lake(tmp_path / "own"))
    gone, kept = (b.run(people(f"2016-01-0{n}")).query_id for n in (1, 2))
    b.session.engine.lake.withdraw_day("calls", FIRST, "wrong")

    assert b.store.drop_outdated(b.session.engine.snapshot()) == 2

    assert (b.store.find(gone).state, b.store.find(kept).state) == ("known", "completed")
    assert len(list((tmp_path / "cache" / "parts").iterdir())) == 1
    assert [day.withdrawn for day in b.store.outdated(gone, b.session.engine.snapshot())] == [True]


@pytest.mark.parametrize(
    ("group", "limit", "memory"),
    [("deploy.slice", "1000000000", "240MB"), ("a/b", "610000000", f"{LEAST // 10**6}MB")],
)
def test_the_engine_takes_what_the_container_leaves_beside_the_services(tmp_path, group, limit, memory):
    """In a control group with a limit, the engine's memory follows from it, and the other services fit beside it."""
    (tmp_path / group).mkdir(parents=True)
    (tmp_path / group / "memory.max").write_text("max\n")
    (tmp_path / group.partition("/")[0] / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "own").write_text(f"0::/{group}\n")

    assert default_memory(tmp_path, tmp_path / "own") == memory
