"""Start the FlowMachine server: `flowmachine`, or `python -m flowmachine.server`."""

import asyncio
import os
import signal
import sys
import warnings
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import zmq.asyncio
from pydantic import ValidationError
from structlog.typing import FilteringBoundLogger

from flowdb.lake import Lake, LakeError
from flowdb.records import Catalogue, mend
from flowkit_base.addresses import is_loopback
from flowkit_base.errors import UserError
from flowkit_base.settings import complaints, settings_help
from flowmachine.engines.registry import options_of
from flowmachine.errors import FlowMachineError
from flowmachine.geojson import Atlas
from flowmachine.questions.registry import kinds
from flowmachine.release import Rule
from flowmachine.server.actions import Machine
from flowmachine.server.drawings import Drawings
from flowmachine.server.logs import debug_log, fault, run_log
from flowmachine.server.memory import default_memory
from flowmachine.server.protocol import Server, admit, bound
from flowmachine.server.settings import Settings
from flowmachine.server.store import Limits, Store, open_store
from flowmachine.server.workers import Workers
from flowmachine.session import Session, connect

_SHRINK_SECONDS = 60


def main() -> None:
    """Run the server until it is stopped; a wrong setting gives one sentence and exit code 1."""
    if sys.argv[1:]:
        print(f"usage: flowmachine\n\nRuns the FlowMachine server.\n\n{settings_help(Settings)}")
        sys.exit(0 if sys.argv[1:] in (["-h"], ["--help"]) else 2)
    # Cached results and spill files hold personal data: keep them private.
    os.umask(0o077)
    try:
        asyncio.run(_run(Settings()))  # type: ignore[call-arg]
    except ValidationError as problem:
        print(*complaints(problem, Settings), file=sys.stderr)
        sys.exit(1)
    except (UserError, LakeError) as problem:
        print(problem, file=sys.stderr)
        sys.exit(1)


async def _run(settings: Settings) -> None:
    runs, faults = run_log(), debug_log(settings.flowmachine_log_level)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kinds()
    for warning in caught:
        faults.error("a plugin is left out", reason=str(warning.message))
    with ExitStack() as resources:
        if not settings.in_lake and settings.flowmachine_cache_dir is None:
            raise FlowMachineError("Over a database, name a directory for stored results: FLOWMACHINE_CACHE_DIR.")
        session = _session(settings)
        resources.callback(session.close)
        settings.cache_dir.mkdir(parents=True, exist_ok=True)
        limits = Limits(
            settings.cache_size, settings.cache_half_life, timedelta(seconds=settings.cache_protected_period)
        )
        store = open_store(settings.cache_dir, settings.catalogue_url, limits, session.rule)
        resources.callback(store.close)
        catalogue = Catalogue.open(settings.catalogue_url)
        resources.callback(catalogue.close)
        context = zmq.asyncio.Context()
        resources.callback(context.destroy, linger=1000)
        secret = settings.flowmachine_curve_secret_key
        if secret:
            resources.callback(admit(context, settings.client_keys).stop)
        wire = bound(
            context, settings.flowmachine_host, settings.flowmachine_port, secret.get_secret_value() if secret else None
        )
        if not secret and not is_loopback(settings.flowmachine_host):
            faults.warning("other machines reach this socket unencrypted: set FLOWMACHINE_CURVE_SECRET_KEY")
        mended = store.mend()
        if settings.in_lake:
            _bring_up_to_date(settings, catalogue, faults)
        if session.engine.abilities.starts_slowly:
            # The first answer waits for executors to start; no user should wait for that.
            session.offered(session.engine.snapshot())
        atlas = Atlas(session.engine, session.timezone)
        workers = Workers(session, store, number=settings.db_connection_pool_size, run_log=runs, debug_log=faults)
        workers.start()
        resources.callback(workers.close)
        runs.info("ready", host=settings.flowmachine_host, port=settings.flowmachine_port, **mended)
        history = settings.flowmachine_history
        machine = Machine(session, atlas, store, workers, catalogue, Drawings(), history)
        server = Server(machine, wire, run_log=runs, debug_log=faults)
        await _until_stopped(server, store, None if history else session, faults)
        runs.info("stopped")


async def _until_stopped(server: Server, store: Store, session: Session | None, faults: FilteringBoundLogger) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    tasks = [asyncio.create_task(work) for work in (server.serve(), _shrinking(store, session, faults), stop.wait())]
    done, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    for task in done:
        task.result()


async def _shrinking(store: Store, session: Session | None, faults: FilteringBoundLogger) -> None:
    """Keep the cache small; with a session, drop results of days that were withdrawn or replaced."""
    while True:
        await asyncio.sleep(_SHRINK_SECONDS)
        try:
            if session is not None:
                await asyncio.to_thread(lambda: store.drop_outdated(session.engine.snapshot()))
            await asyncio.to_thread(store.shrink)
        except Exception as error:
            faults.error("the cache could not be shrunk", **fault(error))


def _session(settings: Settings) -> Session:
    store = settings.store
    memory = settings.flowmachine_memory or default_memory()
    offered = {"memory_limit": memory, "master": settings.flowmachine_spark_master}
    return connect(
        Path(store) if settings.in_lake else store,
        engine=settings.flowmachine_engine,
        rule=Rule.of(settings),
        **options_of(store, settings.flowmachine_engine, offered),
    )


def _bring_up_to_date(settings: Settings, catalogue: Catalogue, faults: FilteringBoundLogger) -> None:
    """Settle cells, boundaries and records of loads that a killed load left unfinished."""
    from flowdb.reference.settling import settle  # noqa: PLC0415 - loads shapely only if something is to be settled

    lake = Lake.open(Path(settings.store))
    try:
        for change in settle(lake):
            faults.warning(change)
        mend(catalogue, lake)
    except LakeError as problem:
        # A load that is running has locked them, and will settle them.
        faults.warning(str(problem))


if __name__ == "__main__":
    main()
