"""Export: one ONNX file, waveform in, L2-normalised embedding out, checked against the network it came from.

OUT/model.onnx                float32, front end inside
OUT/model.int8.onnx           the same with weights and activations of the encoder in 8 bits
OUT/MODEL_CARD.md             what it is, what it was trained on, how it was checked
OUT/bill_of_materials.json    the data in it, with licences and attributions
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from wordprint import __version__
from wordprint.errors import ParityError
from wordprint.export.calibrate import calibrate, fallback
from wordprint.export.card import bill_of_materials, materials, model_card, without_licence
from wordprint.export.options import ExportConfig
from wordprint.model import MODEL_SCHEMA, CheckpointEmbedder, Model
from wordprint.speech.audio import SAMPLE_RATE, to_float32
from wordprint.stages.contract import HowToRun, StageRun, run_stage
from wordprint.stages.manifest import atomic_path, digest_file, write_json, write_text
from wordprint.stages.receipt import Receipt
from wordprint.words.dataset import WordDataset

FLOAT, INT8 = "model.onnx", "model.int8.onnx"
CARD, MATERIALS = "MODEL_CARD.md", "bill_of_materials.json"
CALIBRATION_WORDS = 256
"""Segments, evenly spaced over the training split, that set the ranges of int8."""
CHECK_WORDS = 512
"""Unseen segments, evenly spaced, on which the int8 version is compared with the network."""
BATCH = 32

_OWN_KEYS = {"schema", "network", "training_words", "training_speakers", "bill_of_materials"}


def export(
    checkpoint: str | Path,
    output: str | Path,
    config: ExportConfig = ExportConfig(),
    *,
    words: str | Path | None = None,
    **how: Unpack[HowToRun],
) -> Receipt:
    """Write the model files of the best checkpoint in the folder `checkpoint`.

    `words` is the word dataset that calibrates int8 and the default threshold; without it there is no int8 version
    and the threshold is `calibrate.FALLBACK`. Raises ParityError when the float file does not reproduce the network, by the
    largest difference over lengths, batches and levels; an int8 version that doesn't, by the mean cosine on real words, is
    dropped.
    """
    embedder = CheckpointEmbedder(Path(checkpoint))
    inputs = {"checkpoint": embedder.weights, **({} if words is None else {"words": Path(words)})}

    def work(stage: StageRun) -> Receipt:
        from wordprint.export.graph import quantise, to_onnx, write_onnx

        torch.set_num_threads(1)  # else the threads that an earlier stage left decide the last digits of the threshold

        dataset = None if words is None else WordDataset(words)
        any_length = takes_any_length(embedder)
        stage.progress.say("export: calibrating the threshold")
        metadata = describe(embedder, config, _threshold(embedder, dataset, config), any_length=any_length)
        if unknown := without_licence(metadata["bill_of_materials"]):
            stage.progress.say(f"export: licence not known of: {', '.join(unknown)} (state it with 'materials')")
        graph = to_onnx(embedder.network, embedder.window_samples, any_length=any_length)
        details: dict[str, Any] = {"threshold": metadata["threshold"]}
        with atomic_path(stage.output / FLOAT) as unchecked:
            write_onnx(graph, {**metadata, "precision": "float32"}, unchecked)
            details["max_difference"] = check_float(embedder, Model(unchecked), config.max_difference)
        written = [FLOAT]
        if config.int8 and dataset is None:
            stage.drop(INT8, "no_words", "an int8 version needs a word dataset to calibrate on")
        elif config.int8 and dataset is not None:
            stage.progress.say("export: calibrating int8")
            heard = _batches(dataset, _segments(dataset, "train"), embedder.window_samples, CALIBRATION_WORDS)
            real = _batches(dataset, _segments(dataset, "validation", "test"), embedder.window_samples, CHECK_WORDS)
            try:
                with atomic_path(stage.output / INT8) as unchecked:
                    write_onnx(quantise(graph, heard), {**metadata, "precision": "int8"}, unchecked)
                    details["int8_cosine"] = check_int8(embedder, Model(unchecked), real, config.min_int8_cosine)
                written.append(INT8)
            except ParityError as error:  # the float model is good all the same
                stage.drop(INT8, error.reason, str(error))
                stage.progress.say(f"export: no int8 version: {error}")
        details["bytes"] = {name: (stage.output / name).stat().st_size for name in written}
        write_json(stage.output / MATERIALS, materials(metadata, {name: digest_file(stage.output / name) for name in written}))
        write_text(stage.output / CARD, model_card(metadata, details, config))
        total = 1 + config.int8
        return stage.finish(total=total, kept=len(written), outputs=[*written, CARD, MATERIALS], details=details)

    return run_stage("export", work, output, config, inputs, **how)


def describe(embedder: CheckpointEmbedder, config: ExportConfig, threshold: dict[str, Any], *, any_length: bool) -> dict[str, Any]:
    """What the model says about itself: the JSON document in the ONNX file."""
    record = embedder.metadata
    return {
        "schema": MODEL_SCHEMA,
        "version": __version__,
        "name": config.name,
        "licence": config.licence,
        "sample_rate": SAMPLE_RATE,
        "window_samples": embedder.window_samples,
        "min_samples": embedder.window_samples // 4 if any_length else embedder.window_samples,
        "any_length": any_length,
        "embedding_size": record["network"]["embedding_size"],
        "parameters": sum(parameter.numel() for parameter in embedder.network.parameters()),
        "network": record["network"],
        "training": {key: value for key, value in record.items() if key not in _OWN_KEYS},
        "training_words": record.get("training_words"),
        "training_speakers": record.get("training_speakers"),
        "bill_of_materials": bill_of_materials(config.materials, record.get("bill_of_materials", [])),
        "threshold": threshold,
        "checkpoint": embedder.digest,
    }


def takes_any_length(embedder: CheckpointEmbedder) -> bool:
    """Whether the network embeds shorter and longer waveforms than its window (the ancestor's encoder does not)."""
    window = embedder.window_samples
    try:
        for samples in (window // 4, window * 3 // 2):
            embedder.embed(np.zeros((1, samples), np.float32))
    except RuntimeError:
        return False
    return True


def check_float(embedder: CheckpointEmbedder, model: Model, limit: float) -> float:
    """Largest difference between network and model over batches, lengths and levels; raises ParityError above `limit`."""
    random = np.random.default_rng(0)
    window = model.window_samples
    lengths = [window, model.min_samples, window * 3 // 2 + 7, 3 * window] if model.metadata["any_length"] else [window]
    worst = 0.0
    for samples in lengths:
        for level in (0.0, 1e-4, 0.1, 1.0):
            for batch in (1, 3):
                waveforms = np.clip(random.normal(0, 1, (batch, samples)) * level, -1, 1).astype(np.float32)
                difference = float(np.abs(embedder.embed(waveforms) - model.embed(waveforms)).max())
                if not difference <= limit:  # also when it is NaN
                    where = f"{batch} × {samples} samples at level {level:g}"
                    raise ParityError(
                        f"the {model.metadata['precision']} model differs from the network by {difference:.2g} on {where}",
                        expected=f"at most {limit:g}",
                        remedy="check that the front end and the encoder use operations that export exactly",
                    )
                worst = max(worst, difference)
    return worst


def check_int8(
    embedder: CheckpointEmbedder, model: Model, batches: list[NDArray[np.float32]], limit: float
) -> dict[str, float | int]:
    """Cosine between the embeddings of network and int8 model; raises ParityError when its mean is below `limit`."""
    cosines = np.concatenate([(embedder.embed(batch) * model.embed(batch)).sum(axis=1) for batch in batches])
    figures = {
        "mean": round(float(cosines.mean()), 5),
        "percentile_5": round(float(np.percentile(cosines, 5)), 5),
        "min": round(float(cosines.min()), 5),
        "words": len(cosines),
    }
    if not figures["mean"] >= limit:
        raise ParityError(
            f"the int8 model has a mean cosine of {figures['mean']} with the network on {len(cosines)} real words",
            expected=f"at least {limit:g}",
            remedy="train longer, or lower --min-int8-cosine",
        )
    return figures


def _threshold(embedder: CheckpointEmbedder, dataset: WordDataset | None, config: ExportConfig) -> dict[str, Any]:
    if dataset is None:
        return fallback("no word dataset was given")
    return calibrate(embedder.embed, dataset, embedder.window_samples, config.false_alarms_per_hour, config.calibration_minutes)


def _segments(dataset: WordDataset, *splits: str) -> NDArray[np.int64]:
    """Segments of these splits; all segments where there are none."""
    chosen = np.sort(np.concatenate([dataset.select(split) for split in splits]))
    return chosen if len(chosen) else np.arange(len(dataset))


def _batches(dataset: WordDataset, indices: NDArray[Any], window_samples: int, count: int) -> list[NDArray[np.float32]]:
    """Up to `count` of the segments, evenly spaced and centred, in batches (BATCH, N)."""
    chosen = indices[np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int)]
    starts = dataset.centred_starts(chosen, window_samples)
    waveforms = to_float32(dataset.crops(chosen, starts, window_samples))
    return [waveforms[start : start + BATCH] for start in range(0, len(waveforms), BATCH)]
