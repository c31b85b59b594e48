"""The training loop of one process: steps, validation, checkpoints, resuming."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path
from typing import Any, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor

from wordprint.errors import ModelError, WordprintError
from wordprint.stages.manifest import write_jsonl
from wordprint.stages.progress import Progress
from wordprint.stages.shards import ctrl_c_sets
from wordprint.train import checkpoint
from wordprint.train.data import Batch, TrainingWords
from wordprint.train.device import cpu_threads
from wordprint.train.objective import Objective
from wordprint.train.options import TrainConfig
from wordprint.train.validation import ValidationWords

HISTORY, TENSORBOARD = "history.jsonl", "tensorboard"

LOG_EVERY = 20
"""Steps between points in TensorBoard."""

LONGEST_GRADIENT = 5.0
"""Gradients are shortened to this norm: early batches can have steep ones."""

FIRST_RATE = 0.04
"""Learning rate of the first step, as a share of the highest."""


def learning_rate(step: int, config: TrainConfig) -> float:
    """One cycle (Smith and Topin, 2018): half a cosine up while warming up, half a cosine down to 0 after the last step."""
    warmup = max(1.0, config.warmup_share * config.steps)
    if step < warmup:
        share = FIRST_RATE + (1 - FIRST_RATE) * (1 - math.cos(math.pi * step / warmup)) / 2
    else:
        share = (1 + math.cos(math.pi * (step - warmup) / max(1.0, config.steps - warmup))) / 2
    return config.learning_rate * share


class Fit:
    """One training run, fresh or going on from the `last` checkpoint in `output`."""

    def __init__(
        self,
        fabric: Fabric,
        words: TrainingWords,
        validation: ValidationWords | None,
        output: Path,
        config: TrainConfig,
        progress: Progress,
    ) -> None:
        self.fabric, self.words, self.validation = fabric, words, validation
        self.output, self.config, self.progress = output, config, progress
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            objective = Objective(config, words.phones, len(words.words), words.lessons.frames.shape[1] if words.lessons else 0)
        words.frame_samples = objective.network.frame_samples
        # the encoder is 10–20 % faster so on CPUs (the keyword is missing from torch's annotations)
        self.objective: Objective = objective.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.AdamW(self.objective.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        self.model, self.optimizer = fabric.setup(self.objective, optimizer)
        self.step = 0
        self.best: float | None = None
        self.history: list[dict[str, Any]] = []
        self.cycles = [config.steps]
        """`steps` of each learning-rate cycle: more than one where a finished run was given more steps."""
        self._resume()

    def run(self) -> dict[str, Any]:
        """Train to the last step; returns what the receipt tells of it."""
        first, started, waited_s, busy_s = self.step, time.monotonic(), 0.0, 0.0
        sums: dict[str, float] = {}
        logs, stop = self._open_logs(), threading.Event()
        # an interrupt that is raised wherever it hits may be lost in a callback of a library: it is looked for after each step
        with ctrl_c_sets(stop), self.progress.task("train", self.config.steps, "steps", first) as task:
            # a batch depends on its step alone, so how many workers make them can't change one
            workers = max(1, cpu_threads(self.config) // 2)
            for batch, wait_s in self.words.batches(range(first, self.config.steps), self.fabric.global_rank, workers):
                begun = time.monotonic()
                parts = self._update(batch)
                for name, value in parts.items():
                    sums[name] = sums.get(name, 0.0) + value
                self.step += 1
                waited_s, busy_s = waited_s + wait_s, busy_s + time.monotonic() - begun
                if logs and self.step % LOG_EVERY == 0:
                    for name, value in parts.items():
                        logs.add_scalar(f"train/{name}", value, self.step)
                    logs.add_scalar("train/learning_rate", learning_rate(self.step - 1, self.config), self.step)
                if self.step % self.config.validate_every == 0 or self.step == self.config.steps:
                    self._validate(sums, logs)
                    sums = {}
                task.advance()
                if stop.is_set():
                    raise KeyboardInterrupt
        if logs:
            logs.close()
            write_jsonl(self.output / HISTORY, self.history)
        return self._details(first, time.monotonic() - started, waited_s, busy_s)

    def _update(self, batch: Batch) -> dict[str, float]:
        """One step of the optimiser; returns the losses. Raises WordprintError where the gradient is infinite or no number."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.config)
        self.optimizer.zero_grad()
        total, parts = self.model(batch.to(self.fabric.device))
        self.fabric.backward(total)
        norm = self.fabric.clip_gradients(self.model, self.optimizer, max_norm=LONGEST_GRADIENT, error_if_nonfinite=False)
        if not cast(Tensor, norm).isfinite():
            # going on from the last checkpoint would meet the same batch with the same weights
            raise WordprintError(
                f"training diverged: the gradient of step {self.step + 1} is not finite",
                remedy="train anew (--overwrite) with a lower --learning-rate, or with --precision 32-true",
                reason="not_finite",
            )
        self.optimizer.step()
        return {"total": total.item(), **{name: part.item() for name, part in parts.items()}}

    def _validate(self, sums: dict[str, float], logs: Any) -> None:
        """Score the network, keep it if it is the best, and save all that is needed to go on."""
        if not self.fabric.is_global_zero:
            return
        steps = self.step - (self.history[-1]["step"] if self.history else 0)
        row: dict[str, Any] = {"step": self.step, **{name: round(value / steps, 6) for name, value in sums.items()}}
        score = None
        if self.validation is not None:
            score = self.validation.average_precision(self.objective.network, self.fabric.device)
            row["validation_ap"] = round(score, 6)
            if logs:
                logs.add_scalar("validation/average_precision", score, self.step)
        self.history.append(row)
        shown = ", ".join(f"{name} {value:.3f}" for name, value in row.items() if name != "step")
        self.progress.say(f"step {self.step}: {shown}")
        if score is None or self.best is None or score > self.best:
            self.best = score
            checkpoint.save_checkpoint(self.output, self.objective.network, self._record(row))
        self._save_last()

    # checkpoints

    def _record(self, row: dict[str, Any]) -> dict[str, Any]:
        """What a checkpoint says of itself."""
        metadata = self.words.dataset.metadata
        return {
            "step": self.step,
            "validation": {key: value for key, value in row.items() if key.startswith("validation")} | self._validated_on(),
            "training": {
                "words": len(self.words.words),
                "speakers": len(self.words.speakers),
                "segments": len(self.words.indices),
                "seed": self.config.seed,
                "loss": self.config.loss,
                **({"cycles": self.cycles} if len(self.cycles) > 1 else {}),
            },
            "bill_of_materials": [*metadata["corpora"], *([self.words.lessons.material] if self.words.lessons else [])],
        }

    def _validated_on(self) -> dict[str, int]:
        return self.validation.counts() if self.validation else {}

    def _save_last(self) -> None:
        """Objective, optimiser and progress; batches and schedule follow from the step, so there is no other state."""
        optimizer, groups = checkpoint.pack_optimizer(self.optimizer.state_dict())
        tensors = {f"objective.{name}": tensor for name, tensor in self.objective.state_dict().items()}
        record = {"step": self.step, "best": self.best, "history": self.history, "cycles": self.cycles, "optimizer_groups": groups}
        checkpoint.save_state(self.output, {**tensors, **optimizer}, record)

    def _resume(self) -> None:
        if self.fabric.is_global_zero:
            checkpoint.write_names(self.output, self.words.words, self.words.speakers)
        state = checkpoint.read_state(self.output)
        if state is None:
            return
        tensors, record = state
        prefix = "objective."
        own = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        try:
            self.objective.load_state_dict(own)
            self.optimizer.load_state_dict(checkpoint.unpack_optimizer(tensors, record["optimizer_groups"]))
        except (RuntimeError, ValueError) as error:
            raise ModelError(
                f"{self.output / checkpoint.LAST}.safetensors is of another network ({' '.join(str(error).split())[:200]})",
                remedy="train anew (--overwrite)",
            ) from error
        self.step, self.best, self.history = record["step"], record["best"], record["history"]
        earlier = record.get("cycles", self.cycles)
        self.cycles = [*earlier, *(self.cycles if earlier[-1] != self.config.steps else [])]
        self.progress.say(f"going on from step {self.step}")

    def _open_logs(self) -> Any:
        """A TensorBoard writer in the first process; points after the step that we go on from are taken back."""
        if not self.fabric.is_global_zero:
            return None
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(self.output / TENSORBOARD), purge_step=self.step + 1)

    def _details(self, first: int, wall_s: float, waited_s: float, busy_s: float) -> dict[str, Any]:
        steps = self.config.steps - first
        parameters = sum(tensor.numel() for tensor in self.objective.network.parameters())
        segments = steps * self.words.sampler.words_per_batch * self.config.tokens_per_word * self.fabric.world_size
        return {
            "parameters": parameters,
            "best_validation_ap": self.best,
            "cycles": self.cycles,
            "validation": self._validated_on(),
            "steps_in_this_run": steps,
            "segments_per_s": round(segments / max(wall_s, 1e-9), 1),
            "data_wait_share": round(waited_s / max(waited_s + busy_s, 1e-9), 4),
            "device": str(self.fabric.device),
            "processes": self.fabric.world_size,
            "precision": self.fabric.strategy.precision.precision,
        }
