"""Hashes never change: with them segments would be chosen anew, and speakers and words change sides."""

from __future__ import annotations

import numpy as np
import pytest

from wordprint.corpora.stage import safe_name
from wordprint.stages.hashing import digest64, hash64, mix
from wordprint.words.split import position


@pytest.mark.parametrize(
    ("text", "digest", "number", "place"),
    [
        ("", "e3b0c44298fc1c14", 1449310910991872227, 0.7484986415171448),
        ("yes", "8a798890fe938171", 8178981119837370762, 0.3210271148959478),
        ("ça va", "a27f05d56ed7df0a", 783581731206037410, 0.9009679206281014),
        ("a\udc80b", "dd8c0688f7b2a716", 1632470166153891037, 0.896809471192352),  # a file name that is not UTF-8
    ],
)
def test_texts_have_the_hashes_they_always_had(text, digest, number, place):
    assert digest64(text).hex() == digest
    assert hash64(text) == number
    assert position(text, "word") == place


def test_numbers_and_long_names_too():
    assert mix(np.array([1, 2], np.uint64), np.array([3, 0], np.uint64)).tolist() == [5069667024376236638, 16170013395273600844]
    segment = [np.array([number], np.uint64) for number in (hash64("a-1"), 9600, 17600)]
    assert mix(*segment).tolist() == [5639967381302364268]
    assert safe_name("x" * 300).endswith("-0d4e2ca9e9cbced7")
