"""Statistics of a corpus, gathered utterance by utterance: memory grows with words and speakers, not with audio."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.records import Utterance
from wordprint.speech.lexicon import Lexicon


@dataclass(slots=True)
class SpeakerTally:
    """One speaker's share: utterances seen and kept; the rest is of the kept ones. The first speaker has the number 0."""

    number: int
    seen: int = 0
    kept: int = 0
    duration_s: float = 0.0
    words: int = 0


@dataclass(slots=True)
class WordTally:
    """Tokens of one word type; the first type has the number 0."""

    number: int
    count: int = 0


class Pairs:
    """Distinct pairs of numbers below 2³², in 8 bytes each: there are tens of millions of words of speakers."""

    BUFFER = 1 << 20
    """Pairs that are sorted in at a time, at least; a quarter of what is there when that is more."""

    def __init__(self) -> None:
        self._sorted: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._new = array("Q")

    def add(self, first: int, second: int) -> None:
        self._new.append(first << 32 | second)
        if len(self._new) > max(self.BUFFER, len(self._sorted) // 4):
            self._sort_in()

    def counts(self, size: int) -> NDArray[np.int64]:
        """How many second numbers each first number 0 … size − 1 has (size,)."""
        self._sort_in()
        return np.bincount((self._sorted >> np.uint64(32)).astype(np.int64), minlength=size)

    def _sort_in(self) -> None:
        merged = np.concatenate([self._sorted, np.frombuffer(self._new, np.uint64)])
        merged.sort()
        distinct = np.ones(len(merged), bool)
        np.not_equal(merged[1:], merged[:-1], out=distinct[1:])
        self._sorted, self._new = merged[distinct], array("Q")


class Tally:
    """Counts over all utterances (durations, levels, formats) and over the kept ones (speakers, words)."""

    def __init__(self) -> None:
        self.seen = self.kept = 0
        self.seen_s = self.kept_s = 0.0
        self.durations_s: Counter[float] = Counter()
        """Utterances by their length to a millisecond."""
        self.levels_db: Counter[float] = Counter()
        """Utterances by their level to a hundredth."""
        self.sample_rates: Counter[int] = Counter()
        self.channels: Counter[int] = Counter()
        self.unknown_characters: Counter[str] = Counter()
        self.noise_marks: Counter[str] = Counter()
        self.speakers: dict[str, SpeakerTally] = {}
        self.words: dict[tuple[str, str], WordTally] = {}
        """By (language, word)."""
        self._said = Pairs()

    def add(self, utterance: Utterance, result: dict[str, Any], kept: bool) -> None:
        """Count one utterance; `result` is what `findings.examine` says of it."""
        speaker = self.speakers.get(utterance.speaker)
        if speaker is None:
            speaker = self.speakers[utterance.speaker] = SpeakerTally(len(self.speakers))
        self.seen += 1
        speaker.seen += 1
        self.seen_s += result["duration_s"]
        self.durations_s[round(result["duration_s"], 3)] += 1
        self.unknown_characters.update(result["unknown_characters"])
        self.noise_marks.update(result["noise_marks"])
        if result["digest"] is not None:
            self.levels_db[result["level_db"]] += 1
            self.sample_rates[result["sample_rate"]] += 1
            self.channels[result["channels"]] += 1
        if not kept:
            return
        self.kept += 1
        self.kept_s += result["duration_s"]
        speaker.kept += 1
        speaker.duration_s += result["duration_s"]
        speaker.words += len(result["words"])
        for word in result["words"]:
            tally = self.words.get((utterance.language, word))
            if tally is None:
                tally = self.words[utterance.language, word] = WordTally(len(self.words))
            tally.count += 1
            self._said.add(tally.number, speaker.number)

    @property
    def tokens(self) -> int:
        return sum(word.count for word in self.words.values())

    @property
    def kept_speakers(self) -> int:
        return sum(speaker.kept > 0 for speaker in self.speakers.values())

    def speaker_table(self) -> list[dict[str, Any]]:
        """Speakers, the one with most audio first."""
        order = sorted(self.speakers.items(), key=lambda pair: (-pair[1].duration_s, pair[0]))
        return [
            {
                "speaker": name,
                "utterances": tally.seen,
                "kept": tally.kept,
                "hours": round(tally.duration_s / 3600, 5),
                "words": tally.words,
            }
            for name, tally in order
        ]

    def word_summary(self, words: Sequence[Mapping[str, Any]], min_speakers: int) -> dict[str, int]:
        """Types and tokens of `words`, which `word_table` made: all, those with too few speakers, those outside the lexicon, those
        of languages without one."""
        oov = [word["count"] for word in words if word["in_lexicon"] is False]
        return {
            "types": len(words),
            "tokens": self.tokens,
            "few_speakers": sum(word["speakers"] < min_speakers for word in words),
            "oov_types": len(oov),
            "oov_tokens": sum(oov),
            "unchecked_types": sum(word["in_lexicon"] is None for word in words),
        }

    def word_table(self, lexicons: dict[str, Lexicon | None]) -> list[dict[str, Any]]:
        """Word types, the commonest first; `in_lexicon` is None for a language without a lexicon."""
        order = sorted(self.words.items(), key=lambda pair: (-pair[1].count, pair[0]))
        said = self._said.counts(len(self.words)).tolist()
        rows = []
        for (language, word), tally in order:
            lexicon = lexicons.get(language)
            known = None if lexicon is None else word in lexicon
            row = {"word": word, "language": language, "count": tally.count, "speakers": said[tally.number], "in_lexicon": known}
            rows.append(row)
        return rows
