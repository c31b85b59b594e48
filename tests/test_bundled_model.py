"""The model that comes with the package: what it says of itself is true, and it works at once."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from wordprint import Model, Spotter
from wordprint.evaluate.few_shot import open_set
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.spot.correct import add_shots
from wordprint.spot.enroll import make_keyword
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.stages.manifest import digest_file
from wordprint.train.ranking import same_different_average_precision
from wordprint.words.tokens import load_tokens

MODELS = Path(str(resources.files("wordprint") / "models"))
MATERIALS = {"librispeech", "speechocean762", "isolated_words", "dsp", "kokoro", "noise", "rir", "speech_embedding (teacher)"}


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


def test_is_small_and_carries_its_materials_and_licences(model):
    assert model.path.parent == MODELS
    assert len(zlib.compress(model.path.read_bytes())) <= 6_000_000  # as in the wheel
    assert model.cohort is not None
    bill = json.loads((MODELS / "bill_of_materials.json").read_text(encoding="utf-8"))
    assert digest_file(model.path) in bill["files"].values()
    assert bill["licence"] == model.metadata["licence"] == "CC BY 4.0"
    assert {item["name"] for item in bill["materials"]} == MATERIALS
    assert all(item["licence"] and item["source"] for item in bill["materials"])
    assert (MODELS / "MODEL_CARD.md").read_text(encoding="utf-8").startswith("# wordprint-read-speech")


@pytest.fixture(scope="module")
def spoken():
    """Three recordings of "good morning" by synthetic voices, a sentence with it by another, and when it is said in it."""
    from wordprint.speech.espeak import Synthesiser
    from wordprint.speech.synthetic import draw_speakers, speak

    rng = np.random.default_rng(0)
    *enrollers, user = draw_speakers(4, seed=1)
    with Synthesiser() as synthesiser:
        shots = [speak(synthesiser, "good morning", speaker, rng)[0] for speaker in enrollers]
        samples, words = speak(synthesiser, "please say good morning to everyone", user, rng)
    assert (words[2].symbol, words[3].symbol) == ("good", "morning")
    return shots, samples, (words[2].start_s, words[3].end_s)


@pytest.mark.parametrize("typed", [False, True])
def test_learns_a_keyword_from_three_synthetic_recordings_or_from_its_spelling(model, spoken, typed):
    shots, samples, (start_s, end_s) = spoken
    spotter = Spotter(model)
    spotter.enroll("good morning", [] if typed else shots, false_alarms_per_hour=20 if typed else None)
    detections = list(spotter.spot(samples))
    assert [detection.keyword for detection in detections] == ["good morning"]
    assert abs((detections[0].onset_s + detections[0].offset_s) / 2 - (start_s + end_s) / 2) < 0.2
    assert detections[0].time_s - detections[0].offset_s <= spotter.latency_s


def test_the_spelling_is_a_shot_more_where_recordings_sound_like_it(model, spoken):
    shots, _, _ = spoken
    both, alone = (make_keyword(model, "good morning", shots, 0.0, recordings_alone=alone) for alone in (False, True))
    assert both.phones
    assert alone.phones == ()
    spelled = model.spell([string.split() for string in both.phones])
    assert (spelled @ np.array(both.prototypes[0])).max() > (spelled @ np.array(alone.prototypes[0])).max()
    other = make_keyword(model, "washing machine", shots, 0.0)
    assert (other.phones, other.prototypes) == ((), alone.prototypes)
    assert make_keyword(model, "bonjour", shots, 0.0).prototypes == alone.prototypes
    once = add_shots(model, Enrollment(model.name, model.digest, (replace(both, shots=both.shots[:2]),)), "good morning", shots[2:])
    np.testing.assert_allclose(once.keywords[0].prototypes, both.prototypes, atol=2e-6)


def test_a_stream_in_any_chunks_is_the_recording_bit_for_bit(model, spoken):
    _, samples, _ = spoken
    frames, size = model.frames(samples), model.block_samples
    spotter = Spotter(model, config=SpotConfig(threshold=0.0))
    spotter.enroll("good morning")
    whole = [*spotter.process(samples), *spotter.flush()]
    assert whole
    for step in (1009, size, 17 * size + 5):
        chunks = np.split(samples, range(step, len(samples), step))
        stream = model.stream()
        pieces = [stream.push(chunk) for chunk in [*chunks, np.zeros(3 * SAMPLE_RATE, np.float32)]]
        assert np.array_equal(np.concatenate(pieces)[model.delay_frames :][: len(frames)], frames)
        assert [detection for chunk in chunks for detection in spotter.process(chunk)] + spotter.flush() == whole


def test_two_seconds_after_a_sound_it_is_forgotten(model):
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)
    after = np.zeros(3 * SAMPLE_RATE, np.float32)
    frames = model.frames(np.concatenate([noise, after]))
    np.testing.assert_allclose(frames[-50:], np.tile(model.silence, (50, 1)), rtol=1e-5, atol=1e-4)


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
