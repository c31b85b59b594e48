"""What the installed wordprint requires, group by group, and what of it is there: read from its own metadata, so it can't rot."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from wordprint.errors import MissingExtraError

DISTRIBUTION = "wordprint"
RUNTIME = ""
"""Name of the group of packages that no extra needs to be asked for."""


@dataclass(frozen=True, slots=True)
class Package:
    """A required distribution: versions that are `wanted` (`>=1,<2`), and the one `installed` (None: not there)."""

    name: str
    wanted: str
    installed: str | None
    fits: bool


@dataclass(frozen=True, slots=True)
class Group:
    """An extra (or RUNTIME): its own packages, and the extras that it includes."""

    name: str
    packages: tuple[Package, ...]
    includes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Package, ...]:
        """Packages that are not there, or not in a version that fits."""
        return tuple(package for package in self.packages if not package.fits)


def groups(distribution: str = DISTRIBUTION) -> dict[str, Group]:
    """RUNTIME and every extra of an installed distribution by name, in the order of its metadata.

    Raises importlib.metadata.PackageNotFoundError when it is not installed, ImportError without `packaging`.
    """
    from packaging.requirements import Requirement

    metadata = importlib.metadata.metadata(distribution)
    found = [Requirement(text) for text in importlib.metadata.requires(distribution) or ()]
    result = {}
    for extra in (RUNTIME, *(metadata.get_all("Provides-Extra") or ())):
        # a requirement without a marker, or whose marker is about the platform, is the runtime's
        own = [need for need in found if _applies(need, extra) and (extra == RUNTIME or not _applies(need, RUNTIME))]
        includes = [name for need in own if need.name == distribution for name in sorted(need.extras)]
        packages = [_package(need.name, str(need.specifier)) for need in own if need.name != distribution]
        result[extra] = Group(extra, tuple(packages), tuple(includes))
    return result


def with_included(extras: Sequence[str], known: dict[str, Group]) -> list[Group]:
    """The groups named `extras` and those that they include, each once."""
    result: dict[str, Group] = {}
    waiting = list(extras)
    while waiting:
        name = waiting.pop(0)
        if name in known and name not in result:
            result[name] = known[name]
            waiting += known[name].includes
    return list(result.values())


def require(extras: Sequence[str], purpose: str) -> None:
    """Raise MissingExtraError that names all packages of `extras` that are missing, and one command that installs them."""
    lacking = [group for group in with_included(extras, groups()) if group.missing]
    if lacking:
        names = ", ".join(f"{package.name}{package.wanted}" for group in lacking for package in group.missing)
        raise MissingExtraError(f"{purpose} needs {names}", remedy=f"install with: {install_command(lacking)}")


def install_command(lacking: Sequence[Group]) -> str:
    """The exact command that installs these groups."""
    extras = ",".join(group.name for group in lacking if group.name != RUNTIME)
    return f"pip install '{DISTRIBUTION}[{extras}]'" if extras else f"pip install --upgrade {DISTRIBUTION}"


def _applies(need: object, extra: str) -> bool:
    marker = getattr(need, "marker", None)
    return marker is None or bool(marker.evaluate({"extra": extra}))


def _package(name: str, wanted: str) -> Package:
    from packaging.specifiers import SpecifierSet

    try:
        installed = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Package(name, wanted, None, fits=False)
    return Package(name, wanted, installed, SpecifierSet(wanted).contains(installed, prereleases=True))


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
