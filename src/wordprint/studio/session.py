"""What the page does with keywords, and the one module here that knows how they are enrolled.

A session holds a model and an enrollment file, which is written at each change and read again when another program has
changed it. Its methods may be called from several threads.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import AudioError, EnrollmentError, InputError, kind_of
from wordprint.model import Model
from wordprint.speech.audio import read_audio
from wordprint.spot.best import best_spans
from wordprint.spot.correct import add_mistake
from wordprint.spot.enrollment import Enrollment, Keyword, Shot
from wordprint.spot.expect import threshold_of_same_rate
from wordprint.spot.options import SpotConfig
from wordprint.spot.pronounce import as_text, looked_up, pronounce
from wordprint.spot.stream import Spotter
from wordprint.spot.verdict import verdict
from wordprint.studio.recordings import Recordings, decode


class Session:
    """Keywords of the file `path`, which need not exist yet. Raises WordprintError where it can't be used with the model."""

    def __init__(self, model: Model, path: str | Path, config: SpotConfig = SpotConfig()) -> None:
        self.model, self.path, self.config = model, Path(path), config
        self.recordings = Recordings(self.path)
        self._lock = RLock()
        self._enrollment = Enrollment(model.name, model.digest)
        self._seen: tuple[int, int] | None = None
        self._verdicts: dict[str, tuple[Keyword, dict[str, Any]]] = {}
        if self.path.exists() and not self.path.is_file():
            raise InputError(kind_of(self.path), expected="an enrollment to write or add to", remedy="name a file ending in .json")
        self.refresh()

    @property
    def enrollment(self) -> Enrollment:
        """The keywords as they are now; another object after each change."""
        return self._enrollment

    def refresh(self) -> None:
        """Read the file again if another program has written it; one that was deleted is written again at the next change."""
        with self._lock:
            state = _state(self.path)
            if state is not None and state != self._seen:
                self._enrollment = self.spotter(Enrollment.load(self.path)).enrollment
                self._seen = state

    def spotter(self, enrollment: Enrollment | None = None) -> Spotter:
        """A stream of its own that listens for all keywords."""
        return Spotter(self.model, self._enrollment if enrollment is None else enrollment, self.config)

    def add_recording(self, keyword: str, content: bytes, name: str = "the recording") -> list[str]:
        """Enroll the keyword from the recordings that it has and this file of audio; what there is to say about them.

        Raises AudioError or EnrollmentError, and changes nothing, where this recording can't be used, or the others aren't here.
        """
        return self.add_samples(keyword, decode(content, name), name)

    def add_samples(self, keyword: str, samples: NDArray[np.float32], name: str) -> list[str]:
        """The same with (N,) samples at 16 kHz."""
        with self._lock:
            self.refresh()
            keyword = self._name(keyword)
            earlier = self._files(keyword)
            kept = self.recordings.keep(keyword, samples)
            try:
                made = self._enrolled(keyword, [*earlier, kept], self._phones(keyword))
                if str(kept) not in [shot.recording for shot in made.named(keyword).shots]:
                    why = next((line for line in made.named(keyword).rejected if str(kept) in line), "it can't be used")
                    raise AudioError(why)
            except (AudioError, EnrollmentError) as error:
                self.recordings.forget(str(kept))
                raise type(error)(str(error).replace(str(kept), name), reason=error.reason) from error
            except BaseException:
                self.recordings.forget(str(kept))
                raise
            self._save(made)
            return made.named(keyword).warnings

    def spell(self, keyword: str, phones: str = "") -> list[str]:
        """Enroll the keyword from how it is pronounced ("L AY T", several with commas between), and from its recordings where it
        has some; without phones, from its spelling. What there is to say about it.
        """
        with self._lock:
            self.refresh()
            keyword = self._name(keyword)
            files = self._files(keyword)
            if not phones and files:  # enrollment looks up what has no recordings only
                phones = ", ".join(as_text(pronounce(keyword)[0]))
            made = self._enrolled(keyword, files, phones or None)
            self._save(made)
            return made.named(keyword).warnings

    def remove_recording(self, keyword: str, recording: str) -> None:
        """Enroll the keyword from its other recordings; the last one can't go unless it was typed as well. A file that was recorded
        here is deleted."""
        with self._lock:
            self.refresh()
            self._require(keyword, recording)
            keyword, phones = self._name(keyword), self._phones(keyword)
            others = self._files(keyword, without=recording)
            if not others and phones is None:
                raise EnrollmentError(f"it is the only recording of '{keyword}'", remedy="remove the keyword")
            self._save(self._enrolled(keyword, others, phones))
            self.recordings.forget(recording)

    def remove_keyword(self, keyword: str) -> None:
        """Forget a keyword, and delete those of its recordings that were made here."""
        with self._lock:
            self.refresh()
            gone = self._enrollment.named(keyword)
            self._save(self._enrollment.without(keyword))
            for shot in gone.shots:
                self.recordings.forget(shot.recording)

    def set_threshold(self, keyword: str, threshold: float) -> None:
        """The similarity (-1 to 1) from which it is a hit."""
        with self._lock:
            self.refresh()
            self._save(self._enrollment.with_threshold(keyword, threshold))

    def correct(self, keyword: str, samples: NDArray[np.float32], label: str) -> None:
        """The keyword was not said in (N,) samples at 16 kHz: what is most like it there is taken for it less easily."""
        with self._lock:
            self.refresh()
            alone = replace(self._enrollment, keywords=(self._enrollment.named(keyword),))
            (best,) = best_spans(self.model, alone, samples)
            self._save(add_mistake(self._enrollment, keyword, best.vector, label))

    def forget_mistakes(self, keyword: str) -> None:
        """Take all corrections of a keyword back."""
        with self._lock:
            self.refresh()
            self._save(self._enrollment.add(replace(self._enrollment.named(keyword), mistakes=())))

    def audio(self, keyword: str, recording: str) -> NDArray[np.float32]:
        """(N,) samples at 16 kHz of one of a keyword's recordings; raises AudioError where it isn't on this machine."""
        self._require(keyword, recording)
        path = self.recordings.find(recording)
        if path is None:
            raise AudioError(f"{recording} is not on this machine", reason="missing_audio")
        return read_audio(path)

    def described(self) -> dict[str, Any]:
        """What the page shows, as JSON has it: seconds, dB of full scale, similarities."""
        return {
            "model": self.model.name,
            "file": str(self.path),
            "folder": str(self.recordings.folder),
            "keywords": [self._keyword(keyword) for keyword in self._enrollment.keywords],
        }

    def verdict(self, name: str) -> dict[str, Any]:
        """What to expect of a keyword (`facts`), and what is wrong with it as a whole (`problems`); takes a moment."""
        keyword = self._enrollment.named(name)
        known, said = self._verdicts.get(keyword.keyword, (None, {}))
        if known != keyword:
            found = verdict(self.model, keyword)
            about_shots = {f"{shot.name}: {warning}" for shot in keyword.shots for warning in shot.warnings}
            problems = [_numbered(line, keyword) for line in found.problems if line not in about_shots]
            said = {"problems": [_for_the_page(line) for line in problems], "facts": list(found.facts)}
            self._verdicts[keyword.keyword] = keyword, said
        return said

    def _keyword(self, keyword: Keyword) -> dict[str, Any]:
        return {
            "keyword": keyword.keyword,
            "threshold": keyword.threshold,
            "duration_s": keyword.duration_s,
            "phones": list(keyword.phones),
            "mistakes": len(keyword.mistakes),
            "shots": [self._shot(shot, keyword) for shot in keyword.shots],
        }

    def _shot(self, shot: Shot, keyword: Keyword) -> dict[str, Any]:
        names = ("recording", "take", "start_s", "end_s", "level_db", "agreement")
        return {
            **{name: getattr(shot, name) for name in names},
            "warnings": [_numbered(warning, keyword) for warning in shot.warnings],
            "here": self.recordings.find(shot.recording) is not None,
        }

    def _enrolled(self, keyword: str, files: list[Path], phones: str | None) -> Enrollment:
        """All keywords, this one made anew; what was corrected stays, and so do the false alarms that its threshold lets pass."""
        spotter = self.spotter()
        if files and phones == ", ".join(as_text(looked_up(keyword, self.model.phones))):
            phones = None  # is looked up again, and counts where the recordings say it
        spotter.enroll(keyword, files, phones=phones)
        old, made = self._enrollment.find(keyword), spotter.enrollment.named(keyword)
        if old is None:
            return spotter.enrollment
        threshold = threshold_of_same_rate(self.model, old, made)
        return spotter.enrollment.add(replace(made, mistakes=old.mistakes, threshold=threshold))

    def _name(self, keyword: str) -> str:
        """The keyword as it is enrolled, or with single spaces."""
        known = self._enrollment.find(keyword)
        return " ".join(keyword.split()) if known is None else known.keyword

    def _phones(self, keyword: str) -> str | None:
        """How a keyword that was typed is pronounced, or None."""
        known = self._enrollment.find(keyword)
        return None if known is None or not known.phones else ", ".join(known.phones)

    def _files(self, keyword: str, without: str = "") -> list[Path]:
        """The files that a keyword was made of; raises EnrollmentError where one isn't here, for it would be lost."""
        known = self._enrollment.find(keyword)
        names = [] if known is None else [shot.recording for shot in known.shots if shot.recording != without]
        files = {name: self.recordings.find(name) for name in names}  # once, however often the keyword is said in it
        if missing := [name for name, file in files.items() if file is None]:
            raise EnrollmentError(
                f"'{keyword}' was enrolled from recordings that are not on this machine ({', '.join(missing)})",
                remedy="put them back, or remove the keyword and record it anew",
                reason="missing_audio",
            )
        return [file for file in files.values() if file is not None]

    def _require(self, keyword: str, recording: str) -> None:
        if recording not in [shot.recording for shot in self._enrollment.named(keyword).shots]:
            raise EnrollmentError(f"'{keyword}' has no recording '{recording}'", reason="unknown_recording")

    def _save(self, enrollment: Enrollment) -> None:
        enrollment.save(self.path)
        self._enrollment, self._seen = enrollment, _state(self.path)


def _numbered(warning: str, keyword: Keyword) -> str:
    """A warning that calls the recordings by their numbers, as the page does, and not by their files."""
    for name in ("name", "recording"):
        for number, shot in reversed(list(enumerate(keyword.shots, start=1))):
            warning = warning.replace(getattr(shot, name), f"recording {number}")
    return warning


def _for_the_page(problem: str) -> str:
    """A problem whose remedy is a button and no option."""
    return problem.replace(" (say it with --phones)", ": say how it sounds below")


def same_but_thresholds(old: Enrollment, new: Enrollment) -> bool:
    """Whether a stream of the old keywords can go on with the new ones."""
    plain = [[replace(keyword, threshold=0.0) for keyword in enrollment.keywords] for enrollment in (old, new)]
    return plain[0] == plain[1]


def _state(path: Path) -> tuple[int, int] | None:
    """Tells one content of a file from another."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
