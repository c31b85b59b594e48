"""One stage run in a process of its own, on small and larger inputs, to tell what starting costs from what audio costs.

    python -m wordprint.desk.plan.trial JOB.json

runs the job that `run_trial` wrote and writes JOB.result.json beside it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wordprint.config import RunConfig
from wordprint.errors import WordprintError
from wordprint.stages.manifest import write_json
from wordprint.stages.progress import Silent
from wordprint.stages.receipt import config_to_json
from wordprint.stages.recipe import from_dict

STEPS_S = 6.0
"""How long steps of training are timed, once the first have warmed up."""

_WARM_STEPS, _LEAST_STEPS, _MOST_STEPS = 2, 4, 100


@dataclass(frozen=True, slots=True)
class Trial:
    """Wall time of each run, that of the whole process, and the most memory it took (None: this system doesn't tell)."""

    runs_s: tuple[float, ...]
    process_s: float
    memory_bytes: int | None
    facts: dict[str, float]

    @property
    def start_s(self) -> float:
        """What the process took besides its runs."""
        return max(0.0, self.process_s - sum(self.runs_s))


def run_trial(stage: str, runs: Sequence[tuple[Any, Path]], config: RunConfig, folder: Path, workers: int = 1) -> Trial:
    """Run a stage once for each (input, output); raises the WordprintError that it ends with."""
    job = folder / f"{stage}-{workers}.json"
    paths = [[[str(source)] if isinstance(source, Path) else list(source), str(output)] for source, output in runs]
    write_json(job, {"stage": stage, "runs": paths, "workers": workers, "config": config_to_json(config)})
    started = time.perf_counter()
    code, memory_bytes, log = _process([sys.executable, "-P", "-m", "wordprint.desk.plan.trial", str(job)], job.with_suffix(".log"))
    process_s = time.perf_counter() - started
    result_path = job.with_suffix(".result.json")
    if code != 0 or not result_path.is_file():
        raise WordprintError(f"the trial of '{stage}' ended with exit code {code}: {log}", remedy=f"try 'wordprint {stage}' itself")
    result = json.loads(result_path.read_text(encoding="utf-8"))
    if "error" in result:
        raise WordprintError(f"{stage}: {result['error']}")
    return Trial(tuple(result["runs_s"]), process_s, memory_bytes, result["facts"])


def _process(command: list[str], log: Path) -> tuple[int, int | None, str]:
    """(exit code, peak memory of the largest process, last line of what it printed) of a program and all that it starts."""
    with log.open("wb") as output:
        program = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        memory_bytes = None
        try:
            if hasattr(os, "wait4"):
                _, status, usage = os.wait4(program.pid, 0)
                program.returncode = os.waitstatus_to_exitcode(status)
                memory_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            code = program.wait()
        except BaseException:
            program.kill()
            program.wait()
            raise
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["it printed nothing"]
    return code, memory_bytes, last[0]


# in the other process


class _EnoughError(Exception):
    """Steps enough have been timed."""


class _StepClock(Silent):
    """Progress that notes when each step of training ends, and stops it after a while."""

    def __init__(self) -> None:
        self.times: list[float] = []

    @contextmanager
    def task(self, name: str, total: int | None, unit: str, done: int = 0) -> Iterator[_StepClock]:
        yield self

    def advance(self, count: int = 1) -> None:
        self.times += [time.perf_counter()] * count
        timed = self.times[_WARM_STEPS:]
        if len(timed) > _MOST_STEPS or (len(timed) > _LEAST_STEPS and timed[-1] - timed[0] > STEPS_S):
            raise _EnoughError


def _train(words: str, fewer_words: str, output: str, config: RunConfig) -> dict[str, float]:
    """Seconds per step and steps timed; what a segment costs in memory, from two datasets of different size."""
    from wordprint import pipeline
    from wordprint.train.augment import Sounds
    from wordprint.train.data import TrainingWords
    from wordprint.words.dataset import WordDataset

    data, held = [], []
    for path in (words, fewer_words, words):  # the first loads libraries, which is not to count
        tracemalloc.start()
        data.append(TrainingWords(WordDataset(path), config.train, Sounds.read(None, None, 1)))
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    more = len(data[2].dataset) - len(data[1].dataset)
    clock = _StepClock()
    endless = dataclasses.replace(config.train, steps=max(config.train.steps, 10 * _MOST_STEPS))
    with suppress(_EnoughError):
        pipeline.train(words, output, endless, progress=clock)
    timed = clock.times[_WARM_STEPS:]
    return {
        "steps": len(timed) - 1,
        "step_s": (timed[-1] - timed[0]) / (len(timed) - 1),
        "batch_share": data[0].sampler.words_per_batch / config.train.words_per_batch,
        "bytes_per_segment": max(0.0, held[2] - held[1]) / more,
    }


def _run_job(job: dict[str, Any]) -> dict[str, Any]:
    from wordprint import pipeline

    config, stage = from_dict(RunConfig, job["config"], "plan"), job["stage"]
    walls, facts = [], {}
    for sources, output in job["runs"]:
        started = time.perf_counter()
        if stage == "train":
            facts = _train(sources[0], sources[1], output, config)
        elif stage == "prepare":
            pipeline.prepare(sources, output, config.prepare, workers=job["workers"])
        else:
            getattr(pipeline, stage)(sources[0], output, getattr(config, stage), workers=job["workers"])
        walls.append(time.perf_counter() - started)
    return {"runs_s": walls, "facts": facts}


def main() -> None:
    """Run the job named as argument."""
    path = Path(sys.argv[1])
    try:
        result = _run_job(json.loads(path.read_text(encoding="utf-8")))
    except WordprintError as error:
        result = {"error": str(error)}
    write_json(path.with_suffix(".result.json"), result)


if __name__ == "__main__":
    main()
