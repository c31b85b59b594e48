"""Shots: what a recording holds, how good it is, and which recordings are refused."""

from __future__ import annotations

import numpy as np
import pytest

from toy_model import RATE, padded, word
from wordprint import Model
from wordprint.errors import EnrollmentError
from wordprint.speech.audio import read_audio, write_audio
from wordprint.speech.trim import find_speech
from wordprint.spot.enroll import enroll, make_keyword
from wordprint.spot.shots import make_shots, read_takes


def quiet(seconds: float, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1e-3, round(seconds * RATE)).astype(np.float32)


def test_three_sayings_in_one_file_are_three_shots(model):
    samples = np.concatenate([quiet(0.4), *(np.concatenate([word("red", seed=seed), quiet(0.6)]) for seed in range(3))])
    takes, rejected = read_takes(model, "red", [samples], RATE)
    assert [take.take for take in takes] == ["1 of 3", "2 of 3", "3 of 3"]
    assert not rejected
    starts_s = [take.speech.start_sample / RATE for take in takes]
    assert starts_s == pytest.approx([0.4, 1.5, 2.6], abs=0.08)
    keyword = make_keyword(model, "red", [samples], 0.9)
    assert [shot.name for shot in keyword.shots] == [f"recording 1 ({n} of 3)" for n in (1, 2, 3)]


@pytest.mark.parametrize("pause_s", [0.16, 0.2, 0.28])
def test_sayings_with_short_pauses_between_are_shots_too(model, pause_s):
    pieces = [np.concatenate([word("red", seed=seed), quiet(pause_s)]) for seed in range(3)]
    samples = np.concatenate([quiet(0.4), *pieces, quiet(0.4)])
    takes, _ = read_takes(model, "red", [samples], RATE)
    assert [take.take for take in takes] == ["1 of 3", "2 of 3", "3 of 3"]
    (whole,), _ = read_takes(model, "red red red", [samples], RATE)  # which is said once
    assert whole.speech.duration_s == pytest.approx(3 * 0.5 + 2 * pause_s, abs=0.15)
    phrase = np.concatenate([quiet(0.4), word("red"), quiet(pause_s), word("blue"), quiet(0.4)])
    (one,), _ = read_takes(model, "red blue", [phrase], RATE)
    assert one.take == ""


def test_other_speech_is_left_out_and_said_so(model):
    samples = np.concatenate([quiet(0.4), word("red", 0.6), quiet(0.7), word("blue", 0.4, level=0.1), quiet(0.4)])
    (take,), _ = read_takes(model, "red", [samples], RATE)
    (shot,) = make_shots([take])
    assert (shot.start_s, shot.end_s) == pytest.approx((0.4, 1.0), abs=0.08)
    assert shot.warnings == ("other speech at 1.6–2.2 s is left out",)


def test_noise_is_measured_and_told(model):
    noisy = padded(word("red")) + np.random.default_rng(1).normal(0, 0.05, round(1.3 * RATE)).astype(np.float32)
    loud, clean = (make_shots(read_takes(model, "red", [samples], RATE)[0])[0] for samples in (noisy, padded(word("red"))))
    assert loud.snr_db == pytest.approx(20 * np.log10(0.3 * np.sqrt(1 / 6) / 0.05), abs=3)
    assert [line.split(":")[0] for line in loud.warnings] == ["noisy"]
    assert clean.snr_db > 35
    assert not clean.warnings


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (np.random.default_rng(0).normal(0, 0.1, 2 * RATE), "holds no speech that stands out"),
        (padded(word("red", 0.02)), "holds 0.1. s of sound, too little for a word"),
        (padded(np.concatenate([word("red", 1.0)] * 4)), r"holds 4\.\d s of speech, more than 3 s"),
        (np.zeros(RATE), "is silent"),
    ],
    ids=["white noise", "too short", "too long", "silence"],
)
def test_what_is_no_keyword_is_refused(model, samples, why):
    with pytest.raises(EnrollmentError, match=f"no usable recording of 'red': recording 1 {why}"):
        enroll(model, "red", [samples.astype(np.float32)])


def test_little_speech_is_warned_of(model):
    (shot,) = enroll(model, "red", [padded(word("red", 0.06))]).keywords[0].shots
    assert shot.warnings[0].startswith("short: 0.1")


def tune(seconds: float) -> np.ndarray:
    """Three tones, then a rest of 0.9 s, again and again."""
    bars = [[*(word(name, 0.4, seed=seed) for name in ("red", "blue", "green")), quiet(0.9, seed)] for seed in range(20)]
    return np.resize(np.concatenate([piece for bar in bars for piece in bar]), round(seconds * RATE))


@pytest.mark.parametrize("as_file", [False, True])
def test_ten_minutes_of_music_are_refused_unheard(model, tmp_path, monkeypatch, as_file):
    monkeypatch.setattr(model, "frames", None)
    recording = tmp_path / "tune.flac" if as_file else tune(600)
    if as_file:
        write_audio(recording, tune(600))
        monkeypatch.setattr("wordprint.spot.shots.read_audio", None)
    with pytest.raises(EnrollmentError, match=r"lasts 600 s, more than 60 s; cut the sayings of the keyword out of it"):
        enroll(model, "red", [recording])


def test_a_recording_is_encoded_once_for_all_its_stretches(model, monkeypatch):
    samples, frames, heard = tune(55), model.frames, []
    monkeypatch.setattr(model, "frames", lambda given: heard.append(len(given)) or frames(given))
    takes, _ = read_takes(model, "red", [samples], RATE)
    assert len(takes) > 10
    assert len(heard) == 1
    for take in takes[::5]:
        assert np.array_equal(take.vector, model.vector(samples, take.speech))


def test_quiet_recordings_are_told(model):
    loud, quiet_one = (make_shots(read_takes(model, "red", [padded(word("red")) * level], RATE)[0])[0] for level in (0.1, 0.04))
    assert (loud.level_db, quiet_one.level_db) == pytest.approx((-38, -46), abs=1)
    assert not loud.warnings
    assert quiet_one.warnings == ("quiet: its loudest part is at -46 dB of full scale: speak louder or nearer",)


def test_speech_that_is_cut_off_is_told(model):
    whole = padded(word("red", 0.8), before_s=0.5, after_s=0.5)
    soft = whole[round(0.5 * RATE) :]  # begins with the recording, and softly
    for says, samples in (("", whole), ("", soft), ("begins", whole[11_200:]), ("ends", whole[:14_400])):
        (shot,) = make_shots(read_takes(model, "red", [samples], RATE)[0])
        line = f"speech {says} with the recording and may be cut off: leave half a second of quiet before and after it"
        assert shot.warnings == ((line,) if says else ())
    (shot,) = make_shots(read_takes(model, "red", [whole[11_200:14_400]], RATE)[0])
    assert shot.warnings[0].startswith("speech begins and ends with the recording")


def test_most_real_recordings_that_are_cut_are_told_and_few_that_are_not(shared_data):
    """Of each ten recordings of a phrase; what is cut loses the first or last 40 % of its speech."""
    model, told = Model(), {"whole": 0, "start": 0, "end": 0}
    folders = [shared_data / "keywords" / "custom_phrases" / name for name in ("hey_archie", "how_are_you", "goodnight")]
    files = [file for folder in folders for file in sorted(folder.iterdir())[:10]]
    for samples in map(read_audio, files):
        speech = find_speech(samples)
        part = round(0.4 * (speech.end_sample - speech.start_sample))
        cuts = {"whole": samples, "start": samples[speech.start_sample + part :], "end": samples[: speech.end_sample - part]}
        for name, cut in cuts.items():
            takes, _ = read_takes(model, "x", [cut], RATE)
            told[name] += any("cut off" in line for shot in make_shots(takes) for line in shot.warnings)
    assert told["whole"] <= 2  # which were cut off when they were made
    assert min(told["start"], told["end"]) > len(files) / 2
