"""Ctrl-C and SIGTERM: work that they stop says so in a sentence, and ends with the exit code that is usual."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Stopped(KeyboardInterrupt):
    """Work was stopped by a signal; the text is a sentence for the user."""

    def __init__(self, sentence: str, signal_number: int) -> None:
        super().__init__(sentence)
        self.code = 128 + signal_number
        """The exit code: 130 after Ctrl-C, 143 after SIGTERM."""


@contextmanager
def stoppable(consequence: Callable[[], str]) -> Iterator[Sequence[int]]:
    """Raise Stopped if Ctrl-C or SIGTERM comes while the block runs, whatever a library makes of it.

    `consequence` gives what the work leaves behind, as a sentence. Yields the signals that came. Does nothing outside
    the main thread, which alone receives signals.
    """
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return

    def interrupt(signal_number: int, _frame: FrameType | None) -> None:
        received.append(signal_number)
        raise KeyboardInterrupt

    # A shell ignores Ctrl-C for what it runs in the background, and so it stays.
    heeded = [each for each in _NAMES if signal.getsignal(each) is not signal.SIG_IGN]
    former = {each: signal.signal(each, interrupt) for each in heeded}
    try:
        yield received
    except BaseException as problem:
        # A library that was interrupted raises errors of its own, with other causes.
        finished = isinstance(problem, SystemExit) and not problem.code
        if finished or not received:
            raise
        name = _NAMES[signal.Signals(received[0])]
        raise Stopped(f"Stopped by {name}. {consequence()}", received[0]) from None
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)
