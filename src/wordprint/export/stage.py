"""Export: one ONNX file with encoder, head and phone encoder, checked against the network it came from.

OUT/model.onnx                float32, front end inside
OUT/model.int8.onnx           the same with weights and activations of the encoder in 8 bits
OUT/MODEL_CARD.md             what it is, what it was trained on, how it was checked
OUT/bill_of_materials.json    the data in it, with licences and attributions
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray

from wordprint import __version__
from wordprint.cohort import Cohort
from wordprint.errors import InputError, ParityError
from wordprint.export.calibrate import calibrate, fallback
from wordprint.export.card import bill_of_materials, materials, model_card, without_licence
from wordprint.export.options import ExportConfig
from wordprint.export.sample import sample_cohort
from wordprint.load import CheckpointEmbedder
from wordprint.model import MODEL_SCHEMA, Model
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
BLOCK_FRAMES = 6
"""Frames that are encoded at once, 120 ms: most of a step is the fetching of weights, whatever their number."""

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
    if not embedder.pools_spans:
        network = embedder.network.config
        raise InputError(
            f"{checkpoint} has the encoder '{network.encoder}' and the head '{network.head}', which hear whole windows",
            expected="a network that pools spans: encoder streaming, head binned",
            remedy="evaluate it as it is: wordprint evaluate CHECKPOINT",
        )
    inputs = {"checkpoint": embedder.weights, **({} if words is None else {"words": Path(words)})}

    def work(stage: StageRun) -> Receipt:
        torch.set_num_threads(1)  # else the threads that an earlier stage left decide the last digits of the threshold
        return _export(stage, embedder, None if words is None else WordDataset(words), config)

    return run_stage("export", work, output, config, inputs, **how)


def _export(stage: StageRun, embedder: CheckpointEmbedder, dataset: WordDataset | None, config: ExportConfig) -> Receipt:
    from wordprint.export.graph import encoder_to_onnx, head_to_onnx, phones_to_onnx, quantise, write_onnx

    network = embedder.network
    (encoder, state), head = encoder_to_onnx(network, BLOCK_FRAMES), head_to_onnx(network)
    phones = None if network.phones is None else phones_to_onnx(network.phones)
    with tempfile.TemporaryDirectory() as folder:  # to find the threshold by the code that runs live
        draft = Path(folder, FLOAT)
        write_onnx(encoder, state, head, phones, describe(embedder, config, fallback("not calibrated")), draft)
        difference = check_float(embedder, Model(draft), config.max_difference)
        stage.progress.say("export: listening for false alarms")
        cohort, threshold = _thresholds(Model(draft), dataset, config)
        metadata = describe(embedder, config, threshold)
    if unknown := without_licence(metadata["bill_of_materials"]):
        stage.progress.say(f"export: licence not known of: {', '.join(unknown)} (state it with 'materials')")
    write_onnx(encoder, state, head, phones, {**metadata, "precision": "float32"}, stage.output / FLOAT, cohort)
    details: dict[str, Any] = {"threshold": threshold, "max_difference": difference}
    written = [FLOAT]
    if config.int8 and dataset is None:
        stage.drop(INT8, "no_words", "an int8 version needs a word dataset to calibrate on")
    elif config.int8 and dataset is not None:
        stage.progress.say("export: calibrating int8")
        model = Model(stage.output / FLOAT)
        heard = _waveforms(dataset, _segments(dataset, "train"), CALIBRATION_WORDS)
        try:
            with atomic_path(stage.output / INT8) as unchecked:
                small = quantise(encoder, list(_feeds(model, heard)))
                write_onnx(small, state, head, phones, {**metadata, "precision": "int8"}, unchecked, cohort)
                real = _waveforms(dataset, _segments(dataset, "validation", "test"), CHECK_WORDS)
                details["int8_cosine"] = check_int8(model, Model(unchecked), real, config.min_int8_cosine)
            written.append(INT8)
        except ParityError as error:  # the float model is good all the same
            stage.drop(INT8, error.reason, str(error))
            stage.progress.say(f"export: no int8 version: {error}")
    details["bytes"] = {name: (stage.output / name).stat().st_size for name in written}
    write_json(stage.output / MATERIALS, materials(metadata, {name: digest_file(stage.output / name) for name in written}))
    write_text(stage.output / CARD, model_card(metadata, details, config))
    return stage.finish(total=1 + config.int8, kept=len(written), outputs=[*written, CARD, MATERIALS], details=details)


def describe(embedder: CheckpointEmbedder, config: ExportConfig, threshold: dict[str, Any]) -> dict[str, Any]:
    """What the model says about itself: the JSON document in the ONNX file."""
    record = embedder.metadata
    return {
        "schema": MODEL_SCHEMA,
        "version": __version__,
        "name": config.name,
        "licence": config.licence,
        "sample_rate": SAMPLE_RATE,
        "window_samples": embedder.window_samples,
        "block_samples": BLOCK_FRAMES * embedder.frame_samples,
        "frame_samples": embedder.frame_samples,
        "delay_frames": embedder.network.encoder.delay,
        "phones": list(embedder.network.config.phones),
        "reads_phones": embedder.reads_phones,
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


def check_float(embedder: CheckpointEmbedder, model: Model, limit: float) -> float:
    """Largest difference between network and model in frames (relative to the largest number in them), vectors of spans and of
    phone strings, over lengths and levels; raises ParityError above `limit`."""
    random, worst = np.random.default_rng(0), {"frames": 0.0, "spans": 0.0, "phone strings": 0.0}
    for samples in (320, SAMPLE_RATE, 3 * SAMPLE_RATE + 7):
        for level in (0.0, 1e-4, 0.1, 1.0):
            heard = np.clip(random.normal(0, 1, samples) * level, -1, 1).astype(np.float32)
            expected, made = embedder.frames(heard), model.frames(heard)
            scale = max(1.0, float(np.abs(expected).max()))
            spans = np.sort(random.uniform(-0.2, samples / SAMPLE_RATE + 0.2, (20, 2)), axis=1)
            worst["frames"] = _larger(worst["frames"], (expected - made) / np.float32(scale))
            worst["spans"] = _larger(worst["spans"], embedder.pool(expected, spans) - model.pool(expected, spans))
    if model.phones:
        codes = random.integers(1, len(model.phones) + 1, (20, 12)) * (np.arange(12) <= np.arange(20)[:, None] % 12)
        with torch.inference_mode():
            expected = embedder.network.spell(torch.from_numpy(codes)).numpy()
        made = model.spell([[model.phones[code - 1] for code in row if code] for row in codes])
        worst["phone strings"] = _larger(0.0, expected - made)
    name = max(worst, key=lambda key: worst[key] if worst[key] == worst[key] else np.inf)
    if not worst[name] <= limit:
        raise ParityError(
            f"the model differs from the network by {worst[name]:.2g} in {name}",
            expected=f"at most {limit:g}",
            remedy="check that the front end and the encoder use operations that export exactly",
        )
    return worst[name]


def _larger(before: float, difference: NDArray[np.float32]) -> float:
    """NaN where a difference is."""
    return float(np.maximum(before, np.abs(difference).max(initial=0.0)))


def check_int8(model: Model, small: Model, recordings: list[NDArray[np.float32]], limit: float) -> dict[str, float | int]:
    """Cosine between what the float and the int8 model make of recordings; raises ParityError when its mean is below `limit`."""
    cosines = np.array([(model.embed(one[None]) * small.embed(one[None])).sum() for one in recordings])
    figures = {
        "mean": round(float(cosines.mean()), 5),
        "percentile_5": round(float(np.percentile(cosines, 5)), 5),
        "min": round(float(cosines.min()), 5),
        "words": len(cosines),
    }
    if not cosines.mean() >= limit:
        raise ParityError(
            f"the int8 model has a mean cosine of {figures['mean']} with the float model on {len(cosines)} real words",
            expected=f"at least {limit:g}",
            remedy="train longer, or lower --min-int8-cosine",
        )
    return figures


def _thresholds(model: Model, dataset: WordDataset | None, config: ExportConfig) -> tuple[Cohort | None, dict[str, Any]]:
    """What the thresholds of keywords are found with; no cohort where there is too little to find them."""
    if dataset is None:
        return None, fallback("no word dataset was given")
    cohort = sample_cohort(model, dataset)
    found = calibrate(model, dataset, cohort, config.false_alarms_per_hour, config.calibration_minutes)
    return cohort if found.get("above_level") else None, found


def _feeds(model: Model, recordings: list[NDArray[np.float32]]) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Blocks of the recordings with the states before them, as the encoder gets them."""
    for heard in recordings:
        state = model.silent_state
        for block in heard[: len(heard) // model.block_samples * model.block_samples].reshape(-1, 1, model.block_samples):
            yield {"samples": block, "state": state}
            _, state = model.step(block, state)


def _segments(dataset: WordDataset, *splits: str) -> NDArray[np.int64]:
    """Segments of these splits; all segments where there are none."""
    chosen = np.sort(np.concatenate([dataset.select(split) for split in splits]))
    return chosen if len(chosen) else np.arange(len(dataset))


def _waveforms(dataset: WordDataset, indices: NDArray[Any], count: int) -> list[NDArray[np.float32]]:
    """Up to `count` of the segments, evenly spaced."""
    chosen = indices[np.linspace(0, len(indices) - 1, min(count, len(indices))).round().astype(int)]
    return [to_float32(dataset.segment_audio(int(index))) for index in chosen]
