"""Word datasets of many sizes: how long index and training start-up take, what they hold in memory, and what a batch costs.

The datasets are made up: words by Zipf's law, utterances of ten words by thousands of speakers, all over the same few
minutes of noise. Each is opened in a process of its own, first with its files put out of the page cache, then again.
`index` is what crops and the choice of tokens need: codes of words, speakers and sides, and all positions. `start-up` is
what `train` does before its first step: the check for leaks, the validation words, the sampler, the phones of the words.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timing import peak_mb, print_ratio, print_table, rate, spread

from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.receipt import config_to_json
from wordprint.train.options import TrainConfig
from wordprint.words.options import WordsConfig
from wordprint.words.split import side
from wordprint.words.store import (
    DATASET,
    SCHEMA,
    SEGMENTS_PER_SHARD,
    SPLITS,
    arrow,
    audio_batches,
    audio_name,
    audio_schema,
    phone_schema,
    phones_name,
    segment_schema,
    segments_name,
    write_table,
)

TYPES, SPEAKERS, PER_UTTERANCE, RECORDINGS = 50_000, 5_000, 10, 200
WORD_SAMPLES = SAMPLE_RATE // 2
POSITIONS = ("shard", "row", "start_sample", "end_sample", "context_start_sample", "context_end_sample")
CONFIG = WordsConfig()


def write_dataset(folder: Path, count: int) -> Path:
    """A word dataset of `count` segments (a multiple of ten), as `words` would have written it."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    noise = rng.integers(-3000, 3000, (RECORDINGS, PER_UTTERANCE * WORD_SAMPLES)).astype(np.int16)
    record = {"utterance_id": "shared", "speaker": "shared", "corpus": "made-up"}
    write_table(folder / audio_name(0), audio_batches((record, samples) for samples in noise), audio_schema())
    words, speakers = [f"word{number:05d}" for number in range(TYPES)], [f"speaker{number:04d}" for number in range(SPEAKERS)]
    share = lambda names, kind: np.array(
        [SPLITS.index(side(name, kind, getattr(CONFIG, f"validation_{kind}s"), getattr(CONFIG, f"test_{kind}s"))) for name in names]
    )
    sides = share(words, "word"), share(speakers, "speaker")
    chances = np.cumsum(1 / (np.arange(TYPES) + 2.7))
    shards, splits = [], np.zeros(len(SPLITS), int)
    for first in range(0, count, SEGMENTS_PER_SHARD):
        rows = np.arange(first, min(first + SEGMENTS_PER_SHARD, count))
        types = np.searchsorted(chances, rng.random(len(rows)) * chances[-1])
        of_speaker = (rows // PER_UTTERANCE * 7919) % SPEAKERS
        split = np.where(sides[0][types] == sides[1][of_speaker], sides[0][types], SPLITS.index("held_out"))
        splits += np.bincount(split, minlength=len(SPLITS))
        batch = _batch(rows, (words, types), (speakers, of_speaker), split)
        name = segments_name(len(shards))
        shards.append({"name": name, "rows": write_table(folder / name, [batch], segment_schema())})
    metadata = {
        "schema": SCHEMA,
        "segments": count,
        "hours": count * WORD_SAMPLES / SAMPLE_RATE / 3600,
        "splits": dict(zip(SPLITS, splits.tolist(), strict=True)),
        "corpora": [],
        "excluded_words": [],
        "audio_shards": [{"name": audio_name(0), "rows": RECORDINGS}],
        "phone_shards": [{"name": phones_name(0), "rows": RECORDINGS}],
        "segment_shards": shards,
        "config": config_to_json(CONFIG),
    }
    silent: dict[str, list[list[int]]] = {name: [[]] * RECORDINGS for name in phone_schema().names}  # none is measured
    phones = arrow().table(silent, schema=phone_schema())
    write_table(folder / phones_name(0), phones.to_batches(), phones.schema)
    (folder / DATASET).write_text(json.dumps(metadata), encoding="utf-8")
    return folder


def _batch(
    rows: NDArray[np.int64],
    words: tuple[list[str], NDArray[np.int64]],
    speakers: tuple[list[str], NDArray[np.int64]],
    split: NDArray[np.int64],
) -> Any:
    """Segments as a record batch, names as codes into those that occur in it."""
    pa = arrow()
    encoded = lambda names, codes: pa.array(names).take(pa.array(codes)).dictionary_encode()
    utterances, place = rows // PER_UTTERANCE, rows % PER_UTTERANCE * WORD_SAMPLES
    first = int(utterances[0])
    ids = [f"utterance-{number:08d}" for number in range(first, int(utterances[-1]) + 1)]
    phones = [f"P{number % 37} Q{number % 41} R{number % 43} S{number % 7}" for number in range(TYPES)]
    start = place + WORD_SAMPLES // 4
    columns = {
        "words": encoded(*words),
        "n_words": np.ones(len(rows), np.int8),
        "phones": pa.array(phones).take(pa.array(words[1])),
        "utterance_id": encoded(ids, utterances - first),
        "speaker": encoded(*speakers),
        "corpus": encoded(["made-up"], np.zeros_like(rows)),
        "shard": np.zeros(len(rows), np.int32),
        "row": (utterances % RECORDINGS).astype(np.int32),
        "start_sample": start.astype(np.int32),
        "end_sample": (start + WORD_SAMPLES // 2).astype(np.int32),
        "context_start_sample": place.astype(np.int32),
        "context_end_sample": (place + WORD_SAMPLES).astype(np.int32),
        "goodness": np.full(len(rows), -1, np.float32),
        "split": encoded(list(SPLITS), split),
    }
    return pa.record_batch([pa.array(columns[name]) for name in segment_schema().names], schema=segment_schema())


def measure(folder: Path) -> dict[str, float]:
    """Seconds of the index and of start-up, batches drawn a second, MB of its own and at most."""
    from wordprint import WordDataset
    from wordprint.train.augment import Sounds
    from wordprint.train.data import TrainingWords
    from wordprint.train.validation import ValidationWords
    from wordprint.words.split import check_leaks

    arrow()
    before_mb, begun = own_mb(), time.perf_counter()
    dataset, config, any_segment = WordDataset(folder), TrainConfig(), np.zeros(1, np.int64)
    for name in ("words", "speaker", "split"):
        dataset.codes(name)
    for name in POSITIONS:
        dataset.at(name, any_segment)
    figures = {"index_s": time.perf_counter() - begun, "index_mb": own_mb() - before_mb}
    begun, used = time.perf_counter(), time.process_time()
    check_leaks(dataset)
    ValidationWords.of(dataset, config)
    words = TrainingWords(dataset, config, Sounds())
    figures |= {"start_s": time.perf_counter() - begun, "start_busy_s": time.process_time() - used}
    figures |= {"start_mb": own_mb() - before_mb, "peak_mb": peak_mb()}
    rng = np.random.default_rng(0)
    return figures | {"draws": rate(lambda: words.sampler.draw(rng), 1)}


def own_mb() -> float:
    """Memory of this process without mapped files, in MB; NaN where there is no /proc."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("RssAnon")), float("nan"))


def put_out_of_cache(folder: Path) -> None:
    """Ask the system to forget the files' contents (only Linux can be asked)."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--segments", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000], help="default: %(default)s")
    options.add_argument("--rounds", type=int, default=3, help="turns of each dataset with warm files (default: %(default)s)")
    given = options.parse_args()
    found: dict[str, list[dict[str, float]]] = {f"{count:,} segments": [] for count in given.segments}
    with (
        tempfile.TemporaryDirectory() as name,
        ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool,
    ):
        folders = [write_dataset(Path(name, str(count)), count) for count in given.segments]
        for turn in range(1 + given.rounds):
            for folder, figures in zip(folders, found.values(), strict=True):
                if not turn:
                    put_out_of_cache(folder)
                figures.append(pool.submit(measure, folder).result())
    heads = ("", "index, cold (s)", "warm (s)", "own MB", "start-up (s)", "of the processor", "own MB", "peak MB", "batches/s")
    columns = (("index_s", 2), ("index_mb", 0), ("start_s", 2), ("start_busy_s", 2), ("start_mb", 0), ("peak_mb", 0), ("draws", 0))
    rows = [
        (label, f"{turns[0]['index_s']:.2f}", *(spread([turn[name] for turn in turns[1:]], digits) for name, digits in columns))
        for label, turns in found.items()
    ]
    print_table(heads, *rows)
    smallest, *_, largest = found
    print_ratio({label: [turn["draws"] for turn in figures[1:]] for label, figures in found.items()}, largest, smallest)


if __name__ == "__main__":
    main()
