"""Heads against naive loops over frames, bins and spans."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from wordprint.train.heads import HEADS, SHORTEST, STEEPEST, BinnedHead, bin_weights, membership


def naive_bins(start, end, bins, frames):
    end = max(end, start + SHORTEST)
    rows = []
    for place in range(bins):
        middle = start + (place + 0.5) / bins * (end - start)
        reach = max((end - start) / bins, 1.5)
        row = [max(0.0, 1 - abs(time - middle) / reach) for time in range(frames)]
        rows.append([weight / sum(row) if sum(row) > 1e-6 else 0.0 for weight in row])
    return np.array(rows)


def naive_membership(start, end, frames):
    end = max(end, start + SHORTEST)
    return np.array([min(max(min(time - start + 0.5, end - time + 0.5), 0.0), 1.0) for time in range(frames)])


SPANS = st.tuples(st.floats(-40, 60, width=32), st.floats(-5, 60, width=32))  # start and length; beyond both ends, and inside out


@settings(max_examples=60)
@given(st.lists(SPANS, min_size=1, max_size=4), st.integers(1, 12))
def test_weights_agree_with_naive_loops(drawn, bins):
    spans = torch.tensor([[start, start + lasting] for start, lasting in drawn])
    weights, inside = bin_weights(spans[None], bins, 20), membership(spans[None], 20)
    assert weights.shape == (1, len(drawn), bins, 20)
    for row, (start, end) in enumerate(spans.tolist()):
        expected = naive_bins(start, end, bins, 20)
        clear = (expected > 0).sum(1) != 1  # the sum of a single tiny weight is that of rounding
        np.testing.assert_allclose(weights[0, row][clear], expected[clear], atol=2e-3)
        np.testing.assert_allclose(inside[0, row], naive_membership(start, end, 20), atol=1e-4)
        assert weights[0, row].sum(1).max() <= 1 + 1e-5


def trained_head():
    """A head whose normalisation is not the identity."""
    torch.manual_seed(0)
    head = BinnedHead(channels=6, embedding_size=5, bins=4, hidden=3)
    for _ in range(3):
        head(torch.randn(3, 6, 30), torch.tensor([[2.0, 9.0], [5.0, 28.0]]).expand(3, 2, 2))
    return head.eval()


def naive_head(head, frames, start, end):
    """(C, T) frames and one span to (D,), step by step."""
    channels, length = frames.shape
    course = frames @ torch.tensor(naive_bins(start, end, head.bins, length), dtype=torch.float32).T  # (C, bins)
    mixed = head.mix(course[None])[0]
    logits = head.attention(frames[None])[0]
    inside = naive_membership(start, end, length)
    mean, deviation = torch.zeros(channels), torch.zeros(channels)
    for channel in range(channels):
        force = [inside[time] * math.exp(STEEPEST * math.tanh(float(logits[channel, time]) / STEEPEST)) for time in range(length)]
        heard = sum(force)
        first = sum(weight * float(frames[channel, time]) for time, weight in enumerate(force)) / heard
        second = sum(weight * float(frames[channel, time]) ** 2 for time, weight in enumerate(force)) / heard
        mean[channel], deviation[channel] = first, math.sqrt(max(second - first**2, 1e-4))
    statistics = head.scale(torch.cat([mean, deviation])[None])[0]
    return head.output(torch.cat([mixed.T.flatten(), statistics]))


def test_the_binned_head_agrees_with_a_loop_over_spans():
    head, frames = trained_head(), torch.randn(2, 6, 25).relu()
    spans = torch.tensor([[[3.0, 11.0], [0.3, 24.7], [12.4, 12.9]], [[-4.0, 6.0], [19.0, 33.0], [7.25, 16.5]]])
    with torch.no_grad():
        found = head(frames, spans)
        assert found.shape == (2, 3, 5)
        for crop in range(2):
            for place, (start, end) in enumerate(spans[crop].tolist()):
                torch.testing.assert_close(found[crop, place], naive_head(head, frames[crop], start, end), atol=1e-3, rtol=1e-3)


def test_the_order_and_the_company_of_spans_do_not_matter():
    head, frames, spans = trained_head(), torch.randn(2, 6, 25), torch.rand(2, 7, 2) * 12 + torch.tensor([0.0, 12.0])
    order = torch.tensor([4, 0, 6, 2, 5, 1, 3])
    with torch.no_grad():
        together = head(frames, spans)
        torch.testing.assert_close(head(frames, spans[:, order]), together[:, order], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(head(frames[1:], spans[1:, 3:4])[0, 0], together[1, 3], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(head.pool(head.prepare(frames), spans), together)


def test_frames_beyond_a_span_do_not_matter():
    head, frames, spans = trained_head(), torch.randn(1, 6, 40), torch.tensor([[[10.0, 20.0]]])
    other = frames.clone()
    other[:, :, :8], other[:, :, 23:] = 9.0, -9.0
    with torch.no_grad():
        torch.testing.assert_close(head(frames, spans), head(other, spans))
        torch.testing.assert_close(head(frames[:, :, 5:], spans - 5), head(frames, spans), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_spans_outside_all_frames_give_finite_vectors_and_gradients(precision):
    head = BinnedHead(channels=6, embedding_size=5)
    frames = (1e3 * torch.randn(2, 6, 30)).requires_grad_()
    spans = torch.tensor([[[-500.0, -400.0], [1e6, 2e6], [29.0, 29.0]], [[5.0, 5.0], [20.0, 3.0], [0.0, 30.0]]])
    with torch.autocast("cpu", precision, enabled=precision != torch.float32):
        vectors = head(frames, spans)
    vectors.float().square().sum().backward()
    assert torch.isfinite(vectors).all()
    assert torch.isfinite(frames.grad).all()


def test_the_deviation_survives_bfloat16():
    """A small deviation beside a large mean: in 8 bits nothing of it would be left."""
    head, frames = BinnedHead(channels=4, embedding_size=5).eval(), 30 + torch.randn(1, 4, 60)
    seen = []
    head.scale.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0][:, 4:]))
    with torch.no_grad():
        head(frames, torch.tensor([[[5.0, 50.0]]]))
        with torch.autocast("cpu", torch.bfloat16):
            head(frames, torch.tensor([[[5.0, 50.0]]]))
    torch.testing.assert_close(seen[0], seen[1], rtol=0.15, atol=0)
    assert (seen[0] > 0.5).all()


@pytest.mark.parametrize("name", ["statistics", "dense"])
def test_heads_of_whole_windows_take_any_span(name):
    torch.manual_seed(0)
    head, frames = HEADS[name](6, 5), torch.randn(2, 6, 20)
    head.eval()(frames, torch.zeros(2, 1, 2))  # the first call
    with torch.no_grad():
        found = head(frames, torch.rand(2, 3, 2))
    assert found.shape == (2, 3, 5)
    torch.testing.assert_close(found, found[:, :1].expand(-1, 3, -1))


def test_statistics_by_hand():
    torch.manual_seed(0)
    head, frames = HEADS["statistics"](3, 4).eval(), torch.randn(1, 3, 9)
    with torch.no_grad():
        weights = functional.softmax(head.attention(frames), dim=2)[0]
        mean = [sum(float(weights[c, t] * frames[0, c, t]) for t in range(9)) for c in range(3)]
        squares = [sum(float(weights[c, t] * (frames[0, c, t] - mean[c]) ** 2) for t in range(9)) for c in range(3)]
        expected = head.output(head.scale(torch.tensor([mean + [math.sqrt(max(value, 1e-4)) for value in squares]])))
        torch.testing.assert_close(head(frames, torch.zeros(1, 1, 2))[0], expected, atol=1e-5, rtol=1e-5)
