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
from wordprint.spot.confuse import Confusable, confusable
from wordprint.spot.enrollment import Keyword
from wordprint.spot.expect import expected
from wordprint.spot.options import SpotConfig
from wordprint.spot.pronounce import as_text, looked_up
from wordprint.spot.sayings import SHARES, sayings
from wordprint.spot.shots import DOUBTFUL

FEW_PHONES, MANY_PHONES = 4, 14
"""A keyword of fewer phones fires often; one of more is hard to say the same way twice."""
SOUNDS_LIKE = 0.25
"""A recording less similar than this to its own spelling holds something else."""
SOUNDS_MORE = 0.25
"""So much more similar to another spelling a recording must be to be called so."""
MOST_PER_HOUR = 3600 / SpotConfig().refractory_s
"""A keyword can't be reported more often."""
SHOWN_PER_HOUR = (10.0, 1.0, 0.1)
"""False alarms per hour whose thresholds are told."""
NEAR, NAMED = 0.1, 5
"""Texts this far below the threshold fire now and then; so many are named."""


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

    def to_json(self) -> dict[str, Any]:
        """For programs; without vectors."""
        keyword = asdict(self.keyword)
        for name in ("prototypes", "mistakes"):
            del keyword[name]
        for shot in keyword["shots"]:
            del shot["embedding"]
        expected = {"expected_per_hour": self.per_hour, "thresholds": self.thresholds,
                    "expected_missed": self.missed, "missed_at": self.missed_at}  # fmt: skip
        return {**keyword, **expected, "problems": list(self.problems), "facts": list(self.facts)}


def verdict(model: Model, keyword: Keyword) -> Verdict:
    """All that can be said of a keyword without any data but its own."""
    strings = spelling(model, keyword)
    prototypes = np.array(keyword.prototypes, np.float32)
    alike = confusable(model, keyword.keyword, strings, prototypes, unlike=phones_unlike(model, keyword))
    problems = [*keyword.warnings, *(_unlike_its_spelling(model, keyword, strings, alike) if strings else [])]
    facts = []
    if strings:
        phones = len(strings[0])
        facts.append(f"{phones} phones ({' '.join(strings[0])}): {_length(phones)}")
    per_hour, thresholds, missed, missed_at = None, {}, None, {}
    if (rates := expected(model, keyword)) is not None:
        thresholds = {shown: found for shown in SHOWN_PER_HOUR if (found := rates.threshold(shown)) < 1}
        if (said := sayings(model, keyword)) is not None:
            missed = said.missed(keyword.threshold)
            missed_at = {shown: said.missed(threshold) for shown, threshold in thresholds.items()}
        if keyword.threshold < 1:
            per_hour = float(f"{min(rates.rate(keyword.threshold), MOST_PER_HOUR):.2g}")
            facts.append(
                f"fires for nothing about {per_hour:g} times in an hour of other speech"
                + (f" and misses {_share(missed)} of its sayings" if missed is not None else "")
                + f", at {keyword.threshold:.2f}"
            )
            others = (
                f"{threshold:.2f} → {shown:g} an hour" + (f", {_share(missed_at[shown])} missed" if missed_at else "")
                for shown, threshold in thresholds.items()
            )
            if thresholds:
                facts.append(f"other thresholds: {'; '.join(others)}")
        else:
            problems.append(f"no threshold makes '{keyword.keyword}' rare enough in other speech: take another keyword or model")
    if fires := [one.text for one in alike if one.similarity >= keyword.threshold - NEAR][:NAMED]:
        facts.append(f"also fires on: {', '.join(fires)}")
    return Verdict(keyword, tuple(problems), tuple(facts), per_hour, thresholds, missed, missed_at)


def phones_unlike(model: Model, keyword: Keyword) -> Callable[[list[Pronunciation]], NDArray[np.float32]] | None:
    """What phone strings would lose in a stream, since they are unlike the keyword's sounds; None where it has none."""
    sounds = codes_of(keyword.sounds, model.phones)
    heard = None if model.cohort is None else model.cohort.heard
    if heard is None or not sounds:
        return None
    return lambda strings: heard.unlike(codes_of(as_text(strings), model.phones), sounds)


def spelling(model: Model, keyword: Keyword) -> list[Pronunciation]:
    """The keyword's phone strings, its own or the lexicon's; none where its name is no English or the model can't spell."""
    if keyword.phones:
        return [tuple(string.split()) for string in keyword.phones]
    return looked_up(keyword.keyword, model.phones)


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
    wrong = model.spell([one.phones.split() for one in others]) if others else np.zeros((0, spelled.shape[1]), np.float32)
    lines = []
    for shot in keyword.shots:
        vector = np.array(shot.embedding, np.float32)
        alike, unlike = float((spelled @ vector).max()), wrong @ vector
        if alike >= DOUBTFUL:
            continue
        if len(unlike) and unlike.max() > alike + SOUNDS_MORE:
            lines.append(f"{shot.name}: sounds more like '{others[int(unlike.argmax())].text}' than '{keyword.keyword}'")
        elif alike < SOUNDS_LIKE:
            lines.append(f"{shot.name}: doesn't sound like '{keyword.keyword}' (similarity {alike:.2f} to its spelling)")
    return lines
