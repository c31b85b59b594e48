"""openWakeWord's `Model`, with keywords from a few recordings: its users change one import.

    from wordprint.compat.openwakeword import Model
    model = Model(wakeword_models=["keywords.json"])
    model.predict(frame)                  # int16 (N,) at 16 kHz -> {"lights on": 0.02}

What an argument of openWakeWord 0.6 asks for and wordprint doesn't have is refused, never passed over.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint import model as models
from wordprint.errors import ConfigError, InputError
from wordprint.speech.audio import SAMPLE_RATE, read_audio, to_int16
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Look, Spotter

FRAME_SAMPLES = 1280
"""Spans end every 80 ms, as in openWakeWord."""
SOFTNESS = 0.05
"""Similarity above the threshold that takes a score from 0.5 to 0.73."""


def score(similarity: float, threshold: float) -> float:
    """A cosine similarity as a score from 0 to 1 that is 0.5 at the keyword's threshold, the customary one in openWakeWord."""
    return 0.0 if similarity == -math.inf else 1 / (1 + math.exp((threshold - similarity) / SOFTNESS))


class Model:
    """Scores of enrolled keywords, frame by frame.

    `wakeword_models`: files that 'wordprint enroll' wrote, one or several; without any, `keywords.json` of this folder.
    `model` is the wordprint model that they were enrolled with, without it the one that ships. Raises ConfigError for
    what only openWakeWord has, InputError and EnrollmentError for files that can't be used.
    """

    def __init__(
        self,
        wakeword_models: Sequence[str | Path] | str | Path = (),
        class_mapping_dicts: Sequence[Mapping[str, Any]] = (),
        enable_speex_noise_suppression: bool = False,
        vad_threshold: float = 0,
        custom_verifier_models: Mapping[str, str] = {},
        custom_verifier_threshold: float = 0.1,
        inference_framework: str = "onnx",
        *,
        model: models.Model | str | Path | None = None,
    ) -> None:
        _refuse("class_mapping_dicts", class_mapping_dicts, "keywords are called as they were enrolled")
        _refuse("enable_speex_noise_suppression", enable_speex_noise_suppression, "suppress noise before 'predict'")
        _refuse("vad_threshold", vad_threshold, "what is too quiet is not looked at")
        _refuse("custom_verifier_models", custom_verifier_models, "enroll recordings of the speaker instead")
        _refuse("custom_verifier_threshold", custom_verifier_threshold != 0.1 and custom_verifier_threshold, "there is no verifier")
        _refuse("inference_framework", inference_framework != "onnx" and inference_framework, "models are ONNX")
        engine = model if isinstance(model, models.Model) else models.Model(model)
        paths = [wakeword_models] if isinstance(wakeword_models, str | Path) else list(wakeword_models) or ["keywords.json"]
        enrollment = Enrollment(engine.name, engine.digest)
        for path in paths:
            for keyword in _load(path, engine).keywords:
                enrollment = enrollment.add(keyword)
        self._spotter = Spotter(engine, enrollment, SpotConfig(hop_s=FRAME_SAMPLES / SAMPLE_RATE))
        self.models = {keyword.keyword: keyword for keyword in enrollment.keywords}
        """The keywords by name."""
        _, self._owners = enrollment.listened()
        self.reset()

    def reset(self) -> None:
        """Forget what was heard and predicted."""
        self._spotter.reset()
        self.prediction_buffer: defaultdict[str, deque[float]] = defaultdict(partial(deque, maxlen=30))
        """The last 30 scores of each keyword, one a call of `predict`."""
        self._run = dict.fromkeys(self.models, 0)  # frames at or above the threshold, one after the other
        self._fired = dict.fromkeys(self.models, -math.inf)  # the sample at which the last score at or above it was given

    def predict(
        self,
        x: NDArray[np.int16],
        patience: Mapping[str, int] = {},
        threshold: Mapping[str, float] = {},
        debounce_time: float = 0.0,
    ) -> dict[str, float]:
        """The score of each keyword in the next samples (N,) of the stream, int16 at 16 kHz.

        It is the best of the looks that end in them, one every block of the model (120 ms), and the score before where none
        does; 0 where a rival of the keyword is nearer. Raises InputError and AudioError for what is no audio, ConfigError for
        arguments that don't fit.

        patience: A score at or above the keyword's threshold is 0 before those of so many looks in turn are.
        threshold: What the other two count, by keyword; scores are never 0 for being below it.
        debounce_time: Seconds after a score at or above the threshold in which further ones are 0.
        """
        if not isinstance(x, np.ndarray):
            raise InputError(f"audio of type {type(x).__name__}", expected="a numpy array, int16 at 16 kHz")
        self._check(patience, threshold, debounce_time)
        looks = [
            {
                name: self._gated(name, value, look.end_sample, patience, threshold, debounce_time)
                for name, value in zip(self.models, self._scores(look), strict=True)
            }
            for look in self._spotter.looks(x)
        ]
        predictions = {name: max((look[name] for look in looks), default=self._last(name)) for name in self.models}
        for name, value in predictions.items():
            self.prediction_buffer[name].append(value)
        return predictions

    def predict_clip(
        self, clip: str | Path | NDArray[np.int16], padding: int = 1, chunk_size: int = FRAME_SAMPLES, **kwargs: Any
    ) -> list[dict[str, float]]:
        """What `predict` gives for each `chunk_size` samples of a recording (a file of any format, or int16 (N,) at 16 kHz)
        with `padding` seconds of silence on both sides. The stream goes on from what was heard: call `reset` between recordings.
        """
        samples = to_int16(read_audio(clip)) if isinstance(clip, str | Path) else clip
        silence = np.zeros(SAMPLE_RATE * padding, np.int16)
        whole = np.concatenate([silence, samples, silence])
        starts = range(0, len(whole) - chunk_size + 1, chunk_size)
        return [self.predict(whole[start : start + chunk_size], **kwargs) for start in starts]

    def _scores(self, look: Look) -> list[float]:
        rivals = np.full(len(self.models), -math.inf)
        np.maximum.at(rivals, list(self._owners), look.rivals)
        similarities = np.where(rivals > look.similarities, -math.inf, look.similarities).tolist()
        return [score(value, keyword.threshold) for value, keyword in zip(similarities, self.models.values(), strict=True)]

    def _last(self, name: str) -> float:
        return self.prediction_buffer[name][-1] if self.prediction_buffer[name] else 0.0

    def _gated(
        self,
        name: str,
        value: float,
        end_sample: int,
        patience: Mapping[str, int],
        threshold: Mapping[str, float],
        debounce_s: float,
    ) -> float:
        """The score of one frame, or 0 where `patience` or `debounce_time` hold it back."""
        if name not in threshold:
            return value
        high = value >= threshold[name]
        self._run[name] = self._run[name] + 1 if high else 0
        early = end_sample - self._fired[name] <= debounce_s * SAMPLE_RATE
        if high and (early or self._run[name] < patience.get(name, 1)):
            return 0.0
        if high:
            self._fired[name] = end_sample
        return value

    def _check(self, patience: Mapping[str, int], threshold: Mapping[str, float], debounce_time: float) -> None:
        if unknown := sorted({*patience, *threshold} - set(self.models)):
            raise ConfigError(f"patience or threshold of '{unknown[0]}'", expected=f"names among {', '.join(self.models)}")
        if patience and debounce_time > 0:
            raise ConfigError("both patience and debounce_time are set", expected="one of them")
        if lacking := set(patience) - set(threshold) or (debounce_time > 0 and not threshold):
            which = "debounce_time" if lacking is True else "patience"
            raise ConfigError(f"{which} without a threshold", expected="threshold={name: score}, such as 0.5")


def _load(path: str | Path, engine: models.Model) -> Enrollment:
    if Path(path).suffix.lower() != ".json":
        raise InputError(
            f"{path} is no enrollment",
            expected="a file such as keywords.json: wordprint listens for enrolled keywords, not for openWakeWord's models",
            remedy='make it with: wordprint enroll "hey jarvis" a.wav b.wav c.wav',
        )
    enrollment = Enrollment.load(path)
    enrollment.check(engine, str(path))
    return enrollment


def _refuse(name: str, value: Any, remedy: str) -> None:
    if value:
        raise ConfigError(f"{name} is {value!r}, which wordprint doesn't have", remedy=f"leave it out: {remedy}")
