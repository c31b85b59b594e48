"""Some of the keywords of an enrollment, by name, as other programs spell names: `Lights_On` is "lights on"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from wordprint.errors import EnrollmentError
from wordprint.spot.enrollment import Enrollment, plain_name


def choose(enrollment: Enrollment, names: Sequence[str] = ()) -> Enrollment:
    """Only the keywords that `names` name, in the order of their enrollment; all of them without names.

    Case doesn't count, nor whether words are joined by a space, `_` or `-`. Raises EnrollmentError for a name that no
    keyword has, and where nothing is enrolled.
    """
    if not enrollment.keywords:
        raise EnrollmentError("no keyword is enrolled", remedy="enroll one first: 'wordprint enroll'")
    wanted = {plain_name(name): name for name in names}
    known = {plain_name(keyword.keyword): keyword for keyword in enrollment.keywords}
    if unknown := [name for plain, name in wanted.items() if plain not in known]:
        raise EnrollmentError(
            f"no keyword is called {_listed(unknown)}",
            expected=f"{'' if len(known) == 1 else 'some of '}{_listed([keyword.keyword for keyword in enrollment.keywords])}",
            remedy="enroll it with 'wordprint enroll'",
            reason="unknown_keyword",
        )
    return replace(enrollment, keywords=tuple(keyword for plain, keyword in known.items() if not wanted or plain in wanted))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)
