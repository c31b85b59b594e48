"""Sentences for the synthetic corpus: a small vocabulary, every word of a class equally often.

None of the words is in Google Speech Commands, so that these stay unseen keywords.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

_WORDS = """
determiner: the every another this that
adjective: little yellow heavy quiet broken golden frozen gentle clever ancient purple narrow silver wooden lonely
  famous hungry modern orange careful distant honest simple curious brown young cheap bright empty strange warm local
noun: doctor window garden kitchen teacher river mountain village machine bottle dinner letter market student painter
  captain island forest lantern blanket button pocket summer winter engine basket hammer ladder mirror needle pencil
  rocket shadow sister brother ticket tunnel uncle valley wagon banana camera dragon elephant farmer guitar hospital
  jacket kettle lemon monkey number office palace queen rabbit sailor tiger umbrella violin water zebra bridge computer
  holiday
verb: carried followed painted discovered remembered visited finished repaired borrowed covered counted delivered
  enjoyed examined forgot gathered watched imagined invited measured noticed opened ordered polished promised protected
  received answered searched tasted touched washed
adverb: quickly slowly often always never sometimes later again today suddenly yesterday together
preposition: under behind beside near across against without inside between toward
"""

VOCABULARY: Mapping[str, tuple[str, ...]] = {
    kind: tuple(words.split()) for kind, words in re.findall(r"^(\w+):([^:]*)$", _WORDS, re.MULTILINE)
}
"""Words by class."""

PATTERNS = tuple(
    tuple(pattern.split())
    for pattern in (
        "determiner adjective noun verb adverb",
        "determiner adjective noun verb determiner noun",
        "adverb, determiner noun verb determiner adjective noun",
        "determiner noun preposition determiner noun verb determiner adjective noun",
        "determiner adjective noun verb determiner noun preposition determiner noun",
        "adjective noun verb determiner noun, preposition adjective noun",
    )
)
"""Word classes of a sentence of five to nine words; a comma is a pause."""


def draw_sentences(count: int, rng: np.random.Generator) -> Iterator[str]:
    """`count` sentences; a word comes back only when all the others of its class were used."""
    decks: dict[str, list[str]] = {kind: [] for kind in VOCABULARY}
    for index in range(count):
        words = []
        for place in PATTERNS[index % len(PATTERNS)]:
            kind = place.rstrip(",")
            if not decks[kind]:
                decks[kind] = [VOCABULARY[kind][i] for i in rng.permutation(len(VOCABULARY[kind]))]
            words.append(decks[kind].pop() + place[len(kind) :])
        yield " ".join(words)
