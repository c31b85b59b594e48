"""`--exec`: a program is started at each detection; whatever becomes of it, listening goes on."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress

from wordprint.errors import ConfigError

_PATIENCE_S = 5.0
"""Wait this long for a program that was ended."""
_MOST_AT_ONCE = 8
"""Programs that may be running; a detection more starts none, and that is said."""


class Programs:
    """Starts `command`, a program and its arguments, with values in its environment, and waits for each in a thread of its own.

    One that fails, or that is ended after `timeout_s`, is counted and said. No shell reads the command. Its output goes to the
    standard error, so that the standard output holds detections alone.
    """

    def __init__(self, command: str, timeout_s: float) -> None:
        try:
            self._words = shlex.split(command, posix=os.name == "posix")
        except ValueError as error:
            raise ConfigError(f"exec is {command!r}: {error}", expected="a program and its arguments") from error
        if not self._words or shutil.which(self._words[0]) is None:
            raise ConfigError(
                f"exec is {command!r}, and there is no program '{self._words[0] if self._words else ''}'",
                expected="a program and its arguments",
                remedy="name its whole path, or make it executable; for what a shell does, write sh -c '…'",
            )
        self._timeout_s = timeout_s
        self._counting = threading.Lock()
        self._running: set[threading.Thread] = set()
        self.started = self.failed = self.skipped = 0

    def start(self, values: Mapping[str, str]) -> None:
        """One more, with `values` in its environment; returns at once."""
        with self._counting:
            if len(self._running) >= _MOST_AT_ONCE:
                self.skipped += 1
                return self._say(f"{_MOST_AT_ONCE} are still running: not started")
            self.started += 1
            thread = threading.Thread(target=self._run, args=({**os.environ, **values},), daemon=True)
            self._running.add(thread)
        thread.start()
        return None

    def finish(self) -> None:
        """Wait for those that are running; none runs longer than its time."""
        while self._running:
            for thread in list(self._running):
                thread.join()

    def _run(self, environment: dict[str, str]) -> None:
        failure = self._outcome(environment)
        if failure:
            self._say(failure)
        with self._counting:
            self.failed += bool(failure)
            self._running.discard(threading.current_thread())

    def _outcome(self, environment: dict[str, str]) -> str:
        """Start it, wait and reap it; what went wrong, or nothing."""
        try:  # in a session of its own: Ctrl-C here is not for it, and it can be ended with what it started
            started = subprocess.Popen(self._words, env=environment, stdin=subprocess.DEVNULL, stdout=2, start_new_session=True)
        except (OSError, ValueError) as error:
            return f"can't be started: {error}"
        try:
            code = started.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            ended = _end(started)
            return f"ran longer than {self._timeout_s:g} s: {'ended' if ended else 'and could not be ended'}"
        return f"ended with code {code}" if code else ""

    def _say(self, what: str) -> None:
        print(f"note: '{self._words[0]}' {what}", file=sys.stderr, flush=True)


def _end(started: subprocess.Popen[bytes]) -> bool:
    """End it and what it started; False for one that this user may not end."""
    with suppress(OSError, subprocess.TimeoutExpired):
        if os.name == "posix":
            os.killpg(started.pid, signal.SIGKILL)
        else:
            started.kill()
        started.wait(_PATIENCE_S)
    return started.returncode is not None
