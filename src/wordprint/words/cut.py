"""Cut one aligned utterance into word and phrase segments, with a reason for each that is left out."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from wordprint.config import WordsConfig
from wordprint.errors import ConfigError, InputError
from wordprint.records import Alignment, Interval
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.text import plain_words
from wordprint.stages.textfile import read_text
from wordprint.words.agreement import Agreement
from wordprint.words.folders import folder_word
from wordprint.words.split import HELD_OUT, common_side, side

NOT_WORDS = frozenset({"spn", "sil", "sp", "nsn"})
"""Names that aligners give to noise and pauses; so are symbols in brackets (`<unk>`, `[noise]`)."""
_BETWEEN_WORDS = re.compile(r"[\s\u002d\u2010-\u2015]+")  # spaces, hyphens and dashes
LISTED = "listed"
"""Reason of what the user's own lists drop."""
OVERHANG_S = 0.05
"""How far an alignment may reach beyond the end of the audio (one frame of rounding, and padding of lossy formats)."""


@dataclass(frozen=True)
class Rules:
    """The options of the stage, checked, with the excluded words read."""

    config: WordsConfig
    excluded: frozenset[str]
    """As `plain_words` writes them."""
    min_goodness: float | None = None
    """The option, or what was calibrated where it says so."""
    agreement: Agreement | None = None

    @classmethod
    def from_config(cls, config: WordsConfig) -> Rules:
        """Raises ConfigError for values that contradict each other, InputError for lists of words that can't be read."""
        for name in ("max_phrase_words", "max_tokens", "shard_hours"):
            value = getattr(config, name)
            if value is not None and value <= 0:
                raise ConfigError(f"{name} is {value}", expected="more than 0")
        if config.min_duration_s >= config.max_duration_s:
            raise ConfigError(f"min_duration_s {config.min_duration_s} is not less than max_duration_s {config.max_duration_s}")
        if (config.require_agreement is None) != (config.second_alignments is None):
            missing = "require_agreement" if config.require_agreement is None else "second_alignments"
            raise ConfigError(f"{missing} is not set", remedy="give both, --second-alignments FOLDER and --require-agreement MS")
        if config.require_agreement is not None and config.require_agreement < 0:
            raise ConfigError(f"require_agreement is {config.require_agreement:g}", expected="0 ms or more")
        for kind in ("speakers", "words"):
            shares = [getattr(config, f"{name}_{kind}") for name in ("validation", "test")]
            if min(shares) < 0 or sum(shares) >= 1:
                raise ConfigError(
                    f"validation_{kind} and test_{kind} are {shares[0]} and {shares[1]}",
                    expected="shares that leave some for training",
                )
        excluded = {part for word in config.exclude_words for part in plain_words(word)}
        for path in config.exclude_words_from:
            excluded |= excluded_words(path)
        return cls(config, frozenset(excluded), None if isinstance(config.min_goodness, str) else config.min_goodness)

    def side(self, name: str, kind: str) -> str:
        """Side of a speaker or word."""
        return _side(name, kind, getattr(self.config, f"validation_{kind}s"), getattr(self.config, f"test_{kind}s"))

    def excludes(self, text: str) -> bool:
        """Whether an excluded word is heard in `text`: by itself, joined to another (`twenty-one`) or with 's (`one's`)."""
        return bool(self.excluded) and not self.excluded.isdisjoint(_heard(text))


_side = lru_cache(maxsize=1 << 17)(side)


@lru_cache(maxsize=1 << 17)
def _heard(text: str) -> frozenset[str]:
    words = plain_words(text)
    return frozenset([*words, *(word.removesuffix("'s") for word in words)])


def excluded_words(path: str | Path) -> set[str]:
    """The words of a text file, or those that the folders in a word folder are named after (`how_are_you`: three)."""
    path = Path(path)
    if path.is_dir():
        names = [entry.name for entry in path.iterdir() if entry.is_dir() and entry.name[0] not in "_."]
        words = {part for name in names for part in plain_words(folder_word(name))}
    elif path.is_file():
        try:
            words = set(plain_words(read_text(path)))
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not UTF-8 text ({error})", expected="one word a line") from error
    else:
        raise InputError(f"{path} does not exist", expected="a text file with one word a line, or a folder of word folders")
    if not words:
        raise InputError(f"{path} names no words", expected="one word a line, or one folder per word")
    return words


@dataclass(frozen=True, slots=True)
class Segment:
    """A row of the segments table, but for what belongs to the whole utterance."""

    words: str
    n_words: int
    phones: str
    start_sample: int
    end_sample: int
    context_start_sample: int
    context_end_sample: int
    goodness: float | None
    split: str


@dataclass(frozen=True, slots=True)
class Marks:
    """Reasons, besides the rules, to leave something of an utterance out; empty strings for none."""

    utterance: str = ""
    """Of all of its segments."""
    words: Sequence[str] = ()
    """Of each interval of its alignment; no entries for none."""
    listed: frozenset[tuple[int, int]] = frozenset()
    """First samples of the segments that a list drops, and the ones after their last."""


@dataclass
class Cut:
    """Segments of an utterance, and what was left out: counts by reason, and a few of them by name."""

    segments: list[Segment] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    start: int
    end: int
    goodness: float | None
    phones: str
    doubt: str
    """Its entry in `Marks.words`."""
    side: str
    """train, validation, test; held_out for an interval of words of several; "excluded" for a word that must not be
    heard; "" for what is no word."""


def cut(alignment: Alignment, speaker: str, n_samples: int, rules: Rules, marks: Marks = Marks()) -> Cut:
    """Every word, and every phrase without a long pause inside, that the rules and marks let through.

    Context reaches to the nearest word on either side that is excluded or on another side of the split, else to the
    end of the audio. A phrase is as good as its worst word.
    """
    words = _words(alignment, n_samples, rules, marks)
    speaker_side = rules.side(speaker, "speaker")
    before, after = _barriers(words)
    result = Cut()
    for first in range(len(words)):
        for last in range(first, min(first + rules.config.max_phrase_words, len(words))):
            if last > first and not _continues(words[last - 1], words[last], rules.config.max_pause_s):
                break
            span = words[first : last + 1]
            if reason := _reason(span, n_samples, rules, marks):
                result.dropped[reason] += 1
                named = f"{alignment.utterance_id}:{span[0].start}-{span[-1].end} {_text(span)}"
                result.examples.setdefault(reason, []).append(named)
                continue
            own = common_side([word.side for word in span])
            low, high = (before[first], after[last]) if own != HELD_OUT else (first - 1, last + 1)
            result.segments.append(
                Segment(
                    words=_text(span),
                    n_words=_text(span).count(" ") + 1,
                    phones=" ".join(word.phones for word in span if word.phones),
                    start_sample=span[0].start,
                    end_sample=span[-1].end,
                    context_start_sample=words[low].end if low >= 0 else 0,
                    context_end_sample=words[high].start if high < len(words) else n_samples,
                    goodness=_goodness(span),
                    split=common_side([own, speaker_side]),
                )
            )
    return result


def _words(alignment: Alignment, n_samples: int, rules: Rules, marks: Marks) -> list[_Word]:
    middles = [(phone.start_s + phone.end_s) / 2 for phone in alignment.phones]
    words = []
    for interval, doubt in zip(alignment.words, marks.words or [""] * len(alignment.words), strict=True):
        text = " ".join(_BETWEEN_WORDS.split(interval.symbol.lower())).strip()
        spoken = slice(bisect_left(middles, interval.start_s), bisect_left(middles, interval.end_s))
        start = min(round(interval.start_s * SAMPLE_RATE), n_samples)
        end = round(interval.end_s * SAMPLE_RATE)
        if end <= n_samples + OVERHANG_S * SAMPLE_RATE:
            end = min(end, n_samples)
        phones = " ".join(phone.symbol for phone in alignment.phones[spoken])
        words.append(_Word(text, start, end, interval.goodness, phones, doubt, _word_side(interval, text, rules)))
    return words


def _word_side(interval: Interval, text: str, rules: Rules) -> str:
    if not re.search(r"\w", text) or text in NOT_WORDS or text[0] in "<[({":
        return ""
    if rules.excludes(text):
        return "excluded"
    return common_side([rules.side(part, "word") for part in text.split()])


def _barriers(words: list[_Word]) -> tuple[list[int], list[int]]:
    """For each word the nearest word before and after it that is on another side (-1, len(words): none)."""
    before, after = [-1] * len(words), [len(words)] * len(words)
    for index in range(1, len(words)):
        before[index] = before[index - 1] if words[index - 1].side == words[index].side else index - 1
    for index in range(len(words) - 2, -1, -1):
        after[index] = after[index + 1] if words[index + 1].side == words[index].side else index + 1
    return before, after


def _continues(word: _Word, following: _Word, max_pause_s: float) -> bool:
    return bool(word.side and following.side) and following.start - word.end <= max_pause_s * SAMPLE_RATE


def _reason(span: list[_Word], n_samples: int, rules: Rules, marks: Marks) -> str:
    """Why a segment is left out, or an empty string."""
    config = rules.config
    duration_s = (span[-1].end - span[0].start) / SAMPLE_RATE
    goodness = _goodness(span)
    if (span[0].start, span[-1].end) in marks.listed:
        return LISTED
    if marks.utterance:
        return marks.utterance
    if not span[0].side:
        return "not_a_word"
    if any(word.side == "excluded" for word in span):
        return "excluded_word"
    if sum(map(str.isalpha, _text(span))) < config.min_letters:
        return "few_letters"
    if span[-1].end > n_samples:
        return "beyond_audio"
    if duration_s < config.min_duration_s:
        return "short_segment"
    if duration_s > config.max_duration_s:
        return "long_segment"
    if rules.min_goodness is not None and goodness is not None and goodness < rules.min_goodness:
        return "low_goodness"
    return next((word.doubt for word in span if word.doubt), "")


def _goodness(span: list[_Word]) -> float | None:
    known = [word.goodness for word in span if word.goodness is not None]
    return min(known) if len(known) == len(span) else None


def _text(span: list[_Word]) -> str:
    return " ".join(word.text for word in span)
