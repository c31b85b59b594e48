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
from wordprint.desk.probes import Outcome, try_parts
from wordprint.errors import MissingExtraError
from wordprint.stages import packages
from wordprint.stages.packages import groups, with_included


def run_doctor(mfa_command: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wordprint", "doctor", "--mfa-command", mfa_command, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "COLUMNS": "80", **environment})


def fake_module(folder: Path, name: str, code: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(code, encoding="utf-8")


def program(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_everything_that_run_needs_is_here():
    result = run_doctor("no-such-mfa")
    assert result.returncode == 0, result.stdout + result.stderr
    rows = [line.split() for line in result.stdout.splitlines()]
    for name in (
        "runtime",
        "[align]",
        "[train]",
        "libsndfile",
        "onnxruntime",
        "model",
        "torch",
        "espeak-ng",
        "pocketsphinx",
        "textgrid",
    ):
        assert ["ok", name] in [row[:2] for row in rows], name
    assert ["missing", "mfa"] in [row[:2] for row in rows]
    assert "for workers" in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines()[1:] if "→" not in line)


def test_one_package_that_fails_and_one_that_crashes_take_nothing_else_down(tmp_path):
    fake_module(tmp_path, "torch", "raise ImportError('libcudart.so.12: cannot open shared object file')")
    fake_module(tmp_path, "pyarrow", "import os\nos.abort()")
    fake_module(tmp_path, "matplotlib", "print('{\"part\": 1}')\nprint('hello')")  # talks while it loads
    result = run_doctor("conda run 'x", "--as-json", PYTHONPATH=str(tmp_path))
    assert result.returncode == 1, result.stderr
    found = {row["name"]: row for row in json.loads(result.stdout)}
    assert (found["torch"]["state"], found["[train]"]["state"], found["[words]"]["state"]) == ("broken",) * 3
    assert found["torch"]["detail"] == "ImportError: libcudart.so.12: cannot open shared object file"
    assert "pyarrow" in found["[words]"]["detail"]
    assert "crashes the interpreter (SIGABRT)" in found["[words]"]["detail"]
    assert found["[words]"]["remedy"] == ["pip install --force-reinstall pyarrow"]
    for name in ("runtime", "[align]", "[report]", "pocketsphinx", "espeak-ng", "model"):
        assert found[name]["state"] == "ok", found[name]
    assert found["mfa"]["detail"] == "ValueError: No closing quotation"


def test_a_package_that_hangs_costs_its_time_limit(tmp_path, monkeypatch):
    fake_module(tmp_path, "praatio", "import time\ntime.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = try_parts(["import:joblib", "import:praatio", "libsndfile"], limit_s=10)
    assert found["import:joblib"].works
    assert found["import:praatio"].detail == "no answer in 10 s"
    assert found["libsndfile"].works


@pytest.fixture
def cake(tmp_path, monkeypatch):
    """An installed distribution with requirements of every kind."""
    folder = tmp_path / "cake-1.0.dist-info"
    folder.mkdir()
    needs = [
        "numpy>=1",
        "no-such-flour>=2",
        "no-such-wand; sys_platform == 'nowhere'",
        'numpy<0.1; extra == "old"',
        'packaging; extra == "icing" and python_version >= "3"',
        'no-such-cherry<3,>=1; extra == "icing"',
        'cake[icing,old]; extra == "all"',
    ]
    head = "Metadata-Version: 2.1\nName: cake\nVersion: 1.0\nProvides-Extra: icing\nProvides-Extra: old\nProvides-Extra: all\n"
    (folder / "METADATA").write_text(head + "".join(f"Requires-Dist: {need}\n" for need in needs), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return groups("cake")


def test_extras_are_read_from_the_installed_metadata(cake):
    assert list(cake) == ["", "icing", "old", "all"]
    assert [(package.name, package.fits) for package in cake[""].packages] == [("numpy", True), ("no-such-flour", False)]
    assert [(package.name, package.fits) for package in cake["icing"].packages] == [("packaging", True), ("no-such-cherry", False)]
    (old,) = cake["old"].missing
    assert (old.wanted, old.installed is not None) == ("<0.1", True)
    assert (cake["all"].packages, cake["all"].includes) == ((), ("icing", "old"))
    assert [group.name for group in with_included(["all"], cake)] == ["all", "icing", "old"]


def test_a_missing_extra_is_named_with_its_command(cake, monkeypatch):
    monkeypatch.setattr(packages, "groups", lambda: cake)
    packages.require([], "baking")
    with pytest.raises(
        MissingExtraError, match=r"baking needs no-such-cherry<3,>=1, numpy<0.1; .*pip install 'wordprint\[icing,old\]'"
    ):
        packages.require(["all"], "baking")


def test_without_its_metadata_the_parts_are_looked_at_all_the_same(monkeypatch):
    monkeypatch.setattr("wordprint.desk.doctor.groups", lambda: groups("no-such-distribution"))
    monkeypatch.setattr("wordprint.desk.doctor.machine_findings", lambda: 1 / 0)
    monkeypatch.setattr("wordprint.desk.doctor.try_parts", lambda names: dict.fromkeys(names, Outcome("ok", "")))
    found = {finding.name: finding for finding in doctor("no-such-mfa")}
    assert found["metadata"].state == "broken"
    assert found["machine"].detail == "ZeroDivisionError: division by zero"
    assert found["pocketsphinx"].state == "ok"
    assert not healthy(list(found.values()))


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
    assert ("docker" in lines) == ("docker" in installed or not installed)
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


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 kB"), (999_499, "999 kB"), (1e6, "1.0 MB"), (126.4e6, "126 MB"), (9.04e9, "9.0 GB"), (999.9e9, "1.0 TB")],
)
def test_bytes_in_words(count, text):
    assert machine.in_words(count) == text
