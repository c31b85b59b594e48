"""What a stage drops is on disk as it comes, in order, the same after a kill; memory holds counts and a few names."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc

import pytest

from wordprint.errors import InputError
from wordprint.stages.contract import open_stage
from wordprint.stages.drops import NAMED_PER_REASON


@dataclasses.dataclass(frozen=True)
class Nothing:
    pass


def _work(shard):
    return [{"x": x} for x in shard]


def run(output, count=200, fail_at=None):
    """Drops every third item by one of two reasons, and a tenth only as a number."""
    with open_stage("drops", output, Nothing(), {}) as stage:
        for result in stage.map_shards("drops", range(count), _work, shard_size=10):
            if result["x"] == fail_at:
                raise RuntimeError("power cut")
            if result["x"] % 3 == 0:
                stage.drop(f"item-{result['x']}", "odd" if result["x"] % 2 else "even", f"«{result['x']}»")
            stage.drop_many("many", result["x"] % 10 == 0, [f"many-{result['x']}"])
        return stage.finish(total=count, kept=0, outputs=[])


def test_every_drop_is_named_on_disk_and_the_first_of_each_reason_in_the_receipt(tmp_path):
    receipt = run(tmp_path / "out")
    lines = [json.loads(line) for line in (tmp_path / "out/dropped.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines == [{"item": f"item-{x}", "reason": "odd" if x % 2 else "even", "detail": f"«{x}»"} for x in range(0, 200, 3)]
    assert receipt.counts["dropped"] == {"even": 34, "odd": 33, "many": 20}
    named = json.loads((tmp_path / "out/stage.json").read_text(encoding="utf-8"))["dropped_items"]
    assert named == {
        "even": [f"item-{x}" for x in range(0, 200, 6)][:NAMED_PER_REASON],
        "many": [f"many-{x}" for x in range(0, 200, 10)],
        "odd": [f"item-{x}" for x in range(3, 200, 6)][:NAMED_PER_REASON],
    }


def test_a_resumed_stage_drops_the_same_items(tmp_path):
    whole = run(tmp_path / "whole")
    with pytest.raises(RuntimeError):
        run(tmp_path / "out", fail_at=123)
    assert not list((tmp_path / "out").glob("*dropped*"))
    (tmp_path / "out/.dropped.partial.jsonl").write_text("what a kill -9 leaves\n")
    assert run(tmp_path / "out").outputs == whole.outputs
    assert not list((tmp_path / "out").glob(".*"))


def test_a_stage_that_drops_and_fails_before_any_work_gives_its_folder_back(tmp_path):
    def refuse():
        with open_stage("drops", tmp_path / "out", Nothing(), {}) as stage:
            stage.drop("item", "reason")
            raise InputError("nothing here")

    with pytest.raises(InputError):
        refuse()
    assert not (tmp_path / "out").exists()


def test_memory_does_not_grow_with_what_is_dropped(tmp_path):
    peaks = []
    for count in (2_000, 40_000):
        with open_stage("drops", tmp_path / str(count), Nothing(), {}) as stage:
            tracemalloc.start()
            for number in range(count):
                stage.drop(f"item-{number}", "reason", "why it was dropped")
            stage.finish(total=count, kept=0, outputs=[])
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 50_000
