"""The command line: finds the command, turns errors into one line and an exit code.

Exit codes: 0 done, 2 something the user can mend, 130 stopped with Ctrl-C or SIGTERM (run the same command again to go on),
1 a bug in wordprint. Commands live in `commands/`, which is loaded only when one runs: `wordprint --help` is quick.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper

from wordprint import __version__
from wordprint.errors import DiskFullError, WordprintError
from wordprint.stages.table import COMMANDS, TABLE

_LISTING = "\n".join(f"  {row.name:<10} {row.summary}" for row in TABLE)
HELP = f"""\
usage: wordprint COMMAND [OPTIONS]

From a transcribed speech corpus to a keyword spotter that learns a keyword from three recordings.

{_LISTING}

'wordprint COMMAND --help' explains a command, 'wordprint --version' prints the version.
Every stage takes '--recipe FILE.toml'; 'wordprint run FILE.toml' runs a whole recipe.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a character that a terminal's encoding lacks is no reason to end
            stream.reconfigure(errors="backslashreplace")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"wordprint {__version__}")
        return 0
    if arguments[0] not in COMMANDS:
        import difflib

        near = difflib.get_close_matches(arguments[0], COMMANDS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else "see 'wordprint --help'"
        return _fail(f"unknown command '{arguments[0]}'; {hint}", 2)
    return _run(arguments[0], arguments[1:])


def _run(name: str, arguments: list[str]) -> int:
    try:
        from wordprint.commands import dispatch

        with _terminated_like_ctrl_c():
            dispatch(name, arguments)
    except WordprintError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("stopped; run the same command again to go on where it stopped", 130)
    except BrokenPipeError:
        # the reader of our output (head, say) has gone: not an error; keep Python from complaining at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno == 28:  # ENOSPC, outside a stage's own writes (a temporary file, say)
            return _fail(str(DiskFullError(f"no space left on the disk ({error.filename or 'unknown file'})")), 2)
        if isinstance(error, PermissionError) and error.filename:
            return _fail(f"{error.filename} can't be opened: {error.strerror}; check its permissions", 2)
        if error.filename and error.strerror:
            return _fail(f"{error.filename}: {error.strerror}", 2)
        raise
    return 0


@contextmanager
def _terminated_like_ctrl_c() -> Iterator[None]:
    """SIGTERM, which systemd, Slurm and containers send, ends as Ctrl-C does: workers end, and what is done is kept."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _fail(message: str, code: int) -> int:
    print(f"wordprint: error: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
