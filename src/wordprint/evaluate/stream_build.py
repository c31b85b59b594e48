"""Long streams to look for keywords in: recordings one after the other, at stated levels, with pauses, clean or in babble.

A plan is made once from a seed: order, gains, pauses, and where the babble starts. Streams at another SNR differ in the babble
only. A plan is cut into sessions of ten minutes, each rendered when it is needed, so that memory doesn't grow with the background.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError
from wordprint.records import Interval
from wordprint.speech.audio import SAMPLE_RATE, read_audio, to_float32
from wordprint.speech.trim import find_speech
from wordprint.words.dataset import WordDataset

LEVEL_DB, SPREAD_DB, FLOOR_DB = -26.0, 6.0, -62.0
"""Level of speech, how far it varies from one recording to the next, and the noise floor under everything."""
PAUSE_S = (0.2, 0.6)
SETTLE_S = 1.5
"""Pause after a recording of a keyword: a late detection is not counted as a false alarm of what follows."""
SESSION_S = 600.0
VOICES = 4
"""Speakers that make babble."""
BABBLE_S = 90.0
QUIET_DB = -70.0
"""A recording whose speech is below this holds none."""

Samples = NDArray[np.float32]


@lru_cache(maxsize=2)
def _dataset(path: str) -> WordDataset:
    return WordDataset(path)


@dataclass(frozen=True)
class Item:
    """A stretch of audio to put into a stream, all of it, or `[start_s, end_s)` of the recording.

    `keyword` is set where it is a recording of one, `text` where the transcript is known, `words` where their times are.
    """

    name: str
    speaker: str
    audio: str
    start_s: float
    end_s: float
    keyword: str | None = None
    text: str | None = None
    words: tuple[Interval, ...] = ()
    row: tuple[int, int] | None = None
    """Audio shard and row, where `audio` is a word dataset."""

    def read(self, start_s: float = 0.0, end_s: float | None = None) -> Samples:
        """Samples of `[start_s, end_s)` of it, times counted from its start; raises AudioError where there are none.

        It is decoded from its start, whatever is asked for: MP3 and Opus sound different for a moment after a jump.
        """
        if self.row is not None:
            samples = to_float32(_dataset(self.audio).samples(*self.row))
        else:
            samples = read_audio(self.audio, self.start_s, self.end_s)
        return samples[round(start_s * SAMPLE_RATE) : None if end_s is None else round(end_s * SAMPLE_RATE)]


@dataclass(frozen=True)
class Entry:
    """An item with what was drawn for it."""

    number: int
    item: Item
    gain_db: float
    lead_s: float
    tail_s: float
    babble_at: float
    """Where in the babble it begins, as a share."""


@dataclass(frozen=True)
class Segment:
    """Where an entry lies in the stream, in samples: with its pauses, and the first sample of the recording itself."""

    number: int
    start: int
    end: int
    audio_start: int

    def moved(self, samples: int) -> Segment:
        """The same, so much later."""
        return Segment(self.number, self.start + samples, self.end + samples, self.audio_start + samples)

    def to_json(self) -> dict[str, int]:
        return asdict(self)


def plan(items: Sequence[Item], keywords: Collection[str], seed: int) -> list[list[Entry]]:
    """Sessions of the items in random order; recordings of other keywords than these stay out."""
    generator = np.random.default_rng([seed, 1])
    sessions: list[list[Entry]] = []
    left_s = 0.0
    for number in generator.permutation(len(items)).tolist():
        item = items[number]
        if item.keyword is not None and item.keyword not in keywords:
            continue
        lead_s, tail_s = generator.uniform(*PAUSE_S, 2).tolist()
        gain_db, babble_at = float(generator.uniform(-SPREAD_DB, SPREAD_DB)), float(generator.random())
        entry = Entry(number, item, gain_db, lead_s, SETTLE_S if item.keyword else tail_s, babble_at)
        if left_s <= 0:
            sessions.append([])
            left_s = SESSION_S
        sessions[-1].append(entry)
        left_s -= item.end_s - item.start_s + entry.lead_s + entry.tail_s
    return sessions


def render(
    session: Sequence[Entry], babble: Samples | None, snr_db: float
) -> tuple[Samples, list[Segment], list[tuple[str, AudioError]]]:
    """One session as a stream that starts at 0, where each entry lies in it, and what could not be used."""
    parts, segments, skipped, now = [np.zeros(0, np.float32)], [], [], 0
    for entry in session:
        try:
            piece = render_entry(entry, babble, snr_db)
        except AudioError as error:
            skipped.append((entry.item.name, error))
            continue
        segments.append(Segment(entry.number, now, now + len(piece), now + round(entry.lead_s * SAMPLE_RATE)))
        parts.append(piece)
        now += len(piece)
    return np.concatenate(parts), segments, skipped


def render_entry(entry: Entry, babble: Samples | None, snr_db: float) -> Samples:
    """The recording at its level, faded in and out, between its pauses, over the noise floor (and babble, `snr_db` below it)."""
    samples = entry.item.read()
    level_db = speech_level_db(samples)
    if level_db < QUIET_DB:
        raise AudioError(f"{entry.item.audio} holds no speech (level {level_db:.0f} dB)", reason="silent_audio")
    fade = np.minimum(1, np.arange(1, len(samples) + 1) / 160).astype(np.float32)
    samples = samples * fade * fade[::-1] * np.float32(10 ** ((LEVEL_DB + entry.gain_db - level_db) / 20))
    piece = np.pad(samples, (round(entry.lead_s * SAMPLE_RATE), round(entry.tail_s * SAMPLE_RATE)))
    floor = np.random.default_rng(entry.number).standard_normal(len(piece), np.float32)
    piece = piece + floor * np.float32(10 ** (FLOOR_DB / 20))
    if babble is not None:
        noise = np.resize(np.roll(babble, -int(entry.babble_at * len(babble))), len(piece))
        piece += noise * np.float32(10 ** ((LEVEL_DB + entry.gain_db - snr_db) / 20))
    return np.clip(piece, -1, 1).astype(np.float32)


def speech_level_db(samples: Samples) -> float:
    """Mean level of the 10 ms frames within 30 dB of the loudest, in dB of full scale."""
    frames = samples[: max(160, len(samples) // 160 * 160)]
    power = np.square(np.resize(frames, (max(1, len(frames) // 160), 160)), dtype=np.float64).mean(axis=1)
    return float(10 * np.log10(power[power >= power.max() / 1000].mean() + 1e-12))


def speech_bounds(samples: Samples) -> tuple[int, int]:
    """Onset and offset of the keyword in a recording of it, in samples, as enrollment trims it."""
    speech = find_speech(samples)
    return speech.start_sample, speech.end_sample


def make_babble(voices: Sequence[Sequence[Item]]) -> Samples | None:
    """Several people talking at once, (BABBLE_S,) of RMS 1: the utterances of each one after the other; None without two voices."""
    total = np.zeros(round(BABBLE_S * SAMPLE_RATE), np.float32)
    heard = 0
    for voice in voices:
        said: list[Samples] = []
        for item in voice:
            if sum(map(len, said)) >= len(total):
                break
            try:
                said.append(item.read())
            except AudioError:  # the stream of background reports it where it is used; here another utterance stands in
                continue
        if said:
            speech = np.resize(np.concatenate(said), len(total))
            total += speech / np.float32(np.sqrt(np.mean(speech**2)) + 1e-9)
            heard += 1
    return (total / np.sqrt(np.mean(total**2))).astype(np.float32) if heard > 1 else None


def to_list(sessions: Sequence[Sequence[Entry]], segments: dict[int, Segment]) -> list[dict[str, Any]]:
    """The lines of the published list: what lies where in the stream, in its order, and what was drawn for it."""
    lines = []
    for entry in (entry for session in sessions for entry in session):
        item, placed = entry.item, segments.get(entry.number)
        if placed is not None:
            drawn = {"gain_db": round(entry.gain_db, 3), "lead_s": round(entry.lead_s, 4), "babble_at": round(entry.babble_at, 6)}
            names = {"name": item.name, "speaker": item.speaker, "keyword": item.keyword, "text": item.text}
            lines.append({**names, **placed.to_json(), **drawn})
    return lines
