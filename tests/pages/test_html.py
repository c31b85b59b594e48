"""Reports: one file, everything inside it, nothing unescaped, the same bytes each time."""

from __future__ import annotations

import base64
import io
import re
import sys

import numpy as np
import pytest
import soundfile

from wordprint.errors import MissingExtraError
from wordprint.pages import html


def sample_figure():
    figure, axes = html.new_figure("duration (s)", "größer & kleiner")
    axes.bar([1, 2, 3], [3, 1, 2], color=html.SERIES[0])
    return figure


def test_a_figure_follows_the_theme_of_the_page():
    svg = str(html.figure_svg(sample_figure(), "Durations"))
    assert svg.startswith("<svg viewBox=")
    assert svg.endswith("</svg>")
    assert 'aria-label="Durations"' in svg
    assert "größer &amp; kleiner" in svg  # text, not outlines
    assert {"var(--muted)", "var(--line)", "var(--font)"} <= set(re.findall(r"var\(--\w+\)", svg))
    assert not {html.INK, html.GRID} & set(re.findall(r"#[0-9a-f]{6}\b", svg))
    assert html.SERIES[0] in svg
    assert "http" not in svg


def test_a_figure_has_the_same_bytes_each_time_and_its_own_ids_for_each_title():
    first = str(html.figure_svg(sample_figure(), "one"))
    assert first == str(html.figure_svg(sample_figure(), "one"))
    ids = set(re.findall(r'\bid="([^"]+)"', first))
    assert ids
    assert not ids & set(re.findall(r'\bid="([^"]+)"', str(html.figure_svg(sample_figure(), "two"))))
    assert set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', first)) <= {(i, "") for i in ids} | {("", i) for i in ids}


def test_drawing_leaves_no_global_state():
    import matplotlib

    before = dict(matplotlib.rcParams)
    html.figure_svg(sample_figure(), "Durations")
    assert dict(matplotlib.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not matplotlib.pyplot.get_fignums()


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_audio_travels_in_the_page(dtype):
    samples = np.sin(np.arange(8000) / 20).astype(np.float32) / 2
    given = samples if dtype is np.float32 else (samples * 32768).astype(np.int16)
    uri = html.audio_data_uri(given)
    kind, _, data = uri.partition(";base64,")
    assert kind == "data:audio/flac"
    heard, rate = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="float32")
    assert rate == 16_000
    np.testing.assert_allclose(heard, samples, atol=1e-4)


def test_the_page_escapes_values_and_refers_to_nothing_outside():
    page = html.render("pages/base.html.j2")
    assert page.startswith("<!doctype html>")
    assert "http" not in page.replace("http-equiv", "")
    assert "prefers-color-scheme: dark" in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(1234567, 0, "1,234,567"), (-1.25, 1, "−1.2"), (None, 0, "–"), (float("nan"), 2, "–")]
)
def test_numbers_read_well(value, digits, text):
    assert html.number(value, digits) == text


def test_shares_read_well():
    assert html.percent(0.125) == "12.5 %"


@pytest.mark.parametrize(
    ("module", "call"),
    [("jinja2", lambda: html.render("pages/base.html.j2")), ("matplotlib.figure", html.new_figure)],
)
def test_without_the_extra_the_error_names_it(monkeypatch, module, call):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'wordprint\[report\]'"):
        call()
