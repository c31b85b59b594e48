"""Mistakes remembered: a false alarm becomes a vector that spans must be further from than from the keyword, and what was said
instead a rival that is heard, too; no retraining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import EnrollmentError
from wordprint.goodness import codes_of
from wordprint.model import Model
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.spot.enrollment import Enrollment, Keyword, Mistake, plain_name
from wordprint.spot.expect import threshold_of_same_rate
from wordprint.spot.rivals import rival, with_rivals
from wordprint.spot.shots import Recording, compared, joined, listed, make_shots, read_takes, rounded
from wordprint.spot.spans import likely_duration_s

MOST_MISTAKES = 50
"""Remembered of a keyword; the oldest go."""
SAME_TAKE = 0.995
"""Recordings that are more alike than this hold one take: 35 were to themselves in Ogg and MP3; of 729 takes two were to each
other."""


def add_mistake(enrollment: Enrollment, name: str, vector: NDArray[np.float32], label: str) -> Enrollment:
    """With the span of a false alarm, by its unit vector (D,), remembered."""
    keyword = enrollment.named(name)
    similarity = float((np.array(keyword.prototypes, np.float32) @ vector).max())
    made = Mistake(label, round(similarity, 4), rounded(vector))
    return enrollment.add(replace(keyword, mistakes=(*keyword.mistakes, made)[-MOST_MISTAKES:]))


def add_rival(model: Model, enrollment: Enrollment, name: str, text: str) -> Enrollment:
    """With the keyword told apart from a text that it was taken for. Raises EnrollmentError where the sounds of the keyword aren't
    known, InputError for a text that can't be told apart from it."""
    keyword = enrollment.named(name)
    made = rival(model, keyword, text)
    others = [one for one in keyword.rivals if plain_name(one.text) != plain_name(text)]
    return enrollment.add(replace(keyword, rivals=(*others, made)))


def refuse_own(model: Model, keyword: Keyword, recording: Recording) -> None:
    """Raise EnrollmentError for a recording that the keyword was made of: as a mistake it would be missed from then on."""
    takes, _ = read_takes(model, keyword.keyword, [recording], SAMPLE_RATE)
    alike = [(float(take.vector @ np.array(shot.embedding, np.float32)), shot.name) for take in takes for shot in keyword.shots]
    similarity, shot = max(alike, default=(0.0, ""))
    if similarity > SAME_TAKE:
        name = recording if isinstance(recording, (str, Path)) else "the recording"
        raise EnrollmentError(
            f"{name} is one of the recordings of '{keyword.keyword}' ({shot})",
            expected="a recording in which it is not said",
            remedy="where it isn't said there, enroll the keyword again without it",
        )


def add_shots(
    model: Model, enrollment: Enrollment, name: str, recordings: Sequence[Recording], sample_rate: int = SAMPLE_RATE
) -> Enrollment:
    """With more recordings of a keyword, which was missed in them: shots like those that it was enrolled with.

    Its threshold moves so that false alarms stay as likely as they were.

    Raises EnrollmentError when none can be used.
    """
    keyword = enrollment.named(name)
    takes, rejected = read_takes(model, name, listed(recordings), sample_rate, keyword.shots)
    if not takes:
        raise EnrollmentError(f"no usable recording of '{keyword.keyword}': {'; '.join(rejected)}")
    shots = compared([*keyword.shots, *make_shots(takes, codes_of(keyword.sounds, model.phones))])
    strings = [tuple(phones.split()) for phones in keyword.phones]
    spelled = model.spell(strings) if strings else None
    made = replace(
        keyword,
        prototypes=(rounded(joined(np.array([shot.embedding for shot in shots], np.float32), spelled)),),
        duration_s=round(likely_duration_s([shot.end_s - shot.start_s for shot in shots], strings), 3),
        shots=shots,
        rejected=(*keyword.rejected, *rejected),
        voices=0,
    )
    made = replace(made, threshold=threshold_of_same_rate(model, keyword, made))
    return enrollment.add(with_rivals(model, made, [one.text for one in keyword.rivals]))
