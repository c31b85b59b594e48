"""One Wyoming event off the wire: a line of JSON, then as many bytes of data and payload as it says.

The package's own reader takes lengths as they come; here they are bounded and checked, for anybody may connect.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from wyoming.event import Event

from wordprint.errors import InputError

MAX_DATA_BYTES = 1 << 20
MAX_PAYLOAD_BYTES = 1 << 22
"""10 s of 48 kHz stereo in 32 bits fit in."""

_EXPECTED = "a Wyoming event: a line of JSON with 'type', then its data and payload"


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """The next event; None where the client has gone. Raises InputError for what is none, or is too large."""
    try:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            return None
        header = _object(line)
        data = header.get("data") or {}
        if not isinstance(header.get("type"), str) or not isinstance(data, dict):
            raise InputError("a line without 'type', or whose 'data' is no object", _EXPECTED)
        if length := _length(header, "data_length", MAX_DATA_BYTES):
            data = {**data, **_object(await reader.readexactly(length))}
        length = _length(header, "payload_length", MAX_PAYLOAD_BYTES)
        return Event(header["type"], data, await reader.readexactly(length) if length else None)
    except asyncio.IncompleteReadError:
        return None
    except (ValueError, RecursionError) as error:  # a line that is too long, bytes that are no text, text that is no JSON
        raise InputError(f"what can't be read ({str(error)[:80]})", _EXPECTED) from error


def _object(text: bytes) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise InputError(f"JSON that is {type(found).__name__}", _EXPECTED)
    return found


def _length(header: dict[str, Any], name: str, most: int) -> int:
    length = header.get(name) or 0
    if type(length) is not int or not 0 <= length <= most:
        raise InputError(f"{name} {str(length)[:40]}", f"a number of bytes up to {most}", "send audio in smaller chunks")
    return length
