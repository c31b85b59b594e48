"""The stage `align`: utterances → TextGrids and `alignments.jsonl`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from wordprint.align.base import Aligner, CorpusAligner, load_aligner, load_single
from wordprint.align.options import AlignConfig
from wordprint.align.rows import aligned, dropped, folder_name, require_length
from wordprint.errors import AlignmentError, AudioError, DatasetError, InputError
from wordprint.records import Utterance
from wordprint.speech.audio import SAMPLE_RATE, read_audio
from wordprint.stages.contract import HowToRun, StageRun, run_stage
from wordprint.stages.disk_table import Table
from wordprint.stages.manifest import ALIGNMENTS, UTTERANCES, read_utterances, resolve, write_jsonl
from wordprint.stages.receipt import Receipt

_SHARD_SIZE = 8  # utterances: a second or two of work, the most that a kill loses and that workers wait for each other
_NAMED_OOV = 100


def align(utterances: str | Path, output: str | Path, config: AlignConfig = AlignConfig(), **how: Unpack[HowToRun]) -> Receipt:
    """Align every utterance of a manifest; `utterances` is the folder of `prepare` or `validate`, or the file itself.

    Writes `textgrids/SPEAKER/UTTERANCE_ID.TextGrid` and `alignments.jsonl`: each utterance that was aligned with its
    `textgrid`, `goodness`, `word_goodness` and `oov`. An utterance that can't be aligned is dropped by reason. Raises
    DatasetError when none could be.
    """
    manifest = resolve(utterances, UTTERANCES, "prepare")
    _process_aligner.cache_clear()  # of an earlier call in this process: two models at once would take 100 MB
    aligner = load_aligner(config)  # before any work: options that can't work are told at once
    corpus_aligner = aligner if isinstance(aligner, CorpusAligner) else None
    inputs = {"utterances": manifest, "textgrids": config.textgrids, "lexicon": config.lexicon}
    present = {name: path for name, path in inputs.items() if path is not None}
    present |= corpus_aligner.inputs if corpus_aligner else {}

    def work(stage: StageRun) -> Receipt:
        total = _count(manifest)
        results = corpus_aligner.align_corpus(stage, manifest) if corpus_aligner else _align_each(stage, manifest, config, total)
        oov: Counter[str] = Counter()
        kept = write_jsonl(stage.output / ALIGNMENTS, _keep(stage, results, oov))
        if kept == 0:
            raise _nothing_aligned(stage, total)
        details = {
            **(corpus_aligner.details if corpus_aligner else {"g2p": getattr(aligner, "g2p_name", None)}),
            "oov_types": len(oov),
            "oov_utterances": dict(sorted(oov.items(), key=lambda pair: (-pair[1], pair[0]))[:_NAMED_OOV]),
        }
        return stage.finish(total=total, kept=kept, outputs=[ALIGNMENTS], details=details)

    return run_stage("align", work, output, config, present, **how)


def _align_each(stage: StageRun, manifest: Path, config: AlignConfig, total: int) -> Iterator[dict[str, Any]]:
    return stage.map_shards(
        "align",
        read_utterances(manifest),
        partial(align_shard, config=config, output=stage.output, inputs=tuple(sorted(stage.inputs.items()))),
        shard_size=_SHARD_SIZE,
        total=total,
        unit="utterances",
    )


def align_shard(
    utterances: list[Utterance], config: AlignConfig, output: Path, inputs: tuple[tuple[str, str], ...]
) -> list[dict[str, Any]]:
    """Align some utterances in this process, writing their TextGrids; one record each, a reason where it failed."""
    aligner = _process_aligner(config, inputs)
    return [_align_one(aligner, utterance, config, output) for utterance in utterances]


@lru_cache(maxsize=1)
def _process_aligner(config: AlignConfig, inputs: tuple[tuple[str, str], ...]) -> Aligner:
    """One aligner per process, for models load once; `inputs` are digests: a folder or lexicon that changed is read again."""
    return load_single(config)


def _align_one(aligner: Aligner, utterance: Utterance, config: AlignConfig, output: Path) -> dict[str, Any]:
    try:
        require_length(utterance, config.max_duration_s)
        samples, duration_s = np.zeros(0, np.float32), utterance.duration_s
        if getattr(aligner, "reads_audio", True):
            samples = read_audio(utterance.audio, utterance.start_s, utterance.end_s)
            duration_s = len(samples) / SAMPLE_RATE
        alignment = aligner.align(utterance, samples)
    except (AlignmentError, AudioError) as error:
        return dropped(utterance, error)
    return aligned(utterance, alignment, duration_s, output)


def _keep(stage: StageRun, results: Iterable[dict[str, Any]], oov: Counter[str]) -> Iterator[dict[str, Any]]:
    """Results that go into the index; the rest is dropped by reason. Utterances are counted for each OOV word in them."""
    for result in results:
        if "dropped" in result:
            stage.drop(result["dropped"], result["reason"], result["detail"])
        else:
            oov.update(result["oov"])
            yield result


def _count(manifest: Path) -> int:
    """How many utterances there are; raises InputError for none, and for one id used twice (its TextGrid would be lost)."""
    total = 0
    with Table() as seen:
        for utterance in read_utterances(manifest):
            total += 1
            name = utterance.utterance_id
            if not seen.add(name):
                raise InputError(f"{manifest} has the utterance_id '{name}' twice", expected="an id for each utterance")
            if folder_name(name) != name:
                raise InputError(f"{manifest} has the utterance_id '{name}'", expected="one that can be a file's name")
    if not total:
        raise InputError(f"{manifest} holds no utterances", remedy="check what 'prepare' or 'validate' dropped, and why")
    return total


def _nothing_aligned(stage: StageRun, total: int) -> DatasetError:
    return DatasetError(f"none of {total} utterances could be aligned", remedy=f"the first, {stage.dropped.first}")
