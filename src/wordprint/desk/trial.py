"""A run of the stages on a sample of a corpus, for `plan`: what each took, on a third of the sample and on all of it."""

from __future__ import annotations

import heapq
import multiprocessing
import os
import pickle
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from wordprint.config import RunConfig
from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.source import SYNTHETIC, find_kind, load_reader, parse_source
from wordprint.desk import machine
from wordprint.errors import InputError, WordprintError
from wordprint.records import Utterance
from wordprint.stages.command import load
from wordprint.stages.progress import Progress
from wordprint.stages.receipt import Receipt
from wordprint.stages.table import COMMANDS
from wordprint.stages.units import readable_duration

GROWING = ("prepare", "validate", "align", "words")
"""Stages that take longer for more audio; `train` goes by its steps, and what comes after it looks at bounded samples."""

LEAST, STEPS, VOICES = 24, 12, 12
"""Of the sample: fewest utterances, steps of training, and voices of synthetic speech (few, so that words come back)."""


@dataclass(frozen=True, slots=True)
class Took:
    """What a run of a stage took for so many hours of audio; the default is what nothing takes."""

    hours: float = 0.0
    wall_s: float = 0.0
    disk_bytes: int = 0


class Trial:
    """Runs of the stages on a sample in `folder`: `STAGE-0` on a third of it, `STAGE-1` on all, and what they took."""

    def __init__(self, config: RunConfig, folder: Path, progress: Progress) -> None:
        # a sample is too small for filters by counts, and for sides
        sides = dict.fromkeys(("validation_speakers", "test_speakers", "validation_words", "test_words"), 0.0)
        words = replace(config.words, min_tokens=1, min_speakers=1, **sides)  # type: ignore[arg-type]
        self.config, self.folder, self.say, self.speech = replace(config, words=words), folder, progress.say, ""
        self.took: dict[str, tuple[Took, Took]] = {}
        self.receipts: dict[str, Receipt] = {}
        self.memory_bytes: dict[str, int | None] = {}

    def run(self, utterances: int) -> None:
        """All stages to `train`, each in a process of its own that runs once to load libraries, then is timed twice."""
        self.say(f"plan: taking a sample of {utterances} utterances")
        inputs: list[Any] = self.draw(utterances)
        hours: list[float] = []
        for stage in GROWING:
            outputs = [self.folder / f"{stage}-{size}" for size in (0, 1)]
            first = (inputs[0], self.folder / f"{stage}-first")
            calls = [(*place, getattr(self.config, stage)) for place in (first, *zip(inputs, outputs, strict=True))]
            receipts = self._run(stage, calls)
            hours = hours or [hours_of(receipt) for receipt in receipts]
            runs = zip(hours, receipts, outputs, strict=True)
            small, large = (Took(had, receipt.wall_s, disk_bytes_of(output)) for had, receipt, output in runs)
            self.took[stage], inputs = (small, large), outputs
        sizes = [(inputs[1], self.folder / f"train-{steps}", replace(self.config.train, steps=steps)) for steps in (2, STEPS)]
        self._run("train", sizes)
        self.took["train"] = (Took(), Took(disk_bytes=disk_bytes_of(sizes[1][1])))
        self.speech += f", {readable_duration(3600 * hours[1])} in all"

    def gain(self) -> float:
        """What a second worker adds to the first one's work, 0 to 1, on `align`: its shards are small enough for a sample."""
        self.say("plan: running align with two workers")
        calls = [(self.folder / f"validate-{size}", self.folder / f"two-{size}", self.config.align) for size in (0, 1)]
        (*_, two), _ = run_stage("align", calls, workers=2)
        return min(1.0, max(0.0, self.took["align"][1].wall_s / two.wall_s - 1.0))

    def _run(self, stage: str, calls: Sequence[tuple[Any, Path, Any]]) -> list[Receipt]:
        """Receipts of all calls but the first."""
        self.say(f"plan: running {stage}")
        try:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                (_, *receipts), self.memory_bytes[stage] = process.submit(run_stage, stage, calls).result()
        except BrokenProcessPool as error:
            remedy = f"too little memory is the usual reason; try 'wordprint {stage}' itself"
            raise WordprintError(f"the process that ran '{stage}' on the sample died", remedy=remedy) from error
        except WordprintError as error:
            raise WordprintError(f"{stage}, on a sample: {error}") from error
        self.receipts[stage] = receipts[-1]
        return receipts

    def draw(self, count: int) -> list[list[str]]:
        """Sources that hold a third of the sample, and all: `count` utterances (all, if fewer), each as likely as any other."""
        config = self.config.prepare
        found: list[tuple[str, Iterator[Utterance]]] = []
        texts: list[list[str]] = []
        for source in map(parse_source, self.config.sources):
            if source.kind == SYNTHETIC:  # recordings that are there, like any corpus
                spoken = replace(config, synthetic_utterances=count, synthetic_speakers=min(VOICES, count))
                run_stage("prepare", [([SYNTHETIC], self.folder / "speech", spoken)], workers=machine.cores())
                source = replace(source, kind="librispeech", path=self.folder / "speech" / SYNTHETIC)
            path = source.path or Path()
            items = load_reader(source.kind or find_kind(path))(path, config)
            found.append((source.name, (item for item in items if isinstance(item, Utterance))))
        everything = ((name, item) for name, items in found for item in items)
        hashed = lambda item: sha256(repr((config.seed, item[0], item[1].utterance_id)).encode()).digest()
        sample = heapq.nsmallest(count, everything, key=hashed)
        if len(sample) < LEAST:
            raise InputError(f"{', '.join(self.config.sources)} hold {len(sample)} utterances", expected=f"{LEAST} or more")
        self.speech = f"{len(sample)} utterances of {', '.join(self.config.sources)}"
        for size, part in enumerate((sample[: len(sample) // 3], sample)):
            texts.append([])
            for corpus in sorted({name for name, _ in part}):
                path = self.folder / f"{corpus}-{size}.pickle"
                chosen = [replace(item, audio=os.path.abspath(item.audio)) for name, item in part if name == corpus]
                path.write_bytes(pickle.dumps(chosen))
                texts[size].append(f"{corpus}={__name__}:{read_sample.__name__}:{path}")
        return texts


def read_sample(path: Path, config: PrepareConfig) -> list[Utterance]:
    """The corpus reader (see `prepare`) of a file that holds a sample."""
    found: list[Utterance] = pickle.loads(path.read_bytes())
    return found


def run_stage(stage: str, calls: Sequence[tuple[Any, Path, Any]], workers: int = 1) -> tuple[list[Receipt], int | None]:
    """The receipts of a stage that is run on each (input, output, options), and the peak memory of this process so far."""
    function = load(COMMANDS[stage].functions[0])
    parallel = {} if stage == "train" else {"workers": workers}
    receipts = [function(source, output, options, **parallel) for source, output, options in calls]
    try:
        import resource
    except ImportError:  # Windows
        return receipts, None
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return receipts, peak * (1 if sys.platform == "darwin" else 1024)


def hours_of(prepared: Receipt) -> float:
    return sum(float(corpus["hours"]) for corpus in prepared.details["corpora"].values())


def disk_bytes_of(folder: Path) -> int:
    """What the files of a folder take on the disk: whole blocks, of which small files waste some."""
    stats = [path.stat() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return sum(getattr(stat, "st_blocks", 0) * 512 or stat.st_size for stat in stats)
