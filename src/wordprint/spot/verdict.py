"""What there is to say about a keyword that was just enrolled: what to do better, and what to expect of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.goodness import codes_of
from wordprint.model import Model
from wordprint.speech.lexicon import Pronunciation
from wordprint.spot.background import Heard
from wordprint.spot.confuse import Confusable, confusable
from wordprint.spot.enrollment import Keyword, plain_name
from wordprint.spot.expect import Expected, expected
from wordprint.spot.options import SpotConfig
from wordprint.spot.pronounce import as_text, looked_up
from wordprint.spot.sayings import SHARES, sayings
from wordprint.spot.shots import DOUBTFUL
from wordprint.stages.units import readable_duration

FEW_PHONES, MANY_PHONES = 4, 14
"""A keyword of fewer phones fires often; one of more is hard to say the same way twice."""
SOUNDS_LIKE = 0.25
"""A recording less similar than this to its own spelling holds something else."""
SOUNDS_MORE, SURELY = 0.25, 0.5
"""So much more similar to another spelling a recording must be to be called so, and so similar at least."""
MOST_PER_HOUR = 3600 / SpotConfig().refractory_s
"""A keyword can't be reported more often."""
SHOWN_PER_HOUR = (10.0, 1.0, 0.1)
"""False alarms per hour whose thresholds are told."""
OFTEN = 0.5
"""A keyword that is expected to miss so many of its sayings needs mending."""
NEAR, NAMED = 0.02, 5
"""Texts whose spelling is this far below the threshold fire now and then; so many are named."""


@dataclass(frozen=True)
class Verdict:
    """`problems` say what went wrong and what to do; `facts` what to expect."""

    keyword: Keyword
    problems: tuple[str, ...]
    facts: tuple[str, ...]
    per_hour: float | None
    """False alarms that are expected in an hour of ordinary speech at the keyword's threshold; None where the model can't know."""
    thresholds: dict[float, float]
    """By false alarms per hour, the threshold at which they are expected."""
    missed: float | None
    """The share of its sayings that is expected to be missed; None where there are too few recordings to tell."""
    missed_at: dict[float, float]
    """The same at `thresholds`, by false alarms per hour."""
    fires_on: tuple[str, ...]
    """Words and phrases that it also fires on, the likeliest first."""
    heard: Heard | None = None
    """What it fires on in a recording of the user's."""

    def to_json(self) -> dict[str, Any]:
        """For programs; without vectors."""
        keyword = asdict(self.keyword)
        for name in ("prototypes", "mistakes"):
            del keyword[name]
        for shot in keyword["shots"]:
            del shot["embedding"]
        keyword["rivals"] = [one.text for one in self.keyword.rivals]
        found: dict[str, Any] = {"expected_per_hour": self.per_hour, "thresholds": self.thresholds, "expected_missed": self.missed,
                                 "missed_at": self.missed_at, "fires_on": list(self.fires_on)}  # fmt: skip
        if (heard := self.heard) is not None:
            per_hour = round(heard.rate.at(self.keyword.threshold), 4)
            found["background"] = {"recording": heard.recording, "hours": round(heard.rate.hours, 4), "per_hour": per_hour}
        return {**keyword, **found, "problems": list(self.problems), "facts": list(self.facts)}


def verdict(model: Model, keyword: Keyword, heard: Heard | None = None) -> Verdict:
    """All that can be said of a keyword without any data but its own, and what was `heard` in a background."""
    strings = spelling(model, keyword)
    prototypes = np.array(keyword.prototypes, np.float32)
    alike = confusable(model, keyword.keyword, strings, prototypes, unlike=phones_unlike(model, keyword))
    rates = expected(model, keyword)
    per_hour, foretold = None, _missed(model, keyword, rates)
    thresholds, missed, missed_at = foretold
    problems = [*_of_recordings(model, keyword, alike), *_often_missed(keyword, *foretold)]
    facts = []
    if strings:
        phones = len(strings[0])
        facts.append(f"{phones} phones ({' '.join(strings[0])}): {_length(phones)}")
    if rates is not None:
        if keyword.threshold < 1:
            per_hour = float(f"{min(rates.rate(keyword.threshold), MOST_PER_HOUR):.2g}")
            facts.append(
                f"fires for nothing about {'once' if per_hour == 1 else f'{per_hour:g} times'} in an hour of other speech"
                + (f" and misses {_share(missed)} of its sayings" if missed is not None else "")
                + f", at {keyword.threshold:.2f}"
            )
            others = [
                f"{threshold:.2f} → {shown:g} an hour" + (f", {_share(missed_at[shown])} missed" if missed_at else "")
                for shown, threshold in thresholds.items()
                if threshold != keyword.threshold
            ]
            if others:
                facts.append(f"other thresholds: {'; '.join(others)}")
        else:
            problems.append(f"nothing sets off '{keyword.keyword}' at 1.00: set a lower threshold, or take another keyword")
    if heard is not None:
        facts.append(_fires_in(heard, keyword.threshold))
        if not heard.tells:
            problems.append(_too_short(heard, rates))
    apart = {plain_name(one.text): one.text for one in keyword.rivals}
    near = [one.text for one in alike if one.similarity >= keyword.threshold - NEAR and plain_name(one.text) not in apart]
    fires_on = tuple(near[:NAMED])
    if fires_on:
        facts.append(f"also fires on: {', '.join(fires_on)}")
    if apart:
        facts.append(f"told apart from: {', '.join(apart.values())}")
    return Verdict(keyword, tuple(problems), tuple(facts), per_hour, thresholds, missed, missed_at, fires_on, heard)


def problems_of(model: Model, keyword: Keyword) -> list[str]:
    """What went wrong in enrolling it, without what else its recordings may say."""
    foretold = _missed(model, keyword, expected(model, keyword))
    return [*_of_recordings(model, keyword), *_often_missed(keyword, *foretold)]


def _of_recordings(model: Model, keyword: Keyword, others: Sequence[Confusable] = ()) -> list[str]:
    """What is wrong with them; `others` are what one that doesn't sound like its name may say instead."""
    called = spelling(model, keyword) or looked_up(keyword.keyword, model.phones)
    return [*keyword.warnings, *(_unlike_its_spelling(model, keyword, called, others) if called else [])]


def phones_unlike(model: Model, keyword: Keyword) -> Callable[[list[Pronunciation]], NDArray[np.float32]] | None:
    """What phone strings would lose in a stream, since they are unlike the keyword's sounds; None where it has none."""
    sounds = codes_of(keyword.sounds, model.phones)
    heard = None if model.cohort is None else model.cohort.heard
    if heard is None or not sounds:
        return None
    return lambda strings: heard.unlike(codes_of(as_text(strings), model.phones), sounds)


def spelling(model: Model, keyword: Keyword) -> list[Pronunciation]:
    """The keyword's phone strings, its own, those of its sounds or the lexicon's; none where its recordings don't say its name, its
    name is no English, or the model can't spell."""
    if found := keyword.phones or keyword.sounds:
        return [tuple(string.split()) for string in found]
    return [] if keyword.shots and model.reads_phones else looked_up(keyword.keyword, model.phones)


def _missed(model: Model, keyword: Keyword, rates: Expected | None) -> tuple[dict[float, float], float | None, dict[float, float]]:
    """The `thresholds`, `missed` and `missed_at` of a Verdict."""
    if rates is None:
        return {}, None, {}
    thresholds = {shown: found for shown in SHOWN_PER_HOUR if (found := rates.threshold(shown)) < 1}
    if (said := sayings(model, keyword)) is None:
        return thresholds, None, {}
    return thresholds, said.missed(keyword.threshold), {shown: said.missed(one) for shown, one in thresholds.items()}


def _often_missed(keyword: Keyword, _: dict[float, float], missed: float | None, missed_at: dict[float, float]) -> list[str]:
    """That many of its sayings will be missed, and what to do: more false alarms too, the least of those shown that help."""
    if missed is None or missed < OFTEN:
        return []
    ways = ["record it more often, by more people or in the room where it will be said", "take a longer keyword"]
    if less := [shown for shown, share in missed_at.items() if share < missed]:
        shown = min((shown for shown in less if missed_at[shown] < OFTEN), default=max(less))
        ways.append(f"bear --false-alarms-per-hour {shown:g}, which misses {_share(missed_at[shown])}")
    seen = f"'{keyword.keyword}' is expected to miss {_share(missed)} of its sayings, at {keyword.threshold:.2f}"
    return [f"{seen}: {', or '.join(ways)}"]


def _fires_in(heard: Heard, threshold: float) -> str:
    per_hour, hours = heard.rate.at(threshold), heard.rate.hours
    where, times = f"in {heard.recording} ({readable_duration(3600 * hours)})", round(per_hour * hours)
    if not times:
        return f"never fires {where}, at {threshold:.2f}"
    often = "once" if times == 1 else f"{times} times"
    return f"fires for nothing {often} {where}, {float(f'{per_hour:.2g}'):g} times an hour, at {threshold:.2f}"


def _too_short(heard: Heard, rates: Expected | None) -> str:
    so = "the speech in the model counts, too" if rates is not None else "its threshold may be too low"
    takes = f"that takes {1 / heard.asked:.2g} h"
    return f"{heard.recording} is too short to tell what fires {heard.asked:g} times in an hour ({takes}), so {so}"


def _share(missed: float) -> str:
    """To five in a hundred: it is an estimate from a few recordings."""
    if missed <= SHARES[0]:
        return "under 5 %"
    return "nearly all" if missed >= SHARES[-1] else f"about {5 * round(20 * missed)} %"


def _length(phones: int) -> str:
    if phones < FEW_PHONES:
        return "short: parts of other words sound like it; take a longer one, or a phrase of two words"
    if phones > MANY_PHONES:
        return "long: hard to say in the same way twice"
    return "a good length" if phones > FEW_PHONES + 1 else "rather short: six or more fire less often"


def _unlike_its_spelling(model: Model, keyword: Keyword, strings: list[Pronunciation], others: Sequence[Confusable]) -> list[str]:
    """Recordings that don't sound like what the keyword is called, or more like something else."""
    spelled = model.spell(strings)
    others = [one for one in others if one.phones in as_text(looked_up(one.text, model.phones))]  # not a part of a word
    wrong = model.spell([one.phones.split() for one in others]) if others else np.zeros((0, spelled.shape[1]), np.float32)
    lines = []
    for shot in keyword.shots:
        vector = np.array(shot.embedding, np.float32)
        alike, unlike = float((spelled @ vector).max()), wrong @ vector
        if alike >= DOUBTFUL:
            continue
        if len(unlike) and unlike.max() > max(alike + SOUNDS_MORE, SURELY):
            lines.append(f"{shot.name}: sounds more like '{others[int(unlike.argmax())].text}' than '{keyword.keyword}'")
        elif alike < SOUNDS_LIKE:
            lines.append(f"{shot.name}: doesn't sound like '{keyword.keyword}' (similarity {alike:.2f} to its spelling)")
    return lines
