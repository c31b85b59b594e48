"""A network as one ONNX file: the graph, its int8 version, and what is written into it. Needs torch and onnx.

Nothing of the machine or the hour goes into the file: the same network and metadata give the same bytes.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wordprint.errors import require_extra
from wordprint.model import METADATA_KEY
from wordprint.stages.manifest import atomic_path

OPSET = 18
IR_VERSION = 10
INPUT, OUTPUT = "waveforms", "embeddings"
FRONT_END = "front_end."
"""Constants of the front end have names that start so; it stays in float."""
QUANTISED = ("Conv", "Gemm", "MatMul")


def to_onnx(network: Any, window_samples: int, *, any_length: bool) -> Any:
    """`network` (B, N) → (B, D) as an ONNX ModelProto; B is free, N too where `any_length`."""
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise require_extra(error.name or "onnx", "train", "the export") from error
    import torch

    shape = {0: torch.export.Dim("batch")}
    if any_length:
        shape[1] = torch.export.Dim("samples")
    with _quiet():
        program: Any = torch.onnx.export(
            network.eval(),
            (torch.zeros(2, window_samples),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=(shape,),
            verbose=False,
        )
    return _bare(program.model_proto)


def quantise(model: Any, waveforms: Sequence[NDArray[np.float32]]) -> Any:
    """Static int8 (QDQ, weights per channel) of all layers behind the front end, calibrated on batches (B, N) of real words."""
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches: Iterator[NDArray[np.float32]] = iter(waveforms)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            batch = next(self.batches, None)
            return None if batch is None else {INPUT: batch}

    front_end = [node.name for node in model.graph.node if any(name.startswith(FRONT_END) for name in node.input)]
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, source)
        quantization.quantize_static(
            source,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            per_channel=True,
            nodes_to_exclude=front_end,
        )
        return _bare(onnx.load(target))


def write_onnx(model: Any, metadata: dict[str, Any], path: str | Path) -> None:
    """Write the model with its description, atomically; its Fourier bases are written as formulas."""
    import onnx

    complete = onnx.ModelProto()
    complete.CopyFrom(model)
    compact_fourier(complete)
    text = json.dumps(metadata, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    onnx.helper.set_model_props(complete, {METADATA_KEY: text})
    onnx.checker.check_model(complete)
    with atomic_path(path) as temporary:
        temporary.write_bytes(complete.SerializeToString(deterministic=True))


def compact_fourier(model: Any) -> None:
    """Replace each windowed Fourier basis (2K, 1, W) of the front end by the nodes that compute it when the model is loaded.

    A basis is K rows of cosines, then K of sines, of k·t/n turns, times a window. 484 × 400 numbers become 242 + 400.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    for tensor in [tensor for tensor in graph.initializer if tensor.name.startswith(FRONT_END) and len(tensor.dims) == 3]:
        found = _fourier(numpy_helper.to_array(tensor))
        if found is None:
            continue
        bins, window, period = found
        name = tensor.name
        constants = {
            "bins": bins[:, None],
            "time": np.arange(window.size, dtype=np.int64)[None],
            "period": np.int64(period),
            "step": np.float32(2 * np.pi / period),
            "window": window[None].astype(np.float32),
            "axis": np.array([1], np.int64),
        }
        graph.initializer.remove(tensor)
        graph.initializer.extend(numpy_helper.from_array(np.asarray(value), f"{name}.{key}") for key, value in constants.items())
        steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
            ("Mul", ["bins", "time"], "products", {}),
            ("Mod", ["products", "period"], "turns", {}),
            ("Cast", ["turns"], "turns_float", {"to": 1}),
            ("Mul", ["turns_float", "step"], "angles", {}),
            ("Cos", ["angles"], "cosines", {}),
            ("Sin", ["angles"], "sines", {}),
            ("Concat", ["cosines", "sines"], "waves", {"axis": 0}),
            ("Mul", ["waves", "window"], "rows", {}),
        ]
        nodes = [
            helper.make_node(op, [f"{name}.{key}" for key in inputs], [f"{name}.{output}"], f"{name}.{output}", **attributes)
            for op, inputs, output, attributes in steps
        ]
        nodes.append(helper.make_node("Unsqueeze", [f"{name}.rows", f"{name}.axis"], [name], name))
        for position, node in enumerate(nodes):
            graph.node.insert(position, node)


def _fourier(basis: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64], int] | None:
    """(bins, window, period) of a windowed Fourier basis (2K, 1, W), or None when it is none, to rounding."""
    cosines, sines = np.split(basis[:, 0].astype(np.float64), [len(basis) // 2])
    if cosines.shape != sines.shape or cosines.shape[1] < 3:
        return None
    window = np.sqrt(np.median(cosines**2 + sines**2, axis=0))
    middle = int(np.argmax(window))
    turns = np.angle((cosines + 1j * sines)[:, middle] * (cosines - 1j * sines)[:, middle - 1]) / (2 * np.pi)
    period = max(Fraction(float(turn)).limit_denominator(4096).denominator for turn in turns)
    bins = np.rint(turns * period).astype(np.int64)
    angles = 2 * np.pi / period * (np.outer(bins, np.arange(window.size)) % period)
    expected = np.concatenate([np.cos(angles), np.sin(angles)]) * window
    return (bins, window, period) if np.abs(expected - basis[:, 0]).max() < 1e-6 else None


def _bare(model: Any) -> Any:
    """Without traces of the program that made it (file names, stack traces); one version of the format."""
    graph = model.graph
    for item in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer, graph, model):
        item.ClearField("doc_string")
        item.ClearField("metadata_props")
    del graph.value_info[:]
    graph.name = "wordprint"
    model.producer_name, model.producer_version = "wordprint", ""
    model.ir_version = IR_VERSION
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporters print and warn about themselves; an export that went wrong is caught by the parity check."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
