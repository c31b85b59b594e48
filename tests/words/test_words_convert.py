"""Word datasets to word folders and Hugging Face datasets and back: the same words, speakers and samples."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import soundfile

from wordprint.errors import ConfigError, InputError, OutputConflictError
from wordprint.speech.audio import to_int16, write_audio
from wordprint.words import hub
from wordprint.words.convert import convert, from_folders, write_folders
from wordprint.words.dataset import WordDataset
from wordprint.words.folders import WordFolder, folder_word, percent_encoded, word_folder_name
from wordprint.words.split import check_leaks


def contents(dataset, *extra):
    """Every segment as words, speaker and samples, whatever its order."""
    columns = [dataset.column(name).tolist() for name in ("words", "speaker", *extra)]
    return Counter((*cells, dataset.segment_audio(index).tobytes()) for index, cells in enumerate(zip(*columns, strict=True)))


@pytest.fixture(scope="session")
def folders(dataset, tmp_path_factory):
    output = tmp_path_factory.mktemp("folders") / "words"
    write_folders(dataset, output)
    return output


def test_dataset_to_folders_and_back(dataset, folders, tmp_path):
    convert(folders, tmp_path / "again", "words", workers=2)
    again = WordDataset(tmp_path / "again")
    assert contents(again, "n_words", "split") == contents(dataset, "n_words", "split")
    check_leaks(again)


def test_folders_are_in_the_speech_commands_layout(dataset, folders):
    found = WordFolder(folders)
    assert {recording.word for recording in found.recordings} == set(dataset.words)
    assert found.speakers_known
    assert len(found.recordings) == len(dataset)
    assert all(recording.name.split("/")[1].startswith(recording.speaker + "_") for recording in found.recordings)


def test_folders_are_not_written_over_others(dataset, folders, tmp_path):
    assert not write_folders(dataset, folders).fresh
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(OutputConflictError, match="no wordprint stage wrote"):
        write_folders(dataset, tmp_path / "mine")


def test_recordings_that_cannot_be_read_are_dropped(tmp_path):
    rng = np.random.default_rng(0)
    for word in ("yes", "no"):
        (tmp_path / "in" / word).mkdir(parents=True)
        for speaker in ("ann", "bob"):
            write_audio(tmp_path / "in" / word / f"{speaker}_0.wav", rng.normal(0, 0.1, 4000).astype(np.float32))
    (tmp_path / "in" / "no" / "eve_0.flac").write_text("not audio")
    (tmp_path / "in" / "no" / "eve_1.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    soundfile.write(tmp_path / "in" / "no" / "eve_2.wav", rng.normal(0, 0.1, 4000), 8000, subtype="GSM610")
    receipt = from_folders(tmp_path / "in", tmp_path / "out")
    assert (receipt.counts["in"], receipt.counts["kept"], receipt.counts["dropped"]) == (7, 5, {"unreadable_audio": 2})


def test_folders_without_speakers_become_one_unknown_speaker(tmp_path):
    for word in ("yes", "no"):
        (tmp_path / "in" / word).mkdir(parents=True)
        write_audio(tmp_path / "in" / word / f"{word}_0.wav", np.ones(4000, np.float32) / 8)
    from_folders(tmp_path / "in", tmp_path / "out")
    assert WordDataset(tmp_path / "out").speakers == ["unknown"]


@pytest.mark.parametrize("word", ["lights on", "don't", "and/or", "a_b", "100%", ".net", "straße"])
def test_folder_names_read_back(word):
    assert folder_word(word_folder_name(word)) == word
    assert "/" not in word_folder_name(word)
    assert "_" not in percent_encoded(word)


def test_dataset_to_datasets_and_back(dataset, tmp_path):
    convert(dataset.path, tmp_path / "hub", "datasets")
    saved = hub.read_datasets(tmp_path / "hub")
    assert saved.num_rows == len(dataset)
    assert saved[0]["words"] == dataset.column("words")[0]
    convert(tmp_path / "hub", tmp_path / "again", "words")
    again = WordDataset(tmp_path / "again")
    names = ("n_words", "corpus", "split", "goodness")
    assert contents(again, *names) == contents(dataset, *names)


def test_datasets_with_decoded_audio(tmp_path):
    import datasets

    rng = np.random.default_rng(0)
    waves = [rng.normal(0, 0.1, 8000).astype(np.float32) for _ in range(4)]
    rows = {
        "audio": [{"array": wave, "sampling_rate": 16_000} for wave in waves],
        "label": ["yes", "no", "yes", "no"],
        "who": ["ann", "ann", "bob", None],
    }
    hub.from_datasets(datasets.Dataset.from_dict(rows), tmp_path / "out", words="label", speaker="who")
    found = WordDataset(tmp_path / "out")
    assert found.column("speaker").tolist() == ["ann", "ann", "bob", "unknown"]
    np.testing.assert_array_equal(found.segment_audio(2), to_int16(waves[2]))


def test_datasets_without_the_columns(tmp_path):
    import datasets

    with pytest.raises(InputError, match="no column 'words'; expected one of label"):
        hub.from_datasets(datasets.Dataset.from_dict({"label": ["yes"]}), tmp_path / "out")


def test_conversions_that_make_no_sense(dataset, folders, tmp_path):
    with pytest.raises(ConfigError, match="is a word dataset already"):
        convert(dataset.path, tmp_path / "out", "words")
    with pytest.raises(InputError, match=r"holds no dataset.json"):
        convert(folders, tmp_path / "out", "folders")
    with pytest.raises(ConfigError, match="can't convert to 'mp3'"):
        convert(dataset.path, tmp_path / "out", "mp3")
