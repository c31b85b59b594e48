"""Self-contained HTML reports: one file without external references, readable in light and dark.

A report is a jinja2 template that extends `pages/base.html.j2` and fills its blocks `title`, `summary` and `content`;
`pages/macros.html.j2` has its tiles, tables, figures and players. Figures are matplotlib `Figure` objects made by `new_figure`.
"""

from __future__ import annotations

import base64
import io
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wordprint import __version__
from wordprint.errors import MissingExtraError, require_extra
from wordprint.speech.audio import SAMPLE_RATE, to_int16
from wordprint.stages.units import readable_duration

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK, GRID, PAPER = "#71757e", "#b4b8c1", "#fdfdfe"
"""Colours of text and axes, grid lines, and background: in an SVG they become the page's own, which follow its theme."""

SERIES = ("#3b7dd8", "#d9822b", "#2f9e6b", "#d1495b", "#8b63c9", "#2a9aa8")
"""Colours of data, in order of use; each is legible on the light and on the dark page."""

_VARIABLES = {INK: "var(--muted)", GRID: "var(--line)", PAPER: "var(--card)"}


def render(template: str, **values: Any) -> str:
    """The HTML of `template`, a path inside the package such as `validate/report.html.j2`; every value is escaped.

    Raises MissingExtraError without jinja2, and jinja2's UndefinedError for a value that the template names and doesn't get.
    """
    try:
        import jinja2
    except ImportError as error:
        raise _missing("jinja2") from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wordprint", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, duration=readable_duration, percent=percent)
    return environment.get_template(template).render(version=__version__, **values) + "\n"


def new_figure(x_label: str = "", y_label: str = "", width_in: float = 5.4, height_in: float = 3.0) -> tuple[Figure, Axes]:
    """A figure and its axes in the style of the reports; draw on it with SERIES, then pass it to `figure_svg`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise _missing("matplotlib") from error
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    axes.set_axisbelow(True)
    axes.grid(visible=True, color=GRID, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    axes.tick_params(which="both", colors=INK, labelsize=9, length=3)
    axes.ticklabel_format(useOffset=False)  # "+1" in a corner is overlooked
    axes.set_xlabel(x_label, color=INK, fontsize=9.5)
    axes.set_ylabel(y_label, color=INK, fontsize=9.5)
    return figure, axes


def whole_numbers(axis: Axis) -> None:
    """Ticks of counts, at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))


def figure_svg(figure: Figure, title: str) -> Markup:
    """The figure as inline SVG with real text; `title`, unique within the page, is what a screen reader says.

    Same figure, same bytes. Artists with thousands of marks should be drawn with `rasterized=True`, which embeds a PNG.
    """
    import matplotlib
    from markupsafe import Markup, escape

    buffer, no_metadata = io.StringIO(), dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        figure.savefig(buffer, format="svg", dpi=150, transparent=True, metadata=no_metadata)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", "var(--font)", svg)
    svg = re.sub(r"<svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>", rf'<svg \1 role="img" aria-label="{escape(title)}">', svg, count=1)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return Markup(svg.strip())


def audio_data_uri(samples: NDArray[np.float32] | NDArray[np.int16], sample_rate: int = SAMPLE_RATE) -> str:
    """(N,) samples as a `data:` URI (16-bit FLAC), for `ui.player` or the `src` of an audio element."""
    import soundfile

    if samples.dtype != np.int16:
        samples = to_int16(np.asarray(samples, dtype=np.float32))
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def number(value: float | None, digits: int = 0) -> str:
    """12,345.7 with `digits` decimals; a dash for None and NaN."""
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}".replace("-", "−")


def percent(value: float | None, digits: int = 1) -> str:
    """A share as percent: 0.125 is '12.5 %'; a dash for None and NaN."""
    return "–" if value is None or math.isnan(value) else f"{number(100 * value, digits)} %"


def _missing(module: str) -> MissingExtraError:
    return require_extra(module, "report", "the HTML report")
