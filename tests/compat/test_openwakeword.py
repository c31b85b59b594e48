"""openWakeWord's flow with one import changed, and its arguments."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from toy_model import enroll_words, padded, stream_of, word
from wordprint.compat.openwakeword import Model, score
from wordprint.errors import ConfigError, EnrollmentError, InputError
from wordprint.speech.audio import to_int16, write_audio
from wordprint.spot.enroll import enroll
from wordprint.spot.enrollment import Enrollment, Rival
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter

STREAM = to_int16(stream_of(("red", 0.5), ("green", 1.6), ("blue", 2.7), ("red", 3.9), seconds=5.5))
FRAME = 1280


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return enroll_words(tmp_path_factory.mktemp("keywords"), "red", "blue")


@pytest.fixture
def model(files) -> Model:
    return Model(wakeword_models=[str(files[1])], model=files[0])


def frames(size=FRAME):
    return [STREAM[start : start + size] for start in range(0, len(STREAM), size)]


def test_the_flow_of_their_readme_and_of_their_microphone_example(files, monkeypatch):
    monkeypatch.chdir(files[1].parent)
    model = Model(model=files[0])  # keywords.json of this folder
    assert list(model.models) == ["red", "blue"]
    heard = []
    for frame in frames():
        prediction = model.predict(frame)
        for name in model.prediction_buffer:
            scores = list(model.prediction_buffer[name])
            assert scores[-1] == prediction[name]
            assert len(scores) <= 30
            if scores[-1] > 0.5:
                heard.append(name)
    assert [name for name, _ in itertools.groupby(heard)] == ["red", "blue", "red"]


def test_scores_are_those_of_the_looks(files, model):
    spotter = Spotter(*files, SpotConfig(hop_s=0.08))
    looks = [look.similarities for look in spotter.looks(STREAM)]
    thresholds = [keyword.threshold for keyword in spotter.enrollment.keywords]
    expected = [[score(float(value), at) for value, at in zip(look, thresholds, strict=True)] for look in looks]
    found = [model.predict(frame) for frame in frames()[: len(looks)]]
    assert [list(prediction.values()) for prediction in found] == expected
    model.reset()
    assert model.predict(STREAM) == dict(zip(["red", "blue"], np.max(expected, axis=0), strict=True))


def test_a_score_is_0_where_a_rival_is_nearer(files, tmp_path):
    """'blue' with a rival that is what 'green' is."""
    green = enroll(files[0], "green", [padded(word("green"))]).keywords[0]
    made = Enrollment.load(files[1])
    blue = replace(made.named("blue"), rivals=(Rival("green", green.prototypes, ()),))
    made.add(blue).save(tmp_path / "keywords.json")
    looks = list(Spotter(files[0], tmp_path / "keywords.json", SpotConfig(hop_s=0.08)).looks(STREAM))
    model = Model(wakeword_models=tmp_path / "keywords.json", model=files[0])
    found = [model.predict(frame) for frame in frames()[: len(looks)]]
    heard = [number for number, look in enumerate(looks) if np.isfinite(look.similarities).all()]
    nearer = [bool(looks[number].rivals[0] > looks[number].similarities[1]) for number in heard]
    assert [(found[number]["blue"] == 0, found[number]["red"] == 0) for number in heard] == [(beaten, False) for beaten in nearer]
    assert {True, False} <= set(nearer)


def test_a_score_is_a_half_at_the_threshold():
    assert score(0.7, 0.7) == 0.5
    assert score(-np.inf, 0.7) == 0
    assert 0 < score(-1.0, 1.0) < score(0.69, 0.7) < 0.5 < score(0.71, 0.7) < score(1.0, -1.0) <= 1


@pytest.mark.parametrize("size", [1, 640, 1279, 3000])
def test_frames_of_any_length(model, size):
    whole = [model.predict(frame) for frame in frames()[:20]]
    model.reset()
    cut = [model.predict(frame) for frame in np.split(STREAM[: 20 * FRAME], range(size, 20 * FRAME, size))]
    for name in model.models:
        assert max(prediction[name] for prediction in cut) == max(prediction[name] for prediction in whole)
    if size < FRAME:  # nothing was looked at yet; between two looks the last one counts
        assert cut[0] == {"red": 0.0, "blue": 0.0}
        assert cut[-1] == whole[-1]


def test_a_recording(model, tmp_path):
    write_audio(tmp_path / "a.wav", STREAM)
    from_file = model.predict_clip(str(tmp_path / "a.wav"))
    assert len(from_file) == (len(STREAM) + 32_000) // FRAME
    model.reset()
    assert model.predict_clip(STREAM) == from_file
    model.reset()
    padded = np.concatenate([np.zeros(16_000, np.int16), STREAM, np.zeros(16_000, np.int16)])
    in_pairs = [{name: max(a[name], b[name]) for name in a} for a, b in zip(from_file[::2], from_file[1::2], strict=False)]
    assert model.predict_clip(padded, padding=0, chunk_size=2 * FRAME) == in_pairs
    model.reset()
    patient = model.predict_clip(STREAM, threshold={"red": 0.5}, patience={"red": 2})
    assert [a == b for a, b in zip(patient, from_file, strict=True)].count(False) >= 2  # a frame at each "red"


def test_patience_wants_as_many_frames_in_turn(model):
    free = [model.predict(frame)["red"] for frame in frames()]
    model.reset()
    patient = [model.predict(frame, patience={"red": 3}, threshold={"red": 0.5})["red"] for frame in frames()]
    run, expected = 0, []
    for value in free:
        run = run + 1 if value >= 0.5 else 0
        expected.append(0.0 if 0 < run < 3 else value)
    assert patient == expected
    assert patient != free


def test_debounce_is_silent_for_a_while(model):
    free = [model.predict(frame)["red"] for frame in frames()]
    model.reset()
    held = [model.predict(frame, debounce_time=2.0, threshold={"red": 0.5})["red"] for frame in frames()]
    high = [number * 0.08 for number, value in enumerate(held) if value >= 0.5]
    assert len(high) == 2
    assert high[1] - high[0] > 2.0
    assert [value for value, other in zip(held, free, strict=True) if other < 0.5] == [value for value in free if value < 0.5]


@pytest.mark.parametrize(
    "arguments",
    [
        {"class_mapping_dicts": [{"0": "a"}]},
        {"enable_speex_noise_suppression": True},
        {"vad_threshold": 0.5},
        {"custom_verifier_models": {"red": "a.pkl"}},
        {"custom_verifier_threshold": 0.3},
        {"inference_framework": "tflite"},
    ],
)
def test_what_only_openwakeword_has_is_refused(files, arguments):
    with pytest.raises(ConfigError, match=f"{next(iter(arguments))} is .*, which wordprint doesn't have; leave it out"):
        Model([files[1]], model=files[0], **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": {"red": 2}}, "patience without a threshold"),
        ({"debounce_time": 1.0}, "debounce_time without a threshold"),
        ({"patience": {"red": 2}, "threshold": {"blue": 0.5}}, "patience without a threshold"),
        ({"threshold": {"purple": 0.5}}, "threshold of 'purple'; expected names among red, blue"),
        ({"patience": {"red": 2}, "threshold": {"red": 0.5}, "debounce_time": 1.0}, "both patience and debounce_time"),
    ],
)
def test_arguments_that_do_not_fit(model, arguments, message):
    with pytest.raises(ConfigError, match=message):
        model.predict(STREAM[:FRAME], **arguments)


def test_files_that_cannot_be_used(files, tmp_path):
    with pytest.raises(InputError, match=r"hey_jarvis.tflite is no enrollment; .*make it with: wordprint enroll"):
        Model(["hey_jarvis.tflite"], model=files[0])
    with pytest.raises(InputError, match="does not exist"):
        Model([tmp_path / "none.json"], model=files[0])
    with pytest.raises(EnrollmentError, match="was made with model"):
        Model([files[1]])
    with pytest.raises(InputError, match="audio of type list"):
        Model([files[1]], model=files[0]).predict([0, 1])
    with pytest.raises(InputError, match="int32"):
        Model([files[1]], model=files[0]).predict(np.zeros(FRAME, np.int32))
