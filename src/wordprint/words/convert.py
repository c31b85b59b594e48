"""Word datasets to and from word folders (the Speech Commands layout) and Hugging Face `datasets`; alignments to Lhotse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Unpack

from wordprint.errors import AudioError, ConfigError
from wordprint.speech.audio import probe_audio, write_audio
from wordprint.stages.contract import HowToRun, StageRun, run_stage
from wordprint.stages.manifest import atomic_path
from wordprint.stages.receipt import Receipt
from wordprint.words import hub
from wordprint.words.dataset import WordDataset, is_word_dataset
from wordprint.words.folders import KEEP_ALL, UNKNOWN_SPEAKER, WordFolder, percent_encoded, word_folder_name
from wordprint.words.lhotse import write_lhotse
from wordprint.words.options import Form
from wordprint.words.rules import Rules
from wordprint.words.stage import build, load_recording


def convert(
    source: str | Path,
    output: str | Path,
    to: Literal["folders", "datasets", "words", "lhotse"] = "folders",
    **how: Unpack[HowToRun],
) -> Receipt:
    """Turn a word dataset into word `folders` or a saved Hugging Face dataset (`datasets`), either into a word dataset (`words`).

    `lhotse` turns the folder that `align` wrote into manifests of recordings, supervisions and cuts.
    Raises InputError or ConfigError for a source of another kind, OutputConflictError for an output folder in use.
    """
    if to == "folders":
        return write_folders(WordDataset(source), output, **how)
    if to == "datasets":
        return hub.write_datasets(WordDataset(source), output, **how)
    if to == "lhotse":
        return write_lhotse(source, output, **how)
    if to != "words":
        raise ConfigError(f"can't convert to '{to}'", expected="folders, datasets, words or lhotse")
    if is_word_dataset(source):
        raise ConfigError(f"{source} is a word dataset already", expected="word folders or a saved Hugging Face dataset")
    if hub.is_datasets_folder(source):
        return hub.from_datasets(hub.read_datasets(source), output, **how)
    return from_folders(source, output, **how)


def write_folders(dataset: WordDataset, output: str | Path, **how: Unpack[HowToRun]) -> Receipt:
    """Write each segment as `WORD/SPEAKER_UTTERANCE_START.flac`."""

    def work(stage: StageRun) -> Receipt:
        starts = dataset.column("start_sample")
        (words, word_names), (speakers, speaker_names), (ids, id_names) = map(dataset.codes, ("words", "speaker", "utterance_id"))
        with stage.progress.task("convert", len(dataset), "segments") as task:
            for index in range(len(dataset)):
                speaker, utterance = percent_encoded(speaker_names[speakers[index]]), percent_encoded(id_names[ids[index]])
                name = f"{speaker}_{utterance}_{starts[index]}.flac"
                path = stage.output / word_folder_name(word_names[words[index]]) / name
                if not path.exists():  # a run that was killed goes on
                    with atomic_path(path) as temporary:
                        write_audio(temporary, dataset.segment_audio(index))
                task.advance()
        return stage.finish(total=len(dataset), kept=len(dataset), outputs=[])

    return run_stage("convert", work, output, Form("folders"), {"dataset": dataset.path}, **how)


def from_folders(folder: str | Path, output: str | Path, **how: Unpack[HowToRun]) -> Receipt:
    """Write a word dataset of the recordings in word folders, each one segment; recordings that can't be read are dropped.

    Where the names of the files don't tell speakers apart, all are by the speaker 'unknown'.
    """
    found = WordFolder(folder)

    def work(stage: StageRun) -> Receipt:
        records = list(_records(found))
        return build(stage, lambda: records, load_recording, Rules.of(KEEP_ALL), for_training=False)

    return run_stage("words", work, output, KEEP_ALL, {"folder": found.path}, **how)


def _records(folder: WordFolder) -> Iterator[dict[str, Any]]:
    for recording in folder.recordings:
        path = folder.path / recording.name
        try:
            duration_s = probe_audio(path).duration_s
        except AudioError:  # counted when it is read
            duration_s = 0.0
        yield {
            "utterance_id": recording.name.removesuffix(path.suffix).replace("/", "-"),
            "speaker": (folder.speakers_known and recording.speaker) or UNKNOWN_SPEAKER,
            "audio": str(path),
            "start_s": 0.0,
            "end_s": duration_s,
            "transcript": recording.word,
            "meta": {"corpus": folder.path.name},
        }
