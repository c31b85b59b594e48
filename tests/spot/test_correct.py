"""Mistakes remembered: a false alarm doesn't come back, the keyword is still found, the file keeps both."""

from __future__ import annotations

import numpy as np
import pytest

from toy_model import BLOCK, RATE, TONES_HZ, padded, stream_of, word
from wordprint.errors import EnrollmentError, InputError
from wordprint.model import Model
from wordprint.speech.audio import read_audio, write_audio
from wordprint.spot.best import best_spans
from wordprint.spot.correct import MOST_MISTAKES, add_mistake, add_shots, refuse_own
from wordprint.spot.enroll import enroll
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter

CONFIG = SpotConfig(threshold=None)


@pytest.fixture
def enrollment(model) -> Enrollment:
    """'red' at a threshold at which 'red' and 'green' at once fire, too."""
    made = enroll(model, "red", [padded(word("red", seed=seed), seed=seed) for seed in range(2)])
    alike = [best_spans(model, made, STREAM[second * RATE : (second + 1) * RATE])[0].similarity for second in (3, 7)]
    return made.with_threshold("red", min(alike) - 0.01)


STREAM = stream_of(("red", 1.0), ("red", 3.0), ("green", 3.0), ("red", 5.0), ("red", 7.0), ("green", 7.0), seconds=8.5)
"""'red' at 1 and 5 s; at 3 and 7 s something that sounds like it: 'red' and 'green' at once."""


def places(found) -> set[int]:
    """Which words of the stream were found, by the second that they begin in."""
    return {second for one in found for second in (1, 3, 5, 7) if abs((one.onset_s + one.offset_s) / 2 - second - 0.25) < 0.6}


def test_a_corrected_detection_does_not_come_back_and_the_keyword_is_still_found(model, enrollment):
    spotter = Spotter(model, enrollment)
    found = list(spotter.spot(STREAM))
    assert places(found) == {1, 3, 5, 7}
    spotter.correct(next(one for one in found if places([one]) == {3}))
    assert places(spotter.spot(STREAM)) == {1, 5}


def test_corrections_go_on_with_the_stream(model, enrollment):
    spotter, middle = Spotter(model, enrollment), round(4.2 * RATE)
    before = spotter.process(STREAM[:middle])
    spotter.correct(next(one for one in before if places([one]) == {3}))
    after = spotter.process(STREAM[middle:]) + spotter.flush()
    assert (places(before), places(after)) == ({1, 3}, {5})


def test_what_was_said_instead_is_told_apart_from_then_on(reading, monkeypatch):
    """'red' sounds of R; a person says that what was taken for it sounds of G."""
    monkeypatch.setattr("wordprint.spot.rivals.pronounce", lambda text: ([tuple(text.split())], []))
    spotter, middle = Spotter(reading, config=SpotConfig(threshold=0.6)), round(4.2 * RATE)
    spotter.enroll("red", [padded(word("red", seed=seed), seed=seed) for seed in range(2)], phones="R")
    found = [one for one in spotter.process(STREAM[:middle]) if places([one]) == {3}]
    spotter.correct(found[0], said="G")
    (made,) = spotter.enrollment.keywords
    assert ([one.text for one in made.rivals], len(made.mistakes)) == (["G"], 1)
    assert 5 in places(spotter.process(STREAM[middle:]))
    with pytest.raises(InputError, match="'R' sounds like 'red'"):
        spotter.correct(found[0], said="R")
    assert len(spotter.enrollment.keywords[0].mistakes) == 1


def test_a_detection_of_another_spotter_is_refused(model, enrollment):
    (first, *_) = Spotter(model, enrollment).spot(STREAM)
    with pytest.raises(InputError, match="no such detection of 'red' is remembered; expected one of the last 50"):
        Spotter(model, enrollment).correct(first)


def test_mistakes_are_kept_in_the_file_and_the_oldest_go(model, enrollment, tmp_path):
    vector = best_spans(model, enrollment, stream_of(("green", 1.0), seconds=2.5))[0].vector
    for number in range(MOST_MISTAKES + 2):
        enrollment = add_mistake(enrollment, "RED", vector, f"{number}.wav")
    enrollment.save(tmp_path / "keywords.json")
    (keyword,) = Enrollment.load(tmp_path / "keywords.json").keywords
    assert keyword == enrollment.keywords[0]
    assert [one.recording for one in keyword.mistakes] == [f"{number}.wav" for number in range(2, MOST_MISTAKES + 2)]
    with pytest.raises(EnrollmentError, match="no keyword is called 'blue'; expected 'red'"):
        add_mistake(enrollment, "blue", vector, "x.wav")


def test_similarities_with_mistakes_equal_a_naive_computation(model, enrollment):
    vector = best_spans(model, enrollment, stream_of(("green", 1.0), seconds=2.5))[0].vector
    config = SpotConfig(min_level_db=-200)  # every span counts
    corrected = Spotter(model, add_mistake(enrollment, "red", vector, ""), config)
    prototype = np.array(enrollment.keywords[0].prototypes[0], np.float32)
    used = corrected._matcher.allowed()[:, 0]
    for look in list(corrected.looks(STREAM))[RATE // BLOCK :]:
        own, other = look.vectors @ prototype, look.vectors @ vector
        scores = own - 2 * np.maximum(0, other - own)
        assert look.similarities[0] == pytest.approx(scores.reshape(-1, len(used)).mean(axis=0)[used].max(), abs=1e-5)


def test_missed_recordings_become_shots(model, enrollment):
    missed = padded(word("red", 0.7, level=0.1, seed=8))
    made = add_shots(model, enrollment, "red", [missed]).named("red")
    assert len(made.shots) == 3
    mean = np.mean([shot.embedding for shot in made.shots], axis=0)
    np.testing.assert_allclose(made.prototypes[0], mean / np.linalg.norm(mean), atol=1e-5)
    with pytest.raises(EnrollmentError, match="no usable recording of 'red': recording 1 is silent"):
        add_shots(model, enrollment, "red", [np.zeros(RATE, np.float32)])


def test_a_typed_keyword_keeps_its_text_when_it_gets_recordings(model):
    typed = enroll(model, "red", [], phones="R")
    made = add_shots(model, typed, "red", [padded(word("red"))]).named("red")
    mean = 2 * np.array(typed.keywords[0].prototypes[0]) + np.array(made.shots[0].embedding)
    np.testing.assert_allclose(made.prototypes[0], mean / np.linalg.norm(mean), atol=1e-5)
    assert made.phones == ("R",)
    assert set(TONES_HZ) >= {"red"}


def test_a_recording_of_the_keyword_itself_is_no_mistake(shared_data, tmp_path):
    """Not in another codec either; another saying of it may be one."""
    files = sorted((shared_data / "keywords" / "custom_phrases" / "hey_archie").iterdir())[:4]
    bundled = Model()
    keyword = enroll(bundled, "hey archie", files[:3]).keywords[0]
    write_audio(tmp_path / "again.ogg", read_audio(files[1]))
    for same, shot in ((files[0], files[0]), (read_audio(files[2]), files[2]), (tmp_path / "again.ogg", files[1])):
        with pytest.raises(EnrollmentError, match=f"is one of the recordings of 'hey archie' \\({shot}\\); expected"):
            refuse_own(bundled, keyword, same)
    refuse_own(bundled, keyword, files[3])
    refuse_own(bundled, keyword, np.zeros(RATE, np.float32))


def test_what_was_missed_is_found_from_there_on(model):
    """Longer sayings than were enrolled: other spans are looked at, and more of the stream is kept for them."""
    made = enroll(model, "red", [padded(word("red", 0.3))], config=SpotConfig(threshold=0.5))
    longer, middle = [padded(word("red", 1.2, seed=seed)) for seed in range(3)], 4 * RATE
    spotter = Spotter(model, made)
    before = spotter.process(STREAM[:middle])
    assert spotter.missed("RED", longer) == []
    looks = [*spotter.looks(STREAM[middle:])]
    known = spotter.enrollment.named("red")
    assert len(known.shots) == 4
    assert known.duration_s > made.keywords[0].duration_s + 0.5
    fresh = Spotter(model, spotter.enrollment)
    after = middle + 2 * RATE  # what it was in the middle of is past
    expected = [look for look in fresh.looks(STREAM) if look.end_sample > after]
    found = [look for look in looks if look.end_sample > after]
    assert len(found) == len(expected) > 20
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.similarities, other.similarities)
        np.testing.assert_array_equal(one.spans, other.spans)
    assert before


def test_a_stream_goes_on_when_shots_are_added(model, enrollment):
    spotter, middle = Spotter(model, enrollment), round(4.2 * RATE)
    before = spotter.process(STREAM[:middle])
    said = spotter.missed("red", padded(word("red", 0.6, seed=7)), sample_rate=RATE)
    assert said == []
    after = spotter.process(STREAM[middle:]) + spotter.flush()
    assert places(before) == {1, 3}
    assert places(after) >= {5}
    assert min(one.time_s for one in after) > 4.2
    with pytest.raises(EnrollmentError, match="no usable recording of 'red': recording 1 is silent"):
        spotter.missed("red", [np.zeros(RATE, np.float32)])
    assert len(spotter.enrollment.named("red").shots) == 3


def test_shots_that_come_later_are_compared_with_those_before(model):
    enrollment = enroll(model, "red", [padded(word("red"))])
    (alone,) = enrollment.named("red").shots
    assert alone.agreement is None
    again, other = padded(word("red", seed=1)), padded(word("green"))
    made = add_shots(model, enrollment, "red", [padded(word("red")), again, other]).named("red")
    shots = made.shots
    assert None not in [shot.agreement for shot in shots]
    assert len(shots) == 3
    assert made.rejected == ("recording 1 is the same recording as recording 1: another take is better",)
    assert any(warning.startswith("unlike the other recordings") for warning in shots[2].warnings)
    whole = enroll(model, "red", [padded(word("red")), again, other]).named("red").shots
    assert [(shot.agreement, shot.warnings) for shot in shots] == [(shot.agreement, shot.warnings) for shot in whole]
