"""Live audio on the command line: the loop until its end or Ctrl-C, a level meter, and a summary."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.commands.detections import Reporter
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.spot.microphone import Microphone
from wordprint.spot.source import Pipe, tapped
from wordprint.stages.units import readable_duration

_LOWEST_DB = -60.0
_METER_S = 0.1
"""Audio between two pictures of the level."""


def follow(source: Pipe | Microphone, reporter: Reporter) -> bool:
    """Report the detections in `source` until it ends, or Ctrl-C or SIGTERM comes, which is no error; then say what was heard.

    Returns whether it ended by itself.
    """
    meter = Meter(shown=isinstance(source, Microphone) and sys.stderr.isatty() and not reporter.config.json)
    taps = [meter.hear] if reporter.keeper is None else [meter.hear, reporter.keeper.hear]
    before = Counter(reporter.said)
    try:
        with _stopped_by_sigterm():
            for detection in reporter.spotter.listen(tapped(source, *taps)):
                meter.clear()
                reporter.say(detection)
        return True
    except KeyboardInterrupt:
        return False
    finally:
        meter.clear()
        reporter.finish()
        said = reporter.said - before
        count = said.total()
        words = ", ".join(f"'{keyword}' {times}" for keyword, times in said.most_common())
        heard = f"heard {readable_duration(meter.heard_s)}: {count} detection{'s' * (count != 1)}{f' ({words})' if count else ''}"
        for line in [*([heard] if meter.heard_s else []), *source.notes(), *reporter.notes()]:
            print(line, file=sys.stderr, flush=True)


class Meter:
    """Counts what is heard and, where it is `shown`, draws its level in one line of the terminal."""

    def __init__(self, *, shown: bool) -> None:
        self.heard_s = 0.0
        self._shown = shown
        self._drawn_s = self._peak = 0.0
        self._width = 0

    def hear(self, block: NDArray[np.float32]) -> None:
        """The next samples (N,) of the stream."""
        self.heard_s += len(block) / SAMPLE_RATE
        if not self._shown or not len(block):
            return
        self._peak = max(self._peak, float(np.abs(block).max()))
        if self.heard_s - self._drawn_s >= _METER_S:
            level_db = max(_LOWEST_DB, 20 * np.log10(self._peak + 1e-9))
            room = max(10, shutil.get_terminal_size().columns - 12)
            bar = "#" * round(room * (1 - level_db / _LOWEST_DB))
            line = f"{bar:<{room}}{level_db:5.0f} dB"
            self._width = len(line)
            print(f"\r{line}", end="", file=sys.stderr, flush=True)
            self._drawn_s, self._peak = self.heard_s, 0.0

    def clear(self) -> None:
        """Take the line away, so that another can be printed."""
        if self._width:
            print(f"\r{' ' * self._width}\r", end="", file=sys.stderr, flush=True)
            self._width = 0


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """SIGTERM, which is how systemd stops a service, ends the loop as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
