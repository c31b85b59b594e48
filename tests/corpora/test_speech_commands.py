"""Speech Commands with its lists, and parts of it without them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from corpus_files import record, write
from wordprint.corpora import speech_commands
from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import UNTIL_END, Problem
from wordprint.errors import InputError
from wordprint.records import Utterance

CONFIG = PrepareConfig()


def test_lists_decide_the_split_and_noise_is_left_out(tmp_path: Path) -> None:
    for name in ("yes/a_nohash_0", "yes/b_nohash_0", "no/a_nohash_1", "no/c_d_nohash_0", "yes/odd", "_background_noise_/tap"):
        record(tmp_path / f"{name}.wav")
    write(tmp_path / "validation_list.txt", "yes/b_nohash_0.wav\n")
    write(tmp_path / "testing_list.txt", b"no/c_d_nohash_0.wav\r\nno/gone_nohash_0.wav\r\n")
    items = list(speech_commands.prepare(tmp_path, CONFIG))
    good = [item for item in items if isinstance(item, Utterance)]
    assert [(u.utterance_id, u.speaker, u.transcript, u.meta["split"]) for u in good] == [
        ("no/a_nohash_1", "a", "no", "train"),
        ("no/c_d_nohash_0", "c_d", "no", "test"),
        ("yes/a_nohash_0", "a", "yes", "train"),
        ("yes/b_nohash_0", "b", "yes", "validation"),
    ]
    assert {(u.meta["licence"], u.start_s, u.end_s) for u in good} == {("CC BY 4.0", 0.0, UNTIL_END)}
    problems = {item.item: item.reason for item in items if isinstance(item, Problem)}
    assert problems == {"yes/odd": "missing_speaker", "no/gone_nohash_0": "missing_audio"}


def test_one_list_alone_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "testing_list.txt", "")
    assert not speech_commands.detect(tmp_path)
    with pytest.raises(InputError, match=r"has testing_list.txt but not the other list"):
        list(speech_commands.prepare(tmp_path, CONFIG))


def test_without_lists_the_hash_keeps_a_speaker_on_one_side() -> None:
    sides = {f"{number:08x}": speech_commands.hashed_split(f"{number:08x}_nohash_0") for number in range(5000)}
    shares = Counter(sides.values())
    assert abs(shares["validation"] / 5000 - 0.1) < 0.02
    assert abs(shares["test"] / 5000 - 0.1) < 0.02
    assert all(speech_commands.hashed_split(f"{name}_nohash_3") == side for name, side in sides.items())


def test_the_hash_agrees_with_the_published_test_set(shared_data: Path) -> None:
    folder = shared_data / "keywords" / "speech_commands"  # all of it is from testing_list.txt
    items = list(speech_commands.prepare(folder, CONFIG))
    assert len(items) > 1000
    assert {item.meta["split"] for item in items} == {"test"}
    assert "_silence_" not in {item.transcript for item in items}
