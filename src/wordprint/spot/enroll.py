"""Enroll a keyword: a few recordings or its spelling in, its prototype out, in a small JSON file bound to the model that made it.

    enroll("model.onnx", "lights on", ["a.wav", "b.wav", "c.wav"], "keywords.json")
    enroll("model.onnx", "lights on", [], "keywords.json")       # typed: from its spelling alone

The prototype is the mean of the shots' vectors, normalised again (prototypical networks, Snell et al. 2017); each is the mean
over spans around the speech of the shot, and the vector of the spelling counts as two of them. A typed keyword has a
prototype for each of its pronunciations.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from wordprint.embedding import SpanEmbedder
from wordprint.errors import ConfigError, EnrollmentError, InputError, disk_errors, kind_of
from wordprint.goodness import codes_of
from wordprint.model import Model
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.speech.lexicon import Pronunciation
from wordprint.spot.background import Background
from wordprint.spot.enrollment import Enrollment, Keyword, Shot, tidy_name
from wordprint.spot.expect import default_threshold, expected
from wordprint.spot.options import SpotConfig
from wordprint.spot.pronounce import as_text, looked_up, parse_phones, pronounce
from wordprint.spot.rivals import with_rivals
from wordprint.spot.shots import (
    DOUBTFUL,
    MAX_SPEECH_S,
    UNSAID,
    Recording,
    Take,
    joined,
    listed,
    make_shots,
    mean_shortfall,
    normalised,
    read_takes,
    rounded,
)
from wordprint.spot.spans import likely_duration_s, spelled_duration_s
from wordprint.spot.voices import spoken
from wordprint.stages.manifest import alone_with


def enroll(
    model: Model | str | Path | None,
    keyword: str,
    recordings: Sequence[Recording] = (),
    output: str | Path | None = None,
    config: SpotConfig = SpotConfig(),
    *,
    enrollment: Enrollment | None = None,
    sample_rate: int = SAMPLE_RATE,
    phones: str | None = None,
    recordings_alone: bool = False,
    synthetic_voices: bool = False,
    false_alarms_per_hour: float | None = None,
    background: str | Path | Background | None = None,
) -> Enrollment:
    """Enroll `keyword` from `recordings`, or without any from its spelling, and return all keywords enrolled so far.

    Adds to `enrollment`, else to the file `output` where it exists, and writes the file `output` when it is given.
    `sample_rate` (Hz) is that of recordings given as arrays. A recording that can't be used is left out and named in
    `Keyword.rejected`; EnrollmentError when none can be used. `phones` says how it is pronounced ("L AY T S AA N", several with
    commas between); beside recordings they count as two of them. So does what the lexicon says, where it has all words of
    the keyword and the recordings sound like it, unless `recordings_alone`. With `synthetic_voices` (extra `synthetic`) a typed
    keyword is also what espeak-ng's voices make of its name. Where its sounds are known, it is told apart from its opposites
    ("lights off" of "lights on").

    `config.threshold` is kept with the keyword. Without it, its threshold is the one at which it is expected to fire for nothing
    `false_alarms_per_hour` times in an hour of ordinary speech, by default as often as the model was exported for; or in
    `background`, a recording of the user's surroundings in which the keyword isn't said. EnrollmentError where none makes it so
    rare: nothing would set it off.
    """
    if config.threshold is not None and (false_alarms_per_hour is not None or background is not None):
        other = "background" if false_alarms_per_hour is None else "false_alarms_per_hour"
        raise ConfigError(f"threshold and {other} are both set", expected="one of them: the second sets the first")
    if false_alarms_per_hour is not None and not 0 < false_alarms_per_hour < math.inf:
        raise ConfigError(f"false_alarms_per_hour is {false_alarms_per_hour:g}", expected="a number above 0, such as 0.5")
    engine = model if isinstance(model, Model) else Model(model)
    if output is not None and Path(output).is_dir():
        raise InputError(kind_of(output), expected="an enrollment to write or add to", remedy="name a file: -o keywords.json")
    known = _known(engine, enrollment, output)
    made = make_keyword(
        engine,
        keyword,
        recordings,
        config.threshold or 0.0,
        sample_rate,
        phones=phones,
        recordings_alone=recordings_alone,
        synthetic_voices=synthetic_voices,
    )
    made = _with_mistakes(known, made)
    if config.threshold is None:
        made = _with_threshold(engine, made, false_alarms_per_hour, background)
    if output is None:
        return _added(engine, known, made)
    with disk_errors(output):
        Path(output).parent.mkdir(parents=True, exist_ok=True)
    with alone_with(output):  # what others have enrolled meanwhile stays
        known = _added(engine, _known(engine, enrollment, output), made)
        known.save(output)
    return known


def _with_mistakes(known: Enrollment, made: Keyword) -> Keyword:
    """A keyword made anew, which what was corrected before still isn't."""
    old = known.find(made.keyword)
    return made if old is None else replace(made, mistakes=old.mistakes)


def _added(model: Model, known: Enrollment, made: Keyword) -> Enrollment:
    """With a keyword made anew, which is told apart from what it was told apart from before, too."""
    old = known.find(made.keyword)
    return known.add(with_rivals(model, _with_mistakes(known, made), [] if old is None else [one.text for one in old.rivals]))


def _known(model: Model, enrollment: Enrollment | None, output: str | Path | None) -> Enrollment:
    """The keywords that another is added to, those of the file `output` where no `enrollment` is given."""
    if enrollment is not None:
        enrollment.check(model)
        return enrollment
    if output is None or not Path(output).exists():
        return Enrollment(model.name, model.digest)
    found = Enrollment.load(output)
    found.check(model, str(output))
    return found


def _with_threshold(model: Model, keyword: Keyword, per_hour: float | None, background: str | Path | Background | None) -> Keyword:
    """Raises EnrollmentError where the threshold would have to be 1, which nothing reaches: of noise, or of "the"."""
    threshold = _threshold(model, keyword, per_hour, background)
    if threshold >= 1:
        asked = model.false_alarms_per_hour if per_hour is None else per_hour
        listen = "listen to its recordings; if they hold it, " if keyword.shots else ""
        raise EnrollmentError(
            f"no threshold makes '{keyword.keyword}' rare enough (at most {asked:g} an hour): too much sounds just like it",
            expected="a keyword that differs from what else is heard",
            remedy=f"{listen}take a longer one, or bear more with --false-alarms-per-hour",
        )
    return replace(keyword, threshold=threshold)


def _threshold(model: Model, keyword: Keyword, per_hour: float | None, background: str | Path | Background | None) -> float:
    ordinary = expected(model, keyword)
    if background is not None:
        surroundings = background if isinstance(background, Background) else Background(background)
        heard = surroundings.heard(model, keyword, per_hour)
        known = -1.0 if ordinary is None or heard.tells else ordinary.threshold(heard.asked)
        return max(heard.rate.threshold(heard.asked), known)  # that there is none in a minute says little of an hour
    if per_hour is not None and ordinary is None:
        raise ConfigError(
            f"false_alarms_per_hour is {per_hour:g}, but this model was exported without the speech to expect them of",
            remedy="give a recording in which the keyword isn't said: --background my_hour.wav",
        )
    return default_threshold(model, keyword, per_hour)


def make_keyword(
    model: SpanEmbedder,
    keyword: str,
    recordings: Sequence[Recording],
    threshold: float,
    sample_rate: int = SAMPLE_RATE,
    *,
    phones: str | None = None,
    recordings_alone: bool = False,
    synthetic_voices: bool = False,
) -> Keyword:
    """The prototypes of one keyword and the quality of each shot; see `enroll`."""
    name = _checked(keyword, threshold, sample_rate)
    recordings = listed(recordings)
    _agree(name, bool(recordings), phones is not None, recordings_alone, synthetic_voices)
    strings, guessed = _pronounced(model, name, phones, recordings, recordings_alone)
    spelled = model.spell(strings) if strings else None
    shots: tuple[Shot, ...] = ()
    rejected: list[str] = []
    durations_s: list[float] = []
    sounds = strings
    if not recordings and (lasting_s := spelled_duration_s(strings)) > MAX_SPEECH_S:
        raise InputError(f"'{name}' takes about {lasting_s:.1f} s to say", expected=f"a keyword of up to {MAX_SPEECH_S:g} s")
    voices = spoken(model, name) if synthetic_voices else np.zeros((0, model.embedding_size), np.float32)
    if len(voices) and spelled is not None:
        prototypes = [normalised(voices.mean(axis=0) + spelled.mean(axis=0))]
    elif not recordings and spelled is not None:
        prototypes = [normalised(vector) for vector in spelled]
    else:
        takes, rejected = read_takes(model, name, recordings, sample_rate)
        if not takes:
            remedy = f"give one or more recordings of it, each with up to {MAX_SPEECH_S:g} s of speech"
            raise EnrollmentError(f"no usable recording of '{name}': {'; '.join(rejected)}", remedy=remedy)
        durations_s = [take.speech.duration_s for take in takes]
        embeddings = np.stack([take.vector for take in takes])
        if phones is None and spelled is not None and (spelled @ normalised(embeddings.mean(axis=0))).max() < DOUBTFUL:
            strings, spelled = [], None  # the name says something else than the recordings, or they are in another language
        sounds, guessed = (strings, []) if phones is not None or recordings_alone else _said(model, name, takes, strings)
        shots = make_shots(takes, codes_of(as_text(sounds), model.phones))
        prototypes = [joined(embeddings, spelled)]
    return Keyword(
        keyword=name,
        threshold=float(threshold),
        duration_s=round(likely_duration_s(durations_s, strings), 3),
        prototypes=tuple(map(rounded, prototypes)),
        shots=shots,
        phones=as_text(strings),
        sounds=as_text(sounds) if model.reads_phones else (),
        guessed=tuple(guessed),
        rejected=tuple(rejected),
        voices=len(voices),
    )


def _pronounced(
    model: SpanEmbedder, name: str, phones: str | None, recordings: Sequence[Recording], recordings_alone: bool
) -> tuple[list[Pronunciation], list[str]]:
    """Phone strings, those that a person says or the lexicon's, and words whose sound was guessed: only without recordings."""
    if phones is not None:
        return parse_phones(phones, model.phones), []
    if not len(recordings):
        return pronounce(name)
    return ([] if recordings_alone else looked_up(name, model.phones)), []


def _said(
    model: SpanEmbedder, name: str, takes: Sequence[Take], strings: list[Pronunciation]
) -> tuple[list[Pronunciation], list[str]]:
    """The pronunciations that hits are compared with, those given or else a guess, and the words guessed; none where the
    recordings don't say it."""
    guessed: list[str] = []
    if not model.reads_phones:
        return [], []
    if not strings:
        with contextlib.suppress(InputError):  # a name without letters
            strings, guessed = pronounce(name)
            strings = [string for string in strings if set(model.phones).issuperset(string)]
    short = mean_shortfall(takes, codes_of(as_text(strings), model.phones))
    if short is None:
        return [], []
    mean = normalised(np.mean([take.vector for take in takes], axis=0))
    return (strings, guessed) if float((model.spell(strings) @ mean).max()) - short >= UNSAID else ([], [])


def _agree(name: str, recorded: bool, phones: bool, alone: bool, voices: bool) -> None:
    """Raise ConfigError for ways to enroll a keyword that exclude each other."""
    for wrong, seen, wanted in (
        (voices and recorded, "recordings and synthetic voices", "voices for typed keywords alone"),
        (voices and phones, "phones and synthetic voices", "one of them: voices say its name"),
        (alone and phones, "phones, and recordings_alone is set", "one of them"),
        (alone and not recorded, "no recordings, and recordings_alone is set", "recordings, or its spelling"),
    ):
        if wrong:
            raise ConfigError(f"'{name}' has {seen}", expected=wanted)


def _checked(keyword: str, threshold: float, sample_rate: int) -> str:
    """The keyword with single spaces; raises InputError for one that is none, and for numbers that make no sense."""
    name = tidy_name(keyword)
    if os.path.isfile(name):
        raise InputError(
            f"the keyword '{name}' is a file",
            expected="a word or a phrase, then its recordings",
            remedy='say which keyword the recordings hold: wordprint enroll [MODEL.onnx] "lights on" a.wav b.wav c.wav',
        )
    if not -1 <= threshold <= 1:
        raise InputError(f"threshold {threshold}", expected="a cosine similarity from -1 to 1")
    if sample_rate < 1:
        raise InputError(f"sample_rate = {sample_rate}", expected="the rate in Hz of recordings given as arrays")
    return name
