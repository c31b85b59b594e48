"""Shots of one's own against shots of other people: how many of a person's sayings are missed.

    python benchmarks/personal.py spoken_digits_8khz
    python benchmarks/personal.py work/dev/align --speakers anna ben

Takes word folders, or what 'align' wrote: there keywords are cut out of sentences. Each person's keyword is enrolled from
recordings of that person, and from as many by others, one each; asked for are that person's other recordings, at the thresholds
for so many expected false alarms per hour.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from heldout import similarities
from numpy.typing import NDArray
from timing import print_table

from wordprint.errors import EnrollmentError
from wordprint.evaluate.stream_material import by_speakers, read_background
from wordprint.evaluate.stream_running import read_words, running
from wordprint.model import Model
from wordprint.spot.enroll import make_keyword
from wordprint.spot.expect import expected
from wordprint.stages.manifest import ALIGNMENTS
from wordprint.words.tokens import load_tokens

RATES = (1.0, 10.0)
OWN, OTHERS = "the same person", "others"
ASKED = 10
MIN_LETTERS = 4

Samples = NDArray[np.float32]
Takes = dict[str, dict[str, list[Callable[[], Samples]]]]


def read(folder: Path, speakers: tuple[str, ...], shots: int) -> Takes:
    """By word and speaker what reads a recording."""
    found: Takes = defaultdict(lambda: defaultdict(list))
    if (folder / ALIGNMENTS).exists():
        items, _ = read_words(folder, by_speakers(read_background(folder)[0], speakers))
        words = sorted({word.symbol for item in items for word in item.words if len(word.symbol) >= MIN_LETTERS})
        material = running(items, words, 0, shots)
        for word, said in material.tokens.items():
            for token in said:
                found[word][token.speaker].append(lambda token=token: material.shot(token))
        return found
    tokens = load_tokens(folder)
    for number, token in enumerate(tokens):
        if token.speaker is not None:
            found[token.word][token.speaker].append(lambda number=number: tokens.load(number))
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--speakers", nargs="*", default=())
    options.add_argument("--model", type=Path, default=None, help="default: the one that comes with wordprint")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--shots", type=int, nargs="+", default=(1, 3))
    options.add_argument("--least-asked", type=int, default=2, help="further recordings that a person must have made")
    given = options.parse_args()
    model, most, random = Model(given.model), max(given.shots), np.random.default_rng(given.seed)
    takes = read(given.folder, tuple(given.speakers), most)
    missed: dict[tuple[int, str, float], list[float]] = defaultdict(list)
    people, words = set(), set()
    for word, by_speaker in sorted(takes.items()):
        for speaker, own in sorted(by_speaker.items()):
            others = sorted(set(by_speaker) - {speaker})
            if len(own) < most + given.least_asked or len(others) < most:
                continue
            people.add(speaker)
            words.add(word)
            order, who = random.permutation(len(own)), random.permutation(len(others))
            asked = [own[number]() for number in order[most:][:ASKED]]
            mine = [own[number]() for number in order[:most]]
            theirs = [by_speaker[others[number]][0]() for number in who[:most]]
            chosen = {(count, name): shots[:count] for count in given.shots for name, shots in ((OWN, mine), (OTHERS, theirs))}
            try:
                keywords = {key: make_keyword(model, word, shots, 0.0) for key, shots in chosen.items()}
            except EnrollmentError as error:
                print(f"left out: {error}")
                continue
            for (count, name), keyword in keywords.items():
                found, rates = similarities(model, keyword, asked), expected(model, keyword)
                for rate in RATES if rates else ():
                    missed[count, name, rate].append(float(np.mean(found < rates.threshold(rate))))
    pairs = len(next(iter(missed.values()), []))
    print(f"{len(words)} keywords, {len(people)} people, {pairs} pairs of both; missed, % ± twice the standard error over pairs")
    rows = []
    for count in given.shots:
        for name in (OWN, OTHERS):
            values = [100 * np.array(missed[count, name, rate]) for rate in RATES]
            rows.append([str(count), name, *(f"{v.mean():.1f} ± {2 * v.std() / np.sqrt(len(v)):.1f}" for v in values)])
    print_table(["shots", "of", *(f"{rate:g} expected per hour" for rate in RATES)], *rows)


if __name__ == "__main__":
    main()
