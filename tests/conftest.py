"""Shared fixtures: where the real speech lies, and a generator of small recordings."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job hands that down, and Ctrl-C is tested here
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("busy", deadline=None)  # an example takes as long as the machine's other work lets it
settings.load_profile("busy")


def _shared_folder() -> Path:
    return Path(os.environ.get("WORDPRINT_SHARED", REPOSITORY.parent / "shared")) / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real speech; tests that need it are skipped where it is missing."""
    folder = _shared_folder()
    if not folder.is_dir():
        pytest.skip(f"real speech not found at {folder} (set WORDPRINT_SHARED to the folder that holds data/)")
    return folder
