"""What training minimises: the loss on the vectors of spans, plus what frames and phone strings add, with their weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wordprint.train.augment import mask_features
from wordprint.train.data import Batch
from wordprint.train.losses import make_loss
from wordprint.train.network import Embedder, NetworkConfig
from wordprint.train.options import LOSSES_OF_TYPES, TrainConfig
from wordprint.train.phonetics import FrameTask, audio_phone_loss, distillation_loss, frame_phone_loss


class Objective(nn.Module):
    """Network and losses in one module, so that Fabric wraps one; `forward` gives the total and its parts.

    Args:
        phones: symbols of the phone strings. types: how many word types are trained on. lesson: size of a teacher's frame, or 0.
    """

    def __init__(self, config: TrainConfig, phones: list[str], types: int, lesson: int = 0) -> None:
        super().__init__()
        self.config = config
        self.network = Embedder(network_config(config, phones))
        self.loss = make_loss(config, types, config.embedding_size)
        channels = self.network.encoder.channels
        thrown_away = config.phone_weight > 0 and self.network.reader is None
        self.phone = FrameTask(channels, len(phones) + 1) if thrown_away else None
        self.lesson = FrameTask(channels, lesson) if lesson else None

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Scalar loss, and its unweighted parts by name; only encoder and head run in the reduced precision."""
        network, config = self.network, self.config
        frames = network.encoder(mask_features(network.features(batch.waveforms), batch.time_masks, batch.band_masks))
        vectors = network.pool(frames, batch.spans)
        read = self.phone or network.reader
        phones = None if read is None else read(frames).float()
        lessons = None if self.lesson is None else self.lesson(frames).float()
        with torch.autocast(frames.device.type, enabled=False):
            there = batch.strings >= 0
            spans, strings = vectors[there], batch.strings[there]
            if config.loss in LOSSES_OF_TYPES:
                parts = {"loss": self.loss(vectors[:, 0], batch.labels)}
            else:
                parts = {"loss": self.loss(spans, strings)}
            total = parts["loss"]
            if config.phonetic_weight > 0:
                spelt = network.spell(batch.codes)
                parts["phonetic"] = audio_phone_loss(spans, strings, spelt, config.temperature, int(batch.present))
                total = total + config.phonetic_weight * parts["phonetic"]
            if phones is not None:
                targets = batch.frame_phones[:, : phones.shape[2]]
                parts["phone"] = frame_phone_loss(phones, targets)
                total = total + config.phone_weight * parts["phone"]
            if lessons is not None:
                at = batch.lesson_frames.clamp(0, lessons.shape[2] - 1)
                guessed = lessons.transpose(1, 2).gather(1, at[:, :, None].expand(-1, -1, lessons.shape[1]))
                parts["teacher"] = distillation_loss(guessed, batch.lessons, batch.lesson_valid)
                total = total + config.teacher_weight * parts["teacher"]
        return total, {name: part.detach() for name, part in parts.items()}


def network_config(config: TrainConfig, phones: list[str]) -> NetworkConfig:
    """The options of training that shape the network, which knows `phones` where it learns from phone strings."""
    names = ("front_end", "n_features", "encoder", "channels", "head", "embedding_size", "window_s")
    known = tuple(phones) if config.phonetic_weight > 0 else ()
    reads = bool(known) and config.phone_weight > 0
    return NetworkConfig(**{name: getattr(config, name) for name in names}, phones=known, reads_phones=reads)
