"""Spot enrolled keywords in live audio or in a recording of any length.

    spotter = Spotter(enrollment="keywords.json")
    for detection in spotter.spot("meeting.flac"):
        print(detection.keyword, detection.time_s, detection.similarity)

Every sample is encoded once, in blocks of 120 ms; after each block, spans that end in it are compared with the keywords, in a few
lengths around those of their shots; the length counts whose spans are the most similar on average. Chunks are only ever collected
into blocks, so their size can't change a detection: not its time, and not one bit of its similarity.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, ConfigError, EnrollmentError, InputError
from wordprint.goodness import PAUSE_FRAMES, codes_of, pauses, run_ons, shortfalls
from wordprint.model import Model
from wordprint.records import Detection
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.mix import as_samples
from wordprint.spot.correct import add_mistake, add_rival, add_shots
from wordprint.spot.decide import Decider, Peak
from wordprint.spot.enroll import enroll
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.match import Matcher
from wordprint.spot.microphone import Microphone
from wordprint.spot.options import SpotConfig
from wordprint.spot.shots import Recording
from wordprint.spot.source import Blocks, blocks_of
from wordprint.spot.spans import Grid
from wordprint.spot.verdict import problems_of
from wordprint.stages.options import check

READ_BELOW = 0.25
"""How far below its threshold the phones of a keyword are still read: no hit comes of it, since it takes from similarities, but
they are seen, and rates of false alarms are counted at lower thresholds."""
REMEMBERED = 50
"""Detections that can still be corrected."""


class Look(NamedTuple):
    """What was found when `end_sample` samples of the stream had been heard, among the spans of each keyword that end just now."""

    end_sample: int
    similarities: NDArray[np.float32]
    """(W,) of the best length, on average over its spans; -inf where there was nothing to look at. READ_BELOW a threshold they may
    be too high, as neither phones nor pauses are read."""
    spans: NDArray[np.int64]
    """(W, 2) where the best span of that length begins and ends in the stream, in samples."""
    vectors: NDArray[np.float32]
    """(n, D) of all spans that were looked at."""
    which: NDArray[np.int64]
    """(W,) which of them is that span."""
    rivals: NDArray[np.float32]
    """(R,) what `similarities` are to the rivals of the keywords."""
    rival_spans: NDArray[np.int64]
    """(R, 2)."""

    def vector(self, keyword: int) -> NDArray[np.float32]:
        """The unit vector (D,) of the best span of a keyword."""
        return np.asarray(self.vectors[self.which[keyword]])


class Spotter:
    """Finds enrolled keywords in a stream of 16 kHz mono audio.

    `model` is a Model, an ONNX file, or None for the one that ships with wordprint; `enrollment` an Enrollment or its
    file. A keyword is reported at most `latency_s` after its end: what the encoder looks ahead, a block, and the hold.
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
        file = str(enrollment) if isinstance(enrollment, (str, Path)) else ""
        if enrollment is None:
            enrollment = Enrollment(self.model.name, self.model.digest)
        elif not isinstance(enrollment, Enrollment):
            enrollment = Enrollment.load(enrollment)
        enrollment.check(self.model, file)
        self._enrollment: Enrollment = enrollment
        self._total: int | None = None  # length of the stream, once it has ended
        self._vectors: dict[Detection, NDArray[np.float32]] = {}
        self._candidate_vector = np.zeros(0, np.float32)
        self._frames, self._powers = np.zeros((0, 0), np.float32), np.zeros(0)
        self._hop_frames = max(1, round(config.hop_s * SAMPLE_RATE / self.model.frame_samples))
        self._hold_samples = round(config.hold_s * SAMPLE_RATE)
        self._set_enrollment(enrollment)

    @property
    def enrollment(self) -> Enrollment:
        """The keywords listened for; `enrollment.save(path)` keeps them."""
        return self._enrollment

    @property
    def latency_s(self) -> float:
        """Most seconds from the end of a keyword to its detection, where nothing better follows."""
        frame, block = self.model.frame_samples, self.model.block_samples
        ahead, hop = self.model.delay_frames * frame + block, self._hop_frames * frame
        hold = -(-self._hold_samples // block) * block + (max(0, -(-hop // block) - 1) * block if self._hold_samples else 0)
        return (ahead + hop + hold) / SAMPLE_RATE

    def enroll(
        self,
        keyword: str,
        recordings: Sequence[Recording] = (),
        *,
        sample_rate: int = SAMPLE_RATE,
        phones: str | None = None,
        recordings_alone: bool = False,
        synthetic_voices: bool = False,
        false_alarms_per_hour: float | None = None,
    ) -> list[str]:
        """Add or replace a keyword, from recordings or else from its spelling, and start the stream anew; returns what there is to
        say about it.

        `sample_rate` (Hz) is that of recordings given as arrays; `phones` ("L AY T") is how the keyword is pronounced. Its spelling
        counts beside recordings that sound like it, unless `recordings_alone`. `false_alarms_per_hour` sets its threshold. For
        `synthetic_voices` see `enroll` of this package.
        """
        made = enroll(
            self.model,
            keyword,
            recordings,
            config=self.config,
            enrollment=self._enrollment,
            sample_rate=sample_rate,
            phones=phones,
            recordings_alone=recordings_alone,
            synthetic_voices=synthetic_voices,
            false_alarms_per_hour=false_alarms_per_hour,
        )
        self._set_enrollment(made)
        found = self._enrollment.find(keyword)
        return [] if found is None else problems_of(self.model, found)

    def process(self, chunk: NDArray[np.float32] | NDArray[np.int16]) -> list[Detection]:
        """Detections that the next samples of the stream bring, (N,) or (N, 1), N ≥ 0: float at full scale ±1, or int16.

        Raises InputError for another shape or type and AudioError for samples that are not audio; the stream is then
        as it was before the call.
        """
        return [detection for _, detection in self.steps(chunk) if detection is not None]

    def steps(self, chunk: NDArray[np.float32] | NDArray[np.int16]) -> Iterator[tuple[Look, Detection | None]]:
        """What `process` does, look by look: what `looks` gives of each, and the detection that is decided there, if one is.

        For those who show both; goes on only while it is iterated.
        """
        for look in self.looks(chunk):
            similarities = np.concatenate([look.similarities, look.rivals])
            peak = self._decider.step(look.end_sample, similarities, np.concatenate([look.spans, look.rival_spans]))
            best = peak or self._decider.candidate
            if best is not None and best.end_sample == look.end_sample:
                self._candidate_vector = look.vector(best.keyword)
            yield look, None if peak is None else self._detection(peak)

    def set_threshold(self, keyword: str, threshold: float) -> None:
        """Change the similarity (-1 to 1) from which this keyword is a hit; the stream goes on.

        Raises EnrollmentError for a keyword that isn't enrolled, InputError for another number, ConfigError where
        `config.threshold` holds for all.
        """
        if self.config.threshold is not None:
            seen = f"config.threshold {self.config.threshold:g} holds for all keywords"
            raise ConfigError(seen, remedy="leave it out")
        self._enrollment = self._enrollment.with_threshold(keyword, threshold)
        self._decider.set_thresholds(*self._thresholds())

    def correct(self, detection: Detection, said: str | None = None) -> None:
        """The detection was wrong: what sounds so is taken for its keyword less easily, and is told apart from what was `said`, if
        that is known. The stream goes on.

        Raises InputError for a detection that this spotter has not made, or made too long ago, and for a text that can't be told
        apart; EnrollmentError where the sounds of the keyword aren't known.
        """
        vector = self._vectors.get(detection)
        if vector is None:
            raise InputError(f"no such detection of '{detection.keyword}' is remembered", expected=f"one of the last {REMEMBERED}")
        known = self._enrollment if said is None else add_rival(self.model, self._enrollment, detection.keyword, said)
        self._enrollment = add_mistake(known, detection.keyword, vector, f"live at {detection.time_s:g} s")
        self._go_on()

    def missed(self, keyword: str, recordings: Sequence[Recording], *, sample_rate: int = SAMPLE_RATE) -> list[str]:
        """The keyword was said in `recordings`, and not found: more shots of it. The stream goes on; returns what there is to say.

        `sample_rate` (Hz) is that of recordings given as arrays. Raises EnrollmentError where none can be used.
        """
        self._enrollment = add_shots(self.model, self._enrollment, keyword, recordings, sample_rate)
        self._go_on()
        return problems_of(self.model, self._enrollment.named(keyword))

    def looks(self, chunk: NDArray[np.float32] | NDArray[np.int16]) -> Iterator[Look]:
        """What `process` decides on: a look for each block that the next samples complete, and in which spans end.

        Decides nothing; a stream is given to one of the two.
        """
        samples = as_samples(chunk, "the chunk")
        self._require_keywords()
        used, block = 0, len(self._pending)
        while used < len(samples):
            piece = samples[used : used + block - self._filled]
            self._pending[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            used += len(piece)
            if self._filled == block and (look := self._look()) is not None:
                yield look

    def flush(self) -> list[Detection]:
        """The stream has ended: the detections that its last moments bring, as if silence followed; then start anew."""
        self._require_keywords()
        detections = self.process(self._silence_after())
        peak = self._decider.finish()
        detections += [] if peak is None else [self._detection(peak)]
        self.reset()
        return detections

    def looks_in(self, samples: NDArray[np.float32] | NDArray[np.int16]) -> Iterator[Look]:
        """The looks of a whole recording, a stream of its own: what `spot` decides on."""
        self.reset()
        yield from self.looks(samples)
        yield from self.looks(self._silence_after())
        self.reset()

    def _silence_after(self) -> NDArray[np.float32]:
        """The stream has ended: what must follow for spans that have their middle in it to be looked at."""
        self._total = self._looked + self._filled
        after = self._longest_samples // 2 + (self.model.delay_frames + 1) * self.model.frame_samples + len(self._pending)
        return np.zeros(after, np.float32)

    def reset(self) -> None:
        """Forget the audio heard so far; time starts again at 0."""
        self._frames, self._powers = self._silent()
        self._state = self.model.silent_state
        self._pending = np.zeros(self.model.block_samples, np.float32)
        self._filled = 0
        self._looked = 0
        self._total = None
        self._decider.reset()

    def _silent(self) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """What is kept of a stream in which nothing was heard: frames, and powers, the newest of which are of frames to come."""
        return np.tile(self.model.silence, (self._kept_frames, 1)), np.zeros(self._kept_frames + self.model.delay_frames)

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
        thresholds, owners = self._thresholds()
        refractory_samples = round(self.config.refractory_s * SAMPLE_RATE)
        self._decider = Decider(thresholds, refractory_samples=refractory_samples, hold_samples=self._hold_samples, owners=owners)
        self._compare()
        self.reset()

    def _go_on(self) -> None:
        """Listen for the keywords as they are now in the stream as it is."""
        self._decider.set_thresholds(*self._thresholds())
        self._compare()
        frames, powers = self._silent()  # before what was kept, where longer spans begin there
        self._frames = np.concatenate([frames, self._frames])[-len(frames) :]
        self._powers = np.concatenate([powers, self._powers])[-len(powers) :]

    def _thresholds(self) -> tuple[list[float], tuple[int, ...]]:
        """Of the keywords, and whose each rival is."""
        override = self.config.threshold
        thresholds = [keyword.threshold if override is None else override for keyword in self._enrollment.keywords]
        return thresholds, self._enrollment.listened()[1]

    def _compare(self) -> None:
        """Compare spans with the keywords and their rivals as they are now, in their lengths, from the next block on."""
        listened, _ = self._enrollment.listened()
        self._matcher = Matcher(listened)
        self._sounds = [codes_of(keyword.sounds, self.model.phones) for keyword in listened]
        frame, lengths = self.model.frame_samples, self._matcher.lengths_s * SAMPLE_RATE
        self._longest_samples = math.ceil(lengths.max(initial=0.0))
        fresh = self.model.block_samples // frame
        self._kept_frames = self._longest_samples // frame + fresh + 4 + PAUSE_FRAMES
        lowest = 10 ** (self.config.min_level_db / 10)
        self._grids = [
            Grid.of(self._kept_frames, fresh, self._hop_frames, lengths / frame, lowest, at) for at in range(self._hop_frames)
        ]

    def _look(self) -> Look | None:
        """One look, at the end of a whole block; None where no span ends in it."""
        frame = self.model.frame_samples
        (frames,), self._state = self.model.step(self._pending[None], self._state)
        fresh = len(frames)
        pieces = self._pending.reshape(fresh, frame).astype(np.float64)
        powers = np.einsum("ij,ij->i", pieces, pieces) / frame - pieces.mean(axis=1) ** 2  # an offset is no sound
        for kept, new in ((self._frames, frames), (self._powers, powers)):
            kept[:-fresh] = kept[fresh:]
            kept[-fresh:] = new
        self._looked += len(self._pending)
        self._filled = 0
        newest = self._looked // frame - 1 - self.model.delay_frames  # number of the newest frame in the stream
        first = newest - len(self._frames) + 1
        grid = self._grids[newest % self._hop_frames]
        if not len(grid.spans):
            return None
        heard = self._heard(grid, first)
        if not heard.any():
            none = np.zeros((len(self._sounds), 2), np.int64)
            return self._seen(np.full(len(none), -np.inf, np.float32), none, np.zeros((0, 0), np.float32), none[:, 0])
        vectors = self.model.pool(self._frames, grid.spans * (frame / SAMPLE_RATE))
        similarities, which = self._matcher.best(vectors, heard)
        spans = grid.spans[which]
        self._check(similarities, spans)
        return self._seen(similarities, np.rint((spans + first) * frame).astype(np.int64), vectors, which)

    def _seen(
        self, similarities: NDArray[np.float32], spans: NDArray[np.int64], vectors: NDArray[np.float32], which: NDArray[np.int64]
    ) -> Look:
        """What was found of the keywords and then of their rivals."""
        count = len(self._enrollment.keywords)
        return Look(self._looked, similarities[:count], spans[:count], vectors, which[:count], similarities[count:], spans[count:])

    def _check(self, similarities: NDArray[np.float32], spans: NDArray[np.float64]) -> None:
        """Take from the similarities (W,) that are hits or READ_BELOW what sound before their spans (W, 2), in frames kept, costs,
        and then what the phones there are unlike the keywords' (wordprint.goodness)."""
        scores = self.model.phones_of(self._frames)
        if scores is None or not len(near := self._near(similarities)):
            return
        similarities[near] -= run_ons(pauses(scores), spans[near, 0])
        near = np.array([keyword for keyword in self._near(similarities).tolist() if self._sounds[keyword]], np.int64)
        strings, enough = [self._sounds[keyword] for keyword in near], self._decider.margins(similarities)[near] + READ_BELOW
        similarities[near] -= shortfalls(scores, strings, spans[near], exact_below=enough)

    def _near(self, similarities: NDArray[np.float32]) -> NDArray[np.int64]:
        """Keywords whose similarities are hits or READ_BELOW."""
        return np.flatnonzero(self._decider.margins(similarities) >= -READ_BELOW)

    def _heard(self, grid: Grid, first: int) -> NDArray[np.bool_]:
        """Which spans (n,) have their middle inside the stream, of which frame `first` is the first kept, and are loud enough."""
        middles = (grid.middles + first) * self.model.frame_samples
        inside = (middles >= 0) & (middles <= (math.inf if self._total is None else self._total))
        sums = np.concatenate([[0.0], np.cumsum(self._powers)])
        return np.asarray(inside & (sums[grid.stop] - sums[grid.start] >= grid.least))

    def _detection(self, peak: Peak) -> Detection:
        now = self._looked if self._total is None else min(self._looked, self._total)
        onset_s, offset_s = (place / SAMPLE_RATE for place in peak.span)
        made = Detection(
            keyword=self._enrollment.keywords[peak.keyword].keyword,
            onset_s=round(max(0.0, onset_s), 3),
            offset_s=round(min(offset_s, math.inf if self._total is None else self._total / SAMPLE_RATE), 3),
            time_s=round(now / SAMPLE_RATE, 3),
            similarity=round(peak.similarity, 4),
        )
        self._vectors[made] = self._candidate_vector
        while len(self._vectors) > REMEMBERED:
            del self._vectors[next(iter(self._vectors))]
        return made

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
