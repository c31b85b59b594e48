"""What training minimises: the loss on embeddings, plus the two phonetic losses with their weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wordprint.train.augment import mask_features
from wordprint.train.data import Batch
from wordprint.train.losses import make_loss
from wordprint.train.network import Embedder, NetworkConfig
from wordprint.train.options import TrainConfig
from wordprint.train.phonetics import AudioPhoneLoss, FramePhoneLoss, Spelling


class Objective(nn.Module):
    """Network and losses in one module, so that Fabric wraps one; `forward` gives the total and its parts.

    Args:
        spelling: phones of the word types that are trained on.
    """

    def __init__(self, config: TrainConfig, spelling: Spelling) -> None:
        super().__init__()
        self.config = config
        self.network = Embedder(network_config(config))
        self.loss = make_loss(config, len(spelling.codes), config.embedding_size)
        self.audio_phone = (
            AudioPhoneLoss(spelling, config.embedding_size, config.temperature) if config.phonetic_weight > 0 else None
        )
        self.frame_phone = FramePhoneLoss(spelling, self.network.encoder.channels) if config.phone_weight > 0 else None

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Scalar loss, and its unweighted parts by name; only the encoder runs in the reduced precision."""
        features = self.network.features(batch.waveforms)
        embeddings, frames = self.network.encode(mask_features(features, batch.time_masks, batch.band_masks))
        config, parts = self.config, {}
        with torch.autocast(features.device.type, enabled=False):
            parts["loss"] = total = self.loss(embeddings, batch.labels)
            if self.audio_phone is not None:
                parts["phonetic"] = self.audio_phone(embeddings, batch.labels, batch.others)
                total = total + config.phonetic_weight * parts["phonetic"]
            if self.frame_phone is not None:
                parts["phone"] = self.frame_phone(frames, batch.labels, batch.spans)
                total = total + config.phone_weight * parts["phone"]
        return total, {name: part.detach() for name, part in parts.items()}


def network_config(config: TrainConfig) -> NetworkConfig:
    """The options of training that shape the network."""
    names = ("front_end", "n_features", "encoder", "embedding_size", "window_s")
    return NetworkConfig(**{name: getattr(config, name) for name in names})
