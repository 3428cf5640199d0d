"""The till's page in a real browser, by touch, before a real controller."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page

from protocols.ledger import record
from reader_host.till import line
from tests.browser.surfer import overflow, small_targets
from tests.reader_host.till.parts import BUN, LUNCH, LUNCH_PRICE, UNKNOWN_CARD, Canteen

pytestmark = pytest.mark.browser

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}}
SIZES = ((1280, 800), (1024, 600))


def opened(chromium: Browser, place: Canteen, *, language: str = "ru", theme: str = "light") -> Page:
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800},
        has_touch=True,
        color_scheme="dark" if theme == "dark" else "light",
    )
    context.set_default_timeout(20_000)
    context.add_cookies([{"name": "kk_language", "value": language, "url": place.program.address}])
    page = context.new_page()
    page.goto(place.program.address)
    return page


@pytest.fixture
def page(chromium: Browser, place: Canteen) -> Iterator[Page]:
    """A fresh window on an empty basket; an error of a script fails the test."""
    place.settle()
    place.till.do(lambda serving: serving.clear())
    place.wait(lambda serving: not serving.waits_for_card, "an empty basket")
    # The same card within three seconds is the same tap.
    time.sleep(3.1)
    page = opened(chromium, place)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    for context in chromium.contexts:
        context.close()
    assert not errors


def tile(page: Page, good: int = LUNCH) -> None:
    page.locator(f"#place-{good} button").tap()


def height_of(found: Locator) -> float:
    box = found.bounding_box()
    return box["height"] if box else 0


def charge(page: Page) -> None:
    page.locator("#charge:not([aria-disabled])").tap()
    page.locator(".charge-waits").wait_for()


def test_two_touches_and_a_tap_are_a_sale(page: Page, place: Canteen):
    before = len(place.sales())
    tile(page)
    charge(page)
    place.hold("paid")
    page.locator(".over-served").wait_for()
    assert page.locator("#result[role=status]").inner_text().startswith("Выдано")
    page.locator(".over-served").wait_for(state="detached")
    sales = place.sales()
    assert len(sales) == before + 1
    assert sales[-1].amount == LUNCH_PRICE


def test_double_press_and_reload_charge_once(page: Page, place: Canteen):
    before = len(place.sales())
    tile(page)
    page.locator("#charge:not([aria-disabled])").dblclick()
    page.locator(".charge-waits").wait_for()
    page.reload()
    page.locator(".charge-waits").wait_for()
    page.evaluate("document.getElementById('charge').form.requestSubmit()")
    place.hold("paid")
    page.locator(".over-served").wait_for()
    page.reload()
    page.locator(".last-text").wait_for()
    place.hold("other")
    page.get_by_text("Сначала блюда").wait_for()
    assert len(place.sales()) == before + 1


def test_second_window_is_a_view_of_the_same_till(page: Page, place: Canteen, chromium: Browser):
    before = len(place.sales())
    other = opened(chromium, place)
    tile(page)
    other.locator(f"#line-{LUNCH}").wait_for()
    charge(other)
    page.locator(".charge-waits").wait_for()
    page.evaluate("document.getElementById('charge').form.requestSubmit()")
    place.hold("paid")
    for each in (page, other):
        each.locator(".over-served").wait_for()
    assert len(place.sales()) == before + 1
    assert not place.till.look().serving.waits_for_card


def test_browser_killed_between_charge_and_tap(page: Page, place: Canteen, chromium: Browser):
    before = len(place.sales())
    tile(page)
    charge(page)
    page.context.close()
    place.hold("paid")
    place.wait(lambda serving: len(place.peer.of(record.SALE)) > before, "the sale")
    again = opened(chromium, place)
    again.locator(".last-text", has_text="выдано, 1 порция").wait_for()
    assert again.locator("#charge[aria-disabled]").count() == 1
    assert len(place.sales()) == before + 1


def test_power_cut_between_charge_and_tap_charges_nobody(page: Page, place: Canteen):
    before = len(place.sales())
    tile(page)
    charge(page)
    place.cut()
    page.get_by_text("Линия не отвечает").wait_for()
    page.get_by_text("Линия не отвечает").wait_for(state="detached")
    place.settle()
    place.hold("paid")
    page.get_by_text("Сначала блюда").wait_for()
    assert len(place.sales()) == before
    page.get_by_text("Продолжить").tap()
    charge(page)
    place.hold("paid")
    page.locator(".over-served").wait_for()
    assert len(place.sales()) == before + 1


def test_refused_card_and_unknown_card(page: Page, place: Canteen):
    before = len(place.sales())
    for card, words in ((UNKNOWN_CARD, "Приложите другую карту"), ("declined", "Подойдите к классному")):
        place.till.do(lambda serving: serving.clear())
        tile(page)
        charge(page)
        place.hold(card)
        page.locator(".over-ask", has_text=words).wait_for()
    page.get_by_text("Следующий").tap()
    page.locator(".rung-none").wait_for()
    assert len(place.sales()) == before


def test_sale_is_taken_back_with_a_reason(page: Page, place: Canteen):
    tile(page)
    charge(page)
    place.hold("other")
    page.locator(".over-served").wait_for()
    page.locator(".over-whole").tap()
    page.locator(".text-link:enabled").tap()
    page.get_by_text("Не то блюдо").tap()
    page.locator(".last-text", has_text="Отменено").wait_for()
    sale, void = place.sales()[-1], place.peer.of(record.VOID)[-1]
    assert void.aux == sale.seq
    assert '"reason": "dish"' in (place.till._folder / "voids.jsonl").read_text().splitlines()[-1]


def test_keys_and_scanner(page: Page, place: Canteen):
    page.keyboard.press("F1")
    page.locator(f"#line-{LUNCH}").wait_for()
    page.keyboard.type("4600000000022")
    page.keyboard.press("Enter")
    page.locator(f"#line-{BUN}").wait_for()
    page.wait_for_timeout(200)
    page.keyboard.press("Enter")
    page.locator(".charge-waits").wait_for()
    page.keyboard.press("Escape")
    page.locator("#charge:not([aria-disabled])").wait_for()
    page.keyboard.press("Escape")
    page.locator(".rung-none").wait_for()


def test_boxes_stay_and_targets_are_large(page: Page, place: Canteen):
    watched = ("#charge", f"#place-{LUNCH}", "#side", ".top", ".goods-head")
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        before = [page.locator(each).bounding_box() for each in watched]
        tile(page)
        page.locator(f"#line-{LUNCH}").wait_for()
        assert [page.locator(each).bounding_box() for each in watched] == before
        assert small_targets(page, 52) == []
        heights = [height_of(each) for each in page.locator("button.tile").all()]
        assert min(heights) >= 64
        assert height_of(page.locator("#charge")) == 112
        charge(page)
        assert [page.locator(each).bounding_box() for each in watched] == before
        assert overflow(page) <= 0
        hidden = "(node) => node.scrollHeight - node.clientHeight"
        assert page.locator(".tiles").evaluate(hidden) <= 0
        page.locator(".side-head button").tap()
        page.locator("#charge:not([aria-disabled])").wait_for()
        page.locator(".side-head button").tap()
        page.locator(".rung-none").wait_for()


@pytest.mark.parametrize(
    ("language", "theme"), [("ru", "light"), ("en", "dark"), ("en", "light"), ("ru", "dark")]
)
def test_axe_finds_nothing(page: Page, place: Canteen, chromium: Browser, language: str, theme: str):
    """In each state that a page can be in; no other window answers for it."""
    page.context.close()
    shown = opened(chromium, place, language=language, theme=theme)
    serving = place.till.serving

    def look(state: str) -> None:
        shown.wait_for_timeout(150)
        found = Axe().run(shown, options=RULES).response["violations"]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == [], state
        assert shown.locator("h1").count() == 1

    look("empty")
    tile(shown)
    shown.locator(f"#line-{LUNCH}").wait_for()
    look("basket")
    charge(shown)
    look("waits")
    for kind in (line.TEACHER, line.ANOTHER_CARD, line.STOP, line.FAILED):
        place.till.take(line.Verdict(kind, 0, 0, "Молоко" if kind == line.STOP else ""))
        shown.locator(".over-stop" if kind == line.STOP else ".over-ask").wait_for()
        look(kind)
        place.till.do(lambda each: each.dismiss())
    assert serving.result is None
