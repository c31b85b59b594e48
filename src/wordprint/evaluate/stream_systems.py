"""What can be measured in streams: anything that enrolls a keyword from shots and says at each look how alike the stream is to it.

wordprint's models go through the very code that `spot` runs live. So does any other model that embeds waveforms; a system with a
way of its own is a class with the interface of `StreamSystem`, named as `package.module:Class`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from wordprint.embedding import WaveformEmbedder, as_spans
from wordprint.errors import ConfigError, ModelError
from wordprint.load import build, load_embedder
from wordprint.model import Model
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.trim import centred, find_speech
from wordprint.spot.enroll import make_keyword
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.expect import default_threshold
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter

BATCH = 256
"""Windows embedded at once."""

DEEPER = 0.25
"""How far below a keyword's threshold another may be tried on the scores: there, too, phones must be read as they are live."""

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
    """A model through the code that runs live: shots by `enroll`, looks by `Spotter`.

    A score is the similarity less the keyword's threshold: what one number for all keywords changes when they are enrolled with
    the thresholds that the model gives them.
    """

    def __init__(
        self,
        model: Model,
        config: SpotConfig = SpotConfig(),
        *,
        recordings_alone: bool = False,
        synthetic_voices: bool = False,
    ) -> None:
        self.model, self.config = model, config
        self.how: dict[str, Any] = {"recordings_alone": recordings_alone, "synthetic_voices": synthetic_voices}
        self.name, self.digest, self.training_words = model.name, model.digest, model.training_words
        self.hold_s = config.hold_s
        self.metadata = model.metadata

    def enroll(self, keyword: str, shots: Sequence[Samples]) -> Any:
        made = make_keyword(self.model, keyword, shots, 0.0, **self.how)
        return replace(made, threshold=default_threshold(self.model, made))

    def looks(self, samples: Samples, enrolled: Sequence[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        lower = (replace(word, threshold=max(-1.0, word.threshold - DEEPER)) for word in enrolled)
        enrollment = Enrollment(self.model.name, self.model.digest, tuple(lower))
        spotter = Spotter(self.model, enrollment, self.config)
        found = [(look.end_sample, look.similarities) for look in spotter.looks(samples)]
        scores = np.array([similarities for _, similarities in found], np.float32).reshape(-1, len(enrolled)).T
        thresholds = np.array([word.threshold for word in enrolled], np.float32)
        return np.array([end for end, _ in found], np.int64), scores - thresholds[:, None]


class Windows:
    """An embedder of windows (another project's, or a checkpoint of a window encoder): one prototype of a keyword's shots, each
    in the middle of a window, compared with a window every 0.1 s. It answers at once, without the hold of `spot`."""

    hold_s = 0.0
    hop_samples = SAMPLE_RATE // 10

    def __init__(self, embedder: WaveformEmbedder) -> None:
        self.name, self.digest, self.training_words = embedder.name, embedder.digest, embedder.training_words
        self.metadata = getattr(embedder, "metadata", {})
        self._embedder, self._window = embedder, embedder.window_samples

    def enroll(self, keyword: str, shots: Sequence[Samples]) -> Any:
        mean = self._embed(np.stack([centred(shot, find_speech(shot), self._window) for shot in shots])).mean(axis=0)
        return mean / np.linalg.norm(mean)

    def looks(self, samples: Samples, enrolled: Sequence[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        padded = np.pad(samples, (self._window, 0))
        ends = np.arange(self.hop_samples, len(samples) + 1, self.hop_samples)
        windows = np.lib.stride_tricks.sliding_window_view(padded, self._window)[ends]
        parts = [self._embed(np.ascontiguousarray(windows[at : at + BATCH])) for at in range(0, len(ends), BATCH)]
        return ends, np.asarray(np.stack(enrolled) @ np.concatenate(parts).T, np.float32)

    def _embed(self, windows: Samples) -> NDArray[np.float32]:
        vectors = np.asarray(self._embedder.embed(windows), np.float32)
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), np.float32)


def load_system(
    spec: str | Path | StreamSystem | WaveformEmbedder,
    *,
    typed: bool = False,
    recordings_alone: bool = False,
    synthetic_voices: bool = False,
) -> StreamSystem:
    """An ONNX file, a checkpoint folder, `package.module:Class` or an object with either interface, as a system.

    Raises ConfigError where keywords are to be `typed` and the system takes recordings. `recordings_alone`: what keywords are
    called doesn't count; `synthetic_voices`: they say typed ones.
    """
    made: Any = spec
    if isinstance(spec, (str, Path)):
        made = build(str(spec)) if ":" in str(spec) and not Path(spec).exists() else load_embedder(spec)
    if isinstance(made, Model):
        return LiveSpotter(made, recordings_alone=recordings_alone, synthetic_voices=synthetic_voices)
    if typed:
        raise ConfigError(f"{spec} takes recordings of keywords", expected="a model file, where keywords are to be typed")
    if isinstance(made, StreamSystem):
        return made
    if as_spans(made) is not None:
        raise ModelError(f"{spec} is a checkpoint that pools spans of a stream", remedy="export it and name its model.onnx")
    if isinstance(made, WaveformEmbedder):
        return Windows(made)
    raise ModelError(
        f"{spec} lacks a part of the interface",
        expected="that of wordprint.embedding.WaveformEmbedder, or of wordprint.evaluate.stream_systems.StreamSystem",
    )
