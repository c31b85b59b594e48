"""Held-out speech and keywords for benchmarks: utterances of chosen speakers, and recordings of keywords in word folders."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.evaluate.stream_build import LEVEL_DB, speech_level_db
from wordprint.evaluate.stream_material import by_speakers, read_background
from wordprint.model import Model
from wordprint.speech.audio import SAMPLE_RATE, read_audio
from wordprint.speech.text import plain_words
from wordprint.spot.best import best_spans
from wordprint.spot.enrollment import Enrollment, Keyword
from wordprint.spot.expect import default_threshold
from wordprint.spot.stream import Spotter
from wordprint.words.tokens import load_tokens

PAUSE_S = 0.5
REFRACTORY_S = 0.75
MOST_PER_HOUR = 20.0
"""Phones are read of what comes near the threshold for so many false alarms."""


def parser(description: str | None) -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("background", type=Path, help="folder that 'prepare', 'validate' or 'align' wrote")
    options.add_argument("keywords", type=Path, nargs="+", help="word folders: recordings that enroll keywords")
    options.add_argument("--speakers", nargs="*", default=(), help="only these of the background: those held out of training")
    options.add_argument("--model", type=Path, default=None, help="default: the one that comes with wordprint")
    options.add_argument("--shots", type=int, default=3)
    options.add_argument("--most", type=int, default=40, help="keywords (default: %(default)s)")
    return options


@dataclass(frozen=True)
class Speech:
    """Utterances at one level, with a pause after each, and what is said in them."""

    samples: list[NDArray[np.float32]]
    texts: list[str]


def read_speech(folder: Path, speakers: tuple[str, ...]) -> Speech:
    items, _ = read_background(folder)
    samples, texts = [], []
    for item in by_speakers(items, speakers):
        heard = item.read()
        gain = 10 ** ((LEVEL_DB - speech_level_db(heard)) / 20)
        samples.append(np.pad(np.clip(heard * gain, -1, 1), (0, round(PAUSE_S * SAMPLE_RATE))).astype(np.float32))
        texts.append(" ".join(plain_words(item.text or "")))
    return Speech(samples, texts)


def mixed(speech: Speech, snr_db: float, noise: Path | None = None) -> Speech:
    """Each utterance over noise that is so much quieter: a stretch of a recording in the folder `noise`, without it two other
    utterances, as of a television."""
    random = np.random.default_rng(0)
    under = speech.samples if noise is None else [read_audio(path) for path in sorted(noise.rglob("*")) if path.is_file()]
    found = []
    for samples in speech.samples:
        below = np.zeros(len(samples), np.float32)
        for one in random.choice(len(under), 1 + (noise is None), replace=False).tolist():
            start = int(random.integers(max(1, len(under[one]) - len(samples))))
            below += np.resize(under[one][start : start + len(samples)], len(samples))
        gain = 10 ** ((speech_level_db(samples) - snr_db - speech_level_db(below)) / 20)
        found.append(np.clip(samples + gain * below, -1, 1).astype(np.float32))
    return Speech(found, speech.texts)


def read_keywords(folders: list[Path], shots: int, most: int) -> dict[str, list[NDArray[np.float32]]]:
    """Recordings by keyword, of those that have more than `shots`, evenly spaced over all."""
    found: dict[str, list[NDArray[np.float32]]] = {}
    for folder in folders:
        tokens = load_tokens(folder)
        for number, token in enumerate(tokens):
            found.setdefault(token.word.replace("_", " "), []).append(tokens.load(number))
    enough = sorted(word for word, recordings in found.items() if len(recordings) > shots)
    places = np.linspace(0, len(enough) - 1, min(most, len(enough))).round().astype(int)
    chosen = [enough[place] for place in places]
    return {word: found[word] for word in chosen}


@dataclass(frozen=True)
class Peaks:
    """The best looks of a keyword where none of its words is said, one in REFRACTORY_S: scores (e,), vectors (e, D), hours."""

    scores: NDArray[np.float64]
    vectors: NDArray[np.float32]
    hours: float


def peaks(model: Model, keywords: list[Keyword], speech: Speech) -> list[Peaks]:
    """What each keyword is most like in the speech, by the looks of the live code, in one pass."""
    known = [replace(keyword, threshold=default_threshold(model, keyword, MOST_PER_HOUR)) for keyword in keywords]
    spotter = Spotter(model, Enrollment(model.name, model.digest, tuple(known)))
    words = [set(plain_words(keyword.keyword)) for keyword in keywords]
    best: list[dict[int, tuple[float, NDArray[np.float32]]]] = [{} for _ in keywords]
    seconds = np.zeros(len(keywords))
    for samples, text in zip(speech.samples, speech.texts, strict=True):
        said = set(text.split())
        asked = [number for number, own in enumerate(words) if not own & said]
        seconds[asked] += len(samples) / SAMPLE_RATE
        for look in spotter.looks(samples):
            event = int(look.end_sample // (REFRACTORY_S * SAMPLE_RATE))
            for number in asked:
                score = float(look.similarities[number])
                if score > best[number].get(event, (-2.0, None))[0]:
                    best[number][event] = (score, look.vector(number).copy())
    found = []
    for events, lasting_s in zip(best, seconds, strict=True):
        scores, vectors = zip(*(events[event] for event in sorted(events)), strict=True)
        found.append(Peaks(np.array(scores), np.stack(vectors), lasting_s / 3600))
    return found


def similarities(model: Model, keyword: Keyword, recordings: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    """How similar each recording is to a keyword (n,)."""
    only = Enrollment(model.name, model.digest, (keyword,))
    return np.array([best_spans(model, only, recording)[0].similarity for recording in recordings])
