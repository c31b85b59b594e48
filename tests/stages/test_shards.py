"""Shards in local processes: what Ctrl-C and a killed process do to them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from wordprint.align.mfa.plan import Shard
from wordprint.commands import how_to_run
from wordprint.errors import ConfigError, MissingExtraError, WorkerError
from wordprint.records import Utterance
from wordprint.stages.manifest import read_jsonl
from wordprint.stages.shards import GRACE_S, _name, run_shards
from wordprint.stages.table import COMMANDS

UTTERANCES = [Utterance(name, name[0], f"/audio/{name}.flac", 0.0, 1.0, "hello", "en") for name in ("a-1", "b-2")]


def jobs(folder: Path, count: int, on_first=lambda: None):
    folder.mkdir(exist_ok=True)
    for number in range(count):
        if not number:
            on_first()
        yield folder / f"{number}.jsonl", [number]


def hears_ctrl_c(items: list[int]) -> list[dict[str, bool]]:
    return [{"hears": signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])} for _ in items]


def die(items: list[int], at: int) -> list[dict[str, int]]:
    if at in items:
        os.kill(os.getpid(), signal.SIGKILL)
    return [{"item": item} for item in items]


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_while_processes_start_is_not_lost(tmp_path, workers):
    before = signal.getsignal(signal.SIGINT)
    results = run_shards(jobs(tmp_path, 1000, lambda: os.kill(os.getpid(), signal.SIGINT)), hears_ctrl_c, workers, print)
    with pytest.raises(KeyboardInterrupt):
        list(results)
    assert len(list(tmp_path.iterdir())) <= 4
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_processes_never_see_ctrl_c(tmp_path):
    parts = [path for path, _ in run_shards(jobs(tmp_path, 6), hears_ctrl_c, 3, print)]
    assert [record["hears"] for path in parts for record in read_jsonl(path)] == [False] * 6


SLOW = """
import sys, time
from functools import partial
from pathlib import Path
from wordprint.stages.shards import run_shards

def work(items, folder):
    (folder / f"{items[0]}.started").touch()
    time.sleep(120)
    return []

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    jobs = ((folder / f"{number}.jsonl", [number]) for number in range(50))
    try:
        list(run_shards(jobs, partial(work, folder=folder), int(sys.argv[2]), print))
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize("workers", [1, 3])
def test_ctrl_c_to_the_command_alone_ends_in_seconds(tmp_path, workers):
    """Bug report: a signal to the parent, not its group, waited for shards that had just begun, and those that were queued."""
    (tmp_path / "slow.py").write_text(SLOW)
    command = [sys.executable, "slow.py", str(tmp_path), str(workers)]
    runner = subprocess.Popen(command, cwd=tmp_path, start_new_session=True)
    while len(list(tmp_path.glob("*.started"))) < workers:
        time.sleep(0.02)
    pressed = time.monotonic()
    os.kill(runner.pid, signal.SIGINT)
    assert runner.wait(60) == 130
    assert time.monotonic() - pressed < GRACE_S + 15  # seconds, on a busy machine
    assert len(list(tmp_path.glob("*.started"))) == workers
    with suppress(ProcessLookupError):  # workers that were left would be found here
        for _ in range(100):
            os.killpg(runner.pid, 0)
            time.sleep(0.1)
        pytest.fail("processes are left")


def test_a_killed_process_is_one_line_and_what_was_done_is_kept(tmp_path):
    with pytest.raises(WorkerError, match=r"a worker process was killed; too little memory.*fewer --workers"):
        list(run_shards(jobs(tmp_path, 50), partial(die, at=20), 2, print))
    assert any(tmp_path.iterdir())
    assert len(list(run_shards(jobs(tmp_path, 50), partial(die, at=-1), 2, print))) == 50


def test_without_joblib_several_processes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(MissingExtraError, match=r"working in several processes .*needs the Python package 'joblib'"):
        list(run_shards(jobs(tmp_path, 2), hears_ctrl_c, 2, print))
    assert len(list(run_shards(jobs(tmp_path, 2), hears_ctrl_c, 1, print))) == 2


@pytest.mark.parametrize("workers", [-1, 100_000])
def test_numbers_of_processes_that_make_no_sense(workers):
    with pytest.raises(ConfigError, match=rf"workers is {workers}; expected 0 \(one per core, here \d+\) to \d+"):
        how_to_run(COMMANDS["words"], {"workers": workers})


def log_start(items: list[int], log: Path) -> list[dict[str, int]]:
    with log.open("a") as file:
        file.write("<")
    time.sleep(0.5)
    return [{"item": item} for item in items]


def run_two(folder: Path) -> None:
    list(run_shards(jobs(folder / "parts", 50), partial(log_start, log=folder / "log"), 2, print))


def test_processes_whose_command_was_killed_end_with_the_shard_they_have(tmp_path):
    runner = multiprocessing.get_context("spawn").Process(target=run_two, args=(tmp_path,))
    runner.start()
    log = tmp_path / "log"
    while not log.exists() or len(log.read_text()) < 2:
        time.sleep(0.01)
    runner.kill()
    runner.join()
    time.sleep(1.5)
    assert log.read_text() == "<<"
    runner.close()


@pytest.mark.parametrize(
    "shard",
    [
        [UTTERANCES[0], UTTERANCES[1]],
        [("corpus", UTTERANCES[0]), ("corpus", UTTERANCES[1])],
        [(7, [utterance.to_json() for utterance in UTTERANCES])],
        [Shard(0, ((0, UTTERANCES[0]), (1, UTTERANCES[1])))],
    ],
)
def test_a_shard_is_named_by_its_utterances(shard):
    assert (_name(shard, 0), _name(shard, -1)) == ("a-1", "b-2")
