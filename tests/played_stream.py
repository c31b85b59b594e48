"""A microphone without hardware: it plays samples into the callback that PortAudio would call, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np


class PlayedStream:
    """Stands for `sounddevice.InputStream`: `chunks` (N, channels) int16, `overflows` the numbers of those that follow a loss.

    `wait` is called before each chunk. `ends`: whether the microphone then stops, as one that is pulled out, or is mute.
    """

    def __init__(
        self,
        chunks: Iterable[np.ndarray],
        *,
        wait: Callable[[], Any] = lambda: None,
        overflows: tuple[int, ...] = (),
        ends: bool = True,
    ) -> None:
        self.chunks, self.wait, self.overflows, self.ends = chunks, wait, overflows, ends
        self.closed = threading.Event()

    def __call__(self, *, callback: Any, finished_callback: Any, **settings: Any) -> PlayedStream:
        self.callback, self.finished_callback, self.settings = callback, finished_callback, settings
        return self

    def __enter__(self) -> PlayedStream:
        self.closed.clear()
        self.thread = threading.Thread(target=self.play)
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closed.set()
        self.thread.join()

    def play(self) -> None:
        for number, chunk in enumerate(self.chunks):
            self.wait()
            if self.closed.is_set():
                return
            self.callback(chunk, len(chunk), None, SimpleNamespace(input_overflow=number in self.overflows))
        if self.ends:
            self.finished_callback()
