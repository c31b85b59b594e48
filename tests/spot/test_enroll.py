"""Enrollment: trimming, prototypes, quality of the shots, the file, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from toy_model import RATE, SIZE, padded, stream_of, word, write_model
from wordprint.errors import ConfigError, EnrollmentError, InputError, ModelError
from wordprint.model import Model
from wordprint.speech.audio import resample, to_int16, write_audio
from wordprint.speech.trim import Speech, centred, find_speech
from wordprint.spot.enroll import enroll, make_keyword
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.spans import BESIDE_S, PHONE_S, likely_duration_s
from wordprint.spot.stream import Spotter
from wordprint.spot.voices import VOICES, spoken


def shots(name: str, count: int = 3, **options) -> list[np.ndarray]:
    return [padded(word(name, seed=seed, **options), seed=seed) for seed in range(count)]


def test_speech_is_found_where_it_is():
    speech = find_speech(padded(word("red", 0.5), before_s=0.7, after_s=1.2))
    assert speech.start_sample / RATE == pytest.approx(0.65, abs=0.05)
    assert speech.end_sample / RATE == pytest.approx(1.25, abs=0.05)


def test_a_click_far_from_the_word_is_not_speech():
    samples = padded(word("red", 0.5), before_s=1.0)
    samples[1600:1700] = 0.9
    assert find_speech(samples).start_sample / RATE == pytest.approx(0.95, abs=0.05)


def test_the_pause_inside_a_phrase_is_bridged():
    gap = np.zeros(round(0.2 * RATE), np.float32)
    speech = find_speech(padded(np.concatenate([word("red", 0.3), gap, word("blue", 0.3)])))
    assert speech.duration_s == pytest.approx(0.92, abs=0.05)


@pytest.mark.parametrize("samples", [np.zeros(8000, np.float32), np.zeros(10, np.float32), np.full(8000, 0.5, np.float32)])
def test_recordings_without_contrast_are_speech_as_a_whole(samples):
    speech = find_speech(samples)
    assert (speech.start_sample, speech.end_sample) == (0, len(samples))


def test_noise_does_not_hide_the_word():
    random = np.random.default_rng(0)
    samples = padded(word("red", 0.5), before_s=1.0, after_s=1.0) + random.normal(0, 0.03, 40_000).astype(np.float32)
    speech = find_speech(samples)
    assert (speech.start_sample + speech.end_sample) / 2 / RATE == pytest.approx(1.25, abs=0.05)


@pytest.mark.parametrize("offset", [0.1, -0.5, np.linspace(-0.2, 0.3, 40_000, dtype=np.float32)])
def test_an_offset_of_the_microphone_neither_shortens_the_word_nor_is_sound(offset, model):
    samples = padded(word("red", 0.5, seed=1), before_s=1.0, after_s=1.0, seed=1)
    for found, expected in zip(*(_edges(find_speech(x)) for x in (samples + offset, samples)), strict=True):
        assert found == pytest.approx(expected, abs=0.02)
    with pytest.raises(EnrollmentError, match="recording 1 is silent"):
        enroll(model, "red", [np.zeros(16_000, np.float32) + np.mean(offset, dtype=np.float32)])


def _edges(speech: Speech) -> tuple[float, float]:
    return speech.start_sample / RATE, speech.end_sample / RATE


def test_centred_pads_and_cuts():
    samples = np.arange(1, 11, dtype=np.float32)
    assert centred(samples, Speech(2, 6, 0.0), 6).tolist() == [2, 3, 4, 5, 6, 7]
    assert centred(samples, Speech(0, 2, 0.0), 6).tolist() == [0, 0, 1, 2, 3, 4]
    assert centred(samples, Speech(8, 10, 0.0), 6).tolist() == [7, 8, 9, 10, 0, 0]
    assert centred(samples, Speech(0, 10, 0.0), 14).tolist() == [0, 0, *range(1, 11), 0, 0]


def test_the_prototype_is_the_normalised_mean_of_the_shots(model):
    keyword = enroll(model, "red", shots("red")).keywords[0]
    mean = np.mean([shot.embedding for shot in keyword.shots], axis=0)
    np.testing.assert_allclose(keyword.prototypes, [mean / np.linalg.norm(mean)], atol=1e-6)
    assert keyword.threshold == model.threshold
    assert keyword.duration_s == pytest.approx(0.6, abs=0.05)
    assert (keyword.phones, keyword.guessed, keyword.warnings) == ((), (), [])
    for shot, samples in zip(keyword.shots, shots("red"), strict=True):
        np.testing.assert_allclose(shot.embedding, model.vector(samples, find_speech(samples)), atol=1e-6)


def test_a_keyword_lasts_as_long_as_its_median_shot(model):
    lengths_s = [0.4, 0.5, 1.6]
    recordings = [padded(word("red", seconds, seed=seed), seed=seed) for seed, seconds in enumerate(lengths_s)]
    assert enroll(model, "red", recordings).keywords[0].duration_s == pytest.approx(0.6, abs=0.05)


# typed: R, B and G are how the toy model's "red", "blue" and "green" sound


def test_a_typed_keyword_is_found_in_a_stream(model):
    made = enroll(model, "crimson", phones="R", config=SpotConfig(threshold=0.85))
    (keyword,) = made.keywords
    np.testing.assert_allclose(keyword.prototypes, model.spell([["R"]]), atol=1e-6)
    assert (keyword.phones, keyword.shots, keyword.guessed, keyword.warnings) == (("R",), (), (), [])
    assert keyword.duration_s == pytest.approx(0.155)
    stream = stream_of(("blue", 0.5), ("red", 1.5), ("green", 2.5), seconds=3.5)
    (found,) = Spotter(model, made).spot(stream)
    assert (found.keyword, 1.5 < found.offset_s < 2.1) == ("crimson", True)


def test_every_pronunciation_is_listened_for(model):
    made = enroll(model, "colour", phones="r, G", config=SpotConfig(threshold=0.85))
    np.testing.assert_allclose(made.keywords[0].prototypes, model.spell([["R"], ["G"]]), atol=1e-6)
    assert made.keywords[0].phones == ("R", "G")
    stream = stream_of(("blue", 0.5), ("red", 1.5), ("green", 2.7), seconds=3.7)
    assert len(list(Spotter(model, made).spot(stream))) == 2


@pytest.mark.parametrize("count", [1, 2, 3])
def test_text_beside_recordings_is_two_more_of_them(model, count):
    """The pronunciation that they are most like."""
    (keyword,) = enroll(model, "red", shots("red", count), phones="B, R, G").keywords
    vectors = [*(shot.embedding for shot in keyword.shots), *model.spell([["R"]] * 2)]
    mean = np.mean(vectors, axis=0)
    np.testing.assert_allclose(keyword.prototypes, [mean / np.linalg.norm(mean)], atol=1e-6)
    assert (len(keyword.shots), keyword.phones) == (count, ("B", "R", "G"))
    assert keyword.duration_s == pytest.approx(0.6, abs=0.05)


def test_a_keyword_lasts_no_less_than_its_spelling_makes_likely():
    assert likely_duration_s([], [("R", "EH", "D")]) == pytest.approx(3 * PHONE_S + BESIDE_S)
    assert likely_duration_s([0.1, 0.9, 0.2], [("R",), ("R", "EH", "D", "AH", "N")]) == 0.2  # the first pronunciation counts
    assert likely_duration_s([0.1, 0.9, 0.2], [("R", "EH", "D", "AH", "N")]) == pytest.approx(5 * PHONE_S + BESIDE_S)
    assert likely_duration_s([0.1, 0.9, 0.2], []) == 0.2


def test_phones_that_the_model_does_not_know_are_named(model, tmp_path):
    with pytest.raises(InputError, match="the model doesn't know the phones AY L; expected some of R B G"):
        enroll(model, "light", [], tmp_path / "keywords.json", phones="L AY R")
    with pytest.raises(InputError, match="holds no phones"):
        enroll(model, "light", phones=" , ")
    assert not (tmp_path / "keywords.json").exists()


def test_a_name_that_cannot_be_said_needs_recordings_or_phones(model):
    with pytest.raises(InputError, match="'007' has no letters to pronounce"):
        enroll(model, "007")
    assert enroll(model, "007", phones="R").keywords[0].keyword == "007"
    assert enroll(model, "007", shots("red")).keywords[0].phones == ()


def test_a_model_without_phones_can_not_be_typed_for(model_writer):
    mute = Model(model_writer(phones=[]))
    with pytest.raises(ModelError, match="no keyword can be typed; enroll recordings"):
        enroll(mute, "red", phones="R")
    assert enroll(mute, "red", shots("red")).keywords


def test_a_typed_keyword_is_saved_and_read(model, tmp_path):
    made = enroll(model, "colour", [], tmp_path / "keywords.json", phones="R, G B")
    assert Enrollment.load(tmp_path / "keywords.json") == made


def test_several_keywords_in_one_file_and_one_replaced(model, model_path, tmp_path):
    file = tmp_path / "keywords.json"
    enroll(model_path, "red", shots("red"), file)
    enroll(model_path, "blue", shots("blue"), file)
    enroll(model_path, "red", shots("red", count=1), file, SpotConfig(threshold=0.7))
    loaded = Enrollment.load(file)
    assert [(keyword.keyword, len(keyword.shots)) for keyword in loaded.keywords] == [("red", 1), ("blue", 3)]
    assert loaded.keywords[0].threshold == 0.7
    assert loaded.model_digest == model.digest
    assert Enrollment.load(file) == loaded


def test_the_file_gives_back_what_was_enrolled(model, tmp_path):
    made = enroll(model, "red", shots("red"), tmp_path / "keywords.json")
    assert Enrollment.load(tmp_path / "keywords.json") == made


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_an_enrollment_that_an_editor_saved_with_a_mark_is_read(model, tmp_path, encoding):
    file = tmp_path / "keywords.json"
    made = enroll(model, "red", shots("red"), file)
    file.write_bytes(file.read_text(encoding="utf-8").encode(encoding))
    assert Enrollment.load(file) == made


def test_recordings_may_be_files_of_any_rate(model, tmp_path):
    for seed in range(2):
        write_audio(tmp_path / f"{seed}.wav", resample(padded(word("red", seed=seed)), RATE, 8000), 8000)
    keyword = enroll(model, "tone", sorted(tmp_path.glob("*.wav"))).keywords[0]
    assert [shot.recording for shot in keyword.shots] == [str(tmp_path / "0.wav"), str(tmp_path / "1.wav")]


def test_recordings_may_be_arrays_of_any_rate_as_a_sound_card_gives_them(model):
    (expected,) = enroll(model, "red", shots("red")).keywords
    forms = [to_int16(samples)[:, None] for samples in shots("red")]
    (found,) = enroll(model, "red", forms).keywords
    assert np.allclose(found.prototypes, expected.prototypes, atol=1e-3)
    doubled = [resample(samples, RATE, 44_100)[:, None] for samples in shots("red")]
    (found,) = enroll(model, "red", doubled, sample_rate=44_100).keywords
    assert np.dot(found.prototypes[0], expected.prototypes[0]) > 0.995
    assert found.duration_s == pytest.approx(expected.duration_s, abs=0.03)
    with pytest.raises(InputError, match="sample_rate = 0"):
        enroll(model, "red", doubled, sample_rate=0)


def test_recordings_in_codecs_that_cannot_be_sought_are_enrolled_and_heard(model, tmp_path):
    for number, samples in enumerate(shots("red")):
        soundfile.write(tmp_path / f"{number}.wav", resample(samples, RATE, 8_000), 8_000, subtype="GSM610")
    made = enroll(model, "red", [tmp_path / f"{number}.wav" for number in range(3)])
    assert len(made.keywords[0].shots) == 3
    assert [found.keyword for found in Spotter(model, made).spot(tmp_path / "0.wav")] == ["red"]


def test_an_enrollment_is_shown_in_a_line(model):
    made = enroll(model, "red", shots("red"))
    assert repr(made) == f"<Enrollment of 'red' (3) with model 'bands' ({model.digest[:12]})>"
    assert repr(Enrollment("bands", model.digest)).startswith("<Enrollment of no keyword with")
    assert len(repr(made.keywords[0])) < 1000


def test_bad_recordings_are_left_out_by_name(model, tmp_path):
    (tmp_path / "text.flac").write_text("not audio")
    recordings = [tmp_path / "text.flac", tmp_path / "missing.wav", np.zeros(16000, np.float32), *shots("red", 1)]
    keyword = enroll(model, "red", recordings).keywords[0]
    assert len(keyword.shots) == 1
    assert [line.split(" ")[1] for line in keyword.rejected] == ["can't", "does", "3"]


def test_quality_warnings(model):
    loud = np.clip(padded(word("red")) * 20, -1, 1)
    brief = padded(word("red", 0.05))
    keyword = enroll(model, "red", [loud, brief, *shots("red", 2), *shots("blue", 1)]).keywords[0]
    text = " | ".join(keyword.warnings)
    assert "recording 1: clipped" in text
    assert "recording 2: short" in text
    assert "recording 5: unlike the other recordings" in text


def test_one_recording_and_the_same_one_again_are_reported(model, tmp_path):
    (once,) = shots("red", 1)
    assert enroll(model, "red", [once]).keywords[0].warnings == ["one recording: three or more are better"]
    keyword = enroll(model, "red", [once, *shots("red", 3)[1:], once]).keywords[0]
    assert keyword.warnings == ["recording 4 is the same recording as recording 1: another take is better"]
    assert len(keyword.shots) == 3
    write_audio(tmp_path / "red.wav", once)
    assert len(enroll(model, "red", [str(tmp_path / "red.wav")] * 2).keywords[0].shots) == 1


def test_a_prototype_of_another_length_is_refused(model):
    made = enroll(model, "red", shots("red"))
    cut = replace(made, keywords=(replace(made.keywords[0], prototypes=(made.keywords[0].prototypes[0], (1.0, 0.0))),))
    with pytest.raises(EnrollmentError, match=f"vector of 'red' has 2 numbers; expected {SIZE}"):
        cut.check(model)


def test_an_array_of_two_channels_is_one_recording_and_refused(model):
    with pytest.raises(InputError, match=r"recording 1 has shape \(16000, 2\)"):
        enroll(model, "red", np.zeros((16_000, 2), np.float32))


def test_phones_and_what_leaves_them_out_contradict_each_other(model):
    with pytest.raises(ConfigError, match="'red' has phones, and recordings_alone is set; expected one of them"):
        enroll(model, "red", shots("red"), phones="R", recordings_alone=True)
    with pytest.raises(ConfigError, match="'red' has phones and synthetic voices; expected one of them"):
        enroll(model, "red", phones="R", synthetic_voices=True)


@pytest.mark.parametrize("voices", [False, True])
def test_a_name_that_takes_too_long_to_say_is_refused(voices):
    with pytest.raises(InputError, match=r"takes about 4\.9 s to say; expected a keyword of up to 3 s"):
        enroll(Model(), " ".join(["lights"] * 16), synthetic_voices=voices)


def test_a_long_recording_is_refused(model):
    with pytest.raises(EnrollmentError, match="lasts 700 s, more than 60 s"):
        enroll(model, "red", [np.tile(word("red", 3.5), 200)])


@pytest.mark.parametrize(
    ("recordings", "reason"),
    [
        ([np.zeros(16000, np.float32)], "silent"),
        ([np.zeros(0, np.float32)], "0 samples"),
        ([np.full(100, np.nan, np.float32)], "finite"),
        ([padded(word("red", 4.0))], "more than 3 s"),
    ],
)
def test_no_usable_recording_is_an_error_that_says_why(model, tmp_path, recordings, reason):
    with pytest.raises(EnrollmentError, match=reason):
        enroll(model, "red", recordings, tmp_path / "keywords.json")
    assert not (tmp_path / "keywords.json").exists()


@pytest.mark.parametrize("form", [np.ravel, lambda samples: samples[:, None]])
def test_one_array_alone_is_one_recording(model, form):
    (alone,) = enroll(model, "red", form(shots("red")[0])).keywords
    (listed,) = enroll(model, "red", shots("red")[:1]).keywords
    assert alone.prototypes == listed.prototypes


def test_what_is_no_array_is_refused(model):
    with pytest.raises(InputError, match="recording 1 is no array"):
        enroll(model, "red", [(shots("red")[0], 16_000)])


@pytest.mark.parametrize("samples", [np.zeros((2, 100), np.float32), np.zeros(100, np.int32)])
def test_arrays_of_another_form_are_refused(model, samples):
    with pytest.raises(InputError, match=r"expected \(N,\) or \(N, 1\), float \(full scale ±1\) or int16"):
        enroll(model, "red", [samples])


def test_empty_keyword_and_threshold_out_of_range(model):
    with pytest.raises(InputError, match="keyword is empty"):
        enroll(model, "  ", shots("red"))
    with pytest.raises(InputError, match="from -1 to 1"):
        enroll(model, "red", shots("red"), config=SpotConfig(threshold=85))


def test_an_enrollment_for_another_model_is_refused(model_path, model_writer, tmp_path):
    file = tmp_path / "keywords.json"
    enroll(model_path, "red", shots("red"), file)
    before = file.read_bytes()
    other = Model(model_writer(name="other"))
    message = r"keywords\.json was made with model 'bands'.*use the model it was made with; or delete it \(or name another file"
    with pytest.raises(EnrollmentError, match=message):
        enroll(other, "blue", shots("blue"), file)
    assert file.read_bytes() == before
    with pytest.raises(EnrollmentError, match=r"the enrollment was made with model 'bands'.*enroll the keywords again"):
        enroll(other, "blue", shots("blue"), enrollment=Enrollment.load(file))


def test_a_folder_to_write_to_is_refused(model, tmp_path):
    with pytest.raises(InputError, match="is a folder; expected an enrollment to write or add to; name a file"):
        enroll(model, "red", shots("red"), tmp_path)


def test_a_recording_in_place_of_the_keyword_is_refused(model, tmp_path):
    for name in ("a.wav", "b.wav"):
        write_audio(tmp_path / name, shots("red", 1)[0])
    with pytest.raises(InputError, match=r"a\.wav' is a file; expected a word or a phrase, then its recordings; say which keyword"):
        enroll(model, str(tmp_path / "a.wav"), [tmp_path / "b.wav"], tmp_path / "keywords.json")
    assert not (tmp_path / "keywords.json").exists()


def test_damaged_enrollments(model, tmp_path):
    file = tmp_path / "keywords.json"
    enroll(model, "red", shots("red"), file)
    record = json.loads(file.read_text())
    changes = [
        {"prototypes": [["x"]]},
        {"prototypes": [[float("nan")] * SIZE]},
        {"prototypes": []},
        {"threshold": None},
        {"keyword": 7},
        {"extra": 0},
        {"threshold": 5},
        {"duration_s": 10**400},
        {"prototypes": [[0.0] * SIZE]},
        {"sounds": "R EH D"},
        {"phones": [1]},
        {"shots": [{**record["keywords"][0]["shots"][0], "start_s": None}]},
        {"shots": [{**record["keywords"][0]["shots"][0], "agreement": "high"}]},
        {"shots": [{**record["keywords"][0]["shots"][0], "embedding": [float("inf")] * SIZE}]},
        {"rejected": [1]},
    ]
    for text, message in [
        ("[" * 100_000, "damaged"),
        (json.dumps({**record, "model_digest": None}), "model_digest is None"),
        (json.dumps({**record, "keywords": record["keywords"] * 2}), "two keywords have one name"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ("\xff", "damaged"),
        (json.dumps({**record, "schema": "wordprint.enrollment/9"}), "schema 'wordprint.enrollment/9'"),
        (json.dumps({**record, "keywords": [{"keyword": "red"}]}), "damaged"),
        *((json.dumps({**record, "keywords": [{**record["keywords"][0], **change}]}), "damaged") for change in changes),
    ]:
        file.write_bytes(text.encode("latin-1"))
        with pytest.raises(EnrollmentError, match=message):
            Enrollment.load(file)
    with pytest.raises(InputError, match="does not exist"):
        Enrollment.load(tmp_path / "none.json")


def test_enrollments_that_this_model_can_not_have_made(model, tmp_path):
    made = enroll(model, "red", shots("red"))
    (word,) = made.keywords
    for change, message in (
        ({"shots": (replace(word.shots[0], embedding=(1.0,)),)}, "a vector of 'red' has 1 numbers"),
        ({"sounds": ("QQ",)}, "'red' has phones QQ"),
    ):
        with pytest.raises(EnrollmentError, match=f"is damaged: {message}"):
            replace(made, keywords=(replace(word, **change),)).check(model)


def test_a_file_that_can_not_be_added_to_is_named_with_what_it_holds(model, tmp_path):
    file = tmp_path / "keywords.json"
    file.write_text(json.dumps({"schema": "wordprint.enrollment/1", "keywords": [{"keyword": "red"}, {"keyword": "blue"}]}))
    with pytest.raises(EnrollmentError, match=r"holds red, blue\); expected .*; delete it \(or name another file with -o"):
        enroll(model, "green", shots("red"), file)


def test_phones_are_read_as_the_model_knows_them(tmp_path):
    """IPA has small letters; ARPAbet is read in any case."""
    ipa = Model(write_model(tmp_path / "ipa.onnx", phones=["r", "B", "ɡ"]))
    assert enroll(ipa, "red", phones="r b, ɡ").keywords[0].phones == ("r B", "ɡ")


def test_synthetic_voices_say_a_typed_keyword(tmp_path):
    pytest.importorskip("espeakng_loader")
    model = Model()
    typed, said = (make_keyword(model, "lights on", [], 0.5, synthetic_voices=voices) for voices in (False, True))
    voices = spoken(model, "lights on")
    assert voices.shape == (VOICES, model.embedding_size)
    assert said.voices == VOICES
    np.testing.assert_array_equal(voices, spoken(model, "lights on"))
    whole = voices.mean(axis=0) + np.mean(typed.prototypes, axis=0)
    np.testing.assert_allclose(said.prototypes, [whole / np.linalg.norm(whole)], atol=1e-5)
    assert (said.phones, said.duration_s) == (typed.phones, typed.duration_s)
    others = spoken(model, "volume up")
    assert (voices @ np.array(said.prototypes[0])).min() > (others @ np.array(said.prototypes[0])).max()
    kept = Enrollment(model.name, model.digest, (said,))
    kept.save(tmp_path / "keywords.json")
    assert Enrollment.load(tmp_path / "keywords.json") == kept
    with pytest.raises(ConfigError, match="'red' has recordings and synthetic voices"):
        make_keyword(model, "red", [padded(word("red"))], 0.5, synthetic_voices=True)


def test_what_hits_are_compared_with(reading, model, monkeypatch):
    """The spelling that a person says, or that recordings of the name say; a guess counts where they say it."""
    assert make_keyword(reading, "colour", [], 0.5, phones="R, B").sounds == ("R", "B")
    assert make_keyword(reading, "colour", shots("green"), 0.5, phones="R").sounds == ("R",)  # as the person says
    assert make_keyword(reading, "red", shots("red"), 0.5).sounds == ()  # no pronunciation in this model's phones
    monkeypatch.setattr("wordprint.spot.enroll.pronounce", lambda text: ([("R",), ("X", "R")], [text]))
    guessed = make_keyword(reading, "redd", shots("red"), 0.5)
    assert (guessed.sounds, guessed.phones, guessed.guessed) == (("R",), (), ("redd",))
    assert "the pronunciation of redd is a guess: R (say it with --phones)" in guessed.warnings
    assert make_keyword(reading, "redd", shots("blue"), 0.5).sounds == ()  # a name for something else
    assert make_keyword(reading, "redd", shots("red"), 0.5, recordings_alone=True).sounds == ()
    assert make_keyword(model, "redd", shots("red"), 0.5).sounds == ()  # it reads no phones


def test_enrollments_without_sounds_are_read(tmp_path, model):
    path = tmp_path / "keywords.json"
    enroll(model, "red", shots("red"), path)
    record = json.loads(path.read_text(encoding="utf-8"))
    del record["keywords"][0]["sounds"]
    path.write_text(json.dumps(record), encoding="utf-8")
    assert Enrollment.load(path).keywords[0].sounds == ()
