"""A real HTTP server on this machine that misbehaves as it is told, and that remembers what it was asked."""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


@dataclass
class Answer:
    """How one request is answered; the default is a well-behaved server."""

    status: int = 0
    """An error instead of the file."""
    cut: int | None = None
    """Bytes of the body after which the connection ends,"""
    reset: bool = False
    """by a reset instead of a close,"""
    stall: bool = False
    """or stays open in silence."""
    ranges: bool = True
    """False: the whole file, whatever was asked for."""
    shift: int = 0
    """Begin so many bytes after the place that was asked for."""
    headers: dict[str, str | None] = field(default_factory=dict)
    """Added to the answer; None leaves one out."""


@dataclass
class Page:
    """A file on the server: the first requests are answered from `answers`, all others with `then`."""

    body: bytes
    answers: list[Answer] = field(default_factory=list)
    then: Answer = field(default_factory=Answer)
    etag: str = '"first"'


class Server:
    """Use as a context; `asked` holds (path, Range, If-Range) of every request in order."""

    def __init__(self, pages: dict[str, Page]) -> None:
        self.pages = pages
        self.asked: list[tuple[str, str | None, str | None]] = []
        self.awake = threading.Event()
        """Ends the silence of connections that stall."""
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.http.daemon_threads = True
        self.http.loopback = self  # type: ignore[attr-defined]
        self.host = f"127.0.0.1:{self.http.server_address[1]}"
        self.address = f"http://{self.host}"

    def __enter__(self) -> Self:
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.awake.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def url(self, path: str) -> str:
        return f"{self.address}/{path}"


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        server: Server = self.server.loopback  # type: ignore[attr-defined]
        path, asked = self.path.lstrip("/"), self.headers.get("Range")
        server.asked.append((path, asked, self.headers.get("If-Range")))
        page = server.pages.get(path)
        answer = Answer(404) if page is None else page.answers.pop(0) if page.answers else page.then
        if page is None or answer.status:
            self.head(answer.status, {"Content-Length": "0"} | answer.headers)
            return
        total, start = len(page.body), 0
        if asked and answer.ranges and self.headers.get("If-Range", page.etag) == page.etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= total:
                self.head(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
                return
            start += answer.shift
        headers: dict[str, str | None] = {"Content-Length": str(total - start), "ETag": page.etag}
        if start:
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        self.head(206 if start else 200, headers | answer.headers)
        self.wfile.write(page.body[start:] if answer.cut is None else page.body[start : start + answer.cut])
        if answer.stall:
            server.awake.wait(20)
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def head(self, status: int, headers: dict[str, str | None]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
