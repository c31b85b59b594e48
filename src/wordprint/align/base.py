"""What an aligner is, and how one is found by name.

An aligner of your own is a class with two methods, named on the command line as `--aligner package.module:Class`:

    class EvenAligner:
        def __init__(self, config: AlignConfig) -> None: ...

        def align(self, utterance: Utterance, samples: NDArray[np.float32]) -> Alignment:
            words = transcript_words(utterance)
            step = utterance.duration_s / len(words)
            intervals = [Interval(word, i * step, (i + 1) * step) for i, word in enumerate(words)]
            return Alignment(utterance.utterance_id, tuple(intervals))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from wordprint.align.options import AlignConfig
from wordprint.errors import AlignmentError, ConfigError
from wordprint.records import Alignment, Utterance
from wordprint.speech.text import normalise, unknown_characters
from wordprint.stages.contract import StageRun
from wordprint.stages.options import check
from wordprint.stages.parts import find_part

ALIGNERS = {
    "pocketsphinx": "wordprint.align.pocketsphinx:PocketsphinxAligner",
    "textgrid": "wordprint.align.textgrids:TextGridAligner",
    "lhotse": "wordprint.align.lhotse:LhotseAligner",
    "mfa": "wordprint.align.mfa.aligner:MfaAligner",
}
"""Aligners by name; a module is loaded when its aligner is asked for."""


class Aligner(Protocol):
    """Built once per process as `Class(config)`; called for one utterance after the other, in any order.

    A class attribute `reads_audio = False` spares reading recordings: `samples` is then empty.
    """

    def align(self, utterance: Utterance, samples: NDArray[np.float32]) -> Alignment:
        """Intervals, in seconds from the utterance's start, of `samples` (N,) at SAMPLE_RATE, full scale ±1.

        Raises AlignmentError with a `reason` for an utterance that can't be aligned: it is counted and left out. The
        result must depend on this utterance alone, never on those before it.
        """


@runtime_checkable
class CorpusAligner(Protocol):
    """An aligner that wants the whole corpus: it is called once instead, and has the stage run its own shards."""

    details: dict[str, Any]
    """Goes into the receipt; read after the last result."""

    @property
    def inputs(self) -> dict[str, Path]:
        """Files and folders, by option, that results depend on besides lexicon and TextGrids."""

    def align_corpus(self, stage: StageRun, manifest: Path) -> Iterator[dict[str, Any]]:
        """For each utterance in the manifest's order what `rows.aligned` or `rows.dropped` returns.

        It finds by itself what is wrong with the program or the models that it needs, before it writes anything, and
        raises a WordprintError. Memory must not grow with the number of utterances.
        """


def load_aligner(config: AlignConfig) -> Aligner | CorpusAligner:
    """The aligner that `config` names; raises ConfigError for an unknown name or options that contradict each other."""
    check(config)
    make: Callable[[AlignConfig], Aligner | CorpusAligner] = find_part(ALIGNERS, config.aligner, "aligner")
    return make(config)


def load_single(config: AlignConfig) -> Aligner:
    """Like `load_aligner`, for work on utterances one by one; raises ConfigError for an aligner of whole corpora."""
    aligner = load_aligner(config)
    if isinstance(aligner, CorpusAligner):
        raise ConfigError(f"aligner '{config.aligner}' aligns whole corpora", expected="one for single utterances: pocketsphinx")
    return aligner


def transcript_words(utterance: Utterance) -> list[str]:
    """Words to align; raises AlignmentError for a transcript with none, or with characters that were spoken but aren't words."""
    unknown = unknown_characters(utterance.transcript, utterance.language)
    if unknown:
        raise AlignmentError(
            f"the transcript has characters outside the alphabet: {' '.join(unknown)}",
            remedy="spell out numbers and symbols as they were spoken",
            reason="unknown_characters",
        )
    words = normalise(utterance.transcript, utterance.language)
    if not words:
        raise AlignmentError("the transcript has no words", reason="empty_transcript")
    return words
