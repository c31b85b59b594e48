"""Alignments as manifests of Lhotse: recordings, supervisions with their words and phones, and a cut for each.

The three files belong together and `lhotse.load_manifest_lazy` opens each; the recordings stay where they are.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, Unpack

from wordprint.align.rows import TEXTGRIDS
from wordprint.errors import DatasetError, WordprintError, require_extra
from wordprint.records import Interval, Utterance
from wordprint.speech.audio import AudioInfo, probe_audio
from wordprint.stages.contract import HowToRun, StageRun, run_stage
from wordprint.stages.disk_table import Table
from wordprint.stages.manifest import ALIGNMENTS, atomic_path, resolve, to_line
from wordprint.stages.receipt import Receipt
from wordprint.words.options import Form
from wordprint.words.stage import aligned_records, read_alignment

RECORDINGS, SUPERVISIONS, CUTS = "recordings.jsonl.gz", "supervisions.jsonl.gz", "cuts.jsonl.gz"

_SHARD_SIZE = 512
_TIME_DIGITS = 6
_OWN_FIELDS = frozenset({"gender", "recording_id", "word_alignment", "phone_alignment"})
"""What Lhotse has a place for; the rest of `meta` is `custom`."""


def write_lhotse(alignments: str | Path, output: str | Path, **how: Unpack[HowToRun]) -> Receipt:
    """Write the manifests of what `align` wrote; an utterance whose TextGrid or recording can't be read is dropped.

    A recording's id is that of its first utterance. Raises MissingExtraError without lhotse, DatasetError when nothing is left.
    """
    manifest = resolve(alignments, ALIGNMENTS, "align")
    _lhotse()
    inputs = {"alignments": manifest}
    if (manifest.parent / TEXTGRIDS).is_dir():
        inputs["textgrids"] = manifest.parent / TEXTGRIDS
    return run_stage("convert", partial(_write, manifest=manifest), output, Form("lhotse"), inputs, **how)


def _write(stage: StageRun, manifest: Path) -> Receipt:
    kept, work = 0, partial(describe, folder=manifest.parent)
    results = stage.map_shards("lhotse", aligned_records(manifest), work, shard_size=_SHARD_SIZE, unit="utterances")
    recordings, supervisions, cuts = (_compressed(stage.output / name) for name in (RECORDINGS, SUPERVISIONS, CUTS))
    with Table() as known, recordings as recording_lines, supervisions as supervision_lines, cuts as cut_lines:
        for result in results:
            if "dropped" in result:
                stage.drop(result["dropped"], result["reason"], result["detail"])
                continue
            recording, supervision, cut = result["recording"], result["supervision"], result["cut"]
            if known.add(result["audio"], recording["id"]):
                recording_lines.write(to_line(recording))
            name = known.get(result["audio"])
            supervision["recording_id"] = cut["recording"]["id"] = cut["supervisions"][0]["recording_id"] = name
            supervision_lines.write(to_line(supervision))
            cut_lines.write(to_line(cut))
            kept += 1
        if not kept:
            raise DatasetError(f"nothing in {manifest} can be converted", remedy=f"the first, {stage.dropped.first}")
    return stage.finish(total=kept + len(stage.dropped), kept=kept, outputs=[RECORDINGS, SUPERVISIONS, CUTS])


def describe(records: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """The recording, supervision and cut of each line of alignments.jsonl, as Lhotse writes them; a reason where there is none."""
    headers: dict[str, AudioInfo] = {}  # one header serves all utterances of a recording
    results = []
    for record in records:
        utterance = Utterance.from_json(record)
        try:
            alignment = read_alignment(folder, record)
            header = headers.setdefault(utterance.audio, headers.get(utterance.audio) or probe_audio(utterance.audio))
        except WordprintError as error:
            results.append({"dropped": utterance.utterance_id, "reason": error.reason, "detail": str(error)})
        else:
            results.append(_describe_one(utterance, header, {"word": alignment.words, "phone": alignment.phones}))
    return results


def _describe_one(utterance: Utterance, header: AudioInfo, alignment: dict[str, tuple[Interval, ...]]) -> dict[str, Any]:
    lhotse, name, start_s = _lhotse(), utterance.utterance_id, utterance.start_s
    duration_s = round(utterance.duration_s, _TIME_DIGITS)
    channels = list(range(header.channels))
    mono = header.channels == 1
    recording = lhotse.Recording(
        id=name,
        sources=[lhotse.AudioSource(type="file", channels=channels, source=utterance.audio)],
        sampling_rate=header.sample_rate,
        num_samples=round(header.duration_s * header.sample_rate),
        duration=header.duration_s,
    )
    supervision = lhotse.SupervisionSegment(
        id=name,
        recording_id=name,
        start=start_s,
        duration=duration_s,
        channel=0 if mono else channels,
        text=utterance.transcript,
        language=utterance.language,
        speaker=utterance.speaker,
        gender=utterance.meta.get("gender", utterance.meta.get("sex")),
        custom={key: value for key, value in utterance.meta.items() if key not in _OWN_FIELDS} or None,
        alignment={kind: list(_alignment_items(intervals, start_s)) for kind, intervals in alignment.items() if intervals},
    )
    cut = (lhotse.MonoCut if mono else lhotse.MultiCut)(
        id=name,
        start=start_s,
        duration=duration_s,
        channel=0 if mono else channels,
        supervisions=[supervision.with_offset(-start_s)],
        recording=recording,
    )
    described = {"recording": recording, "supervision": supervision, "cut": cut}
    return {"audio": utterance.audio, **{kind: value.to_dict() for kind, value in described.items()}}


def _alignment_items(intervals: Iterable[Interval], start_s: float) -> Iterator[Any]:
    """Lhotse counts the times of words from the start of the recording, in supervisions and in cuts alike."""
    from lhotse.supervision import AlignmentItem

    for interval in intervals:
        first, duration = start_s + interval.start_s, interval.end_s - interval.start_s
        yield AlignmentItem(interval.symbol, round(first, _TIME_DIGITS), round(duration, _TIME_DIGITS), interval.goodness)


@contextmanager
def _compressed(path: Path) -> Iterator[IO[str]]:
    """A gzip file of lines that is there when it is whole; without the time in its head, so that equal lines make equal bytes."""
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
        TextIOWrapper(packed, "utf-8", newline="\n") as lines,
    ):
        yield lines


def _lhotse() -> Any:
    try:
        import lhotse
    except ImportError as error:
        raise require_extra("lhotse", "lhotse", "writing Lhotse's manifests") from error
    return lhotse
