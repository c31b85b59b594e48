"""Run `mfa` as a program, behind any prefix, so that it can't hang for ever, outlive us or get in another's way.

What runs of MFA on one machine share is its home folder (`MFA_ROOT_DIR`): configuration, command history, and the folder
that models are unpacked into, each time anew. Two runs at once break each other there; so each gets a home of its own, in
which only the downloaded models are the user's, by a link.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from wordprint.errors import ConfigError, WordprintError

OLDEST = (3, 0)
"""The first version with these command lines and their defaults."""

INSTALL = "conda create -n aligner -c conda-forge montreal-forced-aligner"
"""How its makers install it."""

HOME = "MFA_ROOT_DIR"
"""The variable that moves MFA's home folder."""

DEFAULT_HOME = "~/Documents/MFA"

START_LIMIT_S = 300.0
"""For MFA to say its version, or to look at a model: a container may have to be fetched first."""

_GRACE_S = 10.0  # between asking a run to stop and killing it: `docker run` stops its container only when it is asked
_POLL_S = 0.1
_BAR = re.compile(r"^\s*\d+%.*\[.*\]\s*$|^\s*$")
_VERSION = re.compile(r"^\s*v?(\d+)\.(\d+)\S*\s*$", re.MULTILINE)
_NOT_THERE = re.compile(r"not found|no such file|unable to find image|environmentlocationnotfound|docker daemon", re.I)


class MfaError(WordprintError):
    """MFA is missing, too old, or failed as every run of it here would."""

    reason = "mfa_failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its exit code (negative: the signal that killed it) and what it printed, without progress bars."""

    code: int
    text: str
    timed_out: bool = False


def split_command(command: str) -> tuple[str, ...]:
    """The words of the option mfa_command; raises ConfigError where there are none."""
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise ConfigError(f"mfa_command is {command!r} ({error})", expected="a command line") from error
    if not words:
        raise ConfigError("mfa_command is empty", expected="a command line, such as 'mfa'")
    return words


def run_mfa(command: Sequence[str], arguments: Sequence[str], work: Path, time_limit_s: float | None = None) -> Outcome:
    """Run `command arguments` to its end; `work` is an absolute path to a folder of the run's own.

    After `time_limit_s`, on Ctrl-C, and when this process dies in any way, the run ends with all its child processes.
    Raises MfaError when the program can't be started.
    """
    log = work / "terminal.log"
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_environment(work),
                start_new_session=True,
            )
        except OSError as error:
            raise _missing(f"'{' '.join(command)}' can't be run: {error.strerror}") from error
    with _guarded(process), _interruptible():
        try:
            timed_out = not _wait(process, time_limit_s)
        finally:
            _stop(process)
    return Outcome(process.returncode, read_terminal(log), timed_out)


def read_terminal(path: Path) -> str:
    """What a run printed, without progress bars (which overwrite themselves with carriage returns) and trailing spaces."""
    text = path.read_bytes().decode("utf-8", "replace")
    lines = (line.rstrip() for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)))
    return "".join(f"{line}\n" for line in lines if not _BAR.match(line))


def mfa_version(command: Sequence[str], timeout_s: float = 60) -> str:
    """Version of the MFA that the prefix `command` runs, such as `3.4.3`.

    Raises MfaError, with `reason` mfa_missing, mfa_broken or mfa_too_old, and the remedy.
    """
    name = " ".join(command)
    if not command or shutil.which(command[0]) is None:
        raise _missing(f"there is no program '{command[0] if command else ''}' on PATH")
    with tempfile.TemporaryDirectory(prefix="wordprint-mfa-") as folder:
        outcome = run_mfa(command, ["version"], Path(folder), timeout_s)
    if outcome.timed_out:
        seen = f"'{name} version' gave no answer in {timeout_s:g} s"
        raise MfaError(seen, remedy="run it by hand to see what it waits for", reason="mfa_broken")
    found = _VERSION.search(outcome.text)
    if outcome.code != 0 or not found:
        lines = outcome.text.strip().splitlines() or ["nothing"]
        telling = [line for line in lines if _NOT_THERE.search(line)]  # docker's last line only names its --help
        said = (telling or lines)[-1].strip()[:200]
        if outcome.code in (126, 127) or telling:
            raise _missing(f"'{name} version' failed: {said}")
        raise MfaError(
            f"'{name} version' ended with exit code {outcome.code} and said: {said}",
            expected="a version, such as 3.4.3",
            remedy=f"repair the installation, or make a new one: {INSTALL}",
            reason="mfa_broken",
        )
    version = found[0].strip()
    if (int(found[1]), int(found[2])) < OLDEST:
        seen = f"'{name}' is version {version}"
        raise MfaError(seen, expected="3.0 or newer", remedy=f"install it: {INSTALL}", reason="mfa_too_old")
    return version


def models_home() -> Path:
    """Where the user's MFA keeps the models that it downloaded."""
    return Path(os.environ.get(HOME) or DEFAULT_HOME).expanduser()


@contextmanager
def folder_beside_models() -> Iterator[Path]:
    """A folder for a run that asks for models, gone when the block ends: a container that sees the models sees it too."""
    home = models_home().resolve()
    with tempfile.TemporaryDirectory(prefix="wordprint-mfa-", dir=home if os.access(home, os.W_OK) else None) as folder:
        yield Path(folder)


def _missing(seen: str) -> MfaError:
    return MfaError(
        seen,
        expected="the Montreal Forced Aligner, 3.0 or newer",
        remedy=f"install it ({INSTALL}) and name it (--mfa-command 'conda run --no-capture-output -n aligner mfa')",
        reason="mfa_missing",
    )


def _environment(work: Path) -> dict[str, str]:
    """The user's, with a home of the run's own, in which the user's models are a link."""
    home = work / "home"
    home.mkdir(exist_ok=True)
    models = models_home() / "pretrained_models"
    if models.is_dir() and not (home / models.name).is_symlink():
        (home / models.name).symlink_to(models.resolve(), target_is_directory=True)
    quiet = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "200"}  # wide lines, so that no message is wrapped
    # MFA takes files in the order of a set of names: with one seed two runs on the same files add up alike
    return {**os.environ, HOME: str(home), "PYTHONHASHSEED": "0", **quiet}


@contextmanager
def _guarded(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """While the block runs, another process waits for the end of a pipe that only we hold open: should we be killed, it
    stops the whole group of `process`."""
    script = f'read -r _; kill -TERM "-$1"; sleep {_GRACE_S:g}; kill -KILL "-$1"'
    guard = subprocess.Popen(
        ["/bin/sh", "-c", script, "sh", str(process.pid)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        guard.kill()
        guard.wait()
        if guard.stdin:
            guard.stdin.close()


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C stops this run at once, where a stage would first let the work in hand finish: that may take an hour here."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # worker processes are started with it blocked
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)


def _wait(process: subprocess.Popen[bytes], time_limit_s: float | None) -> bool:
    """Wait for the end of `process`; False when the time is over. In a worker process, KeyboardInterrupt when its parent dies."""
    end = math.inf if time_limit_s is None else time.monotonic() + time_limit_s
    parent, adopted_by = multiprocessing.parent_process(), os.getppid()
    while time.monotonic() < end:
        with suppress(subprocess.TimeoutExpired):
            process.wait(min(1.0, max(0.0, end - time.monotonic())))
            return True
        # the parent may have died before we asked who it is
        if parent is not None and (os.getppid() != adopted_by or not _exists(parent.pid)):
            raise KeyboardInterrupt
    return False


def _exists(pid: int | None) -> bool:
    try:
        with suppress(PermissionError):
            os.kill(pid or 0, 0)
    except ProcessLookupError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the group of `process`: its children may outlive it (`conda run` starts MFA as a grandchild)."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
        end = time.monotonic() + _GRACE_S
        while time.monotonic() < end:
            process.poll()  # reaps it, so that it no longer counts as a member of the group
            os.killpg(process.pid, 0)
            time.sleep(_POLL_S)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
