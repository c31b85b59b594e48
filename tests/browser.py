"""Pages opened in a real browser: headless Chromium, driven by playwright, without a network."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage", "--mute-audio"]

COUNT_CONTEXTS = """
    window.contexts = [];
    const Original = AudioContext;
    window.AudioContext = class extends Original { constructor(...given) { super(...given); contexts.push(this); } };
"""
"""Keeps the audio contexts that a page makes where a test can look at their clocks."""

INK = """(picture) => {  // of each column of a spectrogram, 0 (paper) to 1
    const canvas = picture.querySelector("canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const paper = getComputedStyle(document.documentElement).getPropertyValue("--card").trim();
    const white = parseInt(paper.slice(1, 3), 16);
    return Array.from({ length: canvas.width }, (_, x) => {
        let sum = 0;
        for (let y = 0; y < canvas.height; y += 1) sum += Math.abs(data[4 * (y * canvas.width + x)] - white);
        return sum / canvas.height / 255;
    });
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A running browser; skips where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install 'wordprint[dev]')")
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH (apt-get install chromium)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(chromium: Any, path: Path, color_scheme: str = "light") -> Iterator[Any]:
    """The page in a tab; fails if it asks for anything but itself, or anything goes wrong in it."""
    wrong: list[str] = []
    tab = chromium.new_page(viewport={"width": 1200, "height": 1000}, color_scheme=color_scheme)
    tab.add_init_script(COUNT_CONTEXTS)
    tab.on("console", lambda message: wrong.append(f"console {message.type}: {message.text}"))
    tab.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    tab.on("request", lambda request: None if request.url == path.resolve().as_uri() else wrong.append(request.url[:200]))
    tab.goto(path.resolve().as_uri())
    yield tab
    tab.close()
    assert wrong == []


def titles(tab: Any) -> list[str]:
    """Titles of the rows that are shown, in their order."""
    return tab.eval_on_selector_all(".row h3", "found => found.map(each => each.textContent)")


def ink(tab: Any, number: int = 0) -> list[float]:
    """Mean ink of each column of the `number`-th spectrogram, once it is drawn."""
    picture = tab.locator(".picture").nth(number)
    picture.scroll_into_view_if_needed()
    tab.wait_for_function("number => document.querySelectorAll('.picture')[number].dataset.drawn === 'yes'", arg=number)
    return picture.evaluate(INK)


def heard_s(tab: Any, ask: Callable[[], None]) -> float:
    """Ask for something and let it play to its end; seconds that the clock of the page's audio ran, under a playhead."""
    started = tab.evaluate("contexts.length ? contexts[0].currentTime : 0")  # before: a busy machine may look late
    ask()
    tab.wait_for_selector(".playhead.on", state="attached")
    tab.wait_for_selector(".row.playing", state="detached")
    assert tab.evaluate("contexts[0].state") == "running"
    return tab.evaluate("contexts[0].currentTime") - started


def page_data(path: Path) -> dict[str, Any]:
    """The document in a page that its rows are made of."""
    found = re.search(
        r'<script type="application/json" id="listen-data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found is not None
    return json.loads(found[1])
