"""What training begins with instead of chance: the network of a model that was exported, or of a folder that `train` wrote."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from wordprint.errors import ModelError, require_extra
from wordprint.load import CheckpointEmbedder, load_embedder
from wordprint.model import HEAD_KEY, PHONES_KEY, Model
from wordprint.train.network import Embedder

SHAPED_BY = ("front_end", "n_features", "encoder", "channels", "head", "embedding_size")
"""Options that the network must have in common with the model that it begins with."""
OF_PHONES = ("phones.", "reader.")
"""Weights that count phones one by one: they begin anew where the phones are others."""

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Beginning:
    """The model that training began with, and all that it had heard."""

    name: str
    digest: str
    training: dict[str, Any]
    words: list[str]
    speakers: list[str]
    materials: list[dict[str, Any]]


def begin(network: Embedder, path: Path) -> tuple[Beginning, list[str]]:
    """Give the network the weights of a model; returns which model it is, and the parts that begin anew since they don't fit.

    In an exported model the normalisation of the encoder is part of its convolutions; it stays as it is from then on.
    Raises ModelError for a model with another encoder or head.
    """
    model = load_embedder(path)
    if not isinstance(model, (Model, CheckpointEmbedder)):
        raise ModelError(f"{path} is no model of wordprint", expected="a file that 'export' wrote or a folder that 'train' wrote")
    own, theirs = network.config.to_json(), model.metadata["network"]
    for name in SHAPED_BY:
        if own[name] != theirs.get(name):
            raise ModelError(
                f"{path} has {name} = {theirs.get(name)}, the network to train has {own[name]}", remedy="train with what it has"
            )
    if model.metadata.get("training_words") is None:
        raise ModelError(f"{path} doesn't say which words it has heard", expected="a model that does: they must stay out of tests")
    state = network.state_dict()
    if isinstance(model, Model):
        found = _exported(network, model)
        network.keeps_norms = True
    else:
        found = dict(model.network.state_dict())
    anew = set()
    for name in state:
        fits = name in found and found[name].shape == state[name].shape
        if name.startswith(OF_PHONES) and not (fits and tuple(model.phones) == network.config.phones):
            anew.add(name.partition(".")[0])
        elif not fits:
            raise ModelError(f"{path} has no {name} of {tuple(state[name].shape)}", remedy="export it anew with this version")
    kept = {name: found[name] for name in state if name.partition(".")[0] not in anew}
    network.load_state_dict(kept, strict=False)
    about = model.metadata
    training = about["training"] if isinstance(model, Model) else {"step": about["step"], **about["training"]}
    words, speakers = (about.get(f"training_{of}") or [] for of in ("words", "speakers"))
    return Beginning(model.name, model.digest, training, words, speakers, about.get("bill_of_materials", [])), sorted(anew)


def _exported(network: Embedder, model: Model) -> dict[str, Tensor]:
    """The state of a network with what `wordprint.export.graph` wrote of one."""
    parts = model.parts()
    encoder, head = _initialisers(parts["encoder"]), _initialisers(base64.b64decode(parts[HEAD_KEY]))
    arrays = {name.removeprefix("network."): array for name, array in {**encoder, **head}.items()}
    channels = network.encoder.channels
    # the taps of the head, as its `prepare` lays them out; small ones lose a name and gain an axis when constants are folded
    shapes = ((3, channels, channels), (3 * channels, channels, 1))
    taps = [array for name, array in encoder.items() if array.shape in shapes and not name.startswith("network.")]
    if taps:
        arrays["head.mix.0.weight"] = taps[0].reshape(3, channels, channels).transpose(1, 2, 0)
    for convolution, norm_name, norm in _normed(network.encoder, "encoder"):
        arrays[f"{norm_name}.bias"] = arrays.get(f"{convolution}.weight_bias", np.zeros(0, np.float32))
        arrays[f"{norm_name}.weight"] = np.ones(norm.num_features, np.float32)
        arrays[f"{norm_name}.running_mean"] = np.zeros(norm.num_features, np.float32)
        arrays[f"{norm_name}.running_var"] = np.full(norm.num_features, 1 - norm.eps, np.float32)
    if PHONES_KEY in parts and network.phones is not None:
        arrays |= _phone_encoder(_initialisers(base64.b64decode(parts[PHONES_KEY])))
    state = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    return {name: tensor for name, tensor in network.state_dict().items() if name.endswith("num_batches_tracked")} | state


def _normed(module: nn.Module, name: str) -> Iterator[tuple[str, str, _BatchNorm]]:
    """Names of convolutions and of the normalisations behind them, which `export` joins, and these."""
    for (first, before), (second, after) in pairwise(module.named_children()):
        if isinstance(before, (nn.Conv1d, nn.Conv2d)) and isinstance(after, _BatchNorm):
            yield f"{name}.{first}", f"{name}.{second}", after
    for child, part in module.named_children():
        yield from _normed(part, f"{name}.{child}")


def _phone_encoder(arrays: Arrays) -> Arrays:
    """The inverse of `wordprint.export.graph.phones_to_onnx`: ONNX has gates update, reset, new; torch reset, update, new."""
    biases = np.split(arrays["biases"], 2, axis=1)
    gates = {"weight_ih_l0": arrays["input_weights"], "weight_hh_l0": arrays["state_weights"]}
    gates |= {"bias_ih_l0": biases[0], "bias_hh_l0": biases[1]}
    found = {
        "phones.embed.weight": arrays["embedding"],
        "phones.project.weight": arrays["projection"],
        "phones.project.bias": arrays["offset"],
    }
    for name, both in gates.items():
        for way, (update, reset, fresh) in zip(("", "_reverse"), (np.split(one, 3) for one in both), strict=True):
            found[f"phones.recurrent.{name}{way}"] = np.concatenate([reset, update, fresh])
    return found


def _initialisers(content: bytes) -> Arrays:
    """The constants of an ONNX model by name."""
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as error:
        raise require_extra(error.name or "onnx", "train", "training that begins with an exported model") from error
    return {one.name: numpy_helper.to_array(one) for one in onnx.load_from_string(content).graph.initializer}
