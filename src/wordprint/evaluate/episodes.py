"""Episodes of few-shot evaluation: which recordings enroll the keywords, and which are asked about afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wordprint.errors import DatasetError

ATTEMPTS = 100
"""Random orders of the speakers tried for one draw before the data counts as too small."""


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw of supports: numbers of tokens.

    `supports` (W, shots): row w enrolls the w-th target, and its first K are the K-shot support, so that shots are
    compared on the same queries. `queries` are the tokens of targets asked about, `unknown` those of other words.
    No speaker of a support speaks a query or an unknown.
    """

    supports: NDArray[np.int64]
    queries: NDArray[np.int64]
    unknown: NDArray[np.int64]


def draw_episodes(
    words: ArrayLike,
    speakers: ArrayLike | None,
    targets: Sequence[str],
    unknown: Sequence[str],
    *,
    shots: int,
    draws: int,
    generator: np.random.Generator,
    enroll_share: float = 0.25,
) -> list[Draw]:
    """`draws` independent episodes with `shots` supports of each target.

    Each draw puts the speakers in random order and enrolls from the first `enroll_share` of them, or from as many
    more as it takes to have `shots` recordings of each target; everyone else is asked. With `speakers` None
    supports are any recordings and all others are asked. An empty speaker name counts as a speaker never enrolled.

    Raises DatasetError when a target has too few recordings or speakers for that.
    """
    names = np.asarray(words)
    members = [np.flatnonzero(names == target) for target in targets]
    others = np.flatnonzero(np.isin(names, list(unknown)))
    for target, tokens in zip(targets, members, strict=True):
        if len(tokens) <= shots:
            raise DatasetError(
                f"'{target}' has {len(tokens)} recordings", expected=f"more than {shots}, to enroll {shots} and ask about another"
            )
    if speakers is None:
        return [_draw(members, others, np.zeros(len(names), bool), shots, generator) for _ in range(draws)]
    ids = np.unique(np.asarray(speakers), return_inverse=True)[1]
    nobody = np.asarray(speakers) == ""
    return [_speaker_draw(members, others, ids, nobody, shots, generator, enroll_share) for _ in range(draws)]


def _speaker_draw(
    members: list[NDArray[np.int64]],
    others: NDArray[np.int64],
    speaker_ids: NDArray[np.int64],
    nobody: NDArray[np.bool_],
    shots: int,
    generator: np.random.Generator,
    enroll_share: float,
) -> Draw:
    people = np.unique(speaker_ids[np.concatenate(members)])
    for _ in range(ATTEMPTS):
        rank = np.full(speaker_ids.max() + 1, len(people))
        rank[generator.permutation(people)] = np.arange(len(people))
        rank_of = np.where(nobody, len(people), rank[speaker_ids])
        # the rank of the speaker who brings each target's `shots`-th recording
        needed = max(int(np.sort(rank_of[tokens])[shots - 1]) + 1 for tokens in members)
        enrolled = rank_of < max(needed, round(enroll_share * len(people)))
        if all(0 < np.count_nonzero(~enrolled[tokens]) <= len(tokens) - shots for tokens in members):
            return _draw(members, others, enrolled, shots, generator)
    raise DatasetError(
        f"no choice of speakers to enroll leaves each of {len(members)} targets {shots} recordings to enroll and one to ask about",
        expected="more speakers for each target",
        remedy="ask for fewer shots or name fewer targets",
    )


def _draw(
    members: list[NDArray[np.int64]],
    others: NDArray[np.int64],
    enrolled: NDArray[np.bool_],
    shots: int,
    generator: np.random.Generator,
) -> Draw:
    """Supports at random from the enrolled speakers (from anyone when nobody is), queries from the others."""
    anyone = not enrolled.any()
    supports = np.stack([generator.permutation(tokens if anyone else tokens[enrolled[tokens]])[:shots] for tokens in members])
    queries = np.concatenate(members)
    queries = queries[~np.isin(queries, supports)] if anyone else queries[~enrolled[queries]]
    return Draw(supports, np.sort(queries), others[~enrolled[others]])
