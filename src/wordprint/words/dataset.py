"""A word dataset on disk: its segments as columns, and their audio as slices of memory-mapped files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.errors import InputError
from wordprint.stages.manifest import resolve
from wordprint.words.store import DATASET, SCHEMA, SPLITS, arrow, map_audio, map_table

_PLACE = ("shard", "row", "context_start_sample", "context_end_sample")


def is_word_dataset(path: str | Path) -> bool:
    """Whether `path` is the folder of a word dataset (and not a folder of words)."""
    return (Path(path) / DATASET).is_file()


@dataclass(frozen=True, slots=True)
class Phones:
    """Phones of utterances in order: `codes` into `symbols` and when each is spoken (n,), in samples of its utterance.

    Those of utterance u stand at `[first[u], first[u + 1])`.
    """

    symbols: list[str]
    codes: NDArray[np.int16]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    first: NDArray[np.int64]


class WordDataset:
    """Segments of words and phrases over audio that is stored once; nothing is read before it is asked for.

    All positions are samples at 16 kHz counted from the start of the segment's utterance. Pickles as its path, so
    worker processes map the same files.

    `limits` bound what a crop of a segment may show: real audio stops before any word that must not be heard with it
    (excluded, or of another side of the split); beyond, crops hold zeros.
    """

    def __init__(self, path: str | Path) -> None:
        file = resolve(path, DATASET, "words")
        self.path = file.parent
        self.metadata: dict[str, Any] = _read_metadata(file)
        """What `dataset.json` says: schema, counts, shards, options."""
        rows = [shard["rows"] for shard in self.metadata["audio_shards"]]
        self._first_row = np.concatenate([[0], np.cumsum(rows, dtype=np.int64)])
        self._mapped = np.zeros(len(rows), bool)
        self._audio: list[NDArray[np.int16]] = [np.empty(0, np.int16)] * len(rows)
        self._row_start = np.zeros(self._first_row[-1], np.int64)
        self._row_length = np.zeros(self._first_row[-1], np.int64)
        self._columns: dict[str, NDArray[Any]] = {}
        self._files: dict[str, list[NDArray[Any]]] = {}
        self._codes: dict[str, tuple[NDArray[np.int32], list[str]]] = {}

    def __reduce__(self) -> tuple[type[WordDataset], tuple[str]]:
        return WordDataset, (str(self.path.resolve()),)

    def __len__(self) -> int:
        return int(self.metadata["segments"])

    def __repr__(self) -> str:
        return f"WordDataset({str(self.path)!r}, segments={len(self)}, hours={self.metadata['hours']:.2f})"

    # columns

    @cached_property
    def segments(self) -> Any:
        """All segments as one pyarrow Table (columns: `store.segment_schema`), its columns on disk."""
        tables = [map_table(self.path / shard["name"]) for shard in self.metadata["segment_shards"]]
        return arrow().concat_tables(tables)

    def column(self, name: str) -> NDArray[Any]:
        """One column as numpy (len,): numbers as they are stored (missing goodness is NaN), names as str objects."""
        if name not in self._columns:
            values = self.segments.column(name)
            if arrow().types.is_dictionary(values.type):
                codes, names = self.codes(name)
                return np.array([*names, None], dtype=object)[codes]
            self._columns[name] = _joined([_as_numpy(chunk) for chunk in values.chunks])
        return self._columns[name]

    def at(self, name: str, indices: NDArray[np.integer]) -> NDArray[Any]:
        """One column of whole numbers for some segments (B,), read from where it lies on disk: no copy of the column is made."""
        if name not in self._files:
            self._files[name] = [_as_numpy(chunk) for chunk in self.segments.column(name).chunks]
        files = self._files[name]
        if len(files) == 1:
            return np.asarray(files[0][indices])
        values = np.empty(len(indices), files[0].dtype)
        firsts = np.cumsum([0, *map(len, files)])
        indices = np.where(indices < 0, indices + firsts[-1], indices)
        file_of = np.searchsorted(firsts, indices, side="right") - 1
        for file in np.flatnonzero(np.bincount(file_of)).tolist():
            there = np.flatnonzero(file_of == file)
            values[there] = files[file][indices[there] - firsts[file]]
        return values

    def codes(self, name: str) -> tuple[NDArray[np.int32], list[str]]:
        """A column of names (words, speaker, utterance_id, corpus, split) as int32 codes (len,) into a list of names.

        What to work with when there are millions of segments: comparing codes costs no Python strings.
        """
        if name not in self._codes:
            codes, names = self.encoded(name)
            self._codes[name] = (codes, names.to_pylist())
        return self._codes[name]

    def encoded(self, name: str) -> tuple[NDArray[np.int32], Any]:
        """Like `codes`, for any column of text, with the names as a pyarrow Array; not kept."""
        values = self.segments.column(name)
        is_encoded = arrow().types.is_dictionary(values.type)
        values = values.unify_dictionaries() if is_encoded else values.dictionary_encode()  # each file has its own
        names = values.chunk(0).dictionary if values.num_chunks else arrow().array([], arrow().string())
        return _joined([_as_numpy(chunk.indices) for chunk in values.chunks]), names

    @property
    def words(self) -> list[str]:
        """Distinct word types (and phrases), in the order of their codes."""
        return self.codes("words")[1]

    @property
    def speakers(self) -> list[str]:
        """Distinct speakers, in the order of their codes."""
        return self.codes("speaker")[1]

    def select(
        self, split: str | None = None, words: Iterable[str] | None = None, speakers: Iterable[str] | None = None
    ) -> NDArray[np.int64]:
        """Indices, ascending, of the segments of a split, of these words, by these speakers (each: None for all)."""
        if split is not None and split not in SPLITS:
            raise InputError(f"there is no split '{split}'", expected="one of " + ", ".join(SPLITS))
        keep = np.ones(len(self), bool)
        wanted = {"split": None if split is None else [split], "words": words, "speaker": speakers}
        for name, values in wanted.items():
            if values is not None:
                codes, names = self.codes(name)
                chosen = set(values)
                keep &= np.array([value in chosen for value in names], bool)[codes]
        return np.flatnonzero(keep)

    @cached_property
    def phones(self) -> Phones:
        """The phones of all utterances, laid end to end."""
        tables = [map_table(self.path / shard["name"]) for shard in self.metadata["phone_shards"]]
        symbols: dict[str, int] = {}
        parts: list[tuple[NDArray[Any], ...]] = [tuple(np.empty(0, kind) for kind in (np.int16, np.int32, np.int32, np.int64))]
        for table in tables:
            for batch in table.to_batches():
                values = batch.column("phones").flatten()
                numbers = np.array([symbols.setdefault(name, len(symbols)) for name in values.dictionary.to_pylist()], np.int16)
                times = [batch.column(name).flatten().to_numpy() for name in ("start_samples", "end_samples")]
                counts = np.diff(batch.column("phones").offsets.to_numpy())
                parts.append((numbers[values.indices.to_numpy()] if len(numbers) else np.empty(0, np.int16), *times, counts))
        codes, starts, ends, counts = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return Phones(list(symbols), codes, starts, ends, np.append(0, np.cumsum(counts, dtype=np.int64)))

    def utterances(self, indices: ArrayLike) -> NDArray[np.int64]:
        """Which utterance of `phones`, and of all audio shards laid end to end, each segment (B,) lies in."""
        indices = np.asarray(indices, np.int64)
        return np.asarray(self._first_row[self.at("shard", indices)] + self.at("row", indices), np.int64)

    # audio

    def samples(self, shard: int, row: int) -> NDArray[np.int16]:
        """The whole utterance in `row` of an audio shard: int16 (n,), zero-copy, read-only."""
        self._map(np.array([shard]))
        place = self._first_row[shard] + row
        start = self._row_start[place]
        return self._audio[shard][start : start + self._row_length[place]]

    def segment_audio(self, index: int) -> NDArray[np.int16]:
        """The segment itself, without context: int16 (n,), zero-copy, read-only."""
        return self.view(index, int(self.column("start_sample")[index]), int(self.column("end_sample")[index]))

    def view(self, index: int, start: int, stop: int) -> NDArray[np.int16]:
        """`[start, stop)` of one segment's utterance, cut at its limits: int16, zero-copy, read-only."""
        shard, row, low, high = (self.column(name).item(index) for name in _PLACE)
        if not self._mapped[shard]:
            self._map(np.array([shard]))
        base = self._row_start.item(self._first_row.item(shard) + row)
        whole: NDArray[np.int16] = self._audio[shard]
        return whole[base + min(max(start, low), high) : base + min(max(stop, low), high)]

    def views(self, indices: ArrayLike, starts: ArrayLike, stops: ArrayLike) -> list[NDArray[np.int16]]:
        """`[start, stop)` of each segment's utterance, cut at its limits: B slices, zero-copy, read-only."""
        indices = np.asarray(indices, np.int64)
        low, high = self.limits(indices)
        shards, bases = self._places(indices)
        first = (bases + np.clip(np.asarray(starts, np.int64), low, high)).tolist()
        last = (bases + np.clip(np.asarray(stops, np.int64), low, high)).tolist()
        audio = self._audio
        return [audio[shard][a:b] for shard, a, b in zip(shards.tolist(), first, last, strict=True)]

    def crops(
        self,
        indices: ArrayLike,
        starts: ArrayLike,
        window_samples: int,
        out: NDArray[np.int16] | None = None,
        *,
        context_samples: ArrayLike | None = None,
    ) -> NDArray[np.int16]:
        """Windows `[start, start + window_samples)` of the segments' utterances: int16 (B, N), zeros outside the limits.

        `starts` (B,) may be negative or lie anywhere else. `context_samples`, one number or (B,), narrows the limits
        to so much real audio on either side of the segment (0: the bare word in silence). `out` is filled and returned.
        """
        indices, starts = np.asarray(indices, np.int64), np.asarray(starts, np.int64)
        if out is None:
            out = np.empty((len(indices), window_samples), np.int16)
        if out.shape != (len(indices), window_samples):
            raise ValueError(f"out has shape {out.shape}, expected {(len(indices), window_samples)}")
        low, high = self.limits(indices, context_samples)
        shards, bases = self._places(indices)
        first = np.clip(starts, low, high)
        lengths = np.clip(starts + window_samples, low, high) - first
        offsets = np.clip(first - starts, 0, window_samples)
        columns = (shards.tolist(), (bases + first).tolist(), lengths.tolist(), offsets.tolist())
        for window, shard, begin, length, offset in zip(out, *columns, strict=True):
            if length < window_samples:
                window[:offset] = 0
                window[offset + length :] = 0
            window[offset : offset + length] = self._audio[shard][begin : begin + length]
        return out

    def centred_starts(self, indices: ArrayLike, window_samples: int) -> NDArray[np.int64]:
        """Where windows that have the segments in their middle start: int64 (B,); add a random shift for training."""
        indices = np.asarray(indices, np.int64)
        middle = (self.at("start_sample", indices).astype(np.int64) + self.at("end_sample", indices)) // 2
        return np.asarray(middle - window_samples // 2, np.int64)

    def limits(self, indices: ArrayLike, context_samples: ArrayLike | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First sample (B,) and end (B,) of the real audio that crops of these segments may show."""
        indices = np.asarray(indices, np.int64)
        low = self.at("context_start_sample", indices).astype(np.int64)
        high = self.at("context_end_sample", indices).astype(np.int64)
        if context_samples is not None:
            context = np.asarray(context_samples, np.int64)
            low = np.maximum(low, self.at("start_sample", indices) - context)
            high = np.minimum(high, self.at("end_sample", indices) + context)
        return low, high

    def _places(self, indices: NDArray[np.int64]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Audio shard (B,) of each segment and the sample (B,) of that shard where its utterance begins."""
        shards, rows = self.at("shard", indices), self.at("row", indices)
        if not self._mapped[shards].all():
            self._map(np.unique(shards))
        return shards, self._row_start[self._first_row[shards] + rows]

    def _map(self, shards: NDArray[Any]) -> None:
        for shard in shards[~self._mapped[shards]].tolist():
            audio, starts, lengths = map_audio(self.path / self.metadata["audio_shards"][shard]["name"])
            rows = slice(self._first_row[shard], self._first_row[shard + 1])
            self._audio[shard], self._row_start[rows], self._row_length[rows] = audio, starts, lengths
            self._mapped[shard] = True


def _as_numpy(array: Any) -> NDArray[Any]:
    """An Arrow array of numbers where it lies (`to_numpy` would import pandas); of others, or where one is missing, a copy."""
    if array.null_count or not arrow().types.is_primitive(array.type):
        return np.asarray(array.to_numpy(zero_copy_only=False))
    return np.frombuffer(array.buffers()[1], array.type.to_pandas_dtype(), len(array), array.offset * array.type.byte_width)


def _joined(files: list[NDArray[Any]]) -> NDArray[Any]:
    if len(files) == 1:
        return files[0]
    return np.concatenate(files) if files else np.empty(0, np.int32)


def _read_metadata(file: Path) -> dict[str, Any]:
    remedy = "run 'wordprint words' again, with --overwrite"
    try:
        metadata: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        schema = metadata.get("schema")
    except (ValueError, AttributeError) as error:
        raise InputError(f"{file} is damaged ({error})", remedy=remedy) from error
    if schema != SCHEMA:
        raise InputError(f"{file} has schema {schema!r}", expected=SCHEMA, remedy=remedy)
    return metadata
