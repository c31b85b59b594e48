"""Any recording becomes 16 kHz mono float, or an error with a reason."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from wordprint.errors import AudioError
from wordprint.speech.audio import SAMPLE_RATE, probe_audio, read_audio, stream_audio, to_float32, to_int16, write_audio


def tone(rate: int, seconds: float = 1.0, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


def level_at(samples: np.ndarray, hertz: float) -> float:
    """Amplitude of one frequency, by projection."""
    phase = np.exp(-2j * np.pi * hertz * np.arange(len(samples)) / SAMPLE_RATE)
    return 2 * abs(np.mean(samples * phase))


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_any_rate_and_format(tmp_path, rate, ending):
    path = tmp_path / f"tone.{ending}"
    soundfile.write(path, tone(rate), rate)
    samples = read_audio(path)
    assert samples.dtype == np.float32
    assert abs(len(samples) - SAMPLE_RATE) < 0.1 * SAMPLE_RATE
    middle = samples[4000:12000]
    assert level_at(middle, 440.0) == pytest.approx(0.5, abs=0.03)
    assert level_at(middle, 1000.0) < 0.02


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_any_depth(tmp_path, subtype):
    soundfile.write(tmp_path / "tone.wav", tone(16_000), 16_000, subtype=subtype)
    assert np.abs(read_audio(tmp_path / "tone.wav") - tone(16_000)).max() < 0.01


def test_channels_are_averaged(tmp_path):
    left, right, rear = np.full(1600, 0.3), np.full(1600, 0.6), np.full(1600, -0.3)
    soundfile.write(tmp_path / "three.wav", np.stack([left, right, rear], axis=1), 16_000)
    assert read_audio(tmp_path / "three.wav") == pytest.approx(0.2, abs=1e-3)
    assert probe_audio(tmp_path / "three.wav").channels == 3


def test_a_stretch_is_read_by_seconds(tmp_path):
    ramp = np.arange(32_000, dtype=np.float32) / 32_000
    soundfile.write(tmp_path / "ramp.flac", ramp, 16_000, subtype="PCM_24")
    assert read_audio(tmp_path / "ramp.flac", 0.5, 1.25) == pytest.approx(ramp[8_000:20_000], abs=1e-4)


def test_opus_is_read(tmp_path):
    soundfile.write(tmp_path / "tone.opus", tone(48_000), 48_000, format="OGG", subtype="OPUS")
    assert level_at(read_audio(tmp_path / "tone.opus")[4000:12000], 440.0) == pytest.approx(0.5, abs=0.05)


def test_each_kind_of_bad_audio_has_its_reason(tmp_path):
    (tmp_path / "random.flac").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "zero_bytes.wav").write_bytes(b"")
    soundfile.write(tmp_path / "no_samples.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan, 0.1]), 16_000, subtype="FLOAT")
    reasons = {}
    for name in ("random.flac", "zero_bytes.wav", "no_samples.wav", "nan.wav", "not_there.wav"):
        with pytest.raises(AudioError) as error:
            read_audio(tmp_path / name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)
        reasons[name] = error.value.reason
    assert reasons == {
        "random.flac": "unreadable_audio",
        "zero_bytes.wav": "unreadable_audio",
        "no_samples.wav": "empty_audio",
        "nan.wav": "non_finite_audio",
        "not_there.wav": "missing_audio",
    }


@pytest.mark.parametrize("read", [probe_audio, read_audio, lambda path: list(stream_audio(path))])
@pytest.mark.parametrize("where", ["pathlib.Path.stat", "builtins.open"])
def test_audio_that_may_not_be_read_is_bad_audio(tmp_path, monkeypatch, read, where):
    path = tmp_path / "locked.wav"
    soundfile.write(path, tone(16_000), 16_000)

    def refuses(*arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(where, refuses)
        with pytest.raises(AudioError) as error:
            read(path)
    assert error.value.reason == "unreadable_audio"
    assert str(error.value) == f"{path} can't be read: Permission denied; check the file and its permissions"


def test_int16_round_trip_and_clipping(tmp_path):
    integers = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    assert np.array_equal(to_int16(to_float32(integers)), integers)
    assert to_int16(np.array([-2.0, 2.0], dtype=np.float32)).tolist() == [-32768, 32767]
    write_audio(tmp_path / "a.flac", integers)
    assert np.array_equal(to_int16(read_audio(tmp_path / "a.flac")), integers)
