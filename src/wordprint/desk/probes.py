"""Parts of wordprint tried out in a process of their own, which may raise, hang or crash.

    python -m wordprint.desk.probes pocketsphinx import:torch …

prints one JSON line for each part that was tried, in order, so that after a crash it is known which part it was.
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
from functools import lru_cache
from typing import Any, Literal

from wordprint.errors import WordprintError

LIMIT_S = 60.0
"""A process that has not tried all of its parts by then is stopped."""

_IMPORT = "import:"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What trying one part gave."""

    state: Literal["ok", "missing", "broken"]
    detail: str

    @property
    def works(self) -> bool:
        return self.state == "ok"


def try_parts(names: Sequence[str], limit_s: float = LIMIT_S) -> dict[str, Outcome]:
    """Try the parts in another process; one that takes it down is broken, and the rest is tried in the next process."""
    outcomes: dict[str, Outcome] = {}
    while waiting := [name for name in names if name not in outcomes]:
        code, output, error = _run(waiting, limit_s)
        for line in output.splitlines():
            with suppress(ValueError, KeyError, TypeError):  # what libraries print
                record = json.loads(line)
                outcomes[record["part"]] = Outcome(record["state"], record["detail"])
        culprit = next((name for name in waiting if name not in outcomes), None)
        if culprit:
            outcomes[culprit] = Outcome("broken", _death(code, error, limit_s))
    return outcomes


def _run(names: Sequence[str], limit_s: float) -> tuple[int | None, str, str]:
    """(exit code, standard output, standard error) of the other process; the code is None when it was stopped at the limit."""
    command = [sys.executable, "-P", "-m", "wordprint.desk.probes", *names]
    streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True}
    try:
        done = subprocess.run(command, timeout=limit_s, check=False, **streams)
    except subprocess.TimeoutExpired as error:
        return None, (error.stdout or b"").decode("utf-8", "replace"), ""
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def _death(code: int | None, error: str, limit_s: float) -> str:
    if code is None:
        return f"no answer in {limit_s:g} s"
    if code < 0:
        with suppress(ValueError):
            return f"crashes the interpreter ({signal.Signals(-code).name})"
    last = error.strip().splitlines()[-1:] or [""]
    return f"ends the interpreter with exit code {code} {last[0]}".strip()


# in the other process


def _pocketsphinx() -> str:
    import numpy as np
    import pocketsphinx  # noqa: F401  (first, so that what is wrong with it is not taken for its absence)

    from wordprint.align.options import AlignConfig
    from wordprint.align.pocketsphinx import PocketsphinxAligner
    from wordprint.records import Utterance
    from wordprint.speech.audio import SAMPLE_RATE

    started = time.perf_counter()
    aligner = PocketsphinxAligner(AlignConfig(g2p="rules"))
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype(np.float32) * np.float32(0.05)
    found = aligner.align(Utterance("probe", "probe", "", 0.0, 1.0, "seven"), noise)
    took_s = time.perf_counter() - started
    version = importlib.metadata.version("pocketsphinx")
    return f"{version}, English; loaded, and aligned a word of {len(found.phones)} phones, in {took_s:.1f} s"


def _espeak() -> str:
    import espeakng_loader  # noqa: F401

    from wordprint.speech.espeak import ACCENTS, Synthesiser, Voice

    with Synthesiser() as synthesiser:
        variants = synthesiser.variants()
        synthesiser.synthesise("seven", Voice(variants[0]))
    version = importlib.metadata.version("espeakng-loader")
    return f"{len(variants)} voices × {len(ACCENTS)} English accents (espeakng-loader {version}); spoke a word"


def _libsndfile() -> str:
    import soundfile

    formats = soundfile.available_formats()
    ogg = soundfile.available_subtypes("OGG") if "OGG" in formats else {}
    have = {"FLAC": "FLAC" in formats, "WAV": "WAV" in formats, "MP3": "MP3" in formats}
    have |= {"Ogg Vorbis": "VORBIS" in ogg, "Opus": "OPUS" in ogg}
    reads = ", ".join(name for name, there in have.items() if there)
    lacks = ", ".join(name for name, there in have.items() if not there)
    if not (have["FLAC"] and have["WAV"]):
        raise WordprintError(f"{soundfile.__libsndfile_version__} lacks {lacks}")
    return f"{soundfile.__libsndfile_version__}: {reads}" + (f"; not {lacks}" if lacks else "")


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

    devices = []
    if torch.cuda.is_available():
        fast = ", bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else ""
        devices = [f"{torch.cuda.get_device_name(index)}{fast}" for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("MPS")
    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    fast = "bfloat16" if flags.get("avx512_bf16") or flags.get("amx_bf16") else "no fast bfloat16"
    devices.append(f"CPU ({torch.get_num_threads()} threads, {fast})")
    return f"{torch.__version__} on {'; '.join(devices)}"


PARTS: dict[str, Callable[[], str]] = {
    "pocketsphinx": _pocketsphinx,
    "espeak-ng": _espeak,
    "libsndfile": _libsndfile,
    "onnxruntime": _onnxruntime,
    "model": _model,
    "torch": _torch,
}


@lru_cache(maxsize=1)
def _modules() -> dict[str, list[str]]:
    """Names to import, by distribution in lower case."""
    names: dict[str, list[str]] = {}
    for module, distributions in importlib.metadata.packages_distributions().items():
        for distribution in distributions:
            names.setdefault(distribution.lower().replace("_", "-"), []).append(module)
    return names


def _import(distribution: str) -> str:
    guess = distribution.replace("-", "_")
    modules = _modules().get(distribution.lower().replace("_", "-"), [guess])
    importlib.import_module(guess if guess in modules else next(iter(modules)))
    return importlib.metadata.version(distribution)


def _try(name: str) -> Outcome:
    try:
        return Outcome("ok", _import(name.removeprefix(_IMPORT)) if name.startswith(_IMPORT) else PARTS[name]())
    except ModuleNotFoundError as error:
        return Outcome("missing", f"the Python package '{error.name}' is not installed")
    except WordprintError as error:
        return Outcome("broken", str(error))
    except Exception as error:
        text = " ".join(str(error).split())
        return Outcome("broken", f"{type(error).__name__}: {text}"[:500])


def main() -> None:
    """Try the parts named as arguments."""
    for name in sys.argv[1:]:
        outcome = _try(name)
        print(json.dumps({"part": name, "state": outcome.state, "detail": outcome.detail}), flush=True)


if __name__ == "__main__":
    main()
