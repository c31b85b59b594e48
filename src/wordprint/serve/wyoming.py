"""Keywords for Home Assistant and whatever else speaks Wyoming (https://github.com/OHF-Voice/wyoming), over TCP.

Every client has a stream of its own; all share one model. Inference runs in worker threads, at most a second of audio
at a time and one piece per client, so that a client that floods waits for its own turn and one that stalls keeps nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self
from urllib.parse import urlsplit

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.error import Error
from wyoming.event import Event, Eventable, async_write_event
from wyoming.info import Attribution, Describe, Info, WakeModel, WakeProgram
from wyoming.ping import Ping, Pong
from wyoming.wake import Detect, Detection, NotDetected

from wordprint import __version__
from wordprint.errors import ConfigError, EnrollmentError, InputError, WordprintError
from wordprint.model import Model
from wordprint.records import Detection as Found
from wordprint.serve.frames import read_event
from wordprint.serve.options import ServeConfig
from wordprint.serve.sound import Sound, second_bytes
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.spot.choose import choose
from wordprint.spot.enroll import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter

_ATTRIBUTION = Attribution(name="wordprint", url="https://github.com/wordprint/wordprint")
LINGER_S = 1.0
"""How long a client that is sent away may go on sending."""


class Server:
    """Serves an enrollment at `tcp://HOST:PORT`; use as an async context. Port 0 takes a free one, which `port` tells.

    `say` is given a line about each client that is sent away. Raises ConfigError for another address, InputError where it
    can't be listened on, EnrollmentError without keywords.
    """

    def __init__(
        self,
        uri: str,
        enrollment: Enrollment,
        model: Model | None = None,
        config: SpotConfig = SpotConfig(),
        options: ServeConfig = ServeConfig(),
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.host, self.port = parse_address(uri)
        self.enrollment, self.config, self.options, self.say = choose(enrollment), config, options, say
        self.model = model or Model()
        self.spotter()  # what can't be is said before anybody connects
        self.clients = self.detections = 0
        """So far."""
        self.pool = ThreadPoolExecutor(max_workers=os.cpu_count(), thread_name_prefix="wordprint")
        self._clients: set[asyncio.Task[None]] = set()

    def spotter(self, names: list[str] | tuple[str, ...] = ()) -> Spotter:
        """A stream of its own that listens for the keywords of these names, or for all."""
        return Spotter(self.model, choose(self.enrollment, names), self.config)

    @property
    def uri(self) -> str:
        return f"tcp://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_server(self._serve, self.host, self.port)
        except OSError as error:
            self.pool.shutdown()
            raise InputError(
                f"can't listen on {self.uri}: {error.strerror}", remedy="choose another address with --wyoming"
            ) from error
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self._server.wait_closed()
        self.pool.shutdown()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        full = len(self._clients) >= self.options.clients
        self._clients.add(task)
        self.clients += 1
        client = Client(self, writer)
        # a client whose machine went dark ends after a while; one that is only silent stays
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            await self._converse(client, reader, full)
        except (OSError, TimeoutError):
            pass  # the client has gone
        except asyncio.CancelledError:  # the server goes, and waits for nobody who doesn't read
            writer.transport.abort()
        finally:
            self._clients.discard(task)
            writer.close()

    async def _converse(self, client: Client, reader: asyncio.StreamReader, full: bool) -> None:
        """Answer events until the client goes, or must go: then it is told why."""
        try:
            if full:
                raise ConfigError(f"{self.options.clients} clients are served already", remedy="come again later")
            while (event := await read_event(reader)) is not None:
                await client.handle(event)
        except WordprintError as error:
            self.say(f"a client was sent away: {error}")
            async with asyncio.timeout(LINGER_S):
                await client.send_error(error, last=True)
                # closed on bytes that lie unread, the connection would be reset, and what was sent last be lost
                while await reader.read(1 << 16):
                    pass


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


def parse_address(uri: str) -> tuple[str, int]:
    """Host and port of `tcp://HOST:PORT`; raises ConfigError for anything else."""
    try:
        parts = urlsplit(uri)
        if parts.scheme == "tcp" and parts.hostname and parts.port is not None and not parts.path.strip("/"):
            return parts.hostname, parts.port
    except ValueError:
        pass
    raise ConfigError(f"wyoming is '{uri}'", expected="tcp://HOST:PORT, such as tcp://127.0.0.1:10400")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
