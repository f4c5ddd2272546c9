"""Ctrl-C and SIGTERM: a command ends by the signal, whatever the code that it interrupts makes of that."""

import signal
from types import FrameType

NAMES = {signal.SIGINT: "Interrupted by Ctrl-C", signal.SIGTERM: "Ended by SIGTERM"}

_received: list[signal.Signals] = []


def listen() -> None:
    """Raise KeyboardInterrupt in the main thread on Ctrl-C and on SIGTERM, and remember the signal."""
    for number in NAMES:
        # A shell ignores Ctrl-C for what it runs in the background, and so it stays.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def received() -> signal.Signals | None:
    """The signal that the process was sent, None if it was sent none."""
    return _received[0] if _received else None


def sentence(number: signal.Signals) -> str:
    """What a command that a signal ended says."""
    return f"{NAMES[number]}: what was not finished was not stored."


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _received.append(signal.Signals(number))
    raise KeyboardInterrupt
