"""Few-shot keywords: N-way K-shot, closed and open set, and KAIST's user-defined keywords (protocol 2).

A keyword's prototype is the mean of the vectors of its K supports, made unit length again; similarity is the cosine of the
nearest of a query's vectors.
Both functions take embeddings, so that they score anything that embeds: they don't know of models or files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.errors import DatasetError
from wordprint.evaluate import metrics
from wordprint.evaluate.episodes import Draw, draw_episodes
from wordprint.evaluate.intervals import group_weights, groups_of, interval_over
from wordprint.words.folders import SILENCE

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
"""Targets of the open set on Speech Commands (Rusci & Tuytelaars 2023, arXiv 2306.02161)."""

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
"""User-defined keywords of Jung et al. 2022 (KAIST, arXiv 2211.00439)."""

OPEN_SET_FARS, USER_DEFINED_FARS = (0.05, 0.01), (0.025, 0.1)
"""Shares of false acceptances at which figures are read."""

PER_KEYWORD, UNKNOWN_WORDS, PER_UNKNOWN, SILENCES = 300, 15, 20, 300
"""Recordings of each digit, other words, recordings of each of them, and of silence, in KAIST's test."""

SHOTS = (1, 3, 5, 10)
REPLICATES = 200
"""Bootstrap replicates of the speakers that are asked, for the 95 % intervals."""

INTERVAL_DRAWS = 25
"""Draws that the bootstrap uses: the speakers matter far more to it than the supports do."""

BOOTSTRAP_CELLS = 500_000
"""Fewer replicates (never under 50) when there are so many trials that weights × trials would pass this."""

Floats = NDArray[np.float64]
Scores = dict[str, Floats]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure over the draws: mean and standard deviation, and a 95 % interval of the mean.

    The deviation tells how much the choice of supports matters; the interval, from a bootstrap over speakers and
    draws, how far the mean may be off because only so many people were recorded.
    """

    mean: float
    std: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        return {"mean": self.mean, "std": self.std, "low": self.low, "high": self.high}


@dataclass(slots=True)
class ShotResult:
    """Figures for one K: `estimates` by name, the DET curve of the trials of all draws, and who was taken for what.

    `counts` (n, W) are how many times each token, when asked, was most similar to each target; `accepted` (n,) how
    many times it passed the threshold of the first FAR (open set only).
    """

    shots: int
    estimates: dict[str, Estimate]
    det: metrics.DetCurve | None
    counts: NDArray[np.int64]
    accepted: NDArray[np.int64] | None


@dataclass(slots=True)
class FewShotResult:
    """What a few-shot protocol found; `results` has one entry per K."""

    targets: list[str]
    unknown: list[str]
    draws: list[Draw]
    results: list[ShotResult] = field(default_factory=list)

    @property
    def best(self) -> ShotResult:
        """The entry with the most shots."""
        return max(self.results, key=lambda result: result.shots)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The queries of one draw, compared with the prototypes: tokens (q,), similarities (q, W), their target or -1 (q,)."""

    tokens: NDArray[np.int64]
    similarities: Floats
    truth: NDArray[np.int64]


def prototypes(embeddings: NDArray[np.float32], supports: NDArray[np.int64]) -> Floats:
    """(W, D) unit prototypes of the tokens in `supports` (W, K), from embeddings (n, D) or (n, S, D)."""
    vectors = np.asarray(embeddings[supports], dtype=np.float64)
    means = vectors.reshape(len(supports), -1, vectors.shape[-1]).mean(axis=1)
    return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12))


def nearest(queries: NDArray[np.float32], keywords: Floats) -> Floats:
    """(q, W) similarities of each of the queries (q, D) or (q, S, D), the best of its vectors, to unit prototypes (W, D)."""
    spans = np.moveaxis(queries.reshape(len(queries), -1, queries.shape[-1]), 1, 0)
    return np.asarray(np.max([vectors.astype(np.float64) @ keywords.T for vectors in spans], axis=0))


def open_set(
    embeddings: NDArray[np.float32],
    words: ArrayLike,
    speakers: ArrayLike | None,
    *,
    generator: np.random.Generator,
    targets: Sequence[str] = COMMANDS,
    shots: Sequence[int] = SHOTS,
    draws: int = 100,
    enroll_share: float = 0.25,
) -> FewShotResult:
    """`targets` enrolled, all other words to be rejected (Rusci & Tuytelaars 2023).

    Embeddings are (n, D), or (n, S, D) of S spans of each, L2-normalised; `words` and `speakers` (n,) go with them.
    `speakers` None: not known, so that supports and queries may share a speaker.

    Estimates: `closed` (accuracy among the targets, nothing rejected), and where there are unknown words
    `accuracy_at_X_far` (X in percent) for OPEN_SET_FARS, `eer` and `auroc` of the best similarity, known against unknown,
    over the draws that ask unknown queries.

    Raises DatasetError when a target has too few recordings or speakers.
    """

    def score(asked: _Asked, weights: Floats) -> Scores:
        best, known = asked.similarities.max(axis=1), asked.truth >= 0
        right = asked.similarities.argmax(axis=1) == asked.truth
        with np.errstate(invalid="ignore"):
            scores = {"closed": (weights * right).sum(axis=1) / (weights * known).sum(axis=1)}
        if known.all():
            return scores
        curve, accuracy = metrics.open_set_curve(best, known, right, weights)
        scores |= {far_name("accuracy", far): metrics.at_far(curve, accuracy, far) for far in OPEN_SET_FARS}
        return scores | {"eer": metrics.equal_error_rate(curve), "auroc": metrics.auroc(curve)}

    def trials(asked: _Asked) -> tuple[Floats, NDArray[np.bool_]]:
        return asked.similarities.max(axis=1), asked.truth >= 0

    unknown = sorted(set(np.asarray(words).tolist()) - set(targets))
    episodes = draw_episodes(
        words, speakers, targets, unknown, shots=max(shots), draws=draws, generator=generator, enroll_share=enroll_share
    )
    result = FewShotResult(list(targets), unknown, episodes)
    for k in shots:
        result.results.append(_run(embeddings, words, speakers, result, k, generator, score, trials, OPEN_SET_FARS[0]))
    return result


def user_defined(
    embeddings: NDArray[np.float32],
    words: ArrayLike,
    speakers: ArrayLike | None,
    *,
    generator: np.random.Generator,
    targets: Sequence[str] = DIGITS,
    unknown: Sequence[str] = (),
    shots: Sequence[int] = SHOTS,
    draws: int = 100,
    enroll_share: float = 0.25,
) -> FewShotResult:
    """Every similarity of a query to each of the prototypes is a trial (Jung et al. 2022).

    A trial is a target trial when the query is a token of the prototype's keyword; `unknown` are the words (and
    silence) that are never. Estimates: `eer`, `frr_at_X_far` for USER_DEFINED_FARS, and on the keywords' own queries
    alone `macro_f1` and `closed` (accuracy). Arguments as for `open_set`; `select_kaist` caps the recordings as published.
    """

    def trials(asked: _Asked) -> tuple[Floats, NDArray[np.bool_]]:
        is_target = asked.truth[:, None] == np.arange(asked.similarities.shape[1])
        return asked.similarities.ravel(), is_target.ravel()

    def score(asked: _Asked, weights: Floats) -> Scores:
        curve = metrics.det_curve(*trials(asked), np.repeat(weights, asked.similarities.shape[1], axis=1))
        scores = {"eer": metrics.equal_error_rate(curve)}
        scores |= {far_name("frr", far): metrics.frr_at_far(curve, far) for far in USER_DEFINED_FARS}
        known = asked.truth >= 0
        ways = asked.similarities.shape[1]
        pairs = asked.truth[known] * ways + asked.similarities[known].argmax(axis=1)
        confusions = [np.bincount(pairs, row, minlength=ways * ways).reshape(ways, ways) for row in weights[:, known]]
        scores["macro_f1"] = np.array([metrics.macro_f1(confusion) for confusion in confusions])
        scores["closed"] = np.array([metrics.accuracy(confusion) for confusion in confusions])
        return scores

    episodes = draw_episodes(
        words, speakers, targets, unknown, shots=max(shots), draws=draws, generator=generator, enroll_share=enroll_share
    )
    result = FewShotResult(list(targets), list(unknown), episodes)
    for k in shots:
        result.results.append(_run(embeddings, words, speakers, result, k, generator, score, trials, None))
    return result


def far_name(what: str, far: float) -> str:
    """Name of an estimate at a FAR: `accuracy_at_5_far` is at 5 %, `frr_at_2.5_far` at 2.5 %."""
    return f"{what}_at_{100 * far:g}_far"


def enrollable(words: ArrayLike, speakers: ArrayLike | None, shots: int) -> list[str]:
    """Words with more than `shots` recordings, and where known, of two speakers or more.

    Those by the most speakers first, then those with the most recordings, then by name.
    """
    names = np.asarray(words)
    people = None if speakers is None else np.asarray(speakers)
    ranked = []
    for word in np.unique(names).tolist():
        tokens = np.flatnonzero(names == word)
        voices = 2 if people is None else len(set(people[tokens].tolist()))
        if len(tokens) > shots and voices > 1:
            ranked.append((-voices, -len(tokens), word))
    return [word for _, _, word in sorted(ranked)]


def select_kaist(words: ArrayLike, generator: np.random.Generator, keywords: Sequence[str]) -> NDArray[np.int64]:
    """Numbers of the tokens of KAIST's test: 300 of each of the `keywords`, 20 of each of 15 other words, 300 of silence.

    The other words are those with the most recordings (then by name); of each, that many at random, or all there are.
    """
    names = np.asarray(words)
    kinds, counts = np.unique(names, return_counts=True)
    rest = [(-count, kind) for kind, count in zip(kinds.tolist(), counts.tolist(), strict=True) if kind not in {*keywords, SILENCE}]
    others = [kind for _, kind in sorted(rest)[:UNKNOWN_WORDS]]
    limits = dict.fromkeys(keywords, PER_KEYWORD) | dict.fromkeys(others, PER_UNKNOWN) | {SILENCE: SILENCES}
    chosen = [generator.permutation(np.flatnonzero(names == kind))[:limit] for kind, limit in limits.items()]
    return np.sort(np.concatenate(chosen))


def _run(
    embeddings: NDArray[np.float32],
    words: ArrayLike,
    speakers: ArrayLike | None,
    result: FewShotResult,
    shots: int,
    generator: np.random.Generator,
    score: Callable[[_Asked, Floats], Scores],
    trials: Callable[[_Asked], tuple[Floats, NDArray[np.bool_]]],
    accept_far: float | None,
) -> ShotResult:
    """Score all draws at K = `shots`; row 0 of the weights is the data as it is, the others are bootstrap replicates."""
    names, count, ways = np.asarray(words), len(embeddings), len(result.targets)
    target_of = np.full(count, -1)
    for number, target in enumerate(result.targets):
        target_of[names == target] = number
    size = max(len(draw.queries) + len(draw.unknown) for draw in result.draws) * (1 if accept_far is not None else ways)
    replicates = int(np.clip(BOOTSTRAP_CELLS // size, 50, REPLICATES))
    groups = groups_of(speakers, count)
    weights = np.concatenate([np.ones((1, count)), group_weights(groups, replicates, generator)])
    per_draw: list[Scores] = []
    pooled: list[tuple[Floats, NDArray[np.bool_]]] = []
    counts, accepted = np.zeros((count, ways), np.int64), np.zeros(count, np.int64)
    for number, draw in enumerate(result.draws):
        tokens = np.concatenate([draw.queries, draw.unknown])
        similarities = nearest(embeddings[tokens], prototypes(embeddings, draw.supports[:, :shots]))
        asked = _Asked(tokens, similarities, target_of[tokens])
        per_draw.append(score(asked, weights[: None if number < INTERVAL_DRAWS else 1, tokens]))
        pooled.append(trials(asked))
        np.add.at(counts, (tokens, similarities.argmax(axis=1)), 1)
        if accept_far is not None and len(draw.unknown):
            best = similarities.max(axis=1)
            threshold = metrics.threshold_at_far(metrics.det_curve(best, asked.truth >= 0), accept_far)
            np.add.at(accepted, tokens[best >= threshold], 1)
    similarities, labels = (np.concatenate(part) for part in zip(*pooled, strict=True))
    curve = None if labels.all() else metrics.det_curve(similarities, labels)
    # a draw that asks no unknown query has no open-set figures: each is the mean of the draws that have it
    names_found = dict.fromkeys(name for scores in per_draw[:INTERVAL_DRAWS] for name in scores)
    asked_of = len(np.unique(groups[(target_of >= 0) & counts.any(axis=1)]))
    estimates = {
        name: _estimate([scores[name] for scores in per_draw if name in scores], asked_of, generator) for name in names_found
    }
    return ShotResult(shots, estimates, curve, counts, accepted if accept_far is not None and result.unknown else None)


def _estimate(values: list[Floats], groups: int, generator: np.random.Generator) -> Estimate:
    """From one array per draw: the figure itself, then (in the first INTERVAL_DRAWS) bootstrap replicates of `groups` asked."""
    plain = np.array([draw[0] for draw in values])
    if not np.isfinite(plain).all():
        raise DatasetError("a draw without queries", expected="recordings to ask about in each draw")
    drawn = np.stack([draw for draw in values if len(draw) > 1])
    draws, columns = drawn.shape
    chosen = generator.integers(draws, size=(columns - 1, draws))
    replicates = drawn[chosen, np.arange(1, columns)[:, None]].mean(axis=1)
    mean = float(plain.mean())
    std = float(plain.std(ddof=1)) if len(plain) > 1 else 0.0
    return Estimate(mean, std, *interval_over(groups, mean, replicates))
