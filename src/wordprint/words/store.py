"""Files of a word dataset: the Arrow schemas, and how shards are written and mapped back.

    DATASET/audio-00000.arrow      each utterance's waveform once
    DATASET/phones-00000.arrow     one row per utterance of that audio shard: its phones and when each is spoken
    DATASET/segments-00000.arrow   one row per word or phrase, a stretch of an utterance
    DATASET/types.arrow            one row per word type
    DATASET/dataset.json           counts, shards, options

All are Arrow IPC files without compression, so that they are used where they lie on disk (memory-mapped).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import InputError, require_extra
from wordprint.stages.manifest import atomic_path

SCHEMA = "wordprint.words/2"
DATASET = "dataset.json"
TYPES = "types.arrow"
SPLITS = ("train", "validation", "test", "held_out")
SEGMENTS_PER_SHARD = 500_000
"""Rows; large, because opening ten million segments means opening each of their files."""
UTTERANCES_PER_BATCH = 32
"""Waveforms in memory at a time while an audio shard is written."""


def arrow() -> Any:
    """pyarrow with its IPC module, or the error that says how to install it."""
    try:
        import pyarrow as pa
        import pyarrow.ipc
    except ImportError as error:
        raise require_extra("pyarrow", "words", "the word dataset") from error
    return pa


def audio_name(shard: int) -> str:
    return f"audio-{shard:05d}.arrow"


def phones_name(shard: int) -> str:
    return f"phones-{shard:05d}.arrow"


def segments_name(shard: int) -> str:
    return f"segments-{shard:05d}.arrow"


def audio_schema() -> Any:
    """`samples` are int16 at 16 kHz, one list per utterance."""
    pa = arrow()
    return pa.schema(
        [
            ("utterance_id", pa.string()),
            ("speaker", pa.string()),
            ("corpus", pa.string()),
            ("samples", pa.large_list(pa.field("sample", pa.int16(), nullable=False))),
        ]
    )


def phone_schema() -> Any:
    """Phones of an utterance in order, as often as there are starts and ends (samples from its start)."""
    pa = arrow()
    samples = pa.list_(pa.field("sample", pa.int32(), nullable=False))
    return pa.schema(
        [("phones", pa.list_(pa.dictionary(pa.int16(), pa.string()))), ("start_samples", samples), ("end_samples", samples)]
    )


def segment_schema() -> Any:
    """Sample positions count from the start of the utterance; (`shard`, `row`) is where its audio lies."""
    pa = arrow()
    name = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            ("words", name),
            ("n_words", pa.int8()),
            ("phones", pa.string()),
            ("utterance_id", name),
            ("speaker", name),
            ("corpus", name),
            ("shard", pa.int32()),
            ("row", pa.int32()),
            ("start_sample", pa.int32()),
            ("end_sample", pa.int32()),
            ("context_start_sample", pa.int32()),
            ("context_end_sample", pa.int32()),
            ("goodness", pa.float32()),
            ("split", name),
        ]
    )


def candidate_schema() -> Any:
    """Segments before they are counted: plain strings, and hashes of type, speaker and token."""
    pa = arrow()
    plain = [pa.field(f.name, pa.string()) if pa.types.is_dictionary(f.type) else f for f in segment_schema()]
    return pa.schema([*plain, *((name, pa.uint64()) for name in ("type_hash", "speaker_hash", "token_hash"))])


def write_table(path: Path, batches: Iterable[Any], schema: Any) -> int:
    """Write record batches as one Arrow IPC file, atomically; returns the rows written."""
    pa, rows = arrow(), 0
    with atomic_path(path) as temporary, pa.ipc.new_file(str(temporary), schema) as writer:
        for batch in batches:
            writer.write(batch)
            rows += batch.num_rows
    return rows


def audio_batches(utterances: Iterable[tuple[dict[str, Any], NDArray[np.int16]]]) -> Iterator[Any]:
    """Record batches of a few utterances each, so that a shard is never whole in memory."""
    pa, schema = arrow(), audio_schema()
    utterances = iter(utterances)
    while group := list(islice(utterances, UTTERANCES_PER_BATCH)):
        records, waveforms = zip(*group, strict=True)
        offsets = np.cumsum([0, *map(len, waveforms)], dtype=np.int64)
        values = pa.Array.from_buffers(pa.int16(), int(offsets[-1]), [None, pa.py_buffer(np.concatenate(waveforms))])
        samples = pa.LargeListArray.from_arrays(pa.array(offsets), values, type=schema.field("samples").type)
        names = [pa.array([record[name] for record in records], pa.string()) for name in schema.names[:-1]]
        yield pa.record_batch([*names, samples], schema=schema)


def map_table(path: Path) -> Any:
    """The table in an Arrow IPC file, its columns left on disk; the file is closed, its mapping lives with the table."""
    pa = arrow()
    with _opened(path) as source:
        return pa.ipc.open_file(source).read_all()


def map_audio(path: Path) -> tuple[NDArray[np.int16], NDArray[np.int64], NDArray[np.int64]]:
    """A whole audio shard as one read-only int16 array, with the first sample (rows,) and the length (rows,) of each utterance."""
    pa = arrow()
    with _opened(path) as source:
        reader = pa.ipc.open_file(source)
        waveforms = [reader.get_batch(index).column("samples") for index in range(reader.num_record_batches)]
        source.seek(0)
        file = source.read_buffer()
    starts, lengths = [], []
    for batch in waveforms:
        offsets = batch.offsets.to_numpy()
        base = (batch.values.buffers()[1].address - file.address) // np.dtype(np.int16).itemsize
        starts.append(base + offsets[:-1])
        lengths.append(np.diff(offsets))
    whole = np.frombuffer(file, np.int16, count=file.size // np.dtype(np.int16).itemsize)
    empty = np.empty(0, np.int64)
    return whole, np.concatenate([empty, *starts]), np.concatenate([empty, *lengths])


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with arrow().memory_map(str(path)) as source:
            yield source
    except (OSError, ValueError) as error:  # Arrow's own errors are ValueErrors
        raise InputError(
            f"{path} can't be opened as an Arrow file ({error})", remedy="run 'wordprint words' again, with --overwrite"
        ) from error
