"""Options of `spot` and `listen`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wordprint.stages.options import option


@dataclass(frozen=True)
class SpotConfig:
    """Listen for enrolled keywords."""

    hop_s: float = option(0.04, at_least=0.02, at_most=1)
    """Time between the ends of two spans of the stream that are looked at."""
    threshold: float | None = option(None, at_least=-1, at_most=1)
    """Similarity that counts as a hit, for all keywords; without it, the one stored with each keyword."""
    hold_s: float = option(0.12, at_least=0, at_most=60)
    """Wait this long after the first hit for a better one before a detection is decided."""
    refractory_s: float = option(0.75, at_least=0, at_most=60)
    """After the peak of a detection, ignore hits of its keyword for this long, and of others that lie on what it lies on."""
    min_level_db: float = option(-60.0, at_least=-200, at_most=0)
    """Don't look at spans whose level (RMS, dB of full scale) is below this."""


@dataclass(frozen=True)
class RawConfig:
    """Audio from standard input or another pipe that has no header to say what it is."""

    rate: int | None = option(None, at_least=1000, at_most=768_000)
    """Sample rate of raw audio from a pipe, in Hz; without it, 16000."""
    channels: int | None = option(None, at_least=1, at_most=64)
    """Channels of raw audio from a pipe, which are averaged; without it, 1."""
    format: Literal["s16", "s32", "f32"] | None = None
    """Samples of raw audio from a pipe, little-endian: integers of 16 or 32 bits, or floats of 32; without it, s16."""


@dataclass(frozen=True)
class ReportConfig:
    """What is done with each detection."""

    json: bool = False
    """Print a JSON object per line instead of lines for people."""
    exec: str | None = None
    """Program and arguments to start at each detection; its values are in environment variables WORDPRINT_…"""
    exec_timeout_s: float = option(30.0, above=0, at_most=86_400, used_by={"exec": True})
    """End a started program that runs longer than this."""


@dataclass(frozen=True)
class MicrophoneConfig:
    """Where `listen` hears, and what it keeps."""

    device: str | None = None
    """Microphone, by its number or a part of its name in --devices; without it, the system's default."""
    save_detections: Path | None = option(None, new=True)
    """Folder for a recording of each detection, with half a second before and after it."""
    save_as: Literal["flac", "wav"] = option("flac", used_by={"save_detections": True})
    """Format of these recordings."""
