"""Whether false alarms come as often as enrollment says: expected rates against those in held-out speech.

    python benchmarks/expected.py work/dev/align speech_commands custom_phrases --speakers anna ben

Each keyword gets the threshold at which it is expected to have so many false alarms per hour; those that it has in the speech are
counted. Beside it: one threshold for all, that which has so many on average there. `--typed` enrolls spellings,
`--recordings-alone` leaves them out. Of recorded keywords also how many sayings are missed, against how many enrollment says.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from heldout import mixed, parser, peaks, read_keywords, read_speech, similarities
from numpy.typing import NDArray
from timing import print_table

from wordprint.model import Model
from wordprint.spot.enroll import make_keyword
from wordprint.spot.enrollment import Keyword
from wordprint.spot.expect import expected
from wordprint.spot.pronounce import as_text, pronounce
from wordprint.spot.sayings import sayings

RATES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
FACTOR = 3.0
ASKED = 20
"""Recordings of a keyword, at most, that are asked for."""


def near(rate: float, hours: float, wanted: float) -> bool:
    """Within FACTOR of what was wanted; none at all is, too, where a third of what was wanted would be less than one."""
    return wanted / FACTOR <= rate <= wanted * FACTOR or (rate == 0 and wanted / FACTOR * hours < 1)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--typed", action="store_true")
    options.add_argument("--recordings-alone", action="store_true")
    options.add_argument("--snr-db", type=float, help="mix the speech with two other utterances, or --noise, so much quieter")
    options.add_argument("--noise", type=Path, help="folder of noise recordings")
    given = options.parse_args()
    model, speech = Model(given.model), read_speech(given.background, tuple(given.speakers))
    if given.snr_db is not None:
        speech = mixed(speech, given.snr_db, given.noise)
    keywords = []
    recordings = read_keywords(given.keywords, given.shots, given.most)
    for word, takes in recordings.items():
        phones = ", ".join(as_text(pronounce(word)[0])) if given.typed else None
        shots, alone = [] if given.typed else takes[: given.shots], given.recordings_alone
        keywords.append(make_keyword(model, word, shots, 0.0, phones=phones, recordings_alone=alone))
    heard = peaks(model, keywords, speech)
    foretold = [expected(model, keyword) for keyword in keywords]
    everything, hours = np.sort(np.concatenate([one.scores for one in heard]))[::-1], sum(one.hours for one in heard)
    rows = []
    for rate in RATES:
        own = [
            float((one.scores >= rates.threshold(rate)).sum() / one.hours)
            for one, rates in zip(heard, foretold, strict=True)
            if rates
        ]
        bar = everything[min(len(everything) - 1, int(rate * hours))]
        shared = [float((one.scores > bar).sum() / one.hours) for one in heard]
        shares = [np.mean([near(got, one.hours, rate) for got, one in zip(rates, heard, strict=True)]) for rates in (own, shared)]
        rows.append([f"{rate:g}", f"{np.mean(own):.2f}", f"{np.median(own):.2f}", *(f"{share:.0%}" for share in shares)])
    print(f"{len(keywords)} keywords, {hours / len(keywords):.2f} h of speech each")
    print_table(["expected per hour", "mean", "median", f"within a factor of {FACTOR:g}", "… with one threshold"], *rows)
    if not given.typed:
        print_missed(model, keywords, recordings, given.shots)


def print_missed(model: Model, keywords: list[Keyword], recordings: dict[str, list[NDArray[np.float32]]], shots: int) -> None:
    """How many of the other recordings of each keyword are missed at its thresholds, and how many enrollment says will be."""
    known = [
        (keyword, said, rates) for keyword in keywords if (said := sayings(model, keyword)) and (rates := expected(model, keyword))
    ]
    heard = [similarities(model, keyword, recordings[keyword.keyword][shots:][:ASKED]) for keyword, _, _ in known]
    rows = []
    for rate in RATES:
        bars = [rates.threshold(rate) for _, _, rates in known]
        foretold = np.array([said.missed(bar) for (_, said, _), bar in zip(known, bars, strict=True)])
        missed = np.array([np.mean(found < bar) for found, bar in zip(heard, bars, strict=True)])
        off, alike = np.abs(foretold - missed), np.abs(missed.mean() - missed)
        rows.append(
            [f"{rate:g}", *(f"{100 * value:.0f} %" for value in (foretold.mean(), missed.mean(), off.mean(), alike.mean()))]
        )
    print(f"\nmissed of {sum(map(len, heard))} recordings of {len(known)} keywords")
    print_table(["expected per hour", "foretold", "missed", "off by, of a keyword", "… were all foretold the mean"], *rows)


if __name__ == "__main__":
    main()
