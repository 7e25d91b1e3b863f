"""The page as a reader meets it: opened from disk in a real Chromium."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from wavenet.report.config import ReportConfig
from wavenet.report.page import write_report

HOSTILE = '</script><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>&amp;'

LOAD_EVERY_PLAYER = """
Promise.all([...document.querySelectorAll('audio')].map((audio) => new Promise((resolve) => {
  audio.addEventListener('loadedmetadata', () => resolve([audio.src, audio.duration]));
  audio.addEventListener('error', () => resolve([audio.src, -1]));
  audio.preload = 'metadata';
  audio.load();
})))
"""
BROKEN_IMAGES = "[...document.images].filter((image) => !image.naturalWidth).map((image) => image.currentSrc)"
LOOKS_DRAWN = """
[...document.querySelectorAll('canvas')].every((canvas) => {
  const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return new Set(new Uint32Array(data.buffer)).size > 3;
})
"""


@pytest.fixture(scope="module")
def page(whole_report, tmp_path_factory) -> Path:
    """The report of the whole run, zipped, carried elsewhere and unpacked in a folder with an awkward name."""
    folder = tmp_path_factory.mktemp("carried away") / "a 'report' #2"
    archive = shutil.make_archive(str(folder.parent / "report"), "zip", whole_report)
    shutil.unpack_archive(archive, folder)
    return folder / "index.html"


@pytest.mark.parametrize(("width", "is_dark"), [(1280, False), (1280, True), (412, False), (412, True)])
def test_every_figure_is_shown_and_nothing_complains(browser, page, width, is_dark):
    """On desktop and phone, light and dark: all six figures have loaded, in their variant, without a console error."""
    browser.open(page, width, is_dark=is_dark)
    assert browser.evaluate("document.images.length") == 6
    assert browser.evaluate(BROKEN_IMAGES) == []
    variant = f"{'narrow' if width == 412 else 'wide'}-{'dark' if is_dark else 'light'}.svg"
    assert browser.evaluate(f"[...document.images].every((image) => image.currentSrc.endsWith('{variant}'))")
    assert browser.evaluate(LOOKS_DRAWN), "an empty waveform or spectrogram"
    assert browser.complaints == []


def test_nothing_is_wider_than_a_phone(browser, page):
    """At 412 and at 320 pixels the page itself never scrolls sideways."""
    for width in (412, 320):
        browser.open(page, width)
        browser.evaluate("document.querySelectorAll('button.unfold').forEach((button) => button.click())")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_comes_from_elsewhere(browser, page):
    """Every request of the page stays within its own folder."""
    browser.open(page)
    browser.evaluate(LOAD_EVERY_PLAYER)
    folder = page.parent.absolute().as_uri()
    assert [url for url in browser.requests if not url.startswith((folder, "about:"))] == []
    assert any(url.endswith(".mp3") for url in browser.requests)


def test_every_player_loads_its_audio(browser, page):
    """All clips of all pairs, folded or not at first, load and last as long as the page says."""
    browser.open(page)
    assert browser.evaluate("document.querySelectorAll('audio').length") == 5 * 2 * 2
    assert browser.evaluate("[...document.querySelectorAll('audio')].every((audio) => audio.preload === 'none')")
    for _ in range(2):  # the checkpoints between, then further clips of every pair
        browser.evaluate("document.querySelectorAll('button[aria-expanded=false]').forEach((button) => button.click())")
    loaded = browser.evaluate(LOAD_EVERY_PLAYER)
    assert len(loaded) == 5 * 4 * 2 * 2
    assert [source for source, seconds in loaded if abs(seconds - 2.0) > 0.1] == []
    assert browser.complaints == []


def test_rows_are_ordered_by_training_audio(browser, page):
    """Most hours first, and the columns are the first and the last checkpoint."""
    browser.open(page)
    names = "[...document.querySelectorAll('.genre')].map((node) => node.textContent)"
    assert browser.evaluate(names) == ["hardcore", "classical", "rock", "hip", "metal"]
    heads = "[...document.querySelectorAll('#samples thead b')].map((node) => node.textContent)"
    assert browser.evaluate(heads) == ["step 20", "step 1,200"]


def test_the_table_works_by_keyboard(browser, page):
    """Enter unfolds the checkpoints between and folds them again; space plays; an arrow moves the position."""
    browser.open(page)
    unfold = "document.querySelector('th button.unfold')"
    browser.evaluate(f"{unfold}.focus()")
    browser.press("Enter")
    assert browser.evaluate(f"{unfold}.getAttribute('aria-expanded')") == "true"
    steps = "[...document.querySelectorAll('.between:not([hidden]) .step')].map((node) => node.textContent)"
    assert browser.evaluate(steps) == ["Step 400", "Step 800"]
    browser.press("Enter")
    assert browser.evaluate(steps) == []

    browser.evaluate("document.querySelector('button.play').focus()")
    browser.press(" ")
    browser.wait_for("document.querySelector('audio').currentTime > 0.1")
    assert browser.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Pause hardcore, step 20")
    browser.press(" ")
    assert browser.evaluate("document.querySelector('audio').paused")
    for _ in range(10):
        browser.press("Tab")
        if browser.evaluate("document.activeElement.type") == "range":
            break
    before = browser.evaluate("document.querySelector('audio').currentTime")
    browser.press("ArrowRight")
    assert browser.evaluate("document.querySelector('audio').currentTime") > before


def test_only_one_clip_plays_at_a_time(browser, page):
    """Starting a second clip pauses the first."""
    browser.open(page)
    for index in (0, 1):
        browser.evaluate(f"document.querySelectorAll('button.play')[{index}].click()")
        browser.wait_for(f"!document.querySelectorAll('audio')[{index}].paused")
    browser.wait_for("document.querySelectorAll('audio')[0].paused")


def test_every_control_has_a_name(browser, page):
    """Buttons, sliders, links, canvases and figures all tell a screen reader what they are."""
    browser.open(page)
    browser.evaluate("document.querySelectorAll('button.unfold').forEach((button) => button.click())")
    unnamed = """
    [...document.querySelectorAll('button, input, a, canvas, [role=group], [role=region], [role=table]')].filter(
      (node) => !(node.getAttribute('aria-label') || node.textContent.trim() || node.labels?.length)).length
      + [...document.images].filter((image) => image.alt.length < 20).length"""
    assert browser.evaluate(unnamed) == 0


def test_the_join_of_a_continuation_is_marked(browser, page):
    """Each continuation, and no clip from silence, has its line where the recording ends."""
    browser.open(page)
    joins = "[...document.querySelectorAll('.join')].map((node) => node.style.left)"
    assert browser.evaluate(joins) == ["25%"] * 10
    assert "joined at 0.50 s to hardcore/a recording.flac" in browser.evaluate("document.body.textContent")


def test_markup_in_tags_stays_text(browser, new_run):
    """HTML in genres, names, hosts, configuration and titles is shown as it is written and never runs."""
    run = new_run("<b>run<b>")
    run.paths.config.write_text(f"note: {HOSTILE}\n", encoding="utf-8")
    run.describe_data((HOSTILE, "rock"))
    run.train(((0, 30, HOSTILE, "preemption"), (20, 40, "node02", HOSTILE)), num_steps=40)
    run.generate([(0, 20), (0, 40)], name=lambda _: HOSTILE)
    (run.paths.generated / "gen_<i>.json").write_text("{", encoding="utf-8")
    browser.open(write_report(run.paths, ReportConfig(title=HOSTILE)))
    assert browser.evaluate("window.hacked") is None
    assert browser.evaluate("document.querySelector('h1').textContent") == HOSTILE
    assert browser.evaluate("document.querySelectorAll('.genre')[1].textContent") == HOSTILE
    assert browser.evaluate("document.querySelector('pre').textContent.trim()") == f"note: {HOSTILE}"
    assert HOSTILE in browser.evaluate("document.querySelector('#attempts').textContent")
    assert browser.evaluate("document.querySelectorAll('img[src=x], section i:not([class]), h1 *').length") == 0
    assert browser.evaluate(BROKEN_IMAGES) == []
    assert browser.complaints == []


def test_without_scripts_a_list_of_links_remains(browser, page):
    """With JavaScript off, figures are shown and every clip is a link to a file that is there."""
    browser.open(page, script=False)
    content = page.read_text(encoding="utf-8")
    listed = content[content.index("<noscript>") : content.index("</noscript>")]
    files = [part.split('"')[0] for part in listed.split('href="')[1:]]
    assert len(files) == 5 * 4 * 2 * 2
    assert all((page.parent / file).is_file() for file in files)
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    links = browser.call("DOM.querySelectorAll", nodeId=root, selector="ul.links a")["nodeIds"]
    assert len(links) == len(files)


def test_two_thousand_pairs_open_in_seconds(browser, new_run):
    """500 genres × 4 checkpoints: under 2 MB, open within seconds, a small page that grows on demand."""
    run = new_run()
    names = tuple(f"genre {index:03d}" for index in range(500))
    run.describe_data(names)
    run.train(((0, 400, "node01", "preemption"), (390, 12_000, "node02", "finished")), num_steps=12_000)
    run.generate(itertools.product(range(500), (20, 4000, 8000, 12_000)), name=names.__getitem__, seconds=0.5)
    index = write_report(run.paths, ReportConfig())
    weight = sum(path.stat().st_size for path in index.parent.rglob("*") if path.is_file() and path.suffix != ".mp3")
    assert weight < 2_000_000

    assert browser.open(index) < 10
    assert browser.evaluate("document.querySelectorAll('*').length") < 5000
    assert browser.evaluate(LOOKS_DRAWN)
    browser.evaluate("document.getElementById('more-rows').click()")
    assert browser.evaluate("document.querySelectorAll('.genre').length") == 40
    browser.evaluate("document.getElementById('find').value = '017'")
    browser.evaluate("document.getElementById('find').dispatchEvent(new Event('input'))")
    shown = "[...document.querySelectorAll('.genre')].map((node) => node.textContent)"
    assert browser.evaluate(shown) == ["genre 017"]
    browser.evaluate("document.querySelector('#every-pair summary').click()")
    browser.wait_for("document.querySelectorAll('#every-pair td').length === 2000")
    assert browser.complaints == []


def test_hundreds_of_checkpoints_unfold_by_the_dozen(browser, new_run):
    """One genre × 40 checkpoints: unfolding builds twelve pairs, and a button brings the next."""
    run = new_run()
    run.describe_data(("rock",))
    run.generate([(0, step) for step in range(20, 820, 20)], name=lambda _: "rock", seconds=0.5)
    browser.open(write_report(run.paths, ReportConfig()))
    browser.evaluate("document.querySelector('th button.unfold').click()")
    pairs = "document.querySelectorAll('.between .pair').length"
    assert browser.evaluate(pairs) == 12
    browser.evaluate("document.querySelector('.between .grid > button').click()")
    assert browser.evaluate(pairs) == 24
    assert browser.evaluate("document.activeElement.className") == "play"
