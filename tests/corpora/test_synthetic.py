"""Synthetic speech: the same bytes whatever was spoken before, and word times that are true."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from corpus_files import lines
from wordprint.corpora import synthetic
from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.sentences import PATTERNS, VOCABULARY, draw_sentences
from wordprint.corpora.stage import prepare
from wordprint.errors import ConfigError, InputError, MissingExtraError
from wordprint.speech.audio import SAMPLE_RATE, read_audio
from wordprint.stages.manifest import read_utterances

pytest.importorskip("espeakng_loader", reason="synthetic speech needs the extra 'synthetic'")
from wordprint.speech.espeak import ACCENTS, Synthesiser, Voice

SMALL = PrepareConfig(synthetic_utterances=12, synthetic_speakers=4)


def test_same_text_and_voice_give_the_same_samples_whatever_came_before() -> None:
    text, others = "the heavy bottle", ("a much longer sentence, with a pause", "word")
    with Synthesiser() as synthesiser:
        for variant in synthesiser.variants()[::6]:
            voice = Voice(variant, "en-us", 150, 60)
            first, words = synthesiser.synthesise(text, voice)
            for other in others:
                synthesiser.synthesise(other, Voice("m3", "en-029", 220, 20))
            again, words_again = synthesiser.synthesise(text, voice)
            assert np.array_equal(first, again), variant
            assert words == words_again
    with Synthesiser() as fresh:
        assert np.array_equal(fresh.synthesise(text, voice)[0], first)


def test_word_times_are_where_the_energy_is() -> None:
    """Commas leave silence around every word, so that its first and last sound can be measured."""
    words = "elephant, bottle, kitchen, summer, always, holiday, quickly"
    with Synthesiser() as synthesiser:
        for index, variant in enumerate(("m3", "f1", "klatt", "Hugo", "linda", "m5")):
            samples, times = synthesiser.synthesise(words, Voice(variant, ACCENTS[index]))
            assert [word.symbol for word in times] == words.replace(",", "").split()
            sound_s = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max()) / SAMPLE_RATE
            edges = [0.0, *((a.end_s + b.start_s) / 2 for a, b in pairwise(times)), len(samples) / SAMPLE_RATE]
            for word, (low, high) in zip(times, pairwise(edges), strict=True):
                inside = sound_s[(sound_s >= low) & (sound_s < high)]
                assert inside[0] == pytest.approx(word.start_s, abs=0.005), word
                assert inside[-1] == pytest.approx(word.end_s, abs=0.012), word


def test_words_that_run_together_touch_where_the_next_begins() -> None:
    with Synthesiser() as synthesiser:
        _, times = synthesiser.synthesise("nine apples stop before every orange", Voice("m3"))
    assert all(before.end_s == after.start_s for before, after in pairwise(times))
    nine, apples, _, before, *_ = times
    # espeak-ng's own word events are 70 ms early for 'apples' (in the n) and late for 'every' (in the linking r)
    assert nine.end_s - nine.start_s > 0.2
    assert apples.end_s - apples.start_s < 0.35
    assert before.end_s - before.start_s < 0.4


def test_unknown_voice_and_words_that_are_not_words() -> None:
    with Synthesiser() as synthesiser:
        with pytest.raises(InputError, match="no voice 'en-us\\+nobody'"):
            synthesiser.synthesise("hello", Voice("nobody"))
        with pytest.raises(InputError, match="no text"):
            synthesiser.synthesise(" ", Voice("m3"))
        with pytest.raises(InputError, match="together"):
            synthesiser.synthesise("hello -- there", Voice("m3"))


def test_sentences_use_every_word_equally() -> None:
    sentences = list(draw_sentences(600, np.random.default_rng(0)))
    assert sentences == list(draw_sentences(600, np.random.default_rng(0)))
    count = Counter(word.strip(",") for sentence in sentences for word in sentence.split())
    for kind, words in VOCABULARY.items():
        counts = [count[word] for word in words]
        assert max(counts) - min(counts) <= 1, kind
        assert min(counts) >= 15, kind
    assert all(5 <= len(pattern) <= 10 for pattern in PATTERNS)


def test_corpus_is_the_same_for_any_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "_SHARD_SIZE", 3)
    for workers in (1, 2):
        prepare(["synthetic"], tmp_path / str(workers), SMALL, workers=workers)
    files = [sorted((tmp_path / name / "synthetic").rglob("*.*")) for name in "12"]
    assert len(files[0]) == 12 + 4 + 2  # recordings, a transcript per speaker, words and speakers
    for one, two in zip(*files, strict=True):
        assert one.relative_to(tmp_path / "1") == two.relative_to(tmp_path / "2")
        assert one.read_bytes() == two.read_bytes()
    assert prepare(["synthetic"], tmp_path / "1", SMALL).fresh is False


def test_corpus_and_its_word_times(tmp_path: Path) -> None:
    receipt = prepare(["toy=synthetic"], tmp_path, PrepareConfig(language="de", synthetic_utterances=12, synthetic_speakers=4))
    assert receipt.counts == {"in": 12, "kept": 12, "dropped": {}}
    assert sorted(receipt.outputs) == ["dropped.jsonl", "synthetic/words.jsonl", "utterances.jsonl"]
    words = {line["utterance_id"]: line for line in lines(tmp_path / "synthetic" / "words.jsonl")}
    voices = defaultdict(set)
    for utterance in read_utterances(tmp_path):
        truth = words[utterance.meta["source_id"]]
        assert utterance.language == "en"
        assert utterance.meta["name"] == truth["voice"]
        assert "espeak-ng, a program under GPL" in utterance.meta["licence"]
        voices[utterance.speaker].add(truth["voice"])
        assert [word for word, _, _ in truth["words"]] == utterance.transcript.lower().split()
        samples = read_audio(utterance.audio)
        start_s, end_s = truth["words"][0][1], truth["words"][-1][2]
        assert 0.14 < start_s < 0.45
        assert end_s < utterance.end_s - 0.14
        silence = np.concatenate([samples[: int(start_s * SAMPLE_RATE)], samples[int(end_s * SAMPLE_RATE) + 3200 :]])
        speech = samples[int(start_s * SAMPLE_RATE) : int(end_s * SAMPLE_RATE)]
        snr_db = 20 * np.log10(np.sqrt(np.mean(speech**2)) / np.sqrt(np.mean(silence**2)))
        assert 22 < snr_db < 45
        assert np.abs(samples).max() < 0.95
    assert len(voices) == len({voice for names in voices.values() for voice in names}) == 4


def test_seed_changes_voices_and_sentences() -> None:
    assert synthetic.draw_speakers(5, 1) == synthetic.draw_speakers(5, 1)
    assert synthetic.draw_speakers(5, 1) != synthetic.draw_speakers(5, 2)
    many = synthetic.draw_speakers(400, 0)
    assert len({speaker.voice.name for speaker in many}) == 400


def test_impossible_sizes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="synthetic_utterances is 0"):
        prepare(["synthetic"], tmp_path / "a", PrepareConfig(synthetic_utterances=0))
    with pytest.raises(ConfigError, match="at least one utterance each"):
        prepare(["synthetic"], tmp_path / "b", PrepareConfig(synthetic_utterances=3, synthetic_speakers=4))
    with pytest.raises(ConfigError, match="synthetic_speakers is 5000"):
        prepare(["synthetic"], tmp_path / "c", PrepareConfig(synthetic_utterances=9000, synthetic_speakers=5000))


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "espeakng_loader", None)
    with pytest.raises(MissingExtraError, match=r"wordprint\[synthetic\]"):
        Synthesiser()
