"""The whole measurement: figures, lists, page, resumption, any chunk size; with a model simple enough to know what it hears."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from toy_model import padded, read_phones, stream_of, word, write_model
from wordprint.errors import ConfigError, DatasetError, EnrollmentError, InputError, ModelError, OutputConflictError
from wordprint.evaluate import stream_report, streams
from wordprint.evaluate.options import EvaluateConfig
from wordprint.evaluate.stage import evaluate
from wordprint.evaluate.stream_running import read_dataset
from wordprint.evaluate.stream_systems import DEEPER, LiveSpotter, StreamSystem, load_system
from wordprint.model import Model
from wordprint.records import Alignment, Interval, Utterance
from wordprint.speech.audio import write_audio
from wordprint.speech.textgrid import write_textgrid
from wordprint.spot.enroll import make_keyword
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import READ_BELOW, Spotter
from wordprint.stages.manifest import digest_file, read_jsonl, write_jsonl
from wordprint.stages.progress import Lines
from wordprint.words.options import WordsConfig
from wordprint.words.stage import words

RATE = 16_000
CONFIG = {"stream_draws": 2, "stream_keywords": 3, "players": 2}


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "bands.onnx")


@pytest.fixture(scope="module")
def keywords(tmp_path_factory):
    """Two keywords by seven speakers."""
    folder = tmp_path_factory.mktemp("keywords") / "words"
    for name in ("red", "blue"):
        (folder / name).mkdir(parents=True)
        for speaker in range(7):
            write_audio(folder / name / f"s{speaker}_0.wav", padded(word(name, seed=speaker), seed=speaker))
    return folder


@pytest.fixture(scope="module")
def aligned(tmp_path_factory):
    """A folder as 'align' writes it: nine speakers, two utterances each, of three tone words ("green", "red", "blue").

    Every third begins with two words without a pause.
    """
    folder = tmp_path_factory.mktemp("align") / "align"
    lines = []
    for number in range(18):
        said = ("green", "red" if number % 2 else "green", "green") if number % 3 < 2 else ("blue", "blue", "blue")
        utterance = Utterance(f"u{number:02}", f"p{number % 9}", str(folder / f"{number}.wav"), 0.0, 8.0, " ".join(said).title())
        starts = (0.5, 1.05 if number % 3 == 1 else 3.0, 6.0)
        folder.mkdir(exist_ok=True)
        marks = list(zip(said, starts, strict=True))
        write_audio(utterance.audio, stream_of(*marks, seconds=8, seed=number))
        words = tuple(Interval(name, start, start + 0.5) for name, start in marks)
        textgrid = f"textgrids/{utterance.speaker}/{utterance.utterance_id}.TextGrid"
        (folder / textgrid).parent.mkdir(parents=True, exist_ok=True)
        write_textgrid(folder / textgrid, Alignment(utterance.utterance_id, words), 8.0)
        lines.append({**utterance.to_json(), "textgrid": textgrid, "goodness": None, "word_goodness": [], "oov": []})
    write_jsonl(folder / "alignments.jsonl", lines)
    return folder


@pytest.fixture(scope="module")
def measured(model_path, keywords, aligned, tmp_path_factory):
    output = tmp_path_factory.mktemp("out") / "streams"
    receipt = evaluate(str(model_path), [keywords], output, EvaluateConfig(stream=aligned, **CONFIG))
    return output, json.loads((output / "metrics.json").read_text(encoding="utf-8")), receipt


def test_both_kinds_of_material_clean_and_in_babble(measured):
    _, metrics, _ = measured
    assert metrics["schema"] == "wordprint.streams/1"
    names = ["isolated, clean", "isolated, babble 10 dB", "running, clean", "running, babble 10 dB"]
    assert [stream["name"] for stream in metrics["streams"]] == names
    assert metrics["model"]["hold_s"] == SpotConfig().hold_s
    for stream in metrics["streams"]:
        assert [point["rate"] for point in stream["shared"]] == [0.1, 0.5, 1.0, 5.0, 10.0]
        assert stream["background"]["speakers"] == 6  # three of nine babble
        for point in [*stream["shared"], *stream["own"]]:
            assert 0 <= point["missed"]["low"] <= point["missed"]["value"] <= point["missed"]["high"] <= 1
    isolated, running = metrics["streams"][0], metrics["streams"][2]
    # every keyword is scored, not the first alone
    assert [entry["keyword"] for entry in isolated["keywords"]] == ["blue", "red"]
    assert all(entry["spoken"] >= 6 for entry in isolated["keywords"])  # a shot of both draws is never asked for
    assert [entry["keyword"] for entry in running["keywords"]] == ["green"]


def test_a_keyword_is_no_background_for_itself(measured):
    """Of twelve utterances, four say "red", four others "blue", and eight "green"."""
    _, metrics, _ = measured
    isolated, running = metrics["streams"][0], metrics["streams"][2]
    hours = {entry["keyword"]: entry["background_hours"] for entry in isolated["keywords"] + running["keywords"]}
    whole = isolated["background"]["hours"]
    assert hours == pytest.approx({"red": whole * 2 / 3, "blue": whole * 2 / 3, "green": whole / 3}, rel=0.05)


def test_what_is_easy_is_found_by_scores_and_by_the_live_code(measured):
    _, metrics, _ = measured
    running = metrics["streams"][2]["keywords"][0]
    assert running["own"][0]["missed"]["value"] == 0
    for entry in metrics["streams"][0]["keywords"]:
        point = entry["own"][0]
        assert point["missed"]["value"] == 0
        assert point["decided"]["missed"]["value"] == 0
        assert point["false_alarms"]["text"].startswith("<")
        assert point["decided"]["false_alarms"]["count"] == 0
        assert -0.5 < point["decided"]["median_delay_s"] <= 0.5


def test_published_lists_say_who_enrolled_whom_and_where_everything_lies(measured):
    output, metrics, receipt = measured
    assert set(metrics["trials"]) == {"isolated_stream", "isolated_draws", "running_stream", "running_draws"}
    for entry in metrics["trials"].values():
        assert digest_file(output / entry["file"]) == entry["sha256"]
    lines = {line["name"]: line for line in read_jsonl(output / metrics["trials"]["isolated_stream"]["file"])}
    for draw in read_jsonl(output / metrics["trials"]["isolated_draws"]["file"]):
        enrolled = {lines[name]["speaker"] for name, *_ in draw["shots"]}
        assert len(enrolled) == 3
        assert enrolled.isdisjoint(lines[name]["speaker"] for name, *_ in draw["tested"])
    assert receipt.counts["in"] == receipt.counts["kept"] + sum(receipt.counts["dropped"].values())


def test_again_does_nothing_and_elsewhere_gives_the_same_bytes(measured, model_path, keywords, aligned, tmp_path):
    output, _, _ = measured
    config = EvaluateConfig(stream=aligned, **CONFIG)
    assert not evaluate(str(model_path), [keywords], output, config).fresh
    evaluate(str(model_path), [keywords], tmp_path / "out", config)
    for path in sorted((output / "trials").iterdir()):
        assert path.read_bytes() == (tmp_path / "out" / "trials" / path.name).read_bytes()
    here, there = (json.loads((folder / "metrics.json").read_text()) for folder in (output, tmp_path / "out"))
    assert here.pop("command") != there.pop("command")
    assert here == there
    with pytest.raises(OutputConflictError, match="stream_shots"):
        evaluate(str(model_path), [keywords], output, EvaluateConfig(stream=aligned, stream_shots=2, **CONFIG))


def test_a_run_that_was_stopped_goes_on(model_path, keywords, aligned, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    config = EvaluateConfig(stream=aligned, **CONFIG)
    monkeypatch.setattr(streams, "describe", stop)
    with pytest.raises(KeyboardInterrupt):
        evaluate(str(model_path), [keywords], tmp_path / "out", config)
    monkeypatch.undo()
    monkeypatch.setattr(LiveSpotter, "looks", stop)
    assert evaluate(str(model_path), [keywords], tmp_path / "out", config).fresh
    assert not (tmp_path / "out" / ".parts").exists()


@pytest.mark.parametrize("chunk", [1, 777, 1600, 16_001])
def test_looks_do_not_depend_on_chunk_size_nor_on_time(model_path, chunk):
    """And what `process` detects is what these looks give: one code decides."""
    model = Model(model_path)
    keyword = make_keyword(model, "red", [padded(word("red", seed=n), seed=n) for n in range(3)], 0.8)
    samples = stream_of(("red", 1.0), ("blue", 2.5), seconds=4)
    spotter = Spotter(model, Enrollment(model.name, model.digest, (keyword,)))
    found = [look for at in range(0, len(samples), chunk) for look in spotter.looks(samples[at : at + chunk])]
    ends, scores = LiveSpotter(model).looks(samples, [keyword])
    assert [look.end_sample for look in found] == ends.tolist() == list(range(1280, len(samples) + 1, 1280))
    scores += np.float32(keyword.threshold)  # a score is what a similarity is above it
    np.testing.assert_allclose(np.array([look.similarities for look in found]).T, scores, atol=1e-6)
    assert 1.4 * RATE < ends[scores[0].argmax()] < 1.8 * RATE
    assert scores[0].max() > 0.98
    assert scores[0][(ends > 2.9 * RATE) & (ends < 3.1 * RATE)].max() < 0.3


def test_phones_are_read_where_a_lower_threshold_may_be_tried(model_path):
    """As they are live with that threshold."""
    model = Model(model_path)
    model.reads_phones, model.phones_of = True, read_phones
    keyword = replace(make_keyword(model, "red", [padded(word("red"))], 0.9), sounds=("B",))
    samples = stream_of(("red", 1.0), ("green", 3.0), ("blue", 5.0), seconds=7)
    _, (scores,) = LiveSpotter(model).looks(samples, [keyword])
    enrollment = Enrollment(model.name, model.digest, (keyword,))
    everything, few = (
        np.array([look.similarities[0] for look in Spotter(model, enrollment, config).looks(samples)]) - 0.9
        for config in (SpotConfig(threshold=-1.0), SpotConfig())
    )
    known = scores > -DEEPER - READ_BELOW
    np.testing.assert_allclose(scores[known], everything[known], atol=1e-6)
    assert (few[known] > everything[known] + 0.01).any()


def test_the_page_is_one_file_with_figures_tables_and_errors_to_listen_to(measured):
    output, metrics, _ = measured
    page = (output / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "Misses against false alarms per hour" in page
    assert page.count("<details") == len(metrics["streams"])
    listening = json.loads(re.search(r'id="listen-data">(.*?)</script>', page, re.DOTALL)[1])
    assert {row["values"]["kind"] for row in listening["rows"]} <= {"false alarm", "miss"}
    assert len(listening["rows"]) == len(listening["clips"])


def _tables(page):
    """Rows of cells as text, headers first."""
    rows = [re.findall(r"<tr>(.*?)</tr>", table, re.DOTALL) for table in re.findall(r"<table>(.*?)</table>", page, re.DOTALL)]
    return [[re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in table] for table in rows]


def test_the_page_tells_what_is_missed_inside_sentences_how_late_answers_come_and_intervals(measured):
    output, metrics, _ = measured
    page = (output / "report.html").read_text(encoding="utf-8")
    overview, *tables = _tables(page)
    names = [row[0] for row in overview[1:]]
    inside = "… inside sentences"
    assert names == ["isolated, clean", "isolated, babble 10 dB", "running, clean", inside, "running, babble 10 dB", inside]
    draws = read_jsonl(output / metrics["trials"]["running_draws"]["file"])
    tested = {(name, start_s) for draw in draws for name, start_s, _ in draw["tested"]}
    joined = [name for name, start_s in tested if int(name[1:]) % 3 == 1 and start_s < 3]
    running = metrics["streams"][2]
    assert 0 < len(joined) < running["spoken"] == len(tested)
    assert overview[4][1] == f"{len(joined)} × 2"
    for point in running["shared"]:
        missed = point["missed_inside_sentences"]
        assert missed["spoken"] == len(joined)
        assert 0 <= missed["low"] <= missed["value"] <= missed["high"] <= 1
    assert metrics["streams"][0]["shared"][0]["missed_inside_sentences"] is None
    assert page.count("said with another word within 0.1 s") == 1
    for stream, (heads, *rows) in zip(metrics["streams"], tables, strict=True):
        assert f"{stream['background']['hours']:.2f} h of background</summary>" in page
        for entry, row in zip(stream["keywords"], rows, strict=True):
            cells = dict(zip(heads, row, strict=True))
            assert cells["Delay"] == f"{entry['shared'][2]['decided']['median_delay_s']:.2f} s".replace("-", "−")
            missed = entry["own"][4]["missed"]
            assert cells["own 10"] == f"{100 * missed['value']:.0f} ({100 * missed['low']:.0f}–{100 * missed['high']:.0f})"


def test_mistakes_are_played_with_what_was_said(model_path, keywords, aligned, tmp_path, monkeypatch):
    """A model that is shown green as red rings at green, and misses some red. In a stream of minutes many an hour are few."""
    monkeypatch.setattr(stream_report, "LISTEN_RATE", 200.0)
    monkeypatch.setattr(stream_report, "_overview", lambda stream: [])
    monkeypatch.setattr(stream_report, "_keyword_rows", lambda stream: [])
    folder = tmp_path / "keywords"
    shutil.copytree(keywords, folder)
    for number, path in enumerate(sorted((folder / "red").iterdir())):
        write_audio(path, padded(word("green" if number % 2 else "red", seed=number), seed=number))
    config = EvaluateConfig(stream=aligned, targets=("red",), stream_draws=3, players=3, stream_shots=2)
    evaluate(str(model_path), [folder], tmp_path / "out", config)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    rows = json.loads(re.search(r'id="listen-data">(.*?)</script>', page, re.DOTALL)[1])["rows"]
    assert {row["values"]["kind"] for row in rows} == {"false alarm", "miss"}
    said = [{name: text for name, text, _ in row["facts"]}["said"] for row in rows if row["values"]["kind"] == "false alarm"]
    assert "Green" in said[0]


def test_words_of_a_dataset_are_running_speech(model_path, aligned, tmp_path):
    all_train = dict.fromkeys(("test_speakers", "validation_speakers", "test_words", "validation_words"), 0.0)
    words(
        aligned,
        tmp_path / "words",
        WordsConfig(min_goodness="none", min_tokens=1, min_speakers=1, **all_train),
    )
    config = EvaluateConfig(stream=tmp_path / "words", split="train", **CONFIG)
    receipt = evaluate(str(model_path), [], tmp_path / "out", config)
    assert set(receipt.details) == {"running, clean", "running, babble 10 dB"}
    with pytest.raises(DatasetError, match=r"the test split of .* is empty; choose another one with --split"):
        evaluate(str(model_path), [], tmp_path / "empty", replace(config, split="test"))
    with pytest.raises(InputError, match="give a dataset with --stream"):
        evaluate(str(model_path), [tmp_path / "words"], tmp_path / "no", EvaluateConfig(stream=aligned))


def test_a_dataset_gives_the_speakers_of_the_split_alone(aligned, tmp_path):
    words(aligned, tmp_path / "words", WordsConfig(min_goodness="none", min_tokens=1, min_speakers=1, test_speakers=0.5))
    speakers = {split: {item.speaker for item in read_dataset(tmp_path / "words", split)} for split in ("train", "test")}
    assert all(speakers.values())
    assert not speakers["train"] & speakers["test"]
    assert all(len(item.words) == 3 for item in read_dataset(tmp_path / "words", "test"))  # of whatever split they are


def test_an_utterance_that_cannot_be_read_is_named_and_the_rest_measured(model_path, aligned, tmp_path):
    folder = shutil.copytree(aligned, tmp_path / "align")
    lines = [line | {"audio": str(folder / f"{number}.wav")} for number, line in enumerate(read_jsonl(folder / "alignments.jsonl"))]
    write_jsonl(folder / "alignments.jsonl", lines)
    (folder / "6.wav").write_bytes(b"no audio")
    (folder / lines[7]["textgrid"]).write_text("nothing", encoding="utf-8")
    receipt = evaluate(str(model_path), [], tmp_path / "out", EvaluateConfig(stream=folder, **CONFIG | {"stream_draws": 6}))
    dropped = [(line["item"], line["reason"]) for line in read_jsonl(tmp_path / "out" / "dropped.jsonl")]
    assert ("u06", "unreadable_audio") in dropped
    assert ("u07", "unreadable_textgrid") in dropped
    assert any(item.startswith("green, draw") for item, _ in dropped)  # a shot of it was there
    (keyword,) = json.loads((tmp_path / "out" / "metrics.json").read_text())["streams"][0]["keywords"]
    assert keyword["own"][0]["false_alarms"]["text"] == f"< {3 / keyword['background_hours']:.2g}"
    assert receipt.counts["in"] == receipt.counts["kept"] + sum(receipt.counts["dropped"].values())


def test_a_background_of_which_nothing_can_be_read_is_told(model_path, keywords, tmp_path):
    background = tmp_path / "background"
    background.mkdir()
    for number in range(2):  # whose headers are right
        path = background / f"{number}.flac"
        write_audio(path, stream_of(("green", 1.0), seconds=20, seed=number))
        path.write_bytes(path.read_bytes()[:200] + bytes(5000))
    with pytest.raises(DatasetError, match=r"no background without .* can be heard; see dropped\.jsonl"):
        evaluate(str(model_path), [keywords], tmp_path / "out", EvaluateConfig(stream=background, **CONFIG))


def test_a_plain_folder_has_no_running_speech_and_says_that_transcripts_are_missing(model_path, keywords, tmp_path):
    background = tmp_path / "background"
    background.mkdir()
    for number in range(3):
        write_audio(background / f"{number}.wav", stream_of(("green", 1.0), seconds=20, seed=number))
    receipt = evaluate(str(model_path), [keywords], tmp_path / "out", EvaluateConfig(stream=background, **CONFIG))
    assert set(receipt.details) == {"isolated, clean"}  # and nobody to babble
    assert "no transcript" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    with pytest.raises(InputError, match="no keywords to look for"):
        evaluate(str(model_path), [], tmp_path / "none", EvaluateConfig(stream=background))


def test_keywords_may_be_typed_to_the_live_code():
    system = load_system(Model(), typed=True)
    typed, alone = system.enroll("lights on", []), system.enroll("lights on", [padded(word("red"))])
    assert "L AY T S AA N" in typed.phones
    assert (len(typed.shots), len(alone.shots)) == (0, 1)
    assert alone.phones == ()  # tones don't sound like it


def test_what_was_trained_on_is_said(keywords, aligned, tmp_path, capsys):
    system = Fixed()
    system.training_words, system.metadata = frozenset({"red"}), {"training_speakers": ["p8", "corpus-s1"]}
    evaluate(system, [keywords], tmp_path / "out", EvaluateConfig(stream=aligned, **CONFIG), progress=Lines())
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["seen_in_training"] == {"keywords": ["red"], "speakers": ["p8", "s1"]}
    said = capsys.readouterr().err
    assert len(metrics["warnings"]) == 2
    assert all(f"WARNING: {warning}" in said for warning in metrics["warnings"])


def test_a_keyword_folder_may_be_named_as_the_background_is(keywords, aligned, tmp_path):
    folder = shutil.copytree(keywords, tmp_path / "stream")
    config = EvaluateConfig(stream=aligned, targets=("red",), **CONFIG)
    evaluate(Fixed(), [folder], tmp_path / "out", config)
    assert set(json.loads((tmp_path / "out" / "metrics.json").read_text())["inputs"]) == {"stream", "stream-2"}
    (folder / "red" / "s0_0.wav").unlink()
    with pytest.raises(OutputConflictError, match="input 'stream-2' has changed"):
        evaluate(Fixed(), [folder], tmp_path / "out", config)


class Fixed:
    """A system with a way of its own: it knows one word, and hears it where the stream is loud."""

    name, digest, training_words, hold_s = "fixed", "1" * 64, None, 0.0

    def enroll(self, keyword, shots):
        if keyword != "red":
            raise EnrollmentError(f"'{keyword}' is not one of the fixed keywords")
        return keyword

    def looks(self, samples, enrolled):
        frames = np.abs(samples[: len(samples) // 1600 * 1600]).reshape(-1, 1600).max(axis=1)
        return np.arange(1, len(frames) + 1) * 1600, np.tile(frames, (len(enrolled), 1)).astype(np.float32)


def test_other_systems_are_measured_by_the_same_code(keywords, aligned, tmp_path):
    assert isinstance(Fixed(), StreamSystem)
    config = EvaluateConfig(stream=aligned, targets=("red", "blue"), **CONFIG)
    with pytest.raises(DatasetError, match="fixed can enroll none of the isolated keywords"):
        evaluate(
            Fixed(), [keywords], tmp_path / "none", replace(config, targets=("blue",), stream=_without_times(aligned, tmp_path))
        )
    receipt = evaluate(Fixed(), [keywords], tmp_path / "out", config)
    assert receipt.counts["dropped"] == {"not_enrolled": 4}  # "blue" and "green", in two draws each
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert [entry["keyword"] for entry in metrics["streams"][0]["keywords"]] == ["red"]
    assert metrics["seen_in_training"] == {"keywords": None, "speakers": None}
    assert "fixed can enroll none of the running keywords" in metrics["not_run"]["running"]


def _without_times(aligned, tmp_path):
    """A folder as 'prepare' writes it."""
    (tmp_path / "utterances").mkdir()
    shutil.copy(aligned / "alignments.jsonl", tmp_path / "utterances" / "utterances.jsonl")
    return tmp_path / "utterances"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"stream_shots": -1}, "stream_shots"),
        ({"stream_synthetic_voices": True}, "typed keywords"),
        ({"stream_draws": 0}, "stream_draws"),
        ({"stream_snr_db": 99.0}, "snr"),
    ],
)
def test_options_out_of_range(model_path, keywords, aligned, tmp_path, changes, match):
    with pytest.raises(ConfigError, match=match):
        evaluate(str(model_path), [keywords], tmp_path / "out", EvaluateConfig(stream=aligned, **{**CONFIG, **changes}))


def test_too_few_recordings_are_said(model_path, keywords, aligned, tmp_path):
    with pytest.raises(DatasetError, match="no keyword has enough recordings"):
        evaluate(str(model_path), [keywords], tmp_path / "out", EvaluateConfig(stream=aligned, stream_shots=6, stream_draws=1))


def test_specs_that_are_no_system():
    with pytest.raises(InputError, match="does not exist"):
        load_system("no such thing")
    with pytest.raises(ModelError, match="lacks"):
        load_system("fractions:Fraction")


def test_keywords_whose_phones_the_model_lacks_are_named(model_path, aligned, tmp_path):
    config = EvaluateConfig(stream=aligned, **CONFIG | {"stream_shots": 0})
    with pytest.raises(DatasetError, match="can enroll none of the running keywords"):
        evaluate(str(model_path), [], tmp_path / "out", config)


def test_what_is_around_a_word_is_not_shown_to_a_model_that_finds_the_speech_itself(model_path, keywords, tmp_path):
    with pytest.raises(ConfigError, match="context is set, but bands finds the speech in a recording by itself; leave it out"):
        evaluate(str(model_path), [keywords], tmp_path / "out", EvaluateConfig(context=True))
