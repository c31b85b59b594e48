"""A network as one ONNX file: encoder with its state, head and phone encoder. Needs torch and onnx.

Nothing of the machine or the hour goes into the file: the same network and metadata give the same bytes.
"""

from __future__ import annotations

import base64
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

from wordprint.cohort import Cohort
from wordprint.errors import require_extra
from wordprint.model import COHORT_KEY, HEAD_KEY, METADATA_KEY, PHONES_KEY, STATE_KEY
from wordprint.stages.manifest import atomic_path

OPSET = 18
IR_VERSION = 10
FRONT_END = "front_end."
"""Constants of the front end have names that start so; it stays in float."""
QUANTISED = ("Conv", "Gemm", "MatMul")
KEPT_BITS, LARGE = 17, 1000
SILENCE_BLOCKS = 40
"""Blocks of silence after which the state no longer changes: more than the encoder remembers."""


def encoder_to_onnx(network: Any, block_frames: int) -> tuple[Any, NDArray[np.float32]]:
    """The encoder as a step of a stream: `samples` (1, N) and `state` (1, S) to `frames` (1, n, F) and the `following` state; and
    the state (1, S) after silence, in which a stream begins."""
    import torch

    from wordprint.export.streaming import Step

    step = Step(network).eval()
    block = torch.zeros(1, block_frames * network.frame_samples)
    with torch.no_grad():
        state = step.first_state(block)
        for _ in range(SILENCE_BLOCKS):
            _, state = step(block, state)
    model = _exported(step, (block, state), ["samples", "state"], ["frames", "following"], ({}, {}))
    return model, state.numpy()


def head_to_onnx(network: Any) -> Any:
    """`frames` (T, F) and `spans` (S, 2) in frames from the first to unit `vectors` (S, D)."""
    import torch

    from wordprint.export.streaming import Pool

    shapes = ({0: torch.export.Dim("frames", min=1)}, {0: torch.export.Dim("spans", min=1)})
    size = network.prepare(torch.rand(1, network.encoder.channels, 1)).shape[2]
    spans = torch.tensor([[3.0, 20.0], [0.0, 9.0], [4.0, 12.0]])
    return _exported(Pool(network).eval(), (torch.rand(50, size), spans), ["frames", "spans"], ["vectors"], shapes)


def phones_to_onnx(encoder: Any) -> Any:
    """The phone encoder: `phones` (U, N), 0 after the last, to unit `vectors` (U, D); written node by node, as a GRU of ONNX."""
    from onnx import TensorProto, helper, numpy_helper

    weights = {name: tensor.detach().numpy() for name, tensor in encoder.state_dict().items()}
    hidden = weights["recurrent.weight_hh_l0"].shape[1]

    def both(name: str) -> NDArray[np.float32]:  # of the two directions; torch has reset, update, new; ONNX update, reset, new
        gates = [np.split(weights[f"recurrent.{name}{way}"], 3) for way in ("", "_reverse")]
        return np.stack([np.concatenate([update, reset, fresh]) for reset, update, fresh in gates])

    constants = {
        "embedding": weights["embed.weight"],
        "input_weights": both("weight_ih_l0"),
        "state_weights": both("weight_hh_l0"),
        "biases": np.concatenate([both("bias_ih_l0"), both("bias_hh_l0")], axis=1),
        "projection": weights["project.weight"],
        "offset": weights["project.bias"],
        "zero": np.array(0, np.int64),
        "over_phones": np.array([1], np.int64),
        "flat": np.array([-1, 2 * hidden], np.int64),
    }
    nodes = [
        helper.make_node("Greater", ["phones", "zero"], ["said"]),
        helper.make_node("Cast", ["said"], ["counted"], to=TensorProto.INT32),
        helper.make_node("ReduceSum", ["counted", "over_phones"], ["lengths"], keepdims=0),
        helper.make_node("Gather", ["embedding", "phones"], ["embedded"]),
        helper.make_node("Transpose", ["embedded"], ["in_time"], perm=[1, 0, 2]),
        helper.make_node(
            "GRU",
            ["in_time", "input_weights", "state_weights", "biases", "lengths"],
            ["", "last"],
            direction="bidirectional",
            hidden_size=hidden,
            linear_before_reset=1,
        ),
        helper.make_node("Transpose", ["last"], ["by_string"], perm=[1, 0, 2]),
        helper.make_node("Reshape", ["by_string", "flat"], ["joined"]),
        helper.make_node("Gemm", ["joined", "projection", "offset"], ["projected"], transB=1),
        helper.make_node("LpNormalization", ["projected"], ["vectors"], axis=1, p=2),
    ]
    size = weights["project.bias"].shape[0]
    graph = helper.make_graph(
        nodes,
        "phones",
        [helper.make_tensor_value_info("phones", TensorProto.INT64, ["strings", "length"])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["strings", size])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    return _bare(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)]))


def _exported(module: Any, inputs: tuple[Any, ...], names: list[str], outputs: list[str], shapes: Any) -> Any:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise require_extra(error.name or "onnx", "train", "the export") from error
    import torch

    with _quiet():
        program: Any = torch.onnx.export(
            module,
            inputs,
            dynamo=True,
            opset_version=OPSET,
            input_names=names,
            output_names=outputs,
            dynamic_shapes=shapes,
            verbose=False,
        )
    return _bare(program.model_proto)


def quantise(model: Any, feeds: Sequence[dict[str, NDArray[np.float32]]]) -> Any:
    """Static int8 (QDQ, weights per channel) of all layers behind the front end, calibrated on blocks of real speech."""
    import onnx
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.feeds = iter(feeds)

        def get_next(self) -> dict[str, NDArray[np.float32]] | None:
            return next(self.feeds, None)

    front_end = [node.name for node in model.graph.node if any(FRONT_END in name for name in node.input)]
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


def write_onnx(
    encoder: Any,
    state: NDArray[np.float32],
    head: Any,
    phones: Any | None,
    metadata: dict[str, Any],
    path: str | Path,
    cohort: Cohort | None = None,
) -> None:
    """Write the three as one file with its description, the encoder's first state and the cohort, atomically; Fourier bases are
    written as formulas."""
    import onnx

    complete = _copy(encoder)
    compact_fourier(complete)
    text = json.dumps(metadata, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    models = {HEAD_KEY: head, **({} if phones is None else {PHONES_KEY: phones})}
    models = {key: _copy(model) for key, model in models.items()}
    for model in (complete, *models.values()):
        round_weights(model)
    parts = {key: model.SerializeToString(deterministic=True) for key, model in models.items()}
    parts[STATE_KEY] = state.astype("<f4").tobytes()
    if cohort is not None:
        parts[COHORT_KEY] = cohort.pack()
    packed = {key: base64.b64encode(part).decode("ascii") for key, part in parts.items()}
    onnx.helper.set_model_props(complete, {METADATA_KEY: text, **packed})
    onnx.checker.check_model(complete)
    with atomic_path(path) as temporary:
        temporary.write_bytes(complete.SerializeToString(deterministic=True))


def _copy(model: Any) -> Any:
    made = type(model)()
    made.CopyFrom(model)
    return made


def round_weights(model: Any) -> None:
    """To KEPT_BITS of the mantissa, 4 millionths at most: two libraries' sums differ by more, and a file deflates by a fifth more.

    Small tensors, such as scales, stay.
    """
    from onnx import numpy_helper

    low = 23 - KEPT_BITS
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size > LARGE:
            bits = (values.view(np.uint32) + np.uint32(1 << low >> 1)) & np.uint32(0xFFFFFFFF << low & 0xFFFFFFFF)
            tensor.CopyFrom(numpy_helper.from_array(bits.view(np.float32), tensor.name))


def compact_fourier(model: Any) -> None:
    """Replace each windowed Fourier basis (2K, 1, W) of the front end by the nodes that compute it when the model is loaded.

    A basis is K rows of cosines, then K of sines, of k·t/n turns, times a window. 484 × 400 numbers become 242 + 400.
    """
    from onnx import helper, numpy_helper

    graph = model.graph
    for tensor in [tensor for tensor in graph.initializer if FRONT_END in tensor.name and len(tensor.dims) == 3]:
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
