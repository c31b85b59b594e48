"""The stage contract: idempotent, resumable after kill -9, atomic, refuses to mix, same bytes for any number of workers."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from wordprint.errors import ConfigError, InputError, OutputConflictError
from wordprint.stages import contract
from wordprint.stages.contract import StageRun, open_stage, run_stage
from wordprint.stages.manifest import resolve, write_jsonl
from wordprint.stages.options import option
from wordprint.stages.receipt import Receipt, read_receipt
from wordprint.stages.shards import write_shard


@dataclasses.dataclass(frozen=True)
class SquareConfig:
    power: int = option(2, at_least=1)
    seed: int = 0
    times: int = option(1, may_grow=True)


def _power(shard: list[int], power: int, log: Path | None = None, delay_s: float = 0.0) -> list[dict[str, int]]:
    if log is not None:
        with log.open("a") as file:
            file.write(f"{shard[0]}\n")
    time.sleep(delay_s)
    return [{"x": x, "y": x**power} for x in shard if x % 10 != 7]


def square(
    output: Path, config: SquareConfig = SquareConfig(), *, inputs=None, workers=1, overwrite=False, log=None, delay_s=0.0
) -> Receipt:
    def work(stage: StageRun) -> Receipt:
        power = partial(_power, power=config.power, log=log, delay_s=delay_s)
        results = list(stage.map_shards("square", range(100), power, shard_size=8))
        kept = {result["x"] for result in results}
        for x in range(100):
            if x not in kept:
                stage.drop(str(x), "ends_in_seven")
        write_jsonl(output / "squares.jsonl", results)
        return stage.finish(total=100, kept=len(results), outputs=["squares.jsonl"])

    return run_stage("square", work, output, config, inputs or {}, workers=workers, overwrite=overwrite)


def test_receipt_counts_by_reason_and_names_the_dropped(tmp_path):
    receipt = square(tmp_path / "out")
    assert receipt.counts == {"in": 100, "kept": 90, "dropped": {"ends_in_seven": 10}}
    record = json.loads((tmp_path / "out/stage.json").read_text())
    assert record["schema"] == "wordprint.stage/1"
    assert record["dropped_items"]["ends_in_seven"][:2] == ["7", "17"]
    assert record["packages"]["wordprint"]
    assert not (tmp_path / "out/.parts").exists()
    assert not (tmp_path / "out/stage.partial.json").exists()


def test_the_receipt_names_the_packages_that_were_imported(tmp_path):
    square(tmp_path / "out")
    packages = json.loads((tmp_path / "out/stage.json").read_text())["packages"]
    assert {"wordprint", "pytest"} <= set(packages)
    assert all(importlib.metadata.version(name) == version for name, version in packages.items())
    assert ("pytorch-metric-learning" in packages) == ("pytorch_metric_learning" in sys.modules)


def test_an_option_out_of_range_is_told_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="power is 0; expected at least 1"):
        square(tmp_path / "out", SquareConfig(power=0))
    assert not (tmp_path / "out").exists()


def test_an_option_that_may_grow_lets_a_finished_stage_go_on(tmp_path):
    square(tmp_path / "out")
    assert square(tmp_path / "out", SquareConfig(times=3)).fresh
    assert not square(tmp_path / "out", SquareConfig(times=3)).fresh
    with pytest.raises(OutputConflictError, match="times was 3, now 2"):
        square(tmp_path / "out", SquareConfig(times=2))
    with pytest.raises(OutputConflictError, match="power was 2, now 3"):
        square(tmp_path / "out", SquareConfig(power=3, times=4))


def test_the_folder_of_stages_is_called_that(tmp_path):
    square(tmp_path / "out")
    with pytest.raises(OutputConflictError, match=r"holds the folders of stages \(out\); expected a new or empty folder"):
        square(tmp_path)


def test_a_second_run_does_nothing_and_says_so(tmp_path):
    log = tmp_path / "log"
    first = square(tmp_path / "out", log=log)
    before = log.read_text()
    second = square(tmp_path / "out", log=log)
    assert log.read_text() == before
    assert first.fresh
    assert not second.fresh
    assert "already done" in second.summary
    assert second.outputs == first.outputs


def test_the_number_of_workers_does_not_change_the_bytes(tmp_path):
    one, two = square(tmp_path / "one"), square(tmp_path / "two", workers=2)
    assert one.outputs == two.outputs


def test_another_config_is_refused_and_named(tmp_path):
    square(tmp_path / "out")
    with pytest.raises(OutputConflictError, match="power was 2, now 3") as error:
        square(tmp_path / "out", SquareConfig(power=3))
    assert "--overwrite" in str(error.value)
    assert json.loads((tmp_path / "out/squares.jsonl").read_text().splitlines()[3])["y"] == 9
    square(tmp_path / "out", SquareConfig(power=3), overwrite=True)
    assert read_receipt(tmp_path / "out").config["power"] == 3


def test_changed_inputs_are_refused(tmp_path):
    source = tmp_path / "input.txt"
    source.write_text("a")
    square(tmp_path / "out", inputs={"text": source})
    source.write_text("b")
    with pytest.raises(OutputConflictError, match="input 'text' has changed"):
        square(tmp_path / "out", inputs={"text": source})


def test_a_folder_of_someone_elses_is_never_touched(tmp_path):
    (tmp_path / "thesis.doc").write_text("ten years of work")
    for overwrite in (False, True):
        with pytest.raises(OutputConflictError, match="no wordprint stage wrote"):
            square(tmp_path, overwrite=overwrite)
    assert (tmp_path / "thesis.doc").read_text() == "ten years of work"


def test_an_output_folder_that_holds_the_input_is_refused(tmp_path):
    square(tmp_path / "out")
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for source in (tmp_path / "out", tmp_path / "out/squares.jsonl", tmp_path / "link"):
        with pytest.raises(OutputConflictError, match="which is to be read") as error:
            square(tmp_path / "out", SquareConfig(power=3), inputs={"squares": source}, overwrite=True)
        assert "--overwrite" not in str(error.value)
    assert read_receipt(tmp_path / "out").config["power"] == 2
    square(tmp_path / "out/inside", inputs={"squares": tmp_path / "out"})  # a stage's folder may lie in that of the one before


def test_missing_input_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        square(tmp_path / "out", inputs={"text": tmp_path / "nowhere"})
    assert not (tmp_path / "out").exists()


def test_kill_9_and_resume_gives_the_same_bytes_without_redoing_finished_shards(tmp_path):
    whole = square(tmp_path / "whole")
    log = tmp_path / "log"
    script = (
        "import sys; from pathlib import Path; from tests.stages.test_contract import square; "
        "square(Path(sys.argv[1]), log=Path(sys.argv[2]), delay_s=0.05)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "out"), str(log)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    runner = subprocess.Popen(command, env=environment)
    while not log.exists() or len(log.read_text().splitlines()) < 5:
        assert runner.poll() is None
        time.sleep(0.01)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    assert not (tmp_path / "out/stage.json").exists()
    resumed = square(tmp_path / "out", log=log)
    starts = log.read_text().splitlines()
    assert resumed.outputs == whole.outputs
    assert len(starts) <= 13 + 1  # only the shard that was running when the kill came is done twice
    with pytest.raises(OutputConflictError):
        square(tmp_path / "out", SquareConfig(power=4))


def test_a_run_in_progress_refuses_another_config(tmp_path):
    with pytest.raises(RuntimeError), open_stage("square", tmp_path / "out", SquareConfig(), {}):
        raise RuntimeError("power cut")
    with pytest.raises(OutputConflictError, match="power was 2, now 5"):
        square(tmp_path / "out", SquareConfig(power=5))
    assert square(tmp_path / "out").fresh


def test_damaged_or_foreign_receipts_are_said_to_be(tmp_path):
    square(tmp_path / "out")
    (tmp_path / "out/stage.json").write_text('{"schema": "wordprint.stage/99"}')
    with pytest.raises(OutputConflictError, match="stage/99"):
        square(tmp_path / "out")
    (tmp_path / "out/stage.json").write_text("{")
    with pytest.raises(OutputConflictError, match="damaged"):
        square(tmp_path / "out")


def test_a_kill_just_after_the_receipt_is_mended_by_the_next_run(tmp_path):
    square(tmp_path / "out")
    (tmp_path / "out/stage.partial.json").write_text("{}")
    (tmp_path / "out/.parts").mkdir()
    assert square(tmp_path / "out").fresh is False
    assert resolve(tmp_path / "out", "squares.jsonl", "square").is_file()
    assert not (tmp_path / "out/.parts").exists()


def test_a_kill_at_the_very_start_leaves_a_folder_that_can_be_used(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.stage.partial.partial.json").write_text("{")
    assert square(tmp_path / "out").fresh


def test_a_part_cut_short_by_a_failing_iterator_is_not_taken_for_whole(tmp_path):
    def items(count):
        yield from range(count)
        if count < 8:
            raise OSError("the network drive has gone")

    def run(count):
        with open_stage("square", tmp_path / "out", SquareConfig(), {}) as stage:
            return len(list(stage.map_shards("square", items(count), partial(_power, power=2), shard_size=8)))

    with pytest.raises(OSError, match="network drive"):
        run(5)
    (tmp_path / "out/.parts").mkdir(exist_ok=True)
    write_shard(tmp_path / "out/.parts/square-000000-5.jsonl", list(range(5)), partial(_power, power=2))
    assert run(8) == 7  # of 0…7, seven is left out


def test_without_git_a_stage_still_finishes(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert square(tmp_path / "out").fresh


def test_a_refused_input_gives_the_folder_back_but_work_done_is_kept(tmp_path):
    def refuse(output, work):
        with open_stage("square", output, SquareConfig(), {}) as stage:
            list(stage.map_shards("square", range(work), partial(_power, power=2), shard_size=8))
            raise InputError("the wrong folder")

    with pytest.raises(InputError):
        refuse(tmp_path / "kept", 8)
    assert (tmp_path / "kept/stage.partial.json").exists()
    with pytest.raises(InputError), open_stage("square", tmp_path / "out", SquareConfig(), {}):
        raise InputError("the wrong folder")
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write to"):
        square(tmp_path / "file/out")


@pytest.mark.parametrize("where", ["link", ".", "real/../real"])
def test_overwrite_works_behind_a_link_and_in_the_current_folder(tmp_path, monkeypatch, where):
    (tmp_path / "real/.git").mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path / "real" if where == "." else tmp_path)
    square(Path(where))
    (Path(where) / "old").mkdir()
    square(Path(where), SquareConfig(power=3), overwrite=True)
    assert (tmp_path / "link").readlink() == Path("real")
    assert sorted(path.name for path in (tmp_path / "real").iterdir()) == [".git", "dropped.jsonl", "squares.jsonl", "stage.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]
    with pytest.raises(InputError, match="wrong folder"), open_stage("square", where, SquareConfig(), {}, overwrite=True):
        raise InputError("the wrong folder")
    assert [path.name for path in (tmp_path / "real").iterdir()] == [".git"]


@pytest.mark.parametrize(
    ("harm", "seen"),
    [
        (Path.unlink, r"out lacks squares\.jsonl, which its receipt names; .* add --overwrite"),
        (partial(os.truncate, length=9), ""),  # only --overwrite looks so closely
    ],
)
def test_overwrite_does_again_what_is_damaged_and_nothing_else(tmp_path, harm, seen):
    whole = square(tmp_path / "out")
    assert not square(tmp_path / "out", overwrite=True).fresh
    harm(tmp_path / "out/squares.jsonl")
    if seen:
        with pytest.raises(OutputConflictError, match=seen):
            square(tmp_path / "out")
    again = square(tmp_path / "out", overwrite=True)
    assert (again.fresh, again.outputs) == (True, whole.outputs)
    assert not square(tmp_path / "out", overwrite=True).fresh


def test_overwrite_begins_an_unfinished_stage_anew(tmp_path):
    def cut():
        with open_stage("square", tmp_path / "out", SquareConfig(), {}) as stage:
            list(stage.map_shards("square", range(8), partial(_power, power=2), shard_size=8))
            raise RuntimeError("power cut")

    for overwrite, first in ((False, "8"), (True, "0")):
        with pytest.raises(RuntimeError, match="power cut"):
            cut()
        square(tmp_path / "out", log=tmp_path / "log", overwrite=overwrite)
        assert (tmp_path / "log").read_text().splitlines()[0] == first
        (tmp_path / "log").unlink()
        shutil.rmtree(tmp_path / "out")


def test_a_kill_while_a_folder_is_emptied_leaves_what_no_run_goes_on_with(tmp_path, monkeypatch):
    square(tmp_path / "out")
    (tmp_path / "out/folder").mkdir()

    def killed(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(contract.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            square(tmp_path / "out", SquareConfig(power=3), overwrite=True)
    for config in (SquareConfig(), SquareConfig(power=3)):
        with pytest.raises(OutputConflictError, match=r"is damaged.*--overwrite"):
            square(tmp_path / "out", config)
    assert square(tmp_path / "out", overwrite=True).fresh


def test_the_second_in_a_folder_is_told_that_another_is_at_work(tmp_path):
    with open_stage("square", tmp_path / "out", SquareConfig(), {}) as stage:
        for overwrite in (False, True):
            with pytest.raises(OutputConflictError, match=r"another wordprint is at work in .*out; wait until it has ended, or"):
                square(tmp_path / "out", overwrite=overwrite)
        square(tmp_path / "out/inside")
        list(stage.map_shards("square", range(8), partial(_power, power=2), shard_size=8))
    assert square(tmp_path / "out").fresh


def test_workers_that_outlive_a_killed_run_do_not_hold_its_folder(tmp_path):
    script = (
        "import sys; from pathlib import Path; from tests.stages.test_contract import square; "
        "square(Path(sys.argv[1]), log=Path(sys.argv[2]), workers=2, delay_s=3)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    runner = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "out"), str(tmp_path / "log")], env=environment)
    while not (tmp_path / "log").exists():  # a worker is at its first shard, and stays there
        assert runner.poll() is None
        time.sleep(0.01)
    runner.kill()
    runner.wait()
    assert square(tmp_path / "out").fresh


def test_a_link_to_itself_and_names_that_are_not_utf8(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputConflictError, match="loop is a link that leads nowhere; expected a folder to write to"):
        square(tmp_path / "loop", inputs={"text": Path(__file__)})
    with pytest.raises(InputError, match=r"'in\\udcff' is not UTF-8"):
        square(tmp_path / "out", inputs={"in\udcff": Path(__file__)})
    assert not (tmp_path / "out").exists()
