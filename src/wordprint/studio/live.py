"""One page's live audio: similarities and detections as it comes, and what was heard around each detection."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, WordprintError
from wordprint.records import Detection
from wordprint.speech.audio import SAMPLE_RATE, to_float32, to_int16
from wordprint.speech.trim import contrast_db, find_all_speech
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.shots import FLAT_DB, MAX_SPEECH_S, SHORT_S, SILENT_DB
from wordprint.spot.source import Feed
from wordprint.studio.session import Session, same_but_thresholds

RATES_HZ = (8_000, 192_000)
AROUND_S = 0.5
"""Kept before and after a detection."""
_MEMORY_S = 12.0
"""Audio that a stream remembers; a detection lies within it."""
MISSED_S = 6.0
"""A keyword that was missed is looked for in so much of the latest audio."""
_BESIDE_S = 0.25
"""Kept on both sides of it: enough to tell its background, too little for other speech."""
_MOST = 100
"""Detections that are kept; the oldest goes first."""

Event = dict[str, Any]
"""What a page is told, as JSON has it."""


@dataclass(slots=True)
class Heard:
    """A detection with the audio around it, 16 kHz; `audio` grows until `until`, in samples of its stream."""

    number: int
    detection: Detection
    threshold: float
    at: str
    until: int
    audio: NDArray[np.int16] = field(repr=False)
    corrected: bool = False
    """Whether a person said that it was wrong."""

    def described(self) -> Event:
        """What the page lists; `at` is when it was heard, by this machine's clock."""
        found = self.detection
        return {
            "number": self.number,
            "keyword": found.keyword,
            "onset_s": found.onset_s,
            "offset_s": found.offset_s,
            "time_s": found.time_s,
            "similarity": found.similarity,
            "threshold": self.threshold,
            "at": self.at,
            "corrected": self.corrected,
        }


class Detections:
    """The latest detections of all streams, oldest first, in memory only."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._heard: deque[Heard] = deque(maxlen=_MOST)

    def add(self, detection: Detection, threshold: float, until: int, audio: NDArray[np.int16]) -> Heard:
        """Keep one; its audio so far may be extended by its stream."""
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        heard = Heard(next(self._numbers), detection, round(threshold, 4), now, until, audio)
        self._heard.append(heard)
        return heard

    def described(self) -> list[Event]:
        return [heard.described() for heard in tuple(self._heard)]

    def restore(self, keyword: str) -> None:
        """The corrections of a keyword were taken back."""
        for heard in tuple(self._heard):
            heard.corrected &= heard.detection.keyword != keyword

    def find(self, number: int) -> Heard:
        """Raises AudioError for one that is no longer kept."""
        for heard in tuple(self._heard):
            if heard.number == number:
                return heard
        raise AudioError(f"detection {number} is no longer kept", expected=f"one of the latest {_MOST}", reason="missing_audio")


class Live:
    """A stream of 16-bit mono at `sample_rate` Hz. It follows the session: keywords and thresholds may change while it goes on.

    Raises AudioError for a rate that no microphone has.
    """

    def __init__(self, session: Session, detections: Detections, sample_rate: int) -> None:
        least, most = RATES_HZ
        if not least <= sample_rate <= most:
            raise AudioError(f"rate {sample_rate} Hz", expected=f"{least} to {most}", reason="bad_audio")
        self.sample_rate = sample_rate
        self._session, self._detections = session, detections
        self._feed = Feed(sample_rate, 1)
        self._memory: deque[NDArray[np.int16]] = deque()
        self._heard = self._remembered = 0  # samples of the stream, and those of them that are in memory
        self._growing: list[Heard] = []
        self._begin(session.enrollment)

    def hear(self, content: bytes) -> list[Event]:
        """What the next samples bring, little-endian; raises AudioError for bytes that end inside a sample."""
        if len(content) % 2:
            raise AudioError(f"{len(content)} bytes of audio", expected="whole samples of 2 bytes", reason="bad_audio")
        return self._follow(self._feed.push(to_float32(np.frombuffer(content, "<i2"))[:, None]))

    def skip(self, samples: int) -> list[Event]:
        """Audio that was dropped, at the stream's own rate: time goes on over it as silence."""
        events: list[Event] = []
        for start in range(0, samples, self.sample_rate):
            silence = np.zeros((min(self.sample_rate, samples - start), 1), np.float32)
            events += self._follow(self._feed.push(silence))
        return events

    def missed(self, keyword: str) -> list[Event]:
        """The keyword was just said and not heard: the most prominent speech of the last seconds is one more recording of it."""
        latest = np.concatenate([np.zeros(0, np.int16), *self._memory])[-round(MISSED_S * SAMPLE_RATE) :]
        event: Event = {"type": "missed", "keyword": keyword}
        try:
            known = self._session.enrollment.named(keyword)
            self._session.add_samples(known.keyword, latest_speech(to_float32(latest)), "what was just heard")
        except WordprintError as error:
            event["error"] = str(error)
        return [event]

    def end(self) -> list[Event]:
        """The stream has ended: what its last moments bring."""
        events = self._follow(self._feed.push(np.zeros((0, 1), np.float32), last=True))
        if self._enrollment.keywords and self._heard > self._offset:
            events += [self._found(detection) for detection in self._spotter.flush()]
        return events

    def _begin(self, enrollment: Enrollment) -> None:
        self._enrollment = enrollment
        self._spotter = self._session.spotter(enrollment)
        self._offset = self._heard

    def _follow(self, samples: NDArray[np.float32]) -> list[Event]:
        """The events of (N,) samples at 16 kHz, after any change of the keywords."""
        enrollment = self._session.enrollment
        if enrollment is not self._enrollment:
            if same_but_thresholds(self._enrollment, enrollment):
                for keyword in enrollment.keywords:
                    self._spotter.set_threshold(keyword.keyword, keyword.threshold)
                self._enrollment = enrollment
            else:
                self._begin(enrollment)
        self._remember(to_int16(samples))
        if not enrollment.keywords:
            return []
        looks: list[tuple[float, list[float | None]]] = []
        events: list[Event] = []
        for look, detection in self._spotter.steps(samples):
            values = [round(float(value), 4) if np.isfinite(value) else None for value in look.similarities]
            looks.append((round((self._offset + look.end_sample) / SAMPLE_RATE, 3), values))
            if detection is not None:
                events.append(self._found(detection))
        if looks:
            names = [keyword.keyword for keyword in enrollment.keywords]
            events.insert(0, {"type": "looks", "keywords": names, "looks": looks})
        return events

    def _remember(self, samples: NDArray[np.int16]) -> None:
        self._memory.append(samples)
        self._heard += len(samples)
        self._remembered += len(samples)
        while self._remembered - len(self._memory[0]) > _MEMORY_S * SAMPLE_RATE:
            self._remembered -= len(self._memory.popleft())
        for heard in self._growing:
            wanted = heard.until - (self._heard - len(samples))
            heard.audio = np.concatenate([heard.audio, samples[: max(0, wanted)]])
        self._growing = [heard for heard in self._growing if heard.until > self._heard]

    def _found(self, found: Detection) -> Event:
        """Keep a detection, its times counted from the stream's beginning."""
        shift_s = self._offset / SAMPLE_RATE
        moved = Detection(
            keyword=found.keyword,
            onset_s=round(found.onset_s + shift_s, 3),
            offset_s=round(found.offset_s + shift_s, 3),
            time_s=round(found.time_s + shift_s, 3),
            similarity=found.similarity,
        )
        first = max(0, round((moved.onset_s - AROUND_S) * SAMPLE_RATE))
        until = round((moved.offset_s + AROUND_S) * SAMPLE_RATE)
        start = self._heard - self._remembered
        audio = np.concatenate(self._memory)[max(0, first - start) : max(0, until - start)].copy()
        threshold = self._enrollment.named(moved.keyword).threshold
        heard = self._detections.add(moved, threshold, until, audio)
        if until > self._heard:
            self._growing.append(heard)
        return {"type": "detection", **heard.described()}


def latest_speech(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The most prominent speech in (N,) samples that a keyword can be, with a little around it; raises AudioError for none."""
    audible = len(samples) > SHORT_S * SAMPLE_RATE and contrast_db(samples) >= FLAT_DB
    for speech in find_all_speech(samples) if audible else []:
        if speech.level_db >= SILENT_DB and SHORT_S <= speech.duration_s <= MAX_SPEECH_S:
            beside = round(_BESIDE_S * SAMPLE_RATE)
            return samples[max(0, speech.start_sample - beside) : speech.end_sample + beside]
    seen = f"no speech was found in the last {MISSED_S:g} s"
    raise AudioError(seen, remedy="say the keyword, then press at once", reason="no_speech")
