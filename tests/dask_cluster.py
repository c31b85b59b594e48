"""A real Dask cluster on loopback: a scheduler and workers as processes, started as its users start them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path


class DaskCluster:
    """A scheduler without workers; every process has ended when the block has."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.environment = {**os.environ, **(environment or {})}
        self.processes: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(file), "--idle-timeout", "120")
        self._until(file.exists)
        self.place = json.loads(file.read_text())["address"].removeprefix("tcp://")
        self.address = f"dask://{self.place}"

    def __enter__(self) -> DaskCluster:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def start_worker(self, threads: int = 1) -> subprocess.Popen[bytes]:
        """A worker of one process that has joined the cluster."""
        options = ["--nthreads", str(threads), "--no-nanny", "--death-timeout", "30", "--local-directory", str(self.folder)]
        log = self.folder / f"worker-{len(self.processes)}.log"
        worker = self._start("worker", f"tcp://{self.place}", *options)
        self._until(lambda: "Registered to" in log.read_text())
        return worker

    def _start(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{name}", "--host", "127.0.0.1", "--no-dashboard", *options]
        log = (self.folder / f"{name}-{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self.folder, env=self.environment, start_new_session=True
            )
        self.processes.append(process)
        return process

    def _until(self, happened) -> None:
        while not happened():
            time.sleep(0.02)
            if self.processes[-1].poll() is not None:
                raise RuntimeError("".join(log.read_text() for log in self.folder.glob("*.log")))
