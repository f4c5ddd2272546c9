"""FlowAPI's HTTP server: uvicorn, with limits that fit large tokens and one form of error."""

import json
import socket
import sys
from http import HTTPStatus

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from flowapi.settings import Settings

# A token with every scope takes 6 kB; two of the largest roles still fit.
LARGEST_HEADERS_BYTES = 65_536


def serve(app: FastAPI, settings: Settings, listener: socket.socket) -> None:
    """Serve the application on a listening socket until the process is told to stop."""
    config = uvicorn.Config(
        app,
        http=JsonProtocol,
        ws="none",
        lifespan="on",
        log_level=settings.flowapi_log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=LARGEST_HEADERS_BYTES,
        timeout_keep_alive=65,
        timeout_graceful_shutdown=10,
        ssl_certfile=settings.flowapi_tls_cert if settings.tls else None,
        ssl_keyfile=settings.flowapi_tls_key if settings.tls else None,
    )
    try:
        config.load()
    except OSError as error:
        sys.exit(f"FLOWAPI_TLS_CERT and FLOWAPI_TLS_KEY cannot be used ({error}); give a PEM pair that fits.")
    port = listener.getsockname()[1]
    scheme = "https" if settings.tls else "http"
    host = f"[{settings.flowapi_host}]" if ":" in settings.flowapi_host else settings.flowapi_host
    print(f"FlowAPI listens on {scheme}://{host}:{port}", file=sys.stderr, flush=True)
    if not settings.tls:
        print(
            "FlowAPI speaks plain HTTP; set FLOWAPI_TLS_CERT and FLOWAPI_TLS_KEY, or put a TLS proxy before it.",
            file=sys.stderr,
            flush=True,
        )
    uvicorn.Server(config).run(sockets=[listener])


class JsonProtocol(H11Protocol):
    """HTTP/1.1 whose answer to what is not HTTP has the form of every other error."""

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be read, and close the connection."""
        body = json.dumps({"msg": f"The request cannot be read: {msg}", "status": "error", "code": "http_invalid"})
        status = HTTPStatus.BAD_REQUEST
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write((head + body).encode())
        self.transport.close()
