"""An open recording: one run of samples, whatever file it lies in and whatever parts that is made of.

Every stage reads through here, so that a file means the same in all of them. Memory doesn't grow with its length.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from itertools import accumulate
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError
from wordprint.speech.ctrl_c import ctrl_c_waits
from wordprint.speech.failures import ERRORS, Source, detail, reading, require_file, source_name
from wordprint.speech.formats import conversion
from wordprint.speech.mix import mix, require_scale
from wordprint.speech.part import Part
from wordprint.speech.parts import find_parts, is_mp3
from wordprint.speech.quiet import quiet

MIX_S = 0.25
"""How channels are mixed is decided for stretches counted from the beginning: the same in a part and in the whole."""

BLOCK_S = 60.0
"""Seconds decoded at once: most utterances in one read, an hour-long one without an hour in memory."""


_COUNT_BLOCK = 1024
"""Frames: as many are lost at most where a stream without a length is cut off."""


class Recording:
    """A context manager. `frames` is how many the header promises, at `sample_rate` Hz in each of `channels`.

    `is_plain` says whether any program gets the same samples by reading the file as its header says.
    Raises AudioError, on opening and while reading, with a `reason`: `missing_audio`, `unreadable_audio`, `truncated_audio`
    (decoding fails on the way), `non_finite_audio`, `not_full_scale`.
    """

    def __init__(self, source: Source) -> None:
        require_file(source)
        self.name = source_name(source)
        self._source = source
        with reading(source):
            self._parts = _find_parts(source)
            self.is_plain = not self._parts
            self._file = _open(source, self._parts[0] if self._parts else None)
            self.sample_rate: int = self._file.samplerate
            self.channels: int = self._file.channels
            lengths = [self._file.frames]
            for part in self._parts[1:]:
                with _open(source, part) as file:
                    self._require_same_form(file, sum(lengths))
                    lengths.append(file.frames)
        self._ends = list(accumulate(lengths))
        self.frames: int = self._ends[-1]
        self._part = self._place = 0

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.close()

    @property
    def form(self) -> tuple[str, str]:
        """Container and codec by libsndfile's names: `("WAV", "PCM_16")`."""
        return self._file.format, self._file.subtype

    @property
    def header_log(self) -> str:
        """What libsndfile noted about the header."""
        return str(self._file.extra_info)

    def blocks(
        self, first: int = 0, last: int | None = None, block_s: float | None = None
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Frames `[first, last)`, fewer where the recording ends before, as blocks: (n, channels) and their mix to mono (n,)."""
        grid = round(MIX_S * self.sample_rate) if self.channels > 1 else 1
        size = max(1, round((BLOCK_S if block_s is None else block_s) * self.sample_rate / grid)) * grid
        place = first - first % grid
        end = self.frames if last is None else min(last, self.frames)
        while place < end:
            samples = self._read(place, min(size, end - place + -(end - place) % grid))
            mono = mix(samples, grid)
            wanted = slice(max(0, first - place), end - place)
            if len(samples[wanted]):
                require_scale(samples[wanted], self.name)
                yield samples[wanted], mono[wanted]
            if len(samples) < min(size, end - place):
                return  # it ends before its header says
            place += size

    def _read(self, place: int, count: int) -> NDArray[np.float32]:
        """(n, channels) from `place` on, across parts; n < count only at the end."""
        pieces = [np.zeros((0, self.channels), np.float32)]
        while count > 0 and place < self.frames:
            part = bisect_right(self._ends, place)
            begin, end = self._ends[part - 1] if part else 0, self._ends[part]
            wanted = min(count, end - place)
            try:
                with ctrl_c_waits(), quiet():
                    self._move(part, place - begin)
                    pieces.append(self._file.read(wanted, dtype="float32", always_2d=True))
            except ERRORS as error:
                raise self._cut(detail(error)) from error
            self._place += len(pieces[-1])
            if len(pieces[-1]) < wanted:
                if part + 1 < len(self._ends):
                    raise self._cut(f"the part that should reach {end / self.sample_rate:.2f} s is shorter")
                break
            place, count = place + wanted, count - wanted
        return pieces[1] if len(pieces) == 2 else np.concatenate(pieces)

    def _move(self, part: int, place: int) -> None:
        """Stand at `place` of a part; what can't be sought in is decoded again from its beginning."""
        if part != self._part or (place < self._place and not self._file.seekable()):
            self._file.close()
            self._file = _open(self._source, self._parts[part] if self._parts else None)
            self._part, self._place = part, 0
        if place != self._place and self._file.seekable():
            self._file.seek(place)
            self._place = place
        while place > self._place and (skipped := len(self._file.read(min(place - self._place, 1 << 16), dtype="float32"))):
            self._place += skipped

    def _require_same_form(self, file: Any, frames: int) -> None:
        if (file.samplerate, file.channels) != (self.sample_rate, self.channels):
            form = f"{file.samplerate} Hz and {file.channels} channels"
            raise AudioError(
                f"{self.name} changes to {form} after {frames / self.sample_rate:.2f} s",
                expected=f"{self.sample_rate} Hz and {self.channels} channels to the end, as it begins",
                remedy=conversion(self.name),
            )

    def _cut(self, why: str) -> AudioError:
        seen = f"{self.name} can't be decoded to the end of its {self.frames / self.sample_rate:.2f} s ({why})"
        return AudioError(seen, remedy="copy or download the file again", reason="truncated_audio")


def _open(source: Source, part: Part | None) -> Any:
    """The file, or a part of it, as a `soundfile.SoundFile`."""
    import soundfile

    from wordprint.speech.part_file import Memory, PartFile

    if part is not None:
        return PartFile(source, part)
    return soundfile.SoundFile(Memory(source.getbuffer()) if isinstance(source, BytesIO) else str(source))


def _find_parts(source: Source) -> tuple[Part, ...]:
    if isinstance(source, BytesIO):
        return _complete(source, find_parts(source.getvalue()))
    status = Path(source).stat()
    return _parts_of_file(str(source), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _parts_of_file(path: str, changed_ns: int, size: int) -> tuple[Part, ...]:
    """Looked for once for all stretches of a recording; `changed_ns` and `size` tell another file of that name."""
    if not size:
        return ()
    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        parts = find_parts(content)
        if not parts and is_mp3(content[:4]) and any(beside.exists() for beside in _forks(Path(path))):
            parts = [Part(b"", 0, size)]
        return _complete(path, parts)


def _forks(path: Path) -> tuple[Path, ...]:
    """Where macOS keeps what its own disks keep in forks: beside such a file libsndfile takes an MP3 for Sound Designer's."""
    return path.with_name(f"._{path.name}"), path.parent / ".AppleDouble" / path.name


def _complete(source: Source, parts: list[Part]) -> tuple[Part, ...]:
    """With the length of those that don't know theirs."""
    return tuple(replace(part, frames=_count(source, part)) if part.open_ended else part for part in parts)


def _count(source: Source, part: Part) -> int:
    """Frames that can be decoded."""
    frames = 0
    with _open(source, part) as file:
        try:
            while count := len(file.read(_COUNT_BLOCK, dtype="float32")):
                frames += count
        except ERRORS:  # cut off within a block
            pass
    return frames
