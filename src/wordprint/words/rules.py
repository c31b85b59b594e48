"""Why a segment is left out of a word dataset: every rule and every reason of `words`, in one place.

The first pass asks `Rules.utterance_reason` and `Rules.reason`, which see one utterance; the second `Rules.type_reasons`, which
sees how often and by how many speakers each word type is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import InputError
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.text import plain_words
from wordprint.stages.textfile import read_text
from wordprint.words.folders import folder_word
from wordprint.words.options import WordsConfig
from wordprint.words.split import common_side, side

NOT_WORDS = frozenset({"spn", "sil", "sp", "nsn"})
"""Names that aligners give to noise and pauses; so are symbols in brackets (`<unk>`, `[noise]`)."""
EXCLUDED, LISTED, LOW_UTTERANCE, LOW_GOODNESS = "excluded_word", "listed", "low_utterance_goodness", "low_goodness"
EXCLUDED_SPEAKER = "excluded_speaker"
AUTO_PERCENTILE = 1.0
"""Words aligned worse than all but this many percent are dropped where min_goodness is 'auto'."""
AUTO_VALUES = 1 << 18
"""Goodness of at most so many words is held, evenly from the whole corpus: the percentile is then known to 0.04."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of an alignment: samples from the utterance's start, and which side of the split it is on."""

    text: str
    start: int
    end: int
    goodness: float | None
    phones: str
    side: str
    """train, validation, test; held_out for an interval of words of several; EXCLUDED for a word that must not be heard; "" for
    what is no word."""


@dataclass(frozen=True)
class Rules:
    """The options of the stage with the excluded words read and the goodness threshold known."""

    config: WordsConfig
    excluded: frozenset[str]
    """As `plain_words` writes them."""
    min_goodness: float | None = None

    @classmethod
    def of(cls, config: WordsConfig, records: Iterable[Mapping[str, Any]] = ()) -> Rules:
        """Rules for the lines of an alignments.jsonl; raises InputError for lists of words that can't be read."""
        excluded = {part for word in config.exclude_words for part in plain_words(word)}
        for path in config.exclude_words_from:
            excluded |= excluded_words(path)
        if config.min_goodness == "auto":
            return cls(config, frozenset(excluded), usual_goodness(records))
        return cls(config, frozenset(excluded), None if config.min_goodness == "none" else config.min_goodness)

    def side(self, name: str, kind: str) -> str:
        """Side of a speaker or word."""
        return _side(name, kind, getattr(self.config, f"validation_{kind}s"), getattr(self.config, f"test_{kind}s"))

    def excludes(self, text: str) -> bool:
        """Whether an excluded word is heard in `text`: by itself, joined to another (`twenty-one`) or with 's (`one's`)."""
        return bool(self.excluded) and not self.excluded.isdisjoint(_heard(text))

    def word_side(self, text: str) -> str:
        """`Word.side` of a text."""
        if not re.search(r"\w", text) or text in NOT_WORDS or text[0] in "<[({":
            return ""
        if self.excludes(text):
            return EXCLUDED
        return common_side([self.side(part, "word") for part in text.split()])

    def utterance_reason(self, record: Mapping[str, Any]) -> str:
        """Why all of an utterance is left out, a line of alignments.jsonl with its mark from the lists; or an empty string."""
        least, goodness = self.config.min_utterance_goodness, record.get("goodness")
        if record.get("listed", ()) is None:
            return LISTED
        if record["speaker"] in self.config.exclude_speakers:
            return EXCLUDED_SPEAKER
        return LOW_UTTERANCE if least is not None and goodness is not None and goodness < least else ""

    def reason(self, span: Sequence[Word], n_samples: int) -> str:
        """Why a segment is left out for what it is itself, or an empty string."""
        config = self.config
        if not span[0].side:
            return "not_a_word"
        if any(word.side == EXCLUDED for word in span):
            return EXCLUDED
        if sum(map(str.isalpha, span_text(span))) < config.min_letters:
            return "few_letters"
        if span[-1].end > n_samples:
            return "beyond_audio"
        duration_s = (span[-1].end - span[0].start) / SAMPLE_RATE
        if not config.min_duration_s <= duration_s <= config.max_duration_s:
            return "short_segment" if duration_s < config.min_duration_s else "long_segment"
        goodness = span_goodness(span)
        low = self.min_goodness is not None and goodness is not None and goodness < self.min_goodness
        return LOW_GOODNESS if low else ""

    def type_reasons(self, tokens: NDArray[np.int64], speakers: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
        """Which word types (n,) are left out for how often, and by how many, they are said; the first reason counts."""
        few_tokens = tokens < self.config.min_tokens
        return {"few_tokens": few_tokens, "few_speakers": ~few_tokens & (speakers < self.config.min_speakers)}


def span_goodness(span: Sequence[Word]) -> float | None:
    """Of the worst word; None where one is not known."""
    known = [word.goodness for word in span if word.goodness is not None]
    return min(known) if len(known) == len(span) else None


def span_text(span: Sequence[Word]) -> str:
    return " ".join(word.text for word in span)


def usual_goodness(records: Iterable[Mapping[str, Any]]) -> float | None:
    """The goodness that all but AUTO_PERCENTILE of the words reach; None where the aligner gives none."""
    values: list[float] = []
    stride = place = 0
    for record in records:
        for goodness in record.get("word_goodness") or ():
            if goodness is None:
                continue
            if place % (1 << stride) == 0:
                values.append(goodness)
            place += 1
            if len(values) > AUTO_VALUES:
                values, stride = values[::2], stride + 1
    return round(float(np.percentile(values, AUTO_PERCENTILE, method="lower")), 4) if values else None


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
