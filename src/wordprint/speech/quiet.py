"""Keeps libmpg123's own lines off the terminal: it writes to C's `stderr`, and libsndfile has no way to tell it not to.

C's `stderr` is a variable, which points to /dev/null while a call lasts. File descriptor 2 stays as it is, so that nothing
is lost that Python writes meanwhile, in any thread.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any


class _Stderr:
    """The variable, and how many calls want it silent; without the variable (Windows, musl) nothing is changed."""

    def __init__(self) -> None:
        self.lock, self.depth = Lock(), 0
        self.variable: Any = None
        name = "__stderrp" if sys.platform == "darwin" else "stderr" if _is_glibc() else ""
        if name:
            library = ctypes.CDLL(None)
            library.fopen.restype, library.fopen.argtypes = ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_char_p]
            self.variable = ctypes.c_void_p.in_dll(library, name)
            self.usual, self.silent = self.variable.value, library.fopen(os.devnull.encode(), b"w")

    def point(self, step: int) -> None:
        with self.lock:
            self.depth += step
            self.variable.value = self.silent if self.depth else self.usual


def _is_glibc() -> bool:
    try:
        return bool(os.confstr("CS_GNU_LIBC_VERSION"))
    except (AttributeError, ValueError, OSError):
        return False


_stderr: _Stderr | None = None


@contextmanager
def quiet() -> Iterator[None]:
    """What C libraries print to `stderr` is dropped; in threads at once as well."""
    global _stderr
    _stderr = _stderr or _Stderr()
    if _stderr.variable is None or not _stderr.silent:
        yield
        return
    _stderr.point(+1)
    try:
        yield
    finally:
        _stderr.point(-1)
