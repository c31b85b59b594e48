"""One file over HTTP: resumed after a cut, checked against its published checksum, from the first server that has it.

While it comes, the file is `NAME.partial`, and `NAME.partial.json` says of which file on which server it is a part. It gets its
name when it is complete and its checksum is right; with a wrong one it is set aside as `NAME.corrupt`.

The standard library's client does all that is needed here (redirects, proxies from the environment, TLS, a timeout of the
socket), so that nothing is added to the base install. What it leaves to the caller is to notice a body that ends early.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wordprint import __version__
from wordprint.errors import DownloadError, disk_errors
from wordprint.stages.manifest import write_json
from wordprint.stages.progress import BYTES, Progress
from wordprint.stages.units import readable_bytes

CHUNK_BYTES = 1 << 18
_WORTH_ANOTHER = frozenset((408, 416, 425, 429))
"""Statuses below 500 after which the same server may still give the file."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on: waits double from `wait_s` to `longest_wait_s`, each stretched by up to half with `draw`."""

    tries: int = 5
    """Times that each server may bring nothing, in a row."""
    wait_s: float = 1.0
    longest_wait_s: float = 60.0
    stall_s: float = 30.0
    """Silence after which a connection is given up."""
    draw: Callable[[], float] = random.random

    def pause_s(self, failures: int, asked_s: float = 0.0) -> float:
        """Seconds to wait after that many failures in a row; `asked_s` is what the server asked for."""
        backoff_s = self.wait_s * 2.0**failures * (1 + self.draw() / 2)
        return min(max(backoff_s, asked_s), self.longest_wait_s)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that came, and the checksum that was computed of it."""

    url: str | None
    """None for a file that was there already."""
    size_bytes: int
    checksum: str


def fetch(
    urls: Sequence[str],
    target: Path,
    *,
    progress: Progress,
    size_bytes: int | None = None,
    checksum: str | None = None,
    patience: Patience = Patience(),
) -> Fetched:
    """Bring one of `urls`, the same file on several servers, to `target`.

    `checksum` is `md5:…` or `sha256:…`. A file that is there already is checked and left. Raises DownloadError that says why
    each server failed; what has come stays, and the same call goes on from it.
    """
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() and (seen := _verify(target, target, checksum, f"{target} was there already:", progress)):
            return Fetched(None, target.stat().st_size, seen)
        partial = _Partial(target)
        live, reasons = list(urls), dict.fromkeys(urls, "")
        turn = failures = 0
        while live:
            url, longest = live[turn % len(live)], partial.longest
            try:
                _transfer(url, partial, size_bytes, checksum, progress, patience.stall_s)
                begun_at = partial.note["url"]
                if seen := _verify(partial.path, target, checksum, f"{_host(url)}:", progress):
                    os.replace(partial.path, target)
                    partial.sidecar.unlink(missing_ok=True)
                    return Fetched(url, partial.size, seen)
                partial.start({})
                partial.longest = 0
                # a part that came from another server may be what is wrong
                raise _AttemptError(f"wrong checksum, kept aside as {target.name}.corrupt", final=begun_at == url)
            except _AttemptError as error:
                attempt = error
            repeated, reasons[url] = attempt.why == reasons[url], attempt.why
            if attempt.final:
                live.remove(url)
                progress.say(f"{_host(url)}: {attempt.why}")
                continue
            if partial.longest > longest:  # a server that brought something is asked for the rest
                failures = 0
            else:
                failures, turn = failures + 1, turn + 1
            rounds, rest = divmod(failures, len(live))
            if rounds >= patience.tries:
                break
            pause_s = 0.0 if rest else patience.pause_s(max(rounds - 1, 0), attempt.asked_s)
            again = f", again in {pause_s:.0f} s" if pause_s >= 1 else ""
            if again or not repeated:
                progress.say(f"{_host(url)}: {attempt.why}{again}")
            time.sleep(pause_s)
    kept = f" ({readable_bytes(partial.size)} are kept)" if partial.size else ""
    raise DownloadError(
        f"{target.name} could not be downloaded ({'; '.join(f'{_host(url)}: {why}' for url, why in reasons.items())})",
        remedy=f"run the same command again to go on{kept}, or name another server with --mirror",
    )


class _AttemptError(Exception):
    """One attempt failed: `final` when this server needs no other, `asked_s` when it asked for a pause."""

    def __init__(self, why: str, final: bool = False, asked_s: float = 0.0) -> None:
        super().__init__(why)
        self.why, self.final, self.asked_s = why, final, asked_s


class _Partial:
    """What has come so far, and the `note` of which file on a server it is a part."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.partial")
        self.sidecar = target.with_name(f"{target.name}.partial.json")
        self.note: dict[str, Any] = {}
        with suppress(FileNotFoundError, ValueError):
            note = json.loads(self.sidecar.read_text(encoding="utf-8"))
            self.note = note if isinstance(note, dict) and self.path.is_file() else {}
        if not self.note:
            self.path.unlink(missing_ok=True)  # nobody knows what it is
        self.size = self.longest = self.path.stat().st_size if self.note else 0

    def headers(self, url: str, checksum: str | None) -> dict[str, str]:
        """What asks for the rest, where it can be told that what is here belongs to the file at `url`."""
        validator = self.note.get("validator") if self.note.get("url") == url else None
        if not self.size or not (validator or checksum):
            return {}
        # another server has other validators: the length and, in the end, the checksum tell whether the parts fit
        return {"Range": f"bytes={self.size}-"} | ({"If-Range": validator} if validator else {})

    def start(self, note: dict[str, Any]) -> None:
        """Throw away what is here and begin the file that `note` describes."""
        self.path.unlink(missing_ok=True)  # before the note: a kill in between must not leave it beside another's bytes
        write_json(self.sidecar, note)
        self.note, self.size = note, 0


def _transfer(
    url: str, partial: _Partial, size_bytes: int | None, checksum: str | None, progress: Progress, stall_s: float
) -> None:
    """Add to `partial` what the server gives; raises _AttemptError unless the file is then complete."""
    if 0 < partial.size == partial.note.get("size_bytes"):
        return
    with _open(url, partial, checksum, stall_s) as response:
        total = _begin(url, response, partial, size_bytes, progress)
        name = f"{partial.path.stem} (the rest)" if partial.size else partial.path.stem
        with partial.path.open("ab") as file, progress.task(name, total - partial.size, BYTES) as task:
            while partial.size < total:
                why = "the connection broke"
                try:
                    chunk = response.read1(min(CHUNK_BYTES, total - partial.size))
                except (OSError, http.client.HTTPException) as error:
                    chunk, why = b"", _why(error, stall_s)
                if not chunk:
                    raise _AttemptError(f"{why} after {readable_bytes(partial.size)} of {readable_bytes(total)}")
                file.write(chunk)
                partial.size += len(chunk)
                partial.longest = max(partial.longest, partial.size)
                task.advance(len(chunk))
            file.flush()
            os.fsync(file.fileno())


def _open(url: str, partial: _Partial, checksum: str | None, stall_s: float) -> http.client.HTTPResponse:
    headers = {"User-Agent": f"wordprint/{__version__}", "Accept-Encoding": "identity", **partial.headers(url, checksum)}
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=stall_s)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # the file there is shorter than what is here
                partial.start({})
            asked = error.headers.get("Retry-After", "")
            final = error.code < 500 and error.code not in _WORTH_ANOTHER
            asked_s = float(asked) if asked.isdecimal() else 0.0
            raise _AttemptError(f"HTTP {error.code} {error.reason}", final, asked_s) from error
    except (OSError, http.client.HTTPException) as error:
        raise _AttemptError(_why(error, stall_s)) from error
    return response


def _begin(url: str, response: http.client.HTTPResponse, partial: _Partial, size_bytes: int | None, progress: Progress) -> int:
    """Read the head of an answer: go on with `partial` or start it anew; returns the length of the whole file."""
    headers = response.headers
    if headers.get_content_type() == "text/html":
        raise _AttemptError("answers with a web page instead of the file", final=True)
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        total, place = int(partial.note.get("size_bytes", 0)), headers.get("Content-Range", "")
        if place.startswith(f"bytes {partial.size}-") and place.endswith(f"/{total}"):
            return total
        partial.start({})
        raise _AttemptError("goes on at another place than was asked for")
    length = headers.get("Content-Length", "")
    if not length.isdecimal():
        raise _AttemptError("does not say how long the file is", final=True)
    if size_bytes not in (None, int(length)):
        raise _AttemptError(f"its file has {int(length):,} bytes, the published one {size_bytes:,}", final=True)
    if partial.size:
        progress.say(f"{_host(url)}: sends the whole file again (it has changed, or the server can't resume)")
    tag = headers.get("ETag", "")
    validator = tag if tag.startswith('"') else headers.get("Last-Modified")  # a weak tag can't vouch for bytes
    partial.start({"url": url, "size_bytes": int(length), "validator": validator})
    return int(length)


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _why(error: Exception, stall_s: float) -> str:
    cause = getattr(error, "reason", error)  # of a URLError
    if isinstance(cause, TimeoutError):
        return f"silent for {stall_s:g} s"
    return getattr(cause, "strerror", None) or str(cause) or type(cause).__name__


def _verify(path: Path, target: Path, checksum: str | None, where: str, progress: Progress) -> str | None:
    """The checksum of what is on the disk; None where another one is published: that is said, and the file set aside."""
    digest = hashlib.new((checksum or "sha256").partition(":")[0], usedforsecurity=False)
    with progress.task(f"check {target.name}", path.stat().st_size, BYTES) as task, path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            task.advance(len(chunk))
    seen = f"{digest.name}:{digest.hexdigest()}"
    if checksum in (None, seen):
        return seen
    corrupt = target.with_name(f"{target.name}.corrupt")
    os.replace(path, corrupt)
    progress.say(f"{where} checksum {seen}, published {checksum}; kept aside as {corrupt}, not used")
    return None
