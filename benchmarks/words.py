"""Random access to words: slices and crops of a word dataset against one file per word read with soundfile.

All systems give the same windows of the same segments in the same random order, on one core, files in the page cache.
Crops and files give the same bytes (checked); views are the real audio of each window, where it lies.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import soundfile
from corpus import word_dataset, write_word_files
from numpy.typing import NDArray
from timing import in_turns, parser, print_ratio, print_table, rate, spread

from wordprint import WordDataset
from wordprint.speech.audio import SAMPLE_RATE

BATCH = 256


def read_files(paths: list[Path], offsets: NDArray[np.int64], window_samples: int) -> NDArray[np.int16]:
    """Windows (B, N), each read from a file of its own and put where the real audio begins."""
    windows = np.zeros((len(paths), window_samples), np.int16)
    for window, path, offset in zip(windows, paths, offsets.tolist(), strict=True):
        samples, _ = soundfile.read(path, dtype="int16")
        window[offset : offset + len(samples)] = samples
    return windows


def measure(dataset: WordDataset, count: int, rounds: int, window_samples: int, folder: Path) -> dict[str, list[float]]:
    """Segments per second of each system."""
    rng = np.random.default_rng(0)
    indices = rng.permutation(len(dataset))[:count]
    starts = dataset.centred_starts(indices, window_samples) + rng.integers(-1600, 1600, len(indices))
    offsets = np.maximum(dataset.limits(indices)[0] - starts, 0)
    files = {
        ending: write_word_files(dataset, indices, starts, window_samples, folder / ending[1:], ending)
        for ending in (".wav", ".flac")
    }
    batches = [slice(begin, begin + BATCH) for begin in range(0, len(indices), BATCH)]
    views = lambda part: dataset.views(indices[part], starts[part], starts[part] + window_samples)
    buffer = np.empty((BATCH, window_samples), np.int16)
    crops = lambda part: dataset.crops(indices[part], starts[part], window_samples, buffer[: len(indices[part])])
    from_wav = lambda part: read_files(files[".wav"][part], offsets[part], window_samples)
    from_flac = lambda part: read_files(files[".flac"][part], offsets[part], window_samples)
    for part in batches:
        if not np.array_equal(crops(part), from_wav(part)) or not np.array_equal(crops(part), from_flac(part)):
            raise SystemExit("crops and files differ")
    readers = {"zero-copy views": views, "crops": crops, "WAV files": from_wav, "FLAC files": from_flac}
    systems = {
        name: lambda read=read: rate(lambda: [read(part) for part in batches], len(indices)) for name, read in readers.items()
    }
    return in_turns(systems, rounds)


def main() -> None:
    options = parser(__doc__, "word dataset, corpus folder, or KIND:PATH", utterances=200)
    options.add_argument("--segments", type=int, default=4000, help="at most this many (default: %(default)s)")
    options.add_argument("--window-s", type=float, default=1.0, help="seconds in a window (default: %(default)s)")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        dataset = word_dataset(given.source, given.utterances, Path(name))
        print(f"{min(len(dataset), given.segments)} of {len(dataset)} segments, windows of {given.window_s:g} s", flush=True)
        rates = measure(dataset, given.segments, given.rounds, round(given.window_s * SAMPLE_RATE), Path(name))
    print_table(("", "segments/s"), *((label, spread(values)) for label, values in rates.items()))
    for ending in ("WAV files", "FLAC files"):
        print_ratio(rates, "crops", ending)


if __name__ == "__main__":
    main()
