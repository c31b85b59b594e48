"""Stage 5, evaluate: every protocol that applies, on every data set, for any model that embeds waveforms.

Writes `metrics.json` (every figure with its 95 % interval and what is needed to get it again), `trials/` (the lists:
tokens, draws and pairs) and `report.html`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from wordprint.embedding import WaveformEmbedder, as_spans
from wordprint.errors import ConfigError, DatasetError, InputError
from wordprint.evaluate.data import Data, load_data, unique_names
from wordprint.evaluate.intervals import CONFIDENCE
from wordprint.evaluate.options import EvaluateConfig
from wordprint.evaluate.protocols import Outcome, run_protocols
from wordprint.evaluate.record import METRICS, REPORT, TRIALS, command_line, write_list
from wordprint.evaluate.report import write_report
from wordprint.load import is_model, load_embedder
from wordprint.stages.contract import PARTS, HowToRun, StageRun, keep_apart, run_stage
from wordprint.stages.manifest import write_json
from wordprint.stages.progress import SILENT
from wordprint.stages.receipt import Receipt
from wordprint.words.tokens import SkippedToken

SCHEMA = "wordprint.metrics/1"


@dataclass(frozen=True)
class _Settings(EvaluateConfig):
    """What makes a run another run: the options, and the model, which need not be a file."""

    model: str = ""


def evaluate(
    model: str | Path | WaveformEmbedder,
    data: Sequence[str | Path],
    output: str | Path,
    config: EvaluateConfig = EvaluateConfig(),
    **how: Unpack[HowToRun],
) -> Receipt:
    """Score `model` on `data`.

    Args:
        model: an ONNX file, a checkpoint folder, `package.module:Class`, or an object with the interface of
            `wordprint.embedding.WaveformEmbedder`.
        data: word folders (Speech Commands layout) and word datasets.

    With `config.stream` the keywords in `data` are looked for in streams instead, see `wordprint.evaluate.streams`; with
    `config.phrases` phrases are told alike or not, see `wordprint.evaluate.phrases`.

    A word dataset without segments in the split is dropped. Raises LeakError for one that holds words or speakers the model
    was trained on (unless allowed), DatasetError when no protocol can be run on any of the data.
    """
    if isinstance(model, (str, Path)):
        keep_apart(Path(output), model)
    if other := config.phrases or config.stream:
        return _other_material(model, data, other, output, config, how)
    paths = [Path(path) for path in data]
    if not paths:
        raise InputError("no data to score on", expected="word folders or word datasets")
    embedder = _load(model, paths) if isinstance(model, (str, Path)) else model
    _refuse_context(config, embedder)
    settings = _Settings(**vars(config), model=f"{embedder.name} {embedder.digest}")
    inputs = dict(zip(unique_names(paths), paths, strict=True))
    progress = how.get("progress") or SILENT

    def work(stage: StageRun) -> Receipt:
        loaded, empty = load_data(paths, embedder, config, stage.output / PARTS, progress)
        for item in empty:
            stage.drop(item.name, item.reason, item.detail)
        if not loaded:
            raise DatasetError("; ".join(item.detail for item in empty))
        scored = [(entry, run_protocols(entry, config, progress)) for entry in loaded]
        _require_a_figure(scored)
        metrics: dict[str, Any] = {
            "schema": SCHEMA,
            "command": command_line(model if isinstance(model, (str, Path)) else embedder.name, paths, output, config),
            "seed": config.seed,
            "confidence": CONFIDENCE,
            "model": {"name": embedder.name, "digest": embedder.digest, "window_samples": embedder.window_samples},
            "warnings": _warnings(loaded, empty),
            "data": [_write_trials(stage, entry, outcomes) for entry, outcomes in scored],
        }
        write_json(stage.output / METRICS, metrics)
        write_report(stage.output / REPORT, metrics, scored, config)
        for warning in metrics["warnings"]:
            progress.say(f"WARNING: {warning}")
        kept = sum(len(entry.tokens) for entry in loaded)
        skipped = sum(len(entry.tokens.skipped) for entry in loaded) + len(empty)
        lists = [f"{TRIALS}/{path.name}" for path in sorted((stage.output / TRIALS).iterdir())]
        return stage.finish(kept + skipped, kept, [METRICS, REPORT, *lists], headline(metrics))

    return run_stage("evaluate", work, output, settings, inputs, **how)


def _refuse_context(config: EvaluateConfig, embedder: WaveformEmbedder) -> None:
    if config.context and as_spans(embedder) is not None:
        raise ConfigError(
            f"context is set, but {embedder.name} finds the speech in a recording by itself",
            remedy="leave it out: what is around a word would be taken for it",
        )


def _other_material(
    model: str | Path | WaveformEmbedder,
    data: Sequence[str | Path],
    other: Path,
    output: str | Path,
    config: EvaluateConfig,
    how: HowToRun,
) -> Receipt:
    """Phrases told alike, or keywords in streams."""
    if config.phrases is not None:
        from wordprint.evaluate.phrases import evaluate_phrases

        return evaluate_phrases(model, data, other, output, config, **how)
    from wordprint.evaluate.streams import evaluate_stream

    return evaluate_stream(model, data, other, output, config, **how)


def _warnings(loaded: Sequence[Data], empty: Sequence[SkippedToken]) -> list[str]:
    seen = [f"{entry.name}: {entry.seen.warning}" for entry in loaded if entry.seen.warning]
    return seen + [f"{item.name} is not scored: {item.detail}" for item in empty]


def _load(model: str | Path, paths: Sequence[Path]) -> WaveformEmbedder:
    """The model; InputError says so where it stands among the data, and the data in its place."""
    if Path(model).exists() and not is_model(model) and any(map(is_model, paths)):
        raise InputError(f"{model} is no model, but stands first", expected="the model, then the data to score it on")
    return load_embedder(model)


def headline(metrics: dict[str, Any]) -> dict[str, Any]:
    """The few figures one looks at first, per data set: what the receipt keeps."""
    figures: dict[str, Any] = {}
    for entry in metrics["data"]:
        found: dict[str, float] = {}
        for protocol, result in entry["protocols"].items():
            if "shots" in result:
                shots, estimates = list(result["shots"].items())[-1]
                found |= {f"{protocol}.{shots}_shot.{name}": estimate["mean"] for name, estimate in estimates.items()}
            elif "estimates" in result:
                found |= {f"{protocol}.{name}": estimate["value"] for name, estimate in result["estimates"].items()}
        figures[entry["name"]] = {name: round(value, 4) for name, value in found.items()}
    return figures


def _require_a_figure(scored: list[tuple[Data, dict[str, Outcome]]]) -> None:
    outcomes = [outcome for _, protocols in scored for outcome in protocols.values()]
    if all("not_run" in outcome.figures for outcome in outcomes):
        reason = outcomes[0].figures["not_run"]
        raise DatasetError(f"no protocol can be run: {reason}", remedy="evaluate on more words and speakers")


def _write_trials(stage: StageRun, data: Data, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """Write the lists of one data set; returns its entry in metrics.json."""
    for skipped in data.tokens.skipped:
        stage.drop(f"{data.name}/{skipped.name}", skipped.reason, skipped.detail)
    tokens = [
        {"number": number, "name": token.name, "word": token.word, "speaker": token.speaker}
        for number, token in enumerate(data.tokens)
    ]
    entry: dict[str, Any] = {
        "name": data.name,
        "kind": data.kind,
        "split": data.split,
        "digest": stage.inputs[data.name],
        "tokens": len(data.tokens),
        "words": len(set(data.words[data.spoken].tolist())),
        "speakers": None if data.speakers is None else len(set(data.speakers.tolist()) - {""}),
        "skipped": len(data.tokens.skipped),
        "seen_in_training": data.seen.to_json(),
        "tokens_list": write_list(stage.output, f"{data.name}.tokens.jsonl", tokens),
        "protocols": {},
    }
    for name, outcome in outcomes.items():
        entry["protocols"][name] = outcome.figures
        if outcome.trials:
            outcome.figures["trials"] = write_list(stage.output, f"{data.name}.{name}.jsonl", outcome.trials)
    return entry
