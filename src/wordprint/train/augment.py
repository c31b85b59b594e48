"""Effects on batches of waveforms and features, and the random draws that choose them.

Every effect is a pure function of its arguments, computed where the waveforms are; `draw` makes all the choices of a batch from
one generator. Gains are in dB, frequencies in Hz, positions in samples at 16 kHz.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wordprint.errors import AudioError, InputError
from wordprint.speech.audio import SAMPLE_RATE, read_audio
from wordprint.speech.formats import AUDIO_SUFFIXES
from wordprint.stages.walk import walk
from wordprint.train.options import TrainConfig

Floats = NDArray[np.float32]

EQUALISER_HZ = np.array([50, 200, 500, 1000, 2000, 4000, 8000], np.float64)
"""Where an equaliser curve is set; between, it is linear in log frequency."""

EQUALISER_DB = 4.0
"""Standard deviation of the curve: what separates cheap microphones."""

ROOMS = 200
"""Simulated rooms: exponentially decaying noise after the direct sound."""

RT60_S, DIRECT_DB = (0.05, 0.5), (-2.0, 12.0)
"""Their reverberation times, and their direct-to-reverberant ratios."""

IMPULSE_SAMPLES = SAMPLE_RATE // 2
"""Reverberation kept: half a second from the direct sound on."""

FADE_SAMPLES = SAMPLE_RATE // 100
"""Ramp at both ends of real audio that is followed by zeros: 10 ms, so that a cut isn't heard as a click."""


@dataclass(frozen=True)
class Filters:
    """Choices for `filter_waveforms`: one row for each recording that is filtered."""

    rows: NDArray[np.int64]
    equaliser_db: Floats
    """(rows, 7) gains at EQUALISER_HZ."""
    low_hz: Floats
    """(rows,) lower corner of a telephone line, 0 for none."""
    high_hz: Floats
    """(rows,) upper corner, infinite for none."""
    impulse: NDArray[np.int64]
    """(rows,) which impulse response, −1 for none."""


@dataclass(frozen=True)
class Noises:
    """Choices for `add_noise`: one row for each recording that gets noise."""

    rows: NDArray[np.int64]
    recording: NDArray[np.int64]
    """(rows,) which noise recording, −1 for white noise, −2 for two other rows, `babble`."""
    babble: NDArray[np.int64]
    """(rows, 2)."""
    position: Floats
    """(rows,) where in it, 0–1."""
    snr_db: Floats
    seed: int
    """Of the white noise."""


@dataclass(frozen=True)
class Draw:
    """All choices for one batch of B recordings."""

    speed: Floats
    """(B,) duration after / before; over 1 is slower."""
    position: Floats
    """(B,) where a word starts in the room that the window leaves it, 0–1 (0.5: in the middle)."""
    context_samples: NDArray[np.int64]
    """(B,) real audio kept on either side of the word; silence beyond."""
    level_db: Floats
    """(B,) level of the speech, dB of full scale."""
    filters: Filters
    noises: Noises
    time_masks: Floats
    """(B, masks, 2) start and length, as shares of the window."""
    band_masks: Floats
    """(B, masks, 2) start and length, as shares of the bands."""


@dataclass(frozen=True)
class Sounds:
    """What effects mix in: noise recordings and room impulse responses, each (n,) float32."""

    noises: tuple[Floats, ...] = ()
    impulses: tuple[Floats, ...] = ()
    unread: tuple[str, ...] = ()
    """What is wrong with recordings of the folders that can't be read."""

    @classmethod
    def read(cls, noise: Path | None, rir: Path | None, window_samples: int) -> Sounds:
        """Read both folders; noise shorter than the window is repeated. Raises InputError for a folder without audio."""
        (noises, bad), (rooms, bad_rooms) = _read_folder(noise, "noise"), _read_folder(rir, "room impulse responses")
        looped = tuple(np.resize(sound, max(len(sound), window_samples)) for sound in noises)
        return cls(looped, (*map(_impulse, rooms), *simulated_rooms(ROOMS)), (*bad, *bad_rooms))


def simulated_rooms(count: int, seed: int = 0) -> list[Floats]:
    """Impulse responses of `count` rooms: a direct sound, then noise that decays by 60 dB in RT60_S, with energy 1."""
    rng, time = np.random.default_rng(seed), np.arange(IMPULSE_SAMPLES) / SAMPLE_RATE
    rooms = []
    for _ in range(count):
        tail = rng.standard_normal(IMPULSE_SAMPLES) * np.exp(-math.log(1000) * time / rng.uniform(*RT60_S))
        tail[0] = 0
        tail *= 10 ** (-rng.uniform(*DIRECT_DB) / 20) / np.linalg.norm(tail)
        tail[0] = 1
        rooms.append((tail / np.linalg.norm(tail)).astype(np.float32))
    return rooms


def draw(rng: np.random.Generator, count: int, sounds: Sounds, config: TrainConfig) -> Draw:
    """Choose what happens to each of `count` recordings."""
    slowest = np.log(config.max_speed_change)
    silent = rng.random(count) < config.silence_share
    margins = rng.uniform(0, config.max_margin_s * SAMPLE_RATE, count)
    return Draw(
        speed=np.exp(rng.uniform(-slowest, slowest, count)).astype(np.float32),
        position=np.clip(rng.normal(0.5, config.shift_share, count), 0, 1).astype(np.float32),
        context_samples=np.where(silent, margins, 2**30).astype(np.int64),
        level_db=rng.uniform(config.min_level_db, config.max_level_db, count).astype(np.float32),
        filters=_draw_filters(rng, count, len(sounds.impulses), config),
        noises=_draw_noises(rng, count, len(sounds.noises), config),
        time_masks=_draw_masks(rng, count, config.masks, config.max_time_mask),
        band_masks=_draw_masks(rng, count, config.masks, config.max_band_mask),
    )


def change_speed(waveforms: Tensor, speed: Tensor, window_samples: int) -> Tensor:
    """Read (B, M) from its first sample on at 1/`speed` (B,) of the rate, by linear interpolation: (B, window_samples)."""
    places = torch.arange(window_samples, device=waveforms.device) / speed[:, None]
    before = places.long().clamp(max=waveforms.shape[1] - 2)
    share = places - before
    return torch.lerp(waveforms.gather(1, before), waveforms.gather(1, before + 1), share)


def fade(waveforms: Tensor, first: Tensor, last: Tensor, ramp_samples: int = FADE_SAMPLES) -> Tensor:
    """Ramp (B, N) up after sample `first` (B,) and down before sample `last` (B,), where real audio begins and ends."""
    time = torch.arange(waveforms.shape[1], device=waveforms.device)
    rising = (time - first[:, None]) / ramp_samples
    falling = (last[:, None] - time) / ramp_samples
    return waveforms * torch.minimum(rising, falling).clamp(0, 1)


def set_level(waveforms: Tensor, level_db: Tensor, heard: Tensor) -> Tensor:
    """Scale (B, N) so that where real audio is, `heard` (B, N), it has the RMS level `level_db` (B,), in dB of full scale."""
    return waveforms * 10 ** ((level_db - _level_db(waveforms, heard)) / 20)[:, None]


def _level_db(waveforms: Tensor, heard: Tensor) -> Tensor:
    """RMS level (B,) of (B, N) where it is `heard`, -100 dB at least."""
    power = (waveforms.square() * heard).sum(dim=1) / heard.sum(dim=1).clamp(min=1)
    return 10 * torch.log10(power.clamp(min=1e-10))


def filter_waveforms(waveforms: Tensor, filters: Filters, impulses: Sequence[Floats]) -> Tensor:
    """Colour, band-limit and reverberate the chosen rows of (B, N), in one pass over their spectra."""
    if not len(filters.rows):
        return waveforms
    length, on = waveforms.shape[1], waveforms.device
    n_fft = _fast_length(length + (IMPULSE_SAMPLES if impulses else 0))
    hertz, rows = np.fft.rfftfreq(n_fft, 1 / SAMPLE_RATE), torch.from_numpy(filters.rows).to(on)
    response = equaliser(hertz, torch.from_numpy(filters.equaliser_db).to(on))
    telephone = np.flatnonzero(filters.low_hz)
    low_hz, high_hz = (torch.from_numpy(corner[telephone]).to(on) for corner in (filters.low_hz, filters.high_hz))
    response[telephone] *= band_pass(hertz, low_hz, high_hz)
    spectra = torch.fft.rfft(waveforms[rows], n_fft) * response
    rooms = np.flatnonzero(filters.impulse >= 0)
    if len(rooms):
        played = np.zeros((len(rooms), IMPULSE_SAMPLES), np.float32)
        for row, impulse in enumerate(filters.impulse[rooms].tolist()):
            played[row, : len(impulses[impulse])] = impulses[impulse]
        spectra[rooms] *= torch.fft.rfft(torch.from_numpy(played).to(on), n_fft)
    filtered = waveforms.clone()
    filtered[rows] = torch.fft.irfft(spectra, n_fft)[:, :length]
    return filtered


def equaliser(hertz: NDArray[np.floating], gains_db: Tensor) -> Tensor:
    """Magnitudes (rows, bins) of curves that have gains (rows, 7) at EQUALISER_HZ, linear in log frequency between."""
    at, places = np.log(hertz + 1), np.log(EQUALISER_HZ)
    upper = np.clip(np.searchsorted(places, at), 1, len(places) - 1)
    share = np.clip((at - places[upper - 1]) / (places[upper] - places[upper - 1]), 0, 1).astype(np.float32)
    above = torch.from_numpy(share).to(gains_db.device)
    curves = gains_db[:, upper - 1] * (1 - above) + gains_db[:, upper] * above
    return torch.exp(curves * (math.log(10) / 20))


def band_pass(hertz: NDArray[np.floating], low_hz: Tensor, high_hz: Tensor) -> Tensor:
    """Smooth magnitudes (rows, bins): −6 dB at the corners (rows,), steep above (codec) and gentle below (coupling)."""
    at = torch.from_numpy(np.maximum(hertz, 1.0).astype(np.float32)).to(low_hz.device)
    return 1 / (1 + (low_hz[:, None] / at) ** 8) / (1 + (at / high_hz[:, None]) ** 16)


def add_noise(waveforms: Tensor, noises: Noises, recordings: Sequence[Floats], heard: Tensor) -> Tensor:
    """Add noise to the chosen rows of (B, N) at their SNR, each against the other where real audio is: `heard` (B, N)."""
    if not len(noises.rows):
        return waveforms
    length, on = waveforms.shape[1], waveforms.device
    rows, seed = torch.from_numpy(noises.rows).to(on), torch.Generator(on).manual_seed(noises.seed)
    noise = torch.randn((len(rows), length), generator=seed, device=on)
    recorded = np.flatnonzero(noises.recording >= 0)
    if len(recorded):
        pieces = [
            recordings[index][(start := int(position * (len(recordings[index]) - length))) : start + length]
            for index, position in zip(noises.recording[recorded].tolist(), noises.position[recorded].tolist(), strict=True)
        ]
        noise[recorded] = torch.from_numpy(np.stack(pieces)).to(on)
    talking = noises.recording == -2
    first, second = torch.from_numpy(noises.babble[talking].T).to(on)
    sounding = noise != 0
    noise[talking], sounding[talking] = waveforms[first] + waveforms[second], heard[first] | heard[second]
    level_db = _level_db(waveforms[rows], heard[rows])
    scaled = set_level(noise, level_db - torch.from_numpy(noises.snr_db).to(on), sounding)
    return waveforms.index_add(0, rows, scaled)


def mask_features(features: Tensor, time_masks: Tensor, band_masks: Tensor) -> Tensor:
    """SpecAugment (Park et al., 2019): set stretches of time and of bands of (B, F, T) to 0, the mean."""
    _, bands, frames = features.shape
    in_time = _covered(time_masks, frames)[:, None, :]
    in_bands = _covered(band_masks, bands)[:, :, None]
    return features.masked_fill(in_time | in_bands, 0.0)


def _covered(masks: Tensor, size: int) -> Tensor:
    """(B, size) bool: which places any of the masks (B, masks, 2) covers."""
    places = (torch.arange(size, device=masks.device) + 0.5) / size
    start, length = masks[:, :, :1], masks[:, :, 1:]
    return ((places >= start) & (places < start + length)).any(dim=1)


def _draw_filters(rng: np.random.Generator, count: int, impulses: int, config: TrainConfig) -> Filters:
    shares = (config.filter_share, config.telephone_share, config.room_share if impulses else 0)
    coloured, telephone, room = (rng.random(count) < share for share in shares)
    rows = np.flatnonzero(coloured | telephone | room)
    curves = rng.normal(0, EQUALISER_DB, (count, len(EQUALISER_HZ))) * coloured[:, None]
    low, high, impulse = rng.uniform(80, 300, count), rng.uniform(3000, 4000, count), rng.integers(max(impulses, 1), size=count)
    return Filters(
        rows=rows,
        equaliser_db=curves.astype(np.float32)[rows],
        low_hz=np.where(telephone, low, 0).astype(np.float32)[rows],
        high_hz=np.where(telephone, high, np.inf).astype(np.float32)[rows],
        impulse=np.where(room, impulse, -1)[rows],
    )


def _draw_noises(rng: np.random.Generator, count: int, recordings: int, config: TrainConfig) -> Noises:
    rows = np.flatnonzero(rng.random(count) < config.noise_share)
    kind = rng.random(len(rows))
    white = kind < (config.white_noise_share if recordings else 1)
    recording = np.where(white, -1, rng.integers(max(recordings, 1), size=len(rows)))
    babble = (rows[:, None] + rng.integers(1, max(count, 2), (len(rows), 2))) % count  # never the row itself
    return Noises(
        rows=rows,
        recording=np.where(kind > 1 - config.babble_share, -2, recording),
        babble=babble,
        position=rng.random(len(rows)).astype(np.float32),
        snr_db=rng.uniform(config.min_snr_db, config.max_snr_db, len(rows)).astype(np.float32),
        seed=int(rng.integers(2**31)),
    )


def _draw_masks(rng: np.random.Generator, count: int, masks: int, longest: float) -> Floats:
    lengths = rng.uniform(0, longest, (count, masks))
    starts = rng.uniform(0, 1, (count, masks)) * (1 - lengths)
    return np.stack([starts, lengths], axis=2).astype(np.float32)


def _read_folder(folder: Path | None, what: str) -> tuple[list[Floats], list[str]]:
    """Its recordings, and what is wrong with those that can't be read."""
    if folder is None:
        return [], []
    paths = sorted(Path(place, name) for place, names in walk(folder, hidden=True) for name in names)
    paths = [path for path in paths if path.suffix.lower() in AUDIO_SUFFIXES]
    sounds, problems = [], []
    for path in paths:
        try:
            sounds.append(read_audio(path))
        except AudioError as error:
            problems.append(str(error))
    if not sounds:
        first = f" that can be read, the first: {problems[0]}" if problems else ""
        raise InputError(f"{folder} holds no recordings{first}", expected=f"a folder of {what}")
    return sounds, problems


def _impulse(sound: Floats) -> Floats:
    """From 1 ms before the direct sound, at most IMPULSE_SAMPLES, with energy 1."""
    direct = int(np.abs(sound).argmax())
    kept = sound[max(0, direct - SAMPLE_RATE // 1000) :][:IMPULSE_SAMPLES]
    return (kept / max(float(np.linalg.norm(kept)), 1e-9)).astype(np.float32)


def _fast_length(length: int) -> int:
    """The next multiple of a power of two that an FFT likes: 2^n or 3·2^n."""
    power = 1 << (length - 1).bit_length()
    return power * 3 // 4 if power * 3 // 4 >= length else power
