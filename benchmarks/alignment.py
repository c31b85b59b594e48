"""How many times faster than real time `align` is, with one process and with two, and the memory of a process.

Everything that the stage does is timed (reading audio, search, phones, TextGrids); starting the processes is not. "per
CPU second" holds on a machine that is busy with other things, where the ratio of the clock's times does not.
"""

from __future__ import annotations

import itertools
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from corpus import utterances
from joblib.externals.loky import get_reusable_executor
from timing import children, cpu_s, in_turns, parser, peak_mb, print_ratio, print_table, spread

from wordprint import pipeline
from wordprint.stages.manifest import read_utterances

_attempt = itertools.count()


def align(manifest: Path, output: Path, processes: int) -> tuple[float, float, float]:
    """Seconds and CPU seconds of the stage, and the largest memory of any process that aligns (MB)."""
    started, used_s = time.perf_counter(), _cpu_s()
    pipeline.align(manifest, output / f"{processes}-{next(_attempt)}", workers=processes)
    seconds, used_s = time.perf_counter() - started, _cpu_s() - used_s
    return seconds, used_s, peak_mb() if processes == 1 else max(map(peak_mb, children()))


def _cpu_s() -> float:
    return cpu_s() + sum(map(cpu_s, children()))


def stop() -> None:
    """End joblib's processes, which otherwise stay for minutes."""
    get_reusable_executor().shutdown()


def main() -> None:
    options = parser(__doc__, "corpus folder, or KIND:PATH", utterances=128).parse_args()
    spawn = multiprocessing.get_context("spawn")  # a process of its own for each: memory is not mixed up
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(1, spawn) as one, ProcessPoolExecutor(1, spawn) as two:
        manifest = utterances(options.source, options.utterances, Path(name))
        speech_s = [utterance.duration_s for utterance in read_utterances(manifest)]
        print(f"{len(speech_s)} utterances, {sum(speech_s) / 60:.1f} minutes of {options.source}", flush=True)
        memory: dict[str, float] = {}
        per_cpu_s: dict[str, list[float]] = {"1 process": [], "2 processes": []}

        def turn(label: str, main_process: ProcessPoolExecutor, processes: int) -> float:
            seconds, used_s, peak = main_process.submit(align, manifest, Path(name), processes).result()
            memory.setdefault(label, peak)  # of the first turn: people run the stage once in a process
            per_cpu_s[label].append(sum(speech_s) / used_s)
            return sum(speech_s) / seconds

        systems = {"1 process": lambda: turn("1 process", one, 1), "2 processes": lambda: turn("2 processes", two, 2)}
        rates = in_turns(systems, options.rounds)
        two.submit(stop).result()
    rows = [(label, spread(rates[label], 1), spread(per_cpu_s[label][1:], 1), f"{memory[label]:.0f}") for label in rates]
    print_table(("× real time", "by the clock", "per CPU second", "peak MB per process"), *rows)
    print_ratio(rates, "2 processes", "1 process")


if __name__ == "__main__":
    main()
