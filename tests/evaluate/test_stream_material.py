"""What goes into streams: who enrolls whom, what is background, where things lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wordprint.errors import DatasetError, InputError
from wordprint.evaluate.stream_build import Item, make_babble, plan, render, speech_level_db
from wordprint.evaluate.stream_material import (
    Material,
    Token,
    by_speakers,
    draw_shots,
    enough,
    isolated,
    read_background,
    says,
    split_voices,
)
from wordprint.evaluate.stream_running import running
from wordprint.records import Interval
from wordprint.speech.audio import write_audio

RATE = 16_000


@pytest.mark.parametrize(
    ("text", "keyword", "holds"),
    [
        ("He said ALEXA twice.", "alexa", True),
        ("alexander", "alexa", False),
        ("Alexa's voice", "alexa", True),
        ("Trick, or treat!", "trick or treat", True),
        ("trick or treats", "trick or treat", False),
        ("good night", "goodnight", True),
        ("a goodnight kiss", "good night", True),
        ("so good nights", "good night", False),
        ("don’t go", "don't", True),
        ("Hey-Archie", "hey archie", True),
        ("", "alexa", False),
    ],
)
def test_a_transcript_holds_a_keyword_as_whole_words(text, keyword, holds):
    assert says(text, keyword) is holds


def _tokens(*speakers):
    return [Token(number, speaker, 0.1, 0.6) for number, speaker in enumerate(speakers)]


def test_nobody_who_enrolls_is_asked_for():
    tokens = _tokens(*"aaabbcdefg")
    drawn = [draw_shots(tokens, "alexa", 3, draw, seed=0) for draw in range(20)]
    for shots, tested in drawn:
        enrolled = {tokens[index].speaker for index in shots}
        assert len(enrolled) == len(shots) == 3
        assert enrolled.isdisjoint(tokens[index].speaker for index in tested)
        assert enrolled | {tokens[index].speaker for index in tested} == set("abcdefg")
    assert len({tuple(shots) for shots, _ in drawn}) > 10
    assert drawn == [draw_shots(tokens, "alexa", 3, draw, seed=0) for draw in range(20)]
    assert drawn != [draw_shots(tokens, "alexa", 3, draw, seed=1) for draw in range(20)]


def test_enough_for_whoever_enrolls():
    assert enough(_tokens(*"abcdef"), 3)
    assert not enough(_tokens(*"abcde"), 3)
    assert not enough(_tokens(*"aaaaaaaaabc"), 3)  # nobody is left
    assert not enough(_tokens(*"aaaaabbbbccccd"), 3)


def _speech(random, seconds):
    return (0.1 * random.normal(size=round(seconds * RATE))).astype(np.float32)


@pytest.fixture
def recordings(tmp_path):
    """Items: eight speakers with two utterances of 10 s each."""
    random, items = np.random.default_rng(0), []
    for number in range(16):
        path = tmp_path / f"{number}.wav"
        write_audio(path, _speech(random, 10) * (0.1 if number % 3 else 1.0))
        items.append(Item(f"u{number}", f"s{number % 8}", str(path), 0.0, 10.0, text="so it goes"))
    return items


def test_who_babbles_is_not_in_the_background(recordings):
    speech, voices = split_voices(recordings)
    assert len(voices) == 2  # never more than a third of eight
    assert {item.speaker for voice in voices for item in voice} == {"s0", "s1"}
    assert {item.speaker for item in speech}.isdisjoint({"s0", "s1"})
    assert split_voices(recordings[:4]) == (recordings[:4], [])  # too few to spare any
    babble = make_babble(voices)
    assert np.sqrt(np.mean(babble**2)) == pytest.approx(1, abs=1e-3)
    assert make_babble([]) is None


def test_a_stream_holds_each_item_once_at_its_place_and_level(recordings):
    sessions = plan([*recordings, replace(recordings[0], keyword="other")], {"alexa"}, seed=3)
    samples, segments, skipped = render([entry for session in sessions for entry in session], None, 10)
    assert not skipped
    assert sorted(segment.number for segment in segments) == list(range(16))  # no recording of another keyword
    assert [segment.start for segment in segments[1:]] == [segment.end for segment in segments[:-1]]
    assert segments[-1].end == len(samples)
    entries = {entry.number: entry for session in sessions for entry in session}
    for segment in segments:
        audio = samples[segment.audio_start : segment.audio_start + 10 * RATE]
        assert speech_level_db(audio) == pytest.approx(-26 + entries[segment.number].gain_db, abs=0.3)
        assert np.abs(samples[segment.start : segment.audio_start]).max() < 0.01
    again = render([entry for session in sessions for entry in session], None, 10)[0]
    assert np.array_equal(samples, again)


def test_babble_lies_so_far_below_the_speech_and_changes_nothing_else(recordings):
    speech, voices = split_voices(recordings)
    (session,) = plan(speech, (), seed=0)
    clean, segments, _ = render(session, None, 10)
    noisy, same, _ = render(session, make_babble(voices), 10)
    assert segments == same
    gain_db = {entry.number: entry.gain_db for entry in session}
    for segment in segments:
        babble = (noisy - clean)[segment.start : segment.end]
        level_db = 10 * np.log10(np.mean(babble**2))
        assert level_db == pytest.approx(-26 + gain_db[segment.number] - 10, abs=1)


def test_long_streams_are_cut_into_sessions(recordings):
    sessions = plan(recordings * 10, (), seed=0)
    assert [len(session) for session in sessions[:-1]] == pytest.approx([55] * (len(sessions) - 1), abs=4)  # 600 s / 10.8 s
    assert sum(map(len, sessions)) == 160


def test_what_cannot_be_used_is_named_and_the_rest_heard(recordings, tmp_path):
    (tmp_path / "3.wav").write_bytes(b"no audio")
    write_audio(tmp_path / "5.wav", np.zeros(RATE, np.float32))
    (session,) = plan(recordings, (), seed=0)
    _, segments, skipped = render(session, None, 10)
    assert {name: error.reason for name, error in skipped} == {"u3": "unreadable_audio", "u5": "silent_audio"}
    assert len(segments) == 14


def test_recordings_of_word_folders_are_inserted(word_folder, recordings):
    material = isolated([word_folder], recordings, ("yes", "dog"), seed=0)
    assert set(material.tokens) == {"yes", "dog"}
    assert len(material.tokens["yes"]) == 16
    token = material.tokens["yes"][0]
    assert material.items[token.item].keyword == "yes"
    assert 0 <= token.start_s < token.end_s <= 0.25
    assert len(material.shot(token)) == RATE // 4
    with pytest.raises(InputError, match="no recordings of horse"):
        isolated([word_folder], recordings, ("yes", "horse"), seed=0)
    material.tokens["yes"] = material.tokens["yes"][:3]
    material.keep_enough(3)
    assert set(material.tokens) == {"dog"}
    assert material.dropped[0][:2] == ("yes", "too_few_recordings")
    with pytest.raises(DatasetError, match="no keyword has enough recordings"):
        Material("isolated", [], [], {"yes": []}).keep_enough(3)


def test_a_folder_of_recordings_is_background_in_pieces(tmp_path):
    (tmp_path / "a").mkdir()
    write_audio(tmp_path / "a" / "long.wav", np.full(RATE * 65, 0.1, np.float32))
    (tmp_path / "bad.flac").write_bytes(b"nothing")
    items, dropped = read_background(tmp_path)
    assert [(item.start_s, item.end_s) for item in items] == [(0, 30), (30, 60), (60, 65)]
    assert {item.speaker for item in items} == {"a/long.wav"}
    assert items[1].text is None
    assert dropped[0][:2] == ("bad.flac", "unreadable_audio")
    with pytest.raises(InputError, match="no speaker anna"):
        by_speakers(items, ("anna",))
    with pytest.raises(InputError, match="is no folder"):
        read_background(tmp_path / "nowhere")


def _utterance(number, speaker, *words):
    """Words of 0.4 s, one after the other; a float is a pause of so many seconds."""
    now, intervals = 0.2, []
    for word in words:
        if isinstance(word, float):
            now += word
        else:
            intervals.append(Interval(word, now, now + 0.4))
            now += 0.4
    text = " ".join(interval.symbol for interval in intervals)
    return Item(f"u{number}", speaker, "a.wav", 0.0, now + 0.2, text=text, words=tuple(intervals))


def test_keywords_of_running_speech_are_what_several_speakers_say():
    items = [_utterance(n, f"s{n}", "the", "Morning", "train", 0.5, "arrives", 0.2, "slowly", f"word{n}") for n in range(6)]
    items += [_utterance(9, "s0", "nothing"), _utterance(10, "s0", "nothing"), _utterance(11, "s0", "nothing")]
    material = running(items, (), most=10, shots=3)
    # in turn one, two and three words, no part of another; "nothing" has one speaker, a pause of 0.5 s is in no phrase
    assert list(material.tokens) == ["arrives", "morning train", "slowly", "the morning"]
    assert all(len({token.speaker for token in tokens}) == 6 for tokens in material.tokens.values())
    chosen = running(items, ("Morning train", "slowly", "nowhere"), most=10, shots=3)
    assert set(chosen.tokens) == {"morning train", "slowly"}
    assert chosen.dropped == [("nowhere", "not_said", "nobody says it in the background")]
    token = chosen.tokens["morning train"][0]
    assert (token.start_s, token.end_s, token.joined) == (pytest.approx(0.6), pytest.approx(1.4), True)
