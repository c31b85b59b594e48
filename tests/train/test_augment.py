"""Each effect against what it must do to a signal that is known; draws are a function of the generator."""

import dataclasses

import numpy as np
import pytest
import torch

from wordprint.errors import InputError
from wordprint.speech.audio import write_audio
from wordprint.train import augment
from wordprint.train.augment import Filters, Noises, Sounds
from wordprint.train.options import TrainConfig

RATE = 16_000


def tone(hertz, samples=4096):
    return torch.sin(2 * torch.pi * hertz * torch.arange(samples) / RATE)


def level_db(waveform):
    return 10 * float(torch.log10(waveform.square().mean()))


def filters(count, **change):
    values = {
        "rows": np.arange(count),
        "equaliser_db": np.zeros((count, 7), np.float32),
        "low_hz": np.zeros(count, np.float32),
        "high_hz": np.full(count, np.inf, np.float32),
        "impulse": np.full(count, -1),
    }
    return Filters(**{**values, **change})


def noise_of(recording, **change):
    values = {
        "rows": np.arange(len(recording)),
        "recording": np.array(recording),
        "babble": np.zeros((len(recording), 2), np.int64),
        "position": np.zeros(len(recording), np.float32),
        "snr_db": np.zeros(len(recording), np.float32),
        "seed": 7,
    }
    return Noises(**{**values, **change})


def test_speed_agrees_with_a_loop():
    waveforms = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 60)).astype(np.float32))
    speed = torch.tensor([1.0, 0.8, 1.25])
    found = augment.change_speed(waveforms, speed, 40)
    for row in range(3):
        for n in range(40):
            place = n / float(speed[row])
            k = int(place)
            expected = waveforms[row, k] * (1 - (place - k)) + waveforms[row, k + 1] * (place - k)
            assert found[row, n] == pytest.approx(float(expected), abs=1e-4)


def test_fade_ramps_where_real_audio_begins_and_ends():
    faded = augment.fade(torch.ones(2, 10), torch.tensor([2.0, -50.0]), torch.tensor([8.0, 60.0]), ramp_samples=2)
    assert faded[0].tolist() == [0, 0, 0, 0.5, 1, 1, 1, 0.5, 0, 0]
    assert faded[1].tolist() == [1] * 10


def test_level_counts_only_what_is_heard():
    waveforms = torch.zeros(1, 1000)
    waveforms[0, :100] = 0.3
    found = augment.set_level(waveforms, torch.tensor([-20.0]), waveforms != 0)
    assert level_db(found[0, :100]) == pytest.approx(-20, abs=1e-3)


def test_levels_and_noise_of_filtered_recordings_count_only_what_is_heard():
    """A filter leaves no digital silence."""
    waveforms = torch.zeros(2, 8000)
    waveforms[:, 2000:4000] = tone(500, 2000)
    heard = waveforms != 0
    room = np.random.default_rng(0).normal(size=300).astype(np.float32)
    filtered = augment.filter_waveforms(waveforms, filters(2, impulse=np.array([0, -1])), [room])
    found = augment.set_level(filtered, torch.tensor([-20.0, -30.0]), heard)
    assert [level_db(row[2000:4000]) for row in found] == pytest.approx([-20, -30], abs=1e-2)
    noises = noise_of([-1, -2], babble=np.array([[0, 0], [0, 0]]), snr_db=np.array([3.0, 6.0], np.float32))
    noise = augment.add_noise(found, noises, [], heard) - found
    assert level_db(noise[0]) == pytest.approx(-23, abs=0.1)
    assert level_db(noise[1, 2000:4000]) == pytest.approx(-36, abs=1e-2)


def test_no_filter_changes_nothing_and_only_chosen_rows_change():
    waveforms = torch.stack([tone(1000), tone(500), tone(3000)])
    flat = augment.filter_waveforms(waveforms, filters(1, rows=np.array([1])), [])
    torch.testing.assert_close(flat, waveforms, atol=1e-5, rtol=0)
    loud = filters(1, rows=np.array([1]), equaliser_db=np.full((1, 7), 6.0, np.float32))
    found = augment.filter_waveforms(waveforms, loud, [])
    torch.testing.assert_close(found[[0, 2]], waveforms[[0, 2]])
    assert level_db(found[1]) - level_db(waveforms[1]) == pytest.approx(6, abs=0.1)


def test_telephone_keeps_its_band():
    line = filters(3, low_hz=np.full(3, 300, np.float32), high_hz=np.full(3, 3400, np.float32))
    before = torch.stack([tone(60), tone(1000), tone(6000)])
    after = augment.filter_waveforms(before, line, [])
    assert level_db(after[0]) < level_db(before[0]) - 30
    assert level_db(after[1]) == pytest.approx(level_db(before[1]), abs=0.2)
    assert level_db(after[2]) < level_db(before[2]) - 30


def test_reverberation_is_a_convolution():
    impulse = np.random.default_rng(0).normal(size=200).astype(np.float32)
    waveforms = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 1500)).astype(np.float32))
    found = augment.filter_waveforms(waveforms, filters(1, impulse=np.array([0])), [impulse])[0]
    np.testing.assert_allclose(found, np.convolve(waveforms[0], impulse)[:1500], atol=1e-3)


def test_noise_has_its_ratio_to_the_speech():
    speech = torch.zeros(2, 8000)
    speech[:, 2000:6000] = tone(500, 4000) * 0.1
    recording = np.random.default_rng(0).normal(size=20_000).astype(np.float32)
    noises = noise_of([0, -1], position=np.array([0.5, 0.0], np.float32), snr_db=np.array([10.0, 0.0], np.float32))
    noise = augment.add_noise(speech, noises, [recording], speech != 0) - speech
    for row, snr_db in ((0, 10), (1, 0)):
        assert level_db(speech[row, 2000:6000]) - level_db(noise[row]) == pytest.approx(snr_db, abs=0.1)
    start = int(0.5 * (20_000 - 8000))
    shape = np.corrcoef(noise[0], recording[start : start + 8000])[0, 1]
    assert shape == pytest.approx(1, abs=1e-4)


def test_babble_is_two_other_recordings():
    speech = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (4, 2000)).astype(np.float32))
    speech[3] *= 5
    noises = noise_of([-2, -1], rows=np.array([2, 0]), babble=np.array([[3, 1], [0, 0]]), snr_db=np.array([6.0, 0.0], np.float32))
    noise = augment.add_noise(speech, noises, [], speech != 0) - speech
    assert (noise[[1, 3]] == 0).all()
    assert np.corrcoef(noise[2], speech[3] + speech[1])[0, 1] == pytest.approx(1, abs=1e-4)
    assert level_db(speech[2]) - level_db(noise[2]) == pytest.approx(6, abs=0.01)


def test_no_recording_is_its_own_babble():
    config = dataclasses.replace(TrainConfig(), noise_share=1.0, babble_share=1.0)
    for count in (2, 3, 9):
        noises = augment.draw(np.random.default_rng(count), count, Sounds(), config).noises
        assert (noises.recording == -2).all()
        assert ((noises.babble >= 0) & (noises.babble < count)).all()
        assert (noises.babble != noises.rows[:, None]).all()
        if count == 9:
            assert set(((noises.babble - noises.rows[:, None]) % count).flat) <= set(range(1, count))


def test_the_equaliser_is_linear_in_log_frequency():
    gains = np.random.default_rng(0).normal(0, 6, (3, 7)).astype(np.float32)
    hertz = np.fft.rfftfreq(3000, 1 / RATE)
    expected = [10 ** (np.interp(np.log(hertz + 1), np.log(augment.EQUALISER_HZ), row) / 20) for row in gains]
    np.testing.assert_allclose(augment.equaliser(hertz, torch.from_numpy(gains)), expected, rtol=1e-4)


def test_simulated_rooms_decay_behind_a_direct_sound():
    rooms = augment.simulated_rooms(40)
    assert all(room.shape == (augment.IMPULSE_SAMPLES,) and room.dtype == np.float32 for room in rooms)
    np.testing.assert_allclose([np.square(room).sum() for room in rooms], 1, rtol=1e-4)
    ratios_db = np.array([20 * np.log10(room[0] / np.linalg.norm(room[1:])) for room in rooms])
    low, high = augment.DIRECT_DB
    assert ((ratios_db > low - 0.01) & (ratios_db < high + 0.01)).all()
    assert np.ptp(ratios_db) > 0.7 * (high - low)
    rt60_s = []
    for room in rooms:
        powers = np.square(room[1 : 1 + 1600].astype(np.float64)).reshape(16, 100).sum(1)  # 0.1 s in pieces of 6 ms
        slope = np.polyfit(np.arange(16) * 100 / RATE, 10 * np.log10(np.maximum(powers, 1e-12)), 1)[0]
        rt60_s.append(-60 / slope)
    shortest, longest = augment.RT60_S
    assert shortest / 2 < min(rt60_s) < 3 * shortest
    assert longest / 2 < max(rt60_s) < 2 * longest
    again = augment.simulated_rooms(40)
    assert all((one == two).all() for one, two in zip(rooms, again, strict=True))


def test_masks_cover_time_and_bands():
    masked = augment.mask_features(torch.ones(1, 10, 20), torch.tensor([[[0.5, 0.1]]]), torch.tensor([[[0.0, 0.2]]]))
    expected = torch.ones(10, 20)
    expected[:2] = 0
    expected[:, 10:12] = 0
    assert torch.equal(masked[0], expected)


def test_draws_depend_on_the_generator_alone_and_stay_in_range():
    config = dataclasses.replace(TrainConfig(), min_snr_db=5, max_snr_db=15, max_speed_change=1.2, silence_share=0.5)
    sounds = Sounds((np.ones(9, np.float32),) * 2, (np.ones(9, np.float32),))
    one, two = (augment.draw(np.random.default_rng(5), 400, sounds, config) for _ in range(2))
    np.testing.assert_array_equal(one.speed, two.speed)
    np.testing.assert_array_equal(one.noises.recording, two.noises.recording)
    assert one.speed.min() > 1 / 1.2 - 1e-6
    assert one.speed.max() < 1.2 + 1e-6
    assert 0.4 < (one.context_samples < RATE).mean() < 0.6
    assert one.noises.snr_db.min() >= 5
    assert set(one.noises.recording) == {-2, -1, 0, 1}
    assert set(one.filters.impulse) == {-1, 0}
    bare = (one.filters.equaliser_db == 0).all(axis=1) & (one.filters.low_hz == 0) & (one.filters.impulse < 0)
    assert not bare.any()  # each row that is filtered has something that filters it
    assert ((one.filters.low_hz > 0) == np.isfinite(one.filters.high_hz)).all()
    assert (one.time_masks.sum(axis=2) <= 1).all()


def test_sounds_are_read_from_folders(tmp_path):
    write_audio(tmp_path / "hum.wav", np.full(3000, 0.1, np.float32), 8000)
    room = np.zeros(4000, np.float32)
    room[1000] = 0.9
    write_audio(tmp_path / "rooms/hall.wav", room) if (tmp_path / "rooms").mkdir() is None else None
    (tmp_path / "rooms/broken.wav").write_text("no audio")
    sounds = Sounds.read(None, tmp_path / "rooms", 16_000)
    assert sounds.noises == ()
    assert sounds.impulses[0][16] == pytest.approx(1, abs=1e-3)  # the direct sound, 1 ms from the start
    assert len(sounds.impulses) == 1 + augment.ROOMS
    assert [problem.split("/")[-1].split(" ")[0] for problem in sounds.unread] == ["broken.wav"]
    assert len(Sounds.read(tmp_path, None, 16_000).noises[0]) == 16_000
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no recordings"):
        Sounds.read(tmp_path / "empty", None, 16_000)
