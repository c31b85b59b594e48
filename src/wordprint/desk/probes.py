"""Packages and parts of wordprint tried out in a process of their own, which may raise, hang or crash.

    python -m wordprint.desk.probes pocketsphinx numpy …

prints one JSON line for each that was tried, in order, so that after a crash it is known which one it was.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from wordprint.errors import WordprintError

IMPORTED_AS = {"scikit-learn": "sklearn"}
"""Packages whose modules have other names."""
LIMIT_S = 60.0
"""A process that has not tried all of its parts by then is stopped."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What trying one package or part gave."""

    state: Literal["ok", "missing", "broken"]
    detail: str


def probe(names: Sequence[str], limit_s: float = LIMIT_S) -> dict[str, Outcome]:
    """Try parts and import packages in another process; one that takes it down is broken, the rest is tried in the next process."""
    outcomes: dict[str, Outcome] = {}
    while waiting := [name for name in names if name not in outcomes]:
        command = [sys.executable, "-P", "-m", "wordprint.desk.probes", *waiting]
        try:
            done = subprocess.run(command, timeout=limit_s, check=False, stdin=subprocess.DEVNULL, capture_output=True)
            last = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
            output, death = done.stdout, f"ends the interpreter with exit code {done.returncode} {last}".strip()
            if done.returncode < 0:
                death = f"crashes the interpreter ({signal.Signals(-done.returncode).name})"
        except subprocess.TimeoutExpired as error:
            output, death = error.stdout or b"", f"no answer in {limit_s:g} s"
        for line in output.decode("utf-8", "replace").splitlines():
            with suppress(ValueError, KeyError, TypeError):  # what libraries print
                record = json.loads(line)
                outcomes[record["part"]] = Outcome(record["state"], record["detail"])
        culprit = next((name for name in waiting if name not in outcomes), waiting[0])
        outcomes.setdefault(culprit, Outcome("broken", death))
    return outcomes


# in the other process


def _pocketsphinx() -> str:
    import numpy as np
    import pocketsphinx  # noqa: F401  (first, so that what is wrong with it is not taken for its absence)

    from wordprint.align.options import AlignConfig
    from wordprint.align.pocketsphinx import PocketsphinxAligner
    from wordprint.records import Utterance
    from wordprint.speech.audio import SAMPLE_RATE

    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32) * np.float32(0.05)
    found = PocketsphinxAligner(AlignConfig(g2p="rules")).align(Utterance("probe", "probe", "", 0.0, 1.0, "seven"), noise)
    return f"{importlib.metadata.version('pocketsphinx')}, English; aligned a word of {len(found.phones)} phones"


def _espeak() -> str:
    import espeakng_loader  # noqa: F401

    from wordprint.speech.espeak import ACCENTS, Synthesiser, Voice

    with Synthesiser() as synthesiser:
        variants = synthesiser.variants()
        synthesiser.synthesise("seven", Voice(variants[0]))
    return f"{len(variants)} voices × {len(ACCENTS)} English accents; spoke a word"


def _libsndfile() -> str:
    import soundfile

    kinds = {*soundfile.available_formats(), *soundfile.available_subtypes("OGG")} & {"FLAC", "WAV", "MP3", "VORBIS", "OPUS"}
    if not {"FLAC", "WAV"} <= kinds:
        raise WordprintError(f"{soundfile.__libsndfile_version__} reads {', '.join(sorted(kinds))}", expected="FLAC and WAV too")
    return f"{soundfile.__libsndfile_version__} reads {', '.join(sorted(kinds))}"


def _textgrid() -> str:
    import praatio.textgrid  # noqa: F401

    return "takes TextGrids made elsewhere, or corrected by hand"


def _onnxruntime() -> str:
    import onnxruntime

    return f"{onnxruntime.__version__}: {', '.join(onnxruntime.get_available_providers())}"


def _model() -> str:
    import numpy as np

    from wordprint.model import Model, bundled_model

    path = bundled_model()
    model = Model(path)
    bill = json.loads((path.parent / "bill_of_materials.json").read_text(encoding="utf-8"))
    if model.digest not in bill["files"].values():
        raise WordprintError(f"{path} has SHA-256 {model.digest[:16]}…, which its bill of materials doesn't name")
    silence = np.zeros((1, model.sample_rate), np.float32)
    model.embed(silence)
    started = time.perf_counter()
    model.embed(silence)
    took_ms = 1000 * (time.perf_counter() - started)
    return f"{path.name}, SHA-256 {model.digest[:8]}… as published; embeds 1 s of audio in {took_ms:.1f} ms"


def _torch() -> str:
    import torch

    from wordprint.train.device import precision
    from wordprint.train.options import TrainConfig

    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    devices += ["MPS"] * torch.backends.mps.is_available() + [f"CPU ({torch.get_num_threads()} threads)"]
    return f"{torch.__version__} on {', '.join(devices)}; trains in {precision(TrainConfig())}"


def _portaudio() -> str:
    from wordprint.spot.microphone import sounddevice

    return str(sounddevice().get_portaudio_version()[1])


PARTS: dict[str, tuple[str, str, Callable[[], str]]] = {
    "soundfile": ("parts", "libsndfile", _libsndfile),
    "onnxruntime": ("parts", "onnxruntime", _onnxruntime),
    "model": ("parts", "model", _model),
    "torch": ("parts", "torch", _torch),
    "espeakng-loader": ("parts", "espeak-ng", _espeak),
    "pocketsphinx": ("aligners", "pocketsphinx", _pocketsphinx),
    "praatio": ("aligners", "textgrid", _textgrid),
    "sounddevice": ("parts", "PortAudio", _portaudio),
}
"""What is tried beyond importing it, packages by their names: section and name in the report, and how."""


def _try(name: str) -> tuple[str, str]:
    try:
        if name in PARTS:
            return "ok", PARTS[name][2]()
        return "ok", str(importlib.import_module(IMPORTED_AS.get(name, name.replace("-", "_"))))
    except ModuleNotFoundError as error:
        return "missing", f"the Python package '{error.name}' is not installed"
    except WordprintError as error:
        return "broken", str(error)
    except Exception as error:
        return "broken", f"{type(error).__name__}: {' '.join(str(error).split())}"[:500]


if __name__ == "__main__":
    for part in sys.argv[1:]:
        state, detail = _try(part)
        print(json.dumps({"part": part, "state": state, "detail": detail}), flush=True)
