"""espeak-ng: speech from text, of a given voice and with the true time of each word, and the phones of a word.

The library comes with the package `espeakng-loader` and is called through its C interface (espeak-ng/speak_lib.h). It is
GPL-licensed: an optional extra, loaded at run time, no part of wordprint.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import InputError, MissingExtraError, require_extra
from wordprint.records import Interval
from wordprint.speech.audio import SAMPLE_RATE, resample, to_float32

ACCENTS = ("en", "en-029", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-us", "en-us-nyc")
"""English accents; the ninth of espeak-ng is for the Shavian alphabet."""

# Robots, whispers and echoes that smear one word into the next; then voices that a recogniser of human speech can't follow
# (its word boundaries are off by 20 ms and more on average); the last line draws from C's global random numbers.
_EXCLUDED = """
    Alicia Demonic Marco RicishayMax RicishayMax2 RicishayMax3 UniRobot anikaRobot announcer iven pablo robosoft robosoft2
    robosoft3 robosoft4 robosoft5 robosoft6 robosoft7 robosoft8 travis whisper whisperf zac
    Andy AnxiousAndy Lee Tweaky boris ian kaukovalta norbert shelby
    Reed adam benjamin caleb david edward2 klatt6 mike2
"""

_RETRIEVAL, _SYNCHRONOUS, _PHONEME_EVENTS, _UTF8 = 1, 2, 0x0001, 1
_DONT_EXIT = 0x8000  # else the library ends the process when it does not find its data
_IPA_PHONEMES = 0x02 | ord("_") << 8  # IPA, phonemes separated by "_"
_LONGEST_PATH = 130  # bytes; espeak-ng cuts the paths of its files after 160
_RATE, _PITCH = 1, 3
_END_OF_LIST, _WORD, _PHONEME = 0, 1, 7
_PAUSE, _LINKING_R = "_", "r-"


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice variant with an accent, a rate in words per minute and a pitch (0 to 99, 50 is the variant's own)."""

    variant: str
    accent: str = "en-us"
    words_per_minute: int = 165
    pitch: int = 50

    @property
    def name(self) -> str:
        return f"{self.accent}+{self.variant}"


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # characters from the start of the text, the first is 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class _Mark:
    """A word (`position` in the text) or a phone (`symbol`) that begins at `sample`, in the order of the speech."""

    sample: int
    position: int
    symbol: str | None


class _Espeak:
    """A private copy of the library, which nothing else in the process can hold or disturb; `remove` deletes it."""

    def __init__(self, purpose: str) -> None:
        try:
            import espeakng_loader
        except ImportError as error:
            raise require_extra("espeakng-loader", "synthetic", purpose) from error
        folder = tempfile.mkdtemp(prefix="wordprint-espeak-")
        self.remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._library = str(shutil.copy(espeakng_loader.get_library_path(), folder))
        self.data = Path(espeakng_loader.get_data_path()).resolve()
        if len(os.fsencode(self.data)) > _LONGEST_PATH:
            link = Path(folder, self.data.name)
            link.symlink_to(self.data)
            self.data = link

    def start(self, output: int, options: int = 0) -> tuple[ctypes.CDLL, int]:
        """The library, loaded and initialised, and its sample rate (Hz); raises MissingExtraError where its data is damaged."""
        library = ctypes.CDLL(self._library)
        rate = library.espeak_Initialize(output, 500, os.fsencode(self.data), options | _DONT_EXIT)
        if rate <= 0:  # it stays loaded: a thread of its own may have begun
            raise MissingExtraError(f"espeak-ng can't start with the data in {self.data}", remedy="reinstall espeakng-loader")
        return library, rate


class IpaSpeller:
    """The phones of a word, as the voice `en-us` says it."""

    def __init__(self) -> None:
        self._espeak = _Espeak("guessing pronunciations with espeak-ng")
        self._library, _ = self._espeak.start(_RETRIEVAL)
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._library.espeak_SetVoiceByName(b"en-us")

    def __call__(self, word: str) -> str:
        """IPA with `_` between phonemes; empty for what isn't spoken."""
        text = ctypes.c_char_p(word.encode())
        ipa = []
        while text.value is not None:  # one clause at a time; the library moves the pointer on
            ipa.append((self._library.espeak_TextToPhonemes(ctypes.byref(text), _UTF8, _IPA_PHONEMES) or b"").decode())
        return "_".join(ipa)


class Synthesiser:
    """espeak-ng in this process; use it as a context manager, from one thread.

    Its pitch flutter, echo and filters run on from one utterance to the next and can't be reset, so the library is loaded
    anew (0.5 ms) for each: the same text and voice always give the same samples.
    """

    def __init__(self) -> None:
        self._espeak = _Espeak("synthetic speech")

    def __enter__(self) -> Synthesiser:
        return self

    def __exit__(self, *error: object) -> None:
        self._espeak.remove()

    def variants(self) -> list[str]:
        """Voice variants that sound like people, by name."""
        return sorted(set(os.listdir(self._espeak.data / "voices" / "!v")) - set(_EXCLUDED.split()))

    def synthesise(self, text: str, voice: Voice) -> tuple[NDArray[np.float32], tuple[Interval, ...]]:
        """Samples (N,) at SAMPLE_RATE and the interval of each word of `text`; there is no silence before or after.

        A word begins with the closure of its first stop when another word runs into it, and with its first sound after a
        pause. Raises InputError for an unknown voice, or where what is spoken can't be matched with the words of the text.
        """
        words = text.split()
        if not words:
            raise InputError("there is no text to speak", expected="at least one word")
        rate, samples, marks = self._speak(" ".join(words), voice)
        spans = _word_spans(words, marks, len(samples))
        symbols = [word.strip(".,;:!?\"'").lower() for word in words]
        times = tuple(Interval(symbol, start / rate, end / rate) for symbol, (start, end) in zip(symbols, spans, strict=True))
        return resample(to_float32(samples), rate, SAMPLE_RATE), times

    def _speak(self, text: str, voice: Voice) -> tuple[int, NDArray[np.int16], list[_Mark]]:
        chunks: list[bytes] = []
        marks: list[_Mark] = []
        stopped: list[BaseException] = []

        def collect_or_stop(wave: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> int:
            try:  # ctypes would print an exception (Ctrl-C, say) and go on
                collect(wave, count, events)
            except BaseException as error:
                stopped.append(error)
            return len(stopped)

        def collect(wave: ctypes._Pointer[ctypes.c_short], count: int, events: ctypes._Pointer[_Event]) -> None:
            if count > 0:
                chunks.append(ctypes.string_at(wave, 2 * count))
            index = 0
            while (event := events[index]).type != _END_OF_LIST:
                if event.type in (_WORD, _PHONEME):
                    symbol = event.id.string.decode("utf-8", "replace") if event.type == _PHONEME else None
                    if symbol and symbol.startswith(_PAUSE):
                        symbol = _PAUSE  # of any length
                    marks.append(_Mark(event.sample, event.text_position - 1, symbol))
                index += 1

        callback, data = _Callback(collect_or_stop), text.encode()
        library, rate = self._espeak.start(_SYNCHRONOUS, _PHONEME_EVENTS)
        try:
            library.espeak_ng_SetRandSeed(ctypes.c_long(1))
            library.espeak_SetSynthCallback(callback)
            variant = self._espeak.data / "voices" / "!v" / voice.variant  # an unknown one would be passed over in silence
            if library.espeak_SetVoiceByName(voice.name.encode()) != 0 or not variant.is_file():
                raise InputError(f"espeak-ng has no voice '{voice.name}'", expected="one of Synthesiser.variants() and ACCENTS")
            library.espeak_SetParameter(_RATE, voice.words_per_minute, 0)
            library.espeak_SetParameter(_PITCH, voice.pitch, 0)
            library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 1, 0, _UTF8, None, None)
        finally:
            library.espeak_Terminate()
            _unload(library)
        if stopped:
            raise stopped[0]
        return rate, np.frombuffer(b"".join(chunks), dtype=np.int16), marks


def _word_spans(words: Sequence[str], marks: Sequence[_Mark], count: int) -> list[tuple[int, int]]:
    """(start, end) of each word in samples; a word ends where the next begins or a pause."""
    offsets = np.cumsum([0, *(len(word) + 1 for word in words)])
    starts: dict[int, int] = {}
    for place, word in enumerate(marks):
        phone = next((mark for mark in marks[place + 1 :] if mark.symbol != _PAUSE), None)
        if word.symbol is None and phone is not None and phone.symbol is not None:
            index = int(np.searchsorted(offsets, word.position, side="right")) - 1
            starts.setdefault(index, _start(marks[place - 1] if place else None, word, phone))
    if sorted(starts) != list(range(len(words))):
        raise InputError(
            f"espeak-ng ran words of '{' '.join(words)}' together", expected="words that it speaks one by one", reason="synthesis"
        )
    pauses = [mark.sample for mark in marks if mark.symbol == _PAUSE]
    edges = [*(starts[index] for index in range(len(words))), count]
    return [(start, min((pause for pause in pauses if start < pause < end), default=end)) for start, end in pairwise(edges)]


def _start(before: _Mark | None, word: _Mark, phone: _Mark) -> int:
    """First sample of a word from its own mark, that of its first phone, and the phone before.

    The word's mark includes the closure of a stop. It means nothing after a pause, and is wrong where the phone before it
    is not yet spoken (same sample) or is an r that links two vowels; there the mark of the first phone is exact.
    """
    runs_on = before is not None and before.symbol not in (None, _PAUSE, _LINKING_R) and before.sample < word.sample
    return word.sample if runs_on else phone.sample


def _unload(library: ctypes.CDLL) -> None:
    import _ctypes

    unload = _ctypes.FreeLibrary if os.name == "nt" else _ctypes.dlclose  # type: ignore[attr-defined]
    unload(library._handle)
