"""Enroll a keyword: a few recordings in, its prototype out, in a small JSON file bound to the model that made it.

    enroll("model.onnx", "lights on", ["a.wav", "b.wav", "c.wav"], "keywords.json")

The prototype is the mean of the shots' embeddings, normalised again (prototypical networks, Snell et al. 2017). Each
shot is trimmed to its speech and centred in the model's window; a phrase that is longer gets a longer window.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, EnrollmentError, InputError, kind_of
from wordprint.model import Model
from wordprint.speech.audio import SAMPLE_RATE, read_audio, resample
from wordprint.speech.mix import as_samples
from wordprint.spot.enrollment import Enrollment, Keyword, Shot
from wordprint.spot.options import SpotConfig
from wordprint.spot.trim import Speech, find_speech

MAX_WINDOW_S = 3.0
"""Longest keyword; also the longest window."""
WINDOW_STEP_S = 0.1
"""Windows longer than the model's are a multiple of this, so that a few lengths serve all phrases."""
SILENT_DB = -55.0
"""A shot whose loudest 50 ms is below this holds no usable speech."""
CLIPPED_SHARE = 0.001
"""Share of samples at full scale from which a shot is called clipped."""
SHORT_S = 0.2
"""Speech shorter than this (50 ms edges included) is likelier a knock than a word."""

UNLIKE = 0.3
"""A shot less similar than this to the mean of the others is most likely another word, or cut off."""

Recording = str | Path | NDArray[np.float32] | NDArray[np.int16]
"""A file in any format, or samples (N,) or (N, 1), float at full scale ±1 or int16."""


def enroll(
    model: Model | str | Path | None,
    keyword: str,
    recordings: Sequence[Recording],
    output: str | Path | None = None,
    config: SpotConfig = SpotConfig(),
    *,
    enrollment: Enrollment | None = None,
    sample_rate: int = SAMPLE_RATE,
) -> Enrollment:
    """Enroll `keyword` from `recordings` and return all keywords enrolled so far.

    Adds to `enrollment`, else to the file `output` where it exists, and writes the file `output` when it is given.
    `sample_rate` (Hz) is that of recordings given as arrays. `config.threshold` is kept with the keyword; without it, the
    threshold calibrated for the model. A recording that can't be used is left out and named in `Keyword.rejected`;
    EnrollmentError when none can be used.
    """
    engine = model if isinstance(model, Model) else Model(model)
    if output is not None and Path(output).is_dir():
        raise InputError(kind_of(output), expected="an enrollment to write or add to", remedy="name a file: -o keywords.json")
    if enrollment is not None:
        enrollment.check(engine)
    elif output is not None and Path(output).exists():
        enrollment = Enrollment.load(output)
        enrollment.check(engine, str(output), "write to another file with -o, or delete it")
    else:
        enrollment = Enrollment(engine.name, engine.digest)
    threshold = engine.threshold if config.threshold is None else config.threshold
    made = make_keyword(engine, keyword, recordings, threshold, sample_rate)
    enrollment = enrollment.add(made)
    if output is not None:
        enrollment.save(output)
    return enrollment


def make_keyword(
    model: Model, keyword: str, recordings: Sequence[Recording], threshold: float, sample_rate: int = SAMPLE_RATE
) -> Keyword:
    """The prototype of one keyword and the quality of each shot."""
    name = " ".join(keyword.split())
    if not name:
        raise InputError("the keyword is empty", expected="a word or a phrase")
    if os.path.isfile(name):
        raise InputError(
            f"the keyword '{name}' is a file",
            expected="a word or a phrase, then its recordings",
            remedy='say which keyword the recordings hold: wordprint enroll [MODEL.onnx] "lights on" a.wav b.wav c.wav',
        )
    if not -1 <= threshold <= 1:
        raise InputError(f"threshold {threshold}", expected="a cosine similarity from -1 to 1")
    if isinstance(recordings, (str, Path)):
        recordings = [recordings]
    if isinstance(recordings, np.ndarray) and (recordings.ndim == 1 or recordings.shape[1:] == (1,)):
        recordings = [recordings]
    if sample_rate < 1:
        raise InputError(f"sample_rate = {sample_rate}", expected="the rate in Hz of recordings given as arrays")
    loaded, rejected = _load(recordings, sample_rate)
    if not loaded:
        reasons = "; ".join(rejected) or "no recordings were given"
        raise EnrollmentError(
            f"no usable recording of '{name}': {reasons}", expected="one or more recordings of it, each up to 3 s"
        )
    window = _window_samples([speech for _, _, speech in loaded], model)
    embeddings = np.concatenate([model.embed(centred(samples, speech, window)[None]) for _, samples, speech in loaded])
    agreements = _agreements(embeddings)
    shots = tuple(
        _shot(*recording, embedding, agreement, twin)
        for recording, embedding, agreement, twin in zip(loaded, embeddings, agreements, _twins(loaded), strict=True)
    )
    duration_s = median(speech.duration_s for _, _, speech in loaded)
    return Keyword(
        keyword=name,
        threshold=float(threshold),
        window_samples=window,
        duration_s=round(duration_s, 3),
        prototype=_rounded(_normalised(embeddings.mean(axis=0))),
        shots=shots,
        rejected=tuple(rejected),
    )


def centred(samples: NDArray[np.float32], speech: Speech, window_samples: int) -> NDArray[np.float32]:
    """(window_samples,) of the recording with the middle of its speech in the middle; zeros beyond the recording."""
    start = (speech.start_sample + speech.end_sample - window_samples) // 2
    window = np.zeros(window_samples, np.float32)
    piece = samples[max(0, start) : start + window_samples]
    window[max(0, -start) : max(0, -start) + len(piece)] = piece
    return window


def _load(recordings: Sequence[Recording], sample_rate: int) -> tuple[list[tuple[str, NDArray[np.float32], Speech]], list[str]]:
    """(label, samples, speech) of the usable recordings, and a line for each of the others."""
    loaded, rejected = [], []
    for number, recording in enumerate(recordings, start=1):
        label = str(recording) if isinstance(recording, (str, Path)) else f"recording {number}"
        try:
            samples = read_audio(recording) if isinstance(recording, (str, Path)) else _heard(recording, label, sample_rate)
        except AudioError as error:
            rejected.append(str(error))
            continue
        speech = find_speech(samples)
        if speech.level_db < SILENT_DB:
            rejected.append(f"{label} is silent (loudest part {speech.level_db:.0f} dB of full scale)")
        elif speech.duration_s > MAX_WINDOW_S:
            rejected.append(f"{label} holds {speech.duration_s:.1f} s of speech, more than {MAX_WINDOW_S:g} s")
        else:
            loaded.append((label, samples, speech))
    return loaded, rejected


def _heard(recording: NDArray[Any], label: str, sample_rate: int) -> NDArray[np.float32]:
    samples = as_samples(recording, label)
    if samples.size == 0:
        raise AudioError(f"{label} holds no audio (0 samples)", reason="empty_audio")
    return resample(samples, sample_rate, SAMPLE_RATE)


def _window_samples(speeches: Sequence[Speech], model: Model) -> int:
    """The model's window where the typical shot fits in it; else the next length that holds the longest shot."""
    durations_s = [speech.duration_s for speech in speeches]
    if not model.any_length or median(durations_s) * SAMPLE_RATE <= model.window_samples:
        return model.window_samples
    steps = math.ceil(round(max(durations_s) / WINDOW_STEP_S, 6))
    return max(model.window_samples, round(steps * WINDOW_STEP_S * SAMPLE_RATE))


def _twins(loaded: Sequence[tuple[str, NDArray[np.float32], Speech]]) -> list[str | None]:
    """For each recording the label of an earlier one with the same samples, or None."""
    first: dict[bytes, int] = {}
    numbers = [first.setdefault(samples.tobytes(), number) for number, (_, samples, _) in enumerate(loaded)]
    return [loaded[other][0] if other != number else None for number, other in enumerate(numbers)]


def _shot(
    label: str,
    samples: NDArray[np.float32],
    speech: Speech,
    embedding: NDArray[np.float32],
    agreement: float | None,
    twin: str | None,
) -> Shot:
    warnings = [] if twin is None else [f"the same recording as {twin}: another take is better"]
    clipped = float(np.mean(np.abs(samples) >= 0.999))
    if clipped > CLIPPED_SHARE:
        warnings.append(f"clipped ({clipped:.1%} of the samples at full scale): record it at a lower level")
    if speech.duration_s < SHORT_S:
        warnings.append(f"short: {speech.duration_s:.2f} s of speech")
    if agreement is not None and agreement < UNLIKE:
        warnings.append(f"unlike the other recordings (similarity {agreement:.2f})")
    return Shot(
        recording=label,
        start_s=round(speech.start_sample / SAMPLE_RATE, 3),
        end_s=round(speech.end_sample / SAMPLE_RATE, 3),
        level_db=round(speech.level_db, 1),
        embedding=_rounded(embedding),
        agreement=agreement,
        warnings=tuple(warnings),
    )


def _agreements(embeddings: NDArray[np.float32]) -> list[float | None]:
    """Similarity of each of (K, D) to the mean of the others; None for a single one."""
    if len(embeddings) == 1:
        return [None]
    others = embeddings.sum(axis=0) - embeddings
    return [round(float(_normalised(mean) @ embedding), 4) for mean, embedding in zip(others, embeddings, strict=True)]


def _rounded(vector: NDArray[np.float32]) -> tuple[float, ...]:
    """Seven decimals are what float32 holds of a unit vector."""
    return tuple(round(value, 7) for value in vector.tolist())


def _normalised(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector
