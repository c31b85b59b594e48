"""`doctor` survives whatever is broken, and names the command that mends it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from wordprint.desk import machine
from wordprint.desk.doctor import Finding, as_text, doctor, healthy, mfa_finding
from wordprint.desk.probes import Outcome, probe
from wordprint.stages import packages


def run_doctor(mfa_command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wordprint", "doctor", "--mfa-command", mfa_command, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "80", **environment})


def with_modules(folder: Path, **codes: str) -> str:
    """A PYTHONPATH on which these modules, made of their code, come first."""
    for name, code in codes.items():
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_everything_that_run_needs_is_here():
    result = run_doctor("no-such-mfa")
    assert result.returncode == 0, result.stdout + result.stderr
    rows = {tuple(line.split()[:2]) for line in result.stdout.splitlines()}
    parts = ("libsndfile", "onnxruntime", "model", "torch", "espeak-ng", "pocketsphinx", "textgrid")
    assert rows >= {("ok", name) for name in ("runtime", "[align]", "[train]", *parts)}
    assert ("missing", "mfa") in rows
    assert "for workers" in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines()[1:] if "→" not in line)


def test_one_package_that_fails_and_one_that_crashes_take_nothing_else_down(tmp_path):
    path = with_modules(
        tmp_path,
        torch="raise ImportError('libcudart.so.12: cannot open shared object file')",
        pyarrow="import os\nos.abort()",
        matplotlib="print('{\"part\": 1}')\nprint('hello')",  # talks while it loads
    )
    result = run_doctor("conda run 'x", "--as-json", PYTHONPATH=path)
    assert result.returncode == 1, result.stderr
    found = {row["name"]: row for row in json.loads(result.stdout)}
    assert (found["torch"]["state"], found["[train]"]["state"], found["[words]"]["state"]) == ("broken",) * 3
    assert found["torch"]["detail"] == "ImportError: libcudart.so.12: cannot open shared object file"
    assert found["[words]"]["detail"].endswith("crashes the interpreter (SIGABRT)")
    assert found["[words]"]["remedy"] == ["pip install --force-reinstall pyarrow"]
    for name in ("runtime", "[align]", "[report]", "pocketsphinx", "espeak-ng", "model"):
        assert found[name]["state"] == "ok", found[name]
    assert (found["mfa"]["state"], found["mfa"]["detail"]) == ("broken", "conda run 'x: No closing quotation")


def test_a_package_that_hangs_costs_its_time_limit_and_one_that_leaves_is_told(tmp_path, monkeypatch):
    path = with_modules(tmp_path, soxr="import time\ntime.sleep(600)", joblib="raise SystemExit('so long')")
    monkeypatch.setenv("PYTHONPATH", path)
    found = probe(["tyro", "joblib", "soxr", "no-such-package", "soundfile"], limit_s=10)
    assert (found["tyro"].state, found["soundfile"].state) == ("ok", "ok")
    assert found["joblib"].detail == "ends the interpreter with exit code 1 so long"
    assert found["soxr"].detail == "no answer in 10 s"
    assert found["no-such-package"] == Outcome("missing", "the Python package 'no_such_package' is not installed")


def test_without_its_metadata_the_parts_are_looked_at_all_the_same(monkeypatch):
    monkeypatch.setattr("wordprint.desk.doctor.extras", lambda: packages.extras("no-such-distribution"))
    monkeypatch.setattr("wordprint.desk.doctor.probe", lambda names: dict.fromkeys(names, Outcome("ok", "")))
    found = {finding.name: finding for finding in doctor("no-such-mfa")}
    assert found["metadata"].state == "broken"
    assert found["pocketsphinx"].state == "ok"
    assert not healthy(list(found.values()))


def test_an_extra_that_is_missing_or_old_has_its_command(monkeypatch):
    lacking = {
        "words": [packages.Package("pyarrow", ">=16", "9.0", fits=False)],
        "align": [packages.Package("pyarrow", ">=16", "9.0", fits=False), packages.Package("cake", "", None, fits=False)],
    }
    monkeypatch.setattr("wordprint.desk.doctor.extras", lambda: list(lacking))
    monkeypatch.setattr("wordprint.desk.doctor.packages", lacking.__getitem__)
    monkeypatch.setattr("wordprint.desk.doctor.RUNTIME", "words")
    monkeypatch.setattr("wordprint.desk.doctor.RUN_EXTRA", "words")
    monkeypatch.setattr("wordprint.desk.doctor.probe", lambda names: dict.fromkeys(names, Outcome("ok", "")))
    found = {finding.name: finding for finding in doctor("no-such-mfa")}
    assert found["[align]"].state == "missing"
    assert found["[align]"].detail == "pyarrow>=16 is wanted, 9.0 is there; cake is wanted, nothing is there"
    assert found["[align]"].remedy == ("pip install 'wordprint[align]'",)


GOOD = "case $1 in version) echo 3.4.3;; model) echo Available local models; echo \"['english_us_arpa', 'german_mfa']\";; esac"


@pytest.mark.parametrize(
    ("script", "state", "said"),
    [
        (GOOD, "ok", "english_us_arpa, german_mfa"),
        ("case $1 in version) echo 3.0.0;; *) exit 3;; esac", "ok", "no acoustic model is downloaded"),
        ("echo 2.2.17", "old", "2.2.17"),
        ("echo 'ImportError: _kalpy' >&2; exit 1", "broken", "ImportError: _kalpy"),
        ("sleep 600", "broken", "1 s"),
    ],
    ids=["good", "no models", "too old", "crashing", "hanging"],
)
def test_mfa(tmp_path, script, state, said):
    finding = mfa_finding(program(tmp_path / "mfa", script), limit_s=1 if "sleep" in script else 30)
    assert finding.state == state, finding
    assert said in finding.detail
    assert bool(finding.remedy) == (state != "ok")


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ([], "Miniforge"),
        (["micromamba"], 'then: --aligner mfa --mfa-command "micromamba run -n aligner mfa"'),
        (["conda", "docker"], 'then: --aligner mfa --mfa-command "conda run --no-capture-output -n aligner mfa"'),
        (["docker"], "docker pull mmcauliffe/montreal-forced-aligner:latest"),
    ],
)
def test_how_to_install_mfa_depends_on_what_is_there(tmp_path, monkeypatch, installed, expected):
    for name in installed:
        program(tmp_path / name, "true")
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = mfa_finding("mfa")
    assert finding.state == "missing"
    lines = "\n".join(finding.remedy)
    assert expected in lines
    assert ("conda-forge montreal-forced-aligner" in lines) == (installed != ["docker"])


def test_exit_code_follows_what_run_needs():
    rows = [Finding("parts", "a", "ok", "", needed=True), Finding("parts", "b", "missing", "")]
    assert healthy(rows)
    assert not healthy([*rows, Finding("parts", "c", "old", "", needed=True)])
    assert "see c above" in as_text([*rows, Finding("parts", "c", "old", "", needed=True)], 80)


@pytest.mark.parametrize(("text", "expected"), [("150000 100000\n", 1.5), ("max 100000\n", None), ("", None), (None, None)])
def test_cpu_quota(tmp_path, text, expected):
    if text is not None:
        (tmp_path / "cpu.max").write_text(text)
    assert machine.cpu_quota(tmp_path) == expected


def test_limits_of_a_container(tmp_path):
    assert machine.cores(tmp_path) == machine.usable_cores()
    (tmp_path / "cpu.max").write_text("20000 100000")
    assert machine.cores(tmp_path) == 1
    whole = machine.memory_bytes(tmp_path)
    (tmp_path / "memory.max").write_text("1000000")
    assert machine.memory_bytes(tmp_path) == 1_000_000
    (tmp_path / "memory.max").write_text("max")
    assert machine.memory_bytes(tmp_path) == whole
