"""What a run of MFA wrote: TextGrids in its own words, which become the transcript's, and how well they fit."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from wordprint.align.mfa.corpus import Written
from wordprint.align.mfa.run import Setup
from wordprint.align.rows import aligned, dropped
from wordprint.align.textgrids import clip, restore_unknown
from wordprint.errors import AlignmentError, InputError
from wordprint.records import Alignment, Interval, Utterance
from wordprint.speech.textgrid import UNKNOWN_WORD, read_textgrid

_SPOKEN_NOISE = "spn"  # the phone of a word without a pronunciation


class Reader:
    """Reads what a run of MFA wrote."""

    def __init__(self, folder: Path, setup: Setup, guessed: set[str]) -> None:
        self._folder, self._setup, self._guessed = folder, setup, guessed
        self._goodness = read_goodness(folder / "alignment_analysis.csv")

    def result(self, item: Written) -> dict[str, Any]:
        utterance = item.entry.utterance
        try:
            alignment = self._alignment(item, utterance)
        except AlignmentError as error:
            return dropped(utterance, error)
        return aligned(utterance, alignment, item.duration_s, self._setup.output)

    def _alignment(self, item: Written, utterance: Utterance) -> Alignment:
        path = self._folder / f"{item.name}.TextGrid"
        if not path.is_file():
            raise AlignmentError(
                "MFA found no alignment", remedy="check the transcript, or widen the search with mfa_retry_beam", reason="unaligned"
            )
        try:
            found = read_textgrid(path, utterance.utterance_id)
            joined = join_clitics(clip(path.name, found.words, utterance), item.entry.words)
            found_words = restore_unknown(joined, utterance)
        except InputError as error:
            raise AlignmentError(error.seen.replace(str(self._folder), ""), reason=error.reason) from error
        if not found_words:
            raise AlignmentError("MFA's TextGrid has no words", reason="unaligned")
        known = [word.symbol for word in found_words if word.symbol != UNKNOWN_WORD]
        if sum(symbol in item.entry.words for symbol in known) < len(known) / 2:
            # MFA pairs the words and phones of its files by counting: one file without either would shift all that follow
            raise AlignmentError("MFA's TextGrid has other words than the transcript", reason="textgrid_mismatch")
        phones = clip(path.name, found.phones, utterance)
        oov = {word.symbol for word in found_words if word.symbol in self._guessed or _unknown(word, phones)}
        return replace(
            found,
            words=found_words,
            phones=phones if self._setup.config.phones else (),
            goodness=self._goodness.get(path.stem),
            oov=tuple(sorted(oov - {UNKNOWN_WORD})),
        )


def join_clitics(found: Sequence[Interval], words: Sequence[str]) -> tuple[Interval, ...]:
    """Put together what MFA split at an apostrophe (`l'` `homme`), unless it is the next of the transcript's `words`."""
    joined: list[Interval] = []
    for interval in found:
        apart = not joined or not (joined[-1].symbol.endswith("'") or interval.symbol.startswith("'"))
        if apart or interval.symbol in words[len(joined) : len(joined) + 1]:
            joined.append(interval)
        else:
            joined[-1] = replace(joined[-1], symbol=joined[-1].symbol + interval.symbol, end_s=interval.end_s)
    return tuple(joined)


def read_goodness(path: Path) -> dict[str, float]:
    """Log likelihood by file name from MFA's `alignment_analysis.csv`: the mean over the phones of the speech, or where that
    is missing the mean over all frames."""
    if not path.is_file():
        return {}
    goodness = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            value = row.get("speech_log_likelihood") or row.get("overall_log_likelihood")
            if value:
                goodness[row.get("file", "")] = round(float(value), 3)
    return goodness


def _unknown(word: Interval, phones: Sequence[Interval]) -> bool:
    """Whether MFA had no pronunciation for a word, or for its part before or after an apostrophe: that is one phone of noise."""
    noise = (phone for phone in phones if phone.symbol == _SPOKEN_NOISE)
    return any(word.start_s <= (phone.start_s + phone.end_s) / 2 < word.end_s for phone in noise)
