"""Front ends as modules: waveform in, features out, exported to ONNX together with the network.

Frames are cut and transformed by one convolution with a windowed Fourier basis. That is the same arithmetic in
training and on the device, exports with any batch and length, and is faster on a CPU than framing followed by an FFT.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from wordprint.speech.audio import SAMPLE_RATE
from wordprint.train.encoders import Context

MEL_BREAK_HZ = 700.0
"""Corner of the mel scale: linear below, logarithmic above (O'Shaughnessy, 1987)."""

MEL_SCALE = 1127.0
"""1127 ln(1 + f/700) = 2595 log10(1 + f/700): 1000 Hz is 1000 mel."""

POWER_FLOOR = 1e-5
"""Added to mel power before the logarithm. A sine at full scale gives about 1e4 in its band, so this lies 90 dB below."""


def hertz_to_mel(hertz: float) -> float:
    return MEL_SCALE * math.log1p(hertz / MEL_BREAK_HZ)


def mel_to_hertz(mel: Tensor) -> Tensor:
    return MEL_BREAK_HZ * torch.expm1(mel / MEL_SCALE)


def mel_filters(n_mels: int, n_fft: int, low_hz: float, high_hz: float, sample_rate: int = SAMPLE_RATE) -> Tensor:
    """Triangles of height 1, evenly spaced in mel between the two frequencies: float64 (n_mels, n_fft // 2 + 1)."""
    mels = torch.linspace(hertz_to_mel(low_hz), hertz_to_mel(high_hz), n_mels + 2, dtype=torch.float64)
    corners = mel_to_hertz(mels)[:, None]
    frequencies = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft
    rising = (frequencies - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - frequencies) / (corners[2:] - corners[1:-1])
    return torch.minimum(rising, falling).clamp(min=0)


def fourier_basis(bins: Tensor, window_samples: int, n_fft: int) -> Tensor:
    """Cosines, then sines, at the given bins of an `n_fft`-point transform under a periodic Hann window: (2·bins, window)."""
    time = torch.arange(window_samples, dtype=torch.float64)
    hann = 0.5 - 0.5 * torch.cos(2 * math.pi * time / window_samples)
    angles = 2 * math.pi / n_fft * torch.outer(bins.double(), time)
    return torch.cat([torch.cos(angles), -torch.sin(angles)]) * hann


def cosine_transform(n_in: int, n_out: int) -> Tensor:
    """The first rows of the orthonormal DCT-II: float64 (n_out, n_in)."""
    angles = math.pi / n_in * torch.outer(torch.arange(n_out, dtype=torch.float64), torch.arange(n_in) + 0.5)
    rows = torch.cos(angles) * math.sqrt(2 / n_in)
    rows[0] /= math.sqrt(2)
    return rows


class MelPower(nn.Module):
    """(B, N) waveforms to (B, F, T) logarithms of mel power; T = N // hop."""

    basis: Tensor
    filters: Tensor

    def __init__(self, n_mels: int, window_samples: int, hop_samples: int, n_fft: int, low_hz: float, high_hz: float) -> None:
        super().__init__()
        self.hop_samples = hop_samples
        self.padding = (window_samples - hop_samples) // 2  # frame t is centred on the middle of hop t
        filters = mel_filters(n_mels, n_fft, low_hz, high_hz)
        used = filters.any(dim=0).nonzero().squeeze(1)
        basis = fourier_basis(used, window_samples, n_fft)
        self.register_buffer("basis", basis.float().unsqueeze(1), persistent=False)
        self.register_buffer("filters", filters[:, used].float().unsqueeze(2), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        spectrum = functional.conv1d(waveforms.unsqueeze(1), self.basis, stride=self.hop_samples, padding=self.padding)
        real, imaginary = spectrum.chunk(2, dim=1)
        return torch.log(functional.conv1d(real * real + imaginary * imaginary, self.filters) + POWER_FLOOR)


class FrontEnd(nn.Module):
    """What `find_part` looks for: a module (B, N) → (B, F, T) with a feature every `hop_samples`, T = N // hop."""

    hop_samples: int


class LogMel(FrontEnd):
    """Log-mel energies (B, F, T) of 25 ms Hann windows every 10 ms, 60–7600 Hz; each window ends where its 10 ms end.

    Nothing looks at the recording as a whole, so that a stream is computed as it comes: `context` holds the 15 ms before.
    """

    hop_samples = 160

    def __init__(self, n_features: int = 40) -> None:
        super().__init__()
        self.context = Context(400 - self.hop_samples)
        self.power = MelPower(n_features, window_samples=400, hop_samples=160, n_fft=400, low_hz=60.0, high_hz=7600.0)
        self.power.padding = 0

    def forward(self, waveforms: Tensor) -> Tensor:
        bands: Tensor = self.power(self.context(waveforms))
        return bands


class CentredLogMel(FrontEnd):
    """Log-mel energies (B, F, T) of 25 ms Hann windows every 10 ms, 60–7600 Hz, minus each band's mean over the window.

    Subtracting the mean takes out the microphone's and the room's colour and the level, and needs the whole window.
    """

    hop_samples = 160

    def __init__(self, n_features: int = 40) -> None:
        super().__init__()
        self.power = MelPower(n_features, window_samples=400, hop_samples=160, n_fft=400, low_hz=60.0, high_hz=7600.0)

    def forward(self, waveforms: Tensor) -> Tensor:
        bands: Tensor = self.power(waveforms)
        return bands - bands.mean(dim=2, keepdim=True)


class Mfcc(FrontEnd):
    """The ancestor's front end: 40 MFCC (B, F, T) of 64 ms frames every 32 ms, from 64 mel bands up to 8 kHz."""

    transform: Tensor
    hop_samples = 512

    def __init__(self, n_features: int = 40) -> None:
        super().__init__()
        self.power = MelPower(64, window_samples=1024, hop_samples=512, n_fft=1024, low_hz=0.0, high_hz=SAMPLE_RATE / 2)
        self.register_buffer("transform", cosine_transform(64, n_features).float().unsqueeze(2), persistent=False)

    def forward(self, waveforms: Tensor) -> Tensor:
        return functional.conv1d(self.power(waveforms), self.transform)


FRONT_ENDS: dict[str, Callable[[int], FrontEnd]] = {"log_mel": LogMel, "centred_log_mel": CentredLogMel, "mfcc": Mfcc}
"""Front ends by name: number of features → module (B, N) → (B, F, T)."""
