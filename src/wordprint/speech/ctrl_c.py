"""Ctrl-C while a C library calls back into Python, where an exception would be printed and forgotten.

libsndfile reads and writes through such callbacks: what interrupts one is lost, and the file that is read or written is cut there.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ctrl_c_waits() -> Iterator[None]:
    """What Ctrl-C (SIGTERM) does, it does when the block ends; nothing changes in a thread, which sees neither."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: dict[int, Any] = {}
    usual = {number: signal.getsignal(number) for number in _SIGNALS}
    handled = {number: handler for number, handler in usual.items() if callable(handler)}
    for number in handled:
        signal.signal(number, came.__setitem__)
    try:
        yield
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)
        for pressed, frame in came.items():
            handled[signal.Signals(pressed)](pressed, frame)
