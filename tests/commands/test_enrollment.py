"""enroll, correct and keywords on the command line."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from toy_model import padded, stream_of, word, write_model
from wordprint.cli import main
from wordprint.speech.audio import write_audio
from wordprint.speech.espeak import Synthesiser
from wordprint.speech.synthetic import draw_speakers, speak
from wordprint.spot.enrollment import Enrollment


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the toy model, three recordings of 'red' and one of 'green'."""
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "bands.onnx")
    for seed in range(3):
        write_audio(tmp_path / f"red{seed}.wav", padded(word("red", seed=seed), seed=seed))
    write_audio(tmp_path / "green.wav", padded(word("green")))
    return tmp_path


def run(*arguments: str) -> int:
    return main([arguments[0], "bands.onnx", *arguments[1:]])


def test_enroll_says_what_it_found(here, capsys):
    assert run("enroll", "red", "red0.wav", "red1.wav", "red2.wav") == 0
    out = capsys.readouterr().out
    assert "red0.wav: speech at 0.34–0.96 s, -18 dB, background 42 dB below" in out
    assert "like the others" in out
    assert "'red' enrolled from 3 recordings, threshold 0.90 → keywords.json" in out
    assert run("enroll", "RED", "red0.wav") == 0
    assert "replaces the one before (3 recordings, threshold 0.90) in keywords.json" in capsys.readouterr().out
    assert [keyword.keyword for keyword in Enrollment.load("keywords.json").keywords] == ["RED"]


def test_what_a_typed_keyword_replaces(here, capsys):
    run("enroll", "stop light", "--phones", "R, G")
    run("enroll", "stop light", "red0.wav")
    assert "replaces the one before (typed, threshold 0.90) in keywords.json" in capsys.readouterr().out


def test_a_file_that_other_commands_would_not_know_is_refused(here, capsys):
    assert run("enroll", "red", "red0.wav", "-o", "k.txt") == 2
    assert "k.txt doesn't end in .json; expected a file that other commands know; -o keywords.json" in capsys.readouterr().err
    assert not Path("k.txt").exists()


def test_no_recording_that_can_be_used(here, capsys):
    assert run("enroll", "red", "none.wav") == 2
    said = capsys.readouterr().err
    assert "no usable recording of 'red': none.wav does not exist; expected an audio file; give one or more recordings" in said
    assert said.count("expected") == 1


@pytest.fixture
def surroundings(here: Path) -> Path:
    """A minute with 'green' twelve times."""
    write_audio(here / "room.wav", stream_of(*[("green", 5.0 * number + 1) for number in range(12)], seconds=60))
    return here


def test_what_was_heard_in_the_background_is_told(surroundings, capsys):
    often = ("enroll", "green", "green.wav", "--background", "room.wav", "--false-alarms-per-hour")
    assert run(*often, "360") == 0
    said = capsys.readouterr()
    found = Enrollment.load("keywords.json").named("green")
    assert f"fires for nothing 6 times in room.wav (1.00 min), 360 times an hour, at {found.threshold:.2f}" in said.out
    assert "too short" not in said.err
    assert run(*often, "360", "--json") == 0
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["background"] == {"recording": "room.wav", "hours": 0.0167, "per_hour": 360.0}
    assert verdict["problems"] == ["one recording: three or more are better"]


def test_a_background_that_is_too_short_is_told_in_json_too(surroundings, capsys):
    short = "room.wav is too short to tell what fires 0.5 times in an hour (that takes 2 h), so its threshold may be too low"
    arguments = ("enroll", "red", "red0.wav", "--background", "room.wav", "--false-alarms-per-hour", "0.5")
    assert run(*arguments) == 0
    said = capsys.readouterr()
    assert f"note: {short}" in said.err
    assert "never fires in room.wav (1.00 min), at " in said.out
    assert run(*arguments, "--json") == 0
    verdict = json.loads(capsys.readouterr().out)
    assert short in verdict["problems"]
    assert verdict["background"]["per_hour"] == 0.0
    assert run("enroll", "red", "red0.wav", "--json") == 0
    assert "background" not in json.loads(capsys.readouterr().out)


def test_a_keyword_without_quotes_is_no_keyword_and_a_recording(here, capsys):
    assert run("enroll", "red", "light", "red0.wav") == 2
    said = capsys.readouterr().err
    assert "there is no recording 'light'; expected a keyword, then recordings of it" in said
    assert 'a keyword of several words needs quotes: wordprint enroll "red light"' in said
    assert not Path("keywords.json").exists()


def test_corrections_stay_when_a_keyword_is_enrolled_anew(here, capsys):
    run("enroll", "red", "red0.wav")
    run("correct", "red", "green.wav")
    assert "note: green.wav didn't set off 'red' before either" in capsys.readouterr().err
    assert run("enroll", "red", "red0.wav", "red1.wav") == 0
    assert "what was corrected 1 times stays" in capsys.readouterr().out
    assert [one.recording for one in Enrollment.load("keywords.json").named("red").mistakes] == ["green.wav"]


def test_recordings_that_can_not_be_tested_are_skipped(here, capsys):
    run("enroll", "red", "red0.wav")
    capsys.readouterr()
    assert run("keywords", "test", "none.wav", "red1.wav") == 2
    said = capsys.readouterr()
    assert said.out.startswith("red1.wav: red: ")
    assert "skipped: none.wav does not exist" in said.err
    assert "1 of 2 recordings could not be listened to" in said.err


def test_the_verdict_as_json(here, capsys):
    assert run("enroll", "red", "red0.wav", "green.wav", "--json") == 0
    verdict = json.loads(capsys.readouterr().out)
    assert [shot["recording"] for shot in verdict["shots"]] == ["red0.wav", "green.wav"]
    assert "embedding" not in verdict["shots"][0]
    assert verdict["replaced"] is False
    assert isinstance(verdict["problems"], list)


def test_typed_by_its_phones(here, capsys):
    assert run("enroll", "stop light", "--phones", "R, G") == 0
    assert "'stop light' enrolled as typed (R or G)" in capsys.readouterr().out
    (keyword,) = Enrollment.load("keywords.json").keywords
    assert len(keyword.prototypes) == 2
    write_audio(here / "stream.wav", stream_of(("red", 1.0), ("blue", 3.0), seconds=4.5))
    assert main(["spot", "bands.onnx", "stream.wav", "--threshold", "0.8"]) == 0
    assert "stop light" in capsys.readouterr().out


def test_correct_remembers(here, capsys):
    assert run("enroll", "red", "red0.wav", "red1.wav") == 0
    assert run("correct", "red", "green.wav") == 0
    assert "green.wav: similarity" in capsys.readouterr().out
    assert [one.recording for one in Enrollment.load("keywords.json").named("red").mistakes] == ["green.wav"]
    assert run("correct", "red", "red2.wav", "--missed", "--threshold", "0.7") == 0
    made = Enrollment.load("keywords.json").named("red")
    assert (len(made.shots), made.threshold) == (3, 0.7)


def test_keywords_are_listed_renamed_tested_and_removed(here, capsys):
    run("enroll", "red", "red0.wav")
    run("enroll", "green", "green.wav")
    capsys.readouterr()
    assert main(["keywords"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("red: from 1 recording, 0.62 s, threshold 0.90")
    assert main(["keywords", "rename", "Red", "stop"]) == 0
    assert run("keywords", "test", "green.wav") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("green.wav: green: 0.99 ≥ 0.90 at 0.")
    assert main(["keywords", "remove", "STOP"]) == 0
    assert [keyword.keyword for keyword in Enrollment.load("keywords.json").keywords] == ["green"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["keywords", "drop", "red"], "there is no action 'drop'; expected one of list, remove, rename, test"),
        (["keywords", "remove"], "no names after 'remove'; expected 1; wordprint keywords [KEYWORDS.json] remove KEYWORD"),
        (["keywords", "rename", "x"], "1 name after 'rename'; expected 2; wordprint keywords [KEYWORDS.json] rename KEYWORD NEW"),
        (["keywords", "remove", "blue"], "no keyword is called 'blue'; expected 'red'"),
        (["keywords", "rename", "red", " "], "the keyword is empty"),
        (["correct", "red"], "a keyword and its mistakes are needed: recordings, or what was said"),
        (["enroll"], "error"),
        (["enroll", "red", "--recordings-alone"], "'red' has no recordings, and recordings_alone is set"),
        (["enroll", "red", "red0.wav", "--threshold", "0.5", "--false-alarms-per-hour", "1"], "are both set"),
    ],
)
def test_mistakes_are_told(here, capsys, arguments, message):
    run("enroll", "red", "red0.wav")
    capsys.readouterr()
    assert main([arguments[0], *(["bands.onnx"] if arguments[0] != "keywords" and len(arguments) > 1 else []), *arguments[1:]]) != 0
    assert message in capsys.readouterr().err


def test_no_folder_is_made_where_there_is_no_enrollment(here):
    assert main(["keywords", "list", "nowhere/keywords.json"]) == 2
    assert run("correct", "nowhere/keywords.json", "red", "red0.wav") == 2
    assert not Path("nowhere").exists()
    assert run("enroll", "red", "red0.wav", "-o", "new/keywords.json") == 0


def test_noise_is_refused(here, capsys):
    write_audio(here / "noise.wav", np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32))
    assert run("enroll", "red", "noise.wav") != 0
    assert "noise.wav holds no speech that stands out" in capsys.readouterr().err


def test_corrections_say_what_they_change_and_what_they_do_not(here, capsys):
    write_audio(here / "both.wav", padded(word("red") + 0.3 * word("green", seed=1)))
    run("enroll", "red", "red0.wav", "--threshold", "0.3")
    capsys.readouterr()
    assert run("correct", "red", "both.wav") == 0
    said = capsys.readouterr()
    assert "(threshold 0.30)" in said.out
    assert "note: both.wav still sets off 'red'; a higher threshold would not: --threshold " in said.err
    assert run("correct", "red", "--threshold", "0.95", "green.wav") == 0
    said = capsys.readouterr()
    assert said.out.startswith("'red': threshold 0.30 → 0.95\n")
    assert "(threshold 0.95)" in said.out
    assert said.err == "note: green.wav didn't set off 'red' before either\n"
    assert run("correct", "red", "red1.wav", "none.wav", "green.wav", "--missed", "--threshold", "0.5") == 0
    said = capsys.readouterr()
    assert "'red': threshold 0.95 → 0.50" in said.out
    assert "note: none.wav does not exist" in said.err
    assert "note: green.wav: unlike the other recordings" in said.err
    similarities = [line for line in said.out.splitlines() if ": similarity " in line]
    assert [line.split(":")[0] for line in similarities] == ["red1.wav", "green.wav"]
    assert all("(threshold 0.50)" in line for line in similarities)
    was, now = similarities[1].split("similarity ")[1].split(" (")[0].split(" → ")
    assert float(now) > float(was) + 0.1
    assert "note: red1.wav was found already (similarity " in said.err
    assert "green.wav was found already" not in said.err
    assert Enrollment.load("keywords.json").named("red").threshold == 0.5
    assert run("correct", "red", "--missed", "--threshold", "0.6") == 2


def test_false_alarms_that_can_not_be_used_are_skipped_and_the_others_kept(here, capsys):
    run("enroll", "red", "red0.wav", "red1.wav")
    capsys.readouterr()
    assert run("correct", "red", "green.wav", "none.wav", "red1.wav") == 2
    said = capsys.readouterr()
    assert said.out.startswith("green.wav: similarity ")
    assert "skipped: none.wav does not exist" in said.err
    assert "skipped: red1.wav is one of the recordings of 'red' (red1.wav); expected a recording in which it is not" in said.err
    assert "2 of 3 recordings could not be used; see the lines above" in said.err
    assert [one.recording for one in Enrollment.load("keywords.json").named("red").mistakes] == ["green.wav"]
    assert run("correct", "red", "none.wav") == 2
    assert capsys.readouterr().err.count("none.wav does not exist") == 1


def test_an_enrollment_of_another_version_is_told_with_what_to_do(here, capsys):
    old = here / "keywords.json"
    old.write_text(json.dumps({"schema": "wordprint.enrollment/1", "keywords": [{"keyword": "red"}]}))
    remedy = "delete it (or name another file with -o) and enroll the keywords again with 'wordprint enroll'"
    for arguments in (["info", "keywords.json"], ["keywords"], ["correct", "bands.onnx", "red", "red0.wav"],
                      ["spot", "bands.onnx", "red0.wav"], ["enroll", "bands.onnx", "red", "red0.wav"]):  # fmt: skip
        assert main(arguments) == 2
        assert f"(it holds red); expected wordprint.enrollment/2; {remedy}" in capsys.readouterr().err
    assert run("enroll", "red", "red0.wav", "-o", "new.json") == 0
    old.unlink()
    assert run("enroll", "red", "red0.wav") == 0


def test_names_that_are_one_name_or_none(here, capsys):
    assert run("enroll", "caf\u00e9", "red0.wav") == 0
    assert run("enroll", "Cafe\u0301", "red1.wav") == 0
    assert [keyword.keyword for keyword in Enrollment.load("keywords.json").keywords] == ["Caf\u00e9"]
    capsys.readouterr()
    assert run("enroll", "d\udce9", "red0.wav") == 2
    assert run("keywords", "rename", "cafe\u0301", "d\udce9") == 2
    assert capsys.readouterr().err.count("is no text; expected a word or a phrase in UTF-8") == 2
    assert run("enroll", "a b c", "--phones", " ".join(["R"] * 40)) == 2
    assert "takes about 3.1 s to say; expected a keyword of up to 3 s" in capsys.readouterr().err


def test_keywords_that_are_enrolled_at_once_are_all_kept(here):
    names = ["one", "two", "three", "four", "five", "six"]
    with ThreadPoolExecutor() as pool:
        assert set(pool.map(lambda name: run("enroll", name, "red0.wav"), names)) == {0}
    assert sorted(keyword.keyword for keyword in Enrollment.load("keywords.json").keywords) == sorted(names)


@pytest.mark.skipif(os.name != "posix", reason="links and modes of POSIX")
def test_a_link_stays_a_link_and_a_mode_a_mode(here):
    run("enroll", "red", "red0.wav", "-o", "real.json")
    os.symlink("real.json", "link.json")
    os.chmod("real.json", 0o600)
    assert run("enroll", "green", "green.wav", "-o", "link.json") == 0
    assert Path("link.json").is_symlink()
    assert Path("real.json").stat().st_mode & 0o777 == 0o600
    assert len(Enrollment.load("real.json").keywords) == 2


def test_what_was_said_instead_is_told_apart(tmp_path, monkeypatch, capsys):
    """With the model that comes with the package, and a synthetic voice."""
    monkeypatch.chdir(tmp_path)
    with Synthesiser() as synthesiser:
        voice = draw_speakers(2, seed=1)[1]
        for name in ("lights on", "lights off"):
            said, _ = speak(synthesiser, name, voice, np.random.default_rng(0))
            write_audio(Path(f"{name.split()[1]}.wav"), np.pad(said, 8000))
    assert main(["enroll", "lights on"]) == 0
    assert "told apart from: lights off" in capsys.readouterr().out.splitlines()
    assert main(["correct", "lights on", "--said", "night  song"]) == 0
    assert capsys.readouterr().out == "'lights on' is told apart from 'night song' now\n"
    assert main(["keywords"]) == 0
    assert capsys.readouterr().out.rstrip().endswith(", told apart from lights off, night song")
    assert main(["keywords", "test", "on.wav", "off.wav"]) == 0
    on, off = capsys.readouterr().out.splitlines()
    assert on.startswith("on.wav: lights on: 0.")
    assert "but" not in on
    assert re.search(r" 0.\d\d ≥ 0.\d\d at .* s, but 0.\d\d 'lights off'$", off)
    assert main(["spot", "on.wav", "off.wav"]) == 0
    assert capsys.readouterr().out.count("lights on") == 1
    assert main(["info", "keywords.json"]) == 0
    assert "night song" in capsys.readouterr().out
    for arguments, message in (
        (["--said", "Lights on"], "'Lights on' sounds like 'lights on'; expected something else that it is taken for"),
        (["on.wav", "--missed", "--said", "x"], "missed and said are both set; expected one of them"),
    ):
        assert main(["correct", "lights on", *arguments]) == 2
        assert message in capsys.readouterr().err
    damaged = json.loads(Path("keywords.json").read_text())
    damaged["keywords"][0]["rivals"][0]["sounds"] = ["X"]
    Path("keywords.json").write_text(json.dumps(damaged))
    assert main(["spot", "on.wav"]) == 2
    assert "keywords.json is damaged: 'lights on' has phones X" in capsys.readouterr().err
