"""Options of `words`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wordprint.errors import ConfigError
from wordprint.stages.options import option


@dataclass(frozen=True)
class WordsConfig:
    """Cut utterances into word and phrase segments and split them."""

    max_phrase_words: int = option(1, at_least=1)
    """Longest phrase, in consecutive words, cut as one segment."""
    max_pause_s: float = option(0.3, at_least=0)
    """Longest pause between two words of a phrase."""
    min_letters: int = option(3, at_least=0)
    """Drop words and phrases with fewer letters."""
    min_duration_s: float = option(0.1, at_least=0)
    """Drop segments shorter than this."""
    max_duration_s: float = option(3.0, above=0)
    """Drop segments longer than this."""
    min_goodness: float | Literal["auto", "none"] = "auto"
    """Drop segments aligned worse than this (mean log likelihood per frame; of a phrase, its worst word's): a number, none, or the
    first percentile of the corpus, which loses one word in a hundred (auto; none where the aligner gives no goodness)."""
    min_utterance_goodness: float | None = None
    """Drop all segments of an utterance aligned worse than this on the whole."""
    drop: tuple[Path, ...] = ()
    """JSONL files of segments to drop: utterance_id, start_sample and end_sample as in the dataset, or utterance_id alone for
    all of an utterance."""
    min_tokens: int = option(2, at_least=1)
    """Drop word types with fewer tokens."""
    min_speakers: int = option(2, at_least=1)
    """Drop word types spoken by fewer speakers."""
    max_tokens: int | None = option(None, at_least=1)
    """Keep at most this many tokens of a word type (chosen by hash)."""
    exclude_words: tuple[str, ...] = ()
    """Words that must not appear in the dataset."""
    exclude_words_from: tuple[Path, ...] = ()
    """Word folders or text files (one word a line) whose words must not appear in the dataset."""
    exclude_speakers: tuple[str, ...] = ()
    """Speakers who must not appear in the dataset, such as those that a model is evaluated on."""
    validation_speakers: float = option(0.1, at_least=0, below=1)
    """Share of speakers kept for validation."""
    test_speakers: float = option(0.1, at_least=0, below=1)
    """Share of speakers kept for the test."""
    validation_words: float = option(0.1, at_least=0, below=1)
    """Share of word types kept for validation."""
    test_words: float = option(0.1, at_least=0, below=1)
    """Share of word types kept for the test."""
    shard_hours: float = option(0.5, above=0)
    """Hours of audio per Arrow shard."""

    def check(self) -> None:
        if self.min_duration_s >= self.max_duration_s:
            raise ConfigError(
                f"min_duration_s is {self.min_duration_s:g}", f"less than max_duration_s, which is {self.max_duration_s:g}"
            )
        for kind in ("speakers", "words"):
            shares = [getattr(self, f"{name}_{kind}") for name in ("validation", "test")]
            if sum(shares) >= 1:
                raise ConfigError(
                    f"validation_{kind} and test_{kind} are {shares[0]:g} and {shares[1]:g}",
                    expected="shares that leave some for training",
                )


@dataclass(frozen=True)
class InspectWordsConfig:
    """Show segments of a word dataset."""

    segments: int = option(300, at_least=1)
    """(words) How many segments to show."""
    order: Literal["hash", "goodness"] = "hash"
    """(words) Which ones: chosen by hash, or those with the lowest goodness."""
    words: tuple[str, ...] = ()
    """(words) Only these words."""
    split: str | None = None
    """(words) Only this part of the dataset."""
    alignments: Path | None = None
    """(words) Folder that 'align' wrote: shows all words of a sentence, also those that are not in the dataset, and phones."""
    context_s: float = option(0.8, at_least=0)
    """(words) Longest stretch of the sentence shown on either side of a word."""


@dataclass(frozen=True)
class Form:
    """What `convert` writes: tells one conversion from another."""

    to: str
