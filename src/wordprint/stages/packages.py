"""What the installed wordprint requires, extra by extra, and what of it is there: read from its own metadata, so it can't rot."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from wordprint.errors import MissingExtraError

DISTRIBUTION = "wordprint"
RUNTIME = ""
"""Stands for the packages that no extra needs to be asked for."""


@dataclass(frozen=True, slots=True)
class Package:
    """A required distribution: versions that are `wanted` (`>=1,<2`), and the one `installed` (None: not there)."""

    name: str
    wanted: str
    installed: str | None
    fits: bool


def extras(distribution: str = DISTRIBUTION) -> list[str]:
    """RUNTIME and all extras of an installed distribution; raises importlib.metadata.PackageNotFoundError."""
    return [RUNTIME, *(importlib.metadata.metadata(distribution).get_all("Provides-Extra") or ())]


def packages(extra: str, distribution: str = DISTRIBUTION) -> Iterator[Package]:
    """What an extra (or RUNTIME) needs, the packages of extras that it includes among it."""
    from packaging.requirements import Requirement

    for need in map(Requirement, importlib.metadata.requires(distribution) or ()):
        # a requirement without a marker, or whose marker is about the platform, is the runtime's
        own, always = (need.marker is None or need.marker.evaluate({"extra": name}) for name in (extra, RUNTIME))
        if not own or (always and extra != RUNTIME):
            continue
        if need.name == distribution:
            for included in sorted(need.extras):
                yield from packages(included, distribution)
        else:
            try:
                installed = importlib.metadata.version(need.name)
            except importlib.metadata.PackageNotFoundError:
                installed = None
            fits = installed is not None and need.specifier.contains(installed, prereleases=True)
            yield Package(need.name, str(need.specifier), installed, fits)


def require(extras: Sequence[str], purpose: str) -> None:
    """Raise MissingExtraError that names all packages of `extras` that are missing, and one command that installs them."""
    lacking = {extra: [package for package in packages(extra) if not package.fits] for extra in extras}
    if any(lacking.values()):
        names = ", ".join(f"{package.name}{package.wanted}" for missing in lacking.values() for package in missing)
        command = install_command([extra for extra, missing in lacking.items() if missing])
        raise MissingExtraError(f"{purpose} needs {names}", remedy=f"install with: {command}")


def install_command(extras: Sequence[str]) -> str:
    """The exact command that installs these extras."""
    named = ",".join(extra for extra in extras if extra != RUNTIME)
    return f"pip install '{DISTRIBUTION}[{named}]'" if named else f"pip install --upgrade {DISTRIBUTION}"


def imported_versions(distribution: str = DISTRIBUTION) -> dict[str, str]:
    """Versions of the package itself and of the dependencies that this process has imported, from their installed metadata."""
    names = {name.replace("_", "-").lower() for name in _required_names(distribution)}
    versions = {}
    for module, homes in importlib.metadata.packages_distributions().items():
        for home in homes if module in sys.modules else ():
            if home.replace("_", "-").lower() in names:
                versions[home] = importlib.metadata.version(home)
    return dict(sorted(versions.items()))


def _required_names(distribution: str) -> list[str]:
    """The distribution and all that it requires, with every extra; itself alone where it was never installed."""
    from packaging.requirements import Requirement

    try:
        return [distribution, *(Requirement(text).name for text in importlib.metadata.requires(distribution) or ())]
    except importlib.metadata.PackageNotFoundError:
        return [distribution]
