"""The microphone, through PortAudio (extra `mic`): which there are, and what one hears."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, InputError, MissingExtraError, require_extra
from wordprint.speech.audio import SAMPLE_RATE, to_float32
from wordprint.spot.source import Feed
from wordprint.stages.units import readable_duration

OpenStream = Callable[..., AbstractContextManager[Any]]
"""`sounddevice.InputStream`, or what stands for it."""

_WAITING_S = 10.0
"""Audio that may wait for a spotter that is slower than it comes; what comes after that is dropped."""
_PATIENCE_S = 5.0
"""A microphone that gives nothing for so long has been pulled out."""


def sounddevice() -> Any:
    """The package; MissingExtraError says what to install where it, or PortAudio below it, is missing."""
    try:
        import sounddevice
    except ImportError as error:
        raise require_extra("sounddevice", "mic", "the microphone") from error
    except OSError as error:  # the package is there, the library that it loads is not
        raise MissingExtraError(
            f"the microphone needs PortAudio ({error})", remedy="install it with: apt-get install libportaudio2"
        ) from error
    return sounddevice


def devices() -> list[tuple[int, str, bool]]:
    """Number, name and whether it is the default, of each device that can record."""
    portaudio = sounddevice()
    default = portaudio.default.device[0]
    found = enumerate(portaudio.query_devices())
    return [(number, device["name"], number == default) for number, device in found if device["max_input_channels"] > 0]


class Microphone:
    """Going through it gives the Blocks that a microphone hears, until the loop is left.

    `device` is its number, a part of its name, or None for the system's default. `open_stream` stands for
    `sounddevice.InputStream`, with `sample_rate` and `channels` that it can give: for a source of your own. Raises AudioError when
    the microphone is pulled out. What was dropped is counted; time goes on over it, as silence.
    """

    def __init__(
        self,
        device: str | int | None = None,
        *,
        open_stream: OpenStream | None = None,
        sample_rate: int = SAMPLE_RATE,
        channels: int = 1,
    ) -> None:
        if open_stream is None:
            portaudio = sounddevice()
            device, sample_rate, channels = _settings(portaudio, device)
            open_stream = portaudio.InputStream
        self.sample_rate, self.channels = sample_rate, channels
        self.overflows = 0
        """Times that the system said that it had lost audio, of unknown length, before it came here."""
        self.dropped_s = 0.0
        """Audio that came while too much was waiting."""
        self._open_stream, self._device = open_stream, device
        # No lock is shared with the thread of `_hear`: Ctrl-C can end the other one between taking a lock and giving it back.
        self._blocks: SimpleQueue[tuple[int, NDArray[np.int16]] | None]  # with the samples dropped before it; None: the end
        self._came = self._taken = self._gap = 0  # samples; the last: those dropped since the last that came

    def notes(self) -> list[str]:
        """What is to be said about the audio that was heard."""
        overflows = f"{self.overflows} overflow{'s' * (self.overflows != 1)}: the system lost audio before it came here"
        dropped = f"{readable_duration(self.dropped_s)} of audio came faster than it could be looked at: dropped"
        return [overflows] * (self.overflows > 0) + [dropped] * (self.dropped_s > 0)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        feed = Feed(self.sample_rate, self.channels)
        self._blocks = SimpleQueue()
        self._came = self._taken = self._gap = 0
        try:
            stream = self._open_stream(
                device=self._device, samplerate=self.sample_rate, channels=self.channels, dtype="int16",
                callback=self._hear, finished_callback=lambda: self._blocks.put(None),
            )  # fmt: skip
        except Exception as error:  # PortAudio's own class, which needs PortAudio to be named
            raise AudioError(f"the microphone can't be opened: {error}", remedy="see 'wordprint listen --devices'") from error
        with stream:
            while True:
                gap, block = self._next()
                while gap > 0:
                    silence = np.zeros((min(gap, self.sample_rate), self.channels), np.float32)
                    gap -= len(silence)
                    yield feed.push(silence)
                yield feed.push(to_float32(block))

    def _hear(self, samples: NDArray[np.int16], frames: int, time: Any, status: Any) -> None:
        """PortAudio's callback, in a thread of its own: (N, channels) are kept, or dropped and counted."""
        self.overflows += bool(status.input_overflow)
        waiting = self._came - self._taken
        if waiting and waiting + frames > _WAITING_S * self.sample_rate:
            self._gap += frames
            self.dropped_s += frames / self.sample_rate
            return
        self._came += frames
        self._blocks.put((self._gap, samples.copy()))
        self._gap = 0

    def _next(self) -> tuple[int, NDArray[np.int16]]:
        remedy = "check that it is plugged in and that no other program holds it"
        try:
            block = self._blocks.get(timeout=_PATIENCE_S)
        except Empty:
            raise AudioError(f"the microphone gave nothing for {_PATIENCE_S:g} s", remedy=remedy) from None
        if block is None:
            raise AudioError("the microphone has stopped", remedy=remedy)
        self._taken += len(block[1])
        return block


def _settings(portaudio: Any, device: str | int | None) -> tuple[int | str | None, int, int]:
    """The device, and the first rate and channels that it can record at: 16 kHz mono where it can, else its own."""
    if isinstance(device, str) and device.isdecimal():
        device = int(device)
    remedy = "see 'wordprint listen --devices'"
    try:
        described = portaudio.query_devices(device, "input")
    except (ValueError, portaudio.PortAudioError) as error:
        raise InputError(f"no microphone {'' if device is None else repr(device)}: {error}", remedy=remedy) from error
    own, most = round(described["default_samplerate"]), described["max_input_channels"]
    refused = ""
    for rate, channels in ((SAMPLE_RATE, 1), (own, 1), (SAMPLE_RATE, most), (own, most)):
        try:
            portaudio.check_input_settings(device=device, channels=channels, dtype="int16", samplerate=rate)
            return device, rate, channels
        except (ValueError, portaudio.PortAudioError) as error:
            refused = str(error)
    raise InputError(f"the microphone '{described['name']}' can't be opened: {refused}", remedy=remedy)
