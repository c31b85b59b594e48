"""MFCC + DTW: the reference system without learning that embeddings are measured against.

Features as usual in the same-different literature (Carlin et al. 2011; Kamper et al. 2016): 13 MFCC with their first
and second differences (39 dimensions) of 25 ms frames every 10 ms, mean and variance normalised over the segment.
Distance: cosine between frames, summed along the best path of dynamic time warping with steps (1, 0), (0, 1) and
(1, 1), divided by the sum of both lengths.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from wordprint.speech.audio import SAMPLE_RATE
from wordprint.stages.progress import SILENT, Progress

FRAME_SAMPLES = 400
"""25 ms."""
HOP_SAMPLES = 160
"""10 ms."""
FFT_SIZE = 512
MELS = 26
CEPSTRA = 13
PREEMPHASIS = 0.97
DELTA_REACH = 2
"""Frames on either side over which a difference is fitted (HTK's default)."""

Features = NDArray[np.float32]


def mfcc(samples: NDArray[np.float32]) -> Features:
    """(T, 39) normalised features of (N,) samples at 16 kHz; a segment shorter than one frame is padded to one."""
    padded = np.pad(samples.astype(np.float64), (0, max(0, FRAME_SAMPLES - len(samples))))
    emphasised = np.append(padded[0], padded[1:] - PREEMPHASIS * padded[:-1])
    frames = np.lib.stride_tricks.sliding_window_view(emphasised, FRAME_SAMPLES)[::HOP_SAMPLES] * np.hamming(FRAME_SAMPLES)
    power = np.abs(np.fft.rfft(frames, FFT_SIZE)) ** 2
    energies = np.log(np.maximum(power @ _mel_filters().T, 1e-10))
    static = energies @ _dct().T
    features = np.concatenate([static, delta := _difference(static), _difference(delta)], axis=1)
    features -= features.mean(axis=0)
    return np.asarray(features / np.maximum(features.std(axis=0), 1e-8), dtype=np.float32)


def dtw_distances(features: Sequence[Features], *, progress: Progress = SILENT) -> NDArray[np.float32]:
    """(n, n) symmetric distances between sequences (T, F) of any lengths; zero on the diagonal."""
    order = np.argsort([len(sequence) for sequence in features], kind="stable")
    unit = [unit_frames(features[index]) for index in order]
    distances = np.zeros((len(unit), len(unit)), np.float32)
    with progress.task("dtw", len(unit), "segments") as task:
        for row in range(len(unit)):
            # of a pair, the longer one is the row: it is met by everything shorter, padded to its own length at most
            if row:
                distances[row, :row] = distances[:row, row] = warp(unit[row], unit[:row])
            task.advance()
    back = np.argsort(order)
    return distances[np.ix_(back, back)]


def warp(one: Features, many: Sequence[Features]) -> NDArray[np.float32]:
    """DTW distances (B,) of `one` (T, F) to each of `many` (≤ T, F), all frames of unit length.

    The cells of an anti-diagonal depend only on the two before it, so each is one vectorised step over all pairs.
    """
    lengths = np.array([len(sequence) for sequence in many])
    rows, columns = len(one), int(lengths.max())
    padded = np.zeros((len(many), columns, one.shape[1]), np.float32)
    for target, sequence in zip(padded, many, strict=True):
        target[: len(sequence)] = sequence
    cost = 1 - padded @ one.T  # (B, columns, rows)
    diagonals = np.full((rows + columns - 1, len(many), columns), np.inf, np.float32)
    column, row = np.indices((columns, rows))
    diagonals[column + row, :, column] = cost.transpose(1, 2, 0)
    result = np.empty(len(many), np.float32)
    before = np.full((len(many), columns + 1), np.inf, np.float32)  # entry c + 1 holds column c; entry 0 stays infinite
    before[:, 0] = 0  # the path starts here, to step diagonally into cell (0, 0)
    last = np.full_like(before, np.inf)
    ends = lengths - 1 + rows - 1
    for number, cells in enumerate(diagonals):
        total = np.full_like(before, np.inf)
        # from (row − 1, column), from (row, column − 1), from (row − 1, column − 1)
        np.minimum(np.minimum(last[:, 1:], last[:, :-1]), before[:, :-1], out=total[:, 1:])
        total[:, 1:] += cells
        before, last = last, total
        done = np.flatnonzero(ends == number)
        result[done] = total[done, lengths[done]]
    return np.asarray(result / (lengths + rows), np.float32)


def unit_frames(frames: Features) -> Features:
    return np.asarray(frames / np.maximum(np.linalg.norm(frames, axis=1, keepdims=True), 1e-8), np.float32)


def _difference(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slope over ±DELTA_REACH frames by least squares; edges are repeated."""
    padded = np.pad(frames, ((DELTA_REACH, DELTA_REACH), (0, 0)), mode="edge")
    slopes = np.zeros_like(frames)
    for shift in range(1, DELTA_REACH + 1):
        ahead = padded[DELTA_REACH + shift : DELTA_REACH + shift + len(frames)]
        slopes += shift * (ahead - padded[DELTA_REACH - shift : DELTA_REACH - shift + len(frames)])
    return slopes / (2 * sum(shift * shift for shift in range(1, DELTA_REACH + 1)))


def _mel_filters() -> NDArray[np.float64]:
    """(MELS, FFT_SIZE / 2 + 1) triangles, equally spaced in mel (HTK's formula) from 0 Hz to half the sample rate."""
    top = 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, MELS + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(FFT_SIZE, 1 / SAMPLE_RATE)
    rising = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    return np.maximum(0, np.minimum(rising, falling))


def _dct() -> NDArray[np.float64]:
    """(CEPSTRA, MELS) orthonormal DCT-II."""
    rows, columns = np.arange(CEPSTRA)[:, None], np.arange(MELS)[None, :]
    basis = np.cos(np.pi * rows * (2 * columns + 1) / (2 * MELS)) * np.sqrt(2 / MELS)
    basis[0] /= np.sqrt(2)
    return np.asarray(basis)
