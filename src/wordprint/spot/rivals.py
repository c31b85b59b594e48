"""What a keyword is told apart from: texts that are nearly it, such as "lights off" of "lights on".

A command that differs by the opposite of one word is what is said beside it at home, and no list of what is said in English has it.
The vector of a rival is that of its keyword, moved by how their spellings differ: the voice and the microphone of the shots stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

import numpy as np

from wordprint.errors import EnrollmentError, InputError
from wordprint.model import Model
from wordprint.speech.text import normalise, unknown_characters
from wordprint.spot.enrollment import Keyword, Rival, plain_name, tidy_name
from wordprint.spot.pronounce import as_text, pronounce
from wordprint.spot.shots import normalised, rounded

PAIRS = (
    ("on", "off"), ("up", "down"), ("left", "right"), ("open", "close"), ("start", "stop"), ("in", "out"), ("lock", "unlock"),
    ("more", "less"), ("next", "previous"), ("louder", "quieter"), ("warmer", "colder"), ("raise", "lower"), ("yes", "no"),
)  # fmt: skip
OPPOSITE = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}


def opposites(text: str) -> list[str]:
    """The text with each word that has an opposite replaced by it, one at a time; none of a text that holds what isn't read out."""
    words = [] if unknown_characters(text) else normalise(text)
    return [" ".join([*words[:place], OPPOSITE[word], *words[place + 1 :]]) for place, word in enumerate(words) if word in OPPOSITE]


def with_rivals(model: Model, keyword: Keyword, texts: Iterable[str] = ()) -> Keyword:
    """The keyword told apart from its opposites and from `texts`, as far as that can be."""
    others, found = {plain_name(text): text for text in (*opposites(keyword.keyword), *texts)}, []
    for text in others.values():
        with suppress(EnrollmentError, InputError):
            found.append(rival(model, keyword, text))
    return replace(keyword, rivals=tuple(found))


def rival(model: Model, keyword: Keyword, text: str) -> Rival:
    """Raises EnrollmentError where the sounds of the keyword aren't known, InputError for a text that can't be told apart."""
    text, own = tidy_name(text), [tuple(string.split()) for string in keyword.sounds]
    if not own:
        raise EnrollmentError(
            f"how '{keyword.keyword}' is pronounced isn't known, so that it can't be told apart from a text",
            remedy="give recordings of what set it off, or enroll it with --phones",
        )
    strings = [string for string in pronounce(text)[0] if set(model.phones).issuperset(string)]
    if not strings:
        raise InputError(f"'{text}' has sounds that {model} doesn't know", expected=f"phones among {' '.join(model.phones)}")
    if set(strings).intersection(own):
        raise InputError(f"'{text}' sounds like '{keyword.keyword}'", expected="something else that it is taken for")
    known = np.array(keyword.prototypes, np.float32)
    spelled, others = model.spell(own), model.spell(strings)
    mine, spelling = np.unravel_index(int((known @ spelled.T).argmax()), (len(known), len(spelled)))
    return Rival(
        text=text,
        prototypes=tuple(rounded(normalised(known[mine] + other - spelled[spelling])) for other in others),
        sounds=as_text(strings),
    )
