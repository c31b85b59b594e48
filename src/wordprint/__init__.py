"""wordprint: from a transcribed speech corpus to a keyword spotter that learns a keyword from three recordings.

The stages are functions of `wordprint.pipeline`. Importing wordprint loads neither torch nor onnxruntime: the names
below load when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wordprint.stages.lazy import lazy_names

__version__ = "0.1.0"

if TYPE_CHECKING:
    from wordprint.errors import WordprintError
    from wordprint.model import Model
    from wordprint.records import Alignment, Detection, Interval, Utterance
    from wordprint.spot.stream import Spotter
    from wordprint.words.dataset import WordDataset

__all__ = [
    "Alignment",
    "Detection",
    "Interval",
    "Model",
    "Spotter",
    "Utterance",
    "WordDataset",
    "WordprintError",
    "__version__",
]

__getattr__ = lazy_names(
    __name__,
    {
        "Model": "wordprint.model",
        "Spotter": "wordprint.spot.stream",
        "WordDataset": "wordprint.words.dataset",
        "WordprintError": "wordprint.errors",
        **dict.fromkeys(("Alignment", "Detection", "Interval", "Utterance"), "wordprint.records"),
    },
)


def __dir__() -> list[str]:
    return __all__
