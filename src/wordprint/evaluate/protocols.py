"""Which protocol applies to which data, run on it: the figures as JSON and the lists behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import DatasetError
from wordprint.evaluate import few_shot
from wordprint.evaluate.data import Data
from wordprint.evaluate.dtw import dtw_distances, mfcc
from wordprint.evaluate.few_shot import FewShotResult
from wordprint.evaluate.options import EvaluateConfig
from wordprint.evaluate.same_different import pair_average_precision, same_different, same_share
from wordprint.stages.progress import Progress
from wordprint.train.ranking import same_different_average_precision
from wordprint.words.folders import SILENCE

OPEN_SET, USER_DEFINED, SAME_DIFFERENT = "open_set", "user_defined", "same_different"
MOST_TARGETS, FEW_TARGETS = 100, 5
"""Keywords chosen by the data: at most so many, and rather fewer shots than less than so few of them."""
RESOLVED = 100
"""Unknown queries below which 1 % can't be told from none."""


@dataclass(slots=True)
class Outcome:
    """What one protocol found on one data set: `figures` for metrics.json, `trials` for its list of trials.

    `tokens` are the numbers of the tokens that `result` counts from 0.
    """

    figures: dict[str, Any]
    trials: list[dict[str, Any]] = field(default_factory=list)
    result: FewShotResult | None = None
    tokens: NDArray[np.int64] | None = None


def run_protocols(data: Data, config: EvaluateConfig, progress: Progress) -> dict[str, Outcome]:
    """Every protocol that the data allows, by name; one that it doesn't allow says why in `figures["not_run"]`."""
    protocols: dict[str, Callable[[Data, EvaluateConfig, np.random.Generator, Progress], Outcome]] = {
        SAME_DIFFERENT: _same_different,
        OPEN_SET: _open_set,
        USER_DEFINED: _user_defined,
    }
    outcomes = {}
    for number, (name, protocol) in enumerate(protocols.items()):
        generator = np.random.default_rng([config.seed, number])
        progress.say(f"evaluate: {name.replace('_', ' ')} on {data.name}")
        try:
            outcomes[name] = protocol(data, config, generator, progress)
        except DatasetError as error:
            outcomes[name] = Outcome({"not_run": str(error)})
            progress.say(f"evaluate: {name.replace('_', ' ')} on {data.name} not run, because {error}")
    return outcomes


def _same_different(data: Data, config: EvaluateConfig, generator: np.random.Generator, progress: Progress) -> Outcome:
    seen = set(data.seen.words or ()) - (set(data.words.tolist()) if config.allow_seen else set())
    tokens = data.spoken[~np.isin(data.words[data.spoken], sorted(seen))]
    if not len(tokens):
        raise DatasetError("the model was trained on every word here", remedy="add --allow-seen to score them all the same")
    tokens = _sample(tokens, config.max_tokens, generator)
    words, speakers = data.words[tokens], None if data.speakers is None else data.speakers[tokens]
    result = same_different(data.embeddings[tokens], words, speakers, generator=generator)
    figures: dict[str, Any] = {
        "tokens": result.tokens,
        "word_types": result.word_types,
        "speakers": result.speakers,
        "words_left_out_because_seen": sorted(seen),
        "estimates": {name: _plain(estimate.to_json()) for name, estimate in result.estimates.items()},
        "chance": result.chance,
    }
    trials = [{"set": "embeddings", "tokens": tokens.tolist()}]
    if config.dtw_tokens:
        reference = _sample(tokens, config.dtw_tokens, generator)
        try:
            figures["reference"] = _reference(data, reference, generator, progress)
            trials.append({"set": "mfcc_dtw", "tokens": reference.tolist()})
        except DatasetError as error:
            figures["reference"] = {"not_run": str(error)}
    return Outcome(figures, trials)


def _reference(data: Data, tokens: NDArray[np.int64], generator: np.random.Generator, progress: Progress) -> dict[str, Any]:
    """MFCC + DTW and the model on the same tokens, and how many times better the model is."""
    words, speakers = data.words[tokens], None if data.speakers is None else data.speakers[tokens]
    features = [mfcc(data.tokens.load(int(token))) for token in tokens]
    found = pair_average_precision(dtw_distances(features, progress=progress), words, speakers, generator=generator)
    across = {name: name != "ap" for name in found}
    model = {
        name: same_different_average_precision(data.embeddings[tokens], words, speakers, exclude_same_speaker=exclude)
        for name, exclude in across.items()
    }
    return {
        "tokens": len(tokens),
        "word_types": len(set(words.tolist())),
        "mfcc_dtw": {name: _plain(estimate.to_json()) for name, estimate in found.items()},
        "model": model,
        "ratio": {name: model[name] / estimate.mean for name, estimate in found.items()},
        "chance": {name: same_share(words, speakers if exclude else None) for name, exclude in across.items()},
    }


def _open_set(data: Data, config: EvaluateConfig, generator: np.random.Generator, progress: Progress) -> Outcome:
    tokens = data.spoken
    words, speakers = data.words[tokens], None if data.speakers is None else data.speakers[tokens]
    result = _first_possible(
        _plans(data, config),
        lambda targets, shots: few_shot.open_set(
            data.spans[tokens], words, speakers,
            generator=generator, targets=targets, shots=shots, draws=config.draws, enroll_share=config.enroll_share,
        ),
    )  # fmt: skip
    figures = _few_shot_figures(data, config, result, tokens)
    if result.unknown and figures["unknown_queries_per_draw"] < RESOLVED:
        figures["note"] = (
            f"with {figures['unknown_queries_per_draw']:.0f} unknown queries per draw an FAR of 1 % means that none is accepted"
        )
    return Outcome(figures, list(_draw_lines(result, tokens)), result, tokens)


def _user_defined(data: Data, config: EvaluateConfig, generator: np.random.Generator, progress: Progress) -> Outcome:
    spoken, speakers = data.words[data.spoken], None if data.speakers is None else data.speakers[data.spoken]
    able = set(few_shot.enrollable(spoken, speakers, min(config.shots)))
    digits = [digit for digit in few_shot.DIGITS if digit in able]
    if len(digits) < len(few_shot.DIGITS) - 1:
        raise DatasetError(f"{len(digits)} of the ten digits have enough recordings", expected="at least nine (zero … nine)")
    chosen = few_shot.select_kaist(data.words, generator, digits)
    # a digit that can't be enrolled is no unknown word either
    tokens = chosen[~np.isin(data.words[chosen], sorted(set(few_shot.DIGITS) - set(digits)))]
    words, speakers = data.words[tokens], None if data.speakers is None else data.speakers[tokens]
    unknown = sorted(set(words.tolist()) - set(digits))
    result = _first_possible(
        _fewer_shots(digits, config.shots),
        lambda digits, shots: few_shot.user_defined(
            data.spans[tokens], words, speakers,
            generator=generator, targets=digits, unknown=unknown, shots=shots, draws=config.draws, enroll_share=config.enroll_share,
        ),
    )  # fmt: skip
    figures = _few_shot_figures(data, config, result, tokens)
    counts = Counter(words.tolist())
    figures["recordings"] = {
        "digits": [sum(counts[word] for word in digits), len(few_shot.DIGITS) * few_shot.PER_KEYWORD],
        "unknown_words": [len([word for word in unknown if word != SILENCE]), few_shot.UNKNOWN_WORDS],
        "unknown": [sum(counts[word] for word in unknown if word != SILENCE), few_shot.UNKNOWN_WORDS * few_shot.PER_UNKNOWN],
        "silence": [counts[SILENCE], few_shot.SILENCES],
    }
    figures["note"] = "here and in the published protocol: " + ", ".join(
        f"{kind.replace('_', ' ')} {there} of {asked}" for kind, (there, asked) in figures["recordings"].items()
    )
    return Outcome(figures, list(_draw_lines(result, tokens)), result, tokens)


def _plans(data: Data, config: EvaluateConfig) -> Iterator[tuple[list[str], list[int]]]:
    """Keywords and shots of the open set to try, best first."""
    words, speakers = data.words[data.spoken], None if data.speakers is None else data.speakers[data.spoken]
    there = set(words.tolist())
    missing = [word for word in config.targets if word not in there]
    if missing:
        raise DatasetError(f"no recordings of the targets {', '.join(missing)}", expected=f"words of {data.name}")
    if config.targets or there.issuperset(few_shot.COMMANDS):
        yield from _fewer_shots(list(config.targets or few_shot.COMMANDS), config.shots)
        return
    for least in (FEW_TARGETS, 2):
        for _, shots in _fewer_shots([], config.shots):
            targets = few_shot.enrollable(words, speakers, max(shots))[:MOST_TARGETS]
            while len(targets) >= least:
                yield targets, shots
                targets = targets[: len(targets) // 2]


def _fewer_shots(targets: list[str], shots: Sequence[int]) -> Iterator[tuple[list[str], list[int]]]:
    """The same keywords with all shots, then without the largest, and so on."""
    ordered = sorted(shots)
    for count in range(len(ordered), 0, -1):
        yield targets, ordered[:count]


def _first_possible(
    plans: Iterable[tuple[list[str], list[int]]], protocol: Callable[[list[str], list[int]], FewShotResult]
) -> FewShotResult:
    """Run the first plan that the data has recordings and speakers for."""
    reason: DatasetError | None = None
    for targets, shots in plans:
        try:
            return protocol(targets, shots)
        except DatasetError as error:
            reason = reason or error
    raise reason or DatasetError("fewer than two words with enough recordings and speakers", expected="at least two keywords")


def _few_shot_figures(data: Data, config: EvaluateConfig, result: FewShotResult, tokens: NDArray[np.int64]) -> dict[str, Any]:
    seen = data.seen.words
    return {
        "targets": result.targets,
        "unknown": result.unknown,
        "targets_seen_in_training": None if seen is None else sorted(set(seen) & set(result.targets)),
        "unknown_seen_in_training": None if seen is None else sorted(set(seen) & set(result.unknown)),
        "speakers_separated": data.speakers is not None,
        "tokens": len(tokens),
        "draws": len(result.draws),
        "note": "",
        "queries_per_draw": float(np.mean([len(draw.queries) for draw in result.draws])),
        "unknown_queries_per_draw": float(np.mean([len(draw.unknown) for draw in result.draws])),
        "shots_not_possible": sorted(set(config.shots) - {entry.shots for entry in result.results}),
        "shots": {
            str(entry.shots): {name: estimate.to_json() for name, estimate in entry.estimates.items()} for entry in result.results
        },
    }


def _draw_lines(result: FewShotResult, tokens: NDArray[np.int64]) -> Iterator[dict[str, Any]]:
    """Each draw with numbers of tokens in the tokens list; the first K supports are the K-shot ones."""
    for number, draw in enumerate(result.draws):
        yield {
            "draw": number,
            "supports": {word: tokens[row].tolist() for word, row in zip(result.targets, draw.supports, strict=True)},
            "queries": tokens[draw.queries].tolist(),
            "unknown": tokens[draw.unknown].tolist(),
        }


def _sample(tokens: NDArray[np.int64], most: int, generator: np.random.Generator) -> NDArray[np.int64]:
    return tokens if len(tokens) <= most else np.sort(generator.permutation(tokens)[:most])


def _plain(estimate: dict[str, float]) -> dict[str, float]:
    """Without the deviation over draws, where there are none."""
    return {"value": estimate["mean"], "low": estimate["low"], "high": estimate["high"]}
