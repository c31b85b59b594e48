"""The embedded aligner: what it reaches on speech whose word times are known, and every trap that was measured."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wordprint.align.options import AlignConfig
from wordprint.align.pocketsphinx import BEAMS, SEARCH, PocketsphinxAligner
from wordprint.align.senones import WordStates, parse_senone_log, state_starts
from wordprint.errors import AlignmentError, ConfigError, DiskFullError
from wordprint.records import Alignment, Utterance
from wordprint.speech.audio import SAMPLE_RATE, to_int16

from .conftest import Speech


def align(aligner: PocketsphinxAligner, speech: Speech, **changes: object) -> Alignment:
    return aligner.align(replace(speech.utterance, **changes), speech.samples)


def utterance(transcript: str, **fields: object) -> Utterance:
    return Utterance("u", "s", "u.wav", 0.0, 1.0, transcript, **fields)  # type: ignore[arg-type]


def test_finds_words_where_they_are(corpus: list[Speech], aligner: PocketsphinxAligner) -> None:
    pairs = [(align(aligner, speech).words, speech.words) for speech in corpus]
    assert all([word.symbol for word in found] == [word.symbol for word in true] for found, true in pairs)
    edges = [(f.start_s - t.start_s, f.end_s - t.end_s) for found, true in pairs for f, t in zip(found, true, strict=True)]
    errors_ms = 1000 * np.abs(edges)
    # measured: median 6.2, mean 15.8 ms, none of the 74 boundaries off by 100 ms
    assert np.median(errors_ms) < 9
    assert errors_ms.mean() < 20
    assert (errors_ms > 100).mean() < 0.02  # one boundary


def test_words_and_phones_keep_their_invariants(corpus: list[Speech], aligner: PocketsphinxAligner) -> None:
    for speech in corpus:
        found = align(aligner, speech)
        assert [word.symbol for word in found.words] == speech.utterance.transcript.lower().split()
        for intervals in (found.words, found.phones):
            edges = [edge for interval in intervals for edge in (interval.start_s, interval.end_s)]
            assert edges == sorted(edges)
            assert all(interval.end_s > interval.start_s for interval in intervals)
            assert edges[0] >= 0
            assert edges[-1] <= speech.utterance.duration_s
        starts, ends = {p.start_s for p in found.phones}, {p.end_s for p in found.phones}
        assert all(word.start_s in starts and word.end_s in ends for word in found.words)
        assert found.goodness is not None
        assert all(word.goodness is not None and word.goodness < 0 for word in found.words)


# trap 1: noise statistics leak from one utterance to the next
def test_results_do_not_depend_on_order(corpus: list[Speech], aligner: PocketsphinxAligner) -> None:
    noisy = replace(corpus[0].utterance, transcript="ZQXV THE WINDOW")  # fails or not, it must leave no trace
    forward = [align(aligner, speech) for speech in corpus]
    for speech, expected in reversed(list(zip(corpus, forward, strict=True))):
        with suppress(AlignmentError):
            aligner.align(noisy, np.random.default_rng(1).normal(0, 0.3, SAMPLE_RATE).astype(np.float32))
        assert align(aligner, speech) == expected
    assert align(PocketsphinxAligner(AlignConfig()), corpus[-1]) == forward[-1]


# trap 2: add_word(word, "") crashes the interpreter
def test_empty_pronunciations_are_refused(aligner: PocketsphinxAligner) -> None:
    with pytest.raises(ValueError, match="empty pronunciation"):
        aligner._add("nothing", [()])


# trap 3: the model's own feat.params win over remove_noise and cmn, so neither is set: noise removal stays on
def test_noise_removal_is_left_to_the_model() -> None:
    assert not {"remove_noise", "cmn"} & set(SEARCH)


# trap 4: phones need bestpath=False, and the words are those found without phones
def test_words_are_the_same_with_and_without_phones(corpus: list[Speech], aligner: PocketsphinxAligner) -> None:
    assert SEARCH["bestpath"] is False
    plain = PocketsphinxAligner(AlignConfig(phones=False))
    for speech in corpus[:3]:
        assert align(plain, speech) == replace(align(aligner, speech), phones=())


def test_phones_agree_with_the_second_pass(corpus: list[Speech], aligner: PocketsphinxAligner) -> None:
    from pocketsphinx import Decoder

    decoder = Decoder(**SEARCH, beam=BEAMS[0], pbeam=BEAMS[0], lm=None, loglevel="FATAL")
    differences = []
    for speech in corpus[:4]:
        aligner._search(speech.utterance.transcript.lower().split(), speech.samples)
        names, senones = aligner._states()
        pcm = to_int16(speech.samples).tobytes()
        decoder.set_align_text(speech.utterance.transcript.lower())
        for second in (False, True):
            decoder.reinit_feat()
            if second:
                decoder.set_alignment()
            decoder.start_utt()
            decoder.process_raw(pcm, full_utt=True)
            decoder.end_utt()
        slow = [(p.name, p.start) for word in decoder.get_alignment().words() for p in word if p.name != "SIL"]
        (log,) = aligner._log.iterdir()  # type: ignore[union-attr]
        frames = [(s.start_frame, s.end_frame + 1 - s.start_frame) for s in aligner._decoder.seg() if s.word[0] != "<"]
        words = [WordStates(*span, states) for span, states in zip(frames, senones, strict=True)]
        fast = [start for starts in state_starts(words, parse_senone_log(log.read_bytes())) for start in starts[::3]]
        assert [name for name, _ in slow] == [name for word in names for name in word]
        differences += [abs(a - b) for a, (_, b) in zip(fast, slow, strict=True)]
    assert np.mean(np.equal(differences, 0)) > 0.8
    assert np.mean(differences) < 1  # frames of 10 ms


# trap 5: an OOV word raises, variant suffixes appear in results, and silence or too little audio gives no hypothesis
def test_oov_words_get_a_pronunciation(corpus: list[Speech], aligner: PocketsphinxAligner) -> None:
    text = corpus[0].utterance.transcript.replace("YELLOW", "YELOUGH").replace("DOCTOR", "DOKTORRR")
    found = align(aligner, corpus[0], transcript=text)
    assert found.oov == ("doktorrr", "yelough")
    assert [word.symbol for word in found.words] == text.lower().split()
    assert align(aligner, corpus[1]).oov == ()


def test_variant_suffixes_are_stripped(corpus: list[Speech], aligner: PocketsphinxAligner) -> None:
    raw, words = set(), set()
    for speech in corpus:
        words |= {word.symbol for word in align(aligner, speech).words}
        raw |= {segment.word for segment in aligner._decoder.seg()}
    assert any(word.endswith(")") for word in raw)
    assert not any("(" in word for word in words)


@pytest.mark.parametrize(
    ("seconds", "level", "transcript", "reason"),
    [
        (1.0, 0.1, "", "empty_transcript"),
        (1.0, 0.1, " -- ... ", "empty_transcript"),
        (1.0, 0.1, "take 2", "unknown_characters"),
        (0.0, 0.1, "hello", "too_short"),
        (0.01, 0.1, "hello", "too_short"),
        (0.06, 0.1, "hello", "too_short"),
        (0.2, 0.1, "several words that can not fit", "too_short"),
        (1.0, 0.0, "hello", "silent_audio"),
        (1.0, 0.1, "hello there", "no_alignment"),
    ],
)
def test_hopeless_utterances_have_a_reason(
    aligner: PocketsphinxAligner, seconds: float, level: float, transcript: str, reason: str
) -> None:
    samples = np.random.default_rng(0).normal(0, 1, round(seconds * SAMPLE_RATE)).astype(np.float32) * np.float32(level)
    with pytest.raises(AlignmentError) as caught:
        aligner.align(utterance(transcript), samples)
    assert caught.value.reason == reason


def test_other_languages_are_sent_to_mfa(corpus: list[Speech], aligner: PocketsphinxAligner) -> None:
    with pytest.raises(AlignmentError, match="Montreal Forced Aligner") as caught:
        align(aligner, corpus[0], language="de")
    assert caught.value.reason == "unsupported_language"
    assert align(aligner, corpus[0], language="en-GB").words


def test_searches_wider_before_giving_up(
    corpus: list[Speech], aligner: PocketsphinxAligner, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = align(aligner, corpus[0])
    monkeypatch.setattr("wordprint.align.pocketsphinx.BEAMS", (1e-1,))
    with pytest.raises(AlignmentError):
        align(aligner, corpus[0])
    monkeypatch.setattr("wordprint.align.pocketsphinx.BEAMS", (1e-1, BEAMS[0]))
    assert align(aligner, corpus[0]) == expected


def test_a_lexicon_overrides_the_bundled_one(corpus: list[Speech], aligner: PocketsphinxAligner, tmp_path: Path) -> None:
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("window W IH N\nwindow(2) W IH N D OW1\nzqxv Z IY\n")
    own = PocketsphinxAligner(AlignConfig(lexicon=lexicon))
    assert [phone.symbol for phone in align(own, corpus[0]).phones][-5:] == ["W", "IH", "N", "D", "OW"]
    lexicon.write_text("window W IH N\n")
    own = PocketsphinxAligner(AlignConfig(lexicon=lexicon))
    found = align(own, corpus[0])
    assert [phone.symbol for phone in found.phones][-3:] == ["W", "IH", "N"]
    assert [word.symbol for word in found.words] == [word.symbol for word in align(aligner, corpus[0]).words]
    assert found.oov == ()


def test_a_lexicon_of_other_phones_is_refused(tmp_path: Path) -> None:
    lexicon = tmp_path / "lexicon.txt"
    lexicon.write_text("window\tw ɪ n d oʊ\n")
    with pytest.raises(ConfigError, match="phones that pocketsphinx's model does not know: d n oʊ w ɪ"):
        PocketsphinxAligner(AlignConfig(lexicon=lexicon))
    lexicon.write_text("window\t\x1b[2J\x00\x9b\n", encoding="latin-1")  # not a dictionary at all: nothing for the terminal
    with pytest.raises(ConfigError, match=r"know: \?\[2J\?\?;"):
        PocketsphinxAligner(AlignConfig(lexicon=lexicon))


def test_a_cut_off_log_is_told(corpus: list[Speech], aligner: PocketsphinxAligner) -> None:
    aligner._search(corpus[0].utterance.transcript.lower().split(), corpus[0].samples)
    (log,) = aligner._log.iterdir()  # type: ignore[union-attr]
    data = log.read_bytes()
    assert len(parse_senone_log(data).keys) > 1000
    for cut in (0, 10, data.index(b"endhdr"), len(data) - 1):
        with pytest.raises(DiskFullError, match="cut off"):
            parse_senone_log(data[:cut])


def test_a_log_that_cannot_be_opened_is_no_bad_utterance(corpus: list[Speech], tmp_path: Path) -> None:
    own = PocketsphinxAligner(AlignConfig())
    own._log = tmp_path / "elsewhere"  # where pocketsphinx writes does not exist
    with pytest.raises(DiskFullError, match="cut off"):
        align(own, corpus[0])


def test_temporary_files_go_with_each_utterance(corpus: list[Speech], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    own = PocketsphinxAligner(AlignConfig())
    align(own, corpus[0])
    with pytest.raises(AlignmentError):
        own.align(corpus[0].utterance, corpus[0].samples[:SAMPLE_RATE])
    # espeak's library, for guessed pronunciations, stays as long as the process
    assert [path for path in tmp_path.iterdir() if not path.name.startswith("wordprint-espeak-")] == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of memory is read from Linux's /proc")
def test_memory_of_a_process_stays_below_100_mb(corpus: list[Speech]) -> None:
    paths = [(speech.utterance.audio, speech.utterance.transcript) for speech in corpus]
    code = f"""
import re
from pathlib import Path
from wordprint.align.base import load_aligner
from wordprint.speech.audio import read_audio
from wordprint.align.options import AlignConfig
from wordprint.records import Utterance
aligner = load_aligner(AlignConfig())
for audio, transcript in {paths!r}:
    samples = read_audio(audio)
    aligner.align(Utterance("u", "s", audio, 0.0, len(samples) / 16000, transcript), samples)
print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(result.stdout) < 100 * 1024
