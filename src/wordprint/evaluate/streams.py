"""Keywords in streams: how many are missed at how many false alarms per hour, by the code that listens live.

Writes `metrics.json`, `trials/` (what lies where in each stream, and who enrolled whom) and `report.html`. A stream is rendered and
listened to in sessions of ten minutes; what is finished is kept, so that a run that was stopped goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from wordprint.embedding import WaveformEmbedder
from wordprint.errors import DatasetError, InputError
from wordprint.evaluate.data import heard_speakers, made_of, unique_names
from wordprint.evaluate.intervals import CONFIDENCE
from wordprint.evaluate.options import EvaluateConfig
from wordprint.evaluate.record import METRICS, REPORT, command_line, write_list
from wordprint.evaluate.stream_build import to_list
from wordprint.evaluate.stream_figures import Heard, describe
from wordprint.evaluate.stream_listen import listen_to
from wordprint.evaluate.stream_material import Material, by_speakers, isolated, read_background
from wordprint.evaluate.stream_report import write_report
from wordprint.evaluate.stream_running import read_dataset, read_words, running
from wordprint.evaluate.stream_scores import TOLERANCE_SAMPLES
from wordprint.evaluate.stream_systems import StreamSystem, load_system
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.spot.options import SpotConfig
from wordprint.stages.contract import HowToRun, StageRun, run_stage
from wordprint.stages.manifest import ALIGNMENTS, write_json
from wordprint.stages.receipt import Receipt
from wordprint.words.dataset import is_word_dataset

SCHEMA = "wordprint.streams/1"


@dataclass(frozen=True)
class _Settings(EvaluateConfig):
    """What makes a run another run: the options, and the system, which need not be a file."""

    system: str = ""


def evaluate_stream(
    model: str | Path | StreamSystem | WaveformEmbedder,
    keywords: Sequence[str | Path],
    background: str | Path,
    output: str | Path,
    config: EvaluateConfig = EvaluateConfig(),
    **how: Unpack[HowToRun],
) -> Receipt:
    """Look for keywords in hours of other speech; see docs/evaluation.md.

    Args:
        model: what `stream_systems.load_system` takes.
        keywords: word folders whose recordings are inserted into the background; none, where its own words are the keywords.
        background: a folder that 'align' or 'words' wrote (running speech is measured, too), one that 'prepare' or 'validate'
            wrote, or one of recordings.

    Raises DatasetError when no keyword has enough recordings, InputError for folders of another kind.
    """
    enrolled = {"recordings_alone": config.stream_recordings_alone, "synthetic_voices": config.stream_synthetic_voices}
    system = load_system(model, typed=not config.stream_shots, **enrolled)
    background = Path(background)
    paths = [Path(path) for path in keywords]
    settings = _Settings(**vars(config), system=f"{system.name} {system.digest}")
    inputs = dict(zip(unique_names(paths, "stream"), paths, strict=True)) | {"stream": background}

    def work(stage: StageRun) -> Receipt:
        materials = _materials(paths, background, config)
        heard, not_run = _listen(stage, system, materials, config)
        lists: dict[str, Any] = {}
        for one in heard:
            lists |= _write_lists(stage, one)
        streams, seen = [describe(one) for one in heard], _seen(system, materials)
        metrics: dict[str, Any] = {
            "schema": SCHEMA,
            "command": command_line(model if isinstance(model, (str, Path)) else system.name, paths, output, config),
            "seed": config.seed,
            "confidence": CONFIDENCE,
            "model": {"name": system.name, "digest": system.digest, "hold_s": system.hold_s},
            "tolerance_s": TOLERANCE_SAMPLES / SAMPLE_RATE,
            "refractory_s": SpotConfig().refractory_s,
            "seen_in_training": seen,
            "warnings": _warnings(seen),
            "inputs": stage.inputs,
            "trials": lists,
            "not_run": not_run,
            "streams": streams,
        }
        write_json(stage.output / METRICS, metrics)
        write_report(stage.output / REPORT, metrics, heard, config)
        for warning in metrics["warnings"]:
            stage.progress.say(f"WARNING: {warning}")
        kept = sum(len(one.segments) for one in heard if one.babble is None)
        files = [METRICS, REPORT, *(entry["file"] for entry in lists.values())]
        return stage.finish(kept + len(stage.dropped), kept, files, headline(streams))

    return run_stage("evaluate", work, output, settings, inputs, **how)


def headline(streams: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The few figures one looks at first: misses with one threshold, by false alarms per hour."""
    return {
        stream["name"]: {f"missed_at_{point['rate']:g}": round(point["missed"]["value"], 4) for point in stream["shared"]}
        for stream in streams
    }


def _materials(paths: Sequence[Path], background: Path, config: EvaluateConfig) -> list[Material]:
    """Recordings inserted into the background, and its own words, as far as there are any."""
    for path in paths:
        if is_word_dataset(path):
            raise InputError(f"{path} is a word dataset", expected="word folders; give a dataset with --stream")
    of_dataset, aligned = is_word_dataset(background), (background / ALIGNMENTS).is_file()
    items, dropped = (read_dataset(background, config.split), []) if of_dataset else read_background(background)
    items = by_speakers(items, config.stream_speakers)
    if aligned:
        items, lost = read_words(background, items)
        dropped += lost
    materials = []
    if paths:
        materials.append(isolated(paths, items, config.targets, config.seed))
    if of_dataset or aligned:
        materials.append(running(items, () if paths else config.targets, config.stream_keywords, config.stream_shots))
    if not materials:
        raise InputError("no keywords to look for", expected="word folders, or a --stream that 'align' or 'words' wrote")
    materials[0].dropped += dropped
    return materials


def _listen(
    stage: StageRun, system: StreamSystem, materials: Sequence[Material], config: EvaluateConfig
) -> tuple[list[Heard], dict[str, str]]:
    """All that can be heard, and why a kind of material can't be; raises DatasetError when none can."""
    heard: list[Heard] = []
    not_run: dict[str, str] = {}
    for material in materials:
        try:
            heard += listen_to(stage, system, material, config)
        except DatasetError as error:
            not_run[material.kind] = str(error)
            if material is materials[-1] and not heard:
                raise
        for name, reason, detail in material.dropped:
            stage.drop(name, reason, detail)
    return heard, not_run


def _write_lists(stage: StageRun, heard: Heard) -> dict[str, dict[str, str]]:
    """What lies where in the stream, the same in all conditions, and who enrolls whom."""
    kind = heard.material.kind
    items = heard.material.items
    draws = [
        {
            "keyword": one.keyword,
            "draw": one.draw,
            "shots": [[items[token.item].name, token.start_s, token.end_s] for token in one.shots],
            "tested": [[items[token.item].name, token.start_s, token.end_s] for token in heard.used(one.tested)],
        }
        for one in heard.asked
    ]
    return {
        f"{kind}_stream": write_list(stage.output, f"{kind}.stream.jsonl", to_list(heard.sessions, heard.segments)),
        f"{kind}_draws": write_list(stage.output, f"{kind}.draws.jsonl", draws),
    }


def _seen(system: StreamSystem, materials: Sequence[Material]) -> dict[str, list[str] | None]:
    """Keywords and speakers of the streams that the system says it was trained on; None where it doesn't say."""
    keywords = {keyword for material in materials for keyword in material.tokens}
    speakers = {item.speaker for material in materials for item in material.items}
    return {
        "keywords": None if system.training_words is None else made_of(keywords, system.training_words),
        "speakers": heard_speakers(speakers, system),
    }


def _warnings(seen: dict[str, list[str] | None]) -> list[str]:
    return [f"the model was trained on {len(names)} {kind} of these streams" for kind, names in seen.items() if names]
