"""What this machine gives a process: cores, memory and disk, with the limits of a container or a cluster job."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_quota(cgroup: Path = CGROUP) -> float | None:
    """Cores' worth of time that the control group allows (version 2: `cpu.max`); None without a limit."""
    with suppress(OSError, ValueError):
        quota, period = (cgroup / "cpu.max").read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    return None


def cores(cgroup: Path = CGROUP) -> int:
    """Workers that can be busy at once: usable cores, or the control group's quota where that is lower."""
    quota = cpu_quota(cgroup)
    return usable_cores() if quota is None else max(1, min(usable_cores(), round(quota)))


def memory_bytes(cgroup: Path = CGROUP) -> int | None:
    """Memory of the machine, or of the control group where that is less; None where the system doesn't say."""
    total = None
    with suppress(AttributeError, OSError, ValueError):
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # "max" is no number
        limit = int((cgroup / "memory.max").read_text(encoding="ascii"))
        total = limit if total is None else min(total, limit)
    return total


def free_disk_bytes(path: Path) -> int:
    """Free space for this user on the disk where `path` is, or will be."""
    return shutil.disk_usage(existing_parent(path)).free


def existing_parent(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
