"""The checks of one utterance, and what each finding means: default severity, name for people, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from wordprint.errors import AudioError, ConfigError
from wordprint.records import Utterance
from wordprint.speech.text import noise_marks, normalise, unknown_characters
from wordprint.validate.measure import Measurement, measure
from wordprint.validate.options import ValidateConfig

Severity = Literal["drop", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Reason:
    """A kind of finding. A `fixed` severity can't be changed by the configuration."""

    severity: Severity
    title: str
    remedy: str
    fixed: bool = False


REASONS: dict[str, Reason] = {
    "duplicate_id": Reason("drop", "Utterance id used before", "give each utterance an id of its own", True),
    "missing_audio": Reason("drop", "Recording missing", "restore the file or correct its path in the manifest", True),
    "unreadable_audio": Reason("drop", "Not readable as audio", "replace the file by a FLAC, WAV, MP3 or Ogg recording", True),
    "empty_audio": Reason("drop", "No samples", "replace the file, or remove the utterance", True),
    "truncated_audio": Reason("drop", "Recording ends early", "copy or download the file again"),
    "non_finite_audio": Reason("drop", "NaN or infinite samples", "export the file again as 16-bit audio", True),
    "not_full_scale": Reason("drop", "Not at full scale ±1", "export the file again as 16-bit audio", True),
    "silent_audio": Reason("drop", "Silent", "check the microphone and the channel; lower silence_db if it is speech"),
    "clipped_audio": Reason("warning", "Clipped", "record or export again with less gain"),
    "too_short": Reason("drop", "Too short", "remove it, or lower min_duration_s"),
    "too_long": Reason(
        "drop", "Too long", "cut it into utterances with their transcripts (Kaldi segments), or raise max_duration_s"
    ),
    "missing_transcript": Reason("drop", "Transcript missing or empty", "write the transcript, or remove the recording", True),
    "no_words": Reason("drop", "No word in the transcript", "spell out numbers and symbols, or set the right language", True),
    "transcript_too_long": Reason(
        "drop", "Transcript too long for its audio", "check that recording and transcript belong together"
    ),
    "transcript_too_short": Reason("warning", "Little transcript for its audio", "check for untranscribed speech or long silence"),
    "unknown_characters": Reason(
        "warning", "Characters outside the alphabet", "spell out numbers and symbols, or set the right language"
    ),
    "noise_marks": Reason("note", "Noise marks in the transcript", "nothing: what stands in [], (), {} or <> is taken for no word"),
    "duplicate_utterance": Reason("drop", "Same recording and transcript as another", "remove one of the two"),
    "duplicate_audio": Reason("warning", "Same recording, another transcript", "find out which of the two transcripts is right"),
    "nothing_kept": Reason("warning", "Nothing left", "mend the problems above; later stages stop at an empty corpus", True),
    "one_speaker": Reason("warning", "Only one speaker", "add speakers: a split by speaker needs at least three", True),
    "one_word": Reason("warning", "Only one word", "add transcripts with other words: training contrasts words", True),
    "few_speakers": Reason("note", "Words with too few speakers", "add speakers, or let 'words' leave these words out", True),
    "oov_words": Reason("note", "Words outside the lexicon", "correct misspellings; pronunciations of the rest are guessed", True),
    "no_lexicon": Reason(
        "note",
        "Lexicon not checked",
        "name a pronunciation dictionary with the option lexicon; the default aligner knows English only",
        True,
    ),
}
"""By slug, in the order in which an utterance's findings are reported; the first that drops it is the one it is counted under."""

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


def severities(config: ValidateConfig) -> dict[str, Severity]:
    """Severity by reason after `config.drop` and `config.keep`; raises ConfigError for an unknown or a fixed reason."""
    free = {slug for slug, reason in REASONS.items() if not reason.fixed}
    for option, slugs in (("drop", config.drop), ("keep", config.keep)):
        for slug in slugs:
            if slug not in free:
                raise ConfigError(f"validate: option '{option}' names {slug!r}", expected="one of " + ", ".join(sorted(free)))
    both = sorted({*config.drop} & {*config.keep})
    if both:
        raise ConfigError(f"validate: {', '.join(both)} stands in both 'drop' and 'keep'", expected="one of them")
    chosen: dict[str, Severity] = {slug: reason.severity for slug, reason in REASONS.items()}
    chosen.update(dict.fromkeys(config.drop, "drop"))
    chosen.update(dict.fromkeys(config.keep, "warning"))
    return chosen


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
