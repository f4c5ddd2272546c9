"""The FlowMachine server as FlowAPI sees it: questions and answers over ZeroMQ."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import zmq
import zmq.asyncio

from flowapi.errors import ApiError

# A server that is up accepts a connection at once; one that is down must not hold a request for long.
CONNECT_SECONDS = 2.0
CONNECTIONS = 64
_SOON = {"Retry-After": "5"}


@dataclass(frozen=True)
class Reply:
    """An answer of the FlowMachine server; `arrow` is an Arrow IPC stream, or None."""

    ok: bool
    msg: str
    payload: dict[str, Any]
    arrow: bytes | None = None


class Backend:
    """A pool of sockets to one FlowMachine server; each carries one question at a time."""

    def __init__(self, address: str, timeout: float, curve_keys: tuple[bytes, bytes] | None = None) -> None:
        self._address = address
        self._curve_keys = curve_keys
        self._timeout = timeout
        self._context = zmq.asyncio.Context()
        self._idle: list[zmq.asyncio.Socket] = []
        self._free = asyncio.Semaphore(CONNECTIONS)

    async def ask(
        self, action: str, params: Mapping[str, Any], *, request_id: str, timeout: float | None = None
    ) -> Reply:
        """Ask the server for an action.

        Raises
        ------
        ApiError
            503 when the server is busy or cannot be reached, 500 when its answer cannot be read.
        """
        question = json.dumps({"action": action, "request_id": request_id, "params": dict(params)}).encode()
        seconds = timeout or self._timeout
        try:
            async with asyncio.timeout(seconds), self._socket() as socket:
                await _send(socket, question, min(CONNECT_SECONDS, seconds / 2))
                frames = await socket.recv_multipart()
        except _NotTakenError:
            raise ApiError(503, "backend_unavailable", await self._why_not_taken(), headers=_SOON) from None
        except TimeoutError as error:
            raise ApiError(
                503,
                "backend_busy",
                f"The FlowMachine server is busy: it did not answer within {seconds:g} seconds. Try again in a while; "
                "a query that was accepted goes on.",
                headers={"Retry-After": "15"},
            ) from error
        except zmq.ZMQError as error:
            raise ApiError(
                503, "backend_unavailable", f"The FlowMachine server cannot be reached ({error}).", headers=_SOON
            ) from error
        return _reply(frames)

    async def close(self) -> None:
        """Close every socket."""
        for socket in self._idle:
            socket.close(linger=0)
        self._idle.clear()
        self._context.destroy(linger=0)

    @asynccontextmanager
    async def _socket(self) -> AsyncIterator[zmq.asyncio.Socket]:
        async with self._free:
            socket = self._idle.pop() if self._idle else self._connect()
            try:
                yield socket
            except BaseException:
                # Its answer may still come, and would be taken for the answer to the next question.
                socket.close(linger=0)
                raise
            self._idle.append(socket)

    async def _why_not_taken(self) -> str:
        if await self._listens():
            return (
                "What listens at FLOWMACHINE_HOST and FLOWMACHINE_PORT does not take FlowAPI's connection: it is no "
                "FlowMachine server, or the CURVE keys of the two do not fit. Check the port and the keys."
            )
        return (
            "The FlowMachine server does not run: nothing listens at FLOWMACHINE_HOST and FLOWMACHINE_PORT. Start it "
            "with the command 'flowmachine' (or everything with 'flowkit up'), and try again."
        )

    async def _listens(self) -> bool:
        """Whether anything takes a TCP connection at the server's address."""
        parts = urlsplit(self._address)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    def _connect(self) -> zmq.asyncio.Socket:
        socket = self._context.socket(zmq.DEALER)
        socket.linger = 0
        # Without IMMEDIATE a question to a server that is down waits in the socket until it comes up.
        socket.immediate = True
        socket.setsockopt(zmq.RECONNECT_IVL, 50)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
        socket.setsockopt(zmq.HEARTBEAT_IVL, 5000)
        if self._curve_keys is not None:
            socket.curve_serverkey, secret = self._curve_keys
            socket.curve_secretkey, socket.curve_publickey = secret, zmq.curve_public(secret)
        socket.connect(self._address)
        return socket


class _NotTakenError(Exception):
    """No FlowMachine server takes a question: one that runs takes it at once, though it may be busy."""


async def _send(socket: zmq.asyncio.Socket, question: bytes, seconds: float) -> None:
    sending = asyncio.ensure_future(socket.send_multipart([b"", question]))
    taken, _ = await asyncio.wait([sending], timeout=seconds)
    if not taken:
        sending.cancel()
        raise _NotTakenError
    await sending


def _reply(frames: list[bytes]) -> Reply:
    try:
        _, envelope, *arrow = frames
        answer = json.loads(envelope)
        ok = {"success": True, "error": False}[answer["status"]]
        msg, payload = answer["msg"], answer["payload"]
        if not (isinstance(msg, str) and isinstance(payload, dict) and len(arrow) <= 1):
            raise TypeError("msg is not text or payload is not an object")
    except (ValueError, KeyError, TypeError) as error:
        raise ApiError(
            500,
            "backend_answer_unreadable",
            "The FlowMachine server gave an answer that FlowAPI does not understand; "
            "check that both are of the same version.",
        ) from error
    return Reply(ok=ok, msg=msg, payload=payload, arrow=arrow[0] if arrow else None)
