"""A cluster as the place to work: real Dask schedulers and workers on loopback, killed, broken and missing ones among them."""

from __future__ import annotations

import io
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from corpus_files import librispeech
from wordprint.cli import main
from wordprint.errors import ConfigError, InputError, MissingExtraError, WorkerError
from wordprint.stages import cluster as module
from wordprint.stages.cluster import Cluster, Pool, connect, tasks_in
from wordprint.stages.shards import run_shards

pytest.importorskip("distributed")

from dask_cluster import DaskCluster

OF_TESTS = (Path(__file__).parent, *Path(__file__).parents[1:3])
"""Where workers find this module."""

ALIGNER = '''
"""Gives every word the same time, slowly."""
import os
import time
from wordprint.align.base import transcript_words
from wordprint.records import Alignment, Interval

class Slow:
    def __init__(self, config):
        pass

    def align(self, utterance, samples):
        time.sleep(float(os.environ.get("DELAY_S", 0)))
        words = transcript_words(utterance)
        step = utterance.duration_s / len(words)
        return Alignment(utterance.utterance_id, tuple(Interval(w, i * step, (i + 1) * step) for i, w in enumerate(words)))
'''


def start(cwd: Path, *arguments: object) -> subprocess.Popen[str]:
    """The command line, in a folder where own modules are found, and in a group of its own as a terminal starts it."""
    command = [sys.executable, "-m", "wordprint", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=cwd, env=environment(cwd), start_new_session=True)


def environment(*folders: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of all files but the receipt, which tells times."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "stage.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def until(happened) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def jobs(folder: Path, count: int) -> list[tuple[Path, list[int]]]:
    folder.mkdir(exist_ok=True)
    return [(folder / f"{number}.jsonl", [number]) for number in range(count)]


def note(items: list[int], log: Path, delay_s: float = 0.0) -> list[dict[str, int]]:
    """Log when work begins and ends."""
    for text in ("<", ">"):
        with log.open("a") as file:
            file.write(text)
        time.sleep(delay_s)
    return [{"item": item} for item in items]


def fail(items: list[int], error: Exception | None) -> list[dict[str, int]]:
    if error is None:
        os.kill(os.getpid(), signal.SIGKILL)
    raise error


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """A folder with a corpus and an aligner, and in `local` what one process makes of them."""
    folder = tmp_path_factory.mktemp("corpus")
    librispeech(folder / "speech", speakers=("11", "12", "13"), per_chapter=32)
    (folder / "slow_aligner.py").write_text(ALIGNER)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        for arguments in stages("local"):
            assert main([*arguments, "-j", "1"]) == 0
    return folder


def stages(work: str) -> list[list[str]]:
    """Every stage that runs on a cluster, with relative paths."""
    keep = ["--keep", "duplicate_utterance", "--min-duration-s", "0.1"]
    shares = [f"--{side}-{what}=0" for side in ("validation", "test") for what in ("speakers", "words")]
    return [
        ["prepare", "librispeech:speech", "-o", f"{work}/prepare"],
        ["validate", f"{work}/prepare", "-o", f"{work}/validate", *keep],
        ["align", f"{work}/validate", "-o", f"{work}/align", "--aligner", "slow_aligner:Slow"],
        ["words", f"{work}/align", "-o", f"{work}/words", "--shard-hours", "0.005", *shares],
    ]


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def cluster(here, corpus):
    with DaskCluster(here, environment(corpus, *OF_TESTS) | {"DELAY_S": "0.05"}) as running:
        running.start_worker()
        yield running


def test_a_worker_killed_in_mid_run_and_all_bytes_as_local(cluster, corpus, monkeypatch):
    monkeypatch.chdir(corpus)
    doomed = cluster.start_worker()
    prepare, validate, align, words = ([*arguments, "--cluster", cluster.address] for arguments in stages("far"))
    assert (main(prepare), main(validate)) == (0, 0)
    runner = start(corpus, *align)
    until(lambda: len(list((corpus / "far/align/.parts").glob("align-*"))) >= 3)
    doomed.kill()
    error = runner.communicate()[1]
    assert runner.returncode == 0, error
    assert f"{cluster.address}: 2 workers\n" in error
    assert main(words) == 0
    assert contents(corpus / "far") == contents(corpus / "local")


def test_ctrl_c_says_how_to_go_on(cluster, corpus):
    arguments = [*stages("local")[2], "--cluster", cluster.address, "-o", "stopped"]
    runner = start(corpus, *arguments)
    until(lambda: len(list((corpus / "stopped/.parts").glob("align-*"))) >= 2)
    os.killpg(runner.pid, signal.SIGINT)
    error = runner.communicate(timeout=60)[1]
    assert runner.returncode == 130
    assert error.splitlines()[-1] == "wordprint: error: stopped; run the same command again to go on where it stopped"
    assert "Traceback" not in error
    assert not (corpus / "stopped/stage.json").exists()
    runner = start(corpus, *arguments)
    runner.communicate()
    assert runner.returncode == 0
    assert contents(corpus / "stopped") == contents(corpus / "local/align")


def test_errors_of_the_work_come_back_as_they_are(cluster, tmp_path):
    for error in (InputError("seen", "expected", "remedy"), ZeroDivisionError("one by nought")):
        with pytest.raises(type(error), match=str(error)):
            list(run_shards(jobs(tmp_path / "parts", 5), partial(fail, error=error), Cluster(cluster.address), print))
    with pytest.raises(WorkerError, match="No module named 'aligner_of_mine'"):
        list(run_shards(jobs(tmp_path / "parts", 1), partial(fail, error=ImportError("No module named 'aligner_of_mine'")),
                        Cluster(cluster.address), print))  # fmt: skip
    assert not list((tmp_path / "parts").iterdir())


def test_parts_that_exist_are_not_done_again_and_items_are_read_when_they_are_due(cluster, tmp_path):
    parts, log, drawn = tmp_path / "parts", tmp_path / "log", []

    def draw():
        for job in jobs(parts, 30):
            drawn.append(job)
            yield job

    for path, _ in jobs(parts, 30)[3:9]:
        path.touch()
    done = []
    for result in run_shards(draw(), partial(note, log=log), Cluster(cluster.address), print):
        done.append(result)
        assert len(drawn) - len(done) <= 10
    assert done == [(path, 1) for path, _ in jobs(parts, 30)]
    assert log.read_text().count("<") == 24


def test_one_task_at_a_time_in_a_process_and_a_shard_that_kills_workers_is_named(tmp_path):
    environment_ = environment(*OF_TESTS) | {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    said, log = [], tmp_path / "log"
    with DaskCluster(tmp_path, environment_) as running:
        where = Cluster(running.address, patience_s=1.0)
        with pytest.raises(WorkerError, match=r"no worker for 1 s.*start some: dask worker tcp://127"):
            list(run_shards(jobs(tmp_path / "parts", 2), partial(note, log=log), where, said.append))
        running.start_worker(threads=3)
        where = Cluster(running.address, patience_s=20.0)
        list(run_shards(jobs(tmp_path / "parts", 6), partial(note, log=log, delay_s=0.03), where, said.append))
        assert log.read_text() == "<>" * 6
        assert said == [
            f"{running.address}: 1 workers, 2 threads idle (one works in each process: start workers with --nthreads 1)"
        ]
        with pytest.raises(WorkerError, match=r"1 workers died of 0 … 0, the last of them tcp://127.*too little memory"):
            list(run_shards(jobs(tmp_path / "deadly", 1), partial(fail, error=None), where, said.append))


def test_a_scheduler_that_goes_away(tmp_path):
    with DaskCluster(tmp_path, environment(*OF_TESTS)) as running:
        running.start_worker()
        work = partial(note, log=tmp_path / "log", delay_s=0.1)
        results = run_shards(jobs(tmp_path / "parts", 1000), work, Cluster(running.address), print)
        next(results)
        running.scheduler.kill()
        with pytest.raises(WorkerError, match=r"has gone; the same command goes on"):
            list(results)


def test_a_scheduler_that_is_asked_before_its_end_was_noticed():
    def refused():
        raise OSError("timed out")

    with pytest.raises(WorkerError, match=r"dask://1.2.3.4:5 has gone; the same command goes on"):
        Pool(Cluster("dask://1.2.3.4:5"), SimpleNamespace(nthreads=refused)).slots()


@pytest.mark.parametrize("greeting", [None, b"", b"SSH-2.0-OpenSSH_9.6\r\n"])
def test_an_address_where_nothing_or_something_else_listens(monkeypatch, greeting):
    def greet():
        with server.accept()[0] as visitor:
            visitor.sendall(greeting)
            visitor.recv(1)

    monkeypatch.setattr(module, "_CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"dask://127.0.0.1:{server.getsockname()[1]}"
        if greeting is None:
            server.close()
        else:
            threading.Thread(target=greet, daemon=True).start()
        refused = pytest.raises(WorkerError, match=r"doesn't answer as a Dask scheduler; check the address")
        with refused, connect(Cluster(address), print):
            pass


@pytest.mark.parametrize("address", ["", "localhost:8786", "tcp://h:1", "dask://host", "dask://host:0", "dask://host:99999", "dask://:1",
                                     "ray://head:10001", "dask://a b:1"])  # fmt: skip
def test_addresses_of_another_form(address):
    with pytest.raises(ConfigError, match="expected dask://host:port"):
        Cluster(address)


@pytest.mark.parametrize("address", ["dask://10.0.0.1:8786", "dask://head.example-1.org:10001", "dask://[::1]:8786"])
def test_addresses(address):
    assert Cluster(address).address == address


@pytest.mark.parametrize(("package", "address"), [("distributed", "dask://h:1")])
def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, package, address):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"package '{package}'.*pip install"), connect(Cluster(address), print):
        pass


def test_a_cluster_and_processes_are_not_both_given(tmp_path):
    runner = start(tmp_path, "prepare", "synthetic", "-o", "out", "--cluster", "dask://h:1", "-j", "2")
    error = runner.communicate()[1]
    assert (runner.returncode, error.count("\n")) == (2, 1)
    assert "both workers and cluster are set" in error


def test_a_worker_that_does_not_see_the_folder(tmp_path):
    with tasks_in(tmp_path) as make:
        task = make(print)
    with pytest.raises(WorkerError, match=rf"doesn't see {tmp_path}; expected a file system that all machines share"):
        task()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("code", "complaint"),
    [("raise ImportError", "can't import wordprint"), ("__version__ = '0.0.9'", "has wordprint 0.0.9")],
)
def test_a_worker_without_wordprint_or_with_another(tmp_path, code, complaint):
    import cloudpickle

    (tmp_path / "wordprint").mkdir()
    (tmp_path / "wordprint/__init__.py").write_text(code)
    with tasks_in(tmp_path) as make:
        task = cloudpickle.dumps(make(os.remove, tmp_path))
    script = "import pickle, sys; pickle.load(sys.stdin.buffer)()"
    result = subprocess.run([sys.executable, "-c", script], input=task, env=environment(tmp_path), capture_output=True, check=False)
    assert complaint in result.stderr.decode()
    assert f"; expected wordprint {module.__version__}; start workers in the same environment" in result.stderr.decode()


def test_paths_are_made_absolute_wherever_they_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    value = pickle.load(io.BytesIO(module._absolute({"a": [partial(note, log=Path("log")), (Path("/b"), "c")]})))
    assert value["a"][0].keywords == {"log": tmp_path / "log"}
    assert value["a"][1] == (Path("/b"), "c")


def test_workers_with_another_python_are_refused():
    mine = ".".join(map(str, sys.version_info[:2]))
    module._same_python(Cluster("dask://h:1"), {f"{mine}.99.final.0"})
    with pytest.raises(WorkerError, match=rf"runs Python 3\.9\.1.*; expected Python {mine}, as here"):
        module._same_python(Cluster("dask://h:1"), {f"{mine}.99.final.0", "3.9.1.final.0"})
