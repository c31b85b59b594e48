"""`doctor`: what is installed and works, in which version, and the exact commands that install what is missing.

Every part is tried in another process (`probes.py`), so one that is broken, hangs or takes its process down is a line of
the report and no more.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wordprint import __version__
from wordprint.desk import machine
from wordprint.desk.probes import Outcome, try_parts
from wordprint.errors import WordprintError
from wordprint.stages.packages import RUNTIME, Group, groups, install_command, with_included

RUN_EXTRA = "all"
"""The extra that 'wordprint run' on synthetic speech needs."""

MFA_IMAGE = "mmcauliffe/montreal-forced-aligner:latest"
MFA_ENVIRONMENT = "aligner"
MFA_LIMIT_S = 60.0

_TORCH = ("torch", "lightning-fabric", "pytorch-metric-learning")
"""Packages that load torch (over a second), tried in a process of their own beside the one for all others."""

State = Literal["ok", "missing", "broken", "old", "info"]
_MFA_STATES: dict[str, State] = {"mfa_missing": "missing", "mfa_too_old": "old"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `needed` is what 'wordprint run' on synthetic speech can't do without."""

    section: str
    name: str
    state: State
    detail: str
    remedy: tuple[str, ...] = ()
    needed: bool = False


def doctor(mfa_command: str = "mfa") -> list[Finding]:
    """Look at everything; never raises for a part that is missing or broken. `mfa_command` is how MFA is started."""
    with ThreadPoolExecutor(4) as threads:
        mfa = threads.submit(_guarded, lambda: [mfa_finding(mfa_command)], "aligners", "mfa")
        try:
            known = groups()
        except Exception as error:  # whatever its metadata is like, the other parts can be looked at
            known, unreadable = {}, [Finding("packages", "metadata", "broken", _one_line(error), (), needed=True)]
        else:
            unreadable = []
        needed = with_included([RUNTIME, RUN_EXTRA], known)
        tried = _try_all([package.name for group in needed for package in group.packages if package.fits], threads)
        return [
            *unreadable,
            *(_group_finding(group, group in needed, tried) for group in known.values() if group.packages and group.name != "dev"),
            *_part_findings(tried, known),
            *mfa.result(),
            *_guarded(machine_findings, "machine", "machine"),
        ]


def healthy(findings: Sequence[Finding]) -> bool:
    """Whether 'wordprint run' has what it needs."""
    return all(finding.state == "ok" for finding in findings if finding.needed)


def as_text(findings: Sequence[Finding], width: int) -> str:
    """The report as a table of `width` columns."""
    name_width = max(len(finding.name) for finding in findings)
    indent = " " * (name_width + 13)
    lines = [
        f"wordprint {__version__}, Python {platform.python_version()} ({sys.executable}), {platform.system()} {platform.machine()}"
    ]
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            lines += ["", section]
        state = "" if finding.state == "info" else finding.state
        head = f"  {state:<7}  {finding.name:<{name_width}}  "
        lines += textwrap.wrap(
            finding.detail, max(width, 60), initial_indent=head, subsequent_indent=indent, break_on_hyphens=False
        )
        lines += [f"{indent}→ {line}" for line in finding.remedy]  # whole, so that it can be copied
    return "\n".join([*lines, "", _verdict(findings)])


def _verdict(findings: Sequence[Finding]) -> str:
    lacking = [finding.name for finding in findings if finding.needed and finding.state != "ok"]
    if not lacking:
        return "'wordprint run' has all that it needs for synthetic speech, its default."
    return f"'wordprint run' can't work yet: see {', '.join(lacking)} above."


# packages and parts


def _try_all(packages: Sequence[str], threads: ThreadPoolExecutor) -> dict[str, Outcome]:
    """Import the packages and try the parts, in two processes at once."""
    imports = [f"import:{name}" for name in packages]
    heavy = ["torch", *(name for name in imports if name.removeprefix("import:") in _TORCH)]
    light = ["libsndfile", "onnxruntime", "model", "pocketsphinx", "espeak-ng", *(name for name in imports if name not in heavy)]
    tried: dict[str, Outcome] = {}
    for outcomes in threads.map(try_parts, (heavy, light)):
        tried |= outcomes
    return tried


def _group_finding(group: Group, needed: bool, tried: dict[str, Outcome]) -> Finding:
    name = f"[{group.name}]" if group.name != RUNTIME else "runtime"
    broken = [(package, tried.get(f"import:{package.name}")) for package in group.packages if package.fits]
    errors = [
        f"{package.name} {package.installed}: {outcome.detail}" for package, outcome in broken if outcome and not outcome.works
    ]
    lacking = [f"{package.name}{package.wanted} is wanted, {package.installed or 'nothing'} is there" for package in group.missing]
    there = ", ".join(f"{package.name} {package.installed}" for package in group.packages if package.fits)
    if lacking:
        old = all(package.installed for package in group.missing)
        return Finding(
            "packages", name, "old" if old else "missing", "; ".join(lacking + errors), (install_command([group]),), needed
        )
    if errors:
        again = " ".join(package.name for package, outcome in broken if outcome and not outcome.works)
        return Finding("packages", name, "broken", "; ".join(errors), (f"pip install --force-reinstall {again}",), needed)
    return Finding("packages", name, "ok", there, (), needed)


def _part_findings(tried: dict[str, Outcome], known: dict[str, Group]) -> Iterator[Finding]:
    """What was tried beyond importing it."""
    for section, name, extra, needed in (
        ("parts", "libsndfile", RUNTIME, True),
        ("parts", "onnxruntime", RUNTIME, True),
        ("parts", "model", RUNTIME, False),
        ("parts", "torch", "train", True),
        ("parts", "espeak-ng", "synthetic", True),
        ("aligners", "pocketsphinx", "align", True),
    ):
        outcome = tried[name]
        remedy = (install_command([known[extra]]),) if outcome.state == "missing" and extra in known else ()
        yield Finding(section, name, outcome.state, outcome.detail, remedy, needed)
    praatio = tried.get("import:praatio")
    usable = praatio is not None and praatio.works
    detail = "takes TextGrids made elsewhere, or corrected by hand" if usable else "needs praatio, see [align]"
    yield Finding("aligners", "textgrid", "ok" if usable else "missing", detail)


# Montreal Forced Aligner


def mfa_finding(command: str, limit_s: float = MFA_LIMIT_S) -> Finding:
    """Whether the Montreal Forced Aligner answers to `command`, its version and its models; else how to get it."""
    from wordprint.align.mfa.program import MfaError, folder_beside_models, mfa_version, run_mfa

    words = shlex.split(command)
    try:
        version = mfa_version(words, limit_s)
    except MfaError as error:
        seen = error.seen + (f"; expected {error.expected}" if error.expected else "")
        return Finding("aligners", "mfa", _MFA_STATES.get(error.reason, "broken"), seen, _mfa_remedy())
    with folder_beside_models() as folder:
        listed = run_mfa(words, ["model", "list", "acoustic"], folder, limit_s)
    # what a version prints differently is no reason to doubt the program
    names = re.findall(r"'([\w.-]+)'", listed.text) if listed.code == 0 else []
    models = (
        f"acoustic models: {', '.join(names)}" if names else "no acoustic model is downloaded (mfa model download acoustic NAME)"
    )
    return Finding("aligners", "mfa", "ok", f"{version}, started as '{command}'; {models}")


_HOME = "$HOME/Documents/MFA"  # where downloaded models are; see docs/mfa.md


def _mfa_remedy() -> tuple[str, ...]:
    """Commands for what this machine has: conda or one of its kind, or Docker."""
    conda = next((name for name in ("conda", "mamba", "micromamba") if shutil.which(name)), None)
    docker = shutil.which("docker") is not None
    run = f"{conda or 'conda'} run{' --no-capture-output' * (conda in (None, 'conda'))} -n {MFA_ENVIRONMENT} mfa"
    lines = [
        f"{conda or 'conda'} create -n {MFA_ENVIRONMENT} -c conda-forge montreal-forced-aligner",
        f'then: --aligner mfa --mfa-command "{run}"',
    ]
    container = [
        f"docker pull {MFA_IMAGE}",
        f'then: --aligner mfa --mfa-command "docker run --rm --init -e MFA_ROOT_DIR '
        f'-v $PWD:$PWD -v {_HOME}:{_HOME} {MFA_IMAGE} mfa"',
    ]
    if conda is None and docker:
        return tuple(container)
    if conda is None:
        lines.insert(0, "no conda, mamba, micromamba or docker is on PATH; install Miniforge (conda-forge.org/download), then:")
    return (*lines, *(["or:", *container] if docker else []))


# machine


def machine_findings() -> list[Finding]:
    """Cores, memory and disk, as this process may use them."""
    quota = machine.cpu_quota()
    usable, total = machine.usable_cores(), os.cpu_count() or 1
    cores = f"{machine.cores()} for workers"
    if usable < total:
        cores += f" (this process may run on {usable} of {total})"
    if quota is not None:
        cores += f" (the control group allows {quota:g})"
    memory = machine.memory_bytes()
    places = [("current folder", Path.cwd())]
    if data := os.environ.get("WORDPRINT_DATA"):
        places.append(("$WORDPRINT_DATA", Path(data)))
    disks = [f"{machine.in_words(machine.free_disk_bytes(path))} free for the {name} ({path})" for name, path in places]
    return [
        Finding("machine", "cores", "info", cores),
        Finding("machine", "memory", "info", machine.in_words(memory) if memory else "unknown"),
        *(Finding("machine", "disk", "info", line) for line in disks),
    ]


def _guarded(look: Callable[[], list[Finding]], section: str, name: str) -> list[Finding]:
    try:
        return look()
    except Exception as error:  # a part of the report, whatever is wrong with it
        return [Finding(section, name, "broken", _one_line(error))]


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if isinstance(error, WordprintError) else f"{type(error).__name__}: {text}"
