"""What a typed keyword sounds like in synthetic voices (espeak-ng, extra `synthetic`): shots that nobody has to record."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wordprint.embedding import SpanEmbedder
from wordprint.speech.trim import find_speech

VOICES = 8


def spoken(model: SpanEmbedder, text: str) -> NDArray[np.float32]:
    """Unit vectors (VOICES, D) of the text, each said by another voice; the same each time. Raises MissingExtraError."""
    from wordprint.speech.espeak import Synthesiser  # not for those who only listen
    from wordprint.speech.synthetic import draw_speakers, speak

    vectors = []
    with Synthesiser() as synthesiser:
        for number, speaker in enumerate(draw_speakers(VOICES, seed=0)):
            samples, _ = speak(synthesiser, text, speaker, np.random.default_rng(number))
            vectors.append(model.vector(samples, find_speech(samples)))
    return np.stack(vectors)
