"""A word folder of synthetic words."""

from __future__ import annotations

import numpy as np
import pytest

from evaluate.tones import PITCHES_HZ, write_word


@pytest.fixture(scope="session")
def word_folder(tmp_path_factory):
    """Six words by eight speakers, two recordings each."""
    folder, generator = tmp_path_factory.mktemp("data") / "tones", np.random.default_rng(0)
    for word in PITCHES_HZ:
        for speaker in range(8):
            for take in range(2):
                write_word(folder / word / f"s{speaker}_nohash_{take}.wav", word, generator)
    return folder
