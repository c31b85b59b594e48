"""Many typed keywords in one stream: how many of their sayings are found, and how often something is told that nobody said.

    python benchmarks/vocabulary.py work/dev/align --speakers anna ben

Keywords are words of five letters and more that are said in the speech, drawn at random, the smaller vocabularies from the larger
ones. Each is typed, with the threshold for so many expected false alarms per hour. A detection is right where it overlaps the word
by half of the shorter of the two; all compete in one spotter, as live.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from timing import print_table

from wordprint.evaluate.stream_build import LEVEL_DB, speech_level_db
from wordprint.evaluate.stream_material import by_speakers, read_background
from wordprint.evaluate.stream_running import read_words
from wordprint.model import Model
from wordprint.records import Detection, Interval
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.text import plain_words
from wordprint.spot.enroll import make_keyword
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.expect import expected
from wordprint.spot.pronounce import looked_up
from wordprint.spot.stream import Spotter

RATES = (0.1, 1.0)
MIN_LETTERS = 5
PAUSE_S = 0.5
COLUMNS = (
    "keywords", "expected per hour", "said", "found", "of detections right", "wrong per hour", "… and keyword", "of real time"
)  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("background", type=Path, help="folder that 'align' wrote")
    options.add_argument("--speakers", nargs="*", default=(), help="only these: those held out of training")
    options.add_argument("--sizes", type=int, nargs="+", default=(10, 100, 1000))
    options.add_argument("--model", type=Path, default=None, help="default: the one that comes with wordprint")
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    model, random = Model(given.model), np.random.default_rng(given.seed)
    items, _ = read_words(given.background, by_speakers(read_background(given.background)[0], tuple(given.speakers)))
    stream, said, start_s = [], [], 0.0
    for item in items:
        heard = item.read()
        gain = 10 ** ((LEVEL_DB - speech_level_db(heard)) / 20)
        stream.append(np.pad(np.clip(heard * gain, -1, 1), (0, round(PAUSE_S * SAMPLE_RATE))).astype(np.float32))
        for word in item.words:
            said.append(Interval(" ".join(plain_words(word.symbol)), start_s + word.start_s, start_s + word.end_s))
        start_s += len(stream[-1]) / SAMPLE_RATE
    hours = start_s / 3600
    words = sorted({word.symbol for word in said if len(word.symbol) >= MIN_LETTERS})
    words = [word for word in words if looked_up(word, model.phones)]
    order = random.permutation(len(words)).tolist()
    rows = []
    for size in given.sizes:
        made = [make_keyword(model, words[number], [], 0.0) for number in order[:size]]
        for rate in RATES:
            known = [(word, rates.threshold(rate)) for word in made if (rates := expected(model, word))]
            spotter = Spotter(model, Enrollment(model.name, model.digest, tuple(word for word, _ in known)))
            for word, threshold in known:
                spotter.set_threshold(word.keyword, threshold)
            begun = time.process_time()
            found = [one for samples in stream for one in spotter.process(samples)] + spotter.flush()
            cost = (time.process_time() - begun) / start_s
            asked = [word for word in said if word.symbol in {word.keyword for word, _ in known}]
            right, hit = matched(found, asked)
            wrong = (len(found) - right) / hours
            shares = [f"{hit / len(asked):.0%}", f"{right / max(1, len(found)):.0%}"]
            rows.append(
                [str(len(known)), f"{rate:g}", str(len(asked)), *shares, f"{wrong:.1f}", f"{wrong / len(known):.2f}", f"{cost:.4f}"]
            )
            print(*rows[-1], flush=True)
    print_table(COLUMNS, *rows)


def matched(found: list[Detection], asked: list[Interval]) -> tuple[int, int]:
    """Detections that are right, and words that were found."""
    by_word: dict[str, list[Interval]] = {}
    for word in asked:
        by_word.setdefault(word.symbol, []).append(word)
    right, hit = 0, set()
    for one in found:
        over = [word for word in by_word.get(one.keyword, []) if overlaps(one, word)]
        right += bool(over)
        hit |= {(word.symbol, word.start_s) for word in over}
    return right, len(hit)


def overlaps(found: Detection, word: Interval) -> bool:
    shared = min(found.offset_s, word.end_s) - max(found.onset_s, word.start_s)
    return shared >= 0.5 * min(found.offset_s - found.onset_s, word.end_s - word.start_s)


if __name__ == "__main__":
    main()
