"""Spot enrolled keywords in live audio or in a recording of any length.

    spotter = Spotter(enrollment="keywords.json")
    for detection in spotter.spot("meeting.flac"):
        print(detection.keyword, detection.time_s, detection.similarity)

The stream is looked at every `hop_s`, at fixed multiples of it, one window at a time. Chunks are only ever collected
into whole hops, so their size can't change a detection: not its time, and not one bit of its similarity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, ConfigError, EnrollmentError
from wordprint.model import Model
from wordprint.records import Detection
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.mix import as_samples
from wordprint.spot.decide import Decider, Peak
from wordprint.spot.enroll import Recording, enroll
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.microphone import Microphone
from wordprint.spot.options import SpotConfig
from wordprint.spot.source import Blocks, blocks_of
from wordprint.stages.options import check


class Spotter:
    """Finds enrolled keywords in a stream of 16 kHz mono audio.

    `model` is a Model, an ONNX file, or None for the one that ships with wordprint; `enrollment` an Enrollment or its
    file. A keyword is reported `latency_s` after its middle: half a window, so that it is seen whole, and the hold.
    """

    def __init__(
        self,
        model: Model | str | Path | None = None,
        enrollment: Enrollment | str | Path | None = None,
        config: SpotConfig = SpotConfig(),
    ) -> None:
        self.model = model if isinstance(model, Model) else Model(model)
        check(config)
        self.config = config
        where = "the enrollment" if isinstance(enrollment, Enrollment) else str(enrollment)
        if enrollment is None:
            enrollment = Enrollment(self.model.name, self.model.digest)
        elif not isinstance(enrollment, Enrollment):
            enrollment = Enrollment.load(enrollment)
        enrollment.check(self.model, where)
        self._total: int | None = None  # length of the stream, once it has ended
        self._hop_samples = round(config.hop_s * SAMPLE_RATE)
        self._set_enrollment(enrollment)

    @property
    def enrollment(self) -> Enrollment:
        """The keywords listened for; `enrollment.save(path)` keeps them."""
        return self._enrollment

    @property
    def latency_s(self) -> float:
        """Seconds from the middle of a keyword to its detection, for the longest window in use; up to one hop more."""
        return self._history.size / 2 / SAMPLE_RATE + self.config.hold_s

    def enroll(self, keyword: str, recordings: Sequence[Recording], *, sample_rate: int = SAMPLE_RATE) -> list[str]:
        """Add or replace a keyword and start the stream anew; returns what there is to say about the recordings.

        `sample_rate` (Hz) is that of recordings given as arrays.
        """
        made = enroll(self.model, keyword, recordings, None, self.config, enrollment=self._enrollment, sample_rate=sample_rate)
        self._set_enrollment(made)
        name = " ".join(keyword.split())
        return next(found.warnings for found in self._enrollment.keywords if found.keyword == name)

    def process(self, chunk: NDArray[np.float32] | NDArray[np.int16]) -> list[Detection]:
        """Detections that the next samples of the stream bring, (N,) or (N, 1), N ≥ 0: float at full scale ±1, or int16.

        Raises InputError for another shape or type and AudioError for samples that are not audio; the stream is then
        as it was before the call.
        """
        peaks = (self._decider.step(end_sample, similarities) for end_sample, similarities in self.looks(chunk))
        return [self._detection(peak) for peak in peaks if peak is not None]

    def looks(self, chunk: NDArray[np.float32] | NDArray[np.int16]) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """What `process` decides on: where each look ends in the stream, in samples, and the similarity of each keyword (W,) there.

        A similarity is -inf where there was nothing to look at. Decides nothing; a stream is given to one of the two.
        """
        samples = as_samples(chunk, "the chunk")
        self._require_keywords()
        used = 0
        while used < len(samples):
            piece = samples[used : used + self._hop_samples - self._filled]
            self._pending[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            used += len(piece)
            if self._filled == self._hop_samples:
                yield self._look()

    def flush(self) -> list[Detection]:
        """The stream has ended: the detections that its last moments bring, as if silence followed; then start anew."""
        self._require_keywords()
        self._total = self._looked + self._filled
        silence = np.zeros(self._history.size // 2 + self._hop_samples, np.float32)
        detections = self.process(silence)
        peak = self._decider.finish()
        detections += [] if peak is None else [self._detection(peak)]
        self.reset()
        return detections

    def reset(self) -> None:
        """Forget the audio heard so far; time starts again at 0."""
        self._history[:] = 0.0
        self._pending = np.zeros(self._hop_samples, np.float32)
        self._filled = 0
        self._looked = 0
        self._total = None
        self._decider.reset()

    def spot(self, audio: str | Path | NDArray[np.float32]) -> Iterator[Detection]:
        """Detections in a recording of any format and length, or in samples as for `process`, as they are found.

        Memory is constant. `-` is the standard input; it and other pipes hold WAV, or raw 16-bit samples at 16 kHz (else `listen`
        to a `Pipe`). The recording is a stream of its own: what was given to `process` before is forgotten.
        """
        self.reset()
        blocks = blocks_of(audio) if isinstance(audio, (str, Path)) else iter([audio])
        for block in blocks:
            yield from self.process(block)
        if self._looked + self._filled == 0:
            raise AudioError("the audio holds 0 samples", reason="empty_audio")
        yield from self.flush()

    def listen(self, blocks: Blocks | None = None) -> Iterator[Detection]:
        """Detections in live audio as they are made: that of the default microphone (extra `mic`), or `blocks` of another source.

        See wordprint.spot.microphone and wordprint.spot.source. What was given to `process` before is forgotten.
        """
        blocks = Microphone() if blocks is None else blocks  # one that isn't there is told now, not at the first detection
        return self._listen(blocks)

    def _listen(self, blocks: Blocks) -> Iterator[Detection]:
        self.reset()
        for block in blocks:
            yield from self.process(block)
        yield from self.flush()

    def __copy__(self) -> Spotter:
        """A stream of its own: the two hear the same so far, and then each what it is given. The model is shared."""
        return deepcopy(self)

    def _set_enrollment(self, enrollment: Enrollment) -> None:
        self._enrollment = enrollment
        keywords = enrollment.keywords
        override = self.config.threshold
        self._decider = Decider(
            [keyword.threshold if override is None else override for keyword in keywords],
            refractory_samples=round(self.config.refractory_s * SAMPLE_RATE),
            hold_samples=round(self.config.hold_s * SAMPLE_RATE),
        )
        windows = sorted({keyword.window_samples for keyword in keywords}) or [self.model.window_samples]
        self._groups = []
        for window in windows:
            members = [index for index, keyword in enumerate(keywords) if keyword.window_samples == window]
            prototypes = np.array([keywords[index].prototype for index in members], np.float32)
            self._groups.append((window, members, prototypes))
        if self._hop_samples > windows[0]:
            raise ConfigError(f"hop_s = {self.config.hop_s:g}", expected=f"at most the window ({windows[0] / SAMPLE_RATE:g} s)")
        self._history = np.zeros(windows[-1], np.float32)
        self.reset()

    def _look(self) -> tuple[int, NDArray[np.float32]]:
        """One look, at the end of a whole hop."""
        hop = self._hop_samples
        self._history[:-hop] = self._history[hop:]
        self._history[-hop:] = self._pending
        self._looked += hop
        self._filled = 0
        return self._looked, self._similarities()

    def _similarities(self) -> NDArray[np.float32]:
        """(W,) similarity of each keyword to its window that ends now; -inf where there is nothing to look at."""
        similarities = np.full(len(self._enrollment.keywords), -np.inf, np.float32)
        for window_samples, members, prototypes in self._groups:
            middle = self._looked - window_samples // 2
            if middle < 0 or (self._total is not None and middle > self._total):
                continue  # the middle of a keyword lies inside the stream
            window = self._history[-window_samples:]
            if self._power(window) >= 10 ** (self.config.min_level_db / 10):
                similarities[members] = prototypes @ self.model.embed(window[None])[0]
        return similarities

    def _power(self, window: NDArray[np.float32]) -> float:
        """Mean square of a window that ends now, about the mean of what was heard of it: an offset is no sound."""
        after = 0 if self._total is None else max(0, self._looked - self._total)
        heard = window[max(0, len(window) - self._looked) : len(window) - after]
        return float(heard.var(dtype=np.float64)) * len(heard) / len(window)

    def _detection(self, peak: Peak) -> Detection:
        """Onset and offset: the enrolled recordings' median duration around the middle of the best window."""
        keyword = self._enrollment.keywords[peak.keyword]
        middle_s = (peak.end_sample - keyword.window_samples / 2) / SAMPLE_RATE
        now = self._looked if self._total is None else min(self._looked, self._total)
        return Detection(
            keyword=keyword.keyword,
            onset_s=round(max(0.0, middle_s - keyword.duration_s / 2), 3),
            offset_s=round(middle_s + keyword.duration_s / 2, 3),
            time_s=round(now / SAMPLE_RATE, 3),
            similarity=round(peak.similarity, 4),
        )

    def _require_keywords(self) -> None:
        if not self._enrollment.keywords:
            raise EnrollmentError("no keyword is enrolled", remedy="enroll one first: 'wordprint enroll', or Spotter.enroll")


def spot(
    model: Model | str | Path | None,
    enrollment: Enrollment | str | Path,
    audio: str | Path,
    config: SpotConfig = SpotConfig(),
) -> Iterator[Detection]:
    """Detections of the enrolled keywords in a recording, as they are found."""
    yield from Spotter(model, enrollment, config).spot(audio)
