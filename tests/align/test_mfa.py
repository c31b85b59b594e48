"""`align --aligner mfa`, against a stand-in for MFA (tests/align/mfa_stand_in.py): the plumbing, not the alignments."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor

from wordprint.align.mfa import program
from wordprint.align.mfa.program import MfaError
from wordprint.align.options import AlignConfig
from wordprint.align.stage import align
from wordprint.errors import ConfigError, InputError
from wordprint.records import Utterance
from wordprint.speech.audio import write_audio
from wordprint.speech.textgrid import read_textgrid
from wordprint.stages.manifest import UTTERANCES, read_jsonl, write_jsonl
from wordprint.stages.receipt import digest_input, read_receipt

STAND_IN = Path(__file__).with_name("mfa_stand_in.py")
COMMAND = shlex.join([sys.executable, "-S", "-E", str(STAND_IN)])
LEXICON = "the\tDH AH0\nriver R IH1 V ER0\nriver(2)\t0.5 0.2 R IH1 V ER0\nCROSSED 1.0 K R AO1 S T\nempty\nvillage\tV IH1 L IH0 JH\n"
PHONES = ["AA1", "AH0", "AO1", "B", "D", "DH", "EH1", "ER0", "IH0", "IH1", "IY0", "JH", "K", "L", "N", "R", "S", "T", "V"]
SHORT = 3 / 3600  # hours: a shard is about one speaker


def make_manifest(folder: Path, transcripts: Sequence[Sequence[str]]) -> Path:
    """Utterances of noise, 1 s each, by as many speakers as there are lists of transcripts; speakers take turns."""
    rng, utterances = np.random.default_rng(0), []
    for turn in range(max(map(len, transcripts))):
        for speaker, said in enumerate(transcripts):
            if turn < len(said):
                path = folder / f"s{speaker}" / f"u.{turn} é.{'wav' if turn % 2 else 'flac'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                write_audio(path, rng.normal(0, 0.05, 16_000).astype(np.float32))
                utterances.append(Utterance(f"s{speaker}.{turn} é", f"s{speaker}", str(path), 0.0, 1.0, said[turn]))
    write_jsonl(folder / UTTERANCES, (utterance.to_json() for utterance in utterances))
    return folder / UTTERANCES


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's MFA home, with the English model and dictionary downloaded."""
    home = tmp_path / "home of mfa"
    models = home / "pretrained_models"
    (models / "acoustic").mkdir(parents=True)
    (models / "dictionary").mkdir()
    with zipfile.ZipFile(models / "acoustic" / "english_us_arpa.zip", "w") as archive:
        archive.writestr("meta.json", json.dumps({"phones": PHONES}))
    (models / "dictionary" / "english_us_arpa.dict").write_text("the\tDH AH0\nriver\tR IH1 V ER0\n", encoding="utf-8")
    monkeypatch.setenv("MFA_ROOT_DIR", str(home))
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "runs.jsonl"))
    get_reusable_executor().shutdown()  # processes that other tests started don't know these variables
    return home


@pytest.fixture
def lexicon(tmp_path: Path) -> Path:
    path = tmp_path / "lexicon.txt"
    path.write_text(LEXICON, encoding="utf-8")
    return path


@pytest.fixture
def config(lexicon: Path) -> AlignConfig:
    return AlignConfig(aligner="mfa", mfa_command=COMMAND, lexicon=lexicon, g2p="rules", mfa_shard_hours=SHORT)


def runs(home: Path, command: str = "align") -> list[list[str]]:
    path = home.parent / "runs.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [arguments for arguments in map(json.loads, lines) if arguments[0] == command]


def contents(folder: Path) -> dict[str, bytes]:
    """Everything that is a result; receipts have times, logs are MFA's."""
    beside = {"stage.json", "mfa"}
    files = (path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] not in beside)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def dropped(output: Path) -> dict[str, str]:
    return {drop["item"]: drop["reason"] for drop in read_jsonl(output / "dropped.jsonl")}


THREE = (["The river crossed", "the village"], ["the river", "River the lostword", "the river"], ["crossed the village", "the"])


def test_shards_of_speakers_come_back_in_the_order_of_the_manifest(home: Path, tmp_path: Path, config: AlignConfig) -> None:
    manifest = make_manifest(tmp_path / "in", THREE)
    receipt = align(manifest, tmp_path / "out", config)
    assert receipt.counts == {"in": 7, "kept": 6, "dropped": {"unaligned": 1}}
    lines = list(read_jsonl(tmp_path / "out" / "alignments.jsonl"))
    assert [line["utterance_id"] for line in lines] == ["s0.0 é", "s1.0 é", "s2.0 é", "s0.1 é", "s2.1 é", "s1.2 é"]
    assert lines[0]["oov"] == []
    assert lines[0]["word_goodness"] == [None] * 3
    assert lines[0]["goodness"] == -50.0  # the speech's; where that is missing, that of all frames
    found = read_textgrid(tmp_path / "out" / lines[0]["textgrid"], "x")
    assert [word.symbol for word in found.words] == ["the", "river", "crossed"]
    assert [phone.symbol for phone in found.phones][:4] == ["DH", "AH0", "R", "IH1"]
    assert found.words[0].start_s == pytest.approx(0.1)
    assert receipt.details["mfa"] == {"version": "3.4.3", "dictionary": "lexicon.txt", "acoustic": "english_us_arpa", "shards": 3}
    each = runs(home)
    assert len(each) == 3
    assert all("--clean" in arguments and Path(arguments[6]).is_absolute() for arguments in each)
    assert not (tmp_path / "out" / ".mfa").exists()
    log = (tmp_path / "out" / "mfa" / "logs" / "000000.log").read_text(encoding="utf-8")
    assert "Exporting alignment TextGrids" in log
    assert "exit code 0" in log
    assert "━" not in log
    again = align(manifest, tmp_path / "out", replace(config, mfa_command="no-longer-there", mfa_time_limit_h=1.0))
    assert not again.fresh  # how MFA is run changes no result


def test_one_and_two_workers_give_the_same_bytes(home: Path, tmp_path: Path, config: AlignConfig) -> None:
    manifest = make_manifest(tmp_path / "in", THREE)
    for workers in (1, 2):
        align(manifest, tmp_path / str(workers), config, workers=workers)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert digest_input(tmp_path / "1") == digest_input(tmp_path / "2")  # what 'words' sees; logs are no part of it


@pytest.mark.parametrize("marker", ["badwav", "crash", "kill"])
def test_a_crash_costs_one_recording_of_one_shard(home: Path, tmp_path: Path, config: AlignConfig, marker: str) -> None:
    manifest = make_manifest(tmp_path / "in", (["the"] * 3, ["the", f"the {marker}here", "river"], ["village"] * 3))
    receipt = align(manifest, tmp_path / "out", config)
    assert dropped(tmp_path / "out") == {"s1.1 é": "mfa_failed"}
    assert receipt.counts["kept"] == 8
    (drop,) = read_jsonl(tmp_path / "out" / "dropped.jsonl")
    assert ".mfa" not in drop["detail"]  # no name of a temporary folder: the same bytes every time
    log = tmp_path / "out" / drop["detail"].rsplit("log: ", 1)[1]
    assert "what MFA writes to its own log" in log.read_text(encoding="utf-8")
    # MFA names the bad file: one run more. Else the halves of three: 1 + 2 more, then those of the two
    assert len(runs(home)) == 3 + (1 if marker == "badwav" else 2 if len(runs(home)) == 5 else 4)


def test_a_shard_whose_halves_both_fail_is_given_up(home: Path, tmp_path: Path, config: AlignConfig) -> None:
    manifest = make_manifest(tmp_path / "in", (["the"] * 3, ["crash"] * 8))
    receipt = align(manifest, tmp_path / "out", replace(config, mfa_shard_hours=6 / 3600))
    assert receipt.counts == {"in": 11, "kept": 3, "dropped": {"mfa_failed": 8}}
    assert len(runs(home)) == 4


def test_a_hung_run_is_stopped_with_its_children(home: Path, tmp_path: Path, config: AlignConfig) -> None:
    manifest = make_manifest(tmp_path / "in", (["the"] * 3, ["the hang", "the", "river"]))
    receipt = align(manifest, tmp_path / "out", replace(config, mfa_time_limit_h=2 / 3600))
    assert receipt.counts == {"in": 6, "kept": 3, "dropped": {"mfa_timed_out": 3}}
    assert not alive(tmp_path)


def alive(folder: Path) -> list[int]:
    """Processes of a hung stand-in that still run."""
    found = []
    for pid in map(int, (folder / "children.txt").read_text(encoding="utf-8").split()):
        with suppress(ProcessLookupError, FileNotFoundError):
            os.kill(pid, 0)
            if "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]:
                found.append(pid)
    return found


@pytest.mark.parametrize(
    ("mode", "reason", "message"),
    [
        ("old", "mfa_too_old", "is version 2.2.17; expected 3.0 or newer; install it: conda create"),
        ("broken", "mfa_broken", "No module named '_kalpy'"),
        ("database", "mfa_database", r"no such table: word_interval_temp.*mfa_stand_in.py server init"),
    ],
)
def test_what_would_fail_every_shard_stops_at_once(
    home: Path, tmp_path: Path, config: AlignConfig, monkeypatch: pytest.MonkeyPatch, mode: str, reason: str, message: str
) -> None:
    manifest = make_manifest(tmp_path / "in", THREE)
    monkeypatch.setenv("STAND_IN", mode)
    with pytest.raises(MfaError, match=message) as caught:
        align(manifest, tmp_path / "out", config)
    assert caught.value.reason == reason
    assert len(runs(home)) <= 1
    assert not (tmp_path / "out").exists()  # nothing done, nothing left: the next command may have other options


def test_a_missing_program_or_model_is_told_with_what_brings_it(home: Path, tmp_path: Path, config: AlignConfig) -> None:
    manifest = make_manifest(tmp_path / "in", (["the"],))
    for change, reason, message in (
        ({"mfa_command": "no-such-mfa"}, "mfa_missing", "no program 'no-such-mfa' on PATH.*conda-forge"),
        ({"mfa_command": "sh -c 'mfa: command not found' x"}, "mfa_missing", "install it"),
        ({"mfa_acoustic": "german_mfa"}, "mfa_model_missing", "mfa_stand_in.py model download acoustic german_mfa"),
        (
            {"lexicon": None, "mfa_dictionary": "zulu"},
            "mfa_model_missing",
            "named 'zulu'.*download dictionary zulu",
        ),
    ):
        with pytest.raises(MfaError, match=message) as caught:
            align(manifest, tmp_path / "out", replace(config, **change))
        assert caught.value.reason == reason
        assert not (tmp_path / "out").exists()
    for change, message in (
        ({"mfa_acoustic": "gone.zip"}, "gone.zip does not exist"),
        ({"mfa_train": True, "mfa_acoustic": "x"}, "mfa_train and mfa_acoustic are both set"),
        ({"mfa_dictionary": "x"}, "lexicon and mfa_dictionary are both set"),
        ({"mfa_command": "'"}, "mfa_command is"),
        ({"mfa_command": ""}, "mfa_command is empty"),
        ({"mfa_shard_hours": 0.0}, "mfa_shard_hours is 0; expected more than 0"),
        ({"textgrids": tmp_path}, "leave textgrids out"),
    ):
        with pytest.raises((ConfigError, InputError), match=message):
            align(manifest, tmp_path / "out", replace(config, **change))


def test_models_by_language(home: Path, tmp_path: Path, config: AlignConfig) -> None:
    own = replace(config, lexicon=None)
    manifest = make_manifest(tmp_path / "in", (["the river"],))
    align(manifest, tmp_path / "out", own)
    assert runs(home)[0][2:4] == ["english_us_arpa", "english_us_arpa"]
    utterances = list(read_jsonl(manifest))
    unknown = "no dictionary model of MFA is known here for language 'xx'.*--lexicon"
    for languages, message in ((["xx"], unknown), (["de", "fr"], "2 languages")):
        write_jsonl(manifest, ({**utterances[0], "utterance_id": language, "language": language} for language in languages))
        with pytest.raises(ConfigError, match=message):
            align(manifest, tmp_path / "other", own)


def test_an_acoustic_model_with_other_phones(home: Path, tmp_path: Path, config: AlignConfig, lexicon: Path) -> None:
    lexicon.write_text("the\tDH AH\nriver\tR IH V ER\nst\tS T\n", encoding="utf-8")  # no stress marks, which the English model has
    with pytest.raises(MfaError, match=r"ignored 2 pronunciations .* and knew 1 of 3 words; .*--mfa-train"):
        align(make_manifest(tmp_path / "in", (["the river st"],)), tmp_path / "out", config)
    assert not (tmp_path / "out").exists()
    said = align(make_manifest(tmp_path / "in", (["st st the"],)), tmp_path / "out", config)
    assert said.details["oov_utterances"] == {"the": 1}


def test_training_keeps_its_model_and_is_not_done_twice(
    home: Path, tmp_path: Path, config: AlignConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, out = make_manifest(tmp_path / "in", THREE), tmp_path / "out"
    train = replace(config, mfa_train=True)
    monkeypatch.setenv("STAND_IN", "database")
    with pytest.raises(MfaError, match="database"):
        align(manifest, out, train)
    monkeypatch.setenv("STAND_IN", "")
    monkeypatch.setattr("wordprint.align.mfa.aligner.align_shards", _no_shards)
    with pytest.raises(RuntimeError, match="after training"):
        align(manifest, out, train)
    monkeypatch.undo()
    monkeypatch.setenv("MFA_ROOT_DIR", str(home))
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "runs.jsonl"))
    align(manifest, out, train)
    assert len(runs(home, "train")) == 2
    assert (out / "mfa" / "model.zip").is_file()
    assert all(arguments[3] == str(out / "mfa" / "model.zip") for arguments in runs(home))
    assert "sat - Iteration 1" in (out / "mfa" / "logs" / "train.log").read_text(encoding="utf-8")
    assert "--output_directory" not in runs(home, "train")[0]


def _no_shards(shards: object, setup: object) -> None:
    raise RuntimeError("after training")


def test_words_that_the_lexicon_lacks_are_guessed_in_its_own_phones(home: Path, tmp_path: Path, config: AlignConfig) -> None:
    align(make_manifest(tmp_path / "in", (["the till tree", "the river"],)), tmp_path / "out", config)
    first, second = read_jsonl(tmp_path / "out" / "alignments.jsonl")
    assert (first["oov"], second["oov"]) == (["till", "tree"], [])
    phones = [phone.symbol for phone in read_textgrid(tmp_path / "out" / first["textgrid"], "x").phones]
    assert phones == ["DH", "AH0", "T", "IH1", "L", "spn"]  # this lexicon, and so maybe the model, has no IY1
    receipt = read_receipt(tmp_path / "out")
    assert receipt.details["g2p"] == "rules"
    assert receipt.details["oov_utterances"] == {"till": 1, "tree": 1}


def test_models_are_asked_for_where_a_container_sees_them(home: Path, tmp_path: Path, config: AlignConfig) -> None:
    script = f"import os, runpy, sys; assert os.environ['MFA_ROOT_DIR'].startswith({str(tmp_path)!r}) or 'version' in sys.argv; "
    script += f"sys.argv.pop(0); runpy.run_path({str(STAND_IN)!r}, run_name='__main__')"
    command = shlex.join([sys.executable, "-c", script, "mfa"])
    manifest = make_manifest(tmp_path / "in", (["the tell 'em l'homme"],))
    with pytest.raises(MfaError, match="no acoustic model named 'gone'"):
        align(manifest, tmp_path / "out", replace(config, mfa_command=command, mfa_acoustic="gone"))
    align(manifest, tmp_path / "out", replace(config, mfa_command=command))
    assert [path.name for path in home.iterdir()] == ["pretrained_models"]
    (line,) = read_jsonl(tmp_path / "out" / "alignments.jsonl")
    words = read_textgrid(tmp_path / "out" / line["textgrid"], "x").words
    assert [word.symbol for word in words] == ["the", "tell", "'em", "l'homme"]


def test_words_that_mfa_does_not_know_are_counted_and_restored(home: Path, tmp_path: Path, config: AlignConfig) -> None:
    align(make_manifest(tmp_path / "in", (["the tree marvellous"],)), tmp_path / "out", replace(config, lexicon=None))
    (line,) = read_jsonl(tmp_path / "out" / "alignments.jsonl")
    assert line["oov"] == ["marvellous", "tree"]
    found = read_textgrid(tmp_path / "out" / line["textgrid"], "x")
    assert [word.symbol for word in found.words] == ["the", "tree", "marvellous"]  # the last came back as <unk>
    assert [phone.symbol for phone in found.phones][-2:] == ["spn", "spn"]


def test_recordings_that_would_stop_mfa_never_reach_it(home: Path, tmp_path: Path, config: AlignConfig) -> None:
    manifest = make_manifest(tmp_path / "in", (["the", "the", "the", "", "7 the", "the"],))
    lines = list(read_jsonl(manifest))
    Path(lines[1]["audio"]).write_bytes(b"not a recording")
    Path(lines[2]["audio"]).unlink()
    lines[5]["end_s"] = 500.0
    write_jsonl(manifest, lines)
    align(manifest, tmp_path / "out", config)
    assert list(dropped(tmp_path / "out").values()) == [
        "unreadable_audio", "missing_audio", "empty_transcript", "unknown_characters", "too_long"
    ]  # fmt: skip


def test_an_exit_code_after_all_was_done_is_no_failure(
    home: Path, tmp_path: Path, config: AlignConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN", "exit")
    assert align(make_manifest(tmp_path / "in", (["the"],)), tmp_path / "out", config).counts["kept"] == 1


KILLED = """
import sys; from pathlib import Path; from wordprint.align.stage import align; from wordprint.align.options import AlignConfig
if __name__ == "__main__":
    align(sys.argv[1], sys.argv[2], AlignConfig(aligner="mfa", mfa_command=sys.argv[3], lexicon=Path(sys.argv[4]), g2p="rules",
          mfa_shard_hours=float(sys.argv[5])), workers=int(sys.argv[6]))
"""


@pytest.mark.parametrize(("workers", "number"), [(1, signal.SIGKILL), (2, signal.SIGKILL), (1, signal.SIGINT), (2, signal.SIGINT)])
def test_killed_it_leaves_no_mfa_behind_and_goes_on(
    home: Path, tmp_path: Path, config: AlignConfig, lexicon: Path, workers: int, number: int
) -> None:
    manifest, out = make_manifest(tmp_path / "in", (["the"] * 3, ["river"] * 3, ["the hang"] * 3)), tmp_path / "out"
    arguments = [str(manifest), str(out), COMMAND, str(lexicon), str(SHORT), str(workers)]
    running = subprocess.Popen([sys.executable, "-c", KILLED, *arguments], stderr=subprocess.DEVNULL, start_new_session=True)
    wait_for((tmp_path / "children.txt").exists)
    wait_for(lambda: bool((tmp_path / "children.txt").read_text(encoding="utf-8")))
    if number == signal.SIGINT:
        os.killpg(running.pid, number)  # as a terminal does
    else:
        running.send_signal(number)
    running.wait()
    wait_for(lambda: not alive(tmp_path))
    finished = len(list((out / ".parts").iterdir()))
    stand_in = tmp_path / "mended.py"  # the hang is cured
    stand_in.write_text(STAND_IN.read_text(encoding="utf-8").replace('"hang"', '"no such word"'), encoding="utf-8")
    cured = replace(config, mfa_command=shlex.join([sys.executable, "-S", "-E", str(stand_in)]))
    before = len(runs(home))
    align(manifest, out, cured)
    assert len(runs(home)) - before == 3 - finished
    assert not (out / ".mfa").exists()
    align(manifest, tmp_path / "fresh", cured)
    assert contents(out) == contents(tmp_path / "fresh")


@pytest.mark.parametrize("parent_lives", [True, False])
def test_a_worker_whose_parent_died_before_it_waits_stops_waiting(parent_lives: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    pid = os.getppid() if parent_lives else gone.pid
    monkeypatch.setattr(program.multiprocessing, "parent_process", lambda: SimpleNamespace(pid=pid))
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as hung:
        try:
            with nullcontext() if parent_lives else pytest.raises(KeyboardInterrupt):
                assert not program._wait(hung, 1.5)
        finally:
            hung.kill()


def wait_for(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
