"""The split depends on names alone, and a leak across it is found and named."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wordprint.errors import LeakError
from wordprint.words.dataset import WordDataset
from wordprint.words.split import SIDES, check_leaks, common_side, position, side
from wordprint.words.store import map_table, write_table


def test_sides_are_what_they_were_when_the_format_was_published():
    """A change here would move speakers and words of every existing dataset across the split."""
    assert position("1272", "speaker") == pytest.approx(PUBLISHED["speaker"], abs=1e-12)
    assert position("hello", "word") == pytest.approx(PUBLISHED["word"], abs=1e-12)


PUBLISHED = {"speaker": 0.48823916900422404, "word": 0.3559774042742454}


@given(st.lists(st.text(), unique=True), st.text())
def test_adding_a_name_moves_no_other(names, added):
    before = {name: side(name, "word", 0.2, 0.3) for name in names}
    after = {name: side(name, "word", 0.2, 0.3) for name in [added, *names]}
    assert before.items() <= after.items()


@given(st.text(), st.floats(0, 0.4), st.floats(0, 0.1))
def test_a_larger_validation_share_never_returns_a_name_to_training(name, share, more):
    if side(name, "speaker", share, 0.0) == "validation":
        assert side(name, "speaker", share + more, 0.0) == "validation"


def test_shares_are_met():
    sides = [side(f"speaker {number}", "speaker", 0.1, 0.2) for number in range(20_000)]
    shares = {name: sides.count(name) / len(sides) for name in SIDES}
    assert shares == pytest.approx({"train": 0.7, "validation": 0.1, "test": 0.2}, abs=0.01)


def test_speakers_and_words_of_one_name_are_split_apart():
    assert position("hope", "speaker") != position("hope", "word")


def test_common_side():
    assert common_side(["test", "test"]) == "test"
    assert common_side(["test", "train"]) == "held_out"


def test_a_built_dataset_does_not_leak(dataset):
    assert {"train", "held_out"} < set(dataset.codes("split")[1])
    check_leaks(dataset)


def test_each_segment_is_on_the_side_of_its_speaker_and_all_its_words(dataset):
    for row in dataset.segments.to_pylist():
        sides = [side(row["speaker"], "speaker", 0.1, 0.1), *(side(word, "word", 0.1, 0.1) for word in row["words"].split(" "))]
        assert row["split"] == common_side(sides)


def altered(dataset, folder, column, changes):
    """A copy of a dataset with some values of a column replaced."""
    shutil.copytree(dataset.path, folder)
    path = folder / "segments-00000.arrow"
    table = map_table(path)
    values = table.column(column).to_pylist()
    for index, value in changes.items():
        values[index] = value
    new = pa.array(values, pc.unique(table.column(column)).type if column != "split" else None)
    if column == "split":
        new = new.dictionary_encode()
    place = table.schema.get_field_index(column)
    table = table.set_column(place, table.schema.field(column), new).combine_chunks()
    path.unlink()
    write_table(path, table.to_batches(), table.schema)
    return WordDataset(folder)


def first_with(dataset, **values):
    keep = np.ones(len(dataset), bool)
    for name, value in values.items():
        keep &= dataset.column(name) == value
    return int(np.flatnonzero(keep)[0])


def test_a_word_on_two_sides_is_named(dataset, tmp_path):
    word = str(dataset.column("words")[first_with(dataset, split="train", n_words=1)])
    train = dataset.select("train", words=[word])
    leaking = altered(dataset, tmp_path / "leak", "split", {int(train[0]): "test"})
    with pytest.raises(LeakError, match=f"1 words both in train and in test: '{word}'"):
        check_leaks(leaking)


def test_a_speaker_on_two_sides_is_named(dataset, tmp_path):
    """A word of the validation side, said by a speaker of the training side."""
    sides = {word: side(word, "word", 0.1, 0.1) for word in dataset.words if " " not in word}
    speakers = {name: side(name, "speaker", 0.1, 0.1) for name in dataset.speakers}
    word = next(word for word, its in sides.items() if its == "validation")
    speaker = next(name for name, its in speakers.items() if its == "train")
    index = int(dataset.select(words=[word], speakers=[speaker])[0])
    with pytest.raises(LeakError, match=f"1 speakers both in train and in validation: '{speaker}'"):
        check_leaks(altered(dataset, tmp_path / "leak", "split", {index: "validation"}))


@pytest.mark.parametrize("at_once", [1_000_000, 20])
def test_a_context_that_shows_another_side_is_found(dataset, tmp_path, monkeypatch, at_once):
    monkeypatch.setattr("wordprint.words.split._SEGMENTS_AT_ONCE", at_once)
    check_leaks(dataset)
    ends = dataset.column("context_end_sample")
    train = dataset.select("train")
    index = int(next(i for i in train if ends[i] < 2.6 * 16_000 - 6000))
    leaking = altered(dataset, tmp_path / "leak", "context_end_sample", {index: int(ends[index]) + 6000})
    with pytest.raises(LeakError, match="context of 1 train segments shows words of another side"):
        check_leaks(leaking)


def test_an_excluded_word_in_the_dataset_is_found(dataset, tmp_path):
    shutil.copytree(dataset.path, tmp_path / "leak")
    for excluded, message in {
        ("wordc", "zebra"): "1 words both in the dataset and among its excluded words: 'wordc'",
        tuple(f"word{letter}" for letter in "abcdefgh"): "8 words .*: 'worda', 'wordb', 'wordc', 'wordd', 'worde' and 3 more",
    }.items():
        (tmp_path / "leak" / "dataset.json").write_text(json.dumps(dataset.metadata | {"excluded_words": excluded}))
        with pytest.raises(LeakError, match=message):
            check_leaks(WordDataset(tmp_path / "leak"))
