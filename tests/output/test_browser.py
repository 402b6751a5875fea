"""The page of a map in a real browser: it loads by itself, shows, colours, selects and finds rows, and trusts no text."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from aae_cli.output.browser import Field, TablePanel, Thumbnails, map_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HOSTILE = [
    "</script><script>document.body.dataset.hacked = 1</script>",
    '<img src=x onerror="document.body.dataset.hacked=1">',
]
POINTS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [5.0, 5.0]])
IDS = ["cat/1.png", "cat/2.png", HOSTILE[0], 'a,"b"', "last"]


def page(**more) -> bytes:
    fields = [
        Field("label", ["cat", "cat", HOSTILE[1], "<b>dog</b>", ""]),
        Field(HOSTILE[1], np.array([0.5, 1.5, np.nan, 3.0, 4.0])),
    ]
    panels = [TablePanel(HOSTILE[0], ("column", "here"), [(HOSTILE[1], "3")])]
    return map_page(f"map of {HOSTILE[0]}", POINTS, IDS, fields, panels=panels, **more)


def test_nothing_from_a_file_is_markup():
    text = page().decode()
    data = re.search(r'id="data">(.*?)</script>', text, re.S)[1]
    assert "<" not in data
    content = json.loads(data)
    assert content["ids"] == IDS and content["columns"][1]["name"].startswith("<img")
    assert (
        "<script>document" not in text and "<img" not in text.replace("<img src=x onerror", "", 0).split("<script>")[0]
    )


def test_text_that_is_no_utf_8_becomes_a_page():
    assert b"\\udcff" in map_page("map", POINTS, ["\udcff", *IDS[1:]], [])


def test_large_maps_are_small_pages():
    thumbnails = Thumbnails()
    random = np.random.default_rng(0)
    digit = np.zeros((28, 28), np.uint8)
    for _ in range(10_000):
        digit[4:24, 10:18] = random.integers(0, 255, (20, 8))  # as many grey pixels as a digit of MNIST has
        thumbnails.add(np.repeat(digit[..., None], 3, -1))
    points = random.normal(size=(10_000, 2))
    whole = map_page("map", points, [str(i) for i in range(10_000)], [Field("label", ["a"] * 10_000)], thumbnails)
    assert len(whole) < 15e6


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("needs Chromium (apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as running:
        found = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--use-gl=swiftshader"])
        yield found
        found.close()


@pytest.fixture
def opened(browser, tmp_path):
    """Opens a page from a file; at the end, it must have reported no error and asked the network for nothing."""
    context = browser.new_context(viewport={"width": 1200, "height": 800}, accept_downloads=True)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    errors, requests = [], []

    def open_page(content: bytes):
        file = tmp_path / "map.html"
        file.write_bytes(content)
        tab = context.new_page()
        tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("request", lambda request: requests.append(request.url))
        tab.goto(file.as_uri())
        tab.wait_for_selector("body[data-ready=yes]", timeout=30_000)
        return tab

    yield open_page
    context.close()
    assert not errors
    assert not [url for url in requests if not url.startswith(("file:", "data:", "blob:"))]


def position(tab, row: int) -> tuple[float, float]:
    """Where a row is drawn, in pixels of the page."""
    return tuple(
        tab.evaluate(
            """row => { const map = document.getElementById("map"), box = map.getBoundingClientRect(), l = map._fullLayout;
            return [box.left + l.xaxis._offset + l.xaxis.d2p(x[row]), box.top + l.yaxis._offset + l.yaxis.d2p(y[row])]; }""",
            row,
        )
    )


def shown(tab) -> dict[str, str]:
    names, values = tab.locator("#row dt").all_inner_texts(), tab.locator("#row dd").all_inner_texts()
    return dict(zip(names, values, strict=True))


def test_hostile_text_is_shown_as_it_is(opened):
    tab = opened(page())
    tab.mouse.move(*position(tab, 2))
    tab.wait_for_selector("#row dt")
    assert shown(tab) == {"id": HOSTILE[0], "label": HOSTILE[1], HOSTILE[1]: ""}
    assert tab.locator("#bubble").inner_text() == f"{HOSTILE[0]} – label: {HOSTILE[1]}"
    assert HOSTILE[0] in tab.locator("caption").inner_text() and HOSTILE[1] in tab.locator("td").first.inner_text()
    assert set(tab.locator(".legendtext").all_text_contents()) == {HOSTILE[1][:31] + "…", "<b>dog</b>", "cat", "none"}
    assert tab.evaluate("document.body.dataset.hacked") is None
    assert tab.locator("img").count() == 0


def test_pointing_shows_the_thumbnail_of_the_row(opened):
    thumbnails = Thumbnails()
    for value in (10, 60, 110, 160, 210):
        thumbnails.add(np.full((8, 8, 3), value, np.uint8))
    tab = opened(page(images=thumbnails))
    for row in (3, 1):
        tab.mouse.move(*position(tab, row))
        tab.wait_for_selector(f"#image[data-row='{row}']")
        pixel = tab.evaluate("[...document.getElementById('image').getContext('2d').getImageData(4, 4, 1, 1).data]")
        assert pixel[0] == (60 if row == 1 else 160)


def test_selected_rows_are_copied_and_downloaded(opened):
    tab = opened(page())
    tab.evaluate("Plotly.relayout('map', { dragmode: 'select' })")
    (left, top), (right, bottom) = position(tab, 2), position(tab, 1)
    tab.mouse.move(left - 15, top - 15)
    tab.mouse.down()
    tab.mouse.move(right + 15, bottom + 15, steps=5)
    tab.mouse.up()
    tab.wait_for_function("document.getElementById('selection').textContent.startsWith('4 rows')")
    with tab.expect_download() as download:
        tab.click("#download")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert sorted(line["id"] for line in lines) == sorted(IDS[:4])
    tab.click("#copy")
    tab.wait_for_function("document.getElementById('selection').textContent.includes('copied')")
    assert sorted(tab.evaluate("navigator.clipboard.readText()").split("\n")) == sorted(IDS[:4])


def test_the_lasso_selects_what_it_encloses_and_a_double_click_nothing(opened):
    tab = opened(page())
    tab.evaluate("Plotly.relayout('map', { dragmode: 'lasso' })")
    (left, bottom), (right, _), (_, top) = position(tab, 0), position(tab, 1), position(tab, 2)
    corner = 15  # a triangle around rows 0, 1 and 2; row 3 lies outside
    path = [(left - corner, bottom + corner), (left - corner, top - 2 * corner), (right + 2 * corner, bottom + corner)]
    tab.mouse.move(*path[0])
    tab.mouse.down()
    for place in [*path[1:], path[0]]:
        tab.mouse.move(*place, steps=10)
    tab.mouse.up()
    tab.wait_for_function("document.getElementById('selection').textContent.startsWith('3 rows')")
    tab.click("#copy")
    tab.wait_for_function("document.getElementById('selection').textContent.includes('copied')")
    assert sorted(tab.evaluate("navigator.clipboard.readText()").split("\n")) == sorted(IDS[:3])
    tab.mouse.dblclick(*position(tab, 4))
    tab.wait_for_function("document.getElementById('copy').disabled")
    assert tab.locator("#selection").inner_text() == ""


def test_colour_follows_the_chosen_column(opened):
    tab = opened(page())
    assert tab.evaluate("document.getElementById('map').data.length") == 4
    tab.select_option("#colour", "1")
    tab.wait_for_function("document.getElementById('map').data.length === 1")
    assert tab.evaluate("[...document.getElementById('map').data[0].marker.color].map(Number.isNaN)")[2] is True


def test_a_group_that_is_hidden_hides_no_group_of_another_column(opened):
    numbers = ["1", "2", "1", "2", "3"]
    tab = opened(map_page("map", POINTS, IDS, [Field("label", ["a", "b", "c", "d", "e"]), Field("cluster", numbers)]))
    tab.click(".legendtoggle >> nth=0")
    tab.wait_for_function("document.getElementById('map')._fullData[0].visible === 'legendonly'")
    tab.select_option("#colour", "1")
    tab.wait_for_function("document.getElementById('map').data.length === 3")
    assert tab.evaluate("document.getElementById('map')._fullData.map(each => each.visible)") == [True] * 3


def test_whole_numbers_keep_their_digits(opened):
    tab = opened(map_page("map", POINTS, IDS, [Field("year", np.array([1234567.0, 2.5, np.nan, 0, 1]))]))
    tab.mouse.move(*position(tab, 0))
    tab.wait_for_selector("#row dt")
    assert shown(tab)["year"] == "1234567"


def test_search_finds_an_id_and_says_where_there_is_none(opened):
    tab = opened(page(heads=np.array([[0.5, 0.5]])))
    tab.fill("#search", "2.png")
    tab.wait_for_function("document.getElementById('map').layout.shapes.length === 1")
    assert shown(tab)["id"] == "cat/2.png"
    tab.fill("#search", "nothing")
    tab.wait_for_function("document.getElementById('found').textContent === 'no such id'")
    assert tab.evaluate("document.getElementById('map').data.at(-1).name") == "cluster heads"
