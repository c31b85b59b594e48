"""From measured rates to what a whole corpus takes: arithmetic alone, no measuring."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """What one stage was measured to take, each figure linear in the hours of audio.

    `work_s_per_hour` is that of one worker; `workers_help` says whether more of them divide it. Memory is the most that
    one process took (None: this system doesn't tell). `pace` and `basis` are for people: how fast, and what it rests on.
    """

    stage: str
    fixed_s: float
    work_s_per_hour: float
    bytes_per_hour: float
    memory_bytes: float | None
    memory_bytes_per_hour: float = 0.0
    workers_help: bool = True
    pace: str = ""
    basis: str = ""


@dataclass(frozen=True, slots=True)
class Rates:
    """The rates of all stages, and how well workers share a machine: `gain` is what each further worker adds, as a share
    of the first one's work (1: two are twice as fast; 0: no faster)."""

    stages: tuple[Rate, ...]
    gain: float
    cores: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What one stage will take; memory is that of one process, of which there are `processes`."""

    stage: str
    time_s: float
    disk_bytes: float
    memory_bytes: float | None
    processes: int


def speedup(workers: int, cores: int, gain: float) -> float:
    """How many times the work of one worker is done by `workers`: as many as there are cores on each machine."""
    machines, rest = divmod(workers, cores)
    return machines * _on_one_machine(cores, gain) + _on_one_machine(rest, gain)


def predict(rates: Rates, hours: float, workers: int) -> list[Expected]:
    """Time, disk and memory of each stage for `hours` of audio and `workers` processes; see `speedup` for how they share."""
    shared = speedup(workers, rates.cores, rates.gain)
    return [
        Expected(
            rate.stage,
            rate.fixed_s + hours * rate.work_s_per_hour / (shared if rate.workers_help else 1.0),
            hours * rate.bytes_per_hour,
            None if rate.memory_bytes is None else rate.memory_bytes + hours * rate.memory_bytes_per_hour,
            workers if rate.workers_help else 1,
        )
        for rate in rates.stages
    ]


def _on_one_machine(workers: int, gain: float) -> float:
    return 1.0 + (workers - 1) * gain if workers else 0.0
