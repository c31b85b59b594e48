"""An existing Dask or Ray cluster as a place to work: its address, connecting, sending tasks, and what can go wrong with it.

Its machines share a file system: tasks write to the same paths that this process reads. joblib, which runs local processes,
has backends for both, but with Dask it waits for ever for a task that Dask has given up, and with Ray the first worker to
die ends the run and results can't be had one by one. So tasks are sent directly; both clusters then do those of a dead
worker again on another.
"""

from __future__ import annotations

import asyncio
import io
import os
import pickle
import platform
import re
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from wordprint import __version__
from wordprint.errors import ConfigError, MissingExtraError, WorkerError, require_extra

ONE_AT_A_TIME = threading.Lock()
"""Held by the task that works in this process: a Dask worker may have many threads, but aligners are one to a process."""

_CONNECT_S = 10.0
_GO_ON = "the same command goes on where it stopped"


@dataclass(frozen=True)
class Cluster:
    """An existing cluster, given to a stage as its `workers`; raises ConfigError for an address of another form."""

    address: str
    """`dask://host:port` of a Dask scheduler, or `ray://host:port` of a Ray client server."""
    patience_s: float = 60.0
    """How long it may be without a worker."""

    def __post_init__(self) -> None:
        form = re.fullmatch(r"(dask|ray)://(?:[\w.-]+|\[[\da-fA-F:.]+\]):(\d{1,5})", self.address)
        if not form or not 0 < int(form[2]) < 1 << 16:
            raise ConfigError(f"cluster is '{self.address}'", expected="dask://host:port or ray://host:port")


class Pool(Protocol):
    """The workers of a cluster, while this process is connected to it."""

    def slots(self) -> int:
        """How many tasks can be worked on now."""

    def submit(self, task: Callable[[], None], name: str) -> Any:
        """Send a task and return a handle of it; `name` tells in errors what it works on."""

    def wait(self) -> set[Any]:
        """Handles of tasks done since, one at least; raises what one of them raised, or WorkerError for what befell it."""


def connect(cluster: Cluster, say: Callable[[str], None]) -> AbstractContextManager[Pool]:
    """The workers of `cluster`; says how many. Raises WorkerError when it doesn't answer or stays without a worker."""
    return (_dask if cluster.address.startswith("dask:") else _ray)(cluster, say)


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
def _dask(cluster: Cluster, say: Callable[[str], None]) -> Iterator[Pool]:
    try:
        from distributed import Client
        from distributed.comm import CommClosedError, connect
    except ImportError as error:
        raise require_extra("distributed", "cluster", "a Dask cluster") from error
    place = cluster.address.removeprefix("dask://")

    async def greet() -> None:
        (await connect(f"tcp://{place}", timeout=_CONNECT_S)).abort()

    try:  # before there is a client: one that can't connect leaves threads behind that complain
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, greet()).result()
    except (OSError, ValueError, MemoryError) as error:  # the last for a greeting taken for the length of a message
        raise _no_answer(cluster, "a Dask scheduler", f"dask scheduler --port {place.rpartition(':')[2]}") from error
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
            yield _Dask(cluster, client)
        except (CancelledError, CommClosedError) as error:
            raise WorkerError(f"the scheduler {cluster.address} has gone", remedy=_GO_ON) from error


class _Dask:
    """A `Pool`."""

    def __init__(self, cluster: Cluster, client: Any) -> None:
        self.cluster, self.client = cluster, client
        self.running: dict[Any, str] = {}

    def slots(self) -> int:
        return len(self.client.nthreads())

    def submit(self, task: Callable[[], None], name: str) -> Any:
        future = self.client.submit(task, key=f"wordprint-{uuid.uuid4().hex}")
        self.running[future] = name
        return future.key

    def wait(self) -> set[Any]:
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
                    raise _died(seen) from error
                except ImportError as error:
                    raise WorkerError(str(error)) from error
        return {future.key for future in done}


@contextmanager
def _ray(cluster: Cluster, say: Callable[[str], None]) -> Iterator[Pool]:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            "a Ray cluster needs the Python package 'ray', which is not installed",
            remedy="install the version that the cluster has, with its client: pip install 'ray[client]==VERSION'",
        ) from error
    host, _, port = cluster.address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()  # ray tries for half a minute
        context = ray.init(cluster.address, logging_level="error", log_to_driver=False)
    except (OSError, RuntimeError) as error:
        raise _no_answer(cluster, "a Ray client server", "ray start --head") from error
    with context:
        pool = _Ray(cluster, ray)
        say(f"{cluster.address}: {pool.slots()} workers")
        yield pool


class _Ray:
    """A `Pool`; Ray gives each task a process of its own, and starts processes when there are tasks."""

    def __init__(self, cluster: Cluster, ray: Any) -> None:
        self.cluster, self.ray = cluster, ray
        self.running: dict[Any, str] = {}

    def slots(self) -> int:
        return int(self.ray.cluster_resources().get("CPU", 0))

    def submit(self, task: Callable[[], None], name: str) -> Any:
        handle = self.ray.remote(task).remote()
        self.running[handle] = name
        return handle

    def wait(self) -> set[Any]:
        done: list[Any] = []
        while not done:
            done, _ = self.ray.wait(list(self.running), num_returns=1, timeout=self.cluster.patience_s)
            if not done and not self.slots():
                raise _no_workers(self.cluster)
        for handle in done:
            name = self.running.pop(handle)
            try:
                self.ray.get(handle)
            except self.ray.exceptions.WorkerCrashedError as error:
                raise _died(f"several workers died of {name}") from error
            except self.ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, ImportError):
                    raise WorkerError(str(error.cause)) from error
                raise error.cause from error
        return set(done)


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


def _no_answer(cluster: Cluster, what: str, command: str) -> WorkerError:
    return WorkerError(
        f"{cluster.address} doesn't answer as {what}", remedy=f"check the address and that one of the same version runs ({command})"
    )


def _no_workers(cluster: Cluster) -> WorkerError:
    kind, _, place = cluster.address.partition("://")
    start = f"dask worker tcp://{place} --nthreads 1" if kind == "dask" else "ray start --address HEAD"
    return WorkerError(f"{cluster.address} has had no worker for {cluster.patience_s:g} s", remedy=f"start some: {start}; {_GO_ON}")


def _died(seen: str) -> WorkerError:
    return WorkerError(seen, remedy=f"see its log; too little memory is the usual reason: give workers more of it; {_GO_ON}")
