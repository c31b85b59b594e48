"""Alignments made elsewhere: a folder of TextGrids, such as the Montreal Forced Aligner's output or hand-made ones."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.align.lookup import TextGrids
from wordprint.align.options import AlignConfig
from wordprint.errors import AlignmentError, InputError
from wordprint.records import Alignment, Interval, Utterance
from wordprint.speech.text import noise_marks, normalise, unknown_characters
from wordprint.speech.textgrid import UNKNOWN_WORD, read_textgrid

_SLACK_S = 0.1
"""An interval may end this much after its utterance (rounding, padding); it is cut there."""


class TextGridAligner:
    """Takes the words, and phones, of the TextGrid that `TextGrids` finds for an utterance, or for the recording it is cut from."""

    reads_audio = False

    def __init__(self, config: AlignConfig) -> None:
        if config.textgrids is None:  # AlignConfig.check has said so
            raise ValueError("no folder of TextGrids")
        self._phones = config.phones
        self._textgrids = TextGrids(config.textgrids)

    def align(self, utterance: Utterance, samples: NDArray[np.float32]) -> Alignment:
        """The alignment found. Reasons: no_textgrid, ambiguous_textgrid, unreadable_textgrid, no_words_tier,
        empty_textgrid, textgrid_mismatch."""
        path = self._textgrids.folder / self._textgrids.find(utterance)
        try:
            found = read_for(path, utterance)
        except InputError as error:
            raise AlignmentError(error.seen, error.expected, error.remedy, error.reason) from error
        words = restore_unknown(clip(path, found.words, utterance), utterance)
        if not words:
            raise AlignmentError(f"{path} has no words", reason="empty_textgrid")
        return replace(found, words=words, phones=clip(path, found.phones, utterance) if self._phones else ())


def read_for(path: Path, utterance: Utterance) -> Alignment:
    """Words and phones of the utterance's speaker in its TextGrid, or in that of its recording; times from the utterance's start.

    Raises InputError as `read_textgrid` does.
    """
    found = read_textgrid(path, utterance.utterance_id, str(utterance.meta.get("tier") or utterance.speaker))
    own = os.path.basename(str(utterance.meta.get("source_id", utterance.utterance_id)))
    recording = os.path.basename(str(utterance.meta.get("recording_id", own)))
    if path.stem != recording or path.stem in (own, utterance.utterance_id):
        return found
    return replace(found, words=_stretch(found.words, utterance), phones=_stretch(found.phones, utterance))


def _stretch(intervals: tuple[Interval, ...], utterance: Utterance) -> tuple[Interval, ...]:
    """The intervals whose middle lies in the utterance, cut at its edges."""
    start_s, end_s = utterance.start_s, utterance.end_s
    return tuple(
        replace(interval, start_s=max(interval.start_s - start_s, 0.0), end_s=min(interval.end_s, end_s) - start_s)
        for interval in intervals
        if start_s <= (interval.start_s + interval.end_s) / 2 < end_s
    )


def clip(path: Path | str, intervals: tuple[Interval, ...], utterance: Utterance) -> tuple[Interval, ...]:
    """Intervals, read from `path`, cut at the end of the utterance; raises AlignmentError where they are another utterance's."""
    end_s = utterance.duration_s
    if intervals and intervals[-1].end_s > end_s + _SLACK_S:
        raise AlignmentError(
            f"{path} goes to {intervals[-1].end_s:.2f} s, the utterance only to {end_s:.2f} s", reason="textgrid_mismatch"
        )
    return tuple(replace(interval, end_s=min(interval.end_s, end_s)) for interval in intervals if interval.start_s < end_s)


def restore_unknown(words: tuple[Interval, ...], utterance: Utterance) -> tuple[Interval, ...]:
    """Words as `normalise` writes them; `<unk>` becomes the transcript's word where all others agree with it, but for the outer
    apostrophes that MFA leaves out of a word."""
    symbols = [_symbol(word.symbol, utterance.language) for word in words]
    transcript = normalise(utterance.transcript, utterance.language)
    found = " ".join(symbols).split()  # an interval may hold several words
    pairs = zip(found, transcript, strict=False)
    if len(found) == len(transcript) and all(a == UNKNOWN_WORD or a.strip("'") == b.strip("'") for a, b in pairs):
        rest = iter(transcript)
        symbols = [" ".join(islice(rest, len(symbol.split()))) for symbol in symbols]
    return tuple(replace(word, symbol=symbol) for word, symbol in zip(words, symbols, strict=True))


def _symbol(label: str, language: str) -> str:
    """The words of a label with spaces between: `Twenty-one` is `twenty one`; `mp3`, which `normalise` can't write, stays."""
    if noise_marks(label) or label.lower() == "spn" or UNKNOWN_WORD in label:  # `l'<unk>`
        return UNKNOWN_WORD
    words = [] if unknown_characters(label, language) else normalise(label, language)
    return " ".join(words) or " ".join(label.lower().split())
