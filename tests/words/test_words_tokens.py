"""Reading tokens for evaluation, from word folders of any audio format and from word datasets."""

from __future__ import annotations

import numpy as np
import pytest

from wordprint.errors import ConfigError, InputError
from wordprint.speech.audio import SAMPLE_RATE, read_audio, to_float32, write_audio
from wordprint.words import tokens as module
from wordprint.words.tokens import load_tokens


def names(tokens):
    return [token.name for token in tokens]


def windows_of(tokens, window_samples, **options):
    return next(tokens.batches(window_samples, len(tokens), **options))


@pytest.fixture
def folder(tmp_path):
    """Three words by two speakers in several formats, silence, noise, documents and two bad files."""
    rng = np.random.default_rng(0)
    sizes = {"yes": 8000, "no": 20_000, "lights_on": 16_000, "_silence_": 16_000, "_background_noise_": 64_000}
    for name, n_samples in sizes.items():
        (tmp_path / name).mkdir()
        for speaker in ("ann", "bob"):
            for take, suffix in enumerate((".wav", ".flac")):
                write_audio(tmp_path / name / f"{speaker}_nohash_{take}{suffix}", rng.normal(0, 0.1, n_samples).astype(np.float32))
    import soundfile

    stereo = rng.normal(0, 0.1, (4000, 2))
    soundfile.write(tmp_path / "yes" / "eve_nohash_0.ogg", stereo, 8000)
    (tmp_path / "yes" / "eve_nohash_1.flac").write_text("not audio")
    write_audio(tmp_path / "no" / "eve_nohash_0.wav", np.zeros(0, np.float32))
    (tmp_path / "README.md").write_text("read me")
    (tmp_path / "yes" / "notes.txt").write_text("ignored")
    return tmp_path


def test_a_folder_is_read_in_order_and_bad_files_are_named(folder):
    tokens = load_tokens(folder)
    assert tokens.words == ["lights on"] * 4 + ["no"] * 4 + ["yes"] * 5
    assert names(tokens)[-2:] == ["yes/bob_nohash_1.flac", "yes/eve_nohash_0.ogg"]
    assert tokens.speakers[-2:] == ["bob", "eve"]
    assert tokens.speakers_known
    assert [(skip.name, skip.reason) for skip in tokens.skipped] == [
        ("no/eve_nohash_0.wav", "empty_audio"),
        ("yes/eve_nohash_1.flac", "unreadable_audio"),
    ]
    assert tokens[0].name == "lights_on/ann_nohash_0.wav"
    assert tokens.durations_s[[0, 4, 8]].tolist() == [1.0, 1.25, 0.5]
    assert np.isnan(tokens.goodness).all()


def test_windows_are_centred(folder):
    tokens = load_tokens(folder)
    windows = windows_of(tokens, 16_000)
    assert windows.shape == (13, 16_000)
    assert windows.dtype == np.float32
    short, long = read_audio(folder / tokens[8].name), read_audio(folder / tokens[4].name)
    np.testing.assert_array_equal(windows[8], np.pad(short, 4000))
    np.testing.assert_array_equal(windows[4], long[2000:18_000])
    np.testing.assert_array_equal(windows[12, 4000:12_000], tokens.load(12))  # stereo at 8 kHz
    np.testing.assert_array_equal(np.concatenate(list(tokens.batches(16_000, 5))), windows)


def test_recordings_that_are_not_kept_in_memory_are_read_again(folder, monkeypatch):
    whole = windows_of(load_tokens(folder), 16_000)
    monkeypatch.setattr(module, "CACHED_SAMPLES", 20_000)
    np.testing.assert_array_equal(windows_of(load_tokens(folder), 16_000), whole)


def test_linked_word_folders_are_read_once(folder, tmp_path):
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / "up").symlink_to("..")
    for name in ("yes", "aye"):  # two names of one folder
        (linked / name).symlink_to(folder / "yes")
    (linked / "no").symlink_to(folder / "no")
    assert set(load_tokens(linked).words) == {"aye", "no"}
    assert [token.name.split("/")[0] for token in load_tokens(linked)] == ["aye"] * 5 + ["no"] * 4


def test_silence_only_when_it_is_asked_for(folder):
    asked = load_tokens(folder, silence=True)
    assert asked.words.count("_silence_") == 4
    assert {token.speaker for token in asked if token.word == "_silence_"} == {None}
    assert load_tokens(folder, words=["_silence_", "yes"]).words == ["_silence_"] * 4 + ["yes"] * 5


def test_words_and_most_tokens_of_each(folder):
    few = load_tokens(folder, words=["yes", "lights on"], max_tokens_per_word=2, seed=3)
    assert few.words == ["lights on"] * 2 + ["yes"] * 2
    assert names(few) == names(load_tokens(folder, max_tokens_per_word=2, seed=3))[:2] + names(few)[2:]
    assert len({tuple(names(load_tokens(folder, max_tokens_per_word=2, seed=seed))) for seed in range(5)}) > 1
    with pytest.raises(InputError, match="no recordings of 'yess'; did you mean yes"):
        load_tokens(folder, words=["yess"])


def test_prefixes_that_repeat_the_word_are_no_speakers(tmp_path):
    for name, files in {
        "archie": ["archie_1", "archie_2"],
        "hey_archie": ["heyArchie_1", "0001"],
        "joke": ["0001", "0002"],
    }.items():
        (tmp_path / name).mkdir()
        for file in files:
            write_audio(tmp_path / name / f"{file}.flac", np.full(4000, 0.1, np.float32))
    tokens = load_tokens(tmp_path)
    assert not tokens.speakers_known
    assert set(tokens.speakers) == {""}
    assert tokens[0].speaker is None


def test_folders_without_tokens(tmp_path):
    with pytest.raises(InputError, match="does not exist; expected a folder of word folders"):
        load_tokens(tmp_path / "missing")
    with pytest.raises(InputError, match=r"holds no recordings in word folders; expected WORD/SPEAKER"):
        load_tokens(tmp_path)
    (tmp_path / "yes").mkdir()
    (tmp_path / "yes" / "ann_0.flac").write_text("not audio")
    with pytest.raises(InputError, match="none of the 1 recordings"):
        load_tokens(tmp_path)


def test_a_folder_has_no_split(folder):
    with pytest.raises(ConfigError, match="no split 'test'"):
        load_tokens(folder, split="test")


def test_a_dataset_by_split(dataset):
    tokens = load_tokens(dataset.path, split="train")
    assert len(tokens) == len(dataset.select("train"))
    assert tokens.words == sorted(tokens.words)
    assert tokens.speakers_known
    assert len(set(names(tokens))) == len(tokens)
    assert (tokens.goodness == -1).all()
    utterance_id, span = tokens[0].name.split(":")
    start, end = map(int, span.split("-"))
    assert utterance_id in dataset.codes("utterance_id")[1]
    index = int(dataset.select(words=[tokens.words[0]])[0])
    assert tokens.durations_s[0] == pytest.approx((end - start) / SAMPLE_RATE)
    assert len(tokens.load(0)) == end - start
    assert index >= 0


def test_a_dataset_in_silence_or_in_context(dataset):
    tokens = load_tokens(dataset.path)
    bare, context = (next(tokens.batches(16_000, 1, context=shown)) for shown in (False, True))
    index = int(tokens._source.places[0])
    starts = dataset.centred_starts([index], 16_000)
    np.testing.assert_array_equal(context, to_float32(dataset.crops([index], starts, 16_000)))
    assert np.count_nonzero(context) > np.count_nonzero(bare)
    samples = tokens.load(0)
    np.testing.assert_array_equal(bare[0][bare[0] != 0], samples[samples != 0])


def test_words_and_most_tokens_of_a_dataset(dataset):
    word = dataset.words[0]
    few = load_tokens(dataset.path, words=[word], max_tokens_per_word=2)
    assert few.words == [word, word]
    with pytest.raises(InputError, match="no recordings of 'wordx9'"):
        load_tokens(dataset.path, words=["wordx9"])


def test_real_word_folders(shared_data):
    known = {name: load_tokens(shared_data / "keywords" / name, max_tokens_per_word=1).speakers_known
             for name in ("speech_commands", "custom_phrases", "spoken_digits_8khz")}  # fmt: skip
    assert known == {"speech_commands": True, "custom_phrases": False, "spoken_digits_8khz": True}
