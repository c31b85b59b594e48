"""G2P: guess the pronunciation of an OOV English word in the 39 ARPAbet phones of the bundled lexicon.

Its quality hardly matters when few words are OOV; losing an utterance to one does. So a guess is never empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Protocol

from wordprint.errors import MissingExtraError
from wordprint.speech.espeak import IpaSpeller
from wordprint.speech.lexicon import Pronunciation


class G2P(Protocol):
    """Guesses pronunciations; `name` goes into the receipt."""

    name: str

    def __call__(self, word: str) -> Pronunciation:
        """Phones of a lower-case English word; at least one."""


def load_g2p(name: str = "auto") -> G2P:
    """`espeak`, `rules`, or `auto`: espeak-ng where its wheel is installed, else the rules.

    Raises MissingExtraError when espeak-ng is asked for and not there.
    """
    if name == "rules":
        return RuleG2P()
    try:
        return EspeakG2P()
    except MissingExtraError:
        if name == "espeak":
            raise
        return RuleG2P()


def _table(text: str) -> dict[str, str]:
    """Symbols and the phones they stand for, from `symbol PHONE PHONE, symbol PHONE` with commas or line ends between."""
    entries = (entry.strip().partition(" ") for entry in text.strip().replace("\n", ",").split(","))
    return {symbol: phones for symbol, _, phones in entries}


# espeak-ng's IPA (voice en-us) → ARPAbet; the longest key that fits is taken first
_IPA = _table("""
p P, b B, t T, d D, k K, ɡ G, g G, f F, v V, θ TH, ð DH, s S, z Z, ʃ SH, ʒ ZH, tʃ CH, dʒ JH, h HH, m M, n N, ŋ NG, l L
ɹ R, r R, j Y, w W, ʍ W, ɾ T, x K, ç HH, ɬ L, ɲ N Y, n̩ AH N, m̩ AH M, l̩ AH L, əl AH L, ɑ̃ AA N, ɔ̃ AO N, i IY, iː IY, ɪ IH, ᵻ IH
ɛ EH, e EY, eɪ EY, æ AE, a AA, aː AA, ɑ AA, ɑː AA, ɒ AA, ɔ AO, ɔː AO, o OW, oː OW, oʊ OW, əʊ OW, u UW, uː UW, ʊ UH, y UW
ʌ AH, ə AH, ɐ AH, ɚ ER, ɜː ER, ɜ ER, aɪ AY, aʊ AW, ɔɪ OY, iə IY AH, ɪə IH R, aɪə AY AH, aɪɚ AY ER, ʊɹ UH R
""")


class EspeakG2P:
    """What espeak-ng would say."""

    name = "espeak-ng"

    def __init__(self) -> None:
        self._rules, self._ipa = RuleG2P(), IpaSpeller()

    def __call__(self, word: str) -> Pronunciation:
        return ipa_to_arpabet(self._ipa(word)) or self._rules(word)


def ipa_to_arpabet(ipa: str) -> Pronunciation:
    """espeak-ng's IPA as ARPAbet; stress, pauses and symbols without a counterpart are left out."""
    phonemes = re.split(r"[_\s]+", re.sub(r"\([^)]*\)|[ˈˌ]", "", ipa))
    return tuple(phone for phoneme in phonemes for phone in _translate(phoneme, _IPA))


# spellings → ARPAbet, the longest that fits first; "$" is the end of the word. Rough on purpose: see the module's head
_SPELLINGS = _table("""
a AE, b B, c K, d D, e EH, f F, g G, h HH, i IH, j JH, k K, l L, m M, n N, o AA, p P, q K, r R, s S, t T, u AH, v V, w W
x K S, y IH, z Z, bb B, cc K, dd D, ff F, gg G, kk K, ll L, mm M, nn N, pp P, rr R, ss S, tt T, vv V, zz Z
qu K W, ck K, ch CH, tch CH, sh SH, sch SH, zh ZH, th TH, ph F, gh G, ght T, wh W, ng NG, nk NG K, kn N, wr R, dge JH
ci S IH, ce S EH, cy S IY, gi JH IH, ce$ S, ge$ JH, e$, es$ Z, 's$ Z, ed$ D, y$ IY, a$ AH, o$ OW, i$ IY, u$ UW, le$ AH L
ee IY, ea IY, ie IY, ei EY, ey EY, ey$ IY, ai EY, ay EY, oo UW, oa OW, ou AW, ow OW, oi OY, oy OY, au AO, aw AO, eu Y UW, ew UW
ue UW, ui UW, ar AA R, er ER, ir ER, or AO R, ur ER, igh AY, tion SH AH N, sion ZH AH N, cious SH AH S, ous$ AH S
ture$ CH ER, able$ AH B AH L, ing$ IH NG, ism$ IH Z AH M
""")


class RuleG2P:
    """A small table of English spellings; needs nothing installed."""

    name = "rules"

    def __call__(self, word: str) -> Pronunciation:
        return tuple(_translate(f"{word.lower()}$", _SPELLINGS)) or ("AH",)


def _translate(text: str, table: dict[str, str]) -> Iterator[str]:
    """Phones of `text`, taking the longest key of `table` that fits each time; what no key fits is skipped."""
    longest = max(map(len, table))
    start = 0
    while start < len(text):
        fits = (size for size in range(longest, 0, -1) if text[start : start + size] in table)
        size = next(fits, 1)
        yield from table.get(text[start : start + size], "").split()
        start += size
