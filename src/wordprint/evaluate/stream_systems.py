"""What can be measured in streams: anything that enrolls a keyword from shots and says at each look how alike the stream is to it.

wordprint's models go through the very code that `spot` runs live. So does any other model that embeds waveforms; a system with a
way of its own is a class with the interface of `StreamSystem`, named as `package.module:Class`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.errors import ModelError
from wordprint.model import Model, WaveformEmbedder, build, load_embedder
from wordprint.spot.enroll import make_keyword
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter

Samples = NDArray[np.float32]


@runtime_checkable
class StreamSystem(Protocol):
    """A keyword spotter as the streaming protocol sees it."""

    name: str
    digest: str
    training_words: frozenset[str] | None
    hold_s: float
    """How long an answer waits after its look for a better one."""

    def enroll(self, keyword: str, shots: Sequence[Samples]) -> Any:
        """Whatever `looks` needs to know of a keyword; raises EnrollmentError where it can't be enrolled."""
        ...

    def looks(self, samples: Samples, enrolled: Sequence[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Looks at a stream (N,) at 16 kHz: how many samples have been heard when each is answered (L,), scores (W, L).

        Higher is more alike; −inf where there is nothing to look at. A look answers when all that it needs has been heard.
        """
        ...


class LiveSpotter:
    """A model through the code that runs live: shots by `enroll`, looks by `Spotter`."""

    def __init__(self, model: Model, config: SpotConfig = SpotConfig()) -> None:
        self.model, self.config = model, config
        self.name, self.digest, self.training_words = model.name, model.digest, model.training_words
        self.hold_s = config.hold_s
        self.metadata = model.metadata

    def enroll(self, keyword: str, shots: Sequence[Samples]) -> Any:
        return make_keyword(self.model, keyword, shots, self.model.threshold)

    def looks(self, samples: Samples, enrolled: Sequence[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        enrollment = Enrollment(self.model.name, self.model.digest, tuple(enrolled))
        found = list(Spotter(self.model, enrollment, self.config).looks(samples))
        scores = np.array([similarities for _, similarities in found], np.float32).reshape(-1, len(enrolled)).T
        return np.array([end for end, _ in found], np.int64), scores


class _Embedding(Model):
    """Another project's embedder, or a checkpoint, in the place of a model file: one window for all keywords."""

    def __init__(self, embedder: WaveformEmbedder) -> None:
        self.name, self.digest, self.training_words = embedder.name, embedder.digest, embedder.training_words
        self.window_samples = self.min_samples = embedder.window_samples
        self.any_length = False
        self.metadata = getattr(embedder, "metadata", {})
        self.embedding_size = embedder.embed(np.zeros((1, embedder.window_samples), np.float32)).shape[1]
        self.threshold = 0.0
        self._embedder = embedder

    def embed(self, waveforms: ArrayLike) -> NDArray[np.float32]:
        vectors = np.asarray(self._embedder.embed(np.asarray(waveforms, np.float32)), np.float32)
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def load_system(spec: str | Path | StreamSystem | WaveformEmbedder) -> StreamSystem:
    """An ONNX file, a checkpoint folder, `package.module:Class` or an object with either interface, as a system.

    What is not wordprint's answers at once, without the hold of `spot`.
    """
    made: Any = spec
    if isinstance(spec, (str, Path)):
        made = build(str(spec)) if ":" in str(spec) and not Path(spec).exists() else load_embedder(spec)
    if isinstance(made, StreamSystem):
        return made
    if isinstance(made, Model):
        return LiveSpotter(made)
    if isinstance(made, WaveformEmbedder):
        return LiveSpotter(_Embedding(made), SpotConfig(hold_s=0.0))
    raise ModelError(
        f"{spec} lacks a part of the interface",
        expected="that of wordprint.model.WaveformEmbedder, or of wordprint.evaluate.stream_systems.StreamSystem",
    )
