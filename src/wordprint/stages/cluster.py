"""An existing Dask cluster as a place to work: its address, connecting, sending tasks, and what can go wrong with it.

Its machines share a file system: tasks write to the same paths that this process reads. joblib, which runs local processes,
has a backend for Dask, but waits for ever for a task that Dask has given up. So tasks are sent directly; the cluster then
does those of a dead worker again on another.
"""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import platform
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wordprint import __version__
from wordprint.errors import ConfigError, WorkerError, require_extra

ONE_AT_A_TIME = threading.Lock()
"""Held by the task that works in this process: a Dask worker may have many threads, but aligners are one to a process."""

_CONNECT_S = 10.0
_GO_ON = "the same command goes on where it stopped"


@dataclass(frozen=True)
class Cluster:
    """An existing cluster, given to a stage as its `workers`; raises ConfigError for an address of another form."""

    address: str
    """`dask://host:port` of a Dask scheduler."""
    patience_s: float = 60.0
    """How long it may be without a worker."""

    def __post_init__(self) -> None:
        form = re.fullmatch(r"dask://(?:[\w.-]+|\[[\da-fA-F:.]+\]):(\d{1,5})", self.address)
        if not form or not 0 < int(form[1]) < 1 << 16:
            raise ConfigError(f"cluster is '{self.address}'", expected="dask://host:port")


@contextmanager
def tasks_in(folder: Path) -> Iterator[Callable[..., Callable[[], None]]]:
    """Make tasks of a function and its arguments. Paths become absolute: a worker's current folder is another.

    A worker that doesn't see `folder` or has another wordprint refuses the task, whenever it joined the cluster.
    """
    token = folder.absolute() / f".token-{uuid.uuid4().hex}"
    token.touch()
    try:
        yield lambda *work: _task(_absolute(work), str(token), __version__)
    finally:
        token.unlink(missing_ok=True)


def _task(work: bytes, token: str, version: str) -> Callable[[], None]:
    def task() -> None:  # a function inside another is sent by value, so it can complain where wordprint is missing
        import os
        import pickle
        import socket

        me = f"the worker process {os.getpid()} on {socket.gethostname()}"
        expected = f"expected wordprint {version}; start workers in the same environment as this command, and anew after a change"
        try:
            from wordprint import __version__ as found
        except ImportError:
            raise ImportError(f"{me} can't import wordprint; {expected}") from None
        if found != version:
            raise ImportError(f"{me} has wordprint {found}; {expected}")
        from wordprint.errors import WorkerError
        from wordprint.stages.cluster import ONE_AT_A_TIME

        if not os.path.exists(token):
            raise WorkerError(f"{me} doesn't see {os.path.dirname(token)}", expected="a file system that all machines share")
        with ONE_AT_A_TIME:
            function, *arguments = pickle.loads(work)
            function(*arguments)

    return task


class _AbsolutePaths(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        return (Path, (os.path.abspath(value),)) if isinstance(value, Path) else NotImplemented


def _absolute(value: Any) -> bytes:
    """`value` pickled, with every path in it made absolute."""
    file = io.BytesIO()
    _AbsolutePaths(file).dump(value)
    return file.getvalue()


@contextmanager
def connect(cluster: Cluster, say: Callable[[str], None]) -> Iterator[Pool]:
    """The workers of `cluster`; says how many. Raises WorkerError when it doesn't answer or stays without a worker."""
    try:
        from distributed import Client
        from distributed.comm import CommClosedError
        from distributed.comm import connect as open_comm
    except ImportError as error:
        raise require_extra("distributed", "cluster", "a Dask cluster") from error
    place = cluster.address.removeprefix("dask://")

    async def greet() -> None:
        (await open_comm(f"tcp://{place}", timeout=_CONNECT_S)).abort()

    try:  # before there is a client: one that can't connect leaves threads behind that complain
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, greet()).result()
    except (OSError, ValueError, MemoryError) as error:  # the last for a greeting taken for the length of a message
        raise WorkerError(
            f"{cluster.address} doesn't answer as a Dask scheduler",
            remedy=f"check the address and that one of the same version runs (dask scheduler --port {place.rpartition(':')[2]})",
        ) from error
    with Client(f"tcp://{place}", timeout=_CONNECT_S, set_as_default=False, name="wordprint") as client:
        try:
            client.wait_for_workers(1, timeout=cluster.patience_s)
        except TimeoutError as error:
            raise _no_workers(cluster) from error
        _same_python(cluster, {worker["host"]["python"] for worker in client.get_versions()["workers"].values()})
        threads = client.nthreads()
        idle = sum(threads.values()) - len(threads)
        more = f", {idle} threads idle (one works in each process: start workers with --nthreads 1)" if idle else ""
        say(f"{cluster.address}: {len(threads)} workers{more}")
        try:
            yield Pool(cluster, client)
        except (CancelledError, CommClosedError) as error:
            raise _gone(cluster) from error


class Pool:
    """The workers of a cluster, while this process is connected to it."""

    def __init__(self, cluster: Cluster, client: Any) -> None:
        self.cluster, self.client = cluster, client
        self.running: dict[Any, str] = {}

    def slots(self) -> int:
        """How many tasks can be worked on now."""
        try:
            return len(self.client.nthreads())
        except OSError as error:  # asked before the client has noticed
            raise _gone(self.cluster) from error

    def submit(self, task: Callable[[], None], name: str) -> Any:
        """Send a task and return a handle of it; `name` tells in errors what it works on."""
        future = self.client.submit(task, key=f"wordprint-{uuid.uuid4().hex}")
        self.running[future] = name
        return future.key

    def wait(self) -> set[Any]:
        """Handles of tasks done since, one at least; raises what one of them raised, or WorkerError for what befell it."""
        from distributed import KilledWorker, wait

        done: set[Any] = set()
        while not done:
            try:
                with self.client.as_current():
                    done = wait(list(self.running), timeout=self.cluster.patience_s, return_when="FIRST_COMPLETED").done
            except TimeoutError:  # a long task, or nobody is left to do it
                if not self.slots():
                    raise _no_workers(self.cluster) from None
        for future in done:
            name = self.running.pop(future)
            if future.status == "error":
                try:
                    future.result()
                except KilledWorker as error:
                    seen = f"{error.allowed_failures + 1} workers died of {name}, the last of them {error.last_worker.address}"
                    remedy = f"see its log; too little memory is the usual reason: give workers more of it; {_GO_ON}"
                    raise WorkerError(seen, remedy=remedy) from error
                except ImportError as error:
                    raise WorkerError(str(error)) from error
        return {future.key for future in done}


def _same_python(cluster: Cluster, versions: set[str]) -> None:
    """Tasks are Python's own byte code: another minor version can't read it."""
    mine = platform.python_version_tuple()[:2]
    for version in versions:
        if tuple(version.split(".")[:2]) != mine:
            raise WorkerError(
                f"a worker of {cluster.address} runs Python {version}",
                expected=f"Python {'.'.join(mine)}, as here",
                remedy="start workers in the same environment as this command",
            )


def _gone(cluster: Cluster) -> WorkerError:
    return WorkerError(f"the scheduler {cluster.address} has gone", remedy=_GO_ON)


def _no_workers(cluster: Cluster) -> WorkerError:
    start = f"dask worker tcp://{cluster.address.removeprefix('dask://')} --nthreads 1"
    return WorkerError(f"{cluster.address} has had no worker for {cluster.patience_s:g} s", remedy=f"start some: {start}; {_GO_ON}")
