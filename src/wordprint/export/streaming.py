"""What is exported of a network: one step of a stream, and the pooling of spans."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from wordprint.train.encoders import Context


class Step(nn.Module):
    """(B, N) samples and (B, S) state to (B, n, F) frames, `encoder.delay` late, and the following state.

    The state is what every `Context` of front end and encoder keeps, one after the other.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.front_end, self.encoder = network, network.front_end, network.encoder
        contexts = [module for part in (self.front_end, self.encoder) for module in part.modules() if isinstance(module, Context)]
        self.contexts = [context for context in contexts if context.before + context.after]
        self.shapes: list[list[int]] = []

    def first_state(self, block: Tensor) -> Tensor:
        """Zeros; finds the shape of what each context keeps by letting a block through."""
        heard: dict[Context, list[int]] = {}
        hooks = [
            context.register_forward_pre_hook(lambda context, inputs: heard.update({context: list(inputs[0].shape[1:-1])}))
            for context in self.contexts
        ]
        self._encode(block)
        for hook in hooks:
            hook.remove()
        self.shapes = [[*heard[context], context.before + context.after] for context in self.contexts]
        return torch.zeros(len(block), sum(int(torch.tensor(shape).prod()) for shape in self.shapes))

    def forward(self, samples: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        sizes = [int(torch.tensor(shape).prod()) for shape in self.shapes]
        for context, part, shape in zip(self.contexts, torch.split(state, sizes, dim=1), self.shapes, strict=True):
            context.kept = part.reshape(part.shape[0], *shape)
        frames = self._encode(samples)
        following = [context.following.flatten(1) for context in self.contexts if context.following is not None]
        for context in self.contexts:
            context.kept = context.following = None
        return frames, torch.cat(following, dim=1)

    def _encode(self, samples: Tensor) -> Tensor:
        prepared: Tensor = self.network.prepare(self.encoder(self.encoder.normalise(self.front_end(samples))))
        return prepared


class Pool(nn.Module):
    """(T, F) frames and (S, 2) spans in frames to unit vectors (S, D)."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, spans: Tensor) -> Tensor:
        vectors: Tensor = self.network.pool_prepared(frames[None], spans[None])[0]
        return vectors
