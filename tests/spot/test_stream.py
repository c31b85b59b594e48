"""Streaming: the same detections for every way to cut the stream, equal to a naive offline computation."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toy_model import BLOCK, DELAY, FRAME, RATE, padded, read_phones, stream_of, word
from wordprint.errors import AudioError, ConfigError, EnrollmentError, InputError
from wordprint.goodness import PAUSE_FRAMES, pauses, run_ons, shortfalls
from wordprint.speech.audio import read_audio, stream_audio, to_int16, write_audio
from wordprint.speech.trim import find_speech
from wordprint.spot.best import best_spans
from wordprint.spot.decide import Decider
from wordprint.spot.enroll import enroll
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.spans import OF_SHOTS, OF_TEXT, STEP, length_s, places
from wordprint.spot.stream import READ_BELOW, Spotter, spot

STREAM = stream_of(("red", 1.0), ("green", 2.6), ("blue", 4.5), ("red", 6.3), seconds=7.5)


@pytest.fixture(scope="module")
def enrollment(model) -> Enrollment:
    made = None
    for name in ("red", "blue"):
        made = enroll(model, name, [padded(word(name, seed=seed), seed=seed) for seed in range(3)], enrollment=made)
    return made


@pytest.fixture(scope="module")
def with_phrase(model, enrollment) -> Enrollment:
    """Spans of many lengths at once: two words, a phrase, and a typed word that is said in two ways."""
    phrase = np.concatenate([word("green", 0.6), word("red", 0.6)])
    made = enroll(model, "green red", [padded(phrase, seed=seed) for seed in range(2)], enrollment=enrollment)
    return enroll(model, "colour", phones="R G, B", config=SpotConfig(threshold=0.8), enrollment=made)


def run(spotter: Spotter, chunks) -> list:
    found = [detection for chunk in chunks for detection in spotter.process(chunk)]
    return found + spotter.flush()


def test_planted_keywords_are_found_at_their_times(model, enrollment):
    spotter = Spotter(model, enrollment)
    found = list(spotter.spot(STREAM))
    assert [detection.keyword for detection in found] == ["red", "blue", "red"]
    for detection, start_s in zip(found, [1.0, 4.5, 6.3], strict=True):
        assert (detection.onset_s + detection.offset_s) / 2 == pytest.approx(start_s + 0.25, abs=0.03)
        assert detection.similarity > 0.9


@pytest.mark.parametrize("config", [SpotConfig(), SpotConfig(hop_s=0.02, hold_s=0.2), SpotConfig(hop_s=0.2, hold_s=0.25)])
@pytest.mark.parametrize("start_s", [1.0, 1.013, 1.03, 1.05, 1.07])
@pytest.mark.parametrize("seconds", [0.4, 0.8])
def test_a_detection_lies_where_the_keyword_is_said_and_comes_in_time(model, config, start_s, seconds):
    """Its ends are those that `find_speech` would find (60 ms around the word), to a step of the grid of lengths; it may end early,
    since a long word is a hit before its end and decided a hold later."""
    spotter = Spotter(model, config=config)
    spotter.enroll("red", [padded(word("red", seconds, seed=seed), seed=seed) for seed in range(3)])
    samples = padded(word("red", seconds, seed=9), start_s, 2 - seconds)
    (found,) = spotter.spot(samples)
    speech = find_speech(samples)
    step_s = STEP * (speech.end_sample - speech.start_sample) / RATE
    assert found.onset_s == pytest.approx(speech.start_sample / RATE, abs=max(0.06 + config.hop_s / 2, step_s))
    late_s = found.offset_s - speech.end_sample / RATE
    assert -0.06 - config.hop_s / 2 - config.hold_s <= late_s <= 0.06 + config.hop_s / 2
    assert found.offset_s < found.time_s <= found.offset_s + spotter.latency_s
    ahead_s = (DELAY * FRAME + BLOCK) / RATE
    assert found.time_s - start_s - seconds <= ahead_s + config.hop_s + config.hold_s + 0.25


@settings(max_examples=15)
@given(st.lists(st.integers(0, 30_000), max_size=12), st.booleans())
def test_chunk_size_changes_nothing(model, with_phrase, cuts, as_int16):
    stream = to_int16(STREAM) if as_int16 else STREAM
    spotter = Spotter(model, with_phrase)
    whole = run(spotter, [stream])
    assert whole
    assert run(spotter, np.split(stream, np.minimum(np.cumsum(cuts), stream.size))) == whole


@pytest.mark.parametrize("size", [1, 159, 1600, 1601])
def test_fixed_chunks_change_nothing(model, enrollment, size):
    stream = STREAM[: 2 * RATE]
    spotter = Spotter(model, enrollment)
    assert run(spotter, np.split(stream, range(size, stream.size, size))) == run(spotter, [stream])


def naive_looks(model, keywords, config, stream, *, ended):
    """(samples heard, for each keyword, length and prototype how similar each span is) of blocks of 80 ms, from the frames of the
    whole recording."""
    before, hop = 4 * RATE // BLOCK * BLOCK, round(config.hop_s * RATE / FRAME)
    padded_stream = np.pad(stream, (before, 3 * RATE))
    frames = model.frames(padded_stream)
    powers = padded_stream[: len(padded_stream) // FRAME * FRAME].reshape(-1, FRAME).var(axis=1, dtype=np.float64)
    longest_s = max(length_s(place) for word in keywords for place in places(word.duration_s, OF_SHOTS if word.shots else OF_TEXT))
    total = len(stream) + round(longest_s / 2 * RATE) + (DELAY + 1) * FRAME + BLOCK if ended else len(stream)
    looks = []
    for heard in range(BLOCK, total + 1, BLOCK):
        newest = heard // FRAME - 1 - DELAY
        ends = [end for end in range(newest - BLOCK // FRAME + 1, newest + 1) if (end + 1) % hop == 0]
        found: list[dict] = [{} for _ in keywords]
        for number, keyword in enumerate(keywords):
            for end in ends:
                for place in places(keyword.duration_s, OF_SHOTS if keyword.shots else OF_TEXT):
                    stop = end + 0.5
                    start = stop - length_s(place) * RATE / FRAME
                    first, last = (math.floor(at + 0.5) + before // FRAME for at in (start, stop))
                    middle = (start + stop) / 2 * FRAME
                    if not 0 <= middle <= (len(stream) if ended else np.inf):
                        continue
                    if powers[first:last].mean() < 10 ** (config.min_level_db / 10):
                        continue
                    span_s = [(at * FRAME + before) / RATE for at in (start, stop)]
                    vector = model.pool(frames[: newest + 1 + before // FRAME], [span_s])[0]
                    span = (round(start * FRAME), round(stop * FRAME))
                    for which, prototype in enumerate(keyword.prototypes):
                        found[number].setdefault((place, which), {})[span] = float(np.dot(vector, prototype))
        if ends:
            looks.append((heard, found))
    return looks


def mean(spans):
    return sum(spans.values()) / len(spans)


def highest(looks):
    """How similar the best length is, on average over its spans."""
    return [[max(map(mean, lengths.values()), default=-np.inf) for lengths in look] for _, look in looks]


def all_looks(spotter, samples):
    """The looks of a stream and of its end."""
    found = []
    whole = spotter.looks
    spotter.looks = lambda chunk: (found.append(look) or look for look in whole(chunk))
    spotter.process(samples)
    spotter.flush()
    return found


CONFIGS = [
    SpotConfig(),
    SpotConfig(hop_s=0.02, min_level_db=-35),
    SpotConfig(hop_s=0.06, min_level_db=-45),
    SpotConfig(hop_s=0.2, min_level_db=-200),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.hop_s}")
@pytest.mark.parametrize("seconds", [1.3, 2.0])
def test_looks_equal_a_naive_offline_computation(model, with_phrase, config, seconds):
    """With spans that begin before the stream, a level gate, and the stream's end in the middle of a word."""
    stream = stream_of(("red", 0.0), ("blue", 0.62), ("green", 1.1), seconds=3)[: round(seconds * RATE)]
    found = all_looks(Spotter(model, with_phrase, config), stream)
    count = len(stream) // BLOCK if config.hop_s <= 0.08 else sum(look.end_sample <= len(stream) for look in found)
    expected = naive_looks(model, with_phrase.keywords, config, stream, ended=False)[:count]
    expected += naive_looks(model, with_phrase.keywords, config, stream, ended=True)[count:]
    assert [look.end_sample for look in found] == [heard for heard, _ in expected]
    np.testing.assert_allclose([look.similarities for look in found], highest(expected), atol=2e-5)
    assert np.isinf(highest(expected)).any(axis=0).all()
    for look, (_, spans) in zip(found, expected, strict=True):
        for keyword, similarity in enumerate(look.similarities):
            if similarity > -np.inf:
                span = tuple(look.spans[keyword].tolist())
                of_length = max((ends for ends in spans[keyword].values() if span in ends), key=mean)
                assert mean(of_length) == pytest.approx(similarity, abs=2e-5)
                assert of_length[span] == pytest.approx(max(of_length.values()), abs=2e-5)
                prototypes = np.array(with_phrase.keywords[keyword].prototypes)
                assert (prototypes @ look.vector(keyword)).max() == pytest.approx(of_length[span], abs=2e-5)


def test_what_is_near_loses_what_goes_before_and_what_its_phones_are_unlike_and_nothing_else_does(model, reading, enrollment):
    """Where the keyword is said after a pause its similarity stays; one that is said to sound like another is no longer found. A
    keyword without phones loses what goes before."""
    right, wrong = (
        Enrollment(
            enrollment.model,
            enrollment.model_digest,
            tuple(replace(one, threshold=0.8, sounds=(phone,)) for one, phone in zip(enrollment.keywords, phones, strict=True)),
        )
        for phones in ("RB", "BR")
    )
    mute = replace(right, keywords=tuple(replace(one, sounds=()) for one in right.keywords))
    plain, checked, refused, unread = (
        all_looks(Spotter(engine, made), STREAM)
        for engine, made in ((model, right), (reading, right), (reading, wrong), (reading, mute))
    )
    quiet = np.tile(reading.silence, (PAUSE_FRAMES, 1))
    frames = np.concatenate([quiet, reading.frames(np.pad(STREAM, (0, 2 * RATE)))])
    hits = 0
    for before, after, other, silent in zip(plain, checked, refused, unread, strict=True):
        assert np.array_equal(before.spans, after.spans)
        hit = before.similarities >= 0.8 - READ_BELOW
        for number, (phone, another) in enumerate(((1, 2), (2, 1))):
            span = before.spans[number] / FRAME
            known = read_phones(frames[: PAUSE_FRAMES + before.end_sample // FRAME - DELAY])
            run_on = run_ons(pauses(known), [span[0] + PAUSE_FRAMES])[0] if hit[number] else 0.0
            assert silent.similarities[number] == pytest.approx(before.similarities[number] - run_on, abs=2e-5)
            for look, column in ((after, phone), (other, another)):
                short = shortfalls(known[PAUSE_FRAMES:], [[(column,)]], [span])[0] if hit[number] else 0.0
                left = before.similarities[number] - run_on - short
                if left > 0.8 - READ_BELOW or not hit[number]:
                    assert look.similarities[number] == pytest.approx(left, abs=2e-5)
                else:  # how far below is of no matter
                    assert left - 2e-5 <= look.similarities[number] <= 0.8 - READ_BELOW + 2e-5
        hits += hit.sum()
    assert 6 < hits < 2 * len(plain)
    assert [one.keyword for one in Spotter(reading, right).spot(STREAM)] == ["red", "blue", "red"]
    assert not list(Spotter(reading, wrong).spot(STREAM))


def test_a_threshold_that_is_lowered_reads_more(reading, enrollment):
    """What is no hit since its phones are unlike is one where the threshold is below what is left of its similarity."""
    made = replace(enrollment, keywords=tuple(replace(one, threshold=0.8, sounds=("G",)) for one in enrollment.keywords))
    spotter = Spotter(reading, made)
    assert not list(spotter.spot(STREAM))
    for name in ("red", "blue"):
        spotter.set_threshold(name, 0.0)
    found = list(spotter.spot(STREAM))
    assert {one.keyword for one in found} == {"red", "blue"}
    assert max(one.similarity for one in found) < 0.8
    unlike = replace(enrollment, keywords=(replace(enrollment.keywords[0], sounds=("G B " * 30,)),))  # more phones than frames
    (best,) = best_spans(reading, unlike, np.random.default_rng(5).normal(0, 0.1, RATE // 4).astype(np.float32))
    assert best.similarity < 0


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_phones_are_read_alike_in_any_chunks(reading, enrollment, cuts):
    keywords = tuple(replace(one, sounds=("R", "G")) for one in enrollment.keywords)
    made = Enrollment(enrollment.model, enrollment.model_digest, keywords)
    chunks = np.split(STREAM, sorted(cuts))
    assert run(Spotter(reading, made), chunks) == run(Spotter(reading, made), [STREAM])


def test_detections_are_what_the_decider_makes_of_naive_looks(model, with_phrase):
    spotter = Spotter(model, with_phrase)
    decider = Decider([k.threshold for k in with_phrase.keywords], refractory_samples=12_000, hold_samples=1600)
    looks = naive_looks(model, with_phrase.keywords, spotter.config, STREAM, ended=True)
    peaks = [decider.step(heard, look) for (heard, _), look in zip(looks, highest(looks), strict=True)]
    expected = [peak for peak in [*peaks, decider.finish()] if peak]
    found = list(spotter.spot(STREAM))
    assert [detection.keyword for detection in found] == [with_phrase.keywords[peak.keyword].keyword for peak in expected]
    assert len(found) >= 3
    for detection, peak in zip(found, expected, strict=True):
        assert detection.similarity == pytest.approx(peak.similarity, abs=2e-4)
        lengths = dict(looks)[peak.end_sample][peak.keyword].values()
        best = {
            span
            for spans in lengths
            if mean(spans) > peak.similarity - 1e-5
            for span, similarity in spans.items()
            if similarity > max(spans.values()) - 1e-5
        }
        assert (detection.onset_s, detection.offset_s) in {tuple(round(place / RATE, 3) for place in span) for span in best}


def test_no_sample_is_encoded_twice_and_memory_is_constant(model, with_phrase, monkeypatch):
    spotter = Spotter(model, with_phrase)
    step, blocks, sizes = model.step, [], set()
    monkeypatch.setattr(model, "step", lambda samples, state: blocks.append(samples.copy()) or step(samples, state))
    for piece in np.split(STREAM, range(1000, len(STREAM), 1000)):
        spotter.process(piece)
        kept = (spotter._frames, spotter._powers, spotter._pending)
        sizes.add((*(array.nbytes for array in kept), spotter._state.nbytes))
    whole = len(STREAM) // BLOCK * BLOCK
    assert np.array_equal(np.concatenate(blocks, axis=1)[0], STREAM[:whole])
    assert len(sizes) == 1


def test_a_plateau_is_one_detection_however_seldom_one_looks(model):
    """Looks without the end of a span would have ended the run of hits, and begun another."""
    spotter = Spotter(model, config=SpotConfig(hop_s=0.2, threshold=0.5))
    spotter.enroll("red", [padded(word("red", seed=seed), seed=seed) for seed in range(3)])
    assert len(list(spotter.spot(padded(word("red", 4.0))))) == 1


def test_keywords_at_the_very_start_and_end_are_found(model, enrollment):
    found = list(Spotter(model, enrollment).spot(stream_of(("red", 0.0), ("blue", 2.0), seconds=2.5)))
    assert [detection.keyword for detection in found] == ["red", "blue"]
    assert found[-1].time_s <= 2.5


def test_silence_gives_nothing_and_is_not_looked_at(model, enrollment, monkeypatch):
    spotter = Spotter(model, enrollment)
    monkeypatch.setattr(model, "pool", lambda *_: pytest.fail("a silent span was pooled"))
    assert run(spotter, [np.zeros(3 * RATE, np.float32)]) == []


def test_reset_and_flush_start_a_new_stream(model, enrollment):
    spotter = Spotter(model, enrollment)
    first = run(spotter, [STREAM])
    spotter.process(STREAM[:20_000])
    spotter.reset()
    assert run(spotter, [STREAM]) == first


def test_files_of_any_rate_in_constant_memory(model, enrollment, tmp_path):
    write_audio(tmp_path / "16k.wav", STREAM)
    stereo = np.repeat(STREAM, 3)  # 48 kHz
    write_audio(tmp_path / "48k.flac", np.stack([stereo, stereo], axis=1), 48_000)
    expected = [d.keyword for d in Spotter(model, enrollment).spot(STREAM)]
    for name in ("16k.wav", "48k.flac"):
        assert [d.keyword for d in spot(model, enrollment, tmp_path / name)] == expected
    whole = read_audio(tmp_path / "48k.flac")
    blocks = list(stream_audio(tmp_path / "48k.flac", block_s=0.3))
    assert max(map(len, blocks)) <= 2 * 0.3 * RATE
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-5)


def test_detections_come_as_they_are_found(model, enrollment):
    found = Spotter(model, enrollment).spot(np.concatenate([STREAM] * 3))
    assert next(found).keyword == "red"


def test_the_threshold_of_the_configuration_overrides_the_keywords(model, enrollment):
    assert list(Spotter(model, enrollment, SpotConfig(threshold=1.0)).spot(word("green"))) == []
    assert list(Spotter(model, enrollment, SpotConfig(threshold=-1.0)).spot(word("green")))


def test_enrolling_on_the_spotter(model):
    spotter = Spotter(model)
    with pytest.raises(EnrollmentError, match="no keyword is enrolled"):
        spotter.process(STREAM)
    assert spotter.enroll("red", [padded(word("red")), np.zeros(8000, np.float32)])[0].startswith("recording 2 is silent")
    assert [detection.keyword for detection in spotter.spot(STREAM)] == ["red", "red"]


@pytest.mark.parametrize(
    ("chunk", "error", "message"),
    [
        (np.zeros((2, 160), np.float32), InputError, "shape"),
        (np.zeros(160, np.int32), InputError, "int32"),
        (np.array([0.0, np.nan]), AudioError, "finite"),
        (np.array([0.0, -np.inf]), AudioError, "finite"),
        (np.array([12_000.0]), AudioError, "say that it is 16-bit audio: int16 samples"),
    ],
)
def test_a_bad_chunk_is_refused_and_leaves_the_stream_as_it_was(model, enrollment, chunk, error, message):
    spotter = Spotter(model, enrollment)
    expected = run(spotter, [STREAM])
    before = spotter.process(STREAM[:25_000])
    with pytest.raises(error, match=message):
        spotter.process(chunk)
    assert before + run(spotter, [STREAM[25_000:]]) == expected


@pytest.mark.parametrize("form", [lambda piece: piece[:, None], lambda piece: to_int16(piece)[:, None]])
def test_chunks_as_a_sound_card_gives_them(model, enrollment, form):
    found = run(Spotter(model, enrollment), [form(piece) for piece in np.array_split(STREAM, 20)])
    assert [d.keyword for d in found] == [d.keyword for d in run(Spotter(model, enrollment), [STREAM])]
    assert list(Spotter(model, enrollment).spot(form(STREAM))) == found


@pytest.mark.parametrize("offset", [0.05, -0.3])
def test_an_offset_of_the_microphone_is_not_looked_at(model, enrollment, monkeypatch, offset):
    monkeypatch.setattr(model, "pool", None)
    assert run(Spotter(model, enrollment), [np.full(3 * RATE, offset, np.float32)]) == []


@pytest.mark.parametrize("copies", [copy.copy, copy.deepcopy, lambda spotter: pickle.loads(pickle.dumps(spotter))])
def test_a_copy_goes_on_from_where_the_spotter_was(model, enrollment, copies):
    expected = run(Spotter(model, enrollment), [STREAM])
    spotter = Spotter(model, enrollment)
    before = spotter.process(STREAM[:30_000])
    other = copies(spotter)
    assert before + run(other, [STREAM[30_000:]]) == expected
    assert before + run(spotter, [STREAM[30_000:]]) == expected  # what the copy heard is not its business
    assert other.model.digest == model.digest


def test_bad_audio(model, enrollment, tmp_path):
    with pytest.raises(AudioError, match="0 samples"):
        list(Spotter(model, enrollment).spot(np.zeros(0, np.float32)))
    (tmp_path / "text.flac").write_text("not audio")
    with pytest.raises(AudioError, match="can't be read as audio"):
        list(spot(model, enrollment, tmp_path / "text.flac"))
    with pytest.raises(AudioError, match="does not exist"):
        list(spot(model, enrollment, tmp_path / "none.flac"))
    write_audio(tmp_path / "empty.wav", np.zeros(0, np.float32))
    with pytest.raises(AudioError, match="holds no audio"):
        list(spot(model, enrollment, tmp_path / "empty.wav"))


def test_an_enrollment_for_another_model_is_refused(enrollment, model_writer):
    with pytest.raises(EnrollmentError, match="enroll the keywords again"):
        Spotter(model_writer(name="other.onnx", version="2"), enrollment)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e9])
@pytest.mark.parametrize("option", ["hop_s", "hold_s", "refractory_s", "min_level_db"])
def test_options_are_numbers_within_limits(model, enrollment, option, value):
    with pytest.raises(ConfigError, match=f"{option} is .*expected (a finite number|from)"):
        Spotter(model, enrollment, SpotConfig(**{option: value}))


@pytest.mark.parametrize("config", [SpotConfig(hop_s=0), SpotConfig(hop_s=1.5), SpotConfig(threshold=80), SpotConfig(hold_s=-1)])
def test_bad_options(model, enrollment, config):
    with pytest.raises(ConfigError):
        Spotter(model, enrollment, config)


def test_runs_without_torch(model_path, tmp_path):
    write_audio(tmp_path / "red.wav", padded(word("red")))
    write_audio(tmp_path / "stream.wav", STREAM)
    script = (
        "import sys; sys.modules['torch'] = sys.modules['onnx'] = None\n"
        "import wordprint; assert 'onnxruntime' not in sys.modules and 'soundfile' not in sys.modules\n"
        "import wordprint.spot.stream; assert 'onnxruntime' not in sys.modules\n"
        "spotter = wordprint.spot.stream.Spotter(sys.argv[1])\n"
        "spotter.enroll('red', [sys.argv[2]])\n"
        "print([d.keyword for d in spotter.spot(sys.argv[3])])\n"
    )
    command = [sys.executable, "-c", script, str(model_path), str(tmp_path / "red.wav"), str(tmp_path / "stream.wav")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.strip()) == (0, "['red', 'red']"), result.stderr


def test_steps_show_the_looks_and_the_detections_of_one_pass(model, enrollment):
    whole, shown = Spotter(model, enrollment), Spotter(model, enrollment)
    steps = list(shown.steps(STREAM))
    assert [detection for _, detection in steps if detection is not None] == whole.process(STREAM)
    looks = list(Spotter(model, enrollment).looks(STREAM))
    assert [look.end_sample for look, _ in steps] == [look.end_sample for look in looks]
    np.testing.assert_array_equal([look.similarities for look, _ in steps], [look.similarities for look in looks])


def test_a_threshold_that_is_changed_holds_from_there_on(model, enrollment):
    spotter = Spotter(model, enrollment)
    middle = round(3.9 * RATE)
    before = spotter.process(STREAM[:middle])
    spotter.set_threshold("blue", 1.0)
    after = spotter.process(STREAM[middle:]) + spotter.flush()
    assert [found.keyword for found in before + after] == ["red", "red"]
    assert (after[0].onset_s + after[0].offset_s) / 2 == pytest.approx(6.55, abs=0.5)  # the stream went on
    assert spotter.enrollment.named("blue").threshold == 1.0
    assert spotter.enrollment.without("blue").keywords == (spotter.enrollment.named("red"),)


def test_thresholds_that_cannot_be_changed(model, enrollment):
    spotter = Spotter(model, enrollment)
    with pytest.raises(EnrollmentError, match="no keyword is called 'green'"):
        spotter.set_threshold("green", 0.5)
    with pytest.raises(InputError, match=r"threshold 1\.5; expected a cosine similarity"):
        spotter.set_threshold("red", 1.5)
    with pytest.raises(InputError, match="threshold nan"):
        spotter.set_threshold("red", float("nan"))
    with pytest.raises(ConfigError, match="holds for all keywords"):
        Spotter(model, enrollment, SpotConfig(threshold=0.8)).set_threshold("red", 0.5)
    assert spotter.enrollment == enrollment
