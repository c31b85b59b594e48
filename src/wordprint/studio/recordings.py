"""The recordings that keywords are made of: what is uploaded, checked, and the folder that keeps it beside the enrollment."""

from __future__ import annotations

import re
import secrets
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, disk_errors
from wordprint.speech.audio import SAMPLE_RATE, read_audio, write_audio

LONGEST_S = 30.0
"""A recording of one keyword is never longer; the speech in it is limited by enrollment."""
_LONGEST_NAME = 60
"""Letters of the keyword in a file's name."""


def decode(content: bytes, name: str) -> NDArray[np.float32]:
    """(N,) samples at 16 kHz of a file in any format that libsndfile reads; raises AudioError, which calls it `name`."""
    file = BytesIO(content)
    file.name = name
    samples = read_audio(file, 0.0, LONGEST_S + 1)
    if len(samples) > LONGEST_S * SAMPLE_RATE:
        raise AudioError(
            f"{name} is longer than {LONGEST_S:g} s",
            expected="one recording of the keyword, up to 3 s of speech",
            reason="too_long",
        )
    return samples


class Recordings:
    """Files FOLDER/KEYWORD-….flac; the folder is made with the first of them."""

    def __init__(self, enrollment: Path) -> None:
        self.folder = enrollment.with_name(f"{enrollment.stem}_recordings")
        self._beside = enrollment.parent

    def keep(self, keyword: str, samples: NDArray[np.float32]) -> Path:
        """The file that (N,) samples at 16 kHz were written to, 16-bit FLAC."""
        name = re.sub(r"\W+", "-", keyword).strip("-")[:_LONGEST_NAME] or "keyword"
        path = self.folder / f"{name}-{secrets.token_hex(4)}.flac"
        with disk_errors(path):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_audio(path, samples)
        return path

    def find(self, recording: str) -> Path | None:
        """The file that an enrollment calls so, as it stands or beside the enrollment; None where it isn't on this machine."""
        found = (path for path in (Path(recording), self._beside / recording) if path.is_file())
        return next(found, None)

    def forget(self, recording: str) -> None:
        """Delete a file of this folder; one that lies elsewhere is the user's own and stays."""
        path = self.find(recording)
        if path is not None and path.resolve().parent == self.folder.resolve():
            with disk_errors(path):
                path.unlink()
