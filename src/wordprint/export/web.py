"""A static page that spots keywords in the browser alone: the model, the keywords and onnxruntime-web in one folder.

    wordprint web keywords.json -o page      # then: python -m http.server --directory page

The page's spotter (web/spotter.js) is the arithmetic of spot/stream.py, match.py, decide.py and goodness.py over the same ONNX
files.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import tarfile
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import ConfigError, InputError, disk_errors
from wordprint.goodness import BEFORE, LEAST_LIKELY, OF_FRAMES, OF_SOUND, OF_WORST, PAUSE_FRAMES, codes_of
from wordprint.model import HEAD_KEY, Model
from wordprint.speech.audio import SAMPLE_RATE
from wordprint.spot.decide import SAME_END_SAMPLES
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.match import STEEPNESS, Matcher
from wordprint.spot.options import SpotConfig
from wordprint.spot.stream import READ_BELOW
from wordprint.stages.manifest import atomic_path, write_json
from wordprint.stages.options import check

ORT_PACKAGE = "onnxruntime-web@1.22.0"
ORT_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
SPOTTER_FILE = "spotter.json"
"""What the page's spotter is told; not keywords.json, which may lie in the same folder."""
PAGE_FILES = ("index.html", "page.js", "spotter.js", "microphone.js", "style.css")


def write_page(
    model: Model, enrollment: Enrollment, folder: Path, config: SpotConfig = SpotConfig(), onnxruntime_web: Path | None = None
) -> list[Path]:
    """Write all files of the page into `folder`; returns their paths.

    `onnxruntime_web` is the folder of that npm package, or of its `dist`; without it, npm is asked for it. Raises InputError for a
    folder that isn't one, ConfigError where npm is missing or fails.
    """
    check(config)
    enrollment.check(model)
    if not enrollment.keywords:
        raise InputError("no keyword is enrolled", expected="one or more", remedy="enroll one first: 'wordprint enroll'")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = _copy_onnxruntime(folder, onnxruntime_web)
    for name in PAGE_FILES:
        content = (resources.files("wordprint.export") / "web" / name).read_bytes()
        written.append(_write(folder / name, content))
    parts = model.parts()
    written.append(_write(folder / "encoder.onnx", parts["encoder"]))
    written.append(_write(folder / "head.onnx", base64.b64decode(parts[HEAD_KEY])))
    write_json(folder / SPOTTER_FILE, describe(model, enrollment, config))
    return [*written, folder / SPOTTER_FILE]


def describe(model: Model, enrollment: Enrollment, config: SpotConfig) -> dict[str, Any]:
    """All that the page's spotter needs to know besides the ONNX files."""
    listened, owners = enrollment.listened()
    matcher = Matcher(listened)
    allowed = matcher.allowed()
    words = [
        {
            "keyword": word.keyword,
            "threshold": word.threshold if config.threshold is None else config.threshold,
            "prototypes": [list(vector) for vector in word.prototypes],
            "mistakes": [list(one.embedding) for one in word.mistakes],
            "sounds": codes_of(word.sounds, model.phones),
            "lengths": np.flatnonzero(allowed[:, number]).tolist(),
        }
        for number, word in enumerate(listened)
    ]
    return {
        "model": model.name,
        "sample_rate": SAMPLE_RATE,
        "block_samples": model.block_samples,
        "frame_samples": model.frame_samples,
        "delay_frames": model.delay_frames,
        "hop_frames": max(1, round(config.hop_s * SAMPLE_RATE / model.frame_samples)),
        "hold_samples": round(config.hold_s * SAMPLE_RATE),
        "same_end_samples": SAME_END_SAMPLES,
        "refractory_samples": round(config.refractory_s * SAMPLE_RATE),
        "min_power": 10 ** (config.min_level_db / 10),
        "silence": _list(model.silence),
        "state": base64.b64encode(model.silent_state.astype("<f4").tobytes()).decode("ascii"),
        "steepness": STEEPNESS,
        "lengths_s": matcher.lengths_s.tolist(),
        "goodness": {
            "below": READ_BELOW,
            "before": BEFORE,
            "of_frames": OF_FRAMES,
            "of_worst": OF_WORST,
            "least_likely": LEAST_LIKELY,
            "pause_frames": PAUSE_FRAMES,
            "of_sound": OF_SOUND,
            "columns": len(model.phones) + 1 if model.reads_phones else 0,
        },
        "keywords": words[: len(enrollment.keywords)],
        "rivals": [word | {"owner": owner} for word, owner in zip(words[len(enrollment.keywords) :], owners, strict=True)],
    }


def _list(vector: NDArray[np.float32]) -> list[float]:
    return [float(value) for value in vector]


def _write(path: Path, content: bytes) -> Path:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return path


def _copy_onnxruntime(folder: Path, package: Path | None) -> list[Path]:
    if all((folder / name).is_file() for name in ORT_FILES) and package is None:
        return [folder / name for name in ORT_FILES]
    with tempfile.TemporaryDirectory() as temporary:
        source = _npm_pack(Path(temporary)) if package is None else package
        source = source / "dist" if (source / "dist").is_dir() else source
        if missing := [name for name in ORT_FILES if not (source / name).is_file()]:
            raise InputError(f"{source} has no {missing[0]}", expected=f"the folder of the npm package {ORT_PACKAGE}")
        for name in ORT_FILES:
            shutil.copyfile(source / name, folder / name)
    return [folder / name for name in ORT_FILES]


def _npm_pack(folder: Path) -> Path:
    """The package as npm brings it."""
    remedy = f"install Node.js, or get the package elsewhere ('npm pack {ORT_PACKAGE}') and name it with --onnxruntime-web"
    npm = shutil.which("npm")
    if npm is None:
        raise ConfigError("onnxruntime-web is needed, and npm, which brings it, is not installed", remedy=remedy)
    done = subprocess.run([npm, "pack", "--silent", ORT_PACKAGE], cwd=folder, capture_output=True, text=True, check=False)
    archives = list(folder.glob("*.tgz"))
    if done.returncode or not archives:
        raise ConfigError(f"npm could not bring {ORT_PACKAGE} ({done.stderr.strip()[-200:] or done.returncode})", remedy=remedy)
    with tarfile.open(archives[0]) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 is the first to have it
        archive.extractall(folder)
    return folder / "package"
