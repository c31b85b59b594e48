"""Raw audio of any form: the samples that a file of that form gives, however the bytes are cut."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from wordprint.errors import AudioError
from wordprint.serve.sound import Sound, second_bytes
from wordprint.speech.audio import read_audio

SUBTYPES = {1: "PCM_U8", 2: "PCM_16", 3: "PCM_24", 4: "PCM_32"}


def pcm(rate: int, width: int, channels: int) -> np.ndarray:
    """(N, channels) tones with as many bits as fit in the width."""
    time_s = np.arange(rate) / rate
    tones = np.stack([0.5 * np.sin(2 * np.pi * 300 * (number + 1) * time_s) for number in range(channels)], axis=1)
    return np.round(tones * 2 ** (8 * width - 1)) / 2 ** (8 * width - 1)


def raw(samples: np.ndarray, width: int) -> bytes:
    whole = np.round(samples * 2 ** (8 * width - 1)).astype("<i8") + (128 if width == 1 else 0)
    return whole.reshape(-1, 1).view(np.uint8)[:, :width].tobytes()


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 48_000])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_it_is_what_a_file_of_that_form_gives(tmp_path, rate, width, channels):
    samples = pcm(rate, width, channels)
    soundfile.write(tmp_path / "a.wav", samples, rate, subtype=SUBTYPES[width])
    sound = Sound()
    heard = np.concatenate([sound.add(raw(samples, width), rate, width, channels), sound.end()])
    assert heard == pytest.approx(read_audio(tmp_path / "a.wav"), abs=2e-6)
    assert heard.dtype == np.float32


def test_channels_in_opposite_phase_are_no_silence(tmp_path):
    tone = pcm(16_000, 2, 1)
    soundfile.write(tmp_path / "a.wav", np.hstack([tone, -tone]), 16_000, subtype="PCM_16")
    sound = Sound()
    heard = np.concatenate([sound.add(raw(np.hstack([tone, -tone]), 2), 16_000, 2, 2), sound.end()])
    assert np.array_equal(heard, read_audio(tmp_path / "a.wav"))
    assert heard.std() > 0.3


@settings(max_examples=20)
@given(st.lists(st.integers(1, 44_100), max_size=8), st.sampled_from([8000, 16_000, 44_100]))
def test_how_it_is_cut_changes_nothing(cuts, rate):
    samples = raw(pcm(rate, 2, 2), 2)
    places = [0, *sorted(min(4 * cut, len(samples)) for cut in cuts), len(samples)]
    whole, pieces = Sound(), Sound()
    together = [whole.add(samples, rate, 2, 2), whole.end()]
    apart = [pieces.add(samples[a:b], rate, 2, 2) for a, b in itertools.pairwise(places) if a < b]
    assert np.array_equal(np.concatenate([*apart, pieces.end()]), np.concatenate(together))


@pytest.mark.parametrize(
    "form", [(0, 2, 1), (16_000, 5, 1), (16_000, 2, 0), ("16000", 2, 1), (None, 2, 1), (True, 2, 1), (1e9, 2, 1)]
)
def test_a_form_that_cannot_be(form):
    with pytest.raises(AudioError, match="expected a whole number from"):
        second_bytes(*form)


def test_bytes_that_end_inside_a_sample():
    with pytest.raises(AudioError, match="7 bytes of audio; expected whole samples of 2 bytes in 2 channels"):
        Sound().add(bytes(7), 16_000, 2, 2)


def test_a_rate_that_changes():
    sound = Sound()
    sound.add(bytes(8), 16_000, 2, 1)
    with pytest.raises(AudioError, match="from 16000 Hz in 1 channels to 8000 Hz in 1 in the middle"):
        sound.add(bytes(8), 8000, 2, 1)
