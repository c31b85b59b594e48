"""`wordprint serve`: keywords for other programs, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

from wordprint.commands.keywords import first_that_ends
from wordprint.errors import ConfigError
from wordprint.model import Model
from wordprint.serve.announce import announced
from wordprint.serve.options import ServeConfig
from wordprint.serve.wyoming import Server, is_loopback
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig


def serve(arguments: tuple[str, ...], wyoming: str, config: SpotConfig, options: ServeConfig) -> None:
    model, rest = first_that_ends(".onnx", arguments)
    enrollment, rest = first_that_ends(".json", rest)
    if rest:
        raise ConfigError(
            f"'{rest[0]}' is neither a model nor an enrollment", remedy="wordprint serve [MODEL.onnx] [KEYWORDS.json]"
        )
    server = Server(wyoming, Enrollment.load(enrollment or "keywords.json"), Model(model), config, options, _note)
    asyncio.run(_until_stopped(server))
    print(f"{server.clients} clients, {server.detections} detections")


def _note(line: str) -> None:
    print(f"note: {line}", file=sys.stderr, flush=True)


async def _until_stopped(server: Server) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(server)
        if server.options.zeroconf:
            await stack.enter_async_context(announced(server.host, server.port))
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C ends it as any program
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        if not is_loopback(server.host):
            _note(f"whoever reaches {server.host} can use it: Wyoming knows no passwords")
        names = ", ".join(f"'{keyword.keyword}'" for keyword in server.enrollment.keywords)
        print(f"listening for {names} on {server.uri} (Ctrl-C ends)", flush=True)
        await stop.wait()
