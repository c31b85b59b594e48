"""`validate --aligner mfa`, against the stand-in for MFA (tests/align/mfa_stand_in.py)."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from wordprint.align.mfa.check import MfaCheck, read_oov_counts
from wordprint.align.mfa.program import MfaError
from wordprint.validate.options import ValidateConfig
from wordprint.errors import InputError
from wordprint.records import Utterance
from wordprint.speech.audio import write_audio
from wordprint.stages.manifest import UTTERANCES, read_jsonl, write_jsonl
from wordprint.validate.stage import validate

STAND_IN = Path(__file__).parents[1] / "align" / "mfa_stand_in.py"
COMMAND = shlex.join([sys.executable, "-S", "-E", str(STAND_IN)])


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ValidateConfig:
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("the 0.9 DH AH\nempty\nriver\tR IH V ER\n", encoding="utf-8")
    monkeypatch.setenv("MFA_ROOT_DIR", str(tmp_path / "home"))
    return ValidateConfig(aligner="mfa", mfa_command=COMMAND, lexicon=lexicon)


def make_manifest(folder: Path, transcripts: list[str]) -> Path:
    rng, lines = np.random.default_rng(1), []
    folder.mkdir()
    for number, transcript in enumerate(transcripts):
        path = folder / f"{number}.wav"
        write_audio(path, rng.normal(0, 0.05, 16_000).astype(np.float32))
        lines.append(Utterance(f"u{number}", f"s{number % 2}", str(path), 0.0, 1.0, transcript).to_json())
    write_jsonl(folder / UTTERANCES, lines)
    return folder / UTTERANCES


def mfa_findings(output: Path) -> dict[str, str]:
    return {line["reason"]: line["detail"] for line in read_jsonl(output / "problems.jsonl") if line["reason"].startswith("mfa_")}


def test_words_that_mfa_does_not_know_are_in_the_report(config: ValidateConfig, tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path / "in", ["the grebe", "the river", "Grebe, the heron"])
    receipt = validate(manifest, tmp_path / "out", config)
    assert mfa_findings(tmp_path / "out") == {"mfa_oov_words": "2 words, 3 tokens: grebe (2), heron (1)"}
    assert "grebe (2), heron (1)" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert receipt.details["reported"]["mfa_oov_words"] == 1
    assert (tmp_path / "out" / "mfa" / "oov_counts.txt").read_text(encoding="utf-8") == "grebe\t2\nheron\t1\n"
    assert receipt.counts["kept"] == 3
    assert not (tmp_path / "out" / ".mfa").exists()


def test_a_crash_is_a_finding_and_nothing_is_lost(config: ValidateConfig, tmp_path: Path) -> None:
    receipt = validate(make_manifest(tmp_path / "in", ["the badwav", "the river"]), tmp_path / "out", config)
    found = mfa_findings(tmp_path / "out")["mfa_failed"]
    assert "000000-u0.wav': Format not recognised. (log: mfa/logs/validate.log)" in found
    assert receipt.counts["kept"] == 2
    assert (tmp_path / "out" / "mfa" / "logs" / "validate.log").is_file()


def test_what_is_missing_is_told_before_any_work(config: ValidateConfig, tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path / "in", ["the river"])
    missing = ValidateConfig(aligner="mfa", mfa_command="no-such-mfa")
    unknown = ValidateConfig(aligner="mfa", mfa_command=COMMAND)
    for wrong, message in ((missing, "no program 'no-such-mfa'"), (unknown, "model download dictionary english_us_arpa")):
        with pytest.raises(MfaError, match=message):
            validate(manifest, tmp_path / "out", wrong)
        assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match=r"gone\.dict does not exist"):
        MfaCheck(ValidateConfig(mfa_command=COMMAND, mfa_dictionary="gone.dict"), {"en"}, tmp_path)


def test_counts_come_from_the_lists_of_several_dictionaries(tmp_path: Path) -> None:
    (tmp_path / "oov_counts_a.txt").write_text("x\t2\ny\t5\n\nodd\n", encoding="utf-8")
    (tmp_path / "oov_counts_b.txt").write_text("x\t4\n", encoding="utf-8")
    assert list(read_oov_counts(tmp_path).items()) == [("x", 6), ("y", 5)]
