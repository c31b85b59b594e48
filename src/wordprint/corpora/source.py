"""Where speech comes from: `PATH`, `KIND:PATH` or `NAME=KIND:PATH`."""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from wordprint.corpora.options import PrepareConfig
from wordprint.corpora.reader import Problem
from wordprint.errors import ConfigError, InputError, kind_of
from wordprint.records import Utterance
from wordprint.stages.parts import find_part

Reader = Callable[[Path, PrepareConfig], Iterator[Utterance | Problem]]

MARKED = ("common_voice", "speech_commands", "lhotse")
"""Layouts that have files of names that no other has, so that one look decides."""

KINDS = ("librispeech", *MARKED, "kaldi", "folder", "metadata")
"""Layouts that are recognised, each the module of its name; 'synthetic' is a kind without a path."""

SYNTHETIC = "synthetic"
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]*)=(.+)", re.DOTALL)
_KIND = re.compile(r"([A-Za-z_]\w+):(.*)", re.DOTALL)  # two letters at least: C:\speech is a path
_FUNCTION = re.compile(r"([A-Za-z_]\w+(?:\.\w+)*:[A-Za-z_]\w*):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Source:
    """One corpus: its `name`, the `kind` of reader (None: find out) and its folder (None for synthetic speech)."""

    name: str
    kind: str | None
    path: Path | None

    def __str__(self) -> str:
        return f"{self.name}={self.kind}:{self.path}" if self.path else f"{self.name}={self.kind}"


def parse_source(text: str) -> Source:
    """Read `PATH`, `KIND:PATH` or `NAME=KIND:PATH`; KIND is one of KINDS or your own `package.module:function`.

    The name defaults to that of the folder. A path that looks like a kind or a name is written with `./` before it.
    Raises ConfigError for an unknown kind or a missing path.
    """
    rest, name = text, ""
    if match := _NAME.fullmatch(text):
        name, rest = match.groups()
    if rest == SYNTHETIC:
        return Source(name or SYNTHETIC, SYNTHETIC, None)
    kind, path = None, rest
    if ((match := _KIND.fullmatch(rest)) and match[1] in KINDS) or (match := _FUNCTION.fullmatch(rest)):
        kind, path = match.groups()
    elif match := _KIND.fullmatch(rest):
        raise _unknown_kind(text, match[1])
    if not path:
        raise ConfigError(f"source '{text}' has no path", expected="PATH, KIND:PATH or NAME=KIND:PATH, or 'synthetic'")
    folder = Path(os.path.abspath(path))
    return Source(name or folder.name or "corpus", kind, folder)


def find_kind(path: Path) -> str:
    """The kind of the corpus at `path`; raises InputError when none or several fit, and says what was looked for."""
    require_folder(path)
    kinds = [kind for kind in MARKED if _module(kind).detect(path)]
    if not kinds:  # others walk the whole folder, which takes its time with a million files
        kinds = [kind for kind in KINDS if _module(kind).detect(path)]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise InputError(
            f"{path} looks like more than one kind of corpus ({', '.join(kinds)})", remedy=f"say which: {kinds[0]}:{path}"
        )
    wanted = "; ".join(f"{kind}: {_module(kind).LAYOUT}" for kind in KINDS)
    raise InputError(f"{path} is no corpus that wordprint knows", expected=f"one of ({wanted})", remedy="or say KIND:PATH")


def load_reader(kind: str) -> Reader:
    """The function that reads corpora of this kind; raises ConfigError where one's own can't be imported."""
    ours = {known: f"wordprint.corpora.{known}:prepare" for known in (*KINDS, SYNTHETIC)}
    reader: Reader = find_part(ours, kind, "corpus reader")
    return reader


def require_folder(path: Path) -> None:
    """Raise InputError unless `path` is a folder with something in it."""
    if not path.is_dir():
        raise InputError(kind_of(path), expected="the folder of a speech corpus")
    try:
        empty = not any(path.iterdir())
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}", remedy="check its permissions") from error
    if empty:
        raise InputError(f"{path} is empty", expected="a folder of recordings and transcripts")


def _module(kind: str) -> ModuleType:
    return importlib.import_module(f"wordprint.corpora.{kind}")


def _unknown_kind(text: str, kind: str) -> ConfigError:
    if kind == SYNTHETIC:
        raise ConfigError(f"source '{text}' has a path", "'synthetic' alone", "say how many with --synthetic-utterances")
    near = difflib.get_close_matches(kind, (*KINDS, SYNTHETIC), n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"write ./{text} if it is a path"
    return ConfigError(f"source '{text}' has the unknown kind '{kind}'", f"{', '.join(KINDS)} or package.module:function", hint)
