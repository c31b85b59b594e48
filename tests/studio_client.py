"""Speaks to a studio as its page does."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import soundfile

from toy_model import padded, word

RATE = 16_000


def recording(name: str = "red", seed: int = 0, rate: int = RATE, container: str = "WAV", **how: Any) -> bytes:
    """A file of a made-up word with quiet noise around it."""
    file = BytesIO()
    soundfile.write(file, padded(word(name, seed=seed, **how), seed=seed), rate, format=container)
    return file.getvalue()


class Client:
    """Asks as the page does, with token and origin, unless told otherwise."""

    def __init__(self, server: Any, http: Any) -> None:
        self.server, self.http = server, http
        self.origin = f"http://127.0.0.1:{server.port}"
        self.own = {"Authorization": f"Bearer {server.token}", "Origin": self.origin}

    async def ask(self, method: str, path: str, headers: dict[str, str] | None = None, data: Any = None, **query: str) -> Any:
        """Status and content: parsed where it is JSON."""
        how = {"headers": self.own if headers is None else headers, "data": data, "params": query}
        async with self.http.request(method, f"{self.origin}{path}", **how) as answer:
            content = await answer.read()
            return answer.status, await answer.json() if answer.content_type == "application/json" else content

    async def enroll(self, keyword: str, count: int = 2, first: int = 0) -> dict[str, Any]:
        """Recordings of the made-up word `keyword`, from the `first` on; the state after them."""
        for seed in range(first, first + count):
            status, state = await self.ask("POST", "/api/recording", keyword=keyword, data=recording(keyword, seed))
            assert status == 200, state
        return state

    def live(self, rate: int | str = RATE, protocols: tuple[str, ...] | None = None, **how: Any) -> Any:
        """A WebSocket, to be used as a context."""
        offered = ("wordprint-studio", self.server.token) if protocols is None else protocols
        how = {"origin": self.origin, "max_msg_size": 0, **how}
        return self.http.ws_connect(f"{self.origin}/api/live?rate={rate}", protocols=offered, **how)
