"""The model that comes with the package: what it says of itself is true, and it works at once."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from wordprint import Model, Spotter
from wordprint.evaluate.few_shot import open_set
from wordprint.stages.manifest import digest_file
from wordprint.train.ranking import same_different_average_precision
from wordprint.words.tokens import load_tokens

MODELS = Path(str(resources.files("wordprint") / "models"))


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


def test_is_small_and_carries_its_materials_and_licences(model):
    assert model.path.parent == MODELS
    assert model.path.stat().st_size <= 2_000_000
    bill = json.loads((MODELS / "bill_of_materials.json").read_text(encoding="utf-8"))
    assert digest_file(model.path) in bill["files"].values()
    assert bill["licence"] == model.metadata["licence"] == "CC BY 4.0"
    assert {item["name"] for item in bill["materials"]} == {"librispeech", "speechocean762", "noise", "rir"}
    assert all(item["licence"] and item["source"] for item in bill["materials"])
    assert (MODELS / "MODEL_CARD.md").read_text(encoding="utf-8").startswith("# wordprint-read-speech")


def test_learns_a_keyword_from_three_synthetic_recordings():
    from wordprint.corpora.synthetic import draw_speakers, speak
    from wordprint.speech.espeak import Synthesiser

    rng = np.random.default_rng(0)
    *enrollers, user = draw_speakers(4, seed=1)
    spotter = Spotter()
    with Synthesiser() as synthesiser:
        spotter.enroll("good morning", [speak(synthesiser, "good morning", speaker, rng)[0] for speaker in enrollers])
        samples, words = speak(synthesiser, "please say good morning to everyone", user, rng)
    detections = list(spotter.spot(samples))
    assert [detection.keyword for detection in detections] == ["good morning"]
    assert (words[2].symbol, words[3].symbol) == ("good", "morning")
    middle_s = (words[2].start_s + words[3].end_s) / 2
    assert abs((detections[0].onset_s + detections[0].offset_s) / 2 - middle_s) < 0.2


def test_never_heard_a_word_that_it_is_evaluated_on(model, shared_data):
    folders = [folder.name for kind in (shared_data / "keywords").iterdir() for folder in kind.iterdir() if folder.is_dir()]
    evaluated = {word for name in folders if not name.startswith("_") for word in name.split("_")}
    assert len(evaluated) > 40
    assert not evaluated & model.training_words


def test_reaches_its_figures_on_unseen_keywords_and_speakers(model, shared_data):
    tokens = load_tokens(shared_data / "keywords/speech_commands")
    embeddings = np.concatenate([model.embed(batch) for batch in tokens.batches(model.window_samples)])
    result = open_set(embeddings, tokens.words, tokens.speakers, generator=np.random.default_rng(0), shots=(10,), draws=20)
    assert result.best.estimates["closed"].mean >= 0.88
    assert result.best.estimates["accuracy_at_5_far"].mean >= 0.75
    assert same_different_average_precision(embeddings, tokens.words, tokens.speakers, exclude_same_speaker=True) >= 0.6
