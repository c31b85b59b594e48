"""Cut one aligned utterance into word and phrase segments, with a reason for each that is left out."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from wordprint.records import Alignment
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.words.rules import LISTED, Rules, Word, span_goodness, span_text
from wordprint.words.split import HELD_OUT, common_side

_BETWEEN_WORDS = re.compile(r"[\s\u002d\u2010-\u2015]+")  # spaces, hyphens and dashes
OVERHANG_S = 0.05
"""How far an alignment may reach beyond the end of the audio (one frame of rounding, and padding of lossy formats)."""


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


@dataclass
class Cut:
    """Segments of an utterance, and what was left out: counts by reason, and a few of them by name."""

    segments: list[Segment] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)


def cut(
    alignment: Alignment, speaker: str, n_samples: int, rules: Rules, *, reason: str = "", listed: Collection[tuple[int, int]] = ()
) -> Cut:
    """Every word, and every phrase without a long pause inside, that the rules let through.

    `reason` is why all of the utterance is left out, if it is; `listed` are first samples of segments that a list drops, and the
    ones after their last.

    Context reaches to the nearest word on either side that is excluded or on another side of the split, else to the
    end of the audio. A phrase is as good as its worst word.
    """
    words = _words(alignment, n_samples, rules)
    speaker_side = rules.side(speaker, "speaker")
    before, after = _barriers(words)
    result = Cut()
    for first in range(len(words)):
        for last in range(first, min(first + rules.config.max_phrase_words, len(words))):
            if last > first and not _continues(words[last - 1], words[last], rules.config.max_pause_s):
                break
            span = words[first : last + 1]
            in_list = (span[0].start, span[-1].end) in listed
            if why := LISTED if in_list else reason or rules.reason(span, n_samples):
                result.dropped[why] += 1
                named = f"{alignment.utterance_id}:{span[0].start}-{span[-1].end} {span_text(span)}"
                result.examples.setdefault(why, []).append(named)
                continue
            own = common_side([word.side for word in span])
            low, high = (before[first], after[last]) if own != HELD_OUT else (first - 1, last + 1)
            result.segments.append(
                Segment(
                    words=span_text(span),
                    n_words=span_text(span).count(" ") + 1,
                    phones=" ".join(word.phones for word in span if word.phones),
                    start_sample=span[0].start,
                    end_sample=span[-1].end,
                    context_start_sample=words[low].end if low >= 0 else 0,
                    context_end_sample=words[high].start if high < len(words) else n_samples,
                    goodness=span_goodness(span),
                    split=common_side([own, speaker_side]),
                )
            )
    return result


def _words(alignment: Alignment, n_samples: int, rules: Rules) -> list[Word]:
    middles = [(phone.start_s + phone.end_s) / 2 for phone in alignment.phones]
    words = []
    for interval in alignment.words:
        text = " ".join(_BETWEEN_WORDS.split(interval.symbol.lower())).strip()
        spoken = slice(bisect_left(middles, interval.start_s), bisect_left(middles, interval.end_s))
        start = min(round(interval.start_s * SAMPLE_RATE), n_samples)
        end = round(interval.end_s * SAMPLE_RATE)
        if end <= n_samples + OVERHANG_S * SAMPLE_RATE:
            end = min(end, n_samples)
        phones = " ".join(phone.symbol for phone in alignment.phones[spoken])
        words.append(Word(text, start, end, interval.goodness, phones, rules.word_side(text)))
    return words


def _barriers(words: list[Word]) -> tuple[list[int], list[int]]:
    """For each word the nearest word before and after it that is on another side (-1, len(words): none)."""
    before, after = [-1] * len(words), [len(words)] * len(words)
    for index in range(1, len(words)):
        before[index] = before[index - 1] if words[index - 1].side == words[index].side else index - 1
    for index in range(len(words) - 2, -1, -1):
        after[index] = after[index + 1] if words[index + 1].side == words[index].side else index + 1
    return before, after


def _continues(word: Word, following: Word, max_pause_s: float) -> bool:
    return bool(word.side and following.side) and following.start - word.end <= max_pause_s * SAMPLE_RATE
