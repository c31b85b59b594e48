"""The page in a real browser whose microphone plays a file: synthetic speakers, and the model that comes with the package."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiohttp", reason="aiohttp is not installed: pip install 'wordprint[studio]'")
pytest.importorskip("espeakng_loader", reason="espeak-ng is not installed: pip install 'wordprint[synthetic]'")

from browser import CHROMIUM, FLAGS
from wordprint.model import Model
from wordprint.speech.audio import write_audio
from wordprint.speech.espeak import Synthesiser
from wordprint.speech.synthetic import draw_speakers, speak
from wordprint.spot.best import best_spans
from wordprint.spot.enrollment import Enrollment
from wordprint.spot.expect import expected
from wordprint.studio.options import StudioConfig
from wordprint.studio.server import Server
from wordprint.studio.session import Session

KEYWORD, OTHER = "good morning", "the warning"
PATIENCE_MS = 20_000
PERIOD_S = 3.4
"""The microphone says the keyword about so often."""

DROP = """(card, files) => {
    const dropped = new DataTransfer();
    for (const { name, content } of files) {
        dropped.items.add(new File([Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))], name));
    }
    for (const type of ["dragover", "drop"]) {
        card.dispatchEvent(new DragEvent(type, { dataTransfer: dropped, bubbles: true, cancelable: true }));
    }
}"""
NAMELESS = """() => [...document.querySelectorAll("button, input, [role=slider], canvas[role=img]")]
    .filter((node) => !(node.getAttribute("aria-label") || node.textContent.trim() || node.labels?.length))
    .map((node) => node.outerHTML)"""
DRAWN = """(canvas) => {  // share of the pixels that are not empty
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, canvas.width, canvas.height);
    return data.filter((value, place) => place % 4 === 3 && value).length / (data.length / 4);
}"""
WIDE = """() => [...document.querySelectorAll("body *")].filter((node) => {
    const range = document.createRange();
    range.selectNodeContents(node);
    return Math.max(range.getBoundingClientRect().right, node.getBoundingClientRect().right) > 360;
}).map((node) => node.outerHTML.slice(0, 100))"""
REFUSING = "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));"


@pytest.fixture(scope="module")
def spoken(tmp_path_factory) -> tuple[list[Path], Path]:
    """Three recordings of the keyword, and what the microphone hears again and again: it, said by somebody else, and a pause."""
    folder, rng = tmp_path_factory.mktemp("spoken"), np.random.default_rng(0)
    *enrollers, user = draw_speakers(4, seed=1)
    recordings = [folder / f"take {number}.flac" for number in range(3)]
    with Synthesiser() as synthesiser:
        for path, speaker in zip(recordings, enrollers, strict=True):
            write_audio(path, speak(synthesiser, KEYWORD, speaker, rng)[0])
        said = speak(synthesiser, KEYWORD, user, rng)[0]
    pause = rng.normal(0, 3e-4, 24_000).astype(np.float32)
    write_audio(folder / "microphone.wav", np.concatenate([pause[:8000], said, pause]))
    return recordings, folder / "microphone.wav"


@pytest.fixture(scope="module")
def chromium(spoken) -> Iterator[Any]:
    """A running browser whose microphone plays the file; skips where there is none."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install 'wordprint[dev]')")
    if CHROMIUM is None:
        pytest.skip("no Chromium on PATH (apt-get install chromium)")
    flags = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    flags += [f"--use-file-for-fake-audio-capture={spoken[1]}", "--autoplay-policy=no-user-gesture-required"]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def model() -> Model:
    return Model()


@contextmanager
def served(model: Model, file: Path, port: int = 0, token: str = "") -> Iterator[Server]:
    """A studio in a thread of its own."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop, server = asyncio.Event(), Server(Session(model, file), StudioConfig(port=port))
    server.token = token or server.token

    async def serve() -> None:
        async with server:
            ready.set()
            await stop.wait()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def opened(chromium, model, tmp_path) -> Iterator[Callable[..., Any]]:
    """`opened()` is the page of a studio for tmp_path/keywords.json. It fails if anything goes wrong there or is asked of others.

    `errors`: how many times the browser notes that the server refused; None where it may any number of times.
    """
    with ExitStack() as stack:
        checks: list[Callable[[], None]] = []

        def open_page(server: Server | None = None, errors: int | None = 0, script: str = "", address: str = "", **how: Any) -> Any:
            server = server or stack.enter_context(served(model, tmp_path / "keywords.json"))
            wrong: list[str] = []
            context = chromium.new_context(**{"viewport": {"width": 1280, "height": 1000}, **how})
            stack.callback(context.close)
            tab = context.new_page()
            tab.set_default_timeout(PATIENCE_MS)
            if script:
                tab.add_init_script(script)
            tab.on("console", lambda message: wrong.append(f"console {message.type}: {message.text}"))
            tab.on("pageerror", lambda error: wrong.append(f"error: {error}"))
            own = (f"http://127.0.0.1:{server.port}/", f"blob:http://127.0.0.1:{server.port}/")
            foreign: list[str] = []
            tab.on("request", lambda request: None if request.url.startswith(own) else foreign.append(request.url))
            tab.on("websocket", lambda line: None if line.url.startswith(f"ws://{own[0][7:]}") else foreign.append(line.url))
            tab.goto(address or server.address)

            def check() -> None:
                assert foreign == []
                assert errors is None or len(wrong) == errors, wrong

            checks.append(check)
            return tab

        yield open_page
        for check in checks:
            check()


def add(tab: Any, keyword: str = KEYWORD) -> Any:
    """Name a keyword; its card."""
    tab.get_by_label("New keyword").fill(keyword)
    tab.keyboard.press("Enter")
    return tab.get_by_role("article", name=keyword)


def drop(card: Any, paths: list[Path]) -> None:
    card.evaluate(DROP, [{"name": path.name, "content": base64.b64encode(path.read_bytes()).decode()} for path in paths])


def enrolled(model: Model, file: Path, recordings: list[Path]) -> float:
    """Enroll the keyword without the page; its threshold."""
    session = Session(model, file)
    for path in recordings:
        session.add_recording(KEYWORD, path.read_bytes())
    return session.enrollment.keywords[0].threshold


def set_threshold(file: Path, model: Model, heard: Path, keyword: str = KEYWORD) -> float:
    """Set the threshold of the only keyword in a file to well below what the microphone plays."""
    session = Session(model, file)
    (best,) = best_spans(model, session.enrollment, heard)
    session.set_threshold(keyword, best.similarity - 0.1)
    return best.similarity - 0.1


def test_a_keyword_is_made_heard_and_there_again(opened, spoken, model, tmp_path):
    tab = opened()
    assert "#" not in tab.url  # the token stands in no history
    tab.get_by_text("Name a keyword.").wait_for()
    card = add(tab)
    drop(card, spoken[0])
    card.get_by_text("✓").or_(card.get_by_text("3 recordings")).first.wait_for()
    assert card.locator("figure.shot").count() == 3
    set_threshold(tmp_path / "keywords.json", model, spoken[1])
    tab.reload()
    tab.get_by_role("button", name="Listen").click()
    heard = tab.locator("#detections li").first
    heard.wait_for()
    assert heard.locator("b").text_content() == KEYWORD
    tab.get_by_text(f"Heard {KEYWORD}").first.wait_for(state="attached")
    tab.wait_for_function(f"canvas => ({DRAWN})(canvas) > 0.1", arg=heard.locator("canvas").element_handle())
    tab.get_by_role("button", name="Stop listening").click()
    tab.get_by_role("button", name="Listen", exact=True).wait_for()

    tab.reload()
    tab.locator("figure.shot").nth(2).wait_for()
    assert tab.locator("#detections b").first.text_content() == KEYWORD
    card.get_by_role("button", name="Play recording 1 of").click()  # seen and heard: the trim is drawn, the playhead moves
    first = card.locator("figure.shot canvas").first.element_handle()
    tab.wait_for_function(f"canvas => ({DRAWN})(canvas) > 0.1", arg=first)
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "keywords.json"
    assert Path(download.value.path()).read_bytes() == (tmp_path / "keywords.json").read_bytes()
    assert tab.evaluate(NAMELESS) == []


def test_what_was_wrong_and_what_was_missed(opened, spoken, model, tmp_path):
    file = tmp_path / "keywords.json"
    Session(model, file).spell(OTHER)
    threshold = set_threshold(file, model, spoken[1], OTHER)  # so low that the microphone's keyword is taken for it
    tab = opened()
    card = tab.get_by_role("article", name=OTHER)
    missed = card.get_by_role("button", name=f"Missed {OTHER}")
    card.wait_for()
    assert not missed.is_visible()  # nothing is listened to
    tab.get_by_role("button", name="Listen", exact=True).click()
    tab.locator("#detections").get_by_role("button", name=f"Wrong: {OTHER}").last.click()
    tab.get_by_role("button", name=f"Corrected: {OTHER}").wait_for()
    card.get_by_text("1 false alarm corrected").wait_for()
    (keyword,) = Enrollment.load(file).keywords
    assert (len(keyword.mistakes), keyword.threshold) == (1, threshold)
    rate = expected(model, keyword).rate(threshold)
    before = tab.locator("#detections li").count()
    tab.wait_for_timeout(2000 * PERIOD_S)  # the same sound, twice
    assert tab.locator("#detections li").count() <= before + 1  # one may have been on its way

    missed.click()
    card.locator("figure.shot").wait_for()
    tab.get_by_role("button", name="Stop listening").click()
    tab.reload()
    card.locator("figure.shot").wait_for()
    tab.get_by_role("button", name=f"Corrected: {OTHER}").wait_for()
    (keyword,) = Enrollment.load(file).keywords
    assert (len(keyword.shots), len(keyword.mistakes), bool(keyword.phones)) == (1, 1, True)
    assert expected(model, keyword).rate(keyword.threshold) == pytest.approx(rate, rel=0.05)
    card.get_by_role("button", name=f"Undo the corrections of {OTHER}").click()
    tab.get_by_role("button", name=f"Corrected: {OTHER}").wait_for(state="detached")
    assert Enrollment.load(file).keywords[0].mistakes == ()


def test_a_keyword_is_typed(opened, spoken, model, tmp_path):
    file = tmp_path / "keywords.json"
    tab = opened(errors=1)
    card = add(tab)
    card.get_by_role("button", name=f"Use the spelling of {KEYWORD}").click()
    phones = card.get_by_role("textbox", name=f"Phones of {KEYWORD}")
    phones.wait_for()
    assert "M AO R N IH NG" in phones.input_value()
    card.get_by_text("a good length").wait_for()  # the verdict
    save = card.get_by_role("button", name=f"Save the phones of {KEYWORD}")
    assert not save.is_visible()
    phones.fill("G UH D M AO R N IH N X")
    save.click()
    card.get_by_text("the model doesn't know the phones X").wait_for()
    phones.fill("g uh d m ao r n ih ng")
    tab.keyboard.press("Enter")
    save.wait_for(state="hidden")
    assert phones.input_value() == "G UH D M AO R N IH NG"

    set_threshold(file, model, spoken[1])
    tab.reload()
    phones.wait_for()
    tab.get_by_role("button", name="Listen", exact=True).click()
    tab.locator("#detections li").first.wait_for()
    tab.get_by_role("button", name="Stop listening").click()
    drop(card, spoken[0][:1])
    card.locator("figure.shot").wait_for()
    (keyword,) = Enrollment.load(file).keywords
    assert (keyword.phones, len(keyword.shots)) == (("G UH D M AO R N IH NG",), 1)
    card.get_by_role("button", name="Remove recording 1 of").click()
    tab.get_by_role("dialog").get_by_role("button", name="Remove").click()
    card.locator("figure.shot").wait_for(state="detached")
    card.get_by_text("typed; recordings make it surer").wait_for()
    assert Enrollment.load(file).keywords[0].shots == ()


def test_a_keyword_is_recorded_with_the_microphone_and_removed(opened, tmp_path):
    tab = opened()
    card = add(tab)
    assert tab.evaluate("document.activeElement.getAttribute('aria-label')") == f"Record {KEYWORD}"
    tab.keyboard.press("Enter")  # the focus is on it
    card.get_by_text(f"Say “{KEYWORD}”").wait_for()
    card.locator("figure.shot").wait_for()  # it ends by itself, in the pause
    (shot,) = Enrollment.load(tmp_path / "keywords.json").keywords[0].shots
    assert 0.2 < shot.end_s - shot.start_s < 1.6
    card.get_by_role("button", name=f"Remove {KEYWORD}").click()
    tab.get_by_role("button", name="Keep it").click()
    assert card.count() == 1
    card.get_by_role("button", name=f"Remove {KEYWORD}").click()
    tab.get_by_role("dialog").get_by_role("button", name="Remove").click()
    card.wait_for(state="detached")
    assert tab.evaluate("document.activeElement.id") == "name"
    assert Enrollment.load(tmp_path / "keywords.json").keywords == ()
    assert list((tmp_path / "keywords_recordings").iterdir()) == []


def test_a_threshold_is_set_with_the_keyboard_alone_and_by_dragging(opened, spoken, model, tmp_path):
    before = enrolled(model, tmp_path / "keywords.json", spoken[0][:1])
    tab = opened()
    slider = tab.get_by_role("slider", name=f"Threshold of {KEYWORD}")
    slider.wait_for()
    for _ in range(10):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.getAttribute('role')") == "slider":
            break
    with tab.expect_response(lambda answer: "/api/threshold" in answer.url) as answer:
        for key in ("ArrowDown", "ArrowDown", "ArrowLeft", "PageDown", "ArrowUp"):
            tab.keyboard.press(key)
    assert answer.value.ok
    wanted = round(round(before, 2) - 0.07, 2)
    assert Enrollment.load(tmp_path / "keywords.json").keywords[0].threshold == pytest.approx(wanted, abs=0.011)
    shown = slider.get_attribute("aria-valuenow")
    assert float(shown) == Enrollment.load(tmp_path / "keywords.json").keywords[0].threshold

    box = slider.bounding_box()
    with tab.expect_response(lambda answer: "/api/threshold" in answer.url):
        tab.mouse.move(box["x"] + 20, box["y"] + 10)
        tab.mouse.down()
        tab.mouse.move(box["x"] + 20, box["y"] + 60, steps=4)
        tab.mouse.up()
    dragged = Enrollment.load(tmp_path / "keywords.json").keywords[0].threshold
    assert dragged < float(shown) - 0.1
    tab.reload()
    tab.wait_for_function("wanted => document.querySelector('[role=slider]')?.ariaValueNow === wanted", arg=f"{dragged:.2f}")


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_a_narrow_screen_never_scrolls_sideways(opened, spoken, model, tmp_path, color_scheme):
    enrolled(model, tmp_path / "keywords.json", spoken[0])
    tab = opened(viewport={"width": 360, "height": 800}, color_scheme=color_scheme, reduced_motion="reduce")
    tab.locator("figure.shot").nth(2).wait_for()
    add(tab, "Donaudampfschifffahrtsgesellschaftskapitänskajütenschlüssel")
    tab.get_by_role("button", name="Listen", exact=True).click()
    tab.get_by_text("Listening", exact=True).wait_for()
    assert tab.evaluate("document.documentElement.scrollWidth") == 360, tab.evaluate(WIDE)
    assert tab.evaluate("[...document.querySelectorAll('button')].every(node => node.getBoundingClientRect().right <= 360)")
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper.removeprefix("rgb(").removesuffix(")").split(","))) > 384) == (color_scheme == "light")


def test_what_goes_wrong_is_told_where_it_happens(opened, spoken, tmp_path):
    tab = opened(errors=1, script=REFUSING)
    card = add(tab)
    text = tmp_path / "note.txt"
    text.write_text("hello")
    drop(card, [text, spoken[0][0]])
    card.get_by_text("note.txt can't be read as audio").wait_for()
    card.locator("figure.shot").wait_for()  # the other one is there all the same
    why = "The browser may not use the microphone. Allow it beside the address, then try again."
    card.get_by_role("button", name=f"Record {KEYWORD}", exact=True).click()
    card.get_by_text(why).wait_for()
    tab.get_by_role("button", name="Listen", exact=True).click()
    tab.locator("#status").get_by_text(why).wait_for()
    tab.locator("body").evaluate(DROP, [{"name": "a.wav", "content": ""}])
    tab.get_by_text("Drop recordings on the keyword that they hold").wait_for()


def test_without_the_token_the_page_says_what_to_do(opened, model, tmp_path):
    with served(model, tmp_path / "keywords.json") as server:
        tab = opened(server, errors=1, address=f"http://127.0.0.1:{server.port}/")
        tab.get_by_text("Open the address that the terminal shows.").wait_for()


def test_a_server_that_comes_back_is_found_again(opened, model, tmp_path, spoken):
    enrolled(model, tmp_path / "keywords.json", spoken[0])
    set_threshold(tmp_path / "keywords.json", model, spoken[1])
    with served(model, tmp_path / "keywords.json") as server:
        tab = opened(server, errors=None)
        tab.get_by_role("button", name="Listen", exact=True).click()
        tab.get_by_text("Listening", exact=True).wait_for()
    tab.get_by_text("The studio doesn’t answer; trying again…").wait_for()
    with served(model, tmp_path / "keywords.json", server.port, server.token):
        tab.get_by_text("Listening", exact=True).wait_for()
        tab.locator("#detections li").first.wait_for()
        assert json.loads((tmp_path / "keywords.json").read_text())["keywords"]
