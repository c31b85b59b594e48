"""Folders and the names of their files, also behind links: each real folder once, and no way round in circles."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path


def walk(
    root: str | Path, *, hidden: bool = False, onerror: Callable[[OSError], None] | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Paths of `root` and every folder below it, each with the sorted names of its files, in an order of names alone.

    What links lead to comes after everything else, under the link's name. Two links to one folder, and a link to what is
    walked anyway, give it once; a link back up is not followed. Hidden files and folders are left out unless `hidden`.
    """
    start = os.path.realpath(root)
    walked: set[str] = set()
    waiting = deque([(os.fspath(root), start)])
    while waiting:
        top, real_top = waiting.popleft()
        if _covered(real_top, walked, hidden):
            continue
        for path, folders, files in os.walk(top, onerror=onerror):
            real = os.path.normpath(os.path.join(real_top, os.path.relpath(path, top)))
            names = sorted(name for name in folders if hidden or not name.startswith("."))
            folders.clear()
            for name in names:
                place = os.path.join(path, name)
                if not os.path.islink(place):
                    folders += [name] if os.path.join(real, name) not in walked else []
                elif not any(_inside(folder, os.path.realpath(place)) for folder in (real, start)):
                    waiting.append((place, os.path.realpath(place)))
            yield path, sorted(name for name in files if hidden or not name.startswith("."))
        walked.add(real_top)


def subfolders(path: str | Path) -> list[str]:
    """Names of the folders in `path`, sorted, without hidden ones; of links to one and the same place only the first."""
    found = [entry for entry in Path(path).iterdir() if not entry.name.startswith(".") and os.path.isdir(entry)]
    places: dict[str, str] = {}
    for entry in sorted(found, key=lambda entry: (entry.is_symlink(), entry.name)):  # folders come before links to them
        places.setdefault(os.path.realpath(entry), entry.name)
    return sorted(places.values())


def _inside(path: str, folder: str) -> bool:
    return os.path.join(path, "").startswith(os.path.join(folder, ""))


def _covered(path: str, walked: set[str], hidden: bool) -> bool:
    """Whether `path` lies in a folder that was walked, and not in a part that is left out."""
    while path not in walked:
        parent, name = os.path.split(path)
        if parent == path or (name.startswith(".") and not hidden):
            return False
        path = parent
    return True
