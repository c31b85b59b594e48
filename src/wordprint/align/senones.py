"""Phone boundaries inside known words, from the senone scores that pocketsphinx logged while it found the words.

pocketsphinx's own way to phones, a second pass, computes all scores again and halves the speed. Its first pass has
them: with `senlogdir` it writes them to a file. What is left is a Viterbi search inside each word, done here for all
words of an utterance at once. Nine of ten phone boundaries are then the very frames of the second pass (mean difference
3 ms), at 4 % of its cost.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import DiskFullError

MISSING_SCORE = 150
"""Score of a senone that the first pass did not evaluate: about a middling one (lower is better, the best of a frame is 0),
as it is mostly missing because a neighbouring word was another one there, not because it fits badly."""

_UNREACHED = 1 << 28
_FRAME_STRIDE = 1 << 13  # more than the model's 5138 senones
_END_OF_HEADER = b"endhdr\n"
_BYTE_ORDER = struct.pack("=I", 0x11223344)


@dataclass(frozen=True, slots=True)
class WordStates:
    """A word of the first pass: its first frame, its length in frames, and the senones of its states in order."""

    start: int
    frames: int
    senones: Sequence[int]


@dataclass(frozen=True, slots=True)
class SenoneScores:
    """Scores (E,) of the senones active in each frame, sorted by `keys` (E,): frame × _FRAME_STRIDE + senone."""

    keys: NDArray[np.int32]
    scores: NDArray[np.int16]

    def at(self, frame: NDArray[np.int32], senone: NDArray[np.int32]) -> NDArray[np.int16]:
        """Scores for arrays that broadcast together; MISSING_SCORE where the senone was not active."""
        wanted = frame * _FRAME_STRIDE + senone
        place = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        return np.where(self.keys[place] == wanted, self.scores[place], np.int16(MISSING_SCORE))


def parse_senone_log(data: bytes) -> SenoneScores:
    """Read a log: a text header, a byte-order mark, then per frame the number n of active senones (int16), n differences
    between their ascending indices (uint8) and n scores (int16).

    Raises DiskFullError when it is cut off.
    """
    position = data.find(_END_OF_HEADER) + len(_END_OF_HEADER)
    if position < len(_END_OF_HEADER) or data[position : position + 4] != _BYTE_ORDER:
        raise log_is_cut_off()
    position += 4
    steps: list[NDArray[np.uint8]] = []
    scores: list[NDArray[np.int16]] = []
    try:
        while position < len(data):
            (count,) = struct.unpack_from("=h", data, position)
            steps.append(np.frombuffer(data, np.uint8, count, position + 2))
            scores.append(np.frombuffer(data, np.int16, count, position + 2 + count))
            position += 2 + 3 * count
        step = np.concatenate(steps)
    except (ValueError, struct.error) as error:
        raise log_is_cut_off() from error
    counts = np.array([len(frame) for frame in steps], dtype=np.int32)
    keys = np.cumsum(step, dtype=np.int32)  # runs on over all frames: start each frame at a multiple of the stride
    before = np.concatenate(([0], keys[np.cumsum(counts)[:-1] - 1]))
    keys += np.repeat(np.arange(len(counts)) * _FRAME_STRIDE - before, counts).astype(np.int32)
    return SenoneScores(keys, np.concatenate(scores))


def state_starts(words: Sequence[WordStates], scores: SenoneScores) -> list[list[int]]:
    """First frame of every state of every word, by the best path through its states that fills the word.

    Transition probabilities play no part: every path through a word makes the same number of steps.
    """
    size = (len(words), max(len(word.senones) for word in words))  # (words, states), the states of short words padded
    start = np.array([[word.start] for word in words], dtype=np.int32)
    senones = np.zeros(size, dtype=np.int32)
    for row, word in enumerate(words):
        senones[row, : len(word.senones)] = word.senones

    cost = np.full(size, _UNREACHED, dtype=np.int32)
    cost[:, :1] = scores.at(start, senones[:, :1])
    entered = np.zeros((max(word.frames for word in words), *size), dtype=bool)  # was the state reached from the one before?
    for t in range(1, len(entered)):
        from_previous = np.full_like(cost, _UNREACHED)
        from_previous[:, 1:] = cost[:, :-1]
        entered[t] = from_previous < cost
        cost = np.minimum(np.minimum(from_previous, cost) + scores.at(start + t, senones), _UNREACHED)
    return [_trace(entered[: word.frames, row], word) for row, word in enumerate(words)]


def _trace(entered: NDArray[np.bool_], word: WordStates) -> list[int]:
    state = len(word.senones) - 1
    starts = [word.start] * len(word.senones)
    for t in range(word.frames - 1, 0, -1):
        if entered[t, state]:
            starts[state] = word.start + t
            state -= 1
    return starts


def log_is_cut_off() -> DiskFullError:
    """The error to raise when pocketsphinx could not write its log."""
    return DiskFullError(
        f"pocketsphinx's log of senone scores in {tempfile.gettempdir()} is cut off",
        remedy="free some space there, set TMPDIR to another folder, or leave phones out, and run the same command again",
    )
