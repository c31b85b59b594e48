"""From what was heard in a stream to figures: per keyword and for all, with one threshold and with each keyword's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.evaluate.stream_build import Entry, Samples, Segment
from wordprint.evaluate.stream_material import Material, Token, is_background
from wordprint.evaluate.stream_scores import (
    HOUR,
    RATES,
    Decided,
    Looks,
    Places,
    Trial,
    decide,
    hours_once,
    miss_rate,
    missed_interval,
    rate_interval,
    score_trial,
    shared_threshold,
    threshold_at,
)
from wordprint.speech.audio import SAMPLE_RATE


@dataclass(frozen=True)
class Asked:
    """One keyword, enrolled once, and the times it is said that it is asked for: by nobody who enrolled it."""

    keyword: str
    draw: int
    shots: list[Token]
    tested: list[Token]


@dataclass(frozen=True)
class Heard:
    """A stream with the scores (W, L) of everything that was enrolled, in the order of `asked`."""

    name: str
    material: Material
    condition: str
    babble: Samples | None
    sessions: list[list[Entry]]
    segments: dict[int, Segment]
    looks: Looks
    scores: NDArray[np.float32]
    asked: list[Asked]
    draws: int

    @cached_property
    def trials(self) -> list[Trial]:
        """One for each that was asked; of tokens whose item could not be used nothing is asked."""
        places = {keyword: self.background(keyword) for keyword in {one.keyword for one in self.asked}}
        return [
            score_trial(one.keyword, one.draw, self.looks, scores, self.places(one.tested), places[one.keyword])
            for one, scores in zip(self.asked, self.scores, strict=True)
        ]

    def used(self, tokens: Sequence[Token]) -> list[Token]:
        """Those that are in the stream."""
        return [token for token in tokens if token.item in self.segments]

    def places(self, tokens: Sequence[Token]) -> Places:
        """Where the tokens lie in the stream (n, 2)."""
        used = self.used(tokens)
        starts = np.array([self.segments[token.item].audio_start for token in used], np.int64)
        spans_s = np.array([(token.start_s, token.end_s) for token in used]).reshape(-1, 2)
        return np.asarray(starts[:, None] + np.rint(spans_s * SAMPLE_RATE), np.int64)

    def background(self, keyword: str | None) -> Places:
        """Stretches (n, 2) in which the keyword is not said and no recording of any keyword lies; None: of all keywords."""
        clear = []
        for number, segment in self.segments.items():
            if is_background(self.material.items[number], keyword):
                clear.append((segment.start, segment.end))
        return np.array(sorted(clear), np.int64).reshape(-1, 2)

    def decided(self, bars: Sequence[float], trials: Sequence[int]) -> list[Decided]:
        """What the live code decides for these trials, each at its bar."""
        pairs = zip(trials, bars, strict=True)
        return [decide(self.trials[n], self.looks, self.scores[n], bar) for n, bar in pairs]


def describe(heard: Heard) -> dict[str, Any]:
    """The entry of a stream in metrics.json."""
    keywords = sorted({one.keyword for one in heard.asked})
    everything = list(range(len(heard.trials)))
    shared = {rate: shared_threshold(heard.trials, rate) for rate in RATES}
    by_keyword = []
    for keyword in keywords:
        members = [n for n in everything if heard.asked[n].keyword == keyword]
        tokens = _distinct(heard, members)
        by_keyword.append(
            {
                "keyword": keyword,
                "spoken": len(tokens),
                "speakers": len({token.speaker for token in tokens}),
                "background_hours": heard.trials[members[0]].hours,
                "shared": [_point(heard, members, rate, [shared[rate]] * len(members)) for rate in RATES],
                "own": [_point(heard, members, rate, _own(heard, members, rate)) for rate in RATES],
            }
        )
    items = [heard.material.items[number] for number in heard.segments]
    background = [item for item in items if item.keyword is None]
    return {
        "name": heard.name,
        "material": heard.material.kind,
        "condition": heard.condition,
        "hours": sum(segment.end - segment.start for segment in heard.segments.values()) / HOUR,
        "background": {
            "hours": float(np.diff(heard.background(None)).sum() / HOUR),
            "utterances": len(background),
            "speakers": len({item.speaker for item in background}),
            "with_transcript": sum(item.text is not None for item in background),
            "babble_speakers": [voice[0].speaker for voice in heard.material.voices] if heard.babble is not None else [],
        },
        "shots": len(heard.asked[0].shots),
        "draws": heard.draws,
        "spoken": len(_distinct(heard, everything)),
        "shared": [_point(heard, everything, rate, [shared[rate]] * len(everything)) for rate in RATES],
        "own": [_point(heard, everything, rate, _own(heard, everything, rate)) for rate in RATES],
        "keywords": by_keyword,
    }


def _own(heard: Heard, members: Sequence[int], rate: float) -> list[float]:
    return [threshold_at(heard.trials[n].false, heard.trials[n].hours, rate) for n in members]


def _distinct(heard: Heard, members: Sequence[int]) -> set[Token]:
    return {token for n in members for token in heard.used(heard.asked[n].tested)}


def _point(heard: Heard, members: Sequence[int], rate: float, bars: Sequence[float]) -> dict[str, Any]:
    """One operating point: what scores say, and what the live code decides at the same thresholds."""
    trials = [heard.trials[n] for n in members]
    tokens = _distinct(heard, members)
    spoken, inside = len(tokens), sum(token.joined for token in tokens)
    hours, once = sum(trial.hours for trial in trials), hours_once(trials)
    decided = heard.decided(bars, members)
    delays = np.concatenate([one.delays_s for one in decided])
    bar = bars[0] if len(set(bars)) == 1 and np.isfinite(bars[0]) else None
    joined = [np.array([token.joined for token in heard.used(heard.asked[n].tested)], bool) for n in members]
    missed_joined = [np.mean(t.hits[j] <= b) for t, j, b in zip(trials, joined, bars, strict=True) if j.any()]
    inside_sentences = missed_interval(float(np.mean(missed_joined)), inside) | {"spoken": inside} if inside else None
    by_draw = [
        miss_rate([t for t in trials if t.draw == draw], [b for t, b in zip(trials, bars, strict=True) if t.draw == draw])
        for draw in sorted({trial.draw for trial in trials})
    ]
    false = sum(int((trial.false > bar_).sum()) for trial, bar_ in zip(trials, bars, strict=True))
    return {
        "rate": rate,
        "threshold": bar,
        "missed": missed_interval(miss_rate(trials, bars), spoken) | {"std": float(np.std(by_draw))},
        "missed_inside_sentences": inside_sentences,
        "false_alarms": rate_interval(false, hours, once),
        "decided": {
            "missed": missed_interval(float(np.mean([1 - one.found.mean() for one in decided])), spoken),
            "false_alarms": rate_interval(sum(int(one.false.sum()) for one in decided), hours, once),
            "median_delay_s": round(float(np.median(delays)), 3) if len(delays) else None,
        },
    }
