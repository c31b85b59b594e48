"""What is nearly a keyword: how often "volume down" sets off "volume up", the words in another order, or half of them.

Each phrase is enrolled from synthetic voices, from its spelling, and from both; other voices say it, and what is confused with it.
A saying sets off a keyword where the code that listens live reports it. Two thresholds: the keyword's own, as enrollment
sets it, and one that misses a twentieth of the keyword's own sayings, which shows how far the similarities alone tell the two
apart. With --recorded the same is measured on people: two-word phrases of a folder that `align` wrote, their words alone, in the
other order, and beside another word.

    python benchmarks/confusable_pairs.py --recorded work/align --speakers librispeech-1919 librispeech-777
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timing import print_table

from wordprint.errors import EnrollmentError
from wordprint.evaluate.intervals import wilson_interval
from wordprint.evaluate.phrase_material import Said, Sayings, read_sayings
from wordprint.model import Model
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.espeak import Synthesiser
from wordprint.speech.synthetic import Speaker, draw_speakers, speak
from wordprint.spot.decide import Decider
from wordprint.spot.enroll import enroll
from wordprint.spot.enrollment import Enrollment, Keyword
from wordprint.spot.options import SpotConfig
from wordprint.spot.pronounce import as_text, pronounce
from wordprint.spot.stream import Spotter

SWAPS = (("volume up", "volume down"), ("turn on", "turn off"), ("lights on", "lights off"), ("kitchen light", "bedroom light"))
"""Said for each other, both ways."""
REVERSED = (("volume up", "up volume"), ("turn on", "on turn"), ("lights on", "on lights"), ("kitchen light", "light kitchen"))
HALVES = (
    ("volume up", "volume"), ("volume up", "up"), ("turn on", "turn"), ("turn on", "on"), ("lights on", "lights"),
    ("lights on", "on"), ("kitchen light", "kitchen"), ("kitchen light", "light"),
)  # fmt: skip
PAIRS = (*SWAPS, *((second, first) for first, second in SWAPS), *REVERSED, *HALVES)
TYPED, BOTH = "typed", "both"
GOAL, FOUND, MISSED = 0.05, 0.8, 0.05
"""Confusions that are allowed; how often a keyword is found at least, if it is of use; misses at the last of the thresholds."""
MOST_SAID = 12
"""Sayings of each kind that a phrase of people is confused with, in each draw."""
LEAST_LETTERS = 8
KINDS = ("the other order", "first word alone", "second word alone", "same first word", "same second word")

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Saying:
    """A recording of a text by one speaker."""

    text: str
    speaker: str
    samples: Samples


@dataclass(frozen=True)
class Enrolled:
    """A keyword, how it was enrolled, in which draw of shots, and by whom: nobody of these is asked."""

    text: str
    way: str
    keyword: Keyword
    speakers: frozenset[str] = frozenset()
    draw: int = 0


@dataclass(frozen=True)
class Row:
    """A row of the tables: the keyword (None: all of them), what is said, and whether a saying is such a one for a keyword."""

    keyword: str | None
    said: str
    confused: Callable[[Enrolled, Saying], bool]


def enroll_shots(model: Model, how: dict[str, Any], text: str, shots: Sequence[Saying], draw: int) -> Iterator[Enrolled]:
    """The keyword from its shots, and from them and its spelling."""
    speakers = frozenset(shot.speaker for shot in shots)
    for way, phones in ((f"{len(shots)} shots", None), (BOTH, ", ".join(as_text(pronounce(text)[0])))):
        try:
            made = enroll(model, text, [shot.samples for shot in shots], **how, phones=phones, recordings_alone=phones is None)
        except EnrollmentError as error:
            print(f"left out: {error}", flush=True)
            continue
        yield Enrolled(text, way, made.keywords[0], speakers, draw)


def enroll_typed(model: Model, how: dict[str, Any], texts: Sequence[str]) -> list[Enrolled]:
    return [Enrolled(text, TYPED, enroll(model, text, **how).keywords[0]) for text in texts]


@dataclass(frozen=True)
class Heard:
    """Looks of the live code at a saying: similarities (L, W + R) of keywords and then their rivals, and spans (L, W + R, 2)."""

    end_samples: NDArray[np.int64]
    similarities: NDArray[np.float32]
    spans: NDArray[np.int64]

    def told(self, numbers: Sequence[int], bars: NDArray[np.float64], owners: Sequence[int]) -> set[int]:
        """Which of the keywords of these numbers are reported where no others are enrolled, at their bars (W,). `owners` (R,) tell
        whose the rivals are."""
        own = [place for place, owner in enumerate(owners) if owner in numbers]
        columns = [*numbers, *(len(bars) + place for place in own)]
        config = SpotConfig()
        decider = Decider(
            bars[list(numbers)].tolist(),
            refractory_samples=round(config.refractory_s * SAMPLE_RATE),
            hold_samples=round(config.hold_s * SAMPLE_RATE),
            owners=[list(numbers).index(owners[place]) for place in own],
        )
        looks = zip(self.end_samples.tolist(), self.similarities[:, columns], self.spans[:, columns], strict=True)
        peaks = [decider.step(*look) for look in looks]
        return {numbers[peak.keyword] for peak in [*peaks, decider.finish()] if peak is not None}


@dataclass(frozen=True)
class Asked:
    """S sayings and W keywords: which ask which (S, W), none by who enrolled it; how alike they are at most (S, W)."""

    enrolled: Sequence[Enrolled]
    sayings: Sequence[Saying]
    heard: Sequence[Heard]
    owners: Sequence[int]

    @property
    def strangers(self) -> NDArray[np.bool_]:
        return np.array([[saying.speaker not in one.speakers for one in self.enrolled] for saying in self.sayings])

    def scores(self) -> NDArray[np.float64]:
        best = np.array([heard.similarities[:, : len(self.enrolled)].max(axis=0) for heard in self.heard], np.float64)
        return np.where(self.strangers, best, np.nan)

    def hits(self, places: NDArray[np.int64], bars: NDArray[np.float64]) -> NDArray[np.bool_]:
        """At which places (n, 2) of sayings and keywords the keyword is reported, enrolled alone, at bars (W,)."""
        return np.array(
            [number in self.heard[saying].told([number], bars, self.owners) for saying, number in places.tolist()], bool
        )

    def together(self, places: NDArray[np.int64], bars: NDArray[np.float64], said: str) -> NDArray[np.bool_] | None:
        """The same where what is said is enrolled, too, in the same way; None where it never is."""
        known = {(one.text, one.way, one.draw): number for number, one in enumerate(self.enrolled)}
        others = [known.get((said, self.enrolled[number].way, self.enrolled[number].draw)) for number in places[:, 1]]
        pairs = [
            (saying, number, other) for (saying, number), other in zip(places.tolist(), others, strict=True) if other is not None
        ]
        if len(pairs) < len(places):
            return None
        return np.array(
            [number in self.heard[saying].told([number, other], bars, self.owners) for saying, number, other in pairs], bool
        )


def hear(model: Model, enrolled: Sequence[Enrolled], sayings: Sequence[Saying]) -> Asked:
    """What the live code hears in each saying."""
    rivals = [(number, rival) for number, one in enumerate(enrolled) for rival in one.keyword.rivals]
    words = [replace(one.keyword, rivals=()) for one in enrolled]
    words += [replace(words[number], prototypes=one.prototypes, sounds=one.sounds) for number, one in rivals]
    spotter = Spotter(
        model, Enrollment(model.name, model.digest, tuple(words)), SpotConfig(threshold=-1.0)
    )  # which reads the phones of all
    heard = []
    for saying in sayings:
        spotter.reset()
        looks = list(spotter.looks(np.pad(saying.samples, (SAMPLE_RATE // 4, SAMPLE_RATE))))
        ends = np.array([look.end_sample for look in looks])
        heard.append(Heard(ends, np.array([look.similarities for look in looks]), np.array([look.spans for look in looks])))
    return Asked(enrolled, sayings, heard, [number for number, _ in rivals])


def thresholds(asked: Asked) -> dict[str, NDArray[np.float64]]:
    """By name, the threshold (W,) of each keyword; that which misses a share of its own sayings is one of their similarities."""
    scores, names = asked.scores(), np.array([saying.text for saying in asked.sayings])
    missing = np.full(len(asked.enrolled), np.nan)
    for number, one in enumerate(asked.enrolled):
        mine = np.sort(scores[(names == one.text) & ~np.isnan(scores[:, number]), number])
        missing[number] = mine[int(MISSED * len(mine))] if len(mine) else np.nan
    own = np.array([one.keyword.threshold for one in asked.enrolled])
    return {"own": own, f"{MISSED:.0%} missed": missing}


def share(hit: NDArray[np.bool_], places: NDArray[np.int64]) -> str:
    """Percent of the places (n, 2) that are `hit` (n,), with Wilson's interval of as many trials as sayings."""
    value, sayings = float(hit.mean()), len(np.unique(places[:, 0]))
    low, high = wilson_interval(round(value * sayings), sayings)
    return f"{100 * value:.0f} ({100 * low:.0f}–{100 * high:.0f})"


def print_pairs(model: Model, enrolled: Sequence[Enrolled], sayings: Sequence[Saying], rows: Sequence[Row]) -> None:
    """A table for each way to enroll, and in how many of its rows the goal is met."""
    asked = hear(model, enrolled, sayings)
    strangers, bars = asked.strangers, thresholds(asked)
    *kept, last = bars  # what the last one misses is in its name
    heads = [f"{what}, {bar}" for bar in kept for what in ("found", "fires")]
    for way in dict.fromkeys(one.way for one in enrolled):
        table, good, useful = (
            [("enrolled", "said", "sayings", *heads, f"fires, {last}", "fires, both enrolled")],
            dict.fromkeys(kept, 0),
            dict.fromkeys(kept, 0),
        )
        for row in rows:
            members = [n for n, one in enumerate(enrolled) if one.way == way and row.keyword in (None, one.text)]
            own = places_of(asked, strangers, members, lambda one, saying: saying.text == one.text)
            other = places_of(asked, strangers, members, row.confused)
            if not len(other) or not len(own):
                continue
            hits = {(bar, which): asked.hits(places, bars[bar]) for bar in kept for which, places in enumerate((own, other))}
            cells = [share(hit, (own, other)[which]) for (_, which), hit in hits.items()]
            said = str(len(np.unique(other[:, 0])))
            both = asked.together(other, bars[kept[0]], row.said)
            cells += [share(asked.hits(other, bars[last]), other), "–" if both is None else share(both, other)]
            table.append((row.keyword or "phrases", row.said, said, *cells))
            for bar in kept:
                found, fires = (hits[bar, which].mean() for which in range(2))
                good[bar] += fires <= GOAL
                useful[bar] += fires <= GOAL and found >= FOUND
        print(f"\n{way}, %:", flush=True)
        print_table(*table)
        for bar in kept:
            goal = f"{good[bar]} of {len(table) - 1} rows fire for at most {GOAL:.0%} of the sayings"
            print(f"{way}, {bar}: {goal}, and {useful[bar]} of these find the keyword {FOUND:.0%} of the time", flush=True)


def places_of(
    asked: Asked, strangers: NDArray[np.bool_], members: Sequence[int], which: Callable[[Enrolled, Saying], bool]
) -> NDArray[np.int64]:
    """Places (n, 2) of the sayings that are asked of these keywords."""
    found = [
        (row, number)
        for number in members
        for row, saying in enumerate(asked.sayings)
        if which(asked.enrolled[number], saying) and strangers[row, number]
    ]
    return np.array(found, np.int64).reshape(-1, 2)


def synthetic(model: Model, how: dict[str, Any], given: argparse.Namespace) -> None:
    """The pairs by synthetic voices: half of them enroll, the others are asked."""
    voices = draw_speakers(2 * given.voices, given.seed)
    texts = sorted({text for pair in PAIRS for text in pair})
    phrases = sorted({first for first, _ in PAIRS})
    generator = np.random.default_rng(given.seed)
    with Synthesiser() as synthesiser:

        def say(text: str, voice: Speaker, take: int) -> Saying:
            rng = np.random.default_rng([given.seed, voices.index(voice), texts.index(text), take])
            return Saying(text, voice.speaker, speak(synthesiser, text, voice, rng)[0])

        enrolled = enroll_typed(model, how, phrases)
        for draw in range(given.draws):
            chosen = generator.permutation(given.voices)[: given.shots].tolist()
            for text in phrases:
                enrolled += enroll_shots(model, how, text, [say(text, voices[number], draw) for number in chosen], draw)
        sayings = [say(text, voice, take) for text in texts for voice in voices[given.voices :] for take in range(given.takes)]
    print(
        f"synthetic: {given.voices} voices enroll, {given.shots} at a time in {given.draws} draws; {given.voices} others say it",
        flush=True,
    )
    rows = [Row(first, second, lambda one, saying, second=second: saying.text == second) for first, second in PAIRS]
    print_pairs(model, enrolled, sayings, rows)


def kind_of(phrase: str, text: str) -> str | None:
    """How a text is confused with a phrase of two words; None where it isn't."""
    (first, second), words = phrase.split(), text.split()
    if text == f"{second} {first}":
        return KINDS[0]
    if len(words) == 1:
        return KINDS[1] if text == first else KINDS[2] if text == second else None
    if len(words) != 2 or text == phrase or len({*words, first, second}) != 3:
        return None
    return KINDS[3] if words[0] == first else KINDS[4] if words[1] == second else None


def recorded(model: Model, how: dict[str, Any], given: argparse.Namespace) -> None:
    """Phrases of people: shots cut out of some speakers' utterances, sayings out of others'."""
    there = read_sayings(given.recorded, given.speakers, "test")
    tokens: dict[str, list[Said]] = defaultdict(list)
    for said in there.said:
        if said.words <= 2:
            tokens[said.text].append(said)
    phrases = choose(tokens, given.shots, given.phrases)
    generator = np.random.default_rng(given.seed)
    enrolled = enroll_typed(model, how, phrases)
    wanted: dict[Said, None] = {}
    for text in phrases:
        for draw in range(given.draws):
            by_speaker: dict[str, Said] = {}
            for number in generator.permutation(len(tokens[text])).tolist():
                by_speaker.setdefault(tokens[text][number].speaker, tokens[text][number])
            shots = [cut_out(there, said) for said in list(by_speaker.values())[: given.shots]]
            enrolled += enroll_shots(model, how, text, shots, draw)
        wanted |= dict.fromkeys(tokens[text])
        for kind in KINDS:
            alike = sorted({other for other in tokens if kind_of(text, other) == kind})
            found = [said for other in alike for said in tokens[other]]
            wanted |= dict.fromkeys(found[number] for number in generator.permutation(len(found)).tolist()[:MOST_SAID])
    sayings = [cut_out(there, said) for said in wanted]
    people = len({saying.speaker for saying in sayings})
    print(f"\npeople: {len(phrases)} phrases ({', '.join(phrases)}), {len(sayings)} sayings by {people} speakers", flush=True)
    rows = [Row(None, kind, lambda one, saying, kind=kind: kind_of(one.text, saying.text) == kind) for kind in KINDS]
    print_pairs(model, enrolled, sayings, rows)


def choose(tokens: dict[str, list[Said]], shots: int, most: int) -> list[str]:
    """Phrases of two different words that the most speakers say: half of them are said in the other order, too, and the others are
    as long as keywords are."""
    people = {text: len({said.speaker for said in found}) for text, found in tokens.items()}
    able = [text for text, count in people.items() if len(set(text.split())) == 2 and count > shots + 1]
    able.sort(key=lambda text: (-people[text], text))
    turned = [text for text in able if " ".join(text.split()[::-1]) in tokens][: most // 2]
    long = [text for text in able if len(text) > LEAST_LETTERS and text not in turned]
    return [*turned, *long[: most - len(turned)]]


def cut_out(there: Sayings, said: Said) -> Saying:
    return Saying(said.text, said.speaker, there.cut(said)[0])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--model", type=Path, help="ONNX file (default: the bundled one)")
    options.add_argument("--threshold", type=float, help="the keywords' own threshold, in place of what enrollment sets")
    options.add_argument(
        "--voices", type=int, default=12, help="voices that enroll, and as many that are asked (default: %(default)s)"
    )
    options.add_argument("--takes", type=int, default=2, help="times that each voice says everything (default: %(default)s)")
    options.add_argument("--shots", type=int, default=3, help="recordings that enroll a keyword (default: %(default)s)")
    options.add_argument("--draws", type=int, default=5, help="choices of the voices that enroll (default: %(default)s)")
    options.add_argument("--false-alarms-per-hour", type=float, help="of the keywords' own thresholds, as 'enroll' has it")
    options.add_argument("--recorded", type=Path, help="folder that 'align' wrote, to measure on people, too")
    options.add_argument("--speakers", nargs="*", default=(), help="(recorded) only these, such as those held out of training")
    options.add_argument("--phrases", type=int, default=20, help="(recorded) phrases that are enrolled (default: %(default)s)")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    model = Model(given.model)
    print(f"{model.path.name} ({model.digest[:12]}), its threshold {model.threshold:.3f}", flush=True)
    how = {"config": SpotConfig(threshold=given.threshold), "false_alarms_per_hour": given.false_alarms_per_hour}
    synthetic(model, how, given)
    if given.recorded is not None:
        recorded(model, how, given)


if __name__ == "__main__":
    main()
