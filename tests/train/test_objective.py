"""What training minimises: which parts there are, what they weigh, and which spans each hears."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from wordprint.train.augment import Sounds
from wordprint.train.data import TrainingWords
from wordprint.train.losses import make_loss
from wordprint.train.objective import Objective
from wordprint.train.options import TrainConfig
from wordprint.train.phonetics import audio_phone_loss, distillation_loss, frame_phone_loss
from wordprint.train.teachers import Lessons
from wordprint.words.dataset import WordDataset

WEIGHTS = {"phonetic": "phonetic_weight", "phone": "phone_weight", "teacher": "teacher_weight"}


@pytest.fixture
def batch_of(tone_words, small):
    """(changed options) → an objective in evaluation mode, and a batch for it; both learn from a teacher of 3 numbers."""

    def make(lessons=True, **change):
        dataset, config = WordDataset(tone_words), dataclasses.replace(small, channels=8, window_s=0.8, **change)
        rng = np.random.default_rng(0)
        counts = [len(dataset.samples(0, row)) // 1600 + 1 for row in range(dataset.metadata["audio_shards"][0]["rows"])]
        frames = rng.normal(size=(sum(counts), 3)).astype(np.float16)
        zeros, ones = np.zeros(3, np.float32), np.ones(3, np.float32)
        taught = Lessons(frames, np.append(0, np.cumsum(counts)), zeros, ones, 1600, {}) if lessons else None
        words = TrainingWords(dataset, config, Sounds(), taught)
        torch.manual_seed(1)
        objective = Objective(config, words.phones, len(words.words), 3 if lessons else 0)
        return objective.eval(), words.batch(0)

    return make


def test_the_total_is_the_weighted_sum_of_all_parts(batch_of):
    change = {"phonetic_weight": 0.7, "phone_weight": 0.2, "teacher_weight": 1.5}
    objective, batch = batch_of(**change)
    with torch.no_grad():
        total, parts = objective(batch)
    assert set(parts) == {"loss", *WEIGHTS}
    weighed = parts["loss"] + sum(change[weight] * parts[name] for name, weight in WEIGHTS.items())
    torch.testing.assert_close(total, weighed)


@pytest.mark.parametrize("name", ["phonetic", "phone"])
def test_a_part_of_no_weight_is_left_out(batch_of, name):
    objective, batch = batch_of(lessons=False, **{WEIGHTS[name]: 0.0})
    assert set(objective(batch)[1]) == {"loss", "phonetic", "phone"} - {name}
    assert (objective.network.phones is None) == (name == "phonetic")


def test_each_part_hears_what_it_is_said_to(batch_of):
    objective, batch = batch_of(silence_share=0.4, masks=0)
    network, config = objective.network, objective.config
    assert (batch.strings < 0).any()
    with torch.no_grad():
        parts = objective(batch)[1]
        frames = network.encoder(network.features(batch.waveforms))
        vectors, strings = [], []
        for crop in range(len(batch.waveforms)):
            for place in range(batch.spans.shape[1]):
                if batch.strings[crop, place] >= 0:
                    vectors.append(network(batch.waveforms[crop : crop + 1], batch.spans[crop, place][None])[0])
                    strings.append(int(batch.strings[crop, place]))
        vectors, strings = torch.stack(vectors), torch.tensor(strings)
        spelt = network.spell(batch.codes)
        guessed, taught = [], []
        read = objective.lesson(frames)
        for crop, lesson in batch.lesson_valid.nonzero().tolist():
            guessed.append(read[crop, :, batch.lesson_frames[crop, lesson]])
            taught.append(batch.lessons[crop, lesson])
        expected = {
            "loss": make_loss(config, 1, 1)(vectors, strings),
            "phonetic": audio_phone_loss(vectors, strings, spelt, config.temperature, int(batch.present)),
            "phone": frame_phone_loss(network.reader(frames), batch.frame_phones),
            "teacher": distillation_loss(torch.stack(guessed)[None], torch.stack(taught)[None], torch.ones(1, len(taught))),
        }
    for name, part in parts.items():
        torch.testing.assert_close(part, expected[name], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("loss", ["proxy_anchor", "arcface"])
def test_losses_of_types_hear_words_alone(batch_of, loss):
    objective, batch = batch_of(lessons=False, loss=loss, phonetic_weight=0.0, phone_weight=0.0, masks=0)
    with torch.no_grad():
        found = objective(batch)[1]["loss"]
        words = objective.network(batch.waveforms, batch.spans[:, 0])
        torch.testing.assert_close(found, objective.loss(words, batch.labels))


def test_spans_that_are_not_there_teach_nothing(batch_of):
    objective, batch = batch_of()
    spans = batch.spans.requires_grad_()
    objective(SimpleNamespace(**{**vars(batch), "spans": spans}))[0].backward()
    absent = batch.strings < 0
    assert absent.any()
    assert (spans.grad[absent] == 0).all()
    assert (spans.grad[~absent] != 0).any()


def test_bfloat16_gives_nearly_the_same(batch_of):
    objective, batch = batch_of()
    with torch.no_grad():
        exact, _ = objective(batch)
        with torch.autocast("cpu", torch.bfloat16):
            rough, parts = objective(batch)
    assert rough.dtype == torch.float32
    assert all(part.dtype == torch.float32 for part in parts.values())
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0)


def test_the_network_spells_with_the_phones_of_the_data(batch_of):
    objective, batch = batch_of()
    assert objective.network.config.phones == ("A", "E", "I", "O", "U")
    spelt = objective.network.spell(batch.codes)
    torch.testing.assert_close(spelt.norm(dim=1), torch.ones(len(batch.codes)))
    torch.testing.assert_close(spelt, functional.normalize(spelt, dim=1))
    without, _ = batch_of(phonetic_weight=0.0)
    with pytest.raises(TypeError, match="no phone encoder"):
        without.network.spell(batch.codes)


@pytest.mark.parametrize(
    ("options", "kept", "thrown_away"),
    [({}, True, False), ({"phonetic_weight": 0.0}, False, True), ({"phone_weight": 0.0}, False, False)],
)
def test_what_reads_phones_stays_in_networks_that_know_phones(options, kept, thrown_away):
    objective = Objective(TrainConfig(channels=8, **options), ["AY", "T"], types=3)
    assert (objective.network.reader is not None, objective.phone is not None) == (kept, thrown_away)
    assert objective.network.config.reads_phones is kept
