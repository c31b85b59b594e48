"""Thirty mistakes in a recipe of `run`: each is told before the first stage writes anything."""

from __future__ import annotations

import time

import pytest

from wordprint import pipeline
from wordprint.config import RunConfig
from wordprint.errors import WordprintError
from wordprint.stages import packages
from wordprint.stages.recipe import from_dict

MISTAKES = [
    ({"sources": []}, "no corpus was given"),
    ({"sources": ["kaldy:/data"]}, "unknown kind 'kaldy'; expected librispeech, .*; did you mean 'kaldi'"),
    ({"sources": ["/no/such/corpus"]}, "/no/such/corpus does not exist"),
    ({"sources": ["no_such_module:reader:/"]}, "can't be (loaded|imported)"),
    ({"sources": ["synthetic", "synthetic"]}, "2 sources are called 'synthetic'"),
    ({"evaluate_on": ["/no/such/words"]}, "option 'evaluate_on': /no/such/words does not exist"),
    ({"prepare": {"synthetic_speakers": 0}}, "prepare.synthetic_speakers is 0; expected at least 1"),
    ({"prepare": {"synthetic_utterances": 3}}, "prepare.synthetic_speakers is 24, synthetic_utterances 3"),
    ({"prepare": {"common_voice_lists": ["validatd"]}}, "prepare.common_voice_lists is 'validatd'.*did you mean 'validated'"),
    ({"prepare": {"language": "fr"}}, "prepare.language is 'fr', and pocketsphinx's model is English; set align.aligner"),
    ({"validate": {"clipping_share": 2.0}}, "validate.clipping_share is 2; expected from 0 to 1"),
    ({"validate": {"drop": ["clippd_audio"]}}, "validate.*'clippd_audio'"),
    ({"validate": {"min_duration_s": 9.0, "max_duration_s": 1.0}}, "validate.min_duration_s is 9"),
    ({"align": {"aligner": "pocketsfinx"}}, "align.aligner is 'pocketsfinx'.*did you mean 'pocketsphinx'"),
    ({"align": {"aligner": "textgrid"}}, "align.aligner is 'textgrid', which has no folder"),
    ({"align": {"textgrids": "."}}, "align.textgrids is set, but aligner is 'pocketsphinx'"),
    ({"align": {"mfa_beam": 20}}, "align.mfa_beam is set, but aligner is 'pocketsphinx'"),
    ({"align": {"lexicon": "/no/such/lexicon"}}, "option 'align.lexicon': /no/such/lexicon does not exist"),
    ({"words": {"min_duration_s": 4.0}}, "words.min_duration_s is 4; expected less than max_duration_s"),
    ({"words": {"validation_words": 0.6, "test_words": 0.5}}, "words.validation_words and test_words are 0.6 and 0.5"),
    ({"words": {"shard_hours": 0.0}}, "words.shard_hours is 0; expected more than 0"),
    ({"train": {"encoder": "compcat"}}, "train.encoder is 'compcat'.*did you mean 'compact'"),
    ({"train": {"encoder": "no_such_module:Net"}}, "train.encoder 'no_such_module:Net' can't be imported"),
    ({"train": {"front_end": "log_mell"}}, "train.front_end is 'log_mell'"),
    ({"train": {"loss": "tripplet"}}, "train.loss is 'tripplet'.*did you mean 'triplet'"),
    ({"train": {"miner": "hard"}}, "train.miner is set, but loss is 'supervised_contrastive', which makes no use of it"),
    ({"train": {"margin": 0.5}}, "train.margin is set, but loss is"),
    ({"train": {"learning_rate": 0.0}}, "train.learning_rate is 0; expected more than 0"),
    ({"train": {"min_snr_db": 40.0}}, "train.min_snr_db is 40; expected at most max_snr_db"),
    ({"train": {"tokens_per_word": 1}}, "train.tokens_per_word is 1"),
    ({"train": {"noise": "/no/such/noise"}}, "option 'train.noise': /no/such/noise does not exist"),
    ({"train": {"encoder": "ancestor", "head": "dense", "runs": 0, "n_features": 8}}, "n_features is 8 with the encoder .ancestor"),
    ({"export": {"materials": ["LibriSpeech"]}}, "export.*'LibriSpeech'"),
    ({"export": {"calibration_minutes": -1.0}}, "export.calibration_minutes is -1"),
    ({"evaluate": {"shots": [3, 3]}}, r"evaluate.shots are \[3, 3\]"),
    ({"evaluate": {"targets": ["yes"]}}, "evaluate.targets are"),
    ({"evaluate": {"split": "tets"}}, "evaluate.split is 'tets'.*did you mean 'test'"),
    ({"spot": {"threshold": 1.5}}, "spot.threshold is 1.5; expected from -1 to 1"),
    ({"demo": {"keywords": ["lights on"], "sentence": "turn the lights off"}}, "demo.keywords has 'lights on'"),
]


@pytest.mark.parametrize(("values", "message"), MISTAKES, ids=lambda value: str(value)[:60])
def test_none_gets_past_the_first_second(values, message, tmp_path):
    config = from_dict(RunConfig, {"sources": ["synthetic"], **values}, "recipe.toml")
    started = time.process_time()  # of this process alone, however busy the machine is
    with pytest.raises(WordprintError, match=message):
        pipeline.run(tmp_path / "work", config)
    assert time.process_time() - started < 1
    assert not (tmp_path / "work").exists()


def test_a_missing_extra_is_told_first(tmp_path, monkeypatch):
    lost = packages.Package("torch", ">=2.6", None, fits=False)
    monkeypatch.setattr(packages, "packages", lambda extra: [lost] if extra == "train" else [])
    with pytest.raises(WordprintError, match=r"'run' needs torch>=2.6; install with: pip install 'wordprint\[train\]'"):
        pipeline.run(tmp_path / "work", RunConfig())
    assert not (tmp_path / "work").exists()
