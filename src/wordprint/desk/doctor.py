"""`doctor`: what is installed and works, in which version, and the exact commands that install what is missing.

Every package and part is tried in another process (`probes.py`), so one that is broken, hangs or takes its process down is a
line of the report and no more.
"""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wordprint import __version__
from wordprint.desk import machine
from wordprint.desk.probes import PARTS, Outcome, probe
from wordprint.stages.packages import RUNTIME, Package, extras, install_command, packages
from wordprint.stages.units import readable_bytes

RUN_EXTRA = "all"
"""The extra that 'wordprint run' on synthetic speech needs."""

MFA_IMAGE = "mmcauliffe/montreal-forced-aligner:latest"
MFA_LIMIT_S = 60.0

_TORCH = {"torch", "lightning-fabric", "pytorch-metric-learning", "tensorboard", "onnxscript"}
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
    findings, known = [], {}
    try:
        known = {extra: list(packages(extra)) for extra in extras()}
    except ImportError as error:  # no metadata, or nothing to read it with: the parts can be looked at all the same
        findings.append(Finding("packages", "metadata", "broken", f"{type(error).__name__}: {error}", (), needed=True))
    needed = [package for extra in (RUNTIME, RUN_EXTRA) for package in known.get(extra, ())]
    names = {*PARTS, *(package.name for package in needed if package.fits)}
    with ThreadPoolExecutor(2) as threads:
        mfa = threads.submit(mfa_finding, mfa_command)
        heavy = threads.submit(probe, sorted(names & _TORCH))
        tried = probe(sorted(names - _TORCH)) | heavy.result()
        for extra, group in known.items():
            if extra not in (RUN_EXTRA, "dev"):
                findings.append(_extra_finding(extra, group, all(package in needed for package in group), tried))
        for name, (section, shown, _) in PARTS.items():
            findings.append(Finding(section, shown, tried[name].state, tried[name].detail))
        return [*findings, mfa.result(), *machine_findings()]


def healthy(findings: Sequence[Finding]) -> bool:
    """Whether 'wordprint run' has what it needs."""
    return all(finding.state == "ok" for finding in findings if finding.needed)


def as_text(findings: Sequence[Finding], width: int) -> str:
    """The report as a table of `width` columns."""
    name_width = max(len(finding.name) for finding in findings)
    indent = " " * (name_width + 13)
    system = f"{platform.system()} {platform.machine()}"
    lines = [f"wordprint {__version__}, Python {platform.python_version()} ({sys.executable}), {system}"]
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
    lacking = ", ".join(finding.name for finding in findings if finding.needed and finding.state != "ok")
    verdict = f"can't work yet: see {lacking} above." if lacking else "has all that it needs for synthetic speech, its default."
    return "\n".join([*lines, "", f"'wordprint run' {verdict}"])


def _extra_finding(extra: str, group: Sequence[Package], needed: bool, tried: dict[str, Outcome]) -> Finding:
    """An extra, or the runtime: the versions that are there, else what is missing, or there and broken."""
    name = f"[{extra}]" if extra != RUNTIME else "runtime"
    missing = [package for package in group if not package.fits]
    failing = [package for package in group if package.fits and tried.get(package.name, Outcome("ok", "")).state != "ok"]
    lines = [f"{package.name}{package.wanted} is wanted, {package.installed or 'nothing'} is there" for package in missing]
    lines += [f"{package.name} {package.installed}: {tried[package.name].detail}" for package in failing]
    if missing:
        state: State = "old" if all(package.installed for package in missing) else "missing"
        return Finding("packages", name, state, "; ".join(lines), (install_command([extra]),), needed)
    if failing:
        # what is missing may be no package of Python's: then the part itself says what brings it
        told = [tried[package.name].detail.partition("install it with: ")[2] for package in failing]
        remedy = next(filter(None, told), f"pip install --force-reinstall {' '.join(package.name for package in failing)}")
        return Finding("packages", name, "broken", "; ".join(lines), (remedy,), needed)
    return Finding("packages", name, "ok", ", ".join(f"{package.name} {package.installed}" for package in group), (), needed)


def mfa_finding(command: str, limit_s: float = MFA_LIMIT_S) -> Finding:
    """Whether the Montreal Forced Aligner answers to `command`, its version and its models; else how to get it."""
    from wordprint.align.mfa.program import MfaError, folder_beside_models, mfa_version, run_mfa

    try:
        words = shlex.split(command)
        version = mfa_version(words, limit_s)
        with folder_beside_models() as folder:
            listed = run_mfa(words, ["model", "list", "acoustic"], folder, limit_s)
    except MfaError as error:
        seen = error.seen + (f"; expected {error.expected}" if error.expected else "")
        return Finding("aligners", "mfa", _MFA_STATES.get(error.reason, "broken"), seen, tuple(_mfa_remedy()))
    except (ValueError, OSError) as error:  # a quote that isn't closed; a folder that can't be made
        return Finding("aligners", "mfa", "broken", f"{command}: {error}")
    # what a version prints differently is no reason to doubt the program
    names = ", ".join(re.findall(r"'([\w.-]+)'", listed.text)) if listed.code == 0 else ""
    models = f"acoustic models: {names}" if names else "no acoustic model is downloaded (mfa model download acoustic NAME)"
    return Finding("aligners", "mfa", "ok", f"{version}, started as '{command}'; {models}")


def _mfa_remedy() -> Iterator[str]:
    """Commands for what this machine has: conda or one of its kind, else Docker, else conda that is to be installed first."""
    conda = next((name for name in ("conda", "mamba", "micromamba") if shutil.which(name)), None)
    if conda is None and shutil.which("docker"):
        home = "$HOME/Documents/MFA"  # where downloaded models are; see docs/mfa.md
        yield f"docker pull {MFA_IMAGE}"
        run = f"docker run --rm --init -e MFA_ROOT_DIR -v $PWD:$PWD -v {home}:{home} {MFA_IMAGE} mfa"
    else:
        if conda is None:
            yield "no conda, mamba, micromamba or docker is on PATH; install Miniforge (conda-forge.org/download), then:"
        yield f"{conda or 'conda'} create -n aligner -c conda-forge montreal-forced-aligner"
        run = f"{conda or 'conda'} run{' --no-capture-output' * (conda in (None, 'conda'))} -n aligner mfa"
    yield f'then: --aligner mfa --mfa-command "{run}"'


def machine_findings() -> Iterator[Finding]:
    """Cores, memory and disk, as this process may use them."""
    quota, usable, total = machine.cpu_quota(), machine.usable_cores(), os.cpu_count() or 1
    cores = f"{machine.cores()} for workers"
    if usable < total:
        cores += f" (this process may run on {usable} of {total})"
    if quota is not None:
        cores += f" (the control group allows {quota:g})"
    yield Finding("machine", "cores", "info", cores)
    memory = machine.memory_bytes()
    yield Finding("machine", "memory", "info", readable_bytes(memory) if memory else "unknown")
    places = {"current folder": Path.cwd(), "$WORDPRINT_DATA": Path(os.environ.get("WORDPRINT_DATA", ""))}
    for name, path in places.items():
        if path != Path():
            free = readable_bytes(machine.free_disk_bytes(path))
            yield Finding("machine", "disk", "info", f"{free} free for the {name} ({path})")
