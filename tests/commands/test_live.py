"""`spot` on pipes and `listen`, as processes: what is printed and when, programs that are started, how they end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import wordprint
from toy_model import RATE, padded, stream_of, word, write_model
from wordprint.commands.live import Meter
from wordprint.commands.programs import Programs
from wordprint.speech.audio import probe_audio, to_int16, write_audio
from wordprint.spot.enroll import enroll
from wordprint.spot.stream import Spotter

STREAM = to_int16(stream_of(("red", 1.0), ("blue", 4.5), ("red", 6.3), seconds=9))
FIELDS = ["keyword", "onset_s", "offset_s", "time_s", "similarity", "threshold"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """With a model, keywords, and the stream as WAV."""
    folder = tmp_path_factory.mktemp("live")
    model = write_model(folder / "bands.onnx")
    for name in ("red", "blue"):
        enroll(model, name, [padded(word(name, seed=seed), seed=seed) for seed in range(3)], folder / "keywords.json")
    write_audio(folder / "stream.wav", STREAM)
    return folder


@pytest.fixture(scope="module")
def expected(folder):
    return list(Spotter(folder / "bands.onnx", folder / "keywords.json").spot(folder / "stream.wav"))


@pytest.fixture
def start(folder):
    """Starts a command of wordprint in `folder`; `path` comes first where Python looks for modules."""
    started = []

    def run(*arguments: str, path: str = "") -> subprocess.Popen:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [path, str(Path(wordprint.__file__).parents[1])]))}
        command = [sys.executable, "-m", "wordprint", arguments[0], "bands.onnx", *arguments[1:]]
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        started.append(subprocess.Popen(command, cwd=folder, env=environment, **pipes))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen, data: bytes | None = None) -> tuple[int, list[str], str]:
    out, err = process.communicate(data, timeout=60)
    return process.returncode, out.decode().splitlines(), err.decode()


def test_lines_for_people_and_for_programs(start, folder, expected):
    code, lines, said = finish(start("spot", "-"), STREAM.tobytes())
    assert (code, [line.split() for line in lines]) == (
        0,
        [[f"{d.onset_s:.2f}", "s", d.keyword, f"{d.similarity:.3f}"] for d in expected],
    )
    assert said == "heard 9.00 s: 3 detections ('red' 2, 'blue' 1)\n"
    code, lines, _ = finish(start("spot", "-", "--json"), (folder / "stream.wav").read_bytes())
    found = [json.loads(line) for line in lines]
    assert [list(record) for record in found] == [FIELDS] * 3
    assert [tuple(record.values()) for record in found] == [
        (d.keyword, d.onset_s, d.offset_s, d.time_s, d.similarity, 0.9) for d in expected
    ]
    code, lines, _ = finish(start("spot", "stream.wav", "-", "--json", "--threshold", "0.8"), STREAM.tobytes()[: 2 * RATE * 3])
    found = [json.loads(line) for line in lines]
    assert {(record["recording"], record["threshold"]) for record in found} == {("stream.wav", 0.8), ("-", 0.8)}


def test_a_detection_is_printed_while_the_pipe_is_open(start):
    process = start("spot", "/dev/stdin")
    process.stdin.write(STREAM[: 3 * RATE].tobytes())
    process.stdin.flush()
    assert b"red" in process.stdout.readline()  # it would wait for ever if it came only at the end
    process.stdin.write(STREAM[3 * RATE :].tobytes())
    assert len(finish(process)[1]) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_a_summary(start, folder, number):
    process = start("spot", "-")
    process.stdin.write(STREAM[: 3 * RATE].tobytes())
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(number)
    code, lines, said = finish(process)
    assert (code, lines) == (0, [])
    assert re.fullmatch(r"heard [123]\.\d+ s: 1 detection \('red' 1\)\n", said)


def test_options_for_pipes_are_refused_for_files(start):
    code, lines, said = finish(start("spot", "stream.wav", "--rate", "8000"))
    assert (code, lines) == (2, [])
    assert "no recording is a pipe" in said


def test_a_program_per_detection_with_its_values(start, folder, expected, tmp_path):
    script = tmp_path / "note it.py"
    script.write_text(
        "import json, os, sys\nprint('hello')\n"
        "found = {name: value for name, value in os.environ.items() if name.startswith('WORDPRINT_')}\n"
        "open(os.path.join(sys.argv[1], found['WORDPRINT_ONSET_S']), 'w').write(json.dumps(found))\n"
    )
    (tmp_path / "$HOME; x").mkdir()
    command = f"'{sys.executable}' '{script}' '{tmp_path}/$HOME; x'"  # no shell reads it
    code, lines, said = finish(start("spot", "-", "--exec", command), STREAM.tobytes())
    assert (code, len(lines)) == (0, 3)  # what the programs print is not among the detections
    assert said.count("hello") == 3
    noted = [json.loads(path.read_text()) for path in (tmp_path / "$HOME; x").iterdir()]
    fields = {f"WORDPRINT_{name.upper()}" for name in FIELDS}
    assert {(record["WORDPRINT_KEYWORD"], float(record["WORDPRINT_TIME_S"])) for record in noted} == {
        (d.keyword, d.time_s) for d in expected
    }
    assert all(fields <= set(record) for record in noted)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("sh -c 'exit 3'", "'sh' ended with code 3"),
        ("sh -c 'sleep 600 & sleep 500'", "'sh' ran longer than 0.5 s: ended"),
        ("sh -c 'kill -9 $$'", "'sh' ended with code -9"),
    ],
)
def test_programs_that_fail_or_hang_stop_nothing(start, folder, command, said):
    began = time.monotonic()
    code, lines, stderr = finish(start("spot", "-", "--exec", command, "--exec-timeout-s", "0.5"), STREAM.tobytes())
    assert (code, len(lines)) == (0, 3)
    assert stderr.count(said) == 3
    assert "exec: of 3 programs 3 failed, 0 not started" in stderr
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("command", "message"), [("no-such-program x", "no program 'no-such-program'"), ("sh 'x", "quotation"), (" ", "no program ''")]
)
def test_programs_that_are_not_there_are_refused_at_once(start, folder, command, message):
    code, _, said = finish(start("spot", "-", "--exec", command), b"")
    assert code == 2
    assert message in said


# the microphone, in whose place a module named sounddevice plays the stream


@pytest.fixture(params=[False])
def virtual(tmp_path, request) -> str:
    """A path for modules with a package `sounddevice` that is installed and plays stream.wav, then is mute, or hums on (True)."""
    (tmp_path / "sounddevice.py").write_text(
        "import time\n"
        "import numpy as np\n"
        "import soundfile\n"
        "from played_stream import PlayedStream\n"
        "class PortAudioError(Exception): pass\n"
        "class default: device = (0, 0)\n"
        "def query_devices(device=None, kind=None):\n"
        "    found = [{'name': 'virtual', 'max_input_channels': 1, 'default_samplerate': 16000.0}]\n"
        "    return found[0] if kind else found\n"
        "def check_input_settings(**settings): pass\n"
        "samples = soundfile.read('stream.wav', dtype='int16', always_2d=True)[0]\n"
        "def chunks():\n"
        "    yield from (samples[at : at + 1280] for at in range(0, len(samples), 1280))\n"
        f"    while {request.param}:\n"
        "        time.sleep(0.02)\n"
        "        yield np.zeros((1280, 1), np.int16)\n"
        "InputStream = PlayedStream(chunks(), overflows=(3,), ends=False)\n"
    )
    (tmp_path / "sounddevice-0.5.6.dist-info").mkdir()
    (tmp_path / "sounddevice-0.5.6.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: sounddevice\nVersion: 0.5.6\n")
    return os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])])


@pytest.mark.parametrize("virtual", [True], indirect=True)
def test_listen_until_ctrl_c(start, folder, expected, virtual, tmp_path):
    process = start("listen", "--json", "--save-detections", str(tmp_path / "kept"), path=virtual)
    found = [json.loads(process.stdout.readline()) for _ in expected]
    process.send_signal(signal.SIGINT)
    code, lines, said = finish(process)
    assert (code, lines) == (0, [])
    assert [(record["keyword"], record["time_s"]) for record in found] == [(d.keyword, d.time_s) for d in expected]
    assert said.splitlines()[0] == "listening for 'red', 'blue'; Ctrl-C ends"
    assert re.search(r"^heard [\d.]+ s: 3 detections \('red' 2, 'blue' 1\)$", said, re.M)
    assert "1 overflow: the system lost audio" in said
    kept = sorted((tmp_path / "kept").iterdir())
    assert [path.stem.split("-")[-1] for path in kept] == ["red", "blue", "red"]
    assert probe_audio(kept[0]).duration_s == pytest.approx(1 + expected[0].offset_s - expected[0].onset_s, abs=0.01)


def test_listen_on_a_microphone_that_falls_silent(start, folder, virtual):
    code, lines, said = finish(start("listen", path=virtual))
    assert (code, len(lines)) == (2, 3)
    assert "heard 9.00 s: 3 detections" in said
    assert said.splitlines()[-1].startswith("wordprint: error: the microphone gave nothing for 5 s")


def test_devices_and_mistakes(start, folder, virtual):
    process = start("listen", "--devices", path=virtual)
    assert finish(process)[:2] == (0, ["   0  virtual  (default)"])
    code, _, said = finish(start("listen", "stream.wav", path=virtual))
    assert code == 2
    assert "wordprint spot stream.wav" in said


def test_the_level_is_drawn_in_one_line(capsys):
    meter = Meter(shown=True)
    for level in (0.0, 1.0):
        meter.hear(np.full(RATE // 2, level, np.float32))
    meter.clear()
    quiet, loud, nothing, end = capsys.readouterr().err.split("\r")[1:]
    assert quiet.endswith("-60 dB")
    assert loud.startswith("##########")
    assert loud.endswith("0 dB")
    assert nothing == " " * len(loud)
    assert end == ""
    assert meter.heard_s == 1.0


def test_the_level_is_not_drawn_where_nobody_sees_it(capsys):
    meter = Meter(shown=False)
    meter.hear(np.ones(RATE, np.float32))
    meter.clear()
    assert capsys.readouterr().err == ""


def test_more_programs_than_may_run_are_not_started(capsys):
    programs = Programs("sh -c 'sleep 0.3; exit $CODE'", timeout_s=10)
    for code in range(10):
        programs.start({"CODE": str(code % 2)})
    programs.finish()
    assert (programs.started, programs.failed, programs.skipped) == (8, 4, 2)
    said = capsys.readouterr().err
    assert said.count("8 are still running: not started") == 2
    assert said.count("ended with code 1") == 4


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the one that was left running
def test_programs_that_cannot_be_started_or_ended_are_counted(tmp_path, capsys, monkeypatch):
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 1\n")
    program.chmod(0o755)
    programs = Programs(str(program), timeout_s=0.1)
    programs.start({"WORDPRINT_KEYWORD": "a\0b"})
    programs.finish()
    started = []
    with monkeypatch.context() as patch:
        patch.setattr("os.killpg", lambda pid, _: started.append(pid) or refuse())
        programs.start({})
        programs.finish()
    program.unlink()
    programs.start({})
    programs.finish()
    assert (programs.started, programs.failed) == (3, 3)
    first, second, third = capsys.readouterr().err.splitlines()
    assert "can't be started: embedded null byte" in first
    assert "ran longer than 0.1 s: and could not be ended" in second
    assert "can't be started" in third
    os.waitpid(started[0], 0)


def refuse():
    raise PermissionError("another user's")


def children() -> set[str]:
    """Processes that this one has started and not yet waited for."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.skipif(
    not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="Linux tells a process's children in /proc"
)
def test_children_are_reaped():
    programs = Programs("true", timeout_s=10)
    before = children()
    for _ in range(5):
        programs.start({})
    programs.finish()
    assert children() <= before  # none of them is left to wait for


def test_one_bad_recording_among_several_is_said_and_the_rest_is_heard(start, folder, expected):
    (folder / "bad.wav").write_bytes(b"no sound")
    code, lines, said = finish(start("spot", "bad.wav", "stream.wav"))
    assert (code, len(lines)) == (2, len(expected))
    assert "skipped: bad.wav can't be read as audio" in said
    assert "wordprint: error: 1 of 2 recordings could not be listened to" in said
