"""The words to score a model on, embedded, and what the model may have heard of them before."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.embedding import WaveformEmbedder, as_spans
from wordprint.errors import DatasetError, LeakError, ModelError
from wordprint.evaluate.options import EvaluateConfig
from wordprint.stages.manifest import atomic_path
from wordprint.stages.progress import Progress
from wordprint.words.dataset import is_word_dataset
from wordprint.words.folders import SILENCE
from wordprint.words.tokens import SkippedToken, Tokens, load_tokens

BATCH = 64
"""Tokens whose audio is in memory at once."""
NAMED = 20
"""Seen words or speakers that a message names."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What of the data the model was trained on; None where the model does not say."""

    words: list[str] | None
    speakers: list[str] | None

    def to_json(self) -> dict[str, Any]:
        return {"words": self.words, "speakers": self.speakers}

    @property
    def warning(self) -> str:
        """One loud line, or an empty string when nothing is seen."""
        parts = []
        for kind, names in (("words", self.words), ("speakers", self.speakers)):
            if names:
                parts.append(f"{len(names)} {kind} ({_listed(names)})")
        return f"the model was trained on {' and '.join(parts)} that are scored here" if parts else ""


@dataclass(frozen=True)
class Data:
    """One word folder or word dataset, and unit vectors (n, S, D) of S spans of each of its tokens: one where a model embeds
    windows as a whole."""

    name: str
    path: Path
    kind: str
    split: str | None
    tokens: Tokens
    spans: NDArray[np.float32]
    seen: Seen

    @cached_property
    def embeddings(self) -> NDArray[np.float32]:
        """A unit vector (n, D) for each token."""
        return _unit(self.spans.mean(axis=1, dtype=np.float32))

    @property
    def words(self) -> NDArray[np.str_]:
        return np.array(self.tokens.words)

    @property
    def speakers(self) -> NDArray[np.str_] | None:
        """Speakers (n,), "" for recordings of nobody; None where the data doesn't tell."""
        return np.array(self.tokens.speakers) if self.tokens.speakers_known else None

    @property
    def spoken(self) -> NDArray[np.int64]:
        """Numbers of the tokens that hold a word (all but the silences)."""
        return np.flatnonzero(self.words != SILENCE)


def load_data(
    paths: Sequence[Path], embedder: WaveformEmbedder, config: EvaluateConfig, cache: Path, progress: Progress
) -> tuple[list[Data], list[SkippedToken]]:
    """Read and embed each of `paths`, and name those without segments in the split; embeddings are kept in `cache` meanwhile.

    The audio of one at a time is in memory; the few recordings that are needed afterwards are read again.
    Raises LeakError for a word dataset whose words or speakers the model was trained on, unless the config allows it.
    """
    loaded, empty = [], []
    for name, path in zip(unique_names(paths), paths, strict=True):
        dataset = is_word_dataset(path)
        split = config.split if dataset else None
        try:
            tokens = load_tokens(path, split=split, silence=not dataset)
        except DatasetError as error:
            empty.append(SkippedToken(name, "no_segments", str(error)))
            continue
        seen = seen_in_training(tokens, embedder)
        if dataset and not config.allow_seen:
            _refuse_leak(path, split, seen)
        spans = _cached(cache / f"{name}.npy", tokens, embedder, config.context, name, progress)
        tokens.forget_audio()
        loaded.append(Data(name, path, "word dataset" if dataset else "word folder", split, tokens, spans, seen))
    return loaded, empty


def unique_names(paths: Sequence[Path], *taken: str) -> list[str]:
    """A short name for each path, safe in file names: the folder's own, numbered where it is taken or two are the same."""
    names = [*taken]
    for path in paths:
        stem = re.sub(r"[^\w.-]+", "_", path.resolve().name) or "data"
        numbered = chain([stem], (f"{stem}-{number}" for number in count(2)))
        names.append(next(name for name in numbered if name not in names))
    return names[len(taken) :]


def seen_in_training(tokens: Tokens, embedder: WaveformEmbedder) -> Seen:
    """Which of the words and speakers the model says it was trained on; a phrase, when all of its words were."""
    words = embedder.training_words
    return Seen(
        None if words is None else made_of(set(tokens.words), words),
        heard_speakers(tokens.speakers, embedder) if tokens.speakers_known else None,
    )


def heard_speakers(speakers: Iterable[str], model: Any) -> list[str] | None:
    """The speakers, in order, that the model says it was trained on; None where it doesn't say.

    Word folders name a speaker without the corpus, which training has before the first `-`: either name counts.
    """
    trained = getattr(model, "training_speakers", None) or getattr(model, "metadata", {}).get("training_speakers")
    if trained is None:
        return None
    return sorted({*trained, *(name.partition("-")[2] for name in trained)}.intersection(speakers) - {""})


def made_of(evaluated: Iterable[str], trained: Iterable[str]) -> list[str]:
    """The words and phrases, in order, all of whose words stand in those that were trained on, alone or in a phrase."""
    heard = {word for text in trained for word in text.split()}
    return sorted(text for text in evaluated if heard.issuperset(text.split()))


def unit_embeddings(embedder: WaveformEmbedder, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embeddings (B, D) of length 1 of waveforms (B, N); raises ModelError when the model gives something else than vectors."""
    return _checked(embedder, waveforms, embedder.embed(waveforms), 2)


def _checked(
    embedder: WaveformEmbedder, waveforms: NDArray[np.float32], given: NDArray[np.float32], axes: int
) -> NDArray[np.float32]:
    """What was given for waveforms, at unit length, if it is `axes`-dimensional and finite."""
    vectors = np.asarray(given, dtype=np.float32)
    if vectors.ndim != axes or len(vectors) != len(waveforms) or not np.isfinite(vectors).all():
        raise ModelError(
            f"{embedder.name} gave embeddings of shape {vectors.shape} for waveforms of shape {waveforms.shape}",
            expected="one finite vector for each",
        )
    return _unit(vectors)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12))


def save_array(path: Path, array: NDArray[np.float32]) -> None:
    """Write a file of numpy atomically."""
    content = io.BytesIO()  # numpy's own writing doesn't say that a disk is full
    np.save(content, array)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.getbuffer())


def embed_tokens(
    tokens: Tokens, embedder: WaveformEmbedder, *, context: bool, name: str, progress: Progress
) -> NDArray[np.float32]:
    """Unit vectors (n, S, D) of spans of all tokens; raises ModelError as `unit_embeddings` does."""
    parts, spans = [], as_spans(embedder)
    with progress.task(f"embed {name}", len(tokens), "tokens") as task:
        for batch in tokens.batches(embedder.window_samples, BATCH, context=context):
            parts.append(
                _checked(embedder, batch, spans.embed_spans(batch), 3) if spans else unit_embeddings(embedder, batch)[:, None]
            )
            task.advance(len(batch))
    return np.concatenate(parts)


def _cached(
    path: Path, tokens: Tokens, embedder: WaveformEmbedder, context: bool, name: str, progress: Progress
) -> NDArray[np.float32]:
    if not path.exists():
        save_array(path, embed_tokens(tokens, embedder, context=context, name=name, progress=progress))
    return np.asarray(np.load(path, allow_pickle=False), dtype=np.float32)


def _refuse_leak(path: Path, split: str | None, seen: Seen) -> None:
    remedy = "choose another split, or allow it with --allow-seen to get figures that are marked"
    if split == "train":
        raise LeakError(f"the split 'train' of {path} is what models are trained on", remedy=remedy)
    if seen.warning:
        raise LeakError(f"{path}, split '{split}': {seen.warning}", remedy=remedy)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
