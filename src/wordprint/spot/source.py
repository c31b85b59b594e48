"""Where audio comes from that has no end or can't be rewound: standard input, FIFOs, other pipes; and what all live audio needs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, InputError
from wordprint.speech.audio import SAMPLE_RATE, stream_audio
from wordprint.speech.mix import mix, require_scale
from wordprint.speech.recording import MIX_S
from wordprint.spot.options import RawConfig
from wordprint.spot.pcm import Layout, Read, find_layout

STANDARD_INPUT = "-"
_READ_S = 0.1
"""At most this much audio is read at once, so that a detection is made before the audio after it is read."""

Blocks = Iterable[NDArray[np.float32]]
"""Pieces (N,) of a stream, N ≥ 0: mono at SAMPLE_RATE, full scale ±1."""
Tap = Callable[[NDArray[np.float32]], None]
"""Hears the same audio beside the spotter."""


def is_pipe(path: str | Path) -> bool:
    """Whether it is `-` (standard input), a FIFO, a device or a socket: something to read once, from its start, as it comes."""
    file = Path(path)
    return str(path) == STANDARD_INPUT or (file.exists() and not file.is_file() and not file.is_dir())


def blocks_of(path: str | Path) -> Blocks:
    """The audio of a recording or of a pipe, block by block."""
    return Pipe(path) if is_pipe(path) else stream_audio(path)


class Feed:
    """Makes of a stream's samples what `read_audio` makes of a recording's. How they are cut doesn't change one bit of it.

    What comes out lags: by some 40 ms where 44.1 or 48 kHz are resampled, by up to MIX_S where channels are mixed.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        import soxr

        self._resampler = None if sample_rate == SAMPLE_RATE else soxr.ResampleStream(sample_rate, SAMPLE_RATE, 1, dtype="float32")
        self._stretch = round(MIX_S * sample_rate) if channels > 1 else 1
        self._held = [np.zeros((0, channels), np.float32)]
        self._count = 0

    def push(self, samples: NDArray[np.float32], *, last: bool = False) -> NDArray[np.float32]:
        """What the next `samples` (n, channels) bring, (N,) mono at SAMPLE_RATE; all that is left with the `last`."""
        self._held.append(samples)
        self._count += len(samples)
        if self._count < self._stretch and not last:
            return np.zeros(0, np.float32)
        held = np.concatenate(self._held)
        whole = len(held) if last else len(held) - len(held) % self._stretch
        self._held, self._count = [held[whole:]], len(held) - whole
        mono = np.ascontiguousarray(mix(held[:whole], self._stretch))
        return mono if self._resampler is None else np.asarray(self._resampler.resample_chunk(mono, last=last), np.float32)


class Pipe:
    """Audio from a pipe; going through it gives its Blocks as they come. `raw` says what it is where no WAV header does.

    Memory is constant. Raises AudioError for a pipe that can't be read or holds no samples.
    """

    def __init__(self, path: str | Path, raw: RawConfig = RawConfig()) -> None:
        self.name = "standard input" if str(path) == STANDARD_INPUT else str(path)
        self.dropped_bytes = 0
        """Bytes that were no audio: a sample that was cut off, and what follows the samples of a WAV."""
        self._path = path
        self._raw = raw

    def notes(self) -> list[str]:
        """What is to be said about the audio that was read."""
        return [f"{self.name}: {self.dropped_bytes} bytes at its end are no samples: dropped"] if self.dropped_bytes else []

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        try:
            own = None if str(self._path) == STANDARD_INPUT else os.open(self._path, os.O_RDONLY)
            try:
                yield from self._blocks(_reader(_standard_input() if own is None else own))
            finally:
                if own is not None:
                    os.close(own)
        except OSError as error:
            raise AudioError(f"{self.name} can't be read: {error.strerror or error}") from error

    def _blocks(self, read: Read) -> Iterator[NDArray[np.float32]]:
        layout, start = find_layout(read, self._raw, self.name)
        feed, empty = Feed(layout.sample_rate, layout.channels), True
        for frames in self._frames(read, layout, start):
            empty = False
            samples = layout.decode(frames)
            require_scale(samples, self.name)
            yield feed.push(samples)
        if empty:
            raise AudioError(f"{self.name} holds no audio (0 samples)", reason="empty_audio")
        yield feed.push(np.zeros((0, layout.channels), np.float32), last=True)

    def _frames(self, read: Read, layout: Layout, start: bytes) -> Iterator[bytes]:
        """Whole frames; a frame that comes in two reads waits for the second."""
        left = layout.total_bytes
        size = max(1, round(_READ_S * layout.sample_rate)) * layout.frame_bytes
        data, more = start, b"begin"
        while more:
            more = read(max(1, size - len(data)))
            data += more
            if left is not None and len(data) > left:
                self.dropped_bytes += len(data) - left
                data = data[:left]
            whole = len(data) - len(data) % layout.frame_bytes
            if whole:
                yield data[:whole]
            data = data[whole:]
            left = None if left is None else left - whole
        self.dropped_bytes += len(data)


def _standard_input() -> int:
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError(
            "standard input is a terminal" if sys.stdin else "there is no standard input",
            expected="audio from another program",
            remedy="arecord -q -t raw -f S16_LE -r 16000 | wordprint spot -",
        )
    return sys.stdin.fileno()


def _reader(descriptor: int) -> Callable[[int], bytes]:
    if os.name == "posix":
        os.set_blocking(descriptor, True)  # who started us may have left it otherwise
    return lambda count: os.read(descriptor, count)


def tapped(blocks: Blocks, *taps: Tap) -> Iterator[NDArray[np.float32]]:
    """The same blocks, each shown to the `taps` before it is passed on."""
    for block in blocks:
        for tap in taps:
            tap(block)
        yield block
