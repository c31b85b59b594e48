"""The page's server, on loopback: static files, a small JSON interface, and a WebSocket for the microphone.

Everything that takes time runs in worker threads. Audio comes in as raw 16-bit samples; what a slow machine can't follow is
dropped, counted and told to the page.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import resources
from io import BytesIO
from typing import Any, Self, TypeVar

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from wordprint import __version__
from wordprint.errors import InputError, WordprintError
from wordprint.speech.audio import SAMPLE_RATE, to_float32
from wordprint.stages.options import check
from wordprint.studio.conversation import converse
from wordprint.studio.guard import Handler, add_headers, guarded
from wordprint.studio.live import Detections, Heard
from wordprint.studio.options import StudioConfig
from wordprint.studio.session import Session

HOST = "127.0.0.1"
MAX_UPLOAD_BYTES = 16 << 20
_WORKERS = 4
_PAGE = "index.html"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

Result = TypeVar("Result")


class Server:
    """Serves a session at `http://127.0.0.1:PORT`; use as an async context. Port 0 takes a free one, which `port` tells.

    Raises ConfigError for options that can't be, InputError where the port is taken.
    """

    def __init__(self, session: Session, options: StudioConfig = StudioConfig()) -> None:
        check(options)
        self.session, self.port = session, options.port
        self.detections = Detections()
        self.token = secrets.token_urlsafe(24)
        self.sockets: set[web.WebSocketResponse] = set()
        self._files = _static_files()
        self._pool = ThreadPoolExecutor(_WORKERS, thread_name_prefix="wordprint-studio")

    @property
    def address(self) -> str:
        """What a browser opens; what stands behind # lets it in."""
        return f"http://{HOST}:{self.port}/#{self.token}"

    async def __aenter__(self) -> Self:
        self._runner = web.AppRunner(self.app(), access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, self.port).start()
        except OSError as error:
            await self.__aexit__()
            seen = f"can't listen on port {self.port}: {error.strerror}"
            raise InputError(seen, remedy="choose another with --port; 0 takes a free one") from error
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()
        self._pool.shutdown()

    def app(self) -> web.Application:
        """The routes, behind the guard."""
        app = web.Application(middlewares=[guarded(self.token), _told], client_max_size=MAX_UPLOAD_BYTES)
        app.on_response_prepare.append(add_headers)
        app.on_shutdown.append(self._close_sockets)
        app.router.add_get("/api/state", self._state)
        app.router.add_get("/api/enrollment", self._enrollment)
        app.router.add_post("/api/recording", self._add_recording)
        app.router.add_get("/api/recording", self._recording)
        app.router.add_delete("/api/recording", self._remove_recording)
        app.router.add_post("/api/phones", self._spell)
        app.router.add_put("/api/threshold", self._set_threshold)
        app.router.add_get("/api/verdict", self._verdict)
        app.router.add_post("/api/mistake", self._correct)
        app.router.add_delete("/api/mistakes", self._forget_mistakes)
        app.router.add_delete("/api/keyword", self._remove_keyword)
        app.router.add_get("/api/detection", self._detection)
        app.router.add_get("/api/live", partial(converse, self))
        app.router.add_get("/{name:[^/]*}", self._file)
        return app

    async def in_thread(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """The result of work that takes time."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"] or _PAGE
        if name not in self._files:
            raise web.HTTPNotFound
        content, kind = self._files[name]
        return web.Response(body=content, content_type=kind, charset="utf-8")

    async def _state(self, request: web.Request) -> web.Response:
        await self.in_thread(self.session.refresh)
        return web.json_response(await self.in_thread(self._described))

    def _described(self) -> dict[str, Any]:
        return {"version": __version__, "detections": self.detections.described(), **self.session.described()}

    async def _enrollment(self, request: web.Request) -> web.Response:
        """The file itself, to carry elsewhere."""
        await self.in_thread(self.session.refresh)
        if not self.session.path.is_file():
            raise InputError("there is nothing to download yet", expected="a keyword")
        name = self.session.path.name.encode("ascii", "replace").decode().replace('"', "_")
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        content = await self.in_thread(self.session.path.read_bytes)
        return web.Response(body=content, content_type="application/json", headers=headers)

    async def _add_recording(self, request: web.Request) -> web.Response:
        keyword, name = _asked(request, "keyword"), request.query.get("name", "the recording")[:200]
        warnings = await self.in_thread(self.session.add_recording, keyword, await request.read(), name)
        return web.json_response({"warnings": warnings, **await self.in_thread(self._described)})

    async def _recording(self, request: web.Request) -> web.Response:
        samples = await self.in_thread(self.session.audio, _asked(request, "keyword"), _asked(request, "recording"))
        return await self._sound(samples)

    async def _remove_recording(self, request: web.Request) -> web.Response:
        await self.in_thread(self.session.remove_recording, _asked(request, "keyword"), _asked(request, "recording"))
        return await self._state(request)

    async def _spell(self, request: web.Request) -> web.Response:
        """A keyword that is typed; its phones where they are not those that its spelling has."""
        await self.in_thread(self.session.spell, _asked(request, "keyword"), request.query.get("phones", "").strip())
        return await self._state(request)

    async def _verdict(self, request: web.Request) -> web.Response:
        return web.json_response(await self.in_thread(self.session.verdict, _asked(request, "keyword")))

    async def _correct(self, request: web.Request) -> web.Response:
        """A detection was wrong."""
        heard = self._heard(request)
        if not heard.corrected:
            label = f"{heard.detection.keyword}, {heard.at}"
            await self.in_thread(self.session.correct, heard.detection.keyword, to_float32(heard.audio), label)
            heard.corrected = True
        return await self._state(request)

    async def _forget_mistakes(self, request: web.Request) -> web.Response:
        keyword = _asked(request, "keyword")
        await self.in_thread(self.session.forget_mistakes, keyword)
        self.detections.restore(keyword)
        return await self._state(request)

    async def _set_threshold(self, request: web.Request) -> web.Response:
        try:
            threshold = float(_asked(request, "threshold"))
        except ValueError as error:
            raise InputError(str(error), expected="a threshold from -1 to 1") from error
        await self.in_thread(self.session.set_threshold, _asked(request, "keyword"), threshold)
        return await self._state(request)

    async def _remove_keyword(self, request: web.Request) -> web.Response:
        await self.in_thread(self.session.remove_keyword, _asked(request, "keyword"))
        return await self._state(request)

    async def _detection(self, request: web.Request) -> web.Response:
        return await self._sound(self._heard(request).audio)

    def _heard(self, request: web.Request) -> Heard:
        """The detection that is asked about."""
        number = _asked(request, "number")
        if not (number.isascii() and number.isdecimal() and len(number) < 10):
            raise InputError(f"detection '{number[:40]}'", expected="its number")
        return self.detections.find(int(number))

    async def _sound(self, samples: NDArray[np.float32] | NDArray[np.int16]) -> web.Response:
        return web.Response(body=await self.in_thread(_wav, samples), content_type="audio/wav")

    async def _close_sockets(self, app: web.Application) -> None:
        for socket in list(self.sockets):
            await socket.close(code=1001, message=b"the server ends")


@web.middleware
async def _told(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What went wrong, as the page shows it."""
    try:
        return await handler(request)
    except WordprintError as error:
        return web.json_response({"error": str(error)}, status=422)
    except web.HTTPRequestEntityTooLarge:
        text = f"the file is larger than {MAX_UPLOAD_BYTES >> 20} MB; a recording of a keyword is far smaller"
        return web.json_response({"error": text}, status=413)
    except web.HTTPException as error:
        return web.json_response({"error": f"{error.reason}: {request.path[:80]}"}, status=error.status)


def _asked(request: web.Request, name: str) -> str:
    if not (value := request.query.get(name, "").strip()):
        raise InputError(f"the request lacks '{name}'")
    return value


def _wav(samples: NDArray[np.float32] | NDArray[np.int16]) -> bytes:
    import soundfile

    buffer = BytesIO()
    soundfile.write(buffer, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _static_files() -> dict[str, tuple[bytes, str]]:
    """Name → content and type of all that the page is made of."""
    folder = resources.files("wordprint.studio") / "static"
    found = {}
    for file in folder.iterdir():
        ending = "." + file.name.rpartition(".")[2]
        if ending in _TYPES:
            found[file.name] = file.read_bytes(), _TYPES[ending]
    return found
