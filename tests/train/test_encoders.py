"""Encoders: a stream computed piece by piece equals the recording; the window encoders' shapes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wordprint.errors import ConfigError
from wordprint.train.encoders import ENCODERS, Context, Encoder, StreamingCnn
from wordprint.train.network import Embedder, NetworkConfig

FRAME = 320
"""Samples of a frame."""

PAST = 60
"""Frames after which zeros before a recording and a stream's first state can't be heard any more (it hears 0.9 s)."""


@pytest.fixture(scope="module")
def network():
    """A network whose normalisation is not the identity."""
    torch.manual_seed(0)
    network = Embedder(NetworkConfig(channels=8, embedding_size=4))
    for _ in range(2):
        network(0.1 * torch.randn(2, 16_000))
    return network.eval()


def encode(network, samples):
    with torch.no_grad():
        return network.encoder(network.features(samples))


def stream(network, samples, sizes):
    """Frames of pieces of so many frames each, every Context given what the piece before left."""
    contexts = [m for part in (network.front_end, network.encoder) for m in part.modules() if isinstance(m, Context)]
    shapes = {}
    hooks = [m.register_forward_pre_hook(lambda m, inputs: shapes.update({m: inputs[0].shape[:-1]})) for m in contexts]
    encode(network, samples)
    for hook in hooks:
        hook.remove()
    try:
        for context in contexts:
            context.kept = torch.zeros(*shapes[context], context.before + context.after)
        pieces = []
        for piece in samples.split([FRAME * size for size in sizes], dim=1):
            pieces.append(encode(network, piece))
            for context in contexts:
                context.kept = context.following
        return torch.cat(pieces, dim=2)
    finally:
        for context in contexts:
            context.kept = context.following = None


@settings(max_examples=12)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_any_split_of_a_stream_gives_the_frames_of_the_recording(network, sizes):
    sizes = [*sizes, 120 - sum(sizes)] if sum(sizes) < 120 else sizes
    frames = sum(sizes)
    samples = 0.1 * torch.randn(2, FRAME * frames, generator=torch.Generator().manual_seed(1))
    whole, streamed = encode(network, samples), stream(network, samples, sizes)
    delay = network.encoder.delay
    assert whole.shape == streamed.shape == (2, 8, frames)
    torch.testing.assert_close(streamed[:, :, PAST + delay :], whole[:, :, PAST : frames - delay], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(streamed, stream(network, samples, [frames]), atol=1e-4, rtol=1e-4)  # from the first frame on


def test_a_frame_looks_no_further_ahead_than_its_delay(network):
    samples = 0.1 * torch.randn(1, FRAME * 60)
    changed = samples.clone()
    changed[:, FRAME * 40 :] += 0.1
    differs = (encode(network, samples) - encode(network, changed)).abs().amax(dim=(0, 1)) > 0
    delay = network.encoder.delay
    assert delay == 10
    assert not differs[: 40 - delay].any()
    assert differs[40 - delay : 50].all()


def test_a_frame_hears_as_much_of_the_past_as_it_is_said_to(network):
    samples = 0.1 * torch.randn(1, FRAME * 120)
    changed = samples.clone()
    changed[:, :FRAME] += 0.1
    heard = (encode(network, samples) - encode(network, changed)).abs().amax(dim=(0, 1)).nonzero().max()
    assert 40 <= heard < PAST - network.encoder.delay  # 0.8–1 s


def test_context_by_hand():
    context = Context(2, 1)
    values = torch.arange(1.0, 5)
    joined = context(values)
    assert joined.tolist() == [0, 0, 1, 2, 3, 4, 0]
    assert context.delayed(joined, 3).tolist() == values.tolist()  # a recording is not late
    context.kept = torch.tensor([7.0, 8, 9])
    joined = context(values)
    assert joined.tolist() == [7, 8, 9, 1, 2, 3, 4]
    assert context.following.tolist() == [2, 3, 4]
    assert context.delayed(joined, 1).tolist() == [9, 1, 2, 3]
    assert context.delayed(joined, 3).tolist() == [7, 8, 9, 1]
    context.kept = torch.tensor([7.0, 8, 9])
    context(values[:1])
    assert context.following.tolist() == [8, 9, 1]  # less came than is kept


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("length", [16, 31, 100])
def test_frames_are_spaced_by_the_stride(name, length):
    encoder = ENCODERS[name](40, 24).eval()
    frames = encoder(encoder.normalise(torch.randn(2, 40, length)))
    assert frames.shape[:2] == (2, encoder.channels)
    assert length // encoder.stride <= frames.shape[2] <= -(-length // encoder.stride)


@pytest.mark.parametrize("bands", [1, 13, 80])
def test_any_number_of_bands(bands):
    assert StreamingCnn(bands, 8)(torch.randn(1, bands, 20)).shape == (1, 8, 10)


def test_features_are_normalised_before_they_are_masked():
    network, sounds = Embedder(NetworkConfig(channels=8)), 0.1 * torch.randn(4, 16_000)
    features = network.features(sounds)
    torch.testing.assert_close(features.mean(dim=(0, 2)), torch.zeros(40), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.std(dim=(0, 2)), torch.ones(40), atol=1e-2, rtol=0)
    assert isinstance(ENCODERS["compact"](40, 8).normalise, torch.nn.BatchNorm1d)
    bare = ENCODERS["ancestor"](40, 8)
    assert torch.equal(bare.normalise(features), features)


@pytest.mark.parametrize(
    "options",
    [{}, {"encoder": "compact", "head": "statistics"}, {"encoder": "ancestor", "head": "dense", "front_end": "mfcc"}],
)
def test_every_parameter_is_learnt(options):
    """Two processes wait for each other's gradients of all of them."""
    network = Embedder(NetworkConfig(channels=16, window_s=1.0, **options))
    (network(0.1 * torch.randn(4, 16_000)) * torch.randn(4, 128)).sum().backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


def test_an_encoder_without_a_forward():
    with pytest.raises(TypeError, match=r"must define forward\(\)"):
        Encoder()(torch.zeros(1, 40, 10))


def test_a_window_without_a_frame_is_refused():
    with pytest.raises(ConfigError, match=r"window_s is 0\.1; expected at least 0\.128, a frame of the encoder 'ancestor'"):
        Embedder(NetworkConfig(front_end="mfcc", encoder="ancestor", head="dense", window_s=0.1))


def test_the_default_network_fits_in_four_megabytes():
    """In float32, with what is derived of the front end, and without the phone encoder."""
    network = Embedder(NetworkConfig())
    constants = sum(buffer.numel() for buffer in network.front_end.buffers())
    assert network.frame_samples == FRAME
    assert 4 * (sum(parameter.numel() for parameter in network.parameters()) + constants) < 4_000_000
