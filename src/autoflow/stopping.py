"""Stopping: a request to stop, made by a signal, that reaches the work in progress."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from autoflow.log import log

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """A request to stop, which reaches the work that is under way when it comes, or else the next."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self._end: Callable[[], object] | None = None

    @contextmanager
    def stopping(self, end: Callable[[], object]) -> Iterator[None]:
        """Have `end` called by a request to stop that comes within the block, or came before it."""
        self._end = end
        if self.requested.is_set():
            end()
        try:
            yield
        finally:
            self._end = None

    def stop(self) -> None:
        """Ask to stop."""
        self.requested.set()
        end = self._end
        if end:
            end()


@contextmanager
def stopping_on_signals(stop: Stop) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into requests to stop for the length of a block, if this is the main thread."""

    def stop_by(name: str) -> None:
        log.info("stopping", signal=name)
        stop.stop()

    def on_signal(number: int, _: object) -> None:
        # Not from within the handler: the thread that it interrupts may hold a lock that stopping needs, or be writing
        # a line of the log.
        threading.Thread(target=stop_by, args=(signal.Signals(number).name,), name="stop").start()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, on_signal) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
