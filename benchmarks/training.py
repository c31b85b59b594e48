"""Training speed: batches of a word dataset against a plain PyTorch DataLoader over word files (WAV).

The network, its loss, the batch size and the tokens of each batch are the same; a word is its only span. First without
augmentation, where wordprint's effects change nothing (but level and fades are still computed); then with all of them, runs
of phones and the losses on these, as `train` runs.
"data alone" is how fast batches come when nothing is done with them; "wait" the share of a step that the network waits
for its batch.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import soundfile
import torch
from corpus import word_dataset, write_word_files
from timing import in_turns, parser, print_ratio, print_table, spread
from torch.utils.data import DataLoader, Dataset

from wordprint.train.augment import Sounds
from wordprint.train.data import Batch, TrainingWords, prefetch
from wordprint.train.device import make_fabric, quiet_libraries
from wordprint.train.objective import Objective
from wordprint.train.options import TrainConfig

PLAIN = {
    "noise_share": 0.0, "filter_share": 0.0, "telephone_share": 0.0, "room_share": 0.0, "max_speed_change": 1.0, "masks": 0,
    "silence_share": 0.0, "runs": 0, "edits": 0, "phonetic_weight": 0.0, "phone_weight": 0.0,
}  # fmt: skip
"""Options of training that leave words as they are, and need no phones."""

ALONE = 4
"""Times the steps of a turn when there is no network: the batches that are ready at the start must not count for much."""

Start = Callable[[int], Iterator[Batch]]
"""Begins the batches of so many steps."""


class WordFiles(Dataset[tuple[torch.Tensor, int, torch.Tensor]]):
    """Word files as anyone would read them: decode, then put the audio into the window."""

    def __init__(self, words: TrainingWords, folder: Path) -> None:
        dataset, self.window, self.labels = words.dataset, words.window_samples, words.labels
        starts = dataset.centred_starts(words.indices, self.window)
        self.paths = write_word_files(dataset, words.indices, starts, self.window, folder, ".wav")
        self.offsets = np.maximum(dataset.limits(words.indices)[0] - starts, 0)
        ends = [dataset.column(name)[words.indices] - starts for name in ("start_sample", "end_sample")]
        self.spans = torch.from_numpy(np.stack(ends, axis=1)).float()

    def __getitem__(self, place: int) -> tuple[torch.Tensor, int, torch.Tensor]:
        samples, _ = soundfile.read(self.paths[place], dtype="float32")
        waveform = torch.zeros(self.window)
        waveform[self.offsets[place] : self.offsets[place] + len(samples)] = torch.from_numpy(samples)
        return waveform, int(self.labels[place]), self.spans[place]


def load_files(words: TrainingWords, files: WordFiles, workers: int, steps: int) -> Iterator[Batch]:
    """Batches of a DataLoader, of the tokens that wordprint draws for the same steps."""
    seed = words.config.seed
    places = [words.sampler.draw(np.random.default_rng([seed, 0, step])).tolist() for step in range(steps)]
    none = torch.zeros(len(places[0]), 0, 2)
    for waveforms, labels, spans in DataLoader(files, batch_sampler=places, num_workers=workers):
        word = {"labels": labels, "strings": labels[:, None], "spans": spans[:, None]}
        yield Batch(waveforms=waveforms, time_masks=none, band_masks=none, **word)


def make_step(words: TrainingWords) -> Callable[[Batch], None]:
    """One step of training, as wordprint does it."""
    fabric, config = make_fabric(words.config), words.config
    objective = Objective(config, words.phones, len(words.words))
    model, optimizer = fabric.setup(objective, torch.optim.AdamW(objective.parameters(), lr=config.learning_rate))

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        total, _ = model(batch.to(fabric.device))
        fabric.backward(total)
        optimizer.step()
        total.item()  # the step is done

    return step


def steps_per_s(start: Start, steps: int, step: Callable[[Batch], None], waits: list[float]) -> float:
    """Rate from the first batch on (starting is not timed); adds the share of waiting to `waits`."""
    batches, waited_s = start(steps + 1), 0.0
    batch = next(batches)
    begun = time.perf_counter()
    for _ in range(steps):
        step(batch)
        asked = time.perf_counter()
        batch = next(batches)
        waited_s += time.perf_counter() - asked
    elapsed_s = time.perf_counter() - begun
    waits.append(waited_s / elapsed_s)
    return steps / elapsed_s


def main() -> None:
    options = parser(__doc__, "word dataset, corpus folder, or KIND:PATH", utterances=400, rounds=3)
    options.add_argument("--steps", type=int, default=12, help="steps in a turn (default: %(default)s)")
    options.add_argument("--words-per-batch", type=int, default=TrainConfig.words_per_batch, help="default: %(default)s")
    options.add_argument("--workers", type=int, default=2, help="processes of the DataLoader (default: %(default)s)")
    options.add_argument("--threads", type=int, default=0, help="CPU threads (default: as many as there are cores)")
    given = options.parse_args()
    quiet_libraries()
    full = TrainConfig(words_per_batch=given.words_per_batch, threads=given.threads)
    with tempfile.TemporaryDirectory() as name:
        dataset = word_dataset(given.source, given.utterances, Path(name))
        plain, augmented = (TrainingWords(dataset, config, Sounds()) for config in (replace(full, **PLAIN), full))
        files = WordFiles(plain, Path(name, "files"))
        ours = lambda words: lambda steps: (batch for batch, _ in prefetch(words.batch, range(steps)))
        theirs = lambda workers: lambda steps: load_files(plain, files, workers, steps)
        starts: dict[str, Start] = {
            "wordprint": ours(plain),
            "DataLoader, 0 workers": theirs(0),
            f"DataLoader, {given.workers} workers": theirs(given.workers),
            "wordprint, augmented": ours(augmented),
        }
        size = plain.sampler.words_per_batch * full.tokens_per_word
        print(f"{len(plain.indices)} segments, {size} in a batch, {os.cpu_count()} cores", flush=True)
        waits: dict[str, list[float]] = {label: [] for label in starts}
        turns = lambda step_of, steps: in_turns(
            {label: lambda label=label: size * steps_per_s(starts[label], steps, step_of[label], waits[label]) for label in starts},
            given.rounds,
        )
        step_of = {**dict.fromkeys(starts, make_step(plain)), "wordprint, augmented": make_step(augmented)}  # also sets the threads
        alone = turns(dict.fromkeys(starts, lambda batch: None), ALONE * given.steps)
        for shares in waits.values():
            shares.clear()
        trained = turns(step_of, given.steps)
    rows = [(label, spread(alone[label]), spread(trained[label]), f"{median(waits[label]):.1%}") for label in starts]
    print_table(("segments/s", "data alone", "training", "wait"), *rows)
    for label in list(starts)[1:3]:
        print(end="data alone: ")
        print_ratio(alone, "wordprint", label)
    for label in list(starts)[1:3]:
        print(end="training: ")
        print_ratio(trained, "wordprint", label)


if __name__ == "__main__":
    main()
