"""Losses of frames and phone strings against naive loops, and the phone encoder."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from wordprint.train.phonetics import PhoneEncoder, audio_phone_loss, distillation_loss, frame_phone_loss
from wordprint.train.runs import UNKNOWN


@pytest.mark.parametrize("present", [3, 5])
def test_audio_phone_loss(present):
    """Strings 0, 1 and 2 are said, the first twice; those from `present` on are edits, or said by nobody."""
    generator = torch.Generator().manual_seed(3)
    audio = functional.normalize(torch.randn(4, 6, generator=generator), dim=1)
    phones = functional.normalize(torch.randn(7, 6, generator=generator), dim=1)
    targets, temperature = [0, 2, 1, 0], 0.3
    similarity = [[float(a @ p) / temperature for p in phones] for a in audio]
    to_phones = [math.log(sum(map(math.exp, row))) - row[target] for row, target in zip(similarity, targets, strict=True)]
    to_audio = []
    for string in sorted(set(targets)):
        all_spans = sum(math.exp(row[string]) for row in similarity)
        own = sum(math.exp(row[string]) for row, target in zip(similarity, targets, strict=True) if target == string)
        to_audio.append(math.log(all_spans / own))
    expected = np.mean(to_phones) + 0.5 * np.mean(to_audio)
    found = audio_phone_loss(audio, torch.tensor(targets), phones, temperature, present)
    assert float(found) == pytest.approx(expected, abs=1e-5)


def test_frame_phone_loss_passes_over_what_is_not_known():
    logits = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    phones = torch.tensor([[0, 3, UNKNOWN, 1, 1], [UNKNOWN] * 5])
    terms = []
    for crop in range(2):
        for time in range(5):
            if (phone := int(phones[crop, time])) != UNKNOWN:
                row = logits[crop, :, time].tolist()
                terms.append(math.log(sum(map(math.exp, row))) - row[phone])
    assert float(frame_phone_loss(logits, phones)) == pytest.approx(np.mean(terms), abs=1e-5)
    torch.testing.assert_close(frame_phone_loss(logits[:1], phones[:1] * 0), functional.cross_entropy(logits[:1], phones[:1] * 0))
    nothing = logits[1:].requires_grad_()
    loss = frame_phone_loss(nothing, phones[1:])
    loss.backward()
    assert loss == 0
    assert (nothing.grad == 0).all()


def test_distillation_loss():
    generator = torch.Generator().manual_seed(0)
    guessed, taught = torch.randn(2, 3, 5, generator=generator), torch.randn(2, 3, 5, generator=generator)
    valid = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    terms = []
    for crop, time in valid.nonzero().tolist():
        g, t = guessed[crop, time].tolist(), taught[crop, time].tolist()
        cosine = sum(a * b for a, b in zip(g, t, strict=True)) / math.hypot(*g) / math.hypot(*t)
        terms.append(1 - cosine + 0.1 * np.mean([(a - b) ** 2 for a, b in zip(g, t, strict=True)]))
    assert float(distillation_loss(guessed, taught, valid)) == pytest.approx(np.mean(terms), abs=1e-5)
    assert distillation_loss(guessed, taught, torch.zeros(2, 3)) == 0


def test_the_phone_encoder_hears_order_and_not_company_or_padding():
    torch.manual_seed(0)
    encoder = PhoneEncoder(symbols=5, embedding_size=4, hidden=160).eval()
    with torch.no_grad():
        alone = encoder(torch.tensor([[1, 2, 3]]))[0]
        together = encoder(torch.tensor([[5, 4, 0, 0, 0, 0], [1, 2, 3, 0, 0, 0], [1, 2, 3, 4, 5, 1], [3, 2, 1, 0, 0, 0]]))
    torch.testing.assert_close(together[1], alone)
    assert all((vector - alone).abs().max() > 0.01 for vector in together[[0, 2, 3]])
    assert encoder(torch.zeros(1, 3, dtype=torch.int64)).shape == (1, 4)  # nothing is said


def test_strings_learn_to_find_their_spans():
    torch.manual_seed(0)
    encoder = PhoneEncoder(symbols=3, embedding_size=4, hidden=160)
    codes, audio = torch.tensor([[1, 2], [2, 1], [3, 0], [3, 1]]), torch.eye(4)[:3]
    optimizer = torch.optim.Adam(encoder.parameters(), lr=0.01)
    values = []
    for _ in range(40):
        spelt = functional.normalize(encoder(codes), dim=1)
        loss = audio_phone_loss(audio, torch.arange(3), spelt, 0.1, present=3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.1 < values[0]
