"""`wordprint studio`: a page on this machine where keywords are made, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import webbrowser

from wordprint.commands.keywords import first_that_ends
from wordprint.errors import ConfigError
from wordprint.model import Model
from wordprint.studio.options import StudioConfig
from wordprint.studio.server import Server
from wordprint.studio.session import Session


def studio(arguments: tuple[str, ...], options: StudioConfig) -> None:
    model, rest = first_that_ends(".onnx", arguments)
    enrollment, rest = first_that_ends(".json", rest)
    if rest:
        raise ConfigError(
            f"'{rest[0]}' is neither a model nor an enrollment", remedy="wordprint studio [MODEL.onnx] [KEYWORDS.json]"
        )
    session = Session(Model(model), enrollment or "keywords.json")
    asyncio.run(_until_stopped(Server(session, options), options.browser))


async def _until_stopped(server: Server, browser: bool) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    async with server:
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C ends it as any program
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
        print(f"the studio for {server.session.path} is at {server.address} (Ctrl-C ends)", flush=True)
        if browser:
            await server.in_thread(webbrowser.open, server.address)
        await stop.wait()
