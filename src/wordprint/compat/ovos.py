"""A wake word plugin and a verifier for OpenVoiceOS, which finds them by entry points and gives 16-bit audio at 16 kHz.

Only OpenVoiceOS imports this module: it needs ovos-plugin-manager, which comes with it.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ovos_plugin_manager.templates.hotwords import HotWordEngine, HotWordVerifier

from wordprint.errors import AudioError
from wordprint.speech.audio import to_float32
from wordprint.spot.choose import choose
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import Spotter


class WordprintHotWord(HotWordEngine):  # type: ignore[misc]
    """Listens for one keyword of an enrollment.

    `config`: `enrollment`, the file that 'wordprint enroll' wrote; `keyword`, where it is called otherwise than the wake
    word is in OpenVoiceOS; `model`, an ONNX file, else the one that ships; options of 'wordprint spot' such as `threshold`.
    """

    def __init__(self, key_phrase: str, config: dict[str, Any] | None = None) -> None:
        super().__init__(key_phrase, config)
        self._spotter = _spotter(self.config, [self.config.get("keyword") or self.key_phrase])
        self._found = False

    def update(self, chunk: bytes) -> None:
        """Hear the next bytes of the stream."""
        self._found |= bool(self._spotter.process(_samples(chunk)))

    def found_wake_word(self) -> bool:
        """Whether it was heard since this was asked last."""
        found, self._found = self._found, False
        return found

    def reset(self) -> None:
        """Forget what was heard."""
        self._found = False
        self._spotter.reset()


class WordprintVerifier(HotWordVerifier):  # type: ignore[misc]
    """Says whether audio in which another engine heard a wake word holds a keyword of an enrollment.

    `config` is that of WordprintHotWord; without `keyword`, any of the enrollment will do.
    """

    def __init__(self, config: dict[str, Any] | None = None) -> None:
        super().__init__(config)
        keyword = self.config.get("keyword")
        self._spotter = _spotter(self.config, [keyword] if keyword else [])

    def verify(self, chunk: bytes) -> bool:
        """Whether a keyword is in these bytes; no audio holds none."""
        samples = _samples(chunk)
        return bool(len(samples)) and any(True for _ in self._spotter.spot(to_float32(samples)))


def _spotter(config: dict[str, Any], names: list[str]) -> Spotter:
    """A spotter with the options that `config` sets; other keys in it are OpenVoiceOS's own."""
    options = {name: config[name] for name in SpotConfig.__dataclass_fields__ if name in config}
    enrollment = choose(Enrollment.load(os.path.expanduser(config.get("enrollment", "keywords.json"))), names)
    model = config.get("model")
    return Spotter(model and os.path.expanduser(model), enrollment, SpotConfig(**options))


def _samples(chunk: bytes) -> NDArray[np.int16]:
    if len(chunk) % 2:
        raise AudioError(f"{len(chunk)} bytes of audio", expected="16-bit samples, two bytes each")
    return np.frombuffer(chunk, "<i2").astype(np.int16, copy=False)
