"""Random access to a word dataset: crops against a naive loop, views without copies, pickling."""

from __future__ import annotations

import json
import pickle
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wordprint.errors import InputError
from wordprint.words.dataset import WordDataset, is_word_dataset


def naive_crop(dataset, index, start, window_samples, context_samples=None):
    row = dataset.segments.slice(index, 1).to_pylist()[0]
    samples = dataset.samples(row["shard"], row["row"])
    low, high = row["context_start_sample"], row["context_end_sample"]
    if context_samples is not None:
        low, high = max(low, row["start_sample"] - context_samples), min(high, row["end_sample"] + context_samples)
    return [samples[place] if low <= place < high else 0 for place in range(start, start + window_samples)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_crops_agree_with_a_naive_loop(dataset, data):
    count = data.draw(st.integers(0, 5))
    window = data.draw(st.integers(1, 3000))
    indices = data.draw(st.lists(st.integers(0, len(dataset) - 1), min_size=count, max_size=count))
    edges = [edge for index in indices for edge in dataset.limits([index])]
    near = st.sampled_from([int(edge[0]) for edge in edges] or [0])
    starts = [data.draw(near) + data.draw(st.integers(-2 * window, 2 * window)) for _ in indices]
    context = data.draw(st.none() | st.integers(0, 4000))
    crops = dataset.crops(indices, starts, window, context_samples=context)
    expected = [naive_crop(dataset, index, start, window, context) for index, start in zip(indices, starts, strict=True)]
    assert crops.dtype == np.int16
    np.testing.assert_array_equal(crops, np.array(expected, np.int16).reshape(count, window))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_views_are_slices_within_the_limits(dataset, data):
    index = data.draw(st.integers(0, len(dataset) - 1))
    start, stop = sorted(data.draw(st.tuples(st.integers(-50_000, 90_000), st.integers(-50_000, 90_000))))
    row = dataset.segments.slice(index, 1).to_pylist()[0]
    low, high = row["context_start_sample"], row["context_end_sample"]
    expected = dataset.samples(row["shard"], row["row"])[min(max(start, low), high) : min(max(stop, low), high)]
    np.testing.assert_array_equal(dataset.view(index, start, stop), expected)
    np.testing.assert_array_equal(dataset.views([index], [start], [stop])[0], expected)


def test_context_can_be_given_for_each_crop(dataset):
    indices = np.array([0, 1, 2])
    starts = dataset.centred_starts(indices, 16_000)
    together = dataset.crops(indices, starts, 16_000, context_samples=[0, 100, 10_000])
    for row, context in enumerate([0, 100, 10_000]):
        alone = dataset.crops(indices[row : row + 1], starts[row : row + 1], 16_000, context_samples=context)
        np.testing.assert_array_equal(together[row], alone[0])


def test_centred_starts_put_the_middle_in_the_middle(dataset):
    starts = dataset.centred_starts([0], 1001)
    row = dataset.segments.slice(0, 1).to_pylist()[0]
    assert starts[0] + 500 == (row["start_sample"] + row["end_sample"]) // 2


def test_crops_fill_and_return_out(dataset):
    out = np.full((2, 100), 7, np.int16)
    assert dataset.crops([0, 1], [-500, -500], 100, out) is out
    assert not out.any()
    with pytest.raises(ValueError, match="out has shape"):
        dataset.crops([0], [0], 100, out)


def test_audio_is_not_copied(dataset):
    view = dataset.segment_audio(3)
    assert not view.flags.owndata
    assert not view.flags.writeable
    row = dataset.segments.slice(3, 1).to_pylist()[0]
    assert np.shares_memory(view, dataset.samples(row["shard"], row["row"]))


def test_select_by_split_words_and_speakers(dataset):
    split, words = dataset.column("split"), dataset.column("words")
    assert dataset.select().tolist() == list(range(len(dataset)))
    assert dataset.select("train").tolist() == np.flatnonzero(split == "train").tolist()
    word = str(words[0])
    assert (words[dataset.select(words=[word])] == word).all()
    assert set(dataset.column("speaker")[dataset.select(speakers=["speaker3", "nobody"])]) == {"speaker3"}
    with pytest.raises(InputError, match="no split 'dev'; expected one of train, validation"):
        dataset.select("dev")


def test_codes_name_the_column(dataset):
    for name in ("words", "speaker", "utterance_id", "corpus", "split"):
        codes, names = dataset.codes(name)
        assert [names[code] for code in codes] == dataset.segments.column(name).to_pylist()
        assert sorted(set(codes.tolist())) == list(range(len(names)))
    assert sorted(dataset.words) == sorted(set(dataset.column("words")))


def test_pickles_as_its_path(dataset):
    again = pickle.loads(pickle.dumps(dataset))
    assert len(pickle.dumps(dataset)) < 1000
    np.testing.assert_array_equal(again.crops([5], [0], 800), dataset.crops([5], [0], 800))


def test_another_version_is_refused(dataset, tmp_path):
    (tmp_path / "dataset.json").write_text(json.dumps({"schema": "wordprint.words/9"}))
    assert is_word_dataset(tmp_path)
    with pytest.raises(InputError, match=r"schema 'wordprint.words/9'; expected wordprint.words/2; run 'wordprint words' again"):
        WordDataset(tmp_path)


def test_a_folder_that_is_no_dataset(tmp_path):
    assert not is_word_dataset(tmp_path)
    with pytest.raises(InputError, match="run 'wordprint words' first"):
        WordDataset(tmp_path)


def test_a_missing_shard(dataset, tmp_path):
    (tmp_path / "dataset.json").write_bytes((dataset.path / "dataset.json").read_bytes())
    with pytest.raises(InputError, match=r"segments-00000.arrow can't be opened"):
        _ = WordDataset(tmp_path).segments


def test_a_damaged_shard(dataset, tmp_path):
    shutil.copytree(dataset.path, tmp_path / "copy")
    (tmp_path / "copy" / "audio-00000.arrow").write_bytes(b"ARROW1" * 100)
    with pytest.raises(InputError, match=r"audio-00000.arrow can't be opened as an Arrow file .*; run 'wordprint words' again"):
        WordDataset(tmp_path / "copy").segment_audio(0)
    (tmp_path / "copy" / "dataset.json").write_text("{")
    with pytest.raises(InputError, match=r"dataset.json is damaged"):
        WordDataset(tmp_path / "copy")
