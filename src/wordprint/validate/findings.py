"""The checks of one utterance, and what was found so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wordprint.errors import AudioError
from wordprint.records import Utterance
from wordprint.speech.text import noise_marks, normalise, unknown_characters
from wordprint.validate.measure import Measurement, measure
from wordprint.validate.options import ValidateConfig
from wordprint.validate.reasons import REASONS, Severity

_ORDER = {slug: index for index, slug in enumerate(REASONS)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of one utterance (or, without an id, of the corpus)."""

    reason: str
    severity: Severity
    detail: str
    utterance_id: str | None = None
    audio: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "utterance_id": self.utterance_id,
            "audio": self.audio,
            "severity": self.severity,
            "reason": self.reason,
            "detail": self.detail,
            "what_to_do": REASONS[self.reason].remedy,
        }


class Problems:
    """Every finding counted by reason, with the utterances of the first few as examples."""

    EXAMPLES = 3

    def __init__(self, severity: dict[str, Severity]) -> None:
        self.severity = severity
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[tuple[Finding, Utterance | None]]] = {}

    def add(self, found: Iterable[tuple[str, str]], utterance: Utterance | None = None) -> list[Finding]:
        """(reason, detail) pairs of an utterance, or of the corpus, as findings in the order of REASONS."""
        findings = []
        for reason, detail in sorted(found, key=lambda pair: _ORDER[pair[0]]):
            name, audio = (utterance.utterance_id, utterance.audio) if utterance else (None, None)
            finding = Finding(reason, self.severity[reason], detail, name, audio)
            findings.append(finding)
            self.counts[reason] += 1
            examples = self.examples.setdefault(reason, [])
            if len(examples) < self.EXAMPLES:
                examples.append((finding, utterance))
        return findings


def examine(shard: list[Utterance], config: ValidateConfig) -> list[dict[str, Any]]:
    """Findings and measurements of each utterance, as JSON; runs in worker processes."""
    return [_examine(utterance, config) for utterance in shard]


def _examine(utterance: Utterance, config: ValidateConfig) -> dict[str, Any]:
    found: list[tuple[str, str]] = []
    heard: Measurement | None = None
    duration_s = utterance.duration_s
    if duration_s <= config.max_duration_s:
        try:
            heard = measure(utterance.audio, utterance.start_s, utterance.end_s)
            duration_s = heard.duration_s
        except AudioError as error:
            found.append((error.reason, error.seen.removeprefix(f"{utterance.audio} ")))
    found += _duration(duration_s, config) if not found else []
    whole = heard is not None and not heard.shortfall and not found
    found += _signal(heard, config) if heard else []
    text = utterance.transcript or ""
    words, strange = normalise(text, utterance.language), unknown_characters(text, utterance.language)
    found += _transcript(utterance.transcript, words, strange, duration_s if whole else None, config)
    marks = noise_marks(text)
    found += [("noise_marks", f"{' '.join(marks)} in “{_shorten(text)}”")] if marks else []
    return {
        "findings": found,
        "words": words,
        "unknown_characters": strange,
        "noise_marks": marks,
        "duration_s": round(duration_s, 4),
        "level_db": heard.level_db if heard else None,
        "sample_rate": heard.sample_rate if heard else None,
        "channels": heard.channels if heard else None,
        "digest": heard.digest if heard else None,
    }


def _duration(duration_s: float, config: ValidateConfig) -> list[tuple[str, str]]:
    if duration_s < config.min_duration_s:
        return [("too_short", f"{duration_s:.2f} s, at least {config.min_duration_s:g} s")]
    if duration_s > config.max_duration_s:
        return [("too_long", f"{duration_s:.1f} s, at most {config.max_duration_s:g} s")]
    return []


def _signal(heard: Measurement, config: ValidateConfig) -> list[tuple[str, str]]:
    found = []
    if heard.shortfall:
        found.append(("truncated_audio", heard.shortfall))
    if heard.level_db < config.silence_db:
        found.append(("silent_audio", f"level {heard.level_db:.0f} dB, at least {config.silence_db:g} dB"))
    if heard.clipped_share > config.clipping_share:
        found.append(("clipped_audio", f"{100 * heard.clipped_share:.1f} % of samples at full scale"))
    return found


def _transcript(
    text: str | None, words: list[str], strange: str, duration_s: float | None, config: ValidateConfig
) -> list[tuple[str, str]]:
    """`duration_s` is None where the audio is not what it should be: then nothing can be said about the fit."""
    if text is None or not text.strip():
        return [("missing_transcript", "the transcript is missing" if text is None else "the transcript is empty")]
    found = [("unknown_characters", f"{' '.join(strange)} in “{_shorten(text)}”")] if strange else []
    if not words:
        return [("no_words", f"“{_shorten(text)}”"), *found]
    if duration_s is None:
        return found
    rate = len(" ".join(words)) / duration_s
    if rate > config.max_chars_per_s:
        found.append(("transcript_too_long", f"{rate:.1f} characters a second, at most {config.max_chars_per_s:g}"))
    elif rate < config.min_chars_per_s:
        found.append(("transcript_too_short", f"{rate:.1f} characters a second, at least {config.min_chars_per_s:g}"))
    return found


def _shorten(text: str, limit: int = 60) -> str:
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
