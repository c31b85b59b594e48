"""Kill every stage with SIGKILL at random moments, run it again, and compare all bytes with those of a run that was left alone.

    python tests/kill_at_random.py --kills 20 --seed 0

A run that was killed is run again, and maybe killed again, until it ends; a stage has new runs until it has had its kills.
Half of the kills take the command alone: its worker processes live on for a moment, while the next run begins. Moments are
drawn from the time that the stage takes once it has opened its output folder. Prints a table of them; exit code 1 when any
byte differs. `tests/test_pipeline.py` does the same with fewer kills.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

RECIPE = """
sources = ["synthetic"]
[prepare]
synthetic_utterances = 72
synthetic_speakers = 9
[words]
validation_speakers = 0.25
validation_words = 0.25
test_speakers = 0.25
test_words = 0.25
shard_hours = 0.01
[train]
steps = 12
validate_every = 3
words_per_batch = 8
tokens_per_word = 2
threads = 1
[export]
int8 = false
calibration_minutes = 1.0
[evaluate]
draws = 2
dtw_tokens = 20
"""
PARALLEL = ("prepare", "validate", "align", "words")


@dataclass(frozen=True)
class Kill:
    """One kill: in which run of the stage, how long after it began, which processes, and what it had finished by then."""

    stage: str
    run: int
    after_s: float
    victims: str
    parts: int


def commands(work: Path, recipe: Path) -> dict[str, list[str]]:
    """The command of every stage, without its output, over the stages before it in `work`."""
    arguments = {
        "prepare": ["synthetic"],
        "validate": [work / "prepare"],
        "align": [work / "validate"],
        "words": [work / "align"],
        "train": [work / "words"],
        "export": [work / "train", "--words", work / "words"],
        "evaluate": [work / "export/model.onnx", work / "words"],
    }
    start = [sys.executable, "-m", "wordprint"]
    return {name: [*start, name, *map(str, rest), "--recipe", str(recipe)] for name, rest in arguments.items()}


def run(command: Sequence[str], output: Path) -> None:
    """Run a stage to its end."""
    result = subprocess.run([*command, "-o", str(output)], capture_output=True, text=True, check=False)
    if result.returncode:
        raise RuntimeError(f"{command[3]} failed: {result.stderr}")


def torment(command: Sequence[str], output: Path, whole_s: float, rng: random.Random, kills: int) -> Iterator[list[Kill]]:
    """Runs of a stage, each killed until it ends; what they had to suffer. `whole_s` is how long one takes that is let alone."""
    done = number = 0
    while done < kills:
        shutil.rmtree(output, ignore_errors=True)
        number += 1
        suffered = []
        while kill := _kill_once(command, output, rng.uniform(0, whole_s), rng, number):
            suffered.append(kill)
            if done + len(suffered) == kills:
                run(command, output)
                break
        done += len(suffered)
        yield suffered


def _kill_once(command: Sequence[str], output: Path, after_s: float, rng: random.Random, number: int) -> Kill | None:
    """Run the stage and kill it `after_s` seconds after it has opened its folder; None when it has ended before that."""
    command = [*command, "-o", str(output)]
    if command[3] in PARALLEL:
        command += ["-j", rng.choice("12")]
    kill_all = rng.random() < 0.5
    before = _identity(output / "stage.partial.json")
    runner = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while _identity(output / "stage.partial.json") in (None, before) and runner.poll() is None:
        time.sleep(0.002)
    try:
        code = runner.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        (os.killpg if kill_all else os.kill)(runner.pid, signal.SIGKILL)
        code = runner.wait()
    if code == 0:
        return None
    if code != -signal.SIGKILL:
        raise RuntimeError(f"{command[3]} ended with code {code}")
    parts = len(list((output / ".parts").glob("*.jsonl")))
    return Kill(command[3], number, after_s, "all" if kill_all else "command", parts)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file, hidden ones too; what tells times, digests or the folder's own place is left out of them.

    Logs for TensorBoard are named by time and machine, and left out.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or "tensorboard" in path.parts:
            continue
        data = path.read_bytes().replace(os.fsencode(folder), b".")
        if path.name == "stage.json":
            receipt = json.loads(data)
            left_out = {"wall_s", "finished", "outputs", "packages"}  # packages: those that the process had imported
            if receipt["stage"] in ("train", "export"):
                left_out.add("details")  # speed; the last digits of a difference, which hang on torch's threads
            data = json.dumps({key: receipt[key] for key in receipt if key not in left_out}).encode()
        found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Files that only one of them has, or that differ."""
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kills", type=int, default=20, help="of each stage (default: %(default)s)")
    options.add_argument("--stages", nargs="*", default=[], help="only these (default: all)")
    options.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    chosen = options.parse_args()
    rng = random.Random(chosen.seed)
    failed = False
    print(f"{'stage':<10}{'run':>4}{'after':>9}  {'killed':<9}{'parts':>5}")
    with tempfile.TemporaryDirectory(prefix="wordprint-kill-") as folder:
        work, recipe = Path(folder, "work"), Path(folder, "recipe.toml")
        recipe.write_text(RECIPE.replace("int8 = false", "int8 = true"), encoding="utf-8")
        for stage, command in commands(work, recipe).items():
            run(command, work / stage)
            if chosen.stages and stage not in chosen.stages:
                continue
            whole_s = json.loads((work / stage / "stage.json").read_text(encoding="utf-8"))["wall_s"]
            expected = contents(work / stage)
            for suffered in torment(command, Path(folder, "killed"), whole_s, rng, chosen.kills):
                for kill in suffered:
                    print(f"{kill.stage:<10}{kill.run:>4}{kill.after_s:>7.2f} s  {kill.victims:<9}{kill.parts:>5}", flush=True)
                different = differences(contents(Path(folder, "killed")), expected)
                failed |= bool(different)
                print(f"{stage}: " + (f"DIFFERENT: {' '.join(different)}" if different else "the same bytes"), flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
