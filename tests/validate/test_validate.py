"""Planted faults among good recordings: each is found under its reason, the good ones stay, the numbers are hand-counted."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sound_files import patched
from wordprint.errors import ConfigError, InputError, OutputConflictError
from wordprint.records import Utterance
from wordprint.stages.manifest import read_jsonl, read_utterances, write_jsonl
from wordprint.stages.progress import Silent
from wordprint.validate.options import ValidateConfig
from wordprint.validate.reasons import REASONS
from wordprint.validate.report import summary_lines
from wordprint.validate.stage import validate

SECONDS = 2.0
SPOKEN = "say the words again"
FAULTY = {
    "random-bytes": ("unreadable_audio", "drop"),
    "no-file": ("missing_audio", "drop"),
    "header-only": ("unreadable_audio", "drop"),
    "no-samples": ("empty_audio", "drop"),
    "starts-after-end": ("empty_audio", "drop"),
    "cut-flac": ("truncated_audio", "drop"),
    "cut-wav": ("truncated_audio", "drop"),
    "cut-ogg": ("truncated_audio", "drop"),
    "ends-after-end": ("truncated_audio", "drop"),
    "nan": ("non_finite_audio", "drop"),
    "16-bit-floats": ("not_full_scale", "drop"),
    "silence": ("silent_audio", "drop"),
    "constant": ("silent_audio", "drop"),
    "square": ("clipped_audio", "warning"),
    "blip": ("too_short", "drop"),
    "forty-minutes": ("too_long", "drop"),
    "no-transcript": ("missing_transcript", "drop"),
    "blank-transcript": ("missing_transcript", "drop"),
    "punctuation": ("no_words", "drop"),
    "novel": ("transcript_too_long", "drop"),
    "one-letter": ("transcript_too_short", "warning"),
    "digits": ("unknown_characters", "warning"),
    "twin": ("duplicate_utterance", "drop"),
    "other-text": ("duplicate_audio", "warning"),
}
"""Utterance -> the one reason planted in it, and its severity. Every id stands for the fault it has."""
GOOD = ["plain", "three-channels", "8khz", "48khz", "mp3", "opus", "gsm", "opposite-phase", "killed-recorder"]
GOOD += ["segment-1", "segment-2"]


def noise(seconds: float = SECONDS, rate: int = 16_000, channels: int = 1, level: float = 0.05, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=level, size=(round(seconds * rate), channels)).astype(np.float32)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """A manifest of GOOD and FAULTY utterances, every file really on disk."""
    folder = tmp_path_factory.mktemp("corpus")
    utterances = []

    def add(
        name: str, samples=None, rate=16_000, suffix="flac", transcript="say the words again", start_s=0.0, end_s=SECONDS, **how
    ):
        path = folder / f"{name}.{suffix}"
        if samples is not None:
            soundfile.write(path, samples, rate, **how)
        speaker = f"s{len(utterances) % 3}"
        utterances.append(Utterance(name, speaker, str(path), start_s, end_s, transcript))
        return path

    def cut(path: Path, share: float) -> None:
        """Shorten the file; where libsndfile then reports a shorter recording, a manifest says so too."""
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        utterances[-1] = replace(utterances[-1], end_s=soundfile.info(path).duration)

    add("plain", noise(seed=1))
    add("three-channels", noise(channels=3, seed=2), suffix="wav")
    add("8khz", noise(rate=8000, seed=3), 8000)
    add("48khz", noise(rate=48_000, seed=4), 48_000, "wav", subtype="PCM_24")
    add("mp3", noise(seed=5), suffix="mp3")
    add("opus", noise(rate=48_000, seed=6), 48_000, "opus", format="OGG", subtype="OPUS")
    add("gsm", noise(rate=8000, seed=23), 8000, "wav", subtype="GSM610")
    add("opposite-phase", noise(seed=24) * np.float32([[1, -1]]), suffix="wav")
    killed = add("killed-recorder", noise(seed=25), suffix="wav")
    killed.write_bytes(patched(killed.read_bytes(), b"data", 4, "<I", 0))
    long = add("segment-1", noise(6.0, seed=7), start_s=0.5, end_s=2.5)
    utterances.append(replace(utterances[-1], utterance_id="segment-2", start_s=3.9, end_s=6.03))
    add("random-bytes").write_bytes(np.random.default_rng(8).bytes(20_000))
    add("no-file")
    add("header-only").write_bytes(b"fLaC")
    add("no-samples", np.zeros((0, 1), np.float32), suffix="wav")
    utterances.append(Utterance("starts-after-end", "s0", str(long), 7.0, 9.0, SPOKEN))
    cut(add("cut-flac", noise(seed=9)), 0.6)
    cut(add("cut-wav", noise(seed=10), suffix="wav"), 0.6)
    cut(add("cut-ogg", noise(seed=11), suffix="ogg", format="OGG", subtype="VORBIS"), 0.6)
    add("ends-after-end", noise(seed=12), end_s=3.0)
    bad = noise(seed=13)
    bad[100] = np.nan
    add("nan", bad, suffix="wav", subtype="FLOAT")
    add("16-bit-floats", 32_768 * noise(seed=26), suffix="wav", subtype="FLOAT")
    add("silence", np.zeros((32_000, 1), np.float32))
    add("constant", np.full((32_000, 1), 0.3, np.float32))
    add("square", np.sign(noise(seed=14)))
    add("blip", noise(0.1, seed=15), end_s=0.1)
    add("forty-minutes", noise(1.0, seed=16), end_s=2400.0)
    add("no-transcript", noise(seed=17), transcript=None)
    add("blank-transcript", noise(seed=18), transcript=" \t ")
    add("punctuation", noise(seed=19), transcript="— … !")
    add("novel", noise(seed=20), transcript="this is far more than anybody could possibly read aloud in no more than two seconds")
    add("one-letter", noise(seed=21), transcript="a")
    add("digits", noise(seed=22), transcript="room 101 is über there")
    add("twin", noise(seed=1), transcript="Say the words, again!")
    add("other-text", noise(seed=1), transcript="quite another sentence")
    write_jsonl(folder / "utterances.jsonl", (utterance.to_json() for utterance in utterances))
    assert {utterance.utterance_id for utterance in utterances} == {*GOOD, *FAULTY}
    return folder


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("lexicon") / "small.dict"
    path.write_text("say S EY\nthe DH AH\nwords W ER D Z\nis IH Z\nthere DH EH R\n")
    return path


@pytest.fixture(scope="module")
def checked(corpus, lexicon, tmp_path_factory):
    output = tmp_path_factory.mktemp("checked") / "out"
    return validate(corpus, output, ValidateConfig(lexicon=lexicon))


def problems(output: Path) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for problem in read_jsonl(output / "problems.jsonl"):
        if problem["utterance_id"]:
            found.setdefault(problem["utterance_id"], []).append((problem["reason"], problem["severity"]))
    return found


def report_of(output: Path) -> dict:
    return json.loads((output / "report.json").read_text(encoding="utf-8"))


def test_each_planted_fault_is_found_under_its_reason_and_nothing_else(checked):
    assert problems(checked.output) == {name: [planted] for name, planted in FAULTY.items()}


def test_good_and_merely_reported_utterances_are_kept_unchanged_in_order(checked, corpus):
    dropped = {name for name, (_, severity) in FAULTY.items() if severity == "drop"}
    expected = [utterance for utterance in read_utterances(corpus) if utterance.utterance_id not in dropped]
    assert list(read_utterances(checked.output)) == expected


def test_the_receipt_counts_by_reason_and_names_the_dropped(checked):
    expected = Counter(reason for reason, severity in FAULTY.values() if severity == "drop")
    assert checked.counts["dropped"] == dict(expected)
    assert checked.counts["in"] == len(GOOD) + len(FAULTY) == checked.counts["kept"] + expected.total()
    named = {drop["item"]: drop["reason"] for drop in read_jsonl(checked.output / "dropped.jsonl")}
    assert named == {name: reason for name, (reason, severity) in FAULTY.items() if severity == "drop"}
    assert {"clipped_audio", "duplicate_audio", "oov_words"} <= checked.details["reported"].keys()


def test_every_problem_says_where_what_and_what_to_do(checked):
    for problem in read_jsonl(checked.output / "problems.jsonl"):
        assert list(problem) == ["utterance_id", "audio", "severity", "reason", "detail", "what_to_do"]
        assert problem["detail"]
        assert problem["what_to_do"] == REASONS[problem["reason"]].remedy


def test_report_json_has_the_hand_counted_numbers(checked):
    report = report_of(checked.output)
    assert report["schema"] == "wordprint.validate/1"
    assert report["counts"] == {"in": 35, "kept": 15, "dropped": dict(report["counts"]["dropped"])}
    assert report["channels"] == {"1": 24, "2": 1, "3": 1}  # of those that could be decoded
    assert report["sample_rates"] == {"8000": 2, "16000": 22, "48000": 2}
    assert report["unknown_characters"] == {"0": 1, "1": 1}
    assert report["hours"]["kept"] == pytest.approx((14 * 2.0 + 2.1) / 3600, abs=1e-4)
    # eleven good ones and the clipped one say 'say the words again'; then 'a', 'room is uber there', 'quite another sentence'
    oov = {"oov_types": 7, "oov_tokens": 12 + 6, "unchecked_types": 0}
    assert report["words"] == {"types": 12, "tokens": 12 * 4 + 1 + 4 + 3, "few_speakers": 8, **oov}
    assert report["oov"][0] == {"word": "again", "language": "en", "count": 12, "speakers": 3}
    assert {row["word"] for row in report["oov"]} == {"again", "a", "room", "uber", "quite", "another", "sentence"}
    assert sum(row["utterances"] for row in report["speakers"]) == 35
    assert sum(row["kept"] for row in report["speakers"]) == 15
    assert sum(row["words"] for row in report["speakers"]) == 56
    assert sum(report["durations_s"]["histogram"]["counts"]) == 35
    assert sum(report["levels_db"]["histogram"]["counts"]) == 26
    assert report["levels_db"]["max"] == pytest.approx(0.0, abs=0.01)  # the square wave
    assert report["levels_db"]["median"] == pytest.approx(20 * np.log10(0.05), abs=0.2)


def test_words_jsonl_lists_every_word_once(checked):
    rows = {row["word"]: row for row in read_jsonl(checked.output / "words.jsonl")}
    assert len(rows) == 12
    assert rows["say"] == {"word": "say", "language": "en", "count": 12, "speakers": 3, "in_lexicon": True}
    assert rows["uber"]["in_lexicon"] is False


def test_two_workers_write_the_same_bytes(checked, corpus, lexicon, tmp_path, monkeypatch):
    monkeypatch.setattr("wordprint.validate.stage.SHARD_SIZE", 5)
    other = validate(corpus, tmp_path / "out", ValidateConfig(lexicon=lexicon), workers=2)
    assert other.outputs == checked.outputs
    assert set(other.outputs) == {
        "utterances.jsonl",
        "problems.jsonl",
        "words.jsonl",
        "report.json",
        "report.html",
        "dropped.jsonl",
    }


def test_a_second_run_does_nothing_and_another_config_is_refused(checked, corpus, lexicon):
    assert not validate(corpus, checked.output, ValidateConfig(lexicon=lexicon)).fresh
    with pytest.raises(OutputConflictError, match=r"min_duration_s was 0\.3, now 0\.5"):
        validate(corpus, checked.output, ValidateConfig(lexicon=lexicon, min_duration_s=0.5))


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "srcset", "poster", "data"}]
        self.scripts += tag == "script"


def test_the_html_stands_alone_and_shows_plots_problems_and_players(checked):
    page = (checked.output / "report.html").read_text(encoding="utf-8")
    references = _References()
    references.feed(page)
    assert references.found
    assert all(reference.startswith(("data:", "#")) for reference in references.found)
    assert "http" not in re.sub(r"http-equiv", "", page)
    assert not references.scripts
    assert set(re.findall(r"url\((.)", page)) <= {"#"}
    assert page.count("<svg") == 5
    assert page.count("<audio") > 10
    for name, (reason, _) in FAULTY.items():
        assert REASONS[reason].title in page, name


def test_options_move_reasons_between_dropping_and_reporting(corpus, lexicon, tmp_path):
    config = ValidateConfig(lexicon=lexicon, drop=("clipped_audio",), keep=("silent_audio",))
    output = validate(corpus, tmp_path / "out", config).output
    found = problems(output)
    assert found["square"] == [("clipped_audio", "drop")]
    assert found["silence"] == [("silent_audio", "warning")]
    kept = {utterance.utterance_id for utterance in read_utterances(output)}
    assert {"silence", "constant"} <= kept
    assert "square" not in kept


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ValidateConfig(keep=("clipped",)), "keep names 'clipped'; expected one of"),
        (ValidateConfig(keep=("unreadable_audio",)), "keep names 'unreadable_audio'"),
        (ValidateConfig(drop=("too_long",), keep=("too_long",)), "drop and keep both name too_long"),
        (ValidateConfig(min_duration_s=70.0), "min_duration_s is 70; expected at most max_duration_s, which is 60"),
    ],
)
def test_reasons_that_cannot_be_moved_are_refused(corpus, tmp_path, config, message):
    with pytest.raises(ConfigError, match=message):
        validate(corpus, tmp_path / "out", config)
    assert not (tmp_path / "out").exists()


def manifest(folder: Path, *rows: tuple[str, str, str, str]) -> Path:
    """Utterances (id, speaker, transcript, language) over noise of their own."""
    utterances = []
    for index, (name, speaker, transcript, language) in enumerate(rows):
        path = folder / f"{index}.wav"
        soundfile.write(path, noise(1.0, seed=100 + index), 16_000)
        utterances.append(Utterance(name, speaker, str(path), 0.0, 1.0, transcript, language).to_json())
    write_jsonl(folder / "utterances.jsonl", utterances)
    return folder


def corpus_problems(output: Path) -> dict[str, str]:
    found = read_jsonl(output / "problems.jsonl")
    return {problem["reason"]: problem["detail"] for problem in found if problem["utterance_id"] is None}


def test_one_speaker_and_one_word_are_reported_not_refused(lexicon, tmp_path):
    source = manifest(tmp_path, ("a", "ann", "hello", "en"), ("b", "ann", "Hello!", "en"))
    receipt = validate(source, tmp_path / "out", ValidateConfig(lexicon=lexicon))
    assert receipt.counts["kept"] == 2
    assert corpus_problems(receipt.output).keys() == {"one_speaker", "one_word", "few_speakers", "oov_words"}


def test_long_speaker_names_leave_room_for_the_bars(lexicon, tmp_path):
    speakers = [f"cv-corpus-17.0-2024-03-15-{number:024x}" for number in range(3)]
    source = manifest(tmp_path, *((str(number), name, "hello", "en") for number, name in enumerate(speakers)))
    receipt = validate(source, tmp_path / "out", ValidateConfig(lexicon=lexicon))
    assert "…000000000000002" in (receipt.output / "report.html").read_text(encoding="utf-8")


def test_a_corpus_of_which_nothing_is_left_is_reported(tmp_path):
    receipt = validate(manifest(tmp_path, ("a", "ann", "", "en"), ("b", "bob", "", "en")), tmp_path / "out")
    assert receipt.counts["kept"] == 0
    assert corpus_problems(receipt.output) == {"nothing_kept": "all of the 2 utterances were dropped"}
    assert "<svg" in (receipt.output / "report.html").read_text(encoding="utf-8")


def test_a_corpus_of_which_nothing_was_measured_is_reported(tmp_path):
    config = ValidateConfig(max_duration_s=0.5)
    receipt = validate(manifest(tmp_path, ("a", "ann", "hello", "en"), ("b", "bob", "hello", "en")), tmp_path / "out", config)
    assert receipt.counts["dropped"] == {"too_long": 2}
    assert "Utterances by level" not in (receipt.output / "report.html").read_text(encoding="utf-8")


def test_other_languages_have_no_oov_check_and_keep_their_letters(tmp_path):
    source = manifest(tmp_path, ("a", "ann", "Übung größer", "de"), ("b", "bob", "hello flibbertigibbetish", "en"))
    output = validate(source, tmp_path / "out").output
    found = corpus_problems(output)
    assert found["no_lexicon"] == "language 'de': no lexicon comes with wordprint"
    assert [row["word"] for row in report_of(output)["oov"]] == ["flibbertigibbetish"]
    assert {"übung", "größer"} <= {row["word"] for row in read_jsonl(output / "words.jsonl")}
    line = "4 tokens of 4 words, 1 not in the lexicon, 2 in languages without one"
    assert any(line in said for said in summary_lines(report_of(output)))


def test_words_that_no_lexicon_was_asked_for_are_not_said_to_be_in_one(tmp_path):
    output = validate(manifest(tmp_path, ("a", "ann", "Übung größer", "de")), tmp_path / "out").output
    said = "\n".join(summary_lines(report_of(output)))
    assert "2 words, 2 in languages without one" in said
    assert "not in the lexicon" not in said
    page = (output / "report.html").read_text(encoding="utf-8")
    assert '>–</div><div class="note">2 words in languages without one' in page


GERMAN = "übermorgen gehen wir durch verschneite wälder zwischen riesigen bäumen und beobachten flüchtende rehkitze"


def test_a_corpus_in_another_language_is_stopped_and_goes_on_when_told(tmp_path):
    source = manifest(tmp_path, ("a", "ann", GERMAN, "en"), ("b", "bob", "hello there", "en"))
    with pytest.raises(InputError) as stopped:
        validate(source, tmp_path / "out", ValidateConfig(max_chars_per_s=200.0))
    for part in (
        r"66.7 % of the words in language 'en' \(10 of 15 tokens\)",
        "expected at most 20 %",
        "--language .* --lexicon",
        "--aligner mfa",
        "--max-oov-share 1",
    ):
        assert re.search(part, str(stopped.value))
    assert (tmp_path / "out" / "report.html").is_file()
    receipt = validate(source, tmp_path / "out", ValidateConfig(max_chars_per_s=200.0, max_oov_share=1.0))
    assert receipt.counts["kept"] == 2


def test_made_up_keywords_and_other_languages_by_their_own_name_are_not_stopped(tmp_path):
    source = manifest(tmp_path, ("a", "ann", "hey nyumaya", "en"), ("b", "bob", "flibbertigib", "en"), ("c", "cid", GERMAN, "de"))
    assert validate(source, tmp_path / "out", ValidateConfig(max_chars_per_s=200.0)).counts["kept"] == 3


def test_real_speech_is_in_its_language(shared_data, tmp_path):
    """German sentences declared English are stopped, also a few of them; LibriSpeech is far from it."""
    german = [line.split("|")[1] for line in (shared_data / "german/metadata.csv").read_text(encoding="utf-8").splitlines()]
    for name, texts in (("all", german), ("few", german[:3])):
        (tmp_path / name).mkdir()
        source = manifest(tmp_path / name, *((str(n), "s", text, "en") for n, text in enumerate(texts)))
        with pytest.raises(InputError, match="not in the English lexicon"):
            validate(source, tmp_path / name / "out", ValidateConfig(max_chars_per_s=1000.0))
    lines = (shared_data / "LibriSpeech/dev-clean/1272/128104/1272-128104.trans.txt").read_text(encoding="utf-8").splitlines()
    source = manifest(tmp_path, *((str(n), "s", line.split(" ", 1)[1], "en") for n, line in enumerate(lines)))
    words = report_of(validate(source, tmp_path / "out", ValidateConfig(max_chars_per_s=1000.0)).output)["words"]
    assert words["oov_tokens"] < 0.05 * words["tokens"]


def test_noise_marks_are_no_words_and_are_counted(tmp_path):
    rows = (("a", "ann", "[laughter] hello (noise)", "en"), ("b", "bob", "there [laughter]", "en"), ("c", "cid", "[noise]", "en"))
    output = validate(manifest(tmp_path, *rows), tmp_path / "out").output
    assert problems(output)["a"] == [("noise_marks", "note")]
    assert problems(output)["c"] == [("no_words", "drop"), ("noise_marks", "note")]
    assert report_of(output)["noise_marks"] == {"[laughter]": 2, "(noise)": 1, "[noise]": 1}
    assert {row["word"] for row in read_jsonl(output / "words.jsonl")} == {"hello", "there"}
    assert "[laughter]" in (output / "report.html").read_text(encoding="utf-8")
    receipt = validate(tmp_path, tmp_path / "dropped", ValidateConfig(drop=("noise_marks",)))
    assert receipt.counts["kept"] == 0


def test_an_id_used_twice_keeps_the_first(lexicon, tmp_path):
    receipt = validate(
        manifest(tmp_path, ("a", "ann", "hello", "en"), ("a", "bob", "world", "en")),
        tmp_path / "out",
        ValidateConfig(lexicon=lexicon),
    )
    assert [utterance.speaker for utterance in read_utterances(receipt.output)] == ["ann"]
    assert receipt.counts["dropped"] == {"duplicate_id": 1}


def test_a_manifest_without_utterances_is_an_error(tmp_path):
    (tmp_path / "utterances.jsonl").write_text("")
    with pytest.raises(InputError, match="holds no utterances; run 'wordprint prepare'"):
        validate(tmp_path, tmp_path / "out")


def test_long_recordings_are_measured_block_by_block(lexicon, tmp_path, monkeypatch):
    monkeypatch.setattr("wordprint.speech.recording.BLOCK_S", 0.3)
    source = manifest(tmp_path, ("a", "ann", "hello there", "en"), ("b", "bob", "world", "en"))
    report = report_of(validate(source, tmp_path / "blocks", ValidateConfig(lexicon=lexicon)).output)
    monkeypatch.undo()
    assert report == report_of(validate(source, tmp_path / "whole", ValidateConfig(lexicon=lexicon)).output)


def test_markup_in_names_and_transcripts_is_shown_as_text(lexicon, tmp_path):
    source = manifest(tmp_path, ("<b>id</b>", "<i>ann</i>", "1 <script>alert(1)</script>", "en"), ("b", "bob", "world", "en"))
    page = (validate(source, tmp_path / "out", ValidateConfig(lexicon=lexicon)).output / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;i&gt;ann&lt;/i&gt;" in page


def test_the_summary_is_said_in_a_few_aligned_lines(corpus, lexicon, tmp_path):
    said: list[str] = []

    class Listener(Silent):
        def say(self, line: str) -> None:
            said.append(line)

    validate(corpus, tmp_path / "out", ValidateConfig(lexicon=lexicon), progress=Listener())
    assert said[0].startswith("kept ")
    assert "15 of 35 utterances" in said[0]
    rows = [line for line in said if line.startswith(("drop", "warning", "note"))]
    assert len(rows) >= 15
    assert len({re.match(r"\w+ +[\d,]+  (?=\w)", line).end() for line in rows}) == 1


def test_real_speech_passes(shared_data, tmp_path):
    """One LibriSpeech chapter (MP3), one speaker of speechocean762 (Opus), the German sentences: nothing is dropped."""
    from wordprint.speech.audio import probe_audio

    utterances = []

    def add(name, speaker, audio, text, language):
        utterances.append(Utterance(name, speaker, str(audio), 0.0, probe_audio(audio).duration_s, text, language).to_json())

    chapter = shared_data / "LibriSpeech/dev-clean/1272/128104"
    for line in (chapter / "1272-128104.trans.txt").read_text(encoding="utf-8").splitlines():
        name, text = line.split(" ", 1)
        add(name, "1272", chapter / f"{name}.mp3", text, "en")
    for line in (shared_data / "german/metadata.csv").read_text(encoding="utf-8").splitlines():
        name, text = line.split("|", 1)
        add(name, "kerstin", next((shared_data / "german").rglob(f"{name}.*")), text, "de")
    write_jsonl(tmp_path / "utterances.jsonl", utterances)
    receipt = validate(tmp_path, tmp_path / "out", workers=1)
    assert receipt.counts["kept"] == len(utterances) > 40
    assert problems(receipt.output) == {}


def test_an_edited_manifest_is_a_new_input(tmp_path):
    from wordprint.stages.contract import open_stage

    soundfile.write(tmp_path / "a.flac", noise(), 16_000)
    folder = tmp_path / "prepared"
    with open_stage("prepare", folder, ValidateConfig(), {}) as stage:
        utterance = Utterance("a", "s", str(tmp_path / "a.flac"), 0.0, SECONDS, SPOKEN)
        write_jsonl(folder / "utterances.jsonl", [utterance.to_json()])
        stage.finish(total=1, kept=1, outputs=["utterances.jsonl"])
    validate(folder, tmp_path / "out")
    assert not validate(folder, tmp_path / "out").fresh
    write_jsonl(folder / "utterances.jsonl", [replace(utterance, transcript="say other words").to_json()])
    with pytest.raises(OutputConflictError, match="input 'utterances' has changed"):
        validate(folder, tmp_path / "out")


def test_a_recording_that_may_not_be_read_is_one_finding(corpus, tmp_path, monkeypatch):
    shutil.copy(corpus / "plain.flac", tmp_path / "locked.flac")
    real = Path.stat

    def refuses_one(self, **how):
        if self.name == "locked.flac":
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, **how)

    monkeypatch.setattr(Path, "stat", refuses_one)
    utterances = [Utterance(name, "s", str(tmp_path / f"{name}.flac"), 0.0, SECONDS, SPOKEN) for name in ("locked",)]
    utterances.append(Utterance("plain", "s", str(corpus / "plain.flac"), 0.0, SECONDS, SPOKEN))
    write_jsonl(tmp_path / "utterances.jsonl", [utterance.to_json() for utterance in utterances])
    receipt = validate(tmp_path / "utterances.jsonl", tmp_path / "out")
    assert receipt.counts == {"in": 2, "kept": 1, "dropped": {"unreadable_audio": 1}}
