"""Options that make no sense end with one line that names them, before anything is written; and the number of CPU threads."""

import dataclasses
import math
import os

import pytest

from wordprint.errors import ConfigError
from wordprint.stages.options import check
from wordprint.train.device import cpu_threads
from wordprint.train.options import LOSSES, LOSSES_OF_PAIRS, TrainConfig
from wordprint.train.stage import train


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": -1}, "seed is -1; expected at least 0"),
        ({"steps": 0}, "steps is 0; expected at least 1"),
        ({"words_per_batch": 1}, "words_per_batch is 1; expected at least 2"),
        ({"tokens_per_word": 0}, "tokens_per_word is 0; expected at least 1"),
        ({"learning_rate": 0.0}, "learning_rate is 0; expected more than 0"),
        ({"learning_rate": math.inf}, "learning_rate is inf; expected a finite number"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1; expected at least 0"),
        ({"embedding_size": 1}, "embedding_size is 1"),
        ({"window_s": 0.0}, "window_s is 0; expected from 0.1 to 60"),
        ({"margin": math.nan}, "margin is nan; expected a finite number"),
        ({"temperature": 0.0}, "temperature is 0; expected more than 0"),
        ({"phonetic_weight": -1.0}, "phonetic_weight is -1; expected at least 0"),
        ({"noise_share": 1.5}, "noise_share is 1.5; expected from 0 to 1"),
        ({"max_time_mask": -0.1}, "max_time_mask is -0.1; expected from 0 to 1"),
        ({"max_speed_change": 0.5}, "max_speed_change is 0.5; expected at least 1"),
        ({"validate_every": 0}, "validate_every is 0; expected at least 1"),
        ({"max_validation_tokens": 1}, "max_validation_tokens is 1; expected at least 2"),
        ({"min_snr_db": 9.0, "max_snr_db": 3.0}, "min_snr_db is 9; expected at most max_snr_db, which is 3"),
        ({"min_level_db": -3.0}, "min_level_db is -3; expected at most max_level_db, which is -15"),
        ({"max_level_db": 6.0}, "max_level_db is 6; expected at most 0"),
        ({"runs": -1}, "runs is -1; expected at least 0"),
        ({"edits": -1}, "edits is -1; expected at least 0"),
        ({"channels": 7}, "channels is 7; expected at least 8"),
        ({"babble_share": 1.1}, "babble_share is 1.1; expected from 0 to 1"),
        ({"head": "mean"}, "head is 'mean'; expected one of binned, statistics, dense, or package.module:name of your own"),
        ({"teacher": "googel"}, "teacher is 'googel'; expected one of google"),
        ({"teacher_weight": 1.0}, "teacher_weight is 1.0, but teacher is not set"),
        ({"encoder": "compact", "runs": 0}, "encoder 'compact' needs whole windows, which the head 'binned' doesn't pool"),
        ({"encoder": "ancestor", "runs": 0}, "use head = 'statistics' or 'dense', runs = 0 and the window_s that words need"),
        ({"head": "statistics"}, "runs is 4 with the head 'statistics', which hears windows as a whole; use runs = 0"),
        ({"encoder": "compact", "head": "dense", "runs": 1}, "runs is 1 with the head 'dense'"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(tone_words, tmp_path, change, message):
    with pytest.raises(ConfigError) as caught:
        train(tone_words, tmp_path / "out", dataclasses.replace(TrainConfig(), **change))
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_pairs_need_two_tokens_of_a_word(name):
    config = TrainConfig(loss=name, tokens_per_word=1)
    if name in LOSSES_OF_PAIRS:
        with pytest.raises(ConfigError, match="tokens_per_word is 1 with the loss"):
            check(config)
    else:
        check(config)


def test_every_number_has_a_range():
    free = {"min_snr_db", "max_snr_db", "min_level_db"}
    fields = [field for field in dataclasses.fields(TrainConfig) if field.type in ("int", "float")]
    assert {field.name for field in fields if not field.metadata.get("bounds")} == free


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": "ancestor", "head": "dense", "runs": 0, "n_features": 8}, "n_features is 8"),
        (
            {"encoder": "ancestor", "head": "dense", "runs": 0, "front_end": "mfcc", "window_s": 0.1},
            "window_s is 0.1; expected at least 0.128, a frame of the encoder 'ancestor'",
        ),
        ({"front_end": "mfcc", "n_features": 65}, "n_features is 65"),
    ],
)
def test_parts_refuse_what_they_cannot_compute(tone_words, tmp_path, small, change, message):
    with pytest.raises(ConfigError, match=message):
        train(tone_words, tmp_path / "out", dataclasses.replace(small, **change))


def test_threads_are_a_process_share_of_the_cores_it_may_run_on(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert cpu_threads(TrainConfig()) == 6
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert cpu_threads(TrainConfig()) == 3
    assert cpu_threads(TrainConfig(threads=5)) == 5
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert cpu_threads(TrainConfig()) == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cpu_threads(TrainConfig()) == 8
