"""Alignments that a corpus read from Lhotse's manifests brought along, in the `meta` of its utterances."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wordprint.align.options import AlignConfig
from wordprint.align.quality import mean_goodness
from wordprint.align.textgrids import clip, restore_unknown
from wordprint.errors import AlignmentError
from wordprint.records import Alignment, Interval, Utterance
from wordprint.speech.textgrid import SILENCES

_OVERLAP_S = 0.001  # rounding of whoever wrote the manifest


class LhotseAligner:
    """Takes the words, and phones, that the supervision of an utterance had."""

    reads_audio = False

    def __init__(self, config: AlignConfig) -> None:
        self._phones = config.phones

    def align(self, utterance: Utterance, samples: NDArray[np.float32]) -> Alignment:
        """The alignment found; a word's score is its goodness. Reasons: no_alignment, bad_alignment, textgrid_mismatch."""
        words = restore_unknown(_intervals(utterance, "word"), utterance)
        if not words:
            remedy = "choose another aligner: only supervisions of Lhotse may have one"
            raise AlignmentError("no word alignment came with the utterance", remedy=remedy)
        phones = _intervals(utterance, "phone") if self._phones else ()
        return Alignment(utterance.utterance_id, words, phones, mean_goodness(words))


def _intervals(utterance: Utterance, kind: str) -> tuple[Interval, ...]:
    """Speech in order, within the utterance; silence is left out."""
    intervals: list[Interval] = []
    for symbol, start_s, end_s, *score in sorted(utterance.meta.get(f"{kind}_alignment", ()), key=lambda entry: entry[1]):
        if symbol.strip().lower() in SILENCES:
            continue
        last_s = intervals[-1].end_s if intervals else 0.0
        if end_s <= start_s or start_s < last_s - _OVERLAP_S:
            detail = f"its {kind} '{symbol}' at {start_s:g} s overlaps another, is reversed, or lies before the utterance"
            raise AlignmentError(detail, reason="bad_alignment")
        intervals.append(Interval(symbol.strip(), max(start_s, last_s), end_s, *score))
    return clip(f"the {kind} alignment", tuple(intervals), utterance)
