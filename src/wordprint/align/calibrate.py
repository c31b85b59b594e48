"""Stage `align --calibrate`: which goodness a right word seldom falls below, and how many wrong words that catches.

A sample of what was aligned is aligned again with wrong transcripts. Writes a folder of its own inside that of `align`,
`calibration/`: `calibration.json`, whose threshold `words` drops badly aligned words by, `scores.jsonl` and `report.html`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from wordprint.align.base import Aligner, load_single
from wordprint.align.calibrate_report import render_report
from wordprint.align.corruption import KINDS, corrupt, sample
from wordprint.align.operating import curve, default_point, values
from wordprint.align.options import AlignConfig, CalibrateConfig
from wordprint.errors import AlignmentError, AudioError, ConfigError, InputError
from wordprint.records import Interval, Utterance
from wordprint.speech.audio import read_audio
from wordprint.speech.textgrid import read_textgrid
from wordprint.stages.cluster import Cluster
from wordprint.stages.contract import StageRun, open_stage
from wordprint.stages.manifest import ALIGNMENTS, read_jsonl, resolve, write_json, write_jsonl, write_text
from wordprint.stages.progress import Progress
from wordprint.stages.receipt import Receipt, config_to_json
from wordprint.words.options import WordsConfig

SCHEMA = "wordprint.calibration/1"
FOLDER, CALIBRATION, SCORES, REPORT = "calibration", "calibration.json", "scores.jsonl", "report.html"

RIGHT_TIMES = 20
"""Right words come from this many times the speech that is aligned again: they cost nothing, and a hundredth of them is few."""

_SHARD_SIZE = 2  # utterances, aligned four times each
_RIGHT_SHARD_SIZE = 128  # TextGrids, which are only read


@dataclass(frozen=True)
class _Options(CalibrateConfig):
    """What makes a run another run: the options, and those of the aligner."""

    align: dict[str, Any] = field(default_factory=dict)


def calibrate_goodness(
    alignments: str | Path,
    align: AlignConfig = AlignConfig(),
    config: CalibrateConfig = CalibrateConfig(),
    *,
    workers: int | Cluster = 1,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Receipt:
    """Find the goodness that one right word in a hundred falls below; `align` are the options that `alignments` were made with.

    The goodness of right words is the one in `alignments`; what the transcripts say is taken for right. Raises ConfigError
    for an aligner that gives no goodness, DatasetError for too few words.
    """
    manifest = resolve(alignments, ALIGNMENTS, "align")
    if config.calibration_minutes <= 0:
        raise ConfigError(f"calibration_minutes is {config.calibration_minutes:g}", expected="more than 0")
    inputs = {"alignments": manifest} | ({"lexicon": align.lexicon} if align.lexicon else {})
    output = manifest.parent / FOLDER
    options = _Options(config.calibration_minutes, config_to_json(align))
    with open_stage("calibrate", output, options, inputs, overwrite=overwrite, progress=progress) as stage:
        if stage.receipt:
            return stage.receipt
        chosen = sample(read_jsonl(manifest), RIGHT_TIMES * config.calibration_minutes)
        items = corrupt(sample(chosen, config.calibration_minutes))
        if all(value is None for record in chosen for value in record["word_goodness"]):
            raise ConfigError(
                f"the aligner '{align.aligner}' gave no goodness of words: there is nothing to calibrate",
                expected="an aligner that says how well each word fits, such as pocketsphinx",
            )
        return _calibrate(stage, align, _right(stage, manifest.parent, chosen, workers), items, workers)


def _right(stage: StageRun, folder: Path, chosen: Sequence[Mapping[str, Any]], workers: int | Cluster) -> list[dict[str, Any]]:
    """Goodness of the chosen utterances, and of their words, as they were aligned."""
    return list(
        stage.map_shards(
            "right",
            chosen,
            partial(right_shard, folder=folder),
            shard_size=_RIGHT_SHARD_SIZE,
            workers=workers,
            total=len(chosen),
            unit="utterances",
        )
    )


def right_shard(records: Sequence[Mapping[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """For each line of alignments.jsonl the goodness of the `utterance`, and of the `words` that count."""
    lines = []
    for record in records:
        try:
            words = read_textgrid(folder / record["textgrid"], record["utterance_id"]).words
        except InputError:
            continue  # `words` will say so
        goodness = record["word_goodness"]
        known = zip(words, goodness, strict=True) if len(words) == len(goodness) else ()  # else changed by hand
        lines.append({"utterance": record["goodness"], "words": [value for word, value in known if _counts(word)]})
    return lines


def _counts(word: Interval) -> bool:
    """Whether `words` keeps it by default. Shorter ones, with their few frames, often fit badly when they are right."""
    letters, duration_s = sum(map(str.isalpha, word.symbol)), round(word.end_s - word.start_s, 4)
    return letters >= WordsConfig.min_letters and duration_s >= WordsConfig.min_duration_s


def _calibrate(
    stage: StageRun,
    config: AlignConfig,
    right: Sequence[Mapping[str, Any]],
    items: Sequence[Mapping[str, Any]],
    workers: int | Cluster,
) -> Receipt:
    _process_aligner.cache_clear()  # of an earlier call in this process
    results = stage.map_shards(
        "calibrate",
        items,
        partial(score_shard, config=config, inputs=tuple(sorted(stage.inputs.items()))),
        shard_size=_SHARD_SIZE,
        workers=workers,
        total=len(items),
        unit="utterances",
    )
    scores = []
    for result in results:
        if "dropped" in result:
            stage.drop(result["dropped"], result["reason"], result["detail"])
        else:
            scores.append(result)
    write_jsonl(stage.output / SCORES, scores)
    report = {
        "schema": SCHEMA,
        "aligner": config.aligner,
        "aligned_again": len(scores),
        **operating_curves(right, scores),
    }
    write_json(stage.output / CALIBRATION, report)
    write_text(stage.output / REPORT, render_report(report))
    for line in summary_lines(report):
        stage.progress.say(line)
    details = {"threshold": report["words"]["threshold"], "auc": report["words"]["auc"]}
    return stage.finish(total=len(items), kept=len(scores), outputs=[CALIBRATION, SCORES, REPORT], details=details)


def score_shard(
    items: Sequence[Mapping[str, Any]], config: AlignConfig, inputs: tuple[tuple[str, str], ...]
) -> list[dict[str, Any]]:
    """Lines of scores.jsonl for some items of `corrupt`."""
    aligner = _process_aligner(config, inputs)
    return [_score(aligner, item["utterance"], item["wrong"]) for item in items]


@lru_cache(maxsize=1)
def _process_aligner(config: AlignConfig, inputs: tuple[tuple[str, str], ...]) -> Aligner:
    """One aligner per process; `inputs` are digests: a lexicon that changed is read again."""
    return load_single(replace(config, phones=False))  # phones take time and don't change the words


def _score(aligner: Aligner, record: Mapping[str, Any], wrong: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Goodness of an utterance and of its wrong words with each wrong transcript."""
    utterance = Utterance.from_json(dict(record))
    try:
        samples = read_audio(utterance.audio, utterance.start_s, utterance.end_s)
    except AudioError as error:
        return {"dropped": utterance.utterance_id, "reason": error.reason, "detail": str(error)}
    line: dict[str, Any] = {
        "utterance_id": utterance.utterance_id,
        "speaker": utterance.speaker,
    }
    for transcript in wrong:
        try:
            found = aligner.align(replace(utterance, transcript=" ".join(transcript["words"])), samples)
        except AlignmentError as error:
            line[transcript["kind"]] = {"not_aligned": error.reason}
            continue
        if [word.symbol for word in found.words] == transcript["words"]:
            wrong_words = [found.words[place] for place in transcript["places"]]
            goodness = [word.goodness for word in wrong_words if _counts(word)]
            line[transcript["kind"]] = {"utterance": found.goodness, "words": goodness}
        else:  # the aligner has split or joined words: which of them is the wrong one can't be told
            line[transcript["kind"]] = {"not_aligned": "other_words"}
    return line


def operating_curves(right: Sequence[Mapping[str, Any]], scores: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The curve over words and the one over whole utterances, and how many wrong transcripts could not be aligned at all.

    `right` are lines of `right_shard`, `scores` of scores.jsonl.
    """
    words: dict[str, list[float | None]] = {kind: [] for kind in KINDS}
    utterances: dict[str, list[float | None]] = {kind: [] for kind in KINDS}
    tried, not_aligned = dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
    for line in scores:
        for kind in KINDS & line.keys():
            found = line[kind]
            tried[kind] += 1
            if "not_aligned" in found:
                not_aligned[kind] += 1
            else:
                words[kind] += found["words"]
                utterances[kind].append(found["utterance"])
    right_words = [value for line in right for value in line["words"]]
    return {
        "tried": tried,
        "not_aligned": not_aligned,
        "words": curve(values(right_words), {kind: values(found) for kind, found in words.items()}),
        "utterances": curve(
            values([line["utterance"] for line in right]), {kind: values(found) for kind, found in utterances.items()}
        ),
    }


def summary_lines(report: Mapping[str, Any]) -> list[str]:
    """The compact table for the terminal."""
    words, point = report["words"], default_point(report["words"])
    if point is None:
        return ["no threshold: too many of the right words have no goodness"]
    lines = [
        f"threshold {point['threshold']:.2f} loses {point['lost']:.2%} of {words['right']:,} right words, and drops of wrong ones"
    ]
    for kind in words["auc"]:
        lost = report["not_aligned"][kind]
        failed = f", {lost} of {report['tried'][kind]} not aligned at all" if lost else ""
        lines.append(f"{1 - point['passed'][kind]:>8.1%}  {KINDS[kind]} (AUC {words['auc'][kind]:.3f}{failed})")
    return lines
