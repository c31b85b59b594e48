"""The aligner that installs with pip: pocketsphinx with the English acoustic model and lexicon of its wheel.

What was measured, and every trap, is in the tests. The traps: noise statistics leak from one utterance to the next
(`reinit_feat` stops that); an empty pronunciation crashes the interpreter; `bestpath` search spoils phones.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from wordprint.align.base import transcript_words
from wordprint.align.options import AlignConfig
from wordprint.align.quality import FRAME_S, correct_phones, correct_words, frame_goodness, mean_goodness
from wordprint.align.senones import WordStates, log_is_cut_off, parse_senone_log, state_starts
from wordprint.errors import AlignmentError, ConfigError, require_extra
from wordprint.records import Alignment, Interval, Utterance
from wordprint.speech.audio import SAMPLE_RATE, to_int16
from wordprint.speech.g2p import load_g2p
from wordprint.speech.lexicon import ARPABET, Lexicon, Pronunciation, strip_variant
from wordprint.speech.text import base_language

SEARCH = {"bestpath": False, "silprob": 0.5, "wip": 1.0, "lw": 1.0, "wbeam": 1e-80}
"""Search options that align best: no pass over a word lattice, silence as likely as not between words, wide beams."""

BEAMS = (1e-100, 1e-250)
"""Widths of the search, tried in turn until the end of the transcript is reached."""

STATES_PER_PHONE = 3  # of the acoustic model: a phone lasts three frames at least

MIN_SAMPLES = 800  # 50 ms: two analysis windows; pocketsphinx chokes on less

_OVERRIDE = "+"  # marks, inside the decoder, a word with pronunciations from the user's lexicon


class PocketsphinxAligner:
    """Aligns English utterances; loads in 0.1 s and takes 64 MB."""

    def __init__(self, config: AlignConfig) -> None:
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise require_extra("pocketsphinx", "align", "the pocketsphinx aligner") from error
        self._g2p = load_g2p(config.g2p)
        self._lexicon = Lexicon.read(config.lexicon) if config.lexicon else None
        if config.lexicon and self._lexicon:
            _check_phones(self._lexicon, config.lexicon)
        options = {**SEARCH, "beam": BEAMS[0], "pbeam": BEAMS[0], "lm": None, "loglevel": "FATAL"}
        # exists only while an utterance is aligned: worker processes end in ways that leave no time to clean up
        self._log = Path(tempfile.gettempdir(), f"wordprint-align-{uuid4().hex}") if config.phones else None
        if self._log:
            options["senlogdir"] = str(self._log)
        self._decoder = Decoder(**options)
        self._added: set[str] = set()

    @property
    def g2p_name(self) -> str:
        """Which G2P guesses pronunciations, for the receipt."""
        return self._g2p.name

    def align(self, utterance: Utterance, samples: NDArray[np.float32]) -> Alignment:
        """Align one utterance; see `Aligner.align`. Reasons: unsupported_language, empty_transcript, unknown_characters,
        silent_audio, too_short, no_alignment."""
        if base_language(utterance.language) != "en":
            raise AlignmentError(
                f"the language is '{utterance.language}', and pocketsphinx's model is English",
                remedy="align with the Montreal Forced Aligner (--aligner mfa), into another output folder",
                reason="unsupported_language",
            )
        words = transcript_words(utterance)
        try:
            return self._align(utterance.utterance_id, words, samples)
        finally:
            if self._log:
                shutil.rmtree(self._log, ignore_errors=True)

    def _align(self, utterance_id: str, words: list[str], samples: NDArray[np.float32]) -> Alignment:
        tokens = [self._token(word) for word in words]
        segments = self._search(tokens, samples)
        spans = [(segment.start_frame, segment.end_frame + 1) for segment in segments]
        times = correct_words(spans, len(samples) / SAMPLE_RATE)
        intervals = tuple(
            Interval(word, start_s, end_s, frame_goodness(segment.ascore, end - start))
            for word, segment, (start, end), (start_s, end_s) in zip(words, segments, spans, times, strict=True)
        )
        return Alignment(
            utterance_id,
            intervals,
            self._phones(spans, times, self._log) if self._log else (),
            mean_goodness(intervals),
            tuple(sorted(self._added.intersection(words))),
        )

    def _token(self, word: str) -> str:
        """The decoder's name for a word, which has a pronunciation there from now on."""
        if self._lexicon and word in self._lexicon:
            token = word + _OVERRIDE
            self._add(token, self._lexicon.lookup(word))
            return token
        if word not in self._added and self._decoder.lookup_word(word) is None:
            self._add(word, [self._g2p(word)])
        return word

    def _add(self, token: str, pronunciations: Sequence[Pronunciation]) -> None:
        if token in self._added:
            return
        for number, phones in enumerate(pronunciations, start=1):
            if not phones:  # would crash the interpreter
                raise ValueError(f"empty pronunciation of {token!r}")
            self._decoder.add_word(token if number == 1 else f"{token}({number})", " ".join(phones), False)
        self._added.add(token)

    def _search(self, tokens: list[str], samples: NDArray[np.float32]) -> list[Any]:
        """Segments of the words, in order; raises AlignmentError when no search width reaches the transcript's end."""
        duration_s = len(samples) / SAMPLE_RATE
        phones = sum(len((self._decoder.lookup_word(token) or "").split()) for token in tokens)
        if len(samples) < MIN_SAMPLES:
            raise AlignmentError(f"{duration_s:.3f} s are too short", reason="too_short")
        if not samples.any():
            raise AlignmentError("the recording is silent", reason="silent_audio")
        pcm = to_int16(samples).tobytes()
        for beam in BEAMS:
            self._decoder.config["beam"] = self._decoder.config["pbeam"] = beam
            with suppress(RuntimeError):  # pocketsphinx says no more than that it failed
                self._decode(tokens, pcm)
                segments = [segment for segment in self._decoder.seg() or () if _is_word(segment.word)]
                if [strip_variant(segment.word) for segment in segments] == tokens:
                    return segments
        if duration_s < STATES_PER_PHONE * FRAME_S * phones:
            raise AlignmentError(f"{duration_s:.2f} s are too short for {phones} phones", reason="too_short")
        raise AlignmentError(
            f"no path through the {len(tokens)} words of the transcript", remedy="check that it says what the recording says"
        )

    def _decode(self, tokens: list[str], pcm: bytes) -> None:
        if self._log:
            shutil.rmtree(self._log, ignore_errors=True)  # of a narrower search
            self._log.mkdir(mode=0o700)
        self._decoder.reinit_feat()  # else the noise estimate of earlier utterances changes this one
        self._decoder.set_align_text(" ".join(tokens))
        try:
            self._decoder.start_utt()
        except RuntimeError as error:
            if self._log and not any(self._log.iterdir()):
                raise log_is_cut_off() from error
            raise
        try:
            self._decoder.process_raw(pcm, full_utt=True)
        finally:
            self._decoder.end_utt()

    def _phones(self, spans: Sequence[tuple[int, int]], times: Sequence[tuple[float, float]], log: Path) -> tuple[Interval, ...]:
        """Phones of the last search, which found words at frames `spans`, inside their corrected `times`."""
        names, senones = self._states()
        (file,) = log.iterdir()
        words = [WordStates(start, end - start, states) for (start, end), states in zip(spans, senones, strict=True)]
        return tuple(
            Interval(name, start_s, end_s)
            for time, phones, starts in zip(times, names, state_starts(words, parse_senone_log(file.read_bytes())), strict=True)
            for name, (start_s, end_s) in zip(phones, correct_phones(starts[::STATES_PER_PHONE], time), strict=True)
        )

    def _states(self) -> tuple[list[list[str]], list[list[int]]]:
        """Phone names, and senones of all states, of each word of the last search."""
        self._decoder.set_alignment()
        names, senones = [], []
        for word in self._decoder.get_alignment().words():  # an entry is valid only while the iteration stands at it
            if _is_word(word.name):
                phones = [(phone.name, [int(state.name) for state in phone]) for phone in word]
                names.append([name for name, _ in phones])
                senones.append([senone for _, states in phones for senone in states])
        return names, senones


def _is_word(symbol: str) -> bool:
    """Not silence, noise or the ends of the sentence, which pocketsphinx writes as <sil>, [NOISE], ++NOISE++ and (NULL)."""
    return not symbol.startswith(("<", "[", "(", "++"))


def _check_phones(lexicon: Lexicon, path: Path) -> None:
    unknown = sorted(lexicon.phones() - ARPABET)
    if unknown:
        named = "".join(letter if letter.isprintable() else "?" for letter in " ".join(unknown[:10])[:100])  # of any file
        raise ConfigError(
            f"{path} has phones that pocketsphinx's model does not know: {named}",
            expected=f"ARPAbet ({' '.join(sorted(ARPABET))})",
            remedy="use an ARPAbet dictionary, or --aligner mfa",
        )
