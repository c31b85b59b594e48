"""Word datasets to and from Hugging Face `datasets`.

The audio column is an `Audio` feature that is not decoded (FLAC bytes), so that nothing but soundfile is needed;
`dataset.cast_column("audio", Audio())` lets `datasets` decode it where it can.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, InputError, require_extra
from wordprint.speech.audio import SAMPLE_RATE, read_audio, resample, to_int16
from wordprint.speech.ctrl_c import ctrl_c_waits
from wordprint.speech.mix import mix, require_scale
from wordprint.stages.contract import PARTS, HowToRun, StageRun, run_stage
from wordprint.stages.receipt import Receipt
from wordprint.words.dataset import WordDataset
from wordprint.words.folders import KEEP_ALL, UNKNOWN_SPEAKER
from wordprint.words.options import Form, WordsConfig
from wordprint.words.rules import Rules
from wordprint.words.stage import Loaded, build, whole
from wordprint.words.store import arrow

_COLUMNS = ("words", "n_words", "phones", "utterance_id", "speaker", "corpus", "start_sample", "end_sample", "goodness", "split")
_ROWS_PER_BATCH = 500


@dataclass(frozen=True)
class _Options:
    """What makes one conversion from `datasets` another."""

    config: WordsConfig
    columns: tuple[str, str, str]
    fingerprint: str


def from_datasets(
    dataset: Any,
    output: str | Path,
    *,
    words: str = "words",
    speaker: str = "speaker",
    audio: str = "audio",
    **how: Unpack[HowToRun],
) -> Receipt:
    """Write a word dataset of a `datasets.Dataset` whose rows are recordings of one word or phrase each.

    `words`, `speaker` and `audio` name its columns; `phones`, `goodness`, `utterance_id` and `corpus` are taken where
    they exist. Audio may be encoded (`bytes` or `path`) or decoded (`array` and `sampling_rate`).
    """
    hf = _datasets()
    for column in (words, speaker, audio):
        if column not in dataset.column_names:
            raise InputError(
                f"the dataset has no column '{column}'", expected=f"one of {', '.join(dataset.column_names)}", remedy="name it"
            )
    if isinstance(dataset.features[audio], hf.Audio):
        dataset = dataset.cast_column(audio, hf.Audio(decode=False))

    def work(stage: StageRun) -> Receipt:
        records = partial(_records, dataset.remove_columns(audio), words, speaker)
        load = partial(_load, dataset.select_columns(audio), audio)
        return build(stage, records, load, Rules.of(KEEP_ALL), for_training=False)

    options = _Options(KEEP_ALL, (words, speaker, audio), str(dataset._fingerprint))
    return run_stage("words", work, output, options, {}, **how)


def write_datasets(dataset: WordDataset, output: str | Path, **how: Unpack[HowToRun]) -> Receipt:
    """Write a folder that `datasets.load_from_disk` opens, with a row per segment: `audio`, and columns of the segments table.

    Only a few rows are in memory at a time.
    """
    hf, features = _datasets(), _features()

    def work(stage: StageRun) -> Receipt:
        stream = stage.output / PARTS / "stream.arrow"  # removed when the stage is finished
        stream.parent.mkdir(exist_ok=True)
        with arrow().ipc.new_stream(str(stream), features.arrow_schema) as writer:
            for batch in _batches(dataset, features):
                writer.write(batch)
        hf.Dataset.from_file(str(stream)).save_to_disk(str(stage.output))
        return stage.finish(total=len(dataset), kept=len(dataset), outputs=[])

    return run_stage("convert", work, output, Form("datasets"), {"dataset": dataset.path}, **how)


def is_datasets_folder(path: str | Path) -> bool:
    """Whether `datasets` saved a dataset in this folder."""
    return (Path(path) / "dataset_info.json").is_file()


def read_datasets(path: str | Path) -> Any:
    """The `datasets.Dataset` saved in a folder."""
    return _datasets().load_from_disk(str(path))


def _features() -> Any:
    hf = _datasets()
    kinds = {"n_words": "int8", "start_sample": "int32", "end_sample": "int32", "goodness": "float32"}
    values = {name: hf.Value(kinds.get(name, "string")) for name in _COLUMNS}
    return hf.Features({"audio": hf.Audio(sampling_rate=SAMPLE_RATE, decode=False), **values})


def _batches(dataset: WordDataset, features: Any) -> Iterator[Any]:
    """Rows as record batches. Written here, because `datasets` itself wants torchcodec to store even encoded audio."""
    columns = dataset.segments.select(_COLUMNS)
    for start in range(0, len(dataset), _ROWS_PER_BATCH):
        rows = columns.slice(start, _ROWS_PER_BATCH).to_pylist()
        for index, row in enumerate(rows, start):
            name = f"{row['utterance_id']}_{row['start_sample']}.flac"
            row["audio"] = {"bytes": _flac(dataset.segment_audio(index)), "path": name}
        yield arrow().RecordBatch.from_pylist(rows, schema=features.arrow_schema)


def _flac(samples: NDArray[np.int16]) -> bytes:
    import soundfile

    file = io.BytesIO()
    with ctrl_c_waits():
        soundfile.write(file, samples, SAMPLE_RATE, format="FLAC")
    return file.getvalue()


def _records(dataset: Any, words: str, speaker: str) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(dataset):
        yield {
            "utterance_id": f"{number:08d}-{row.get('utterance_id', '')}".rstrip("-"),
            "speaker": row[speaker] or UNKNOWN_SPEAKER,
            "transcript": row[words],
            "phones": row.get("phones") or "",
            "goodness": row.get("goodness"),
            "meta": {"corpus": row.get("corpus") or ""},
            "number": number,
            "start_s": 0.0,  # unknown until it is decoded: a second each serves to make shards
            "end_s": 1.0,
        }


def _load(dataset: Any, column: str, record: dict[str, Any]) -> Loaded:
    value = dataset[record["number"]][column]
    name = f"row {record['number']}"
    if value.get("array") is not None:
        samples = np.asarray(value["array"], np.float32)
        if samples.size == 0:
            raise AudioError(f"{name} holds no audio", reason="empty_audio")
        require_scale(samples, name)
        rate = int(value["sampling_rate"])
        heard = resample(samples if samples.ndim == 1 else mix(samples, rate), rate, SAMPLE_RATE)
    elif value.get("bytes"):
        file = io.BytesIO(value["bytes"])
        file.name = name
        heard = read_audio(file)
    elif value.get("path"):
        heard = read_audio(value["path"])
    else:
        raise AudioError(f"{name} holds no audio", reason="empty_audio")
    return to_int16(heard), whole(record, len(heard))


def _datasets() -> Any:
    try:
        import datasets
    except ImportError as error:
        raise require_extra("datasets", "datasets", "conversion to and from Hugging Face datasets") from error
    return datasets
