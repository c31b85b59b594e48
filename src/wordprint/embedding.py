"""What turns audio into vectors, as every part of wordprint sees it: windows as a whole, or any span of frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.errors import InputError
from wordprint.goodness import BEFORE
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.trim import Speech, find_speech

AROUND_S = 0.08
"""Silence put before a recording of a keyword, so that spans may begin a little before it."""
SHAKEN_S = (-0.06, 0.0, 0.06)
"""Where spans around a trim begin and end, against it: a keyword's vector is the mean over all pairs."""
SHORTEST_S = 0.12

Floats = NDArray[np.float32]


@runtime_checkable
class WaveformEmbedder(Protocol):
    """Whatever turns waveforms into embeddings: an exported model, a checkpoint, another project's model."""

    name: str
    digest: str
    window_samples: int
    training_words: frozenset[str] | None

    def embed(self, waveforms: Floats) -> Floats:
        """(B, N) at 16 kHz -> (B, D), each row of length 1."""
        ...


class SpanEmbedder(ABC):
    """A network that makes frames of audio once, and vectors of any span of them."""

    frame_samples: int
    embedding_size: int
    phones: tuple[str, ...]
    """Symbols that `spell` knows."""
    reads_phones: bool = False
    """Whether the last numbers of a frame say which of them it is, or silence (see `wordprint.goodness`)."""
    pools_spans: bool = True
    """False for a checkpoint of a window encoder, which embeds windows as a whole."""

    @abstractmethod
    def frames(self, samples: ArrayLike) -> Floats:
        """(N,) at 16 kHz, full scale ±1, in silence -> (T, F); frame t is about the sample t · `frame_samples`."""

    @abstractmethod
    def pool(self, frames: Floats, spans_s: ArrayLike) -> Floats:
        """(T, F) and spans (S, 2) in seconds from the first frame, any length, also beyond the frames -> unit vectors (S, D)."""

    @abstractmethod
    def spell(self, strings: Sequence[Sequence[str]]) -> Floats:
        """Unit vectors (U, D) of phone strings; raises InputError for an unknown phone, ModelError where it knows none."""

    def phones_of(self, frames: Floats) -> Floats | None:
        """Of frames (T, F), how much less likely than the likeliest silence and each phone are, (T, 1 + P) natural logarithms; None
        where they can't be read."""
        return frames[:, -len(self.phones) - 1 :] if self.reads_phones else None

    def phones_in(self, samples: Floats, speech: Speech) -> Floats | None:
        """What `phones_of` says of the frames of the speech in a recording (N,), the BEFORE ones of `wordprint.goodness` first."""
        return Encoded(self, samples).phones(speech)

    def vectors(self, samples: Floats, speech: Speech) -> Floats:
        """Unit vectors (9, D) of spans around the speech in a recording (N,)."""
        return Encoded(self, samples).vectors(speech)

    def vector(self, samples: Floats, speech: Speech) -> Floats:
        """A unit vector (D,) of the speech in a recording (N,): the mean of its `vectors`."""
        return Encoded(self, samples).vector(speech)

    def embed(self, waveforms: ArrayLike) -> Floats:
        """Unit vectors (B, D) of what is said in waveforms (B, N), full scale ±1; zeros at both ends are no part of them."""
        means = self.embed_spans(waveforms).mean(axis=1)
        return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9), np.float32)

    def embed_spans(self, waveforms: ArrayLike) -> Floats:
        """Unit vectors (B, 9, D) of spans around what is said in waveforms, as for `embed`."""
        batch = np.asarray(waveforms, np.float32)
        if batch.ndim != 2 or not batch.shape[1]:
            raise InputError(f"waveforms of shape {batch.shape}", expected=f"(B, N) at {SAMPLE_RATE} Hz")
        found = np.zeros((len(batch), len(SHAKEN_S) ** 2, self.embedding_size), np.float32)
        for row, samples in enumerate(batch):
            heard = np.flatnonzero(samples)
            samples = samples[heard[0] : heard[-1] + 1] if len(heard) else samples
            found[row] = self.vectors(samples, find_speech(samples))
        return found


class Encoded:
    """A recording (N,) that a model encodes once, whatever speech in it is asked for; what is said of it as `SpanEmbedder` does."""

    def __init__(self, model: SpanEmbedder, samples: Floats) -> None:
        self.samples = samples
        self._model = model

    def vectors(self, speech: Speech) -> Floats:
        """Unit vectors (9, D) of spans around the speech."""
        start_s, end_s = (place / SAMPLE_RATE + AROUND_S for place in (speech.start_sample, speech.end_sample))
        spans_s = [(start_s + a, max(end_s + b, start_s + a + SHORTEST_S)) for a in SHAKEN_S for b in SHAKEN_S]
        return self._model.pool(self._around, spans_s)

    def vector(self, speech: Speech) -> Floats:
        """A unit vector (D,) of the speech: the mean of its `vectors`."""
        mean = self.vectors(speech).mean(axis=0)
        return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)

    def phones(self, speech: Speech) -> Floats | None:
        """What `SpanEmbedder.phones_in` says."""
        if not self._model.reads_phones:
            return None
        frame = self._model.frame_samples
        first, last = speech.start_sample // frame, -(-speech.end_sample // frame)
        return self._model.phones_of(self._before[first : max(first, last) + BEFORE])

    @cached_property
    def _around(self) -> Floats:
        """Frames with AROUND_S of silence on both sides."""
        quiet = np.zeros(round(AROUND_S * SAMPLE_RATE), np.float32)
        return self._model.frames(np.concatenate([quiet, self.samples, quiet]))

    @cached_property
    def _before(self) -> Floats:
        """Frames with BEFORE of silence first."""
        return self._model.frames(np.pad(self.samples, (BEFORE * self._model.frame_samples, 0)))


def phone_codes(strings: Sequence[Sequence[str]], phones: Sequence[str]) -> NDArray[np.int64]:
    """Phone strings as the phone encoder takes them: (U, N), numbers from 1 on into `phones`, 0 after the last."""
    number = {phone: place for place, phone in enumerate(phones, start=1)}
    if unknown := sorted({phone for string in strings for phone in string} - number.keys()):
        raise InputError(f"the model doesn't know the phones {' '.join(unknown)}", expected=f"some of {' '.join(phones)}")
    if not all(strings):
        raise InputError("a phone string is empty", expected="one phone or more")
    codes = np.zeros((len(strings), max(map(len, strings), default=1)), np.int64)
    for row, string in zip(codes, strings, strict=True):
        row[: len(string)] = [number[phone] for phone in string]
    return codes


def as_spans(embedder: object) -> SpanEmbedder | None:
    """The embedder where it pools any span of a recording, else None."""
    return embedder if isinstance(embedder, SpanEmbedder) and embedder.pools_spans else None
