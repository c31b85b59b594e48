"""Recordings that headers or codecs make hard: each is read whole, the same in a stretch, and what can't be is said."""

from __future__ import annotations

import io
import itertools
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sound_files import RATE, encoded, mp3, patched, speech, without_length
from wordprint.errors import AudioError
from wordprint.speech.audio import probe_audio, read_audio, stream_audio, write_audio
from wordprint.speech.formats import FOREIGN_SUFFIXES, READABLE_SUFFIXES
from wordprint.speech.parts import find_parts
from wordprint.speech.recording import Recording

ONE, TWO = speech(3.0), speech(2.0, seed=1)


def frames(content: bytes) -> np.ndarray:
    """The first channel at the file's own rate, after checking that the header promises what is there."""
    with Recording(io.BytesIO(content)) as recording:
        heard = np.concatenate([samples[:, 0] for samples, _ in recording.blocks()])
        assert len(heard) == recording.frames
    return heard


def libsndfile(content: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(content), dtype="float32")[0]


@pytest.mark.parametrize("rate", [RATE, 44_100])
def test_mp3_without_its_length_frame_gives_the_same_samples(rate):
    whole = mp3(speech(20.0, rate), rate)
    expected, heard = libsndfile(whole), frames(without_length(whole, rate))
    delay = 576  # LAME's delay, which only its length frame tells
    np.testing.assert_allclose(heard[delay : delay + len(expected)], expected, atol=1e-6)
    assert delay + len(expected) <= len(heard) < delay + len(expected) + 2 * 1152


def test_mp3_whose_length_was_never_written_is_read_whole():
    unwritten = patched(mp3(ONE), b"Xing", 8, ">II", 0, 0)
    assert np.array_equal(frames(unwritten), frames(without_length(mp3(ONE))))


ID3, ID3V1 = b"ID3\x04\0\0\0\0\0\x0a" + bytes(10), b"TAG" + bytes(125)
APE = b"APETAGEX" + struct.pack("<IIII", 2000, 40, 1, 1 << 31) + bytes(48)


@pytest.mark.parametrize("tag", [b"", ID3, ID3V1, APE, ID3V1 + ID3])
def test_joined_mp3s_are_read_on(tag):
    first, second = mp3(ONE), mp3(TWO)
    expected = np.concatenate([libsndfile(first), libsndfile(second)])
    np.testing.assert_allclose(frames(first + tag + second), expected, atol=1e-6)


@pytest.mark.parametrize("lacks", [*itertools.product([False, True], repeat=2)])
def test_joined_mp3s_with_and_without_lengths(lacks):
    files = [without_length(mp3(samples)) if lack else mp3(samples) for samples, lack in zip((ONE, TWO), lacks, strict=True)]
    assert len(frames(files[0] + files[1])) == pytest.approx(len(ONE) + len(TWO), abs=4 * 1152)


def test_mp3_with_tags_or_cut_off_is_left_to_libsndfile():
    whole = mp3(ONE)
    for content in (whole, whole + ID3V1, ID3 + whole, whole[: len(whole) // 2]):
        assert find_parts(content) == []


def test_damage_between_frames_of_an_mp3_is_skipped():
    whole = without_length(mp3(ONE))
    junk = np.random.default_rng(0).bytes(3000)
    assert len(frames(whole + junk + whole)) == pytest.approx(2 * len(ONE), abs=0.3 * RATE)


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_chained_ogg_is_read_on(codec):
    files = [encoded(samples, "OGG", codec) for samples in (ONE, TWO, ONE)]
    assert np.array_equal(frames(b"".join(files)), np.concatenate([libsndfile(file) for file in files]))


def test_a_stream_of_another_form_behind_the_first_is_said(tmp_path):
    (tmp_path / "two.ogg").write_bytes(encoded(ONE, "OGG", "VORBIS") + encoded(ONE, "OGG", "VORBIS", 8_000))
    with pytest.raises(AudioError, match=r"two\.ogg changes to 8000 Hz and 1 channels after 3\.00 s.*ffmpeg -i"):
        read_audio(tmp_path / "two.ogg")


PCM = encoded(ONE, "WAV", "PCM_16")
STALE = {
    "wav 0": patched(PCM, b"data", 4, "<I", 0),
    "wav stale": patched(PCM, b"data", 4, "<I", 9_999),
    "wav and riff stale": patched(patched(PCM, b"data", 4, "<I", 8_000), b"RIFF", 4, "<I", 8_036),
    "wav of a pipe": patched(patched(PCM, b"data", 4, "<I", 0xFFFFFFFF), b"RIFF", 4, "<I", 0xFFFFFFFF),
    "float wav 0": patched(encoded(ONE, "WAV", "FLOAT"), b"data", 4, "<I", 0),
    "rf64 0": patched(encoded(ONE, "RF64", "PCM_16"), b"ds64", 8, "<QQQ", 0, 0, 0),
    "rf64 stale": patched(encoded(ONE, "RF64", "PCM_16"), b"ds64", 8, "<QQQ", 8_000, 8_000, 4_000),
    "w64 0": patched(encoded(ONE, "W64", "PCM_16"), b"data", 16, "<Q", 24),
    "aiff 0": patched(encoded(ONE, "AIFF", "PCM_16"), b"SSND", 4, ">I", 8),
    "aiff stale": patched(encoded(ONE, "AIFF", "PCM_16"), b"SSND", 4, ">I", 8_008),
    "caf 0": patched(encoded(ONE, "CAF", "PCM_16"), b"data", 4, ">q", 0),
    "caf -1": patched(encoded(ONE, "CAF", "PCM_16"), b"data", 4, ">q", -1),
    "au 0": patched(encoded(ONE, "AU", "PCM_16"), b".snd", 8, ">I", 0),
    "au stale": patched(encoded(ONE, "AU", "PCM_16"), b".snd", 8, ">I", 8_000),
    "flac of a pipe": patched(encoded(ONE, "FLAC", "PCM_16"), b"fLaC", 22, "4B", 0, 0, 0, 0),
}


@pytest.mark.parametrize("name", STALE)
def test_a_length_that_was_never_written_means_to_the_end(name, tmp_path):
    expected = ONE if "float" in name else libsndfile(encoded(ONE, "FLAC" if "flac" in name else "WAV", "PCM_16"))
    assert np.array_equal(frames(STALE[name]), expected)
    (tmp_path / "killed.wav").write_bytes(STALE[name])
    assert np.array_equal(read_audio(tmp_path / "killed.wav", 1.25, 2.5), expected[20_000:40_000])
    assert probe_audio(tmp_path / "killed.wav").duration_s == 3.0


LIST, CUES = b"LIST\x04\0\0\0INFO", b"cue \x03\0\0\0ABC\0"


@pytest.mark.parametrize("after", [LIST, CUES + LIST, bytes(5000), b"TAG" + bytes(range(1, 126)), b"junk!", b""])
def test_what_is_no_sound_behind_the_sound_is_not_read(after):
    assert find_parts(PCM + after) == []


def test_a_wav_without_sound_stays_empty(tmp_path):
    (tmp_path / "empty.wav").write_bytes(encoded(ONE[:0], "WAV", "PCM_16") + b"LIST\x04\0\0\0INFO")
    with pytest.raises(AudioError, match="holds no audio") as error:
        read_audio(tmp_path / "empty.wav")
    assert error.value.reason == "empty_audio"


@pytest.mark.parametrize("container", ["WAV", "AIFF", "AU", "CAF"])
def test_joined_files_are_read_on(container):
    files = [encoded(samples, container, "PCM_16") for samples in (ONE, TWO)]
    assert np.array_equal(frames(files[0] + files[1]), libsndfile(encoded(np.concatenate([ONE, TWO]), "WAV", "PCM_16")))


def test_a_cut_flac_without_a_length_is_read_as_far_as_it_goes():
    whole = STALE["flac of a pipe"]
    heard = frames(whole[: len(whole) * 2 // 3])
    assert 1.0 * RATE < len(heard) < 3.0 * RATE
    assert np.array_equal(heard, libsndfile(encoded(ONE, "FLAC", "PCM_16"))[: len(heard)])


CODECS = [
    (container, codec)
    for container in soundfile.available_formats()
    for codec in soundfile.available_subtypes(container)
    if container not in ("RAW", "MP3", "OGG", "MAT4", "MAT5") and not codec.startswith(("DWVW", "MPEG"))
]


@pytest.mark.parametrize(("container", "codec"), CODECS)
def test_every_codec_is_read_whole_and_in_stretches(container, codec, tmp_path):
    path = tmp_path / "sound.bin"
    soundfile.write(path, speech(3.0, 8_000), 8_000, format=container, subtype=codec)
    with Recording(path) as recording:
        assert len(find_parts(path.read_bytes())) == 0
        whole = np.concatenate([samples for samples, _ in recording.blocks()])
        assert len(whole) == recording.frames
        assert abs(len(whole) - 24_000) < 400  # codecs of blocks fill the last one
        for first, last in ((20_000, 21_000), (100, 9_000), (9_000, 9_001)):  # back again, too
            assert np.array_equal(np.concatenate([samples for samples, _ in recording.blocks(first, last)]), whole[first:last])
    streamed = np.concatenate(list(stream_audio(path, 0.3)))
    np.testing.assert_allclose(streamed, read_audio(path), atol=1e-5)


@pytest.mark.parametrize("weight", [1.0, 0.8, 0.999])
def test_channels_of_opposite_phase_are_not_silence(weight, tmp_path):
    write_audio(tmp_path / "sides.wav", np.stack([ONE, -np.float32(weight) * ONE], axis=1))
    heard = read_audio(tmp_path / "sides.wav")
    write_audio(tmp_path / "one.wav", ONE)
    loud = np.abs(heard) > 0.01
    assert np.array_equal(heard[loud], read_audio(tmp_path / "one.wav")[loud])
    assert np.array_equal(np.concatenate(list(stream_audio(tmp_path / "sides.wav", 0.7))), heard)
    assert np.array_equal(read_audio(tmp_path / "sides.wav", 1.1, 2.3), heard[17_600:36_800])


def test_opposite_phase_is_found_beneath_an_offset(tmp_path):
    write_audio(tmp_path / "sides.wav", np.stack([0.2 + ONE / 2, 0.2 - ONE / 2], axis=1))
    assert read_audio(tmp_path / "sides.wav").std() == pytest.approx(ONE.std() / 2, rel=0.05)


@pytest.mark.parametrize("other", [0 * ONE, ONE, TWO, -ONE / 4])
def test_other_channels_are_averaged(other, tmp_path):
    other = np.resize(other, ONE.shape)
    soundfile.write(tmp_path / "sides.wav", np.stack([ONE, other], axis=1), RATE, subtype="FLOAT")
    assert np.array_equal(read_audio(tmp_path / "sides.wav"), np.stack([ONE, other], axis=1).mean(axis=1))


def test_a_float_file_on_another_scale_is_refused_by_name(tmp_path):
    for name, scale in (("16-bit.wav", 32_768), ("hot.wav", 6.0), ("over.wav", 1.5)):
        soundfile.write(tmp_path / name, ONE / np.abs(ONE).max() * scale, RATE, subtype="FLOAT")
    for read in (read_audio, lambda path: list(stream_audio(path))):
        for name in ("16-bit.wav", "hot.wav"):
            with pytest.raises(AudioError, match=rf"{name} holds samples up to .*full scale ±1") as error:
                read(tmp_path / name)
            assert error.value.reason == "not_full_scale"
        assert len(read(tmp_path / "over.wav"))


FOREIGN = {
    "a.m4a": (b"\0\0\0\x20ftypM4A " + bytes(500), "MPEG-4"),
    "b.wav": (b"\0\0\0\x20ftypM4A " + bytes(500), "MPEG-4"),
    "c.webm": (b"\x1a\x45\xdf\xa3" + bytes(500), "WebM"),
    "d.wma": (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(500), "Windows Media"),
    "e.aac": (b"\xff\xf1\x50\x80" + bytes(500), "AAC"),
    "f.amr": (b"#!AMR\n" + bytes(500), "AMR"),
    "g h.sph": (b"NIST_1A\n   1024\nsample_coding -s26 pcm,embedded-shorten-v2.00\nend_head\n".ljust(2048), "Shorten"),
    "i.tta": (b"TTA1" + bytes(500), "TTA"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_format_that_libsndfile_lacks_is_named_with_the_command_that_converts_it(name, tmp_path):
    content, kind = FOREIGN[name]
    (tmp_path / name).write_bytes(content)
    for read in (read_audio, probe_audio, lambda path: list(stream_audio(path))):
        with pytest.raises(AudioError, match=rf"{name} is .*{kind}.*convert it: ffmpeg -i \S.*\.flac") as error:
            read(tmp_path / name)
        assert "\n" not in str(error.value)


def test_whatever_soundfile_refuses_is_bad_audio(tmp_path):
    for name in ("headerless.raw", "noise.mat", "noise.wav", "noise.mp3"):
        (tmp_path / name).write_bytes(np.random.default_rng(3).bytes(2000))
        with pytest.raises(AudioError, match=name):
            read_audio(tmp_path / name)


def test_a_folder_and_a_pipe_are_called_what_they_are(tmp_path):
    with pytest.raises(AudioError, match="is a folder"):
        read_audio(tmp_path)
    result = subprocess.run(
        [sys.executable, "-c", "from wordprint.speech.audio import read_audio; read_audio('/dev/stdin')"],
        input=PCM,
        capture_output=True,
        check=False,
    )
    assert b"/dev/stdin is a pipe" in result.stderr


def test_libmpg123_prints_nothing_and_others_still_do(tmp_path):
    path = tmp_path / "joined.mp3"
    path.write_bytes(mp3(ONE) + mp3(TWO))
    script = f"import soundfile; soundfile.read({str(path)!r})"
    alone = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Xing stream size off" in alone.stderr
    script = (
        "import ctypes, sys; from wordprint.speech.audio import read_audio\n"
        f"for start in (0, 1, 4): read_audio({str(path)!r}, start)\n"
        "libc = ctypes.CDLL(None); libc.fputs(b'C\\n', ctypes.c_void_p.in_dll(libc, 'stderr')); print('Python', file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert sorted(result.stderr.splitlines()) == ["C", "Python"]


def test_an_mp3_beside_the_file_that_macos_adds_to_it_is_read(tmp_path):
    (tmp_path / "a.mp3").write_bytes(mp3(ONE))
    (tmp_path / "._a.mp3").write_bytes(b"\0\x05\x16\x07\0\2\0\0Mac OS X        ")
    assert len(read_audio(tmp_path / "a.mp3")) == len(ONE)


def test_threads_read_at_once(tmp_path):
    (tmp_path / "a.mp3").write_bytes(mp3(ONE) + mp3(TWO))
    expected, heard = read_audio(tmp_path / "a.mp3"), []
    threads = [threading.Thread(target=lambda: heard.append(read_audio(tmp_path / "a.mp3"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 4
    assert all(np.array_equal(samples, expected) for samples in heard)


def test_a_file_that_changes_is_looked_at_again(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(STALE["wav 0"])
    assert len(read_audio(path)) == len(ONE)
    path.write_bytes(patched(encoded(TWO, "WAV", "PCM_16"), b"data", 4, "<I", 0))
    assert len(read_audio(path)) == len(TWO)


WHOLE = [mp3(ONE), without_length(mp3(TWO)), encoded(ONE, "OGG", "VORBIS"), *list(STALE.values())]


@settings(max_examples=300)
@given(st.sampled_from(WHOLE), st.floats(0, 1), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6))
@example(STALE["aiff stale"], 1.0, [(38, 0)])  # libsndfile seeks to −1
def test_no_damage_ends_a_run(content, share, changes):
    damaged = bytearray(content[: round(len(content) * share)])
    for place, value in changes:
        if place < len(damaged):
            damaged[place] = value
    try:
        assert np.isfinite(read_audio(io.BytesIO(bytes(damaged)))).all()
    except AudioError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_endings_cover_what_libsndfile_reads():
    names = {"MP3": "mp3", "MPC2K": "snd", "RAW": "gsm", "WAVEX": "wav", "SVX": "svx", "NIST": "sph", "WVE": "wve"}
    not_sound = {"MAT4", "MAT5"}
    for container in set(soundfile.available_formats()) - not_sound:
        assert f".{names.get(container, container).lower()}" in READABLE_SUFFIXES, container
    assert not READABLE_SUFFIXES & FOREIGN_SUFFIXES
