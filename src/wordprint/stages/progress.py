"""Progress with rate and time left: a live bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from wordprint.stages.units import readable_bytes, readable_duration


class Task(Protocol):
    """One running count of `total` items."""

    def advance(self, count: int = 1) -> None: ...


class Progress(Protocol):
    """What stages report to. `say` prints one line; `task` counts items (the unit BYTES is shown as kB, MB and GB), of which
    `before` were done by an earlier run."""

    def say(self, line: str) -> None: ...

    def task(self, name: str, total: int | None, unit: str, before: int = 0) -> AbstractContextManager[Task]: ...


BYTES = "bytes"


class Silent:
    """Reports nothing; the default when a stage is called as a function."""

    def say(self, line: str) -> None:
        pass

    @contextmanager
    def task(self, name: str, total: int | None, unit: str, before: int = 0) -> Iterator[Task]:
        yield _SilentTask()


class _SilentTask:
    def advance(self, count: int = 1) -> None:
        pass


SILENT = Silent()


class Lines:
    """Plain lines on standard error, at most one every `interval_s`, for logs."""

    def __init__(self, interval_s: float = 10.0) -> None:
        self.interval_s = interval_s

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    @contextmanager
    def task(self, name: str, total: int | None, unit: str, before: int = 0) -> Iterator[Task]:
        counter = _LineTask(self, name, total, unit, before)
        yield counter
        counter.report()


class _LineTask:
    def __init__(self, lines: Lines, name: str, total: int | None, unit: str, before: int) -> None:
        self.lines, self.name, self.total, self.unit = lines, name, total, unit
        self.before = self.done = before
        self.started = self.reported = time.monotonic()

    def advance(self, count: int = 1) -> None:
        self.done += count
        if time.monotonic() - self.reported >= self.lines.interval_s:
            self.report()

    def report(self) -> None:
        self.reported = time.monotonic()
        elapsed_s = self.reported - self.started
        rate = (self.done - self.before) / elapsed_s if elapsed_s > 0 else 0.0
        amount = _amount(self.done, self.total, self.unit)
        line = f"{self.name}: {amount}, {_rate(rate, self.unit)}, {readable_duration(elapsed_s)} elapsed"
        if self.total and rate > 0 and self.done < self.total:
            line += f", {readable_duration((self.total - self.done) / rate)} left"
        self.lines.say(line)


class Bars:
    """Live bars on a terminal (rich)."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)

    def say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def task(self, name: str, total: int | None, unit: str, before: int = 0) -> Iterator[Task]:
        from rich import progress as bar

        columns = (
            bar.TextColumn("{task.description}"),
            bar.BarColumn(),
            bar.TextColumn("{task.fields[amount]}"),
            bar.TextColumn("{task.fields[rate]}"),
            bar.TimeElapsedColumn(),
            bar.TextColumn("left"),
            bar.TimeRemainingColumn(),
        )
        with bar.Progress(*columns, console=self.console) as display:
            task_id = display.add_task(name, total=total, completed=before, rate="", amount=_amount(before, total, unit))
            yield _BarTask(display, task_id, total, unit, before)


class _BarTask:
    def __init__(self, display: object, task_id: int, total: int | None, unit: str, before: int) -> None:
        self.display, self.task_id, self.total, self.unit = display, task_id, total, unit
        self.before, self.done, self.started = before, before, time.monotonic()

    def advance(self, count: int = 1) -> None:
        self.done += count
        rate = (self.done - self.before) / max(time.monotonic() - self.started, 1e-9)
        shown = {"amount": _amount(self.done, self.total, self.unit), "rate": _rate(rate, self.unit)}
        self.display.update(self.task_id, advance=count, **shown)  # type: ignore[attr-defined]


def for_terminal() -> Progress:
    """Bars when standard error is a terminal, lines otherwise."""
    return Bars() if sys.stderr.isatty() else Lines()


def _amount(done: int, total: int | None, unit: str) -> str:
    if unit == BYTES:
        return readable_bytes(done) + (f" of {readable_bytes(total)}" if total is not None else "")
    return f"{done}/{total} {unit}" if total is not None else f"{done} {unit}"


def _rate(per_s: float, unit: str) -> str:
    return f"{readable_bytes(per_s)}/s" if unit == BYTES else f"{per_s:.1f}/s"
