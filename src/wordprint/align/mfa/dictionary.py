"""A pronunciation dictionary in the form that MFA takes: `word<TAB>phones`, no empty ones, stress marks as they are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from wordprint.speech.g2p import G2P
from wordprint.speech.lexicon import ARPABET, Lexicon
from wordprint.speech.text import base_language
from wordprint.stages.manifest import atomic_write

_STRESS = re.compile(r"(?<=[A-Z])[012]$")


class Pronunciations:
    """A lexicon file, cleaned, and guesses for English words that it lacks where it is in ARPAbet.

    What it can't guess MFA takes for an unknown word.
    """

    def __init__(self, path: Path, g2p: Callable[[], G2P]) -> None:
        self._lexicon = Lexicon.read(path, stress=True)
        self._phones = self._lexicon.phones()
        arpabet = {_STRESS.sub("", phone) for phone in self._phones} <= ARPABET
        self._g2p = g2p() if arpabet else None

    @property
    def g2p_name(self) -> str | None:
        """What guesses, or None."""
        return self._g2p.name if self._g2p else None

    def missing(self, words: Iterable[str]) -> set[str]:
        """Words that the lexicon lacks."""
        return {word for word in words if word not in self._lexicon}

    def write(self, path: Path, words: Iterable[str] = (), language: str = "en") -> None:
        """Write the whole lexicon, and guesses for those of `words` that it lacks."""
        guess = self._g2p is not None and base_language(language) == "en"
        with atomic_write(path) as file:
            for word in self._lexicon:
                file.writelines(f"{word}\t{' '.join(phones)}\n" for phones in self._lexicon.lookup(word))
            for word in sorted(self.missing(words)) if guess else ():
                phones = self._guess(word)
                if phones:
                    file.write(f"{word}\t{' '.join(phones)}\n")

    def _guess(self, word: str) -> tuple[str, ...]:
        """Phones as the lexicon writes them, for an acoustic model knows no others; the first vowel has the stress. Empty where
        one is not in the lexicon."""
        assert self._g2p is not None
        guess, marks = [], "102"
        for phone in self._g2p(word):
            written = next((p for p in (phone, *(phone + mark for mark in marks)) if p in self._phones), None)
            if written is None:
                return ()
            guess.append(written)
            if written != phone:
                marks = "012"
        return tuple(guess)
