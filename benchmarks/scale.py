"""prepare, validate and words over corpora of two sizes or more: time and memory for each utterance.

The corpus is made up: a Kaldi folder whose utterances of ten words, by thousands of speakers, are different stretches of
0.4 s of one recording, so that headers and audio are really read, but cheaply; one transcript in a hundred is empty. The
alignments that `words` takes are made up too, ten words in 25 ms, because a million TextGrids and their audio would measure
the disk. `index` opens what it wrote. Each stage runs alone in a process of its own, with one worker. Ratios are of the
processor's time, which holds where other programs run; they are 1 where time is linear.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
from timing import peak_mb, print_ratio, print_table

from wordprint import WordDataset, pipeline
from wordprint.records import Alignment, Interval
from wordprint.speech.audio import SAMPLE_RATE, write_audio
from wordprint.stages.contract import open_stage
from wordprint.stages.manifest import read_jsonl
from wordprint.validate.options import ValidateConfig
from wordprint.words.options import WordsConfig
from wordprint.words.rules import Rules
from wordprint.words.stage import Loaded, build

TYPES, SPEAKERS, WORDS, EMPTY = 50_000, 5_000, 10, 100
UTTERANCE_SAMPLES, WORD_SAMPLES = 6_400, 40
AT_ONCE = 10_000

VALIDATE = ValidateConfig(max_oov_share=1.0, max_chars_per_s=1000)
CUT = WordsConfig(min_duration_s=0.001, min_goodness="none", shard_hours=150 * UTTERANCE_SAMPLES / SAMPLE_RATE / 3600)
"""150 utterances in a shard: half an hour of utterances of 12 s."""


def write_corpus(folder: Path, count: int) -> None:
    """A Kaldi folder of `count` utterances of one recording, each a sample after the one before."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    write_audio(folder / "noise.wav", rng.integers(-3000, 3000, count + UTTERANCE_SAMPLES).astype(np.int16))
    (folder / "wav.scp").write_text("noise noise.wav\n", encoding="ascii")
    letters = list(ascii_lowercase)
    words = np.array(["w" + "".join(letters[number // 26**place % 26] for place in range(4)) for number in range(TYPES)])
    chances = np.cumsum(1 / (np.arange(TYPES) + 2.7))
    duration_s = UTTERANCE_SAMPLES / SAMPLE_RATE
    with (folder / "text").open("w") as text, (folder / "utt2spk").open("w") as speakers, (folder / "segments").open("w") as cuts:
        for first in range(0, count, AT_ONCE):
            spoken = words[np.searchsorted(chances, rng.random((AT_ONCE, WORDS)) * chances[-1])].tolist()
            for number in range(first, min(first + AT_ONCE, count)):
                name = f"utterance-{number:08d}"
                start_s = number / SAMPLE_RATE
                print(name, *(spoken[number - first] if number % EMPTY else ()), file=text)
                print(name, f"speaker-{number * 7919 % SPEAKERS:04d}", file=speakers)
                print(name, "noise", f"{start_s:.7f}", f"{start_s + duration_s:.7f}", file=cuts)


def aligned(manifest: Path) -> Iterator[dict[str, Any]]:
    """Utterances as `align` lists them."""
    return ({**record, "textgrid": ""} for record in read_jsonl(manifest))


def load(record: dict[str, Any]) -> Loaded:
    """Ten words of 2.5 ms each."""
    length_s = WORD_SAMPLES / SAMPLE_RATE
    spoken = enumerate(record["transcript"].split())
    words = tuple(Interval(word, place * length_s, (place + 1) * length_s, -1.0) for place, word in spoken)
    return np.zeros(WORDS * WORD_SAMPLES, np.int16), Alignment(record["utterance_id"], words)


def _prepare(folder: Path) -> None:
    pipeline.prepare([f"made-up=kaldi:{folder / 'corpus'}"], folder / "prepare")


def _validate(folder: Path) -> None:
    pipeline.validate(folder / "prepare", folder / "validate", VALIDATE)


def _words(folder: Path) -> None:
    manifest = folder / "validate" / "utterances.jsonl"
    with open_stage("words", folder / "words", CUT, {"alignments": manifest}) as stage:
        build(stage, lambda: aligned(manifest), load, Rules.of(CUT))


def _index(folder: Path) -> None:
    dataset = WordDataset(folder / "words")
    for name in ("words", "speaker", "split"):
        dataset.codes(name)
    dataset.crops(np.linspace(0, len(dataset) - 1, 100).astype(int), np.zeros(100, int), WORD_SAMPLES)


STAGES: dict[str, Callable[[Path], None]] = {"prepare": _prepare, "validate": _validate, "words": _words, "index": _index}


def measure(stage: str, folder: Path) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, and peak memory (MB) of one stage in this process."""
    begun, used = time.perf_counter(), time.process_time()
    STAGES[stage](folder)
    return time.perf_counter() - begun, time.process_time() - used, peak_mb()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--utterances", type=int, nargs="+", default=[100_000, 1_000_000], help="default: %(default)s")
    options.add_argument("--rounds", type=int, default=1, help="turns of each size (default: %(default)s)")
    given = options.parse_args()
    sizes = sorted(given.utterances)
    rates: dict[str, dict[str, list[float]]] = {stage: {f"{size:,} utterances": [] for size in sizes} for stage in STAGES}
    rows = [("", "utterances", "seconds", "µs/utterance", "of the processor", "peak MB")]
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for _ in range(given.rounds):
            for size in sizes:
                with tempfile.TemporaryDirectory() as name:
                    write_corpus(Path(name, "corpus"), size)
                    os.sync()
                    for stage in STAGES:
                        seconds, busy_s, mb = pool.submit(measure, stage, Path(name)).result()
                        rates[stage][f"{size:,} utterances"].append(size / busy_s)
                        each = (f"{1e6 * spent_s / size:.0f}" for spent_s in (seconds, busy_s))
                        rows.append((stage, f"{size:,}", f"{seconds:.1f}", *each, f"{mb:.0f}"))
    print_table(*rows)
    smallest, *_, largest = rates["prepare"]
    for stage in list(STAGES)[:3]:
        print(end=f"utterances a second of the processor, {stage}: ")
        print_ratio(rates[stage], largest, smallest)


if __name__ == "__main__":
    main()
