"""The wire: envelopes over a ZeroMQ ROUTER socket, answered independently of each other."""

import asyncio
import json
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import zmq
import zmq.asyncio
from structlog.typing import FilteringBoundLogger
from zmq.auth.asyncio import AsyncioAuthenticator

from flowdb.lake import LakeError
from flowmachine.errors import FlowMachineError
from flowmachine.server.actions import ACTIONS, Machine, Reply
from flowmachine.server.logs import fault

LARGEST = 16_000_000
"""Bytes of the largest request that is read; the connection of a larger one is dropped."""
AT_ONCE = 8
"""How many requests are processed at once; none of them computes a query."""
WAITING = 512
"""How many requests are read before the first is answered; more wait in the socket."""

_SHORT = 1000
"""Bytes of the longest request that may be answered at once."""


class Malformed(Exception):
    """A request that is none."""


class BrokenText(Malformed):
    """A request with an invalid text, which holds half of a character."""


class Server:
    """Answers requests on one socket."""

    def __init__(
        self,
        machine: Machine,
        wire: zmq.asyncio.Socket,
        *,
        run_log: FilteringBoundLogger,
        debug_log: FilteringBoundLogger,
    ) -> None:
        self._machine = machine
        self._wire = wire
        self._run_log = run_log
        self._debug_log = debug_log
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="request")
        self._room = asyncio.Semaphore(WAITING)
        self._working: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Answer until cancelled."""
        try:
            while True:
                await self._room.acquire()
                frames = await self._wire.recv_multipart()
                if len(frames) != 3 or frames[1]:
                    # No reply is possible: its address is in the frames.
                    self._room.release()
                    self._debug_log.warning("a message of other frames than identity, delimiter and JSON is ignored")
                    continue
                task = asyncio.create_task(self._answer(frames[0], frames[2]))
                self._working.add(task)
                task.add_done_callback(self._done)
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._working.discard(task)
        self._room.release()

    async def _answer(self, identity: bytes, request: bytes) -> None:
        if len(request) <= _SHORT and b'"ping"' in request:
            # At once, so that clients get an answer even while all threads are busy.
            reply = self._reply(request)
        else:
            reply = await asyncio.get_running_loop().run_in_executor(self._threads, self._reply, request)
        try:
            await self._wire.send_multipart([identity, b"", *reply.frames], copy=False)
        except zmq.ZMQError as error:
            self._debug_log.warning("an answer could not be sent", **fault(error))

    def _reply(self, request: bytes) -> Reply:
        began, action, request_id = time.monotonic(), None, None
        try:
            action, request_id, params = opened(request)
            reply = ACTIONS[action](self._machine, params, request_id)
        except BrokenText as problem:
            reply = Reply(ok=False, msg=str(problem), payload={"validation_error_messages": {"": [str(problem)]}})
        except Malformed as problem:
            reply = Reply(ok=False, msg=str(problem))
        except (FlowMachineError, LakeError) as problem:
            reply = Reply(ok=False, msg=str(problem))
        except RecursionError:
            reply = Reply(ok=False, msg="The request is nested too deeply.")
        except Exception as error:
            self._debug_log.error("an action failed", action=action, request_id=request_id, **fault(error))
            reply = Reply(ok=False, msg="The server could not answer; its log says where it failed.")
        # The client gets an answer even if the log cannot be written.
        with suppress(OSError):
            self._log(reply, action, request_id, time.monotonic() - began)
        return reply

    def _log(self, reply: Reply, action: str | None, request_id: str | None, seconds: float) -> None:
        fields = {
            name: reply.payload[name]
            for name in ("query_id", "query_kind", "query_state", "rows")
            if name in reply.payload
        }
        self._run_log.info(
            "answer",
            action=action,
            request_id=request_id,
            status="success" if reply.ok else "error",
            seconds=round(seconds, 4),
            **fields,
        )


def opened(request: bytes) -> tuple[str, str, dict[str, Any]]:
    """The action, request id and parameters of an envelope; raises Malformed with a sentence."""
    try:
        envelope = json.loads(request)
    except (ValueError, RecursionError):
        raise Malformed("The request is not JSON.") from None
    if not isinstance(envelope, dict):
        raise Malformed("The request is not an object with action, request_id and params.")
    others = sorted(set(envelope) - {"action", "request_id", "params"})
    if others:
        raise Malformed(f"The request has no key {others[0][:80]!r}: it has action, request_id and params.")
    for name in ("action", "request_id"):
        if not isinstance(envelope.get(name), str):
            raise Malformed(f"The request needs {name}, a text.")
    params = envelope.get("params", {})
    if not isinstance(params, dict):
        raise Malformed("params must be an object.")
    if b"\\u" in request:
        try:
            json.dumps(envelope, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise BrokenText(
                "A text of the request holds half of a character (a lone surrogate, such as \\ud800): "
                "write whole characters."
            ) from None
    if envelope["action"] not in ACTIONS:
        raise Malformed(f"There is no action {envelope['action'][:80]!r}. Must be one of: {', '.join(ACTIONS)}.")
    return envelope["action"], envelope["request_id"][:200], params


def bound(context: zmq.asyncio.Context, host: str, port: int, secret_key: str | None) -> zmq.asyncio.Socket:
    """The socket, listening; raises FlowMachineError if the address cannot be used."""
    wire = context.socket(zmq.ROUTER)
    wire.linger = 1000
    wire.setsockopt(zmq.MAXMSGSIZE, LARGEST)
    if secret_key is not None:
        try:
            wire.curve_secretkey = secret_key.encode()
            wire.curve_publickey = zmq.curve_public(secret_key.encode())
        except (zmq.ZMQError, ValueError):
            raise FlowMachineError("FLOWMACHINE_CURVE_SECRET_KEY is not a CURVE key (Z85).") from None
        wire.curve_server = True
    try:
        address = host if host == "*" else socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]
        if ":" in str(address):
            wire.ipv6 = True
            address = f"[{address}]"
        wire.bind(f"tcp://{address}:{port}")
    except zmq.ZMQError as problem:
        if problem.errno == zmq.EADDRINUSE:
            reason = f"Port {port} of {host} is in use: stop what listens there, or set another FLOWMACHINE_PORT."
        else:
            reason = f"{host}:{port} cannot be listened on: {problem.strerror}. Check FLOWMACHINE_HOST."
        raise FlowMachineError(reason) from None
    except OSError:
        raise FlowMachineError(f"{host} is no address of this machine: check FLOWMACHINE_HOST.") from None
    return wire


def admit(context: zmq.asyncio.Context, public_keys: Sequence[str]) -> AsyncioAuthenticator:
    """Admit only clients with these CURVE keys; call it before the socket listens, which otherwise admits everyone."""
    if not public_keys:
        raise FlowMachineError("FLOWMACHINE_CURVE_CLIENT_KEYS names no client, so that nobody could connect.")
    allowed = {key.encode() for key in public_keys}

    class Listed:
        def callback(self, domain: str, key: bytes) -> bool:
            return key in allowed

    guard = AsyncioAuthenticator(context)
    guard.start()
    guard.configure_curve_callback("*", Listed())
    return guard
