"""Sampler, phonetic losses, encoders, batches and checkpoints."""

import dataclasses
import json
import math
import time
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
import torch

from wordprint.errors import DatasetError, InputError, ModelError
from wordprint.train import checkpoint
from wordprint.train.augment import Sounds
from wordprint.train.data import TrainingWords, prefetch
from wordprint.train.encoders import ENCODERS
from wordprint.train.network import Embedder, NetworkConfig
from wordprint.train.phonetics import MAX_PHONES, AudioPhoneLoss, FramePhoneLoss, Spelling, audio_phone_loss, frame_targets
from wordprint.train.sampler import WordSampler
from wordprint.train.validation import ValidationWords, _place_among_equals
from wordprint.words.dataset import WordDataset


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


def test_frame_targets_divide_the_word_among_its_phones():
    codes = torch.zeros(2, MAX_PHONES, dtype=torch.long)
    codes[0, :2] = torch.tensor([5, 7])
    codes[1, :3] = torch.tensor([1, 2, 3])
    found = frame_targets(torch.tensor([[0.2, 0.6], [-0.2, 1.0]]), codes, frames=10)
    assert found[0].tolist() == [-100, -100, 5, 5, 7, 7, -100, -100, -100, -100]
    assert found[1].tolist() == [1, 1, 2, 2, 2, 2, 3, 3, 3, 3]


def test_audio_phone_loss_by_hand():
    audio = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    phones = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, -0.6]])
    targets = torch.tensor([0, 1])
    cosine = (audio @ phones.T).tolist()
    to_phones = [math.log(sum(math.exp(c / 0.5) for c in row)) - row[k] / 0.5 for row, k in zip(cosine, (0, 1), strict=True)]
    to_audio = [math.log(sum(math.exp(row[k] / 0.5) for row in cosine)) - cosine[k][k] / 0.5 for k in (0, 1)]
    expected = np.mean(to_phones) + 0.5 * np.mean(to_audio)
    assert float(audio_phone_loss(audio, targets, phones, 0.5)) == pytest.approx(expected, abs=1e-5)


def test_phonetic_loss_learns_to_find_words():
    spelling = Spelling([["a", "b"], ["b", "a"], ["a"]])
    loss = AudioPhoneLoss(spelling, embedding_size=4, temperature=0.1)
    embeddings, labels = torch.eye(4)[:3], torch.tensor([0, 1, 2])
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.01)
    values = []
    for _ in range(60):
        value = loss(embeddings, labels, torch.tensor([0, 2]))
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < 0.1 < values[0]
    frames = FramePhoneLoss(spelling, channels=8)(torch.randn(3, 8, 10), labels, torch.tensor([[0.1, 0.9]] * 3))
    assert torch.isfinite(frames)


@pytest.mark.parametrize(("name", "size"), [("compact", 128), ("ancestor", 512)])
def test_encoders(name, size):
    encoder = ENCODERS[name](40, 31, size).eval()
    features = torch.randn(2, 40, 31)
    frames = encoder.frames(features)
    assert frames.shape[:2] == (2, encoder.channels)
    torch.testing.assert_close(encoder.pool(frames), encoder(features))
    assert encoder(features).shape == (2, size)


def test_the_shipped_network_fits_in_two_megabytes():
    network = Embedder(NetworkConfig())
    constants = sum(buffer.numel() for buffer in network.front_end.buffers())
    assert 4 * (sum(p.numel() for p in network.parameters()) + constants) < 2_000_000


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


def test_the_span_is_where_the_word_sounds(tone_words, small):
    clean = dataclasses.replace(small, noise_share=0, filter_share=0, silence_share=1, max_margin_s=0, max_speed_change=1.3)
    batch = TrainingWords(WordDataset(tone_words), clean, Sounds()).batch(0)
    places = (torch.arange(6400) + 0.5) / 6400
    inside = (places >= batch.spans[:, :1]) & (places < batch.spans[:, 1:])
    energy = batch.waveforms.square()
    assert ((energy * inside).sum(1) / energy.sum(1) > 0.999).all()
    lasting = batch.spans[:, 1] - batch.spans[:, 0]
    assert len(set(lasting.tolist())) > 1


def test_spelling_takes_phones_and_else_letters(training):
    spelling = training.spelling()
    assert spelling.symbols == ["A", "E", "I", "O", "U"]
    assert spelling.lengths.tolist() == [3] * len(training.words)
    assert Spelling([list("ab"), ["B"]]).symbols == ["B", "a", "b"]


def test_spelling_is_what_is_said_most_often(training, monkeypatch):
    """Against a plain count; of two that are said equally often, the first in the alphabet."""
    said = np.random.default_rng(0).choice(["", "B", "A", "A B", "C"], len(training.dataset))
    phones = pa.array(said).dictionary_encode()
    monkeypatch.setattr(training.dataset, "encoded", lambda name: (phones.indices.to_numpy(), phones.dictionary))
    usual = []
    for number, word in enumerate(training.words):
        counts = Counter(text for text in said[training.indices[training.labels == number]].tolist() if text)
        usual.append(max(sorted(counts), key=counts.__getitem__).split() if counts else list(word))
    assert torch.equal(training.spelling().codes, Spelling(usual).codes)


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
    network = Embedder(NetworkConfig(window_s=0.4)).eval()
    checkpoint.save_checkpoint(tmp_path, network, {"step": 7})
    checkpoint.write_names(tmp_path, ["b", "a c"], ["s"])
    return tmp_path, network


def test_checkpoints_come_back(saved):
    folder, network = saved
    for path in (folder, folder / "best.json", folder / "best.safetensors"):
        loaded, record = checkpoint.load_checkpoint(path)
        waveforms = torch.randn(2, 6400)
        assert torch.equal(loaded(waveforms), network(waveforms))
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
