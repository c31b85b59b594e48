"""Run work over shards of items, here, in several processes or on a cluster, and keep what each shard gave as a file."""

from __future__ import annotations

import _thread
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from wordprint.errors import WorkerError, require_extra
from wordprint.stages.cluster import Cluster, connect, tasks_in
from wordprint.stages.manifest import write_jsonl

Item = TypeVar("Item")
Job = tuple[Path, list[Item]]
Work = Callable[[list[Item]], list[dict[str, Any]]]

_IN_ADVANCE = 2
"""Tasks sent for each worker: none waits for its next, and items that are not due stay unread."""


GRACE_S = 2.0
"""Time that shards in work have after Ctrl-C; what isn't finished then is done again by the next run."""


def write_shard(path: Path, shard: list[Item], work: Work[Item]) -> tuple[Path, int]:
    """Do one shard and write its results to `path`; returns it and the number of items."""
    results = work(shard)
    if path.parent.is_dir():  # else the stage is over: this process outlived the command, and another has done it again
        write_jsonl(path, results)
    return path, len(shard)


def run_shards(
    jobs: Iterable[Job[Item]], work: Work[Item], workers: int | Cluster, say: Callable[[str], None]
) -> Iterator[tuple[Path, int]]:
    """(part, items) in order; parts that exist are not computed again.

    After Ctrl-C shards that are nearly done are finished before KeyboardInterrupt. Raises WorkerError for a worker that died.
    """
    stop = threading.Event()

    def due() -> Iterator[Job[Item]]:
        for job in jobs:
            if stop.is_set():
                return
            yield job

    with ctrl_c_sets(stop):
        if isinstance(workers, Cluster):
            yield from _on_cluster(due(), work, workers, say)
        elif workers > 1:
            yield from _in_processes(due(), work, workers)
        else:
            for path, shard in due():
                yield (path, len(shard)) if path.exists() else write_shard(path, shard, work)
    if stop.is_set():
        raise KeyboardInterrupt


def _in_processes(jobs: Iterator[Job[Item]], work: Work[Item], workers: int) -> Iterator[tuple[Path, int]]:
    try:
        from joblib import Parallel, delayed
        from joblib.externals.loky.process_executor import BrokenProcessPool
    except ImportError as error:
        raise require_extra("joblib", "align", "working in several processes (one does without: --workers 1)") from error
    tasks = (
        delayed(_done)(path, len(shard)) if path.exists() else delayed(_write_for)(os.getpid(), path, shard, work)
        for path, shard in jobs
    )
    try:
        with _children_without_ctrl_c():
            results = Parallel(n_jobs=workers, return_as="generator", pre_dispatch=f"{_IN_ADVANCE}*n_jobs")(tasks)
        yield from results
    except BrokenProcessPool as error:
        remedy = "too little memory is the usual reason: use fewer --workers; the same command goes on where it stopped"
        raise WorkerError("a worker process was killed", remedy=remedy) from error


def _write_for(parent: int, path: Path, shard: list[Item], work: Work[Item]) -> tuple[Path, int]:
    """Do a shard for the process that sent it, not when that was killed: the next run would meet its workers still at it."""
    return write_shard(path, shard, work) if os.getppid() == parent else (path, 0)


def _done(path: Path, count: int) -> tuple[Path, int]:
    return path, count


def _on_cluster(
    jobs: Iterator[Job[Item]], work: Work[Item], cluster: Cluster, say: Callable[[str], None]
) -> Iterator[tuple[Path, int]]:
    """The same on a cluster; a slow shard holds back what comes after it, but not the work on that."""
    job = next(jobs, None)
    if job is None:
        return
    folder = job[0].parent
    present = set(os.listdir(folder))  # path.exists() would have a network file system remember that it wasn't there
    waiting: deque[tuple[Any, tuple[Path, int]]] = deque()
    running: set[Any] = set()
    with connect(cluster, say) as pool, tasks_in(folder) as task:
        while True:
            while waiting and waiting[0][0] not in running:
                yield waiting.popleft()[1]
            if job is not None and len(running) < _IN_ADVANCE * max(pool.slots(), 1):
                (path, shard), handle = job, None
                if path.name not in present:
                    handle = pool.submit(task(write_shard, path, shard, work), f"{_name(shard, 0)} … {_name(shard, -1)}")
                    running.add(handle)
                waiting.append((handle, (path, len(shard))))
                job = next(jobs, None)
            elif running:
                running -= pool.wait()
            else:
                return


def _name(item: Any, end: int) -> str:
    """What people call the first (0) or last (-1) item: an utterance, in whatever its stage has put it."""
    if hasattr(item, "utterances"):
        item = list(item.utterances)
    if isinstance(item, (list, tuple)):
        return _name(item[end] if isinstance(item, list) else item[-1], end)
    return str(item.get("utterance_id") if isinstance(item, dict) else getattr(item, "utterance_id", item))


@contextmanager
def ctrl_c_sets(stop: threading.Event) -> Iterator[None]:
    """Until the block ends, Ctrl-C sets `stop`, and stops at once after GRACE_S or when pressed again."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread sees Ctrl-C
        return

    again = threading.Timer(GRACE_S, _press)
    again.daemon = True

    def pressed(number: int, frame: Any) -> None:
        if stop.is_set():
            again.cancel()
            signal.default_int_handler(number, frame)
        stop.set()
        again.start()

    before = signal.signal(signal.SIGINT, pressed)
    try:
        yield
    finally:
        again.cancel()
        signal.signal(signal.SIGINT, before)


def _press() -> None:
    """Ctrl-C for this process alone, from another thread."""
    if hasattr(signal, "pthread_kill"):  # ends a wait, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


@contextmanager
def _children_without_ctrl_c() -> Iterator[None]:
    """Processes started in this block never see Ctrl-C, and print no tracebacks; one pressed meanwhile comes when it ends."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    from joblib.externals.loky.backend import resource_tracker as of_loky

    for tracker in (resource_tracker, of_loky):  # they unblock signals when they start, so not in the block
        tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
