"""Commands for those who make keywords: enroll them, correct their mistakes, list, remove, rename and test them."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from json import dumps
from pathlib import Path

from wordprint import pipeline
from wordprint.commands.keywords import first_that_ends
from wordprint.errors import AudioError, ConfigError, EnrollmentError, InputError
from wordprint.model import Model
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.spot.background import Background
from wordprint.spot.best import Best, best_spans
from wordprint.spot.correct import add_mistake, add_rival, add_shots, refuse_own
from wordprint.spot.decide import SAME_END_SAMPLES
from wordprint.spot.enrollment import Enrollment, Keyword, tidy_name
from wordprint.spot.options import SpotConfig
from wordprint.spot.source import is_pipe
from wordprint.spot.verdict import verdict
from wordprint.stages.manifest import alone_with
from wordprint.stages.units import readable_bytes

DEFAULT = Path("keywords.json")


def enroll(
    arguments: tuple[str, ...],
    output: Path,
    threshold: float | None,
    phones: str | None,
    recordings_alone: bool,
    synthetic_voices: bool,
    false_alarms_per_hour: float | None,
    background: Path | None,
    json: bool,
) -> None:
    name, arguments = first_that_ends(".onnx", arguments)
    if not arguments:
        usage = 'wordprint enroll [MODEL.onnx] "lights on" [a.wav b.wav c.wav]'
        raise ConfigError("a keyword is needed, and its recordings where there are some", remedy=usage)
    words = [one for one in arguments[1:] if not Path(one).suffix and not is_pipe(one) and not Path(one).exists()]
    if words and not Path(arguments[0]).exists():
        remedy = f'a keyword of several words needs quotes: wordprint enroll "{arguments[0]} {words[0]}"'
        raise ConfigError(f"there is no recording '{words[0]}'", expected="a keyword, then recordings of it", remedy=remedy)
    if output.suffix.lower() != ".json" and not output.is_dir():
        raise ConfigError(f"{output} doesn't end in .json", expected="a file that other commands know", remedy=f"-o {DEFAULT}")
    model = Model(name)
    before = Enrollment.load(output).find(arguments[0]) if output.is_file() else None
    surroundings = None if background is None else Background(background)
    made = pipeline.enroll(
        model,
        arguments[0],
        arguments[1:],
        output,
        SpotConfig(threshold=threshold),
        phones=phones,
        recordings_alone=recordings_alone,
        synthetic_voices=synthetic_voices,
        false_alarms_per_hour=false_alarms_per_hour,
        background=surroundings,
    )
    keyword = made.named(arguments[0])
    heard = None if surroundings is None else surroundings.heard(model, keyword, false_alarms_per_hour)
    found = verdict(model, keyword, heard)
    if json:
        print(dumps({**found.to_json(), "file": str(output), "replaced": before is not None}, ensure_ascii=False))
        return
    _show(keyword)
    for line in found.problems:
        print(f"note: {line}", file=sys.stderr)
    for line in found.facts:
        print(line)
    where = f"replaces the one before ({_briefly(before)}) in" if before is not None else "→"
    kept = f"; what was corrected {len(keyword.mistakes)} times stays" if keyword.mistakes else ""
    print(f"'{keyword.keyword}' enrolled {_from(keyword)}, threshold {keyword.threshold:.2f} {where} {output}{kept}")


def correct(arguments: tuple[str, ...], missed: bool, said: str | None, threshold: float | None) -> None:
    name, arguments = first_that_ends(".onnx", arguments)
    file, arguments = first_that_ends(".json", arguments)
    if not arguments or (len(arguments) < 2 and (missed or (threshold is None and said is None))):
        usage = (
            'wordprint correct [KEYWORDS.json] "hey archie" false-alarm.wav …, or --said "hey charlie", or missed.wav … --missed'
        )
        raise ConfigError("a keyword and its mistakes are needed: recordings, or what was said", remedy=usage)
    if missed and said is not None:
        raise ConfigError("missed and said are both set", expected="one of them: the keyword was said, or something else")
    path, model = Path(file or DEFAULT), Model(name)
    with alone_with(path):
        enrollment = Enrollment.load(path)
        enrollment.check(model, str(path))
        enrollment, bad = _corrected(model, enrollment, arguments, missed, said, threshold)
        enrollment.save(path)
    if bad:
        raise InputError(f"{bad} of {len(arguments) - 1} recordings could not be used", remedy="see the lines above")


def _corrected(
    model: Model, enrollment: Enrollment, arguments: tuple[str, ...], missed: bool, said: str | None, threshold: float | None
) -> tuple[Enrollment, int]:
    """The enrollment as it is then, and how many false alarms could not be used."""
    keyword, recordings = enrollment.named(arguments[0]), arguments[1:]
    if missed:
        enrollment = add_shots(model, enrollment, keyword.keyword, recordings)
    if said is not None:
        enrollment = add_rival(model, enrollment, keyword.keyword, said)
        print(f"'{keyword.keyword}' is told apart from '{tidy_name(said)}' now")
    if threshold is not None:
        enrollment = enrollment.with_threshold(keyword.keyword, threshold)
    made = enrollment.named(keyword.keyword)
    if (before := f"{keyword.threshold:.2f}") != (now := f"{made.threshold:.2f}"):
        print(f"'{keyword.keyword}': threshold {before} → {now}")
    if not missed:
        return _not(model, enrollment, keyword.keyword, recordings)
    _show_found(model, enrollment, keyword, made)
    known = verdict(model, keyword).problems
    for line in verdict(model, made).problems:
        if line not in known:
            print(f"note: {line}", file=sys.stderr)
    print(f"'{made.keyword}' has {len(made.shots)} recordings now")
    return enrollment, 0


def _show_found(model: Model, enrollment: Enrollment, before: Keyword, now: Keyword) -> None:
    """How similar the recordings are that a keyword got, to it as it was and as it is."""
    for recording in dict.fromkeys(shot.recording for shot in now.shots[len(before.shots) :]):
        was, is_now = best_spans(model, replace(enrollment, keywords=(before, now)), recording)
        print(f"{recording}: similarity {was.similarity:.2f} → {is_now.similarity:.2f} (threshold {now.threshold:.2f})")
        if was.similarity >= before.threshold:
            seen = f"similarity {was.similarity:.2f}, threshold {before.threshold:.2f}"
            print(f"note: {recording} was found already ({seen})", file=sys.stderr)


def _not(model: Model, enrollment: Enrollment, name: str, recordings: tuple[str, ...]) -> tuple[Enrollment, int]:
    """With the best span of each recording remembered as a mistake; and how many could not be used."""
    bad = 0
    for recording in recordings:
        only = replace(enrollment, keywords=(enrollment.named(name),))
        try:
            refuse_own(model, only.keywords[0], recording)
            (best,) = best_spans(model, only, recording)
        except (AudioError, EnrollmentError) as error:
            if len(recordings) == 1:
                raise
            print(f"skipped: {error}", file=sys.stderr)
            bad += 1
            continue
        enrollment = add_mistake(enrollment, name, best.vector, recording)
        keyword = enrollment.named(name)
        (now,) = best_spans(model, replace(enrollment, keywords=(keyword,)), recording)
        print(f"{recording}: similarity {best.similarity:.2f} → {now.similarity:.2f} (threshold {keyword.threshold:.2f})")
        if best.similarity < keyword.threshold:
            print(f"note: {recording} didn't set off '{name}' before either", file=sys.stderr)
        if now.similarity >= keyword.threshold:
            remedy = f"--threshold {min(1.0, math.floor(now.similarity * 100 + 1 + 1e-6) / 100):.2f}"  # the next hundredth
            print(f"note: {recording} still sets off '{name}'; a higher threshold would not: {remedy}", file=sys.stderr)
    return enrollment, bad


def web(arguments: tuple[str, ...], output: Path, onnxruntime_web: Path | None) -> None:
    from wordprint.export.web import write_page

    name, arguments = first_that_ends(".onnx", arguments)
    file, others = first_that_ends(".json", arguments)
    if others:
        raise ConfigError(f"'{others[0]}' is neither a model nor an enrollment", expected="[MODEL.onnx] [KEYWORDS.json]")
    files = write_page(Model(name), Enrollment.load(file or DEFAULT), output, onnxruntime_web=onnxruntime_web)
    size = readable_bytes(sum(path.stat().st_size for path in files))
    print(f"{len(files)} files, {size} → {output}; look at it with: python -m http.server --directory {output}")


def keywords(arguments: tuple[str, ...]) -> None:
    actions = {"list": _list, "remove": _remove, "rename": _rename, "test": _test}
    model, arguments = first_that_ends(".onnx", arguments)
    file, arguments = first_that_ends(".json", arguments)
    action, *names = arguments or ("list",)
    if action not in actions:
        raise ConfigError(f"there is no action '{action}'", expected=f"one of {', '.join(actions)}")
    path = Path(file or DEFAULT)
    with alone_with(path):
        actions[action](path, Enrollment.load(path), names, model)


def _list(path: Path, enrollment: Enrollment, names: list[str], model: str | None) -> None:
    _require(names, 0, "list")
    for keyword in enrollment.keywords:
        mistakes = f", {len(keyword.mistakes)} mistakes corrected" if keyword.mistakes else ""
        apart = f", told apart from {', '.join(one.text for one in keyword.rivals)}" if keyword.rivals else ""
        print(
            f"{keyword.keyword}: {_from(keyword)}, {keyword.duration_s:.2f} s, threshold {keyword.threshold:.2f}{mistakes}{apart}"
        )
    if not enrollment.keywords:
        print(f"no keyword is enrolled in {path}")


def _remove(path: Path, enrollment: Enrollment, names: list[str], model: str | None) -> None:
    _require(names, 1, "remove KEYWORD")
    keyword = enrollment.named(names[0])
    enrollment.without(keyword.keyword).save(path)
    print(f"'{keyword.keyword}' removed from {path}")


def _rename(path: Path, enrollment: Enrollment, names: list[str], model: str | None) -> None:
    _require(names, 2, "rename KEYWORD NEW")
    keyword, new = enrollment.named(names[0]), tidy_name(names[1])
    taken = enrollment.find(new)
    if taken is not None and taken is not keyword:
        raise EnrollmentError(f"'{new}' is the name of another keyword", expected="a name that is free")
    renamed = tuple(replace(word, keyword=new) if word is keyword else word for word in enrollment.keywords)
    replace(enrollment, keywords=renamed).save(path)
    print(f"'{keyword.keyword}' is now '{new}' in {path}")


def _test(path: Path, enrollment: Enrollment, names: list[str], model: str | None) -> None:
    if not names:
        raise ConfigError("no recording was named", remedy="wordprint keywords test RECORDING…")
    engine = Model(model)
    enrollment.check(engine, str(path))
    listened, owners = enrollment.listened()
    bad = 0
    for recording in names:
        try:
            found = best_spans(engine, replace(enrollment, keywords=listened), recording)
        except AudioError as error:
            if len(names) == 1:
                raise
            print(f"skipped: {error}", file=sys.stderr)
            bad += 1
            continue
        count = len(enrollment.keywords)
        rivals = list(zip(owners, listened[count:], found[count:], strict=True))
        for number, (keyword, best) in enumerate(zip(enrollment.keywords, found[:count], strict=True)):
            sign = "≥" if best.similarity >= keyword.threshold else "<"
            place = f"{best.onset_s:.2f}–{best.offset_s:.2f} s"
            nearer = [
                f", but {other.similarity:.2f} '{rival.keyword}'"
                for owner, rival, other in rivals
                if owner == number and other.similarity > max(best.similarity, keyword.threshold) and _ends_with(other, best)
            ]
            print(
                f"{recording}: {keyword.keyword}: {best.similarity:.2f} {sign} {keyword.threshold:.2f} at {place}{''.join(nearer)}"
            )
    if bad:
        raise InputError(f"{bad} of {len(names)} recordings could not be listened to", remedy="see the lines above")


def _ends_with(one: Best, other: Best) -> bool:
    return abs(one.offset_s - other.offset_s) * SAMPLE_RATE <= SAME_END_SAMPLES


def _require(names: list[str], count: int, usage: str) -> None:
    if len(names) != count:
        given = f"{len(names) or 'no'} name{'s' * (len(names) != 1)} after '{usage.split()[0]}'"
        raise InputError(given, expected=f"{count or 'none'}", remedy=f"wordprint keywords [KEYWORDS.json] {usage}")


def _show(keyword: Keyword) -> None:
    """A line for each shot."""
    for shot in keyword.shots:
        noise = "" if shot.snr_db is None else f", background {shot.snr_db:.0f} dB below"
        alike = "" if shot.agreement is None else f", {shot.agreement:.2f} like the others"
        print(f"{shot.name}: speech at {shot.start_s:.2f}–{shot.end_s:.2f} s, {shot.level_db:.0f} dB{noise}{alike}")


def _briefly(keyword: Keyword) -> str:
    return f"{_shots(keyword) if keyword.shots else 'typed'}, threshold {keyword.threshold:.2f}"


def _shots(keyword: Keyword) -> str:
    return f"{len(keyword.shots)} recording{'s' * (len(keyword.shots) != 1)}"


def _from(keyword: Keyword) -> str:
    spelled = " and its spelling" if keyword.phones else ""
    if keyword.shots:
        return f"from {_shots(keyword)}{spelled}"
    voices = f" and said by {keyword.voices} synthetic voices" if keyword.voices else ""
    return f"as typed ({' or '.join(keyword.phones)}){voices}"
