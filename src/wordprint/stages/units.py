"""Bytes and seconds for people: three digits and a unit, the same everywhere."""

from __future__ import annotations

from collections.abc import Sequence

_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "bytes"))
_SECONDS = ((3600, "h"), (60, "min"), (1, "s"))


def readable_bytes(count: float) -> str:
    """`337926286` → `338 MB`, in powers of ten, as disks and download pages count."""
    return f"{count:.0f} bytes" if count < 999.5 else _readable(count, _BYTES)


def readable_duration(seconds: float) -> str:
    """`0.416` → `0.42 s`, `185` → `3.08 min`; hours are the largest unit, since speech is counted in them."""
    return _readable(seconds, _SECONDS)


def _readable(value: float, units: Sequence[tuple[float, str]]) -> str:
    size, unit = next((entry for entry in units if value >= 0.9995 * entry[0]), units[-1])
    number = value / size
    return f"{number:,.{0 if number >= 99.95 else 1 if number >= 9.995 else 2}f} {unit}"
