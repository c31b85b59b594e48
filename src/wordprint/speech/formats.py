"""Which files are recordings, by ending; and what to say of those that libsndfile can't read."""

from __future__ import annotations

import shlex
from pathlib import Path

READABLE_SUFFIXES = frozenset((
    ".flac", ".wav", ".wave", ".bwf", ".rf64", ".w64", ".mp1", ".mp2", ".mp3", ".mpga", ".ogg", ".oga", ".opus",
    ".aiff", ".aif", ".aifc", ".au", ".snd", ".caf", ".sph", ".nist", ".gsm", ".vox", ".avr", ".htk", ".iff", ".svx", ".8svx",
    ".16sv", ".ircam", ".sf", ".paf", ".pvf", ".sd2", ".sds", ".voc", ".wve", ".xi",
))  # fmt: skip
"""Lower-case endings of what libsndfile reads; not `.mat`, since Matlab's files are seldom sound."""

FOREIGN_SUFFIXES = frozenset((
    ".m4a", ".m4b", ".mp4", ".mov", ".aac", ".adts", ".webm", ".mka", ".mkv", ".wma", ".asf", ".amr", ".awb", ".3gp", ".3g2",
    ".ac3", ".eac3", ".ape", ".wv", ".mpc", ".spx", ".shn", ".tta", ".ra", ".rm", ".dsf", ".dff", ".avi",
))  # fmt: skip
"""Lower-case endings of sound that libsndfile can't read: found all the same, so that each can be named."""

AUDIO_SUFFIXES = READABLE_SUFFIXES | FOREIGN_SUFFIXES
"""Lower-case endings that count as recordings when a folder is scanned."""

_PREFERRED = (".flac", ".wav")

_SIGNATURES = (
    (4, b"ftyp", "MPEG-4 (AAC or ALAC)"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media"),
    (0, b"#!AMR", "AMR"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"\x0b\x77", "AC-3"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"wvpk", "WavPack"),
    (0, b"MPCK", "Musepack"),
    (0, b"MP+", "Musepack"),
    (0, b"ajkg", "Shorten"),
    (28, b"Speex   ", "Speex"),
    (0, b".RMF", "RealMedia"),
)
"""(offset, bytes, name) at the beginning of such files, whatever they are called."""


def rank(suffix: str) -> int:
    """Lossless first where one recording is there in several formats, and last what can't be read."""
    suffix = suffix.lower()
    if suffix in _PREFERRED:
        return _PREFERRED.index(suffix)
    return len(_PREFERRED) + (suffix in FOREIGN_SUFFIXES)


def foreign_format(path: str | Path, head: bytes) -> str:
    """The name of a format that libsndfile can't read, by the first 1 KB of a file, else by its ending; or nothing."""
    for offset, signature, name in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return name
    if head.startswith(b"NIST_1A") and b"shorten" in head[:1024]:
        return "NIST SPHERE compressed with Shorten"
    suffix = Path(path).suffix.lower()
    return suffix[1:].upper() if suffix in FOREIGN_SUFFIXES else ""


def conversion(path: str | Path) -> str:
    """The command that makes a FLAC of it."""
    return f"convert it: ffmpeg -i {shlex.quote(str(path))} {shlex.quote(str(Path(path).with_suffix('.flac')))}"
