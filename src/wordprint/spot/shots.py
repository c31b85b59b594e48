"""Shots: what a recording of a keyword holds, how good it is, and why another can't be used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.embedding import Encoded, SpanEmbedder
from wordprint.errors import AudioError
from wordprint.goodness import Codes, shortfall_of
from wordprint.speech.audio import SAMPLE_RATE, probe_audio, read_audio, resample
from wordprint.speech.mix import as_samples
from wordprint.speech.trim import Speech, contrast_db, find_all_speech, noise_db
from wordprint.spot.enrollment import Shot, plain_name

MAX_SPEECH_S = 3.0
"""Longest keyword."""
LONGEST_S = 60.0
"""Of a recording: no keyword takes longer, however often it is said in it."""
SHORTEST_S = 0.16
"""Sound shorter than this, 0.12 s of edges included, is no word."""
SHORT_S = 0.2
"""Speech shorter than this, edges included, is likelier a knock than a word."""
SILENT_DB = -55.0
"""A shot whose loudest 50 ms is below this holds no usable speech."""
QUIET_DB = -44.0
"""A shot whose loudest 50 ms is below this is worth telling. Of 96 recordings made so quiet, in 16 bits, the similarity to others
of their keyword was 0.08 less than it had been on average, 0.16 less at -48 dB, 0.03 less at -40; of 1,849 as they are none is."""
CUT_S, CUT_DB = 0.01, 12.0
"""Speech that begins or ends with the recording is cut off there where so much of it is less than this below its loudest 50 ms. Of
1,000 recordings cut in the middle of speech 76 % of the starts and 61 % of the ends are told, and 9 starts and 33 ends of those as
they were made: of these 42 all but 10 were cut off then, by their spectrograms."""
FLAT_DB, STEADY_S = 6.0, 0.6
"""A recording that is all sound, longer than this, and whose loudest part stands out less is steady noise or a tone."""
NOISY_DB = 15.0
"""Noise nearer to the speech than this is worth telling."""
CLIPPED_SHARE = 0.001
"""Share of samples at full scale from which a shot is called clipped."""
UNLIKE = 0.3
"""A shot less similar than this to the mean of the others is most likely another word, or cut off."""
UNALIKE = "unlike the other recordings"
"""How a warning begins that follows from other shots."""
SAME = 0.55
"""Two stretches of one recording that are more alike than this are the same keyword, said twice."""

AGAIN_S, SURELY_SAME, MOST_PARTS = 0.1, 0.7, 10
"""A pause as long as this may lie between two sayings, though longer ones lie inside phrases: between what is so much alike.
Of so many sayings without a longer pause."""

Recording = str | Path | NDArray[np.float32] | NDArray[np.int16]
"""A file in any format, or samples (N,) or (N, 1), float at full scale ±1 or int16."""
SPELLED = 2
"""Shots that the spelling counts as: more helps words cut out of sentences and costs recordings of words."""
DOUBTFUL = 0.35
"""A recording more similar than this to a spelling is of it: of 72 right recordings of known words one was less."""
UNSAID = -0.2
"""Recordings that are less similar to a spelling, less what their phones are unlike it (wordprint.goodness), say something else: of
36 keywords none was, and 88 % of pairs of recordings and another's name were."""


@dataclass(frozen=True)
class Take:
    """One time that a keyword is said in a recording, and the unit vector (D,) of it."""

    label: str
    samples: NDArray[np.float32]
    speech: Speech
    vector: NDArray[np.float32]
    noise_db: float | None
    left_out: tuple[Speech, ...] = ()
    """Other speech in the recording that is not this keyword."""
    take: str = ""
    """Which time it is, of several."""
    scores: NDArray[np.float32] | None = None
    """(T, 1 + P) natural logarithms: what phones its frames have (`SpanEmbedder.phones_in`), where the model reads them."""


def listed(recordings: Sequence[Recording] | Recording) -> list[Recording]:
    """Recordings; one may stand there alone: a file, or samples that follow each other."""
    if isinstance(recordings, (str, Path)):
        return [recordings]
    if isinstance(recordings, np.ndarray) and (recordings.ndim < 2 or recordings.shape[0] > recordings.shape[1]):
        return [recordings]
    return list(recordings)


def read_takes(
    model: SpanEmbedder, name: str, recordings: Sequence[Recording], sample_rate: int, known: Sequence[Shot] = ()
) -> tuple[list[Take], list[str]]:
    """All takes of the keyword in the recordings, and a line for each recording that can't be used, or is one before or `known`."""
    takes: list[Take] = []
    rejected = []
    first = {shot.embedding: shot.recording for shot in known}
    words = plain_name(name).split()
    apart = len(set(words)) == len(words)  # "bye bye" is said once
    for number, recording in enumerate(recordings, start=1):
        label = str(recording) if isinstance(recording, (str, Path)) else f"recording {number}"
        try:
            encoded = Encoded(model, _read(recording, label, sample_rate))
        except AudioError as error:
            rejected.append(str(error))
            continue
        speeches: Sequence[Speech] = find_all_speech(encoded.samples)
        if apart:
            speeches = _apart(encoded, speeches)
        if reason := _unusable(encoded.samples, speeches):
            rejected.append(f"{label} {reason}")
            continue
        found = _takes(label, encoded, speeches)
        if (twin := first.get(vector := rounded(found[0].vector))) is not None:
            rejected.append(f"{label} is the same recording as {twin}: another take is better")
            continue
        first[vector] = label
        takes += found
    return takes, rejected


def mean_shortfall(takes: Sequence[Take], strings: Codes) -> float | None:
    """How badly the takes say the best of phone strings; None of none, or where their phones can't be read."""
    found = [shortfall_of(take.scores, strings) for take in takes if take.scores is not None and strings]
    return float(np.mean(found)) if found else None


def make_shots(takes: Sequence[Take], sounds: Codes = ()) -> tuple[Shot, ...]:
    """Each take as a shot of the keyword, compared with the others and with its sounds."""
    return compared([_shot(take, mean_shortfall([take], sounds)) for take in takes])


def compared(shots: Sequence[Shot]) -> tuple[Shot, ...]:
    """The shots of a keyword with how alike each is to the others, and a warning of one that isn't."""
    found = []
    for shot, agreement in zip(shots, _agreements(np.array([shot.embedding for shot in shots], np.float32)), strict=True):
        warnings = [warning for warning in shot.warnings if not warning.startswith(UNALIKE)]
        if agreement is not None and agreement < UNLIKE:
            warnings.append(f"{UNALIKE} (similarity {agreement:.2f})")
        found.append(replace(shot, agreement=agreement, warnings=tuple(warnings)))
    return tuple(found)


def _read(recording: Recording, label: str, sample_rate: int) -> NDArray[np.float32]:
    """Samples (N,) at SAMPLE_RATE; raises AudioError where there are none, and for more than LONGEST_S before a file is decoded."""
    if isinstance(recording, (str, Path)):
        _require_short(label, probe_audio(recording).duration_s)
        return read_audio(recording)
    samples = as_samples(recording, label)
    if samples.size == 0:
        raise AudioError(f"{label} holds no audio (0 samples)", reason="empty_audio")
    _require_short(label, len(samples) / sample_rate)
    return resample(samples, sample_rate, SAMPLE_RATE)


def _require_short(label: str, duration_s: float) -> None:
    if duration_s > LONGEST_S:
        seen = f"{label} lasts {duration_s:.0f} s, more than {LONGEST_S:g} s"
        raise AudioError(seen, remedy="cut the sayings of the keyword out of it", reason="long_audio")


def _unusable(samples: NDArray[np.float32], speeches: Sequence[Speech]) -> str:
    """Why a recording can't be used, or an empty text."""
    speech = speeches[0]
    if speech.level_db < SILENT_DB:
        return f"is silent (loudest part {speech.level_db:.0f} dB of full scale)"
    if speech.duration_s > MAX_SPEECH_S:
        return f"holds {speech.duration_s:.1f} s of speech, more than {MAX_SPEECH_S:g} s"
    if speech.duration_s < SHORTEST_S:
        return f"holds {speech.duration_s:.2f} s of sound, too little for a word"
    steady = speech.duration_s > max(STEADY_S, 0.9 * len(samples) / SAMPLE_RATE)
    if steady and (contrast := contrast_db(samples)) < FLAT_DB:
        return f"holds no speech that stands out (its loudest part is {contrast:.0f} dB above its quietest)"
    return ""


def _apart(encoded: Encoded, speeches: Sequence[Speech]) -> Sequence[Speech]:
    """The speeches, the most prominent as its parts, where there is a short pause between any two and all are alike."""
    first, samples = speeches[0], encoded.samples
    parts = [part for part in find_all_speech(samples, AGAIN_S) if first.start_sample <= part.start_sample < first.end_sample]
    brief = min(part.duration_s for part in parts) < SHORT_S
    if not 1 < len(parts) <= MOST_PARTS or brief or contrast_db(samples) < FLAT_DB:
        return speeches
    vectors = np.stack([encoded.vector(part) for part in parts])
    return [*parts, *speeches[1:]] if (vectors @ vectors.T).min() > SURELY_SAME else speeches


def _takes(label: str, encoded: Encoded, speeches: Sequence[Speech]) -> list[Take]:
    """The most prominent stretch of speech, and every other that is the same keyword again."""
    whole = [speech for speech in speeches if SHORT_S <= speech.duration_s <= MAX_SPEECH_S] or list(speeches[:1])
    vectors = [encoded.vector(speech) for speech in whole]
    same = [float(vector @ vectors[0]) > SAME for vector in vectors]
    said = sorted((speech.start_sample, number) for number, speech in enumerate(whole) if number == 0 or same[number])
    others = tuple(speech for speech, alike in zip(whole[1:], same[1:], strict=True) if not alike)
    floor = noise_db(encoded.samples, speeches)
    return [
        Take(
            label,
            encoded.samples,
            whole[number],
            vectors[number],
            floor,
            others if place == 1 else (),
            "" if len(said) == 1 else f"{place} of {len(said)}",
            encoded.phones(whole[number]),
        )
        for place, (_, number) in enumerate(said, start=1)
    ]


def _shot(take: Take, shortfall: float | None) -> Shot:
    speech, warnings = take.speech, []
    clipped = float(np.mean(np.abs(take.samples[speech.start_sample : speech.end_sample]) >= 0.999))
    if clipped > CLIPPED_SHARE:
        warnings.append(f"clipped ({clipped:.1%} of the samples at full scale): record it at a lower level")
    if speech.duration_s < SHORT_S:
        warnings.append(f"short: {speech.duration_s:.2f} s of speech")
    if speech.level_db < QUIET_DB:
        warnings.append(f"quiet: its loudest part is at {speech.level_db:.0f} dB of full scale: speak louder or nearer")
    if places := _cut(take):
        seen = f"speech {' and '.join(places)} with the recording and may be cut off"
        warnings.append(f"{seen}: leave half a second of quiet before and after it")
    snr_db = None if take.noise_db is None else round(speech.level_db - take.noise_db, 1)
    if snr_db is not None and snr_db < NOISY_DB:
        warnings.append(f"noisy: the background is only {snr_db:.0f} dB below the speech")
    for other in take.left_out:
        start_s, end_s = other.start_sample / SAMPLE_RATE, other.end_sample / SAMPLE_RATE
        warnings.append(f"other speech at {start_s:.1f}–{end_s:.1f} s is left out")
    return Shot(
        recording=take.label,
        start_s=round(speech.start_sample / SAMPLE_RATE, 3),
        end_s=round(speech.end_sample / SAMPLE_RATE, 3),
        level_db=round(speech.level_db, 1),
        snr_db=snr_db,
        embedding=rounded(take.vector),
        warnings=tuple(warnings),
        take=take.take,
        shortfall=round(shortfall or 0.0, 4),
    )


def _cut(take: Take) -> list[str]:
    """At which ends of the recording the speech seems cut off: `begins`, `ends`."""
    samples, speech, edge = take.samples, take.speech, round(CUT_S * SAMPLE_RATE)
    ends = {"begins": (speech.start_sample == 0, samples[:edge]), "ends": (speech.end_sample == len(samples), samples[-edge:])}
    loud = 10 ** ((speech.level_db - CUT_DB) / 10)
    return [place for place, (there, piece) in ends.items() if there and np.var(piece, dtype=np.float64) > loud]


def _agreements(vectors: NDArray[np.float32]) -> list[float | None]:
    """Similarity of each of (K, D) to the mean of the others; None for a single one."""
    if len(vectors) == 1:
        return [None]
    others = vectors.sum(axis=0) - vectors
    return [round(float(normalised(mean) @ vector), 4) for mean, vector in zip(others, vectors, strict=True)]


def rounded(vector: NDArray[np.float32]) -> tuple[float, ...]:
    """Seven decimals are what float32 holds of a unit vector."""
    return tuple(round(value, 7) for value in vector.tolist())


def joined(embeddings: NDArray[np.float32], spelled: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """The prototype (D,) of shots (n, D) and pronunciations (U, D): of these the one most like the shots counts as SPELLED of
    them."""
    mean = embeddings.mean(axis=0)
    if spelled is not None:
        text = spelled[int(np.argmax(spelled @ mean))]
        mean = np.concatenate([embeddings, np.tile(text, (SPELLED, 1))]).mean(axis=0)
    return normalised(mean)


def normalised(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """(D,) to length 1."""
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector
