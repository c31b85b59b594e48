"""What `download` says, for tests that listen."""

from __future__ import annotations

import pytest

from wordprint.stages.progress import Silent


class Said(Silent):
    """Remembers the lines."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def said():
    return Said()
