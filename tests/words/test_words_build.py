"""Stage `words`: what is cut, what is dropped and why, and that the same input gives the same bytes."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from wordprint.errors import ConfigError, DatasetError, InputError, OutputConflictError
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.progress import SILENT
from wordprint.stages.receipt import RECEIPT
from wordprint.words import filters
from wordprint.words.dataset import WordDataset
from wordprint.words.options import WordsConfig
from wordprint.words.rules import excluded_words
from wordprint.words.stage import words

ALL = WordsConfig(
    min_letters=1, min_tokens=1, min_speakers=1, validation_speakers=0, test_speakers=0, validation_words=0, test_words=0
)


def rows(dataset: WordDataset) -> list[dict[str, object]]:
    return dataset.segments.to_pylist()


def two_speakers(corpus, *intervals, **options):
    """The same words by two speakers."""
    corpus.add("a-1", "ann", intervals, **options)
    corpus.add("b-1", "bob", intervals, **options)
    return corpus.write()


def test_planted_segments_are_found_at_exact_samples(corpus, tmp_path):
    folder = two_speakers(corpus, ("hello", 0.25, 0.75), ("world", 0.75, 1.5), ("again", 2.0, 2.5))
    words(folder, tmp_path / "out", ALL)
    dataset = WordDataset(tmp_path / "out")
    found = {(row["utterance_id"], row["words"]): number for number, row in enumerate(rows(dataset))}
    assert len(found) == len(dataset) == 6
    for utterance_id, samples in corpus.audio.items():
        for word, start, end in (("hello", 4000, 12000), ("world", 12000, 24000), ("again", 32000, 40000)):
            np.testing.assert_array_equal(dataset.segment_audio(found[utterance_id, word]), samples[start:end])


def test_rows_hold_what_the_schema_says(corpus, tmp_path):
    phones = [("HH", 0.2, 0.4), ("AY", 0.4, 0.7), ("DH", 0.7, 0.8), ("EH", 0.8, 1.1)]
    intervals = [("Hi", 0.2, 0.7), ("there", 0.7, 1.1)]
    folder = two_speakers(corpus, *intervals, goodness=[-2.5, None], phones=phones)
    receipt = words(folder, tmp_path / "out", dataclasses.replace(ALL, max_phrase_words=2))
    first, phrase, second = rows(WordDataset(tmp_path / "out"))[:3]
    assert first == {
        "words": "hi", "n_words": 1, "phones": "HH AY", "utterance_id": "a-1", "speaker": "ann", "corpus": "noise",
        "shard": 0, "row": 0, "start_sample": 3200, "end_sample": 11200, "context_start_sample": 0,
        "context_end_sample": 48000, "goodness": -2.5, "split": "train",
    }  # fmt: skip
    assert (phrase["words"], phrase["n_words"], phrase["phones"]) == ("hi there", 2, "HH AY DH EH")
    assert (phrase["start_sample"], phrase["end_sample"], phrase["goodness"]) == (3200, 17600, None)
    assert second["goodness"] is None
    assert receipt.counts == {"in": 6, "kept": 6, "dropped": {}}


def test_a_phrase_is_as_good_as_its_worst_word(corpus, tmp_path):
    folder = two_speakers(corpus, ("good", 0.2, 0.7), ("bad", 0.7, 1.1), goodness=[-1.0, -9.0])
    words(folder, tmp_path / "out", dataclasses.replace(ALL, max_phrase_words=2))
    assert [row["goodness"] for row in rows(WordDataset(tmp_path / "out"))[:3]] == [-1.0, -9.0, -9.0]


def test_hand_corrected_words_have_unknown_goodness(corpus, tmp_path):
    folder = two_speakers(corpus, ("good", 0.2, 0.7), ("new", 0.7, 1.1), goodness=[-1.0])
    words(folder, tmp_path / "out", dataclasses.replace(ALL, min_goodness=-0.5))
    assert {row["goodness"] for row in rows(WordDataset(tmp_path / "out"))} == {None}


def test_phrases_stop_at_pauses(corpus, tmp_path):
    folder = two_speakers(corpus, ("one", 0.0, 0.3), ("two", 0.6, 0.9), ("six", 1.25, 1.5))
    words(folder, tmp_path / "out", dataclasses.replace(ALL, max_phrase_words=3))
    assert sorted({row["words"] for row in rows(WordDataset(tmp_path / "out"))}) == ["one", "one two", "six", "two"]


def test_every_reason_is_counted_and_named(corpus, tmp_path):
    spoken = [("xx", 0.0, 0.3), ("<unk>", 0.3, 0.5), ("short", 0.5, 0.55), ("alexa", 0.6, 1.0), ("long", 1.0, 2.2)]
    for number in range(3):
        more = [("poor", 2.2, 2.5), ("common", 2.5, 2.8), ("late", 2.9, 3.4)]
        goodness = [-1.0] * 5 + [-9.0, -1.0, -1.0]
        corpus.add(f"u-{number}", f"s{number}", [*spoken, *more], goodness=goodness, duration_s=3.5)
    corpus.add("u-4", "s0", [("rare", 0.0, 0.4), ("mine", 0.5, 0.9), ("mine", 1.0, 1.4), ("other", 1.5, 1.9)])
    corpus.add("u-5", "s1", [("other", 0.0, 0.4)])
    corpus.add("u-6", "s2", [("lost", 0.0, 0.4)])
    corpus.lines[-1]["audio"] = str(corpus.folder / "gone.flac")
    for line in corpus.lines[:3]:  # the recording ends before the alignment does
        line["end_s"] = 3.0
    config = dataclasses.replace(
        ALL,
        min_letters=3,
        max_duration_s=1.0,
        min_goodness=-5.0,
        exclude_words=("Alexa",),
        min_tokens=2,
        min_speakers=2,
        max_tokens=2,
    )
    receipt = words(corpus.write(), tmp_path / "out", config)
    assert receipt.counts["dropped"] == {
        "few_letters": 3, "not_a_word": 3, "short_segment": 3, "excluded_word": 3, "long_segment": 3, "low_goodness": 3,
        "beyond_audio": 3, "few_tokens": 1, "few_speakers": 2, "many_tokens": 1, "missing_audio": 1,
    }  # fmt: skip
    assert receipt.counts["in"] == receipt.counts["kept"] + sum(receipt.counts["dropped"].values())
    kept = [row["words"] for row in rows(WordDataset(tmp_path / "out"))]
    assert sorted(kept) == ["common", "common", "other", "other"]
    named = json.loads((tmp_path / "out" / RECEIPT).read_text())["dropped_items"]
    assert named["few_tokens"] == ["u-4:0-6400 rare"]
    assert named["missing_audio"] == ["u-6"]
    assert len(named["excluded_word"]) == 3
    assert receipt.details["utterances"] == {"in": 6, "stored": 5, "unusable": 1}


def test_context_stops_at_excluded_words_and_words_of_another_side(corpus, tmp_path):
    """With half of the words kept for validation (so held out), neighbours are of the word's side or not heard."""
    names = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliet"]
    intervals = [(name, 0.2 + 0.5 * number, 0.6 + 0.5 * number) for number, name in enumerate(names)]
    folder = two_speakers(corpus, *intervals, duration_s=6.0)
    config = dataclasses.replace(ALL, validation_words=0.5, exclude_words=("echo",))
    words(folder, tmp_path / "out", config)
    dataset = WordDataset(tmp_path / "out")
    side = {row["words"]: row["split"] for row in rows(dataset)}
    assert set(side.values()) == {"train", "held_out"}
    assert "echo" not in side
    for row in rows(dataset):
        place = names.index(row["words"])
        low, high = place - 1, place + 1
        while low >= 0 and side.get(names[low]) == row["split"]:
            low -= 1
        while high < len(names) and side.get(names[high]) == row["split"]:
            high += 1
        assert row["context_start_sample"] == (round(intervals[low][2] * SAMPLE_RATE) if low >= 0 else 0)
        assert row["context_end_sample"] == (round(intervals[high][1] * SAMPLE_RATE) if high < len(names) else 96_000)


def test_excluded_words_come_from_files_and_folders(tmp_path):
    (tmp_path / "words.txt").write_text("Alexa\nhey siri\n", encoding="utf-8")
    for name in ("how_are_you", "archie", "_silence_", ".hidden"):
        (tmp_path / "folders" / name).mkdir(parents=True)
    (tmp_path / "folders" / "README.md").write_text("not a word")
    assert excluded_words(tmp_path / "words.txt") == {"alexa", "hey", "siri"}
    assert excluded_words(tmp_path / "folders") == {"how", "are", "you", "archie"}


@pytest.mark.parametrize(
    ("excluded", "spoken"),
    [
        ("one", "twenty one"),
        ("one", "twenty-one"),
        ("ONE", "forty\u2010one's"),
        ("one", "one's"),
        ("one", "one’s"),
        ("hi-fi", "hi"),
        ("don’t", "don't"),
        ("don't", "don’t"),
        ("café", "cafe"),
        ("hey_siri", "siri"),
        ("мир", "мир"),
        ("हिन्दी", "हिन्दी"),
    ],
)
def test_excluded_words_are_found_however_they_are_written(corpus, tmp_path, excluded, spoken):
    """Neither is such a word a segment, nor is it in the context of its neighbours."""
    folder = two_speakers(corpus, ("before", 0.2, 0.6), (spoken, 0.7, 1.1), ("after", 1.2, 1.6))
    receipt = words(folder, tmp_path / "out", dataclasses.replace(ALL, exclude_words=(excluded,), max_phrase_words=3))
    found = rows(WordDataset(tmp_path / "out"))
    assert {row["words"] for row in found} == {"before", "after"}
    assert {row["context_end_sample"] for row in found if row["words"] == "before"} == {round(0.7 * SAMPLE_RATE)}
    assert receipt.counts["dropped"] == {"excluded_word": 8}


def test_a_word_is_excluded_and_not_what_is_spelled_like_a_part_of_it(corpus, tmp_path):
    folder = two_speakers(corpus, ("ones", 0.2, 0.6), ("none", 0.7, 1.1), ("phone", 1.2, 1.6))
    words(folder, tmp_path / "out", dataclasses.replace(ALL, exclude_words=("one", "ones's")))
    assert {row["words"] for row in rows(WordDataset(tmp_path / "out"))} == {"ones", "none", "phone"}


def test_joined_words_are_on_the_side_that_all_of_them_are_on(corpus, tmp_path):
    folder = two_speakers(corpus, ("delta", 0.2, 0.6), ("alpha-delta", 0.7, 1.1), ("alpha", 1.2, 1.6), ("india", 1.8, 2.2))
    words(folder, tmp_path / "out", dataclasses.replace(ALL, validation_words=0.5))
    sides = {row["words"]: row["split"] for row in rows(WordDataset(tmp_path / "out"))}
    assert sides == {"alpha": "train", "india": "train", "delta": "held_out", "alpha delta": "held_out"}


def test_lists_of_excluded_words_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.txt").write_bytes("schön\n".encode("latin-1"))
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(InputError, match="does not exist; expected a text file"):
        excluded_words(tmp_path / "missing")
    with pytest.raises(InputError, match="not UTF-8"):
        excluded_words(tmp_path / "latin.txt")
    with pytest.raises(InputError, match="names no words"):
        excluded_words(tmp_path / "empty.txt")


def test_the_most_tokens_of_a_type_are_chosen_by_hash(corpus_folder, tmp_path):
    config = dataclasses.replace(ALL, max_tokens=3)
    receipt = words(corpus_folder, tmp_path / "few", config)
    words(corpus_folder, tmp_path / "all", ALL)
    few, whole = (WordDataset(tmp_path / name) for name in ("few", "all"))
    counts = np.bincount(few.codes("words")[0])
    assert counts.tolist() == np.minimum(np.bincount(whole.codes("words")[0]), 3).tolist()
    assert receipt.counts["dropped"] == {"many_tokens": len(whole) - len(few)}


def test_types_table_counts_what_was_kept(dataset):
    import pandas

    types = pandas.read_feather(dataset.path / "types.arrow")
    segments = dataset.segments.to_pandas()
    expected = segments.groupby("words", observed=True).size()
    assert types.set_index("words")["segments"].to_dict() == expected.to_dict()
    speakers = segments.groupby("words", observed=True)["speaker"].nunique()
    assert types.set_index("words")["speakers"].to_dict() == speakers.to_dict()
    assert types["segments"].is_monotonic_decreasing


def test_same_bytes_for_any_number_of_workers(corpus_folder, tmp_path):
    config = WordsConfig(max_phrase_words=3, shard_hours=0.01, max_tokens=9)
    one = words(corpus_folder, tmp_path / "one", config)
    two = words(corpus_folder, tmp_path / "two", config, workers=2)
    assert len(one.outputs) > 8
    assert one.outputs == two.outputs
    assert (tmp_path / "one" / "dataset.json").read_bytes() == (tmp_path / "two" / "dataset.json").read_bytes()


def test_rows_flow_over_several_segment_shards(corpus_folder, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(filters, "SEGMENTS_PER_SHARD", 50)
    words(corpus_folder, tmp_path / "out", WordsConfig(max_phrase_words=2, shard_hours=0.01))
    several = WordDataset(tmp_path / "out")
    assert [shard["rows"] for shard in several.metadata["segment_shards"][:-1]] == [50] * (len(dataset) // 50)
    assert rows(several) == rows(dataset)
    assert several.column("words").tolist() == dataset.column("words").tolist()
    assert several.segments.to_pandas()["words"].tolist() == dataset.column("words").tolist()
    chosen = np.random.default_rng(0).integers(-len(dataset), len(dataset), 99)
    for name in ("shard", "row", "n_words", "end_sample"):
        assert several.at(name, chosen).tolist() == several.column(name)[chosen].tolist() == dataset.at(name, chosen).tolist()
    codes, phones = several.encoded("phones")
    assert phones.take(codes).to_pylist() == dataset.column("phones").tolist()


def test_done_twice_does_nothing_and_goes_on_where_it_stopped(corpus_folder, dataset, tmp_path):
    config = WordsConfig(max_phrase_words=2, shard_hours=0.01)
    output = tmp_path / "out"
    shutil.copytree(dataset.path, output)
    assert not words(corpus_folder, output, config).fresh
    with pytest.raises(OutputConflictError, match="min_tokens was 2, now 3"):
        words(corpus_folder, output, dataclasses.replace(config, min_tokens=3))


def test_killed_in_the_second_pass_goes_on(corpus_folder, dataset, tmp_path, monkeypatch):
    config = WordsConfig(max_phrase_words=2, shard_hours=0.01)
    monkeypatch.setattr("wordprint.words.filters._count", lambda paths: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        words(corpus_folder, tmp_path / "out", config)
    monkeypatch.undo()
    monkeypatch.setattr("wordprint.words.stage.read_audio", lambda *_: pytest.fail("audio was read again"))
    again = words(corpus_folder, tmp_path / "out", config)
    assert again.outputs == json.loads((dataset.path / RECEIPT).read_text())["outputs"]


def test_corrected_textgrids_are_a_new_input(corpus, tmp_path):
    folder = two_speakers(corpus, ("hello", 0.25, 0.75), ("world", 0.75, 1.5))
    words(folder, tmp_path / "out", ALL)
    textgrid = folder / "textgrids" / "ann" / "a-1.TextGrid"
    textgrid.write_text(textgrid.read_text().replace("hello", "hallo"))
    with pytest.raises(OutputConflictError, match="'textgrids' has changed"):
        words(folder, tmp_path / "out", ALL)


def test_one_speaker(corpus, tmp_path):
    corpus.add("a-1", "ann", [("hello", 0.25, 0.75), ("world", 0.75, 1.5)])
    with pytest.raises(DatasetError, match=r"one speaker \('ann'\); expected two speakers or more.*; add a corpus"):
        words(corpus.write(), tmp_path / "out", ALL)


def test_one_word(corpus, tmp_path):
    folder = two_speakers(corpus, ("hello", 0.25, 0.75), ("of", 0.8, 1.0))
    with pytest.raises(DatasetError, match=r"only word left is 'hello' \(dropped: 2 few_letters\); expected two words"):
        words(folder, tmp_path / "out", dataclasses.replace(ALL, min_letters=3))


def test_nothing_left_says_what_was_dropped(corpus, tmp_path):
    folder = two_speakers(corpus, ("hello", 0.25, 0.75), ("world", 0.8, 1.0))
    with pytest.raises(DatasetError, match=r"none of the words.*\(dropped: 4 few_tokens\).*loosen the filters"):
        words(folder, tmp_path / "out", dataclasses.replace(ALL, min_tokens=3))


def test_nothing_left_for_training(corpus, tmp_path):
    folder = two_speakers(corpus, ("hello", 0.25, 0.75), ("world", 0.8, 0.85), ("again", 1.0, 1.5))
    config = dataclasses.replace(ALL, test_words=0.4, min_duration_s=0.1)  # "hello" is for the test, "world" too short
    with pytest.raises(DatasetError, match=r"1 word types are left for training.*lower validation_speakers"):
        words(folder, tmp_path / "out", config)


def test_a_share_that_would_leave_nobody_to_train_on_gives_way(corpus, tmp_path):
    folder = two_speakers(corpus, ("hello", 0.25, 0.75), ("world", 0.8, 1.0))
    receipt = words(folder, tmp_path / "out", dataclasses.replace(ALL, test_speakers=0.999999))
    assert receipt.details["splits"]["train"]["speakers"] == 2
    assert WordDataset(tmp_path / "out").metadata["config"]["test_speakers"] == 0.0


def test_no_utterances(corpus, tmp_path):
    with pytest.raises(InputError, match="no utterances"):
        words(corpus.write(), tmp_path / "out", ALL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_phrase_words": 0}, "max_phrase_words is 0; expected at least 1"),
        ({"max_tokens": 0}, "max_tokens is 0"),
        ({"min_duration_s": 2.0, "max_duration_s": 1.0}, "min_duration_s is 2; expected less than max_duration_s"),
        ({"validation_words": 0.6, "test_words": 0.4}, "validation_words and test_words are 0.6 and 0.4"),
        ({"test_speakers": -0.1}, "test_speakers is -0.1; expected at least 0 and less than 1"),
    ],
)
def test_options_that_contradict_each_other(corpus_folder, tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        words(corpus_folder, tmp_path / "out", WordsConfig(**options))
    assert not (tmp_path / "out").exists()


def test_the_input_must_be_the_output_of_align(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        words(tmp_path / "missing", tmp_path / "out")
    with pytest.raises(InputError, match="run 'wordprint align' first"):
        words(tmp_path, tmp_path / "out")


def test_audio_tables_open_with_pandas(dataset, corpus_folder):
    import pandas

    audio = pandas.concat(pandas.read_feather(path) for path in sorted(Path(dataset.path).glob("audio-*.arrow")))
    assert audio["utterance_id"].tolist() == [f"utt-{number:03d}" for number in range(60)]
    assert audio["samples"].iloc[0].dtype == np.int16
    assert audio["samples"].map(len).tolist() == [round(2.6 * SAMPLE_RATE)] * 60


def test_segment_tables_open_with_pandas(dataset):
    import pandas

    table = pandas.concat(pandas.read_feather(path) for path in sorted(Path(dataset.path).glob("segments-*.arrow")))
    assert len(table) == len(dataset)
    assert table["words"].tolist() == dataset.column("words").tolist()
    assert table["goodness"].eq(-1.0).all()


def test_a_line_without_what_is_needed(corpus, tmp_path):
    two_speakers(corpus, ("hello", 0.25, 0.75), ("world", 0.8, 1.0))
    del corpus.lines[1]["textgrid"]
    with pytest.raises(InputError, match=r"alignments.jsonl:2 has no 'textgrid'"):
        words(corpus.write(), tmp_path / "out", ALL)


def test_speakers_to_leave_out_who_are_not_there_are_named(corpus, tmp_path, monkeypatch):
    """A misspelt name would be trained on."""
    folder = two_speakers(corpus, ("hello", 0.25, 0.75), ("world", 0.75, 1.5))
    corpus.add("c-1", "cora", (("hello", 0.25, 0.75),))
    corpus.write()
    said: list[str] = []
    monkeypatch.setattr(SILENT, "say", said.append)
    words(folder, tmp_path / "out", dataclasses.replace(ALL, exclude_speakers=("an", "cora")))
    assert said[-1] == "words: 1 of 2 exclude_speakers are not there (an); names are such as ann"
