"""SIGTERM ends a command like Ctrl-C: what it has begun is stopped or put back."""

import signal


def stop_on_sigterm() -> None:
    """Raise KeyboardInterrupt in the main thread when the process is sent SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
