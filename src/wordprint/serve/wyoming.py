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
from typing import Self
from urllib.parse import urlsplit

from wordprint.errors import ConfigError, InputError, WordprintError
from wordprint.model import Model
from wordprint.serve.client import Client
from wordprint.serve.frames import read_event
from wordprint.serve.options import ServeConfig
from wordprint.spot.choose import choose
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter
from wordprint.stages.options import check

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
        check(options)
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
        except OSError:
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
