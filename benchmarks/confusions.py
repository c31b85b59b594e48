"""How many of a keyword's false alarms are foretold: what it fires on in other people's speech against what `confusable` names.

    python benchmarks/confusions.py work/align --speakers librispeech-1919 librispeech-777 --model work/export/model.onnx

Types keywords that the model has not heard in training, listens for them in aligned speech, takes of each as many of the best
matches as are wanted an hour, and looks up which words they lie on. A false alarm is foretold when a named word or phrase
takes up half of its span or more. Also: how often a named text fires when it is said. As controls each keyword is given the names
of others, and those that it would get if the list held just the words and phrases of this speech, as often as they are said in it.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint import Spotter
from wordprint.model import Model
from wordprint.records import Interval, Utterance
from wordprint.speech.audio import SAMPLE_RATE, read_audio
from wordprint.speech.text import normalise
from wordprint.speech.textgrid import read_textgrid
from wordprint.spot import confuse
from wordprint.spot.confuse import Confusable, confusable
from wordprint.spot.enroll import enroll
from wordprint.spot.pronounce import pronounce
from wordprint.spot.said import Said, load_said, pack, unpack
from wordprint.spot.verdict import phones_unlike
from wordprint.stages.manifest import ALIGNMENTS, read_jsonl

FIRST = (3, 10, 30, 100)
"""Names that are looked at."""
APART_S = 0.75
"""Two matches nearer than this are one false alarm."""
HALF = 0.5
"""Share of a false alarm's span that a text takes up which it is said to lie on."""
OTHERS = 5
"""Other keywords whose names are tried on a keyword's false alarms."""
PHONES, PER_MILLION = (5, 10), (0.3, 30)
"""How long keywords are, and how often they are said."""


@dataclass(frozen=True)
class Spoken:
    """An utterance, and where its words are."""

    samples: NDArray[np.float32]
    words: tuple[Interval, ...]


@dataclass(frozen=True)
class Alarm:
    """A match that is no keyword: at [start_s, end_s) of the utterance `where`."""

    similarity: float
    where: int
    start_s: float
    end_s: float


def read_speech(folder: Path, speakers: Sequence[str]) -> list[Spoken]:
    """The aligned utterances of these speakers; of all, where none is named."""
    found = []
    for record in read_jsonl(folder / ALIGNMENTS):
        utterance = Utterance.from_json(record)
        if not speakers or utterance.speaker in speakers:
            words = read_textgrid(folder / record["textgrid"], utterance.utterance_id).words
            found.append(Spoken(read_audio(utterance.audio, utterance.start_s, utterance.end_s), words))
    return found


def choose_keywords(count: int, heard: frozenset[str], seed: int) -> list[str]:
    """Words, and as many phrases of two, whose words were not heard in training."""
    said, rng = load_said(), random.Random(seed)
    words = [(word, rate) for word, rate in zip(said.words, said.word_rates.tolist(), strict=True) if word not in heard]
    pairs = [(said.words[a], said.words[b], rate) for (a, b), rate in zip(said.phrases, said.phrase_rates.tolist(), strict=True)]
    texts = [word for word, rate in words if PER_MILLION[0] <= rate <= PER_MILLION[1]]
    phrases = [f"{a} {b}" for a, b, rate in pairs if rate <= PER_MILLION[1] and not {a, b} <= heard]

    def draw(kind: list[str], wanted: int) -> Iterator[str]:
        rng.shuffle(kind)
        fit = (text for text in kind if text.replace(" ", "").isalpha() and PHONES[0] <= len(pronounce(text)[0][0]) <= PHONES[1])
        yield from (text for text, _ in zip(fit, range(wanted), strict=False))

    return [*draw(texts, count - count // 2), *draw(phrases, count // 2)]


def listen(model: Model, keywords: Sequence[str], speech: Sequence[Spoken]) -> list[NDArray[np.float64]]:
    """Of each keyword the looks, (n, 4): similarity, number of the utterance, where the span begins and ends in it (s)."""
    spotter = Spotter(model)
    for keyword in keywords:
        spotter.enroll(keyword)
    looks: list[list[NDArray[np.float64]]] = [[] for _ in keywords]
    for number, spoken in enumerate(speech):
        spotter.reset()
        found = list(spotter.looks(np.pad(spoken.samples, (0, SAMPLE_RATE // 2))))
        similarities = np.stack([look.similarities for look in found])
        spans = np.stack([look.spans for look in found]) / SAMPLE_RATE
        for place in range(len(keywords)):
            rows = np.column_stack([similarities[:, place], np.full(len(found), number), spans[:, place]])
            looks[place].append(rows[np.isfinite(rows[:, 0])])
    return [np.concatenate(rows) for rows in looks]


def false_alarms(keyword: str, looks: NDArray[np.float64], speech: Sequence[Spoken], most: int) -> list[Alarm]:
    """The `most` best matches, APART_S from each other, where the keyword isn't said."""
    wanted, alarms = normalise(keyword), list[Alarm]()
    taken: list[tuple[float, float]] = []
    for similarity, number, start_s, end_s in looks[np.argsort(-looks[:, 0], kind="stable")].tolist():
        middle = (start_s + end_s) / 2
        if any(where == number and abs(middle - other) < APART_S for where, other in taken):
            continue
        taken.append((number, middle))
        if not any(overlap_s(said, (start_s, end_s)) for said in runs(speech[int(number)].words, wanted)):
            alarms.append(Alarm(similarity, int(number), start_s, end_s))
        if len(alarms) == most:
            break
    return alarms


def runs(words: Sequence[Interval], wanted: Sequence[str]) -> list[tuple[float, float]]:
    """Where these words are said one after the other."""
    spelled, size = [word.symbol for word in words], len(wanted)
    starts = [place for place in range(len(words) - size + 1) if spelled[place : place + size] == list(wanted)]
    return [(words[place].start_s, words[place + size - 1].end_s) for place in starts]


def overlap_s(one: tuple[float, float], other: tuple[float, float]) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))


def foretold(alarm: Alarm, words: Sequence[Interval], names: Sequence[Confusable]) -> int:
    """Which of the names, from 0 on, takes up half of the alarm's span; their number where none does."""
    span = (alarm.start_s, alarm.end_s)
    for number, name in enumerate(names):
        if any(overlap_s(said, span) >= HALF * (span[1] - span[0]) for said in runs(words, name.text.split())):
            return number
    return len(names)


def said_in(alarm: Alarm, words: Sequence[Interval]) -> str:
    return " ".join(word.symbol for word in words if overlap_s((word.start_s, word.end_s), (alarm.start_s, alarm.end_s)) > 0.02)


def fired(alarms: Sequence[Alarm], names: Sequence[Confusable], speech: Sequence[Spoken]) -> tuple[int, int]:
    """How often the named texts are said, and how often of these a false alarm lies on one."""
    said = hit = 0
    for name in names:
        for number, spoken in enumerate(speech):
            spans = [(alarm.start_s, alarm.end_s) for alarm in alarms if alarm.where == number]
            for run in runs(spoken.words, name.text.split()):
                said += 1
                hit += any(overlap_s(run, span) >= HALF * (span[1] - span[0]) for span in spans)
    return said, hit


def said_here(speech: Sequence[Spoken]) -> Said:
    """The words and pairs of words of this speech as a list."""
    words = Counter(word.symbol for spoken in speech for word in spoken.words)
    pairs = Counter((a.symbol, b.symbol) for spoken in speech for a, b in zip(spoken.words, spoken.words[1:], strict=False))
    million = 1e6 / words.total()
    ways = {word: (pronounce(word)[0], count * million) for word, count in words.items()}
    return unpack(pack(ways, {pair: count * million for pair, count in pairs.items()}, {}))


def report(label: str, alarms: Sequence[Sequence[Alarm]], names: Sequence[Sequence[Confusable]], speech: Sequence[Spoken]) -> None:
    """Shares of the false alarms that the first names foretell, and that those of other keywords would; how often these fire."""
    own = [foretold(alarm, speech[alarm.where].words, mine) for mine, found in zip(names, alarms, strict=True) for alarm in found]
    others = [
        foretold(alarm, speech[alarm.where].words, names[(place + step) % len(names)])
        for place, found in enumerate(alarms)
        for alarm in found
        for step in range(1, min(OTHERS, len(names) - 1) + 1)
    ]
    print(label)
    for most in FIRST:
        shares = [float(np.mean(np.array(found) < most)) if found else 0.0 for found in (own, others)]
        counts = [fired(found, mine[:most], speech) for mine, found in zip(names, alarms, strict=True)]
        said, hit = (sum(count) for count in zip(*counts, strict=True))
        print(
            f"  first {most:>3} names foretell {shares[0]:6.1%} (others' names {shares[1]:.1%});"
            f" said {said} times, fired {hit} times ({hit / max(1, said):.2%})"
        )


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("speech", type=Path, help="folder that 'wordprint align' wrote")
    options.add_argument("--speakers", nargs="*", default=[], help="whose speech (default: all)")
    options.add_argument("--model", type=Path, help="ONNX file (default: the bundled one)")
    options.add_argument("--keywords", type=int, default=60, help="how many are typed (default: %(default)s)")
    options.add_argument("--per-hour", type=float, default=5.0, help="false alarms of each that count (default: %(default)s)")
    options.add_argument("--tenfold", type=float, nargs="+", default=[confuse.TENFOLD], help="weights of how often a text is said")
    options.add_argument("--seed", type=int, default=0, help="draws the keywords")
    options.add_argument(
        "--show", type=int, default=5, help="keywords whose names and false alarms are printed (default: %(default)s)"
    )
    return options.parse_args()


def main() -> None:
    given = _options()
    model = Model(given.model)
    speech = read_speech(given.speech, given.speakers)
    hours = sum(len(spoken.samples) for spoken in speech) / SAMPLE_RATE / 3600
    keywords = choose_keywords(given.keywords, model.training_words or frozenset(), given.seed)
    most = max(1, round(given.per_hour * hours))
    print(
        f"{hours:.2f} h of speech, {len(keywords)} typed keywords, the {most} best matches of each, model {model.path.name}",
        flush=True,
    )
    looks = listen(model, keywords, speech)
    alarms = [false_alarms(keyword, rows, speech, most) for keyword, rows in zip(keywords, looks, strict=True)]
    print(f"{sum(map(len, alarms))} false alarms, on {sum(len(spoken.words) for spoken in speech)} words", flush=True)
    typed = [(keyword, pronounce(keyword)[0], phones_unlike(model, enroll(model, keyword).keywords[0])) for keyword in keywords]
    here = said_here(speech)
    for tenfold in given.tenfold:
        confuse.TENFOLD = tenfold
        both = [
            [confusable(model, keyword, ways, unlike=unlike, most=max(FIRST), said=said) for keyword, ways, unlike in typed]
            for said in (load_said(), here)
        ]
        for label, names in zip(("names from the list that ships", "from what is said here"), both, strict=True):
            report(f"{label}, tenfold {tenfold:g}", alarms, names, speech)
    for keyword, named, found in list(zip(keywords, both[0], alarms, strict=True))[: given.show]:
        print(f"{keyword}: named {', '.join(f'{name.text} {name.similarity:.2f}' for name in named[:10])}")
        print(f"  fires on {', '.join(f'{said_in(alarm, speech[alarm.where].words)} {alarm.similarity:.2f}' for alarm in found)}")


if __name__ == "__main__":
    main()
