"""What can be wrong with a file of sound, in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from wordprint.errors import AudioError, kind_of
from wordprint.speech.ctrl_c import ctrl_c_waits
from wordprint.speech.formats import conversion, foreign_format
from wordprint.speech.quiet import quiet

Source = str | Path | BytesIO
"""A file, or the bytes of one; the `name` of these is what errors call them."""

ERRORS = (RuntimeError, ValueError, TypeError, OSError, MemoryError)
"""What soundfile raises where libsndfile can't go on (its own errors are RuntimeErrors), or where it can itself not."""

_HEAD_BYTES = 1024


def source_name(source: Source) -> str:
    """What errors call it."""
    return str(getattr(source, "name", "the audio")) if isinstance(source, BytesIO) else str(source)


@contextmanager
def reading(source: Source) -> Iterator[None]:
    """Whatever soundfile raises is an AudioError that names the file, what libmpg123 prints is dropped, and Ctrl-C waits."""
    try:
        with ctrl_c_waits(), quiet():
            yield
    except ERRORS as error:
        raise _unreadable(source, error) from error


def require_file(source: Source) -> None:
    """Raise AudioError unless it can be opened: libsndfile says "System error" of whatever keeps it from that."""
    if isinstance(source, BytesIO):
        return
    try:
        mode = Path(source).stat().st_mode
        if not S_ISREG(mode):
            what = "a folder" if S_ISDIR(mode) else "a pipe or a device, which can't be read twice"
            raise AudioError(f"{source} is {what}", "an audio file", "" if S_ISDIR(mode) else "save it to a file first")
        with open(source, "rb"):
            pass
    except FileNotFoundError as error:
        raise AudioError(kind_of(source), expected="an audio file", reason="missing_audio") from error
    except (OSError, ValueError) as error:
        raise _unreadable(source, error) from error


def detail(error: BaseException) -> str:
    """libsndfile's reason alone, without the file's name before it."""
    text = str(error).split(": ", 1)[-1].strip().rstrip(".")
    # what it says of a file in which it finds no MP3 frame, and what soundfile says of .raw
    return "not a known audio format" if not text or text.startswith("File does not exist") or "must be specified" in text else text


def _unreadable(source: Source, error: Exception) -> AudioError:
    name = source_name(source)
    if isinstance(error, OSError):
        return AudioError(f"{name} can't be read: {error.strerror or error}", remedy="check the file and its permissions")
    kind = "" if isinstance(error, MemoryError) else foreign_format(name, _head(source))
    if kind:
        return AudioError(f"{name} is {kind}, which libsndfile can't read", remedy=conversion(name))
    return AudioError(
        f"{name} can't be read as audio ({detail(error)})", expected="FLAC, WAV, MP3, Ogg or another format of libsndfile"
    )


def _head(source: Source) -> bytes:
    if isinstance(source, BytesIO):
        return source.getvalue()[:_HEAD_BYTES]
    try:
        with open(source, "rb") as file:
            return file.read(_HEAD_BYTES)
    except (OSError, ValueError):
        return b""
