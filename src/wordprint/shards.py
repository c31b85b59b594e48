"""Run work over shards of items, in this process or in several, and keep what each shard gave as a file."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from wordprint.manifest import write_jsonl

Item = TypeVar("Item")


def write_shard(path: Path, shard: list[Any], work: Callable[[list[Any]], list[dict[str, Any]]]) -> tuple[Path, int]:
    """Do one shard and write its results to `path`; returns it and the number of items."""
    write_jsonl(path, work(shard))
    return path, len(shard)


def run_shards(
    jobs: Iterable[tuple[Path, list[Item]]], work: Callable[[list[Item]], list[dict[str, Any]]], workers: int
) -> Iterator[tuple[Path, int]]:
    """(part, items) in order; parts that exist are not computed again."""
    stop = threading.Event()
    if workers <= 1:
        with _ctrl_c_sets(stop):
            for path, shard in jobs:
                yield (path, len(shard)) if path.exists() else write_shard(path, shard, work)
                if stop.is_set():
                    break
        if stop.is_set():
            raise KeyboardInterrupt
        return
    from joblib import Parallel, delayed

    def tasks() -> Iterator[Any]:
        for path, shard in jobs:
            if stop.is_set():
                return
            yield delayed(_done)(path, len(shard)) if path.exists() else delayed(write_shard)(path, shard, work)

    with _ctrl_c_sets(stop) as start:
        with start:
            results = Parallel(n_jobs=workers, return_as="generator", pre_dispatch="2*n_jobs")(tasks())
        yield from results
    if stop.is_set():
        raise KeyboardInterrupt


@contextmanager
def _ctrl_c_sets(stop: threading.Event) -> Iterator[AbstractContextManager[None]]:
    """Until the block ends, Ctrl-C sets `stop` (the shards in work are finished), and stops at once when pressed again.

    Yields a block to start processes in, which then never see Ctrl-C and so print no tracebacks of their own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield nullcontext()  # only the main thread sees Ctrl-C
        return

    def pressed(number: int, frame: Any) -> None:
        if stop.is_set():
            signal.default_int_handler(number, frame)
        stop.set()

    @contextmanager
    def ignored() -> Iterator[None]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # what a new process inherits
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, pressed)

    before = signal.signal(signal.SIGINT, pressed)
    try:
        yield ignored()
    finally:
        signal.signal(signal.SIGINT, before)


def _done(path: Path, count: int) -> tuple[Path, int]:
    return path, count
