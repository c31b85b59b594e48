"""Front ends against naive loops over samples, bins and bands."""

import math

import numpy as np
import pytest
import torch

from wordprint.train.features import FRONT_ENDS, POWER_FLOOR, CentredLogMel, LogMel, Mfcc, mel_filters


def naive_log_mel(samples, n_mels, window, hop, n_fft, low, high, ahead=None):
    """`ahead` samples of a window lie behind the hop that it belongs to; without, half of what it is longer."""
    mel = lambda hertz: 2595 * math.log10(1 + hertz / 700)
    corners = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(mel(low), mel(high), n_mels + 2)]
    ahead = (window - hop) // 2 if ahead is None else ahead
    padded = np.concatenate([np.zeros(window - hop - ahead), samples, np.zeros(ahead)])
    hann = [0.5 - 0.5 * math.cos(2 * math.pi * n / window) for n in range(window)]
    frames = []
    for t in range(len(samples) // hop):
        power = np.abs(np.fft.rfft(padded[t * hop : t * hop + window] * hann, n_fft)) ** 2
        bands = []
        for left, middle, right in zip(corners, corners[1:], corners[2:], strict=False):
            total = 0.0
            for k, value in enumerate(power):
                hertz = k * 16_000 / n_fft
                if left < hertz <= middle:
                    total += value * (hertz - left) / (middle - left)
                elif middle < hertz < right:
                    total += value * (right - hertz) / (right - middle)
            bands.append(math.log(total + 1e-5))
        frames.append(bands)
    return np.array(frames).T


@pytest.fixture
def noise():
    return np.random.default_rng(1).normal(0, 0.1, 3200)


def test_log_mel_hears_nothing_that_is_still_to_come(noise):
    expected = naive_log_mel(noise, 40, 400, 160, 400, 60, 7600, ahead=0)
    found = LogMel()(torch.tensor(noise[None], dtype=torch.float32))[0]
    assert found.shape == (40, 20)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_centred_log_mel(noise):
    expected = naive_log_mel(noise, 40, 400, 160, 400, 60, 7600)
    expected -= expected.mean(axis=1, keepdims=True)
    found = CentredLogMel()(torch.tensor(noise[None], dtype=torch.float32))[0]
    assert found.shape == (40, 20)
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_mfcc_is_the_cosine_transform_of_64_bands(noise):
    bands = naive_log_mel(noise, 64, 1024, 512, 1024, 0, 8000)
    rows = [[math.cos(math.pi * k * (m + 0.5) / 64) for m in range(64)] for k in range(40)]
    expected = np.array(rows) @ bands * math.sqrt(2 / 64)
    expected[0] /= math.sqrt(2)
    found = Mfcc()(torch.tensor(noise[None], dtype=torch.float32))[0]
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_every_band_hears_something():
    assert (mel_filters(40, 400, 60, 7600).sum(dim=1) > 0.2).all()


def test_level_and_colour_are_taken_out(noise):
    waveforms = torch.tensor(np.stack([noise, 3 * noise]), dtype=torch.float32)
    quiet, loud = CentredLogMel()(waveforms)
    torch.testing.assert_close(quiet, loud, atol=1e-2, rtol=0)


def test_silence_is_finite_and_a_full_scale_sine_is_far_above_the_floor():
    time = torch.arange(16_000) / 16_000
    waveforms = torch.stack([torch.zeros(16_000), torch.sin(2 * math.pi * 1000 * time)])
    bands = LogMel().power(waveforms)
    assert torch.isfinite(bands).all()
    assert bands[0].max() == pytest.approx(math.log(POWER_FLOOR))
    assert 8.5 < bands[1].max() < 10


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_any_batch_and_length(name):
    front_end = FRONT_ENDS[name](40)
    for count, length in ((3, 16_000), (1, 8_192), (2, 4_000)):
        assert front_end(torch.zeros(count, length)).shape == (count, 40, length // front_end.hop_samples)
    assert not front_end.state_dict()  # constants are derived, never stored
