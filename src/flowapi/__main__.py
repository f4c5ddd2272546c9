"""The `flowapi` command: starts the server."""

import argparse
import socket
import sys

from pydantic import ValidationError

from flowapi.settings import Settings
from flowkit_base.settings import complaints, settings_help


def main() -> None:
    """Run `flowapi`."""
    parser = argparse.ArgumentParser(
        prog="flowapi",
        description="FlowAPI: the HTTP server in front of the FlowMachine server.",
        epilog=settings_help(Settings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    try:
        settings = Settings()  # pyright: ignore[reportCallIssue]  # values come from the environment
    except ValidationError as error:
        sys.exit("\n".join(complaints(error, Settings)))
    # The web framework takes seconds to load on a busy machine; a wrong setting is reported before.
    from flowapi.main import create_app  # noqa: PLC0415
    from flowapi.serving import serve  # noqa: PLC0415

    serve(create_app(settings), settings, _listener(settings))


def _listener(settings: Settings) -> socket.socket:
    host, port = settings.flowapi_host, settings.flowapi_port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's delay off only where the protocol is named; else each answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        socket.getaddrinfo(host, port, family=family)
    except OSError:
        sys.exit(f"FLOWAPI_HOST: there is no address '{host}'; give the address of this machine to listen on.")
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except PermissionError:
        sys.exit(f"FLOWAPI_PORT: this user may not listen on port {port}; take one above 1023.")
    except OSError as error:
        sys.exit(
            f"FLOWAPI_PORT: FlowAPI cannot listen on {host} port {port} ({error.strerror}); "
            "stop what uses the port, or set FLOWAPI_PORT to a free one."
        )
    return listener


if __name__ == "__main__":
    main()
