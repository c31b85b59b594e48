"""What is said beside a command: the same words but one, which is its opposite ("lights on", "lights off").

No list of what is said in English has such pairs, and they are what a command is confused with at home.
"""

from __future__ import annotations

from wordprint.speech.text import normalise

PAIRS = (
    ("on", "off"), ("up", "down"), ("left", "right"), ("open", "close"), ("start", "stop"), ("in", "out"), ("lock", "unlock"),
    ("more", "less"), ("next", "previous"), ("louder", "quieter"), ("warmer", "colder"), ("raise", "lower"), ("yes", "no"),
)  # fmt: skip
OPPOSITE = {one: other for pair in PAIRS for one, other in (pair, pair[::-1])}


def opposites(text: str) -> list[str]:
    """The text with each word that has an opposite replaced by it, one at a time."""
    words = normalise(text)
    return [" ".join([*words[:place], OPPOSITE[word], *words[place + 1 :]]) for place, word in enumerate(words) if word in OPPOSITE]
