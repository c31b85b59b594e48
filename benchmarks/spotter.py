"""Real-time factor and peak memory of the spotter on one core: float and int8 model, 1 and 10 keywords.

Each runs in a process of its own that does nothing but spot, from a file to detections. The keywords are loud pieces of
the stream: what they are does not change the work, and they have no pronunciation whose phones would be read.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from corpus import utterances
from numpy.typing import NDArray
from timing import in_turns, parser, peak_mb, print_ratio, print_table, spread

from wordprint import Spotter
from wordprint.model import bundled_model
from wordprint.speech.audio import SAMPLE_RATE, read_audio, write_audio
from wordprint.stages.manifest import read_utterances

PIECE_SAMPLES = 9600  # 0.6 s, a word
KEYWORDS = (1, 10)

_spotter: Spotter


def begin(model: Path, pieces: list[NDArray[np.float32]]) -> None:
    """Set this process up to listen for `pieces`."""
    global _spotter
    _spotter = Spotter(model)
    for number, piece in enumerate(pieces):
        _spotter.enroll(f"keyword {number}", [piece])


def listen(stream: Path) -> tuple[float, float]:
    """Seconds that a recording took, and the largest memory of this process (MB)."""
    started = time.perf_counter()
    list(_spotter.spot(stream))
    return time.perf_counter() - started, peak_mb()


def make_stream(source: str, count: int, seconds: float, folder: Path) -> tuple[Path, NDArray[np.float32]]:
    """A recording of `seconds`: the utterances of a corpus one after the other."""
    spoken = [read_audio(item.audio, item.start_s, item.end_s) for item in read_utterances(utterances(source, count, folder))]
    samples = np.concatenate(spoken)[: round(seconds * SAMPLE_RATE)]
    write_audio(folder / "stream.wav", samples)
    return folder / "stream.wav", samples


def loud_pieces(samples: NDArray[np.float32], count: int) -> list[NDArray[np.float32]]:
    """The `count` loudest pieces of (N,) samples that don't overlap."""
    pieces = samples[: len(samples) // PIECE_SAMPLES * PIECE_SAMPLES].reshape(-1, PIECE_SAMPLES)
    return list(pieces[np.argsort(-np.square(pieces).sum(axis=1))[:count]])


def main() -> None:
    options = parser(__doc__, "corpus folder, or KIND:PATH", utterances=40)
    options.add_argument("--seconds", type=float, default=60.0, help="length of the stream (default: %(default)s)")
    options.add_argument("--model", type=Path, help="ONNX file, with its .int8.onnx beside it (default: the bundled one)")
    given = options.parse_args()
    model = given.model or bundled_model()
    int8 = model.with_suffix(".int8.onnx")
    models = {"float32": model, **({"int8": int8} if int8.is_file() else {})}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        stream, samples = make_stream(given.source, given.utterances, given.seconds, Path(name))
        seconds = len(samples) / SAMPLE_RATE
        print(f"{seconds:.0f} s of {given.source}, model {model.name}", flush=True)
        memory: dict[str, float] = {}

        def turn(label: str, process: ProcessPoolExecutor) -> float:
            elapsed_s, memory[label] = process.submit(listen, stream).result()
            return seconds / elapsed_s

        systems = {}
        for precision, path in models.items():
            for count in KEYWORDS:
                setup = (path, loud_pieces(samples, count))
                process = stack.enter_context(
                    ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=begin, initargs=setup)
                )
                label = f"{precision}, {count} keyword{'s' * (count > 1)}"
                systems[label] = lambda label=label, process=process: turn(label, process)
        rates = in_turns(systems, given.rounds)
    rows = [(label, spread([1 / x for x in each], 4), spread(each), f"{memory[label]:.0f}") for label, each in rates.items()]
    print_table(("", "real-time factor", "× real time", "peak MB"), *rows)
    print_ratio(rates, "float32, 10 keywords", "float32, 1 keyword")
    if "int8" in models:
        print_ratio(rates, "int8, 1 keyword", "float32, 1 keyword")


if __name__ == "__main__":
    main()
