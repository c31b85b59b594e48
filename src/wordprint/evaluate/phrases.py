"""LibriPhrase (protocol 3): is the phrase that somebody else says the one that was enrolled, from a recording, a spelling, or both?

Trials are drawn from the alignments of any corpus, or read from the published lists. EER and AUROC are over all trials of a kind.
Writes `metrics.json`, `trials/phrases.jsonl` and `report.html`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from wordprint.embedding import WaveformEmbedder
from wordprint.errors import ConfigError, DatasetError, InputError, ModelError
from wordprint.evaluate.data import Seen, heard_speakers, made_of, unique_names
from wordprint.evaluate.intervals import CONFIDENCE, group_weights, interval_around, wilson_interval
from wordprint.evaluate.metrics import auroc, det_curve, equal_error_rate
from wordprint.evaluate.options import EvaluateConfig
from wordprint.evaluate.phrase_lists import find_lists, read_lists
from wordprint.evaluate.phrase_material import Said, Sayings, read_sayings
from wordprint.evaluate.phrase_report import write_report
from wordprint.evaluate.phrase_trials import EASY, HARD, POSITIVE, Trial, draw_trials, to_lines
from wordprint.evaluate.phrase_vectors import Vectors, embed, spell, typed_alike
from wordprint.evaluate.record import METRICS, REPORT, command_line, write_list
from wordprint.load import load_embedder
from wordprint.speech.lexicon import Pronunciation
from wordprint.spot.pronounce import pronounce
from wordprint.stages.contract import HowToRun, StageRun, run_stage
from wordprint.stages.manifest import write_json
from wordprint.stages.receipt import Receipt

SCHEMA = "wordprint.phrases/1"
AUDIO, TEXT, BOTH = "audio_audio", "text_audio", "text_and_audio"
"""What enrolls a phrase, and what it is compared with."""
ALL, UNSEEN = "all", "unseen"
KINDS = {"easy": EASY, "hard": HARD}
CONTEXT_S = 0.5
"""Real audio around a phrase, where it is asked for."""
REPLICATES = 200
CELLS = 4_000_000
"""Weights of trials that are in memory at once."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Settings(EvaluateConfig):
    """What makes a run another run: the options, and the model, which need not be a file."""

    model: str = ""


@dataclass
class Material:
    """Everything that trials refer to, facts about it for metrics.json, and why there are no trials of some numbers of words."""

    sayings: Sayings
    trials: list[Trial]
    facts: dict[str, Any]
    not_run: dict[str, str]


def evaluate_phrases(
    model: str | Path | WaveformEmbedder,
    recordings: Sequence[str | Path],
    phrases: str | Path,
    output: str | Path,
    config: EvaluateConfig = EvaluateConfig(),
    **how: Unpack[HowToRun],
) -> Receipt:
    """Tell phrases by different speakers alike or not; see docs/evaluation.md.

    Args:
        model: what `load_embedder` takes, or an object with the interface of `wordprint.embedding.WaveformEmbedder`. One that can't
            spell is measured on recordings alone.
        recordings: the folder of the recordings that published lists name, where they don't lie beside the lists; else none.
        phrases: a folder that 'align' wrote, a word dataset, or LibriPhrase's lists.

    Raises DatasetError where no trials can be drawn, InputError for folders of another kind and lists that are damaged.
    """
    embedder = load_embedder(model) if isinstance(model, (str, Path)) else model
    paths, phrases = [Path(path) for path in recordings], Path(phrases)
    settings = _Settings(**vars(config), model=f"{embedder.name} {embedder.digest}")
    inputs = {"phrases": phrases} | dict(zip(unique_names(paths, "phrases"), paths, strict=True))

    def work(stage: StageRun) -> Receipt:
        material = _material(phrases, paths, config, stage.progress.say)
        for item in material.sayings.dropped:
            stage.drop(*item)
        vectors = embed(stage, embedder, material.sayings, material.trials, CONTEXT_S if config.context else 0.0)
        material.trials = [one for one in material.trials if vectors.has(one.anchor) and vectors.has(one.comparison)]
        if not material.trials:
            raise DatasetError(f"no trial is left whose recordings can be read ({stage.dropped.first})")
        scores = _scores(embedder, material, vectors)
        command = command_line(model if isinstance(model, (str, Path)) else embedder.name, paths, output, config)
        metrics = {"schema": SCHEMA, "command": command, **_metrics(stage, embedder, material, scores, config)}
        write_json(stage.output / METRICS, metrics)
        write_report(stage.output / REPORT, metrics, material.sayings, material.trials, scores, config.players)
        for warning in metrics["warnings"]:
            stage.progress.say(f"WARNING: {warning}")
        kept = len(material.trials)
        return stage.finish(kept + len(stage.dropped), kept, [METRICS, REPORT, metrics["trials"]["file"]], headline(metrics))

    return run_stage("evaluate", work, output, settings, inputs, **how)


def headline(metrics: dict[str, Any]) -> dict[str, Any]:
    """The few figures one looks at first: equal error rates over all numbers of words."""
    return {
        task: {f"eer_{kind}": round(found[ALL]["eer"]["value"], 4) for kind, found in kinds.items() if ALL in found}
        for task, kinds in metrics["tasks"].items()
    }


def _material(path: Path, recordings: Sequence[Path], config: EvaluateConfig, say: Callable[[str], None]) -> Material:
    """Trials drawn from what is said in a folder, or those of the published lists."""
    lists = find_lists(path, say) if path.exists() else []
    if lists:
        if len(recordings) > 1:
            raise InputError(f"{len(recordings)} folders of recordings", expected="one, that the lists name their recordings in")
        defaults = EvaluateConfig()
        if (config.phrase_anchors, config.phrase_pairs) != (defaults.phrase_anchors, defaults.phrase_pairs):
            raise ConfigError(
                "phrase_anchors or phrase_pairs is set, but published lists say what the trials are", remedy="leave it out"
            )
        found = read_lists(path, lists, recordings[0] if recordings else None, config.phrase_speakers)
        sayings = Sayings(found.items, found.said, dropped=found.dropped)
        facts = {"kind": "published lists", "lists": [file.name for file in found.lists], **_facts(sayings, found.trials)}
        return Material(sayings, found.trials, facts, {})
    if recordings:
        raise InputError(
            f"{recordings[0]} is given beside phrases of {path}",
            expected="nothing else, for they are said there; recordings are named only with published lists (.csv)",
        )
    sayings = read_sayings(path, config.phrase_speakers, config.split)
    trials, not_run = draw_trials(
        sayings.said, anchors=config.phrase_anchors, pairs=config.phrase_pairs, seed=config.seed, spelled=_lexicon_phones(sayings)
    )
    facts = {"kind": "drawn", **_facts(sayings, trials)}
    facts["phrases"] = {str(words): {name: counts[name] for name in ("said", "too_short", "too_long")}
                        for words, counts in sayings.counts.items()}  # fmt: skip
    return Material(sayings, trials, facts, {f"{words}_words": reason for words, reason in not_run.items()})


def _facts(sayings: Sayings, trials: Sequence[Trial]) -> dict[str, Any]:
    sides = {side for trial in trials for side in (trial.anchor, trial.comparison)}
    same = sum(sayings.said[trial.anchor].speaker == sayings.said[trial.comparison].speaker for trial in trials)
    return {
        "recordings": len({sayings.said[side].item for side in sides}),
        "speakers": len({sayings.said[side].speaker for side in sides}),
        "said": len(sides),
        "texts": len({sayings.said[side].text for side in sides}),
        "trials_of_one_speaker": same,
    }


def _lexicon_phones(sayings: Sayings) -> dict[str, list[Pronunciation]]:
    """The pronunciations of English texts, the likeliest first: the lexicon's, guessed where it lacks a word."""
    spelled = {}
    for text in sorted({said.text for said in sayings.said if said.item not in sayings.foreign}):
        with contextlib.suppress(InputError):  # no letters: without phones it is no negative of anything
            spelled[text] = pronounce(text)[0]
    return spelled


def _scores(embedder: WaveformEmbedder, material: Material, vectors: Vectors) -> dict[str, Floats]:
    """Similarities (n,) of the trials by task; a task that the embedder can't do is named in `material.not_run`."""
    scores = {AUDIO: vectors.alike(material.trials)}
    try:
        spelled = spell(embedder, material.sayings, [trial.anchor for trial in material.trials])
    except ModelError as error:
        material.not_run |= {TEXT: str(error), BOTH: str(error)}
        return scores
    alone, together = typed_alike(material.sayings, material.trials, vectors, spelled)
    material.facts["spelled"] = {
        "texts": len(spelled.vectors), "by_the_alignment": len(spelled.heard), "not_spelled": len(spelled.not_spelled)
    }  # fmt: skip
    return scores | {TEXT: alone, BOTH: together}


def _metrics(
    stage: StageRun, embedder: WaveformEmbedder, material: Material, scores: dict[str, Floats], config: EvaluateConfig
) -> dict[str, Any]:
    """All of metrics.json but its schema and command; writes the list of trials."""
    said, trials = material.sayings.said, material.trials
    seen, facts = _seen(embedder, said, trials)
    names = [item.name for item in material.sayings.items]
    groups = _groups(said, trials, embedder.training_words)
    return {
        "seed": config.seed,
        "confidence": CONFIDENCE,
        "model": {"name": embedder.name, "digest": embedder.digest},
        "material": material.facts,
        "seen_in_training": facts,
        "warnings": [seen.warning] if seen.warning else [],
        "inputs": stage.inputs,
        "trials": {**write_list(stage.output, "phrases.jsonl", to_lines(trials, said, names)), "count": len(trials)},
        "not_run": material.not_run,
        "tasks": {task: _task(values, trials, groups, config.seed) for task, values in scores.items()},
    }


def _seen(embedder: WaveformEmbedder, said: Sequence[Said], trials: Sequence[Trial]) -> tuple[Seen, dict[str, Any]]:
    """Words and speakers of the trials that the model says it was trained on, and of how many; None where it doesn't say."""
    sides = {side for trial in trials for side in (trial.anchor, trial.comparison)}
    texts, people = {said[side].text for side in sides}, {said[side].speaker for side in sides}
    words = {word for text in texts for word in text.split()}
    trained = embedder.training_words
    seen = Seen(None if trained is None else made_of(words, trained), heard_speakers(people, embedder))
    phrases = None if trained is None else len(made_of(texts, trained))
    return seen, {
        **seen.to_json(),
        "of_words": len(words),
        "phrases": phrases,
        "of_phrases": len(texts),
        "of_speakers": len(people),
    }


def _groups(said: Sequence[Said], trials: Sequence[Trial], trained: frozenset[str] | None) -> dict[str, NDArray[np.bool_]]:
    """Which trials (n,) belong to each group: all, those of each number of words, and those whose anchor has a word that wasn't
    trained on."""
    words = np.array([trial.words for trial in trials])
    groups = {ALL: np.ones(len(trials), bool)} | {str(count): words == count for count in np.unique(words).tolist()}
    if trained is not None:
        seen = set(made_of({said[trial.anchor].text for trial in trials}, trained))
        groups[UNSEEN] = np.array([said[trial.anchor].text not in seen for trial in trials])
    return groups


def _task(scores: Floats, trials: Sequence[Trial], groups: dict[str, NDArray[np.bool_]], seed: int) -> dict[str, Any]:
    """Figures of one task: positives against easy and against hard negatives, in each group that has both."""
    kinds = np.array([trial.kind for trial in trials])
    episodes = np.array([trial.episode for trial in trials])
    found: dict[str, Any] = {}
    for name, kind in KINDS.items():
        found[name] = {}
        for group, members in groups.items():
            chosen = members & np.isin(kinds, [POSITIVE, kind]) & np.isfinite(scores)
            positive = kinds[chosen] == POSITIVE
            if 0 < positive.sum() < len(positive):
                found[name][group] = figures(scores[chosen], positive, episodes[chosen], np.random.default_rng(seed))
    return found


def figures(
    scores: Floats, positive: NDArray[np.bool_], episodes: NDArray[np.int64], generator: np.random.Generator
) -> dict[str, Any]:
    """EER and AUROC over all trials (n,), with intervals from drawing the episodes, each one anchor, with replacement."""
    curve = det_curve(scores, positive)
    values = {"eer": float(equal_error_rate(curve)), "auroc": float(auroc(curve))}
    replicates: dict[str, list[Floats]] = {name: [np.zeros(0)] for name in values}
    anchors, at_once = len(np.unique(episodes)), max(1, CELLS // len(scores))
    left = REPLICATES if anchors > 1 else 0
    while left:
        weights = group_weights(episodes, min(left, at_once), generator)
        left -= len(weights)
        drawn = det_curve(scores, positive, weights)
        with np.errstate(invalid="ignore"):  # a replicate without positives has no rates: NaN, which is left out
            replicates["eer"].append(equal_error_rate(drawn))
            replicates["auroc"].append(auroc(drawn))
    estimates: dict[str, Any] = {}
    for name, value in values.items():
        # without an error drawing again finds none either: as if each anchor were one trial
        sure = wilson_interval(round(value) * anchors, anchors) if value in (0.0, 1.0) else None
        low, high = sure or interval_around(value, np.concatenate(replicates[name]))
        estimates[name] = {"value": value, "low": low, "high": high}
    return estimates | {"positives": int(positive.sum()), "negatives": int((~positive).sum()), "anchors": anchors}
