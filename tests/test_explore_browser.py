"""The explorer in a real browser: JupyterLab and voila, sliders moved by the keyboard, a click, an upload, a run by its path, no console errors,
and no serious finding of axe-core.

Needs chromium, playwright, JupyterLab and voila; without them these tests skip. COLLAB_SEG_SCREENSHOTS names a folder to
which pictures of the pages are written, to look at.
"""

import base64
import contextlib
import io
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
for module in ("playwright", "axe_playwright_python", "voila", "jupyterlab", "ipywidgets"):
    pytest.importorskip(module, reason=f"{module} is not installed: pip install -e '.[dev]'")
pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(not CHROMIUM, reason="there is no chromium: apt-get install chromium"),
]
PATIENCE = 240_000  # milliseconds; on a busy machine the import of torch alone takes a minute


@pytest.fixture(scope="module")
def chromium():
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A page at the width of a desktop; what it says on its console as an error is kept."""
    page = chromium.new_page(viewport={"width": 1440, "height": 1000})
    page.errors = []
    page.set_default_timeout(PATIENCE)
    page.on(
        "console",
        lambda message: (
            message.type == "error"
            and page.errors.append(f"{message.text} {message.location.get('url')}")
        ),
    )
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    page.close()


@contextlib.contextmanager
def server(command, folder, port, ready):
    """A Jupyter server with settings and folders of its own, until the test is done."""
    private = {
        f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")
    }
    config = folder / "config" / "labconfig"
    config.mkdir(parents=True)
    news = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (config / "page_config.json").write_text(json.dumps(news))
    environment = {
        **os.environ,
        **private,
        "IPYTHONDIR": str(folder / "ipython"),
        "OMP_NUM_THREADS": "1",
    }
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            for _ in range(1200):
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.2)
            else:
                pytest.fail(f"no {ready} after four minutes: {(folder / 'log').read_text()}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def slider(page, name):
    """The handle of a slider by its description."""
    return (
        page.locator(".cx .widget-hslider")
        .filter(has=page.get_by_text(name, exact=True))
        .locator(".noUi-handle")
    )


def picture(page, title):
    """What a picture shows, (H, W, 3), and its alternative text."""
    image = page.locator(f'.cx img[alt^="{title}:"]')
    data = base64.b64decode(image.get_attribute("src").removeprefix("data:image/png;base64,"))
    return np.asarray(PIL.Image.open(io.BytesIO(data))), image.get_attribute("alt")


def upload(page, path):
    """Press the button, and choose a file in the dialogue that opens."""
    with page.expect_file_chooser() as dialogue:
        page.locator(".cx button.jupyter-widgets", has_text="upload an image").click()
    dialogue.value.set_files(path)


def says(page, text):
    """Wait until the line below the sliders says something; it is written last."""
    page.locator(".cx [role=status]").filter(has_text=text).wait_for()


def expected(method, step, index, view):
    """What the page must show, computed without it."""
    from collab_seg.data.views import normalize
    from collab_seg.use.explore_html import framed
    from collab_seg.use.lessons import (
        EXAMPLES,
        TITLES,
        Snapshots,
        chosen_cells,
        pictures,
        see_image,
    )
    from collab_seg.use.lessons_words import sentences

    ages = Snapshots(EXAMPLES / method)
    cnn, vit, source = ages.students(step)
    image, truth = ages.scenes()[index]
    seen = see_image(cnn, vit, normalize(image)[None], truth)
    drawn, said = pictures(seen, view, source.palette), sentences(seen, view, source.classes)
    cells, grid = chosen_cells(seen, view), seen.cnn.logits.shape[-2:]
    return {
        title: (framed(drawn[name], cells, grid), f"{title}: {said[name]}")
        for name, title in TITLES.items()
    }


def same(page, wanted):
    """All pictures and their alternative texts are those that are wanted, to the last pixel."""
    for title, (pixels, words) in wanted.items():
        found, alternative = picture(page, title)
        assert alternative == words
        assert found.shape == pixels.shape and (found == pixels).mean() > 0.999, (
            title
        )  # two processes may round a tie apart


LATENCY = """async handle => {
  const times = [];
  for (let i = 0; i < 12; i++) {
    const image = document.querySelector('.cx img[alt^="teacher by pixel:"]'), root = image.closest('.cx');
    const before = image.src, start = performance.now();
    const changed = new Promise(done => new MutationObserver((_, watch) => {
      const now = root.querySelector('.cx img[alt^="teacher by pixel:"]');
      if (now && now.src !== before) { watch.disconnect(); done(); } }).observe(root, {childList: true, subtree: true}));
    handle.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}));
    await changed;
    times.push(performance.now() - start);
  }
  return times;
}"""


def faults(page):
    """What axe-core calls serious or critical in the explorer, as rule, places and help."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context=".cx").response["violations"]
    return [
        f"{each['id']}: {each['help']}: {[node['html'] for node in each['nodes']][:3]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]


CONTROLS = [  # in the order in which the Tab key must reach them
    "method",
    "your own run",
    "training step",
    "image",
    "upload an image",
    "region size",
    "temperature",
    "margin",
    "region row",
    "region column",
    "estimate",
]
FOCUSED = """() => {
  const here = document.activeElement, label = here.labels && here.labels[0];
  return here.getAttribute('aria-label') || (label ? label.textContent : here.textContent);
}"""


def tabbed(page):
    """The names of what the Tab key reaches, from the first control on; a slider's number is skipped."""
    page.get_by_label("method").focus()
    names = [page.evaluate(FOCUSED)]
    for _ in range(2 * len(CONTROLS)):
        page.keyboard.press("Tab")
        names.append(page.evaluate(FOCUSED).strip())
    return names


def exercise(page, tmp_path, name):
    """Use the explorer as a person would, and look at what it shows."""
    from collab_seg.use.lessons import View
    from collab_seg.use.lessons_words import NO_TRUTH

    shots = Path(os.environ.get("COLLAB_SEG_SCREENSHOTS", tmp_path))
    page.locator(".cx img").nth(11).wait_for()
    says(page, "alone, step 600, validation image 0")
    same(page, expected("alone", 600, 0, View()))
    page.screenshot(path=shots / f"{name}.png", full_page=True)
    page.get_by_role("slider", name="region column").wait_for()
    assert not faults(page), faults(page)
    reached = [each for each in tabbed(page) if any(each.startswith(one) for one in CONTROLS)]
    assert [next(one for one in CONTROLS if each.startswith(one)) for each in reached][
        : len(CONTROLS)
    ] == CONTROLS

    slider(page, "region size").press("ArrowRight")  # the keyboard
    slider(page, "region size").press("ArrowRight")
    says(page, "region size 6")
    for _ in range(4):
        slider(page, "temperature").press("ArrowRight")
    says(page, "temperature 3.0")
    for _ in range(5):
        slider(page, "margin").press("ArrowRight")
    says(page, "margin 0.25")
    same(page, expected("alone", 600, 0, View(6, 3.0, 0.25)))

    shown = page.locator('.cx img[alt^="ViT:"]')
    box = shown.bounding_box()
    shown.click(
        position={"x": 0.55 * box["width"], "y": 0.60 * box["height"]}
    )  # of 4 by 6 regions; the last row and column are cut
    page.locator(".cx").get_by_text("Region row 2, column 2").first.wait_for()
    slider(page, "region row").press("ArrowLeft")
    page.locator(".cx").get_by_text("Region row 1, column 2").first.wait_for()
    same(page, expected("alone", 600, 0, View(6, 3.0, 0.25, 1, 2)))

    page.get_by_label("method").select_option("collab")
    says(page, "collab, step 600")
    slider(page, "training step").press("ArrowLeft")
    slider(page, "training step").press("ArrowLeft")
    says(page, "collab, step 216")
    page.get_by_label("image", exact=True).select_option("validation image 10")
    says(page, "step 216, validation image 10")
    same(page, expected("collab", 216, 10, View(6, 3.0, 0.25, 1, 2)))
    assert "After step 216 of 600" in page.locator(".cx svg[role=img]").get_attribute("aria-label")

    times = (
        page.locator(".cx .widget-hslider")
        .filter(has=page.get_by_text("margin", exact=True))
        .locator(".noUi-handle")
        .evaluate(LATENCY)
    )
    others = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))  # how many programs share a core
    print(
        f"{name}: from key to picture {statistics.median(times):.0f} ms (median), {others:.1f} "
        "programs a core"
    )
    assert min(times) < 300 * others

    page.get_by_label("estimate").select_option("entropy")
    page.locator(".cx img[alt*='By entropy']").nth(1).wait_for()
    own = page.get_by_label("your own run")
    own.fill("runs/nowhere")
    own.press("Enter")
    says(page, "runs/nowhere")
    own.fill(str(Path(__file__).parents[1] / "collab_seg" / "examples" / "dml"))
    own.press("Enter")
    says(page, "examples/dml, step 216, validation image 10")

    photo = tmp_path / "my <photo>.png"
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)).save(
        photo
    )
    upload(page, photo)
    says(page, "yours: my <photo>.png")
    assert page.locator(".cx .cx-none").all_inner_texts() == [NO_TRUTH] * 5
    assert (
        picture(page, "CNN")[0].shape == (96 * 3, 171 * 3, 3)
        and "agree on" in picture(page, "who is right")[1]
    )
    page.screenshot(path=shots / f"{name}_upload.png", full_page=True)
    (tmp_path / "notes.png").write_text("no image")
    upload(page, tmp_path / "notes.png")
    says(page, "notes.png cannot be read as an image")
    assert not page.errors, page.errors


def test_voila(page, tmp_path):
    port = free_port()
    command = [sys.executable, "-m", "collab_seg", "explore", "--port", str(port), "--no-browser"]
    with server(command, tmp_path, port, "voila") as address:
        page.goto(address, timeout=PATIENCE, wait_until="commit")
        exercise(page, tmp_path, "voila")
        assert not re.search("from collab_seg", page.locator("body").inner_text()), (
            "a page of its own shows no code"
        )


def test_jupyterlab(page, tmp_path):
    from collab_seg.use.explore_page import app_notebook

    port = free_port()
    (tmp_path / "explorer.ipynb").write_text(app_notebook())
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={tmp_path}",
    ]
    with server(command, tmp_path, port, "JupyterLab") as address:
        page.goto(f"{address}/lab/tree/explorer.ipynb", timeout=PATIENCE, wait_until="commit")
        page.locator(".jp-Notebook .cm-content").first.wait_for()
        for _ in range(600):  # the page says "Idle" before there is a kernel
            sessions = json.load(urllib.request.urlopen(f"{address}/api/sessions"))
            if (
                sessions
                and sessions[0]["kernel"]["execution_state"] == "idle"
                and sessions[0]["kernel"]["connections"]
            ):
                break
            time.sleep(0.2)
        page.locator(".jp-Notebook .cm-content").first.press("Shift+Enter")
        exercise(page, tmp_path, "jupyterlab")
