"""The microphone's WebSocket: samples in, similarities and detections out.

The page sends binary frames of raw samples (16-bit little-endian mono at the rate that it names), `{"type": "gap", "samples": N}`
for what it had to drop itself, `{"type": "missed", "keyword": K}` where a keyword was said and not heard, and `{"type": "end"}`.
It is sent events, as `Live` makes them, `{"type": "dropped", "dropped_s": X}` and, before the connection ends for something that
it did, `{"type": "error", "error": TEXT}`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from wordprint.errors import AudioError, ConfigError, InputError, WordprintError
from wordprint.studio.guard import PROTOCOL
from wordprint.studio.live import Event, Live

if TYPE_CHECKING:
    from wordprint.studio.server import Server

MAX_FRAME_BYTES = 1 << 20
MAX_GAP_SAMPLES = 1 << 24
MAX_SOCKETS = 8
"""Pages that listen at once."""
WAITING_S = 5.0
"""Audio that may wait for its turn; what comes after that is dropped."""
_BEAT_S = 15.0


async def converse(server: Server, request: web.Request) -> web.WebSocketResponse:
    """Answer one page until it goes; refused with an error before it begins where it can't be."""
    rate = request.query.get("rate", "")
    if not (rate.isascii() and rate.isdecimal() and len(rate) < 10):
        raise AudioError(f"rate '{rate[:40]}'", expected="a whole number of Hz", reason="bad_audio")
    if len(server.sockets) >= MAX_SOCKETS:
        raise ConfigError(f"{MAX_SOCKETS} pages listen already", remedy="close one")
    live = Live(server.session, server.detections, int(rate))
    socket = web.WebSocketResponse(protocols=(PROTOCOL,), max_msg_size=MAX_FRAME_BYTES, heartbeat=_BEAT_S)
    server.sockets.add(socket)
    try:
        await socket.prepare(request)
        await _Conversation(server, socket, live).run()
    finally:
        server.sockets.discard(socket)
    return socket


class _Conversation:
    """Two tasks: one reads what comes and never waits for the other, which listens to it and answers."""

    def __init__(self, server: Server, socket: web.WebSocketResponse, live: Live) -> None:
        self._server, self._socket, self._live = server, socket, live
        self._queue: asyncio.Queue[tuple[int, bytes] | str | None] = asyncio.Queue()
        """Samples to skip, then audio; a keyword that was missed; None: the end."""
        self._waiting = self._gap = 0
        self._dropped = 0

    async def run(self) -> None:
        answering = asyncio.create_task(self._answer())
        try:
            await self._read()
            await answering
        except WordprintError as error:
            with contextlib.suppress(ConnectionError):
                await self._socket.send_json({"type": "error", "error": str(error)})
                await self._socket.close(code=1003, message=b"what was sent can't be used")
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)

    async def _read(self) -> None:
        """Until the end that the page sends, or its disappearance."""
        async for message in self._socket:
            if message.type == WSMsgType.BINARY:
                self._take(message.data)
            elif message.type == WSMsgType.TEXT:
                order = _order(message.data)
                if order["type"] == "end":
                    break
                if order["type"] == "missed":
                    self._queue.put_nowait(order["keyword"])
                    continue
                self._lose(order["samples"])
                if self._gap > MAX_GAP_SAMPLES:
                    raise InputError(f"gaps of {self._gap} samples on end", expected=f"{MAX_GAP_SAMPLES} at most")
        self._queue.put_nowait(None)

    def _take(self, content: bytes) -> None:
        if len(content) % 2:
            raise AudioError(f"{len(content)} bytes of audio", expected="whole samples of 2 bytes", reason="bad_audio")
        samples = len(content) // 2
        if self._waiting and self._waiting + samples > WAITING_S * self._live.sample_rate:
            self._lose(samples)
            return
        self._waiting += samples
        self._queue.put_nowait((self._gap, content))
        self._gap = 0

    def _lose(self, samples: int) -> None:
        self._gap += samples
        self._dropped += samples

    async def _answer(self) -> None:
        told = 0
        while (item := await self._queue.get()) is not None:
            if isinstance(item, str):
                await self._send(await self._server.in_thread(self._live.missed, item))
                continue
            gap, content = item
            events: list[Event] = await self._server.in_thread(self._live.skip, gap) if gap else []
            events += await self._server.in_thread(self._live.hear, content)
            self._waiting -= len(content) // 2
            if self._dropped != told:
                told = self._dropped
                events.append({"type": "dropped", "dropped_s": round(told / self._live.sample_rate, 2)})
            await self._send(events)
        await self._send(await self._server.in_thread(self._live.end))
        await self._socket.close()

    async def _send(self, events: list[Event]) -> None:
        for event in events:
            with contextlib.suppress(ConnectionError):  # the page has gone
                await self._socket.send_str(json.dumps(event))


def _order(text: str) -> dict[str, Any]:
    """A text frame; raises InputError for what is none."""
    expected = 'raw samples, {"type": "gap", "samples": N}, {"type": "missed", "keyword": K} or {"type": "end"}'
    try:
        order = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"a text that is no JSON ({str(error)[:80]})", expected) from error
    kind = order.get("type") if isinstance(order, dict) else None
    if kind == "gap":
        samples = order.get("samples")
        valid = type(samples) is int and 0 <= samples <= MAX_GAP_SAMPLES
    elif kind == "missed":
        keyword = order.get("keyword")
        valid = isinstance(keyword, str) and bool(keyword.strip())
    else:
        valid = kind == "end"
    if not valid:
        raise InputError(f"{text[:80]}", expected)
    return dict(order)
