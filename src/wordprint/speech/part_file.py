"""A part of a file, opened by libsndfile as if it were a file of its own."""

from __future__ import annotations

from io import BytesIO

import soundfile

from wordprint.speech.failures import Source
from wordprint.speech.part import Part


class PartFile(soundfile.SoundFile):  # type: ignore[misc]
    """A `soundfile.SoundFile`; one without a length has the part's `frames` and can only be read forwards."""

    def __init__(self, source: Source, part: Part) -> None:
        self._part, self._bytes = part, _Slice(source, part)
        try:
            super().__init__(self._bytes)
        except BaseException:
            self._bytes.file.close()
            raise

    def seekable(self) -> bool:
        """After each read, soundfile seeks to where a seekable file stands; that fails in one without a length."""
        return not self._part.open_ended and bool(super().seekable())

    @property
    def frames(self) -> int:
        """Frames that are there."""
        return self._part.frames if self._part.open_ended else int(super().frames)

    def close(self) -> None:
        """Close libsndfile's file, then the one that it reads."""
        super().close()
        self._bytes.file.close()


class Memory(BytesIO):
    """A file in memory to which a damaged header does what it does to one on disk: a seek to before its beginning goes nowhere."""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return super().seek(offset, whence)
        except ValueError:
            return self.tell()


class _Slice:
    """What soundfile wants of a file to read: the part's head, then its bytes of the file."""

    def __init__(self, source: Source, part: Part) -> None:
        self.file = BytesIO(source.getbuffer()) if isinstance(source, BytesIO) else open(source, "rb")  # noqa: SIM115
        self._part, self._place = part, 0
        self._size = len(part.head) + part.end - part.start

    def seek(self, offset: int, whence: int = 0) -> int:
        place = offset + (0, self._place, self._size)[whence]
        self._place = place if place >= 0 else self._place
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, count: int) -> bytes:
        count = max(0, min(count, self._size - self._place))
        data = self._part.head[self._place : self._place + count]
        if len(data) < count:
            self.file.seek(self._part.start + self._place + len(data) - len(self._part.head))
            data += self.file.read(count - len(data))
        self._place += len(data)
        return data
