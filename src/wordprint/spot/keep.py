"""A recording of each detection, with half a second before and after it, out of a stream of any length."""

from __future__ import annotations

import re
from collections import deque
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import disk_errors
from wordprint.records import Detection
from wordprint.speech.audio import SAMPLE_RATE, write_audio

AROUND_S = 0.5
_LONGEST_NAME = 60
"""Letters of the keyword in a file's name."""


class DetectionKeeper:
    """Hears a stream, is told of its detections, and writes FOLDER/DATE-TIME-ONSET-KEYWORD.flac for each.

    `reach_s`: how long before the moment it is told of one a detection may begin. Memory is constant. A recording that can't be
    written is counted, with the reason in `failure`; the stream goes on.
    """

    def __init__(self, folder: str | Path, ending: str, reach_s: float) -> None:
        self.folder = Path(folder)
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self.kept = self.failed = 0
        self.failure = ""
        self._ending = ending
        self._reach = round((reach_s + AROUND_S) * SAMPLE_RATE)
        self._blocks: deque[NDArray[np.float32]] = deque()
        self._start = self._heard = 0  # of what is in memory, in samples of the stream
        self._due: list[tuple[Detection, int, int]] = []  # with the first and last sample to write
        self._began = datetime.now()

    def hear(self, block: NDArray[np.float32]) -> None:
        """The next samples of the stream, before the spotter hears them."""
        first = min([self._heard - self._reach, *(first for _, first, _ in self._due)])
        while self._blocks and self._start + len(self._blocks[0]) <= first:
            self._start += len(self._blocks.popleft())
        self._blocks.append(block)
        self._heard += len(block)
        if self._due:
            self._write(self._heard)

    def detected(self, detection: Detection) -> None:
        """Keep the audio of this one, as soon as what follows it has been heard."""
        first = max(0, round((detection.onset_s - AROUND_S) * SAMPLE_RATE))
        self._due.append((detection, first, round((detection.offset_s + AROUND_S) * SAMPLE_RATE)))
        self._write(self._heard)

    def finish(self) -> None:
        """The stream has ended: write what is due with what there is of it."""
        for detection, first, last in self._due:
            self._save(detection, first, last)
        self._due = []

    def _write(self, heard: int) -> None:
        for detection, first, last in [due for due in self._due if due[2] <= heard]:
            self._save(detection, first, last)
        self._due = [due for due in self._due if due[2] > heard]

    def _save(self, detection: Detection, first: int, last: int) -> None:
        samples = np.concatenate(self._blocks)[max(0, first - self._start) : last - self._start]
        keyword = re.sub(r"\W+", "-", detection.keyword).strip("-")[:_LONGEST_NAME]
        name = f"{self._began:%Y%m%d-%H%M%S}-{detection.onset_s:09.2f}-{keyword}.{self._ending}"
        try:
            write_audio(self.folder / name, samples)
            self.kept += 1
        except OSError as error:
            self.failed += 1
            self.failure = error.strerror or str(error)
