"""What a Wyoming client asks for and hears: its names, its stream, its events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.info import Attribution, Describe, Info, WakeModel, WakeProgram
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect, Detection, NotDetected

from wordprint import __version__
from wordprint.errors import EnrollmentError, InputError, WordprintError
from wordprint.records import Detection as Found
from wordprint.serve.sound import Sound, second_bytes
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.stream import Spotter

if TYPE_CHECKING:
    from wordprint.serve.wyoming import Server

_ATTRIBUTION = Attribution(name="wordprint", url="https://github.com/wordprint/wordprint")


class Client:
    """One connection: the names it asked for, and its stream."""

    def __init__(self, server: Server, writer: asyncio.StreamWriter) -> None:
        self._server, self._writer = server, writer
        self._spotter: Spotter | None = server.spotter()
        self._open, self._found = False, False
        self._start_ms, self._heard_ms = 0.0, 0.0  # where the spotter's stream begins in the client's time; what it heard

    async def handle(self, event: Event) -> None:
        """Answer one event; types that a wake word service has no use for are passed over, as Wyoming wants it."""
        if Describe.is_type(event.type):
            await self._send(info(self._server.enrollment))
        elif Ping.is_type(event.type):
            await self._send(Pong(text=Ping.from_event(event).text))
        elif Detect.is_type(event.type):
            await self._choose(event.data.get("names"))
        elif AudioStart.is_type(event.type):
            self._begin(event.data.get("timestamp"))
        elif AudioChunk.is_type(event.type):
            await self._hear(event)
        elif AudioStop.is_type(event.type):
            await self._end()

    async def send_error(self, error: WordprintError, *, last: bool = False) -> None:
        """Tell the client what is wrong; with `last`, nothing follows."""
        await self._send(Error(text=str(error), code=error.reason))
        if last:
            self._writer.write_eof()

    async def _choose(self, names: Any) -> None:
        """Listen for these names from here on; where one is unknown, say so and listen for nothing until asked again."""
        if not isinstance(names, list | None) or not all(isinstance(name, str) for name in names or ()):
            raise InputError(f"detect with names {str(names)[:80]}", expected="a list of names, or null for all")
        self._start_ms, self._heard_ms = self._start_ms + self._heard_ms, 0.0
        try:
            self._spotter = self._server.spotter(names or ())
        except EnrollmentError as error:
            self._spotter = None
            await self.send_error(error)

    def _begin(self, timestamp_ms: Any) -> None:
        """A stream begins, at the client's own time where it tells one."""
        usable = isinstance(timestamp_ms, int | float) and abs(timestamp_ms) < 2**53
        self._start_ms, self._heard_ms = float(timestamp_ms) if usable else 0.0, 0.0
        self._sound = Sound()
        self._open, self._found = True, False
        if self._spotter is not None:
            self._spotter.reset()

    async def _hear(self, event: Event) -> None:
        if not self._open:
            self._begin(event.data.get("timestamp"))
        form = tuple(event.data.get(name) for name in ("rate", "width", "channels"))
        step, payload = second_bytes(*form), event.payload or b""
        for start in range(0, len(payload), step):
            await self._tell(self._process, payload[start : start + step], *form)

    async def _end(self) -> None:
        if self._open:
            await self._tell(self._flush)
        if not self._found:
            await self._send(NotDetected())
        self._open, self._found = False, False

    def _process(self, payload: bytes, rate: int, width: int, channels: int) -> list[Found]:
        samples = self._sound.add(payload, rate, width, channels)
        self._heard_ms += len(samples) * 1000 / SAMPLE_RATE
        return [] if self._spotter is None else self._spotter.process(samples)

    def _flush(self) -> list[Found]:
        if self._spotter is None:
            return []
        return [*self._spotter.process(self._sound.end()), *self._spotter.flush()]

    async def _tell(self, listen: Callable[..., list[Found]], *arguments: Any) -> None:
        """Send what `listen` finds, which runs in a worker thread."""
        for found in await asyncio.get_running_loop().run_in_executor(self._server.pool, listen, *arguments):
            self._found = True
            self._server.detections += 1
            await self._send(Detection(name=found.keyword, timestamp=round(self._start_ms + found.time_s * 1000)))

    async def _send(self, event: Eventable) -> None:
        await async_write_event(event.event(), self._writer)


def info(enrollment: Enrollment) -> Info:
    """What a client that asks is told: each keyword is a model. No language is named, for enrollment knows none."""
    described: dict[str, Any] = {"attribution": _ATTRIBUTION, "installed": True, "version": __version__}
    models = [
        WakeModel(name=word.keyword, description=word.keyword, phrase=word.keyword, languages=[], **described)
        for word in enrollment.keywords
    ]
    return Info(wake=[WakeProgram(name="wordprint", description="Keywords from a few recordings", models=models, **described)])
