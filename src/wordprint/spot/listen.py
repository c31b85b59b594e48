"""Live audio through a spotter: the loop, and those who hear the same audio beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wordprint.records import Detection
from wordprint.spot.source import Blocks

if TYPE_CHECKING:
    from wordprint.spot.stream import Spotter

Tap = Callable[[NDArray[np.float32]], None]


def listen(spotter: Spotter, blocks: Blocks) -> Iterator[Detection]:
    """Detections as they are made, in a stream of its own; those of its last moments when it ends."""
    spotter.reset()
    for block in blocks:
        yield from spotter.process(block)
    yield from spotter.flush()


def tapped(blocks: Blocks, *taps: Tap) -> Iterator[NDArray[np.float32]]:
    """The same blocks, each shown to the `taps` before it is passed on."""
    for block in blocks:
        for tap in taps:
            tap(block)
        yield block
