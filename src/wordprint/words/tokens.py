"""Spoken words to evaluate on, from a word folder or from a word dataset, behind one small interface."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.errors import AudioError, ConfigError, DatasetError, InputError
from wordprint.speech.audio import SAMPLE_RATE, read_audio, to_float32
from wordprint.stages.hashing import digest64
from wordprint.words.dataset import WordDataset, is_word_dataset
from wordprint.words.folders import SILENCE, Recording, WordFolder

CACHED_SAMPLES = 128 << 20
"""Decoded recordings of a word folder kept in memory (512 MB); others are read again when they are asked for."""


@dataclass(frozen=True, slots=True)
class Token:
    """One spoken word or phrase: `name` is a stable id."""

    word: str
    speaker: str | None
    name: str


@dataclass(frozen=True, slots=True)
class SkippedToken:
    """A recording that can't be used, the slug that it is counted under, and why."""

    name: str
    reason: str
    detail: str


class _Source(Protocol):
    """The audio of tokens, by their numbers."""

    def load(self, index: int) -> NDArray[np.float32]: ...

    def waveforms(self, indices: range, window_samples: int, context: bool) -> NDArray[np.float32]: ...

    def forget(self) -> None: ...


class Tokens:
    """A list of tokens with their audio; the columns `words` and `speakers` are aligned with it.

    `speakers_known` is False where the names of the files say nothing about who speaks; all speakers are "" then.
    `skipped` names the recordings that could not be read. `durations_s` and `goodness` are float32 (n,); goodness is
    NaN where it is not known.
    """

    def __init__(
        self,
        tokens: Sequence[Token],
        source: _Source,
        durations_s: ArrayLike,
        goodness: ArrayLike,
        skipped: Sequence[SkippedToken] = (),
    ) -> None:
        self.tokens = list(tokens)
        self.skipped = list(skipped)
        self.durations_s = np.asarray(durations_s, np.float32)
        self.goodness = np.asarray(goodness, np.float32)
        self._source = source

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> Token:
        return self.tokens[index]

    def __iter__(self) -> Iterator[Token]:
        return iter(self.tokens)

    @property
    def words(self) -> list[str]:
        return [token.word for token in self.tokens]

    @property
    def speakers(self) -> list[str]:
        return [token.speaker or "" for token in self.tokens]

    @property
    def speakers_known(self) -> bool:
        return any(token.speaker for token in self.tokens)

    def load(self, index: int) -> NDArray[np.float32]:
        """The whole token: float32 (n,) at 16 kHz."""
        return self._source.load(index)

    def batches(self, window_samples: int, batch_size: int = 256, *, context: bool = False) -> Iterator[NDArray[np.float32]]:
        """All tokens in order, `batch_size` at a time, each in the middle of a window: float32 (B, N).

        What is longer than the window is cut on both sides, what is shorter stands in silence, or with `context` in
        the real audio around it (word datasets; a word folder's recordings are shown whole either way).
        """
        for start in range(0, len(self), batch_size):
            indices = range(start, min(start + batch_size, len(self)))
            yield self._source.waveforms(indices, window_samples, context)

    def forget_audio(self) -> None:
        """Free the decoded recordings that are kept in memory; what is asked for from now on is read again."""
        self._source.forget()


def load_tokens(
    path: str | Path,
    *,
    split: str | None = None,
    words: Iterable[str] | None = None,
    max_tokens_per_word: int | None = None,
    seed: int = 0,
    silence: bool = False,
) -> Tokens:
    """The tokens of a word folder or word dataset, sorted by word, then name.

    `split` chooses a part of a word dataset (a word folder has none). `words` keeps only these. Of each word at most
    `max_tokens_per_word` are taken, chosen by a hash of `seed` and the token's name. `silence` adds the recordings in
    `_silence_`, as a word of that name. Recordings of a folder that can't be read are left out, see `Tokens.skipped`.

    Raises InputError for a folder without tokens and for words that are not there, DatasetError for a split without segments,
    ConfigError for a split of a folder.
    """
    wanted = None if words is None else list(dict.fromkeys(words))
    if is_word_dataset(path):
        return _from_dataset(WordDataset(path), split, wanted, max_tokens_per_word, seed)
    if split is not None:
        raise ConfigError(
            f"{path} is a folder of word folders, which has no split '{split}'",
            remedy="leave the split out, or name a word dataset",
        )
    return _from_folder(WordFolder(path), wanted, max_tokens_per_word, seed, silence)


class _FolderSource:
    """Recordings read from their files, or kept decoded."""

    def __init__(self, paths: Sequence[Path], decoded: dict[Path, NDArray[np.float32]]) -> None:
        self.paths, self.decoded = paths, decoded

    def load(self, index: int) -> NDArray[np.float32]:
        path = self.paths[index]
        return self.decoded[path] if path in self.decoded else read_audio(path)

    def waveforms(self, indices: range, window_samples: int, context: bool) -> NDArray[np.float32]:
        windows = np.zeros((len(indices), window_samples), np.float32)
        for window, index in zip(windows, indices, strict=True):
            centre_in(window, self.load(index))
        return windows

    def forget(self) -> None:
        self.decoded.clear()


class _DatasetSource:
    """Segments of a word dataset; `places` (n,) are their numbers in it."""

    def __init__(self, dataset: WordDataset, places: NDArray[np.int64]) -> None:
        self.dataset, self.places = dataset, places

    def load(self, index: int) -> NDArray[np.float32]:
        return to_float32(self.dataset.segment_audio(int(self.places[index])))

    def waveforms(self, indices: range, window_samples: int, context: bool) -> NDArray[np.float32]:
        places = self.places[indices.start : indices.stop]
        starts = self.dataset.centred_starts(places, window_samples)
        return to_float32(self.dataset.crops(places, starts, window_samples, context_samples=None if context else 0))

    def forget(self) -> None:
        """Nothing to free: the audio is on disk."""


def centre_in(window: NDArray[np.float32], samples: NDArray[np.float32]) -> None:
    """Put the middle of `samples` (n,) in the middle of `window` (N,); what does not fit is cut on both sides."""
    skip = max(0, len(samples) - len(window)) // 2
    offset = max(0, len(window) - len(samples)) // 2
    shown = samples[skip : skip + len(window)]
    window[offset : offset + len(shown)] = shown


def _from_folder(folder: WordFolder, words: list[str] | None, max_tokens_per_word: int | None, seed: int, silence: bool) -> Tokens:
    recordings = [*folder.recordings, *(folder.silence if silence or SILENCE in (words or ()) else ())]
    _check_words(words, {recording.word for recording in recordings}, folder.path)
    by_word: dict[str, list[Recording]] = defaultdict(list)
    for recording in recordings:
        if words is None or recording.word in words or (silence and recording.word == SILENCE):
            by_word[recording.word].append(recording)
    reader = _FolderReader(folder.path)
    kept: list[tuple[Recording, float]] = []
    for word in sorted(by_word):
        candidates = by_word[word]
        if max_tokens_per_word is not None:
            candidates.sort(key=lambda recording: _order(recording.name, seed))
        good = list(islice(reader.readable(candidates), max_tokens_per_word))
        kept += sorted(good, key=lambda pair: pair[0].name)
    if not kept:
        raise InputError(
            f"none of the {len(reader.skipped)} recordings in {folder.path} can be read", remedy=reader.skipped[0].detail
        )
    tokens = [Token(r.word, r.speaker or None if folder.speakers_known and r.word != SILENCE else None, r.name) for r, _ in kept]
    source = _FolderSource([folder.path / recording.name for recording, _ in kept], reader.decoded)
    return Tokens(tokens, source, [duration_s for _, duration_s in kept], np.full(len(kept), np.nan), reader.skipped)


class _FolderReader:
    """Decodes recordings to find those that can't be used, and keeps as many decoded as fit in CACHED_SAMPLES."""

    def __init__(self, path: Path) -> None:
        self.path, self.held_samples = path, 0
        self.decoded: dict[Path, NDArray[np.float32]] = {}
        self.skipped: list[SkippedToken] = []

    def readable(self, recordings: Iterable[Recording]) -> Iterator[tuple[Recording, float]]:
        """The recordings that can be read, with their durations in seconds."""
        for recording in recordings:
            path = self.path / recording.name
            try:
                samples = read_audio(path)
            except AudioError as error:
                self.skipped.append(SkippedToken(recording.name, error.reason, str(error)))
                continue
            if self.held_samples + len(samples) <= CACHED_SAMPLES:
                self.held_samples += len(samples)
                self.decoded[path] = samples
            yield recording, len(samples) / SAMPLE_RATE


def _from_dataset(
    dataset: WordDataset, split: str | None, words: list[str] | None, max_tokens_per_word: int | None, seed: int
) -> Tokens:
    indices = dataset.select(split)
    codes, names = dataset.codes("words")
    _check_words(words, [names[code] for code in np.unique(codes[indices])], dataset.path)
    if words is not None:
        indices = indices[np.isin(codes[indices], [names.index(word) for word in words])]
    if len(indices) == 0:
        where = f" in the split '{split}'" if split else ""
        raise DatasetError(f"{dataset.path} has no segments{where}", remedy="choose another split, or add speech")
    utterance_ids, speakers = (dataset.codes(name) for name in ("utterance_id", "speaker"))
    starts, ends = dataset.column("start_sample"), dataset.column("end_sample")
    by_word: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for index in indices.tolist():
        name = f"{utterance_ids[1][utterance_ids[0][index]]}:{starts[index]}-{ends[index]}"
        by_word[names[codes[index]]].append((name, index))
    rows = []
    for word in sorted(by_word):
        if max_tokens_per_word is not None:
            by_word[word] = sorted(by_word[word], key=lambda row: _order(row[0], seed))[:max_tokens_per_word]
        rows += [(Token(word, speakers[1][speakers[0][index]], name), index) for name, index in sorted(by_word[word])]
    places = np.array([index for _, index in rows])
    durations_s, goodness = (ends[places] - starts[places]) / SAMPLE_RATE, dataset.column("goodness")[places]
    return Tokens([token for token, _ in rows], _DatasetSource(dataset, places), durations_s, goodness)


def _check_words(words: list[str] | None, there: Iterable[str], path: Path) -> None:
    there = sorted(there)
    missing = [] if words is None else [word for word in words if word not in set(there)]
    if missing:
        near = difflib.get_close_matches(missing[0], there, n=3)
        raise InputError(
            f"{path} has no recordings of " + ", ".join(f"'{word}'" for word in missing[:5]),
            remedy=f"did you mean {', '.join(near)}?" if near else "it has: " + ", ".join(there[:20]),
        )


def _order(name: str, seed: int) -> bytes:
    return digest64(f"{seed}\0{name}")
