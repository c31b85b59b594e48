"""Small corpora of real files for the tests of this folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile


def record(path: Path, duration_s: float = 0.5, sample_rate: int = 16_000, channels: int = 1, subtype: str | None = None) -> Path:
    """Write a tone in the format that the ending names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(round(duration_s * sample_rate)) / sample_rate
    tone = 0.3 * np.sin(2 * np.pi * 220 * time_s)
    soundfile.write(path, np.repeat(tone[:, None], channels, axis=1), sample_rate, subtype=subtype)
    return path


def write(path: Path, text: str | bytes) -> Path:
    """Write a text file, or bytes as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def librispeech(root: Path, speakers: tuple[str, ...] = ("11", "12"), per_chapter: int = 3) -> Path:
    """A LibriSpeech folder with one chapter per speaker."""
    for speaker in speakers:
        ids = [f"{speaker}-7-{number:04d}" for number in range(per_chapter)]
        for utterance_id in ids:
            record(root / "dev" / speaker / "7" / f"{utterance_id}.flac")
        write(root / "dev" / speaker / "7" / f"{speaker}-7.trans.txt", "".join(f"{name} HELLO WORLD\n" for name in ids))
    return root


def lines(path: Path) -> list[dict]:
    """Objects of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def dropped(output: Path) -> dict[str, str]:
    """Reason by item."""
    return {line["item"]: line["reason"] for line in lines(output / "dropped.jsonl")}
