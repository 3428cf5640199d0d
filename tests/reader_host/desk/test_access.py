"""The desk's pages for everybody: axe, targets, narrow and enlarged, keys alone, without scripts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from reader_host.desk import bench as benches
from scripts.sample_desk import TOKEN, SampleDesk, served
from tests.browser.surfer import overflow, small_targets

pytestmark = pytest.mark.browser

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}}
PATHS = ("/", "/row", "/waiting", "/list/2Б")
STEPS = (benches.EMPTY, benches.SEEN, benches.DONE, benches.PUT_BACK, benches.NO_READER)
NOW = 1_788_246_000


@pytest.fixture(scope="module")
def sample() -> Iterator[tuple[str, SampleDesk]]:
    with served(NOW) as made:
        yield made


def opened(chromium: Browser, address: str, path: str, language: str = "ru", theme: str = "light") -> Page:
    context = chromium.new_context(color_scheme="dark" if theme == "dark" else "light")
    context.add_cookies([{"name": "kk_language", "value": language, "url": address}])
    page = context.new_page()
    page.goto(f"{address}{path}?token={TOKEN}")
    return page


@pytest.mark.parametrize(("language", "theme"), [("ru", "light"), ("en", "dark")])
def test_axe_finds_nothing(chromium: Browser, sample: tuple[str, SampleDesk], theme: str, language: str):
    address, desk = sample
    for step in STEPS:
        desk.lie(step)
        for path in PATHS if step == benches.DONE else PATHS[:2]:
            page = opened(chromium, address, path, language, theme)
            found = Axe().run(page, options=RULES).response["violations"]
            assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == [], (
                step,
                path,
            )
            assert page.locator("h1").count() == 1
            assert page.locator("html").get_attribute("lang") == language
            assert page.locator(".button:visible").count() <= 1
            page.context.close()


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_cut_off_or_too_small(chromium: Browser, sample: tuple[str, SampleDesk], path: str):
    address, desk = sample
    desk.lie(benches.DONE)
    page = opened(chromium, address, path)
    for width, height in ((320, 640), (360, 740), (1024, 600), (1280, 800)):
        page.set_viewport_size({"width": width, "height": height})
        assert overflow(page) <= 0, width
        small = [each for each in small_targets(page, 48) if not each.startswith("INPUT")]
        assert small == [], width
    page.set_viewport_size({"width": 320, "height": 640})
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert overflow(page) <= 0
    page.context.close()


@pytest.mark.parametrize("size", [(1280, 800), (1024, 600)])
def test_button_stands_on_the_first_screen(
    chromium: Browser, sample: tuple[str, SampleDesk], size: tuple[int, int]
):
    address, desk = sample
    desk.lie(benches.DONE)
    page = opened(chromium, address, "/")
    page.set_viewport_size({"width": size[0], "height": size[1]})
    box = page.locator(".button").bounding_box()
    assert box
    assert box["y"] + box["height"] <= size[1]
    assert page.evaluate("document.documentElement.scrollHeight - innerHeight") <= 0
    page.context.close()


def test_keys_alone_are_enough(chromium: Browser, sample: tuple[str, SampleDesk]):
    address, desk = sample
    desk.bench.ask(None)
    desk.lie(benches.EMPTY)
    page = opened(chromium, address, "/")
    page.locator("#search").focus()
    page.keyboard.type("котова")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector(".wish")
    assert "Котова Мария" in page.locator(".wish").inner_text()
    desk.bench.ask(None)
    page.context.close()


def test_page_works_without_scripts(chromium: Browser, sample: tuple[str, SampleDesk]):
    address, desk = sample
    desk.lie(benches.EMPTY)
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/?token={TOKEN}")
    page.get_by_label("Котова Мария").check()
    page.get_by_role("button", name="Выдать карту").click()
    assert "Котова Мария" in page.locator(".wish").inner_text()
    page.get_by_role("button", name="Отменить").click()
    assert page.locator(".wish").count() == 0
    context.close()
