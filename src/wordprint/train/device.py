"""Where training runs: Fabric from the options or from `torchrun`, and libraries that keep quiet."""

from __future__ import annotations

import logging
import os
from typing import Literal

import torch
from lightning_fabric import Fabric

from wordprint.errors import ConfigError
from wordprint.train.options import TrainConfig


def make_fabric(config: TrainConfig) -> Fabric:
    """One process on one device, or this process of those that `torchrun` started; also sets the CPU threads.

    Raises ConfigError for an accelerator that isn't there.
    """
    torch.set_num_threads(cpu_threads(config))
    world_size, local_size = int(os.environ.get("WORLD_SIZE", "1")), _local_size()
    try:
        fabric = Fabric(
            accelerator=config.accelerator,
            devices=local_size,
            num_nodes=max(1, world_size // local_size),
            strategy="ddp" if world_size > 1 else "auto",
            precision=precision(config),
        )
    except (RuntimeError, ValueError) as error:
        if "accelerator" not in str(error).lower():
            raise
        raise ConfigError(f"accelerator '{config.accelerator}' is not available here", remedy="use accelerator = 'auto'") from error
    fabric.launch()
    return fabric


def part() -> None:
    """End what processes share. Left to the end of the interpreter, threads of it that still run may abort the process."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def cpu_threads(config: TrainConfig) -> int:
    """CPU threads of this process: as the options say, or its share of the cores that it may run on (in a Slurm job, say)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return config.threads or max(1, cores // _local_size())


def quiet_libraries() -> None:
    """Keep what libraries tell their developers from our users; our own messages go through `progress`."""
    for name in ("lightning_fabric", "lightning.fabric", "lightning", "torch.distributed", "tensorboard"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _local_size() -> int:
    """How many processes `torchrun` started on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def precision(config: TrainConfig) -> Literal["32-true", "bf16-mixed"]:
    """bfloat16 where it is quicker: GPUs that have it, and CPUs with AVX-512 BF16 or AMX (2 × there, see docs/log.md)."""
    if config.precision != "auto":
        return config.precision
    if config.accelerator in ("auto", "cuda") and torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    if config.accelerator in ("auto", "mps") and torch.backends.mps.is_available():
        return "32-true"
    cpu_flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16-mixed" if cpu_flags.get("avx512_bf16") or cpu_flags.get("amx_bf16") else "32-true"
