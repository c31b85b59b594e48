"""Sampler, batches, checkpoints and validation."""

import dataclasses
import json
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch

from wordprint.errors import DatasetError, InputError, ModelError
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.train import checkpoint, data
from wordprint.train.augment import Sounds
from wordprint.train.data import TrainingWords, prefetch
from wordprint.train.network import Embedder, NetworkConfig
from wordprint.train.runs import UNKNOWN
from wordprint.train.sampler import WordSampler
from wordprint.train.validation import ValidationWords, _place_among_equals
from wordprint.words.dataset import WordDataset

from .conftest import TONES_HZ, build_words


def test_sampler_takes_p_types_and_spreads_speakers():
    rng = np.random.default_rng(0)
    words, speakers = rng.integers(0, 9, 600), rng.integers(0, 5, 600)
    sampler = WordSampler(words, speakers, words_per_batch=6, tokens_per_word=4)
    for _ in range(20):
        picked = sampler.draw(rng).reshape(6, 4)
        assert len(set(words[picked[:, 0]])) == 6
        assert (words[picked] == words[picked[:, :1]]).all()
        assert all(len(set(row)) == 4 for row in speakers[picked])


def test_sampler_repeats_speakers_and_tokens_only_when_it_must():
    words, speakers = np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 1])
    sampler = WordSampler(words, speakers, words_per_batch=9, tokens_per_word=4)
    picked = sampler.draw(np.random.default_rng(1)).reshape(2, 4)
    first = picked[words[picked[:, 0]] == 0][0]
    assert sorted(speakers[first].tolist()) == [0, 0, 1, 1]
    assert len(set(first.tolist())) == 3  # two different tokens of speaker 0, the one of speaker 1 twice
    assert picked[words[picked[:, 0]] == 1].tolist() == [[4] * 4]


@pytest.mark.parametrize(("words", "speakers"), [([0, 0], [0, 1]), ([0, 1], [3, 3])])
def test_sampler_needs_two_words_and_two_speakers(words, speakers):
    with pytest.raises(DatasetError, match=r"one speaker|1 word type"):
        WordSampler(np.array(words), np.array(speakers), 2, 2)


@pytest.fixture
def training(tone_words, small):
    return TrainingWords(WordDataset(tone_words), small, Sounds())


def test_a_batch_is_a_function_of_seed_process_and_step(training):
    one, again, other, beside = (training.batch(*place) for place in ((3, 0), (3, 0), (4, 0), (3, 1)))
    assert torch.equal(one.waveforms, again.waveforms)
    assert torch.equal(one.labels, again.labels)
    assert not torch.equal(one.waveforms, other.waveforms)
    assert not torch.equal(one.waveforms, beside.waveforms)
    assert one.waveforms.shape == (8, 6400)
    assert one.waveforms.abs().max() <= 1


NOTHING_DONE = {
    "noise_share": 0.0, "filter_share": 0.0, "telephone_share": 0.0, "room_share": 0.0, "max_speed_change": 1.3, "edits": 0,
}  # fmt: skip
"""Effects that would hide where a word sounds are left out."""


@pytest.fixture
def exact(monkeypatch):
    """Spans end where words end."""
    for name in ("JITTER_S", "OUTWARD_S", "LOOSE_S", "LOOSE_OUTWARD_S"):
        monkeypatch.setattr(f"wordprint.train.data.{name}", 0.0)


def test_the_first_span_is_where_the_word_sounds(tone_words, small, exact):
    clean = dataclasses.replace(small, **NOTHING_DONE, silence_share=1, max_margin_s=0)
    batch = TrainingWords(WordDataset(tone_words), clean, Sounds()).batch(0)
    time = torch.arange(6400) + 0.5
    inside = (time >= batch.spans[:, 0, :1]) & (time < batch.spans[:, 0, 1:])
    energy = batch.waveforms.square()
    assert ((energy * inside).sum(1) / energy.sum(1) > 0.999).all()
    lasting = batch.spans[:, 0, 1] - batch.spans[:, 0, 0]
    assert len(set(lasting.tolist())) > 1
    assert (batch.strings[:, 1:] == -1).all()  # no runs around a word in silence
    torch.testing.assert_close(batch.spans, batch.spans[:, :1].expand(-1, 5, -1))


def test_levels_are_those_of_the_words_whatever_is_done_to_them(tone_words, small, exact):
    change = {**NOTHING_DONE, "filter_share": 1.0, "room_share": 0.0, "min_level_db": -20, "max_level_db": -20}
    config = dataclasses.replace(small, **change, silence_share=1, max_margin_s=0)
    batch = TrainingWords(WordDataset(tone_words), config, Sounds()).batch(0)
    time = torch.arange(6400) + 0.5
    inside = (time >= batch.spans[:, 0, :1]) & (time < batch.spans[:, 0, 1:])
    levels_db = 10 * torch.log10((batch.waveforms.square() * inside).sum(1) / inside.sum(1))
    assert levels_db.numpy() == pytest.approx(-20, abs=0.5)  # the ends are faded


def test_runs_keep_to_what_may_be_heard_and_sound_as_they_are_spelt(tone_words, small, exact):
    """Each phone is a tone: what is heard in the middle of each phone of a span is the tone of the phone."""
    clean = dataclasses.replace(
        small, **NOTHING_DONE, silence_share=0, window_s=1.6, min_level_db=-20, max_level_db=-20, words_per_batch=9
    )
    dataset = WordDataset(tone_words)
    training = TrainingWords(dataset, clean, Sounds())
    batch = training.batch(2)
    low, high = dataset.limits(batch.segments.numpy())
    assert (batch.strings[:, 1:] >= 0).any()
    longest = 0
    speeds, starts = _speeds(dataset, batch), dataset.column("start_sample")[batch.segments]
    for crop, place in (batch.strings >= 0).nonzero().tolist():
        string = batch.codes[batch.strings[crop, place]]
        said = [training.phones[code - 1] for code in string[string > 0].tolist()]
        start, end = batch.spans[crop, place].tolist()
        speed = speeds[crop]
        first = starts[crop] - float(batch.spans[crop, 0, 0]) / speed  # sample of the utterance that the crop begins with
        assert low[crop] - 2 <= first + start / speed < first + end / speed <= high[crop] + 2
        assert 0 <= start < end <= 25_600 + 2
        longest = max(longest, len(said))
        middles = _phone_middles(dataset, int(batch.segments[crop]), first + start / speed, first + end / speed)
        assert len(middles) == len(said)
        for symbol, middle in zip(said, middles, strict=True):
            assert _sounds(symbol, batch.waveforms[crop], round((middle - first) * speed), speed)
    assert longest > 3  # across words, too


def _speeds(dataset, batch):
    """How much longer than they were said words last, where spans are exact."""
    lasting = dataset.column("end_sample")[batch.segments] - dataset.column("start_sample")[batch.segments]
    return (batch.spans[:, 0, 1] - batch.spans[:, 0, 0]).numpy() / lasting


def _sounds(symbol, waveform, middle, speed):
    """Whether the tone of a phone is heard around a sample: speakers' tones are 0.8–1.15 times the phone's."""
    spectrum = np.abs(np.fft.rfft(waveform[middle - 300 : middle + 300].numpy() * np.hanning(600)))
    return 0.72 < np.argmax(spectrum) * SAMPLE_RATE / 600 * speed / TONES_HZ[symbol.lower()] < 1.28


def _phone_middles(dataset, segment, start, end):
    """Middles of the phones of the segment's utterance in [start, end)."""
    phones, utterance = dataset.phones, int(dataset.utterances([segment])[0])
    own = slice(phones.first[utterance], phones.first[utterance + 1])
    return [(a + b) / 2 for a, b in zip(phones.starts[own], phones.ends[own], strict=True) if a > start - 3 and b < end + 3]


def test_spans_are_as_rough_as_they_are_said_to_be(tone_words, small):
    """Ends lie outside on average, and further in most words in silence."""
    for silence, spread_s, outward_s in ((0.0, data.JITTER_S, data.OUTWARD_S), (1.0, data.LOOSE_S, data.LOOSE_OUTWARD_S)):
        config = dataclasses.replace(small, silence_share=silence, loose_share=1.0, runs=0, words_per_batch=9, max_speed_change=1.0)
        training = TrainingWords(WordDataset(tone_words), config, Sounds())
        errors = []
        for step in range(30):
            batch = training.batch(step)
            ends = [training.dataset.column(name)[batch.segments] for name in ("start_sample", "end_sample")]
            errors.append((batch.spans[:, 0, 1] - batch.spans[:, 0, 0]).numpy() - (ends[1] - ends[0]))
        errors_s = np.concatenate(errors) / SAMPLE_RATE
        assert errors_s.mean() == pytest.approx(2 * outward_s, abs=0.012)
        assert errors_s.std() == pytest.approx(2**0.5 * spread_s, rel=0.15)


def test_strings_are_those_of_the_batch_and_edits_that_nobody_says(tone_words, small):
    config = dataclasses.replace(small, edits=3, silence_share=0, window_s=1.2)
    batch = TrainingWords(WordDataset(tone_words), config, Sounds()).batch(1)
    said, present = set(batch.strings[batch.strings >= 0].tolist()), int(batch.present)
    assert said == set(range(present))
    assert present < len(batch.codes) <= 4 * present
    assert len(torch.unique(batch.codes, dim=0)) == len(batch.codes)
    names = TrainingWords(WordDataset(tone_words), config, Sounds())
    for crop, label in enumerate(batch.labels.tolist()):
        codes = batch.codes[batch.strings[crop, 0]]
        assert "".join(names.phones[code - 1] for code in codes[codes > 0].tolist()) == names.words[label].upper()


def test_frames_have_the_phone_that_sounds_in_their_middle(tone_words, small, exact):
    config = dataclasses.replace(small, **NOTHING_DONE, silence_share=0.5, window_s=1.0)
    dataset = WordDataset(tone_words)
    training = TrainingWords(dataset, config, Sounds())
    batch = training.batch(0)
    assert batch.frame_phones.shape == (8, 50)
    assert (batch.frame_phones > 0).any()
    silent = batch.waveforms.unfold(1, 320, 320).abs().amax(2)[:, :49] < 1e-9
    assert silent.any()
    # the middle of a frame is where its 320 samples begin; a digital zero on both sides is no phone
    assert (batch.frame_phones[:, 1:49][silent[:, :48] & silent[:, 1:49]] == 0).all()
    for crop, speed in enumerate(_speeds(dataset, batch)):
        for frame in range(1, 49):
            number = int(batch.frame_phones[crop, frame])
            if number and (batch.frame_phones[crop, frame - 1 : frame + 2] == number).all():
                assert _sounds(training.phones[number - 1], batch.waveforms[crop], 320 * frame, speed)


def test_a_dataset_without_phones_spells_by_letters(tmp_path, small):
    folder = build_words(tmp_path, speakers=("a", "b", "c"), with_phones=False)
    training = TrainingWords(WordDataset(folder), dataclasses.replace(small, silence_share=0), Sounds())
    assert training.phones == sorted(set("".join(training.words)))
    batch = training.batch(0)
    assert (batch.strings[:, 1:] == -1).all()
    assert set(batch.frame_phones.unique().tolist()) <= {UNKNOWN, 0}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 warns of what Linux does by default
def test_drafts_from_other_processes_make_the_same_batches(tone_words, small):
    training = TrainingWords(WordDataset(tone_words), small, Sounds())
    expected = [training.batch(step) for step in range(3, 8)]
    training.apart = True
    found, others = [], set(multiprocessing.active_children())
    for batch, _ in training.batches(range(3, 8), 0, workers=2):
        found.append(batch)
        if len(found) == 2:  # both have begun
            for worker in set(multiprocessing.active_children()) - others:
                os.kill(worker.pid, signal.SIGTERM)  # as Slurm does; the parent alone decides
    for one, other in zip(expected, found, strict=True):
        assert vars(one).keys() == vars(other).keys()
        assert all(torch.equal(tensor, getattr(other, name)) for name, tensor in vars(one).items())


def _slower_when_even(step):
    time.sleep(0.01 * (step % 2 == 0))
    return step


def test_prefetching_keeps_the_order_and_passes_errors_on():
    assert [batch for batch, _ in prefetch(lambda step: step, range(2, 9))] == list(range(2, 9))
    assert [batch for batch, _ in prefetch(_slower_when_even, range(2, 9), threads=4)] == list(range(2, 9))

    def fails(step):
        raise DatasetError("empty")

    with pytest.raises(DatasetError):
        list(prefetch(fails, range(3)))


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    network = Embedder(NetworkConfig(window_s=0.4, channels=16, phones=("A", "B"))).eval()
    checkpoint.save_checkpoint(tmp_path, network, {"step": 7})
    checkpoint.write_names(tmp_path, ["b", "a c"], ["s"])
    return tmp_path, network


def test_checkpoints_come_back(saved):
    folder, network = saved
    for path in (folder, folder / "best.json", folder / "best.safetensors"):
        loaded, record = checkpoint.load_checkpoint(path)
        waveforms = torch.randn(2, 6400)
        assert torch.equal(loaded(waveforms), network(waveforms))
        spans = torch.tensor([[100.0, 3000.0], [2000.0, 7000.0]])
        assert torch.equal(loaded(waveforms, spans), network(waveforms, spans))
        assert torch.equal(loaded.spell(torch.tensor([[1, 2, 1]])), network.spell(torch.tensor([[1, 2, 1]])))
        assert record["step"] == 7
        assert record["training_words"] == ["a c", "b"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: _edit(folder, schema="wordprint.checkpoint/9"), "checkpoint/9"),
        (lambda folder: _edit(folder, step=8), "step 7"),
        (lambda folder: _edit(folder, network={"embedding_size": 64}), "doesn't fit"),
        (lambda folder: (folder / "best.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "best.safetensors").write_bytes(b"0" * 40), "damaged"),
    ],
)
def test_damaged_checkpoints(saved, damage, message):
    damage(saved[0])
    with pytest.raises(ModelError, match=message):
        checkpoint.load_checkpoint(saved[0])


def test_missing_checkpoints(tmp_path):
    with pytest.raises(InputError, match="no checkpoint"):
        checkpoint.load_checkpoint(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        checkpoint.load_checkpoint(tmp_path / "nowhere")


def _edit(folder, **values):
    record = json.loads((folder / "best.json").read_text())
    (folder / "best.json").write_text(json.dumps({**record, **values}))


def test_validation_hears_no_training_word_and_no_test_speaker(tone_words, small):
    dataset = WordDataset(tone_words)
    strict = set(dataset.select("validation"))
    found = ValidationWords.of(dataset, small)
    assert found is not None
    assert strict < set(found.indices)  # too few have both on the validation side, so speakers of training help
    assert not set(found.words) & set(TrainingWords(dataset, small, Sounds()).words)
    unseen = len(strict & set(found.indices))
    assert found.counts() == {"tokens": len(found.indices), "tokens_of_unseen_speakers": unseen}
    assert found.embed(Embedder(NetworkConfig(window_s=0.4)), torch.device("cpu")).shape == (len(found.indices), 128)


def test_validation_keeps_to_unseen_speakers_where_they_say_enough(tone_words, small, monkeypatch):
    monkeypatch.setattr("wordprint.train.validation.ENOUGH", 1)
    found = ValidationWords.of(WordDataset(tone_words), small)
    assert found is not None
    assert found.counts() == {"tokens": len(found.indices), "tokens_of_unseen_speakers": len(found.indices)}


def test_a_frequent_word_counts_only_so_often():
    assert _place_among_equals(np.array([3, 1, 3, 3, 2, 1])).tolist() == [0, 0, 1, 2, 0, 1]
