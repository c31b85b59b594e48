"""Side-by-side timing. Systems take turns, A B A B …, so that whatever else the machine does slows all of them alike."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median


def parser(description: str | None, source: str, utterances: int, rounds: int = 5) -> argparse.ArgumentParser:
    """The options that every benchmark has; `source` says what it takes, `description` is its docstring."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("source", nargs="?", default="synthetic", help=f"{source} (default: synthetic speech)")
    options.add_argument("--utterances", type=int, default=utterances, help="at most this many (default: %(default)s)")
    options.add_argument("--rounds", type=int, default=rounds, help="turns of each system that count (default: %(default)s)")
    return options


def in_turns(systems: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run each system once for warming up, then `rounds` times in turn; the rates that they return, higher is faster."""
    for system in systems.values():
        system()
    rates: dict[str, list[float]] = {name: [] for name in systems}
    for _ in range(rounds):
        for name, system in systems.items():
            rates[name].append(system())
    return rates


def rate(work: Callable[[], object], count: float, at_least_s: float = 0.2) -> float:
    """`count` per second of `work`, which is repeated until the clock has something to measure."""
    times, started = 0, time.perf_counter()
    while (elapsed_s := time.perf_counter() - started) < at_least_s or times == 0:
        work()
        times += 1
    return count * times / elapsed_s


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median, and the smallest and largest in brackets."""
    return "{:,.{d}f} ({:,.{d}f}–{:,.{d}f})".format(median(values), min(values), max(values), d=digits)


def print_table(*rows: Sequence[str]) -> None:
    """Rows of equally many cells, the first row as the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]))


def print_ratio(rates: Mapping[str, Sequence[float]], faster: str, than: str) -> None:
    """How many times the rate of `than` that of `faster` is, compared round by round."""
    ratios = [a / b for a, b in zip(rates[faster], rates[than], strict=True)]
    print(f"ratio, {faster} : {than} = {spread(ratios, 2)}")


def peak_mb(process: int | str = "self") -> float:
    """Largest resident memory of a process so far, in MB; NaN where there is no /proc (only Linux tells it of others)."""
    status = Path(f"/proc/{process}/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")), float("nan"))


def cpu_s(process: int | str = "self") -> float:
    """CPU time that a process has used so far; NaN where there is no /proc."""
    stat = Path(f"/proc/{process}/stat")
    fields = stat.read_text().rpartition(")")[2].split() if stat.is_file() else []  # from the third field of proc(5) on
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields else float("nan")


def children() -> list[int]:
    """Processes that this one has started."""
    return [int(pid) for tasks in Path("/proc/self/task").glob("*/children") for pid in tasks.read_text().split()]
