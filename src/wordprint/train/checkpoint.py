"""Checkpoints: weights in safetensors, everything else in JSON.

    OUT/best.safetensors   OUT/best.json   the network that validated best, and what it is
    OUT/last.safetensors                   all that is needed to go on: network, losses, optimiser, step
    OUT/training_words.txt                 every word it was trained on
    OUT/training_speakers.txt

Nothing is ever pickled or unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wordprint.errors import InputError, ModelError
from wordprint.stages.manifest import atomic_path, write_json, write_text
from wordprint.train.network import Embedder, NetworkConfig

SCHEMA = "wordprint.checkpoint/2"
BEST, LAST = "best", "last"
WORDS, SPEAKERS = "training_words.txt", "training_speakers.txt"

_RETRAIN = "train it again with 'wordprint train'"


def save_checkpoint(folder: str | Path, network: Embedder, record: Mapping[str, Any]) -> None:
    """Write `network` as the best checkpoint: the weights, then what they are; `record` needs at least `step`."""
    folder = Path(folder)
    _write(folder / f"{BEST}.safetensors", network.state_dict(), {"step": str(record["step"])})
    write_json(folder / f"{BEST}.json", {"schema": SCHEMA, "network": describe(network.config), **record})


def load_checkpoint(path: str | Path) -> tuple[Embedder, dict[str, Any]]:
    """The network (in evaluation mode) and its record, from the folder that `train` wrote or from one of the two files.

    `training_words` and `training_speakers` are added to the record where their files lie beside it.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path} does not exist", expected="the folder that 'wordprint train' wrote")
    folder, name = (path, BEST) if path.is_dir() else (path.parent, path.stem)
    weights, document = folder / f"{name}.safetensors", folder / f"{name}.json"
    if path.is_file() and path.suffix not in (".safetensors", ".json"):
        raise InputError(f"{path} is no checkpoint", expected="the folder that 'wordprint train' wrote")
    if not weights.is_file() or not document.is_file():
        raise InputError(f"{folder} holds no checkpoint '{name}'", expected="the folder that 'wordprint train' wrote")
    record = _parse(document.read_bytes(), document)
    tensors, stamp = _read(weights)
    if stamp.get("step") != str(record.get("step")):
        raise ModelError(f"{weights} is of step {stamp.get('step')}, {document.name} of step {record.get('step')}", remedy=_RETRAIN)
    try:
        known = {field.name for field in fields(NetworkConfig)}
        config = NetworkConfig(**{key: value for key, value in record["network"].items() if key in known})
        network = Embedder(config)
        network.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{folder / name}.safetensors doesn't fit its description ({reason})", remedy=_RETRAIN) from error
    for file in (WORDS, SPEAKERS):
        if (folder / file).is_file():
            record[Path(file).stem] = (folder / file).read_text(encoding="utf-8").splitlines()
    return network.eval(), record


def save_state(folder: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write all that is needed to go on as one file, so that a kill at any moment leaves the old state or the new one."""
    _write(folder / f"{LAST}.safetensors", tensors, {"state": json.dumps({"schema": SCHEMA, **record})})


def read_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """What `save_state` wrote, or None where it has not been called yet."""
    path = folder / f"{LAST}.safetensors"
    if not path.is_file():
        return None
    tensors, stamp = _read(path)
    return tensors, _parse(stamp.get("state", ""), path)


def describe(config: NetworkConfig) -> dict[str, Any]:
    """The network's options and what follows from them."""
    return {**config.to_json(), "window_samples": config.window_samples}


def write_names(folder: Path, words: list[str], speakers: list[str]) -> None:
    """The lists that leak checks read: one word (or phrase) and one speaker a line, sorted."""
    for file, names in ((WORDS, words), (SPEAKERS, speakers)):
        write_text(folder / file, "".join(f"{name}\n" for name in sorted(names)))


def pack_optimizer(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """An optimiser's `state_dict()` as named tensors and JSON."""
    tensors = {
        f"optimizer.{parameter}.{key}": torch.as_tensor(value)
        for parameter, values in state["state"].items()
        for key, value in values.items()
    }
    return tensors, state["param_groups"]


def unpack_optimizer(tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]) -> dict[str, Any]:
    """The inverse of `pack_optimizer`; tensors of other names are passed over."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, parameter, key = name.split(".", 2)
            state.setdefault(int(parameter), {})[key] = tensor
    return {"state": state, "param_groups": groups}


def _write(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    from safetensors.torch import save

    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a safetensors file; raises ModelError for a damaged one."""
    from safetensors import SafetensorError, safe_open

    path.open("rb").close()  # of a file that may not be read, the library says that it isn't there
    try:
        with safe_open(str(path), framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged ({error})", remedy=_RETRAIN) from error


def _parse(text: str | bytes, path: Path) -> dict[str, Any]:
    """A JSON document of this version of checkpoints; raises ModelError for any other."""
    try:
        record = json.loads(text)
        schema = record.get("schema")
    except (ValueError, AttributeError) as error:
        raise ModelError(f"{path} is damaged ({error})", remedy=_RETRAIN) from error
    if schema != SCHEMA:
        raise ModelError(f"{path} has schema {schema!r} (made by another version)", expected=SCHEMA, remedy=_RETRAIN)
    return dict(record)
