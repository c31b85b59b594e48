"""What in a recording is most like each keyword, whether or not it would be detected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError
from wordprint.model import Model
from wordprint.speech.audio import SAMPLE_RATE, read_audio
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter


@dataclass(frozen=True)
class Best:
    """The span at `[onset_s, offset_s)` of a recording that is most like a keyword, and its unit vector (D,)."""

    similarity: float
    onset_s: float
    offset_s: float
    vector: NDArray[np.float32]


def best_spans(model: Model, enrollment: Enrollment, recording: str | Path | NDArray[np.float32]) -> list[Best]:
    """For each keyword the best span of a recording, by the looks of the live code; raises AudioError where there is no sound."""
    samples = recording if isinstance(recording, np.ndarray) else read_audio(recording)
    spotter = Spotter(model, enrollment, SpotConfig(threshold=-1.0, min_level_db=-90.0))  # which reads the phones of all
    found: list[Best | None] = [None] * len(enrollment.keywords)
    for look in spotter.looks_in(samples):
        for number, similarity in enumerate(look.similarities.tolist()):
            known = found[number]
            if similarity > (-math.inf if known is None else known.similarity):
                onset_s, offset_s = (float(place) / SAMPLE_RATE for place in look.spans[number])
                found[number] = Best(similarity, max(0.0, onset_s), offset_s, look.vector(number))
    if None in found:
        raise AudioError(
            f"{recording if isinstance(recording, (str, Path)) else 'the recording'} holds no sound", reason="silent_audio"
        )
    return [best for best in found if best is not None]
