"""Words that a second set of alignments places elsewhere, or doesn't have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wordprint.align.compare import match_words
from wordprint.align.existing import restore_unknown
from wordprint.align.second import MISSING, open_second
from wordprint.errors import InputError
from wordprint.records import Alignment, Interval, Utterance

DISAGREE = "aligners_disagree"

_TENTHS_PER_S = 10_000  # both write times with at most four decimals


@dataclass(frozen=True)
class Agreement:
    """Looks words up in the TextGrids of `folder` through their `index`; `run` is the folder's digest."""

    folder: Path
    index: Path
    run: str
    limit_ms: float

    def doubts(self, record: Mapping[str, Any], alignment: Alignment) -> list[str]:
        """For each word of `alignment` why it is left out: DISAGREE where its start or its end differs by more than
        `limit_ms`, MISSING where the other alignments lack the word or the whole utterance, else an empty string."""
        utterance = Utterance.from_json(dict(record))
        second = open_second(self.folder, self.index, self.run)
        others: Sequence[Interval] = ()
        with suppress(InputError):  # none, several, or one that can't be read: `align --compare` tells which
            others = second.words(utterance, second.find(utterance))
        words = restore_unknown(alignment.words, utterance)
        doubts = [MISSING] * len(words)
        for place, other in match_words(words, others):
            word = words[place]
            edges = (word.start_s - others[other].start_s, word.end_s - others[other].end_s)
            tenths = max(abs(round(edge_s * _TENTHS_PER_S)) for edge_s in edges)
            doubts[place] = DISAGREE if tenths > round(self.limit_ms * _TENTHS_PER_S / 1000) else ""
        return doubts
