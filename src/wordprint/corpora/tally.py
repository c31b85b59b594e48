"""Statistics of a corpus, gathered utterance by utterance: memory grows with words and speakers, not with audio."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from wordprint.lexicon import Lexicon
from wordprint.records import Utterance


@dataclass(slots=True)
class SpeakerTally:
    """One speaker's share: utterances seen and kept; the rest is of the kept ones."""

    seen: int = 0
    kept: int = 0
    duration_s: float = 0.0
    words: int = 0


@dataclass(slots=True)
class WordTally:
    """Tokens and speakers of one word type."""

    count: int = 0
    speakers: set[str] = field(default_factory=set)


class Tally:
    """Counts over all utterances (durations, levels, formats) and over the kept ones (speakers, words)."""

    def __init__(self) -> None:
        self.seen = self.kept = 0
        self.seen_s = self.kept_s = 0.0
        self.durations_s, self.levels_db = array("d"), array("d")
        self.sample_rates: Counter[int] = Counter()
        self.channels: Counter[int] = Counter()
        self.unknown_characters: Counter[str] = Counter()
        self.speakers: dict[str, SpeakerTally] = {}
        self.words: dict[tuple[str, str], WordTally] = {}
        """By (language, word)."""

    def add(self, utterance: Utterance, result: dict[str, Any], kept: bool) -> None:
        """Count one utterance; `result` is what `findings.examine` says of it."""
        speaker = self.speakers.setdefault(utterance.speaker, SpeakerTally())
        self.seen += 1
        speaker.seen += 1
        self.seen_s += result["duration_s"]
        self.durations_s.append(result["duration_s"])
        self.unknown_characters.update(result["unknown_characters"])
        if result["digest"] is not None:
            self.levels_db.append(result["level_db"])
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
            tally = self.words.setdefault((utterance.language, word), WordTally())
            tally.count += 1
            tally.speakers.add(utterance.speaker)

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

    def word_table(self, lexicons: dict[str, Lexicon | None]) -> list[dict[str, Any]]:
        """Word types, the commonest first; `in_lexicon` is None for a language without a lexicon."""
        order = sorted(self.words.items(), key=lambda pair: (-pair[1].count, pair[0]))
        rows = []
        for (language, word), tally in order:
            lexicon = lexicons.get(language)
            known = None if lexicon is None else word in lexicon
            speakers = len(tally.speakers)
            rows.append({"word": word, "language": language, "count": tally.count, "speakers": speakers, "in_lexicon": known})
        return rows
