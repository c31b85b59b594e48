"""The parts of running MFA: its failures as a real one prints them, shards, corpus folder, dictionary, processes."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from wordprint.align.mfa.corpus import Entry, Written, write_corpus
from wordprint.align.mfa.dictionary import Pronunciations
from wordprint.align.mfa.failures import known_failure, last_words
from wordprint.align.mfa.plan import Plan, in_order
from wordprint.align.mfa.program import MfaError, mfa_version, read_terminal, run_mfa
from wordprint.align.mfa.reader import Reader, join_clitics, read_goodness
from wordprint.align.mfa.run import Setup
from wordprint.align.options import AlignConfig
from wordprint.align.textgrids import TextGridAligner
from wordprint.errors import AudioError, DiskFullError
from wordprint.records import Alignment, Interval, Utterance
from wordprint.speech.audio import read_audio, write_audio
from wordprint.speech.g2p import RuleG2P
from wordprint.speech.text import normalise
from wordprint.speech.textgrid import read_textgrid, write_textgrid

# What MFA 3.4.3 printed (folders shortened); its messages go through rich, which boxes and wraps them.
NO_MODEL = """
 Usage:
 mfa align
 [OPTIONS] CORPUS_DIRECTORY DICTIONARY_PATH ACOUSTIC_MODEL_PATH
 OUTPUT_DIRECTORY

╭─ Error ──────────────────────────────────────────────────────────────────────╮
│ Invalid value for 'ACOUSTIC_MODEL_PATH': PretrainedModelNotFoundError:       │
│                                                                              │
│ Could not find a model named "english_us_arpa" for acoustic.                 │
╰──────────────────────────────────────────────────────────────────────────────╯
"""
NO_DICTIONARY = """
╭─ Error ──────────────────────────────────────────────────────────────────────╮
│ Invalid value for 'DICTIONARY_PATH': PretrainedModelNotFoundError: Could not │
│ find a model named "nosuchdict" for dictionary.                              │
╰──────────────────────────────────────────────────────────────────────────────╯
"""
DATABASE = """ INFO     Collecting phone and word alignments from sat_ali lattices...
 ERROR    There was an error in the run, please see the log.
Exception ignored in atexit callback: <bound method ExitHooks.history_save_handler of <montreal_forced_aligner.command_line>>
Traceback (most recent call last):
  File "ENV/lib/python3.11/site-packages/sqlalchemy/engine/default.py", line 1192, in do_execute
    cursor.execute(statement, parameters)
sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: word_interval_temp
[SQL: INSERT INTO word_interval SELECT * from word_interval_temp]
(Background on this error at: https://sqlalche.me/e/21/e3q8)
"""
BAD_WAV = """ ERROR    There was an error in the run, please see the log.
Traceback (most recent call last):
  File "ENV/lib/python3.11/site-packages/soundfile.py", line 1296, in _open
    raise LibsndfileError(err, prefix=f"Error opening {self.name!r}: ")
soundfile.LibsndfileError: Error opening 'WORK/badc/spk/u1.wav': Format not recognised.
"""
NO_FILES = """Traceback (most recent call last):
    raise CorpusError(
montreal_forced_aligner.exceptions.CorpusError: CorpusError:

There were no files found for this corpus. Please validate the corpus.
"""


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        (NO_MODEL, "mfa_model_missing", "docker run x mfa model download acoustic english_us_arpa"),
        (NO_DICTIONARY, "mfa_model_missing", "model download dictionary nosuchdict"),
        (DATABASE, "mfa_database", "word_interval_temp"),
        ("│ Invalid value for 'CORPUS_DIRECTORY': Corpus directory does not │\n│ exist. │", "mfa_folder_unseen", "docker run -v"),
        ("ThirdpartyError:\n\nCould not find 'fstcompile'.", "mfa_broken", "conda run --no-capture-output"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'sqlite3'", "mfa_broken", "without its environment"),
        ("FileExistsError: [Errno 17] File exists: '/o/.mfa/0-x/home/pretrained_models'", "mfa_folder_unseen", "downloaded models"),
        (
            "There were phones in the dictionary that do not have acoustic models: \nAA, AE, AH and UW",
            "mfa_phones",
            "AA, AE, AH and UW; expected",
        ),
        ("│ No such option: --no_tokenization │\n Usage: mfa", None, ""),
        (" Usage:\n mfa align\n╭─ Error ─╮\n│ No such option: --beam │", "mfa_usage", "No such option: --beam"),
        (BAD_WAV, None, ""),
        (NO_FILES, None, ""),
        ("", None, ""),
    ],
)
def test_known_failures_and_their_remedies(text: str, reason: str | None, message: str) -> None:
    error = known_failure(text, ["docker", "run", "x", "mfa"])
    assert (error.reason if error else None) == reason
    assert message in str(error)


def test_a_full_disk_is_ours_to_tell() -> None:
    assert isinstance(known_failure("OSError: [Errno 28] No space left on device: '/o'", ["mfa"]), DiskFullError)


def test_the_last_words_are_the_error_and_what_follows_it() -> None:
    assert last_words(BAD_WAV) == "soundfile.LibsndfileError: Error opening 'WORK/badc/spk/u1.wav': Format not recognised."
    assert last_words(NO_FILES).endswith("CorpusError: There were no files found for this corpus. Please validate the corpus.")
    assert last_words(DATABASE).startswith("sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table")
    assert last_words("\n") == ""


def test_all_real_outputs_are_taken_for_what_they_are(shared_data: Path) -> None:
    folder = shared_data.parent / "mfa"
    if not folder.is_dir():
        pytest.skip(f"the output of a real MFA was not found at {folder}")
    expected = {"nomodel": "mfa_model_missing", "nodict": "mfa_model_missing", "train": "mfa_database"}
    for path in sorted(folder.glob("*.err")):
        error = known_failure(read_terminal(path), ["mfa"])
        assert (error.reason if error else None) == expected.get(path.stem), path.stem
        assert read_terminal(path.with_suffix(".out")) == ""  # nothing but progress bars
    assert "u1.wav': Format not recognised." in last_words(read_terminal(folder / "badwav.err"))


def test_goodness_of_a_real_run(shared_data: Path) -> None:
    path = shared_data / "mfa_textgrids" / "alignment_analysis.csv"
    if not path.is_file():
        pytest.skip(f"MFA's alignment_analysis.csv was not found at {path}")
    goodness = read_goodness(path)
    assert len(goodness) == 353  # MFA lost 14 utterances in its second pass; of 13 it wrote the first pass's times
    assert goodness["19-227-0015"] == -65.177


def test_goodness_falls_back_on_all_frames(tmp_path: Path) -> None:
    path = tmp_path / "alignment_analysis.csv"
    path.write_text("file,overall_log_likelihood,speech_log_likelihood\na,-1.0,-2.0\nb,-3.0004,\nc,,\n", encoding="utf-8")
    assert read_goodness(path) == {"a": -2.0, "b": -3.0}
    assert read_goodness(tmp_path / "missing.csv") == {}


# Reading


@pytest.mark.parametrize(
    ("labels", "transcript", "expected"),
    [
        (["tell", "'em", "now"], "tell 'em now", ["tell", "'em", "now"]),
        (["kate", "'s", "dog"], "Kate's dogs", ["kate's", "dog"]),
        (["<unk>", "'s", "dog"], "Zorbo's dog", ["zorbo's", "dog"]),
        (["c'", "est", "l'", "<unk>"], "c'est l'homme", ["c'est", "l'homme"]),
        (["rock", "n", "<unk>"], "rock 'n' roll", ["rock", "'n'", "roll"]),
    ],
)
def test_what_mfa_splits_at_apostrophes_is_one_word(
    labels: list[str], transcript: str, expected: list[str], tmp_path: Path
) -> None:
    written, found = read_labels(tmp_path, labels, transcript)
    assert "dropped" not in found
    assert [word.symbol for word in read_textgrid(tmp_path / found["textgrid"], "x").words] == expected
    assert len(join_clitics([Interval(label, n, n + 1) for n, label in enumerate(labels)], written.entry.words)) == len(expected)


def test_the_words_of_another_utterance_are_refused(tmp_path: Path) -> None:
    assert read_labels(tmp_path, ["the", "old", "mill"], "the river crossed")[1]["reason"] == "textgrid_mismatch"
    assert "dropped" not in read_labels(tmp_path, ["iyi"], "İyi", "tr")[1]
    assert "dropped" not in read_labels(tmp_path, ["<unk>"], "grebe")[1]


def read_labels(folder: Path, labels: list[str], transcript: str, language: str = "en") -> tuple[Written, dict[str, Any]]:
    """What is made of a TextGrid of MFA's with these words."""
    utterance = Utterance("u", "s", "a.wav", 0.0, float(len(labels)), transcript, language=language)
    words = tuple(Interval(label, n, n + 1) for n, label in enumerate(labels))
    write_textgrid(folder / "s" / "u.TextGrid", Alignment("u", words), len(labels))
    written = Written(Entry(utterance, tuple(normalise(transcript, language))), "s/u", float(len(labels)))
    setup = Setup(("mfa",), "", "", folder / "out", AlignConfig(aligner="mfa"))
    found = Reader(folder, setup, set()).result(written)
    return written, {**found, "textgrid": f"out/{found.get('textgrid')}"}


# Shards


@settings(max_examples=40)
@given(
    speech=st.lists(st.tuples(st.integers(0, 6), st.floats(0.1, 30.0)), min_size=1, max_size=60),
    shard_s=st.floats(5.0, 100.0),
)
def test_shards_hold_every_utterance_once_and_speakers_whole(speech: list[tuple[int, float]], shard_s: float) -> None:
    utterances = [Utterance(f"u{n}", f"s{speaker}", "a.wav", 0.0, s, "the") for n, (speaker, s) in enumerate(speech)]
    with Plan(utterances, shard_s) as plan:
        shards = list(plan.shards())
        assert len(shards) == plan.shard_count
    places = [(number, utterance) for shard in shards for number, utterance in shard.utterances]
    assert sorted(places, key=lambda place: place[0]) == list(enumerate(utterances))
    assert all([n for n, _ in shard.utterances] == sorted(n for n, _ in shard.utterances) for shard in shards)
    said = Counter[str]()
    for utterance in utterances:
        said[utterance.speaker] += utterance.duration_s
    homes = {s: {shard.index for shard in shards for _, u in shard.utterances if u.speaker == s} for s in said}
    assert all(len(homes[s]) == 1 for s in said if said[s] <= 2 * shard_s)


def test_shards_are_balanced_and_a_huge_speaker_is_split() -> None:
    hours = {"a": 50, "b": 3, "c": 3, "d": 2, "e": 2}
    utterances = [Utterance(f"{s}{n}", s, "x", 0.0, 1.0, "the") for s, count in hours.items() for n in range(count)]
    with Plan(utterances, 10.0) as plan:
        sizes = sorted(len(shard.utterances) for shard in plan.shards())
        assert sizes == [10] * 6
        assert [u.utterance_id for u in plan.sample(20.0)] == [u.utterance_id for u in utterances[2::3]]
        assert len(list(plan.sample(1e9))) == 60


def test_results_are_put_in_order() -> None:
    results = ({"number": n, "name": str(n)} for n in (2, 0, 1))
    assert list(in_order(results)) == [{"name": "0"}, {"name": "1"}, {"name": "2"}]


# Corpus folder and dictionary


def test_the_corpus_folder_links_what_fits_and_decodes_the_rest(tmp_path: Path) -> None:
    samples = np.linspace(-0.5, 0.5, 16_000).astype(np.float32)
    for name, rate in (("fits.wav", 16_000), ("fast.wav", 44_100), ("coded.flac", 16_000)):
        write_audio(tmp_path / name, samples, rate)
    soundfile.write(tmp_path / "two.wav", np.stack([samples, samples], axis=1), 16_000)
    soundfile.write(tmp_path / "float.wav", samples, 16_000, subtype="FLOAT")
    cases = [("fits.wav", 0.0, 1.0), ("fits.wav", 0.5, 1.0), ("fits.wav", 0.0, 0.5), ("fast.wav", 0.0, 0.36)]
    cases += [(name, 0.0, 1.0) for name in ("coded.flac", "two.wav", "float.wav", "gone.wav")]
    entries = [
        Entry(Utterance(f"../ü.{n}", "a/b" if n % 2 else "..", str(tmp_path / name), start, end, "X"), ("so", "it's"))
        for n, (name, start, end) in enumerate(cases)
    ]
    *written, (lost, error) = write_corpus(tmp_path / "corpus", entries)
    assert lost.audio.endswith("gone.wav")
    assert isinstance(error, AudioError)
    files = sorted(str(path.relative_to(tmp_path / "corpus")) for path in (tmp_path / "corpus").rglob("*.wav"))
    assert files[0] == "000000-__/000000-_____0.wav"
    assert len(files) == 7
    for item, (_, start, end) in zip(written, cases, strict=False):
        assert isinstance(item, Written)
        path = tmp_path / "corpus" / f"{item.name}.wav"
        assert path.samefile(tmp_path / "fits.wav") == (item.entry.utterance.utterance_id == "../ü.0")
        header = soundfile.info(path)
        assert (header.samplerate, header.channels, header.subtype) == (16_000, 1, "PCM_16")
        assert header.duration == pytest.approx(item.duration_s)
        assert item.duration_s == pytest.approx(end - start, abs=0.01)
        assert np.abs(read_audio(path) - read_audio(item.entry.utterance.audio, start, end)).max() < 1e-4
        assert path.with_suffix(".lab").read_text(encoding="utf-8") == "so it's\n"


def test_a_dictionary_is_cleaned_into_the_form_that_mfa_takes(tmp_path: Path) -> None:
    lexicon, out = tmp_path / "lexicon", tmp_path / "out.dict"
    lexicon.write_text(
        ";;; comment\nTREE  T R IY1\ntree(2)\t0.9\t1.2 0.3 T R IY0\nnothing\nless 0.5\n<unk> spn\nno N OW1 # said\nTREE T R IY1\n",
        encoding="utf-8",
    )
    pronunciations = Pronunciations(lexicon, RuleG2P)
    pronunciations.write(out, ["tree", "rent", "eerie"])
    assert out.read_text(encoding="utf-8") == "tree\tT R IY1\ntree\tT R IY0\nno\tN OW1\neerie\tIY1 R IY0\n"
    assert pronunciations.missing(["tree", "rent"]) == {"rent"}
    pronunciations.write(out, ["eerie"], "de")  # the guesses are English
    assert "eerie" not in out.read_text(encoding="utf-8")
    lexicon.write_text("baum\tb aʊ m\n", encoding="utf-8")
    assert Pronunciations(lexicon, RuleG2P).g2p_name is None  # nor are there guesses in other phones


# Processes


def test_a_version_in_spite_of_what_surrounds_it(tmp_path: Path) -> None:
    script = "print('\\x1b[1mWARNING conda 24.1 is old\\x1b[0m\\n3.4.3\\n')"
    assert mfa_version([sys.executable, "-c", script]) == "3.4.3"
    with pytest.raises(MfaError, match="gave no answer in 1 s"):
        mfa_version([sys.executable, "-c", "import time; time.sleep(60)"], 1)
    with pytest.raises(MfaError, match="exit code 0 and said: None; expected a version"):
        mfa_version([sys.executable, "-c", "print(None)"])
    docker = "print('docker: Is the docker daemon running?\\n\\nRun docker run --help for more information'); exit(125)"
    with pytest.raises(MfaError, match="failed: docker: Is the docker daemon running"):
        mfa_version([sys.executable, "-c", docker])


def test_a_grandchild_that_holds_on_is_ended_too(tmp_path: Path) -> None:
    sign = tmp_path / "pid"
    grandchild = f"import os, time; open({str(sign)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    script = f"""
import os, subprocess, sys, time
subprocess.Popen([sys.executable, '-c', {grandchild!r}])
while not (os.path.exists({str(sign)!r}) and os.path.getsize({str(sign)!r})):
    time.sleep(0.05)
print('done')
"""
    outcome = run_mfa([sys.executable, "-c", script], [], tmp_path, 30)
    assert (outcome.code, outcome.text, outcome.timed_out) == (0, "done\n", False)
    command = Path(f"/proc/{sign.read_text()}/cmdline")  # empty for one that has ended and is not yet collected
    assert not command.exists() or not command.read_bytes()


# A real run


@pytest.mark.parametrize(
    ("labels", "language", "symbols"),
    [
        (["ഞാൻ", "പുസ്തകം"], "ml", ["ഞാൻ", "പുസ്തകം"]),
        (["ഞാൻ", "Hello"], "en", ["ഞാൻ", "hello"]),
        (["mp3", "Twenty-one", "น้ำ"], "th", ["mp3", "twenty one", "น้ำ"]),
        (["[laughter]", "(noise)", "{x}", "ok"], "en", ["<unk>", "<unk>", "<unk>", "ok"]),
        (["Isparta", "ile"], "tr", ["ısparta", "ile"]),
    ],
)
def test_labels_of_textgrids_stay_what_they_are(tmp_path: Path, labels: list[str], language: str, symbols: list[str]) -> None:
    words = tuple(Interval(label, number / 10, (number + 1) / 10) for number, label in enumerate(labels))
    write_textgrid(tmp_path / "u.TextGrid", Alignment("u", words), 1.0)
    aligner = TextGridAligner(AlignConfig(aligner="textgrid", textgrids=tmp_path))
    utterance = Utterance("u", "s", "a.wav", 0.0, 1.0, " ".join(labels), language)
    assert [word.symbol for word in aligner.align(utterance, np.zeros(0, np.float32)).words] == symbols


def test_what_a_real_run_wrote_is_read_whole(shared_data: Path, tmp_path: Path) -> None:
    grids, speech = shared_data / "mfa_textgrids", shared_data / "LibriSpeech" / "train-clean-100"
    if not (grids.is_dir() and speech.is_dir()):
        pytest.skip(f"MFA's TextGrids or the LibriSpeech transcripts were not found in {shared_data}")
    reader = Reader(grids, Setup(("mfa",), "", "", tmp_path, AlignConfig(aligner="mfa")), set())
    results = []
    for transcript in sorted(speech.glob("*/*/*.trans.txt")):
        for line in transcript.read_text(encoding="utf-8").splitlines():
            name, _, text = line.partition(" ")
            (recording,) = transcript.parent.glob(f"{name}.*")
            speaker, seconds = name.split("-")[0], soundfile.info(recording).duration
            utterance = Utterance(name, speaker, "", 0.0, seconds, text)
            entry = Entry(utterance, tuple(text.lower().split()))
            results.append(reader.result(Written(entry, f"{speaker}/{name}", seconds)))
    lost = [result for result in results if "dropped" in result]
    assert [(result["dropped"], result["reason"]) for result in lost] == [("19-227-0058", "unaligned")]
    kept = [result for result in results if "dropped" not in result]
    assert len(kept) == 366
    assert sum(result["goodness"] is None for result in kept) == 13
    assert sum(bool(result["oov"]) for result in kept) == 114
    for result in kept:
        words = read_textgrid(tmp_path / result["textgrid"], "x").words
        assert [word.symbol for word in words] == result["transcript"].lower().split()
