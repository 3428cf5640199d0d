"""Pages of a lost card in a real browser: for everybody, on a small phone, and renewing themselves."""

import pytest
from playwright.sync_api import Page, expect

from protocols.ids import hex8
from scripts import sample_school as sample
from tests.browser.surfer import Surfer, overflow, small_targets
from tests.browser.test_access import cut_off, set_text, violations
from tests.cloud.losses.test_routes import MASHA, NOW, applied, block, buys, report

pytestmark = pytest.mark.browser
VANYA = hex8(sample.VANYA)
PARENTS = ("/cards", "/lost/1", "/")
OFFICE = ("/office/lost", "/office/lost/1", "/office/lost/1/return", f"/office/pupils/{VANYA}?reason=other")


@pytest.fixture
def lost(surfer: Surfer) -> Surfer:
    """Two devices have closed the card, two are waited for, and somebody has bought twice."""
    block(surfer.pages.parent(), since="today")
    version = report(surfer.pages).table_version
    for device_id in (sample.GATE_1, sample.LINE_2):
        applied(surfer.pages, device_id, version, NOW + 25)
    for minutes in (10, 15):
        buys(surfer.pages, NOW + 60 * minutes)
    surfer.pages.clock.now = NOW + 1200
    return surfer


def opened(surfer: Surfer, kind: str, path: str, **options: object) -> Page:
    page = surfer.new_page(surfer.context(kind, **options))  # type: ignore[arg-type]
    page.goto(surfer.address + path)
    if page.locator("details").count():
        page.locator("summary").first.click()
    return page


@pytest.mark.parametrize("kind", ["parent", "staff"])
@pytest.mark.parametrize(("language", "theme"), [("ru", "light"), ("en", "dark")])
def test_pages_are_for_everybody(lost: Surfer, kind: str, language: str, theme: str) -> None:
    for path in PARENTS if kind == "parent" else OFFICE:
        page = opened(lost, kind, path, language=language, color_scheme=theme, has_touch=True)
        assert page.locator("h1").count() == 1, path
        assert page.locator(".button:visible").count() <= 1, path
        assert violations(page) == [], path
        for width in (320, 360, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            wrong = [each for each in small_targets(page, 48) if not each.startswith("INPUT  24")]
            assert wrong == [], (path, width)  # a tick stands in a line that is the target
            assert overflow(page) <= 0, (path, width)
        page.set_viewport_size({"width": 320, "height": 640})
        set_text(page, 200)
        assert overflow(page) <= 0, (path, "200 %")
        assert cut_off(page) == [], (path, "200 %")
        page.context.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_parent_blocks_with_one_tap_and_a_confirmation(surfer: Surfer, scripts: bool) -> None:
    page = surfer.context("parent", java_script_enabled=scripts).new_page()
    page.goto(surfer.address)
    page.get_by_role("link", name="Потеряна карта?").click()
    page.locator("article", has_text="Маша").get_by_text("Потеряна?").click()
    page.get_by_role("button", name="Закрыть эту карту").locator("visible=true").click()
    expect(page.get_by_role("heading", name="Карта закрывается")).to_be_visible()
    expect(page.get_by_role("heading", name="Закрыта на 0 из 4 устройств")).to_be_visible()
    page.get_by_role("button", name="Карта нашлась").click()
    expect(page.get_by_role("heading", name="Карта снова открыта")).to_be_visible()


def test_page_renews_itself_when_a_device_answers(surfer: Surfer) -> None:
    block(surfer.pages.parent())
    page = surfer.context("parent").new_page()
    page.clock.install()
    page.goto(f"{surfer.address}/lost/1")
    expect(page.get_by_text("Закрыта на 0 из 4 устройств")).to_be_visible()
    applied(surfer.pages, sample.GATE_1, report(surfer.pages).table_version, NOW + 5)
    page.clock.run_for(11_000)
    expect(page.get_by_text("Закрыта на 1 из 4 устройств")).to_be_visible()
    expect(page.get_by_text("закрыта с 11:45")).to_be_visible()


def test_office_returns_what_is_ticked(lost: Surfer) -> None:
    context = lost.context("staff")
    token = lost.pages.token("staff", None, "Петрова")
    context.add_cookies([{"name": "kk_staff", "value": token, "url": lost.address}])
    page = context.new_page()
    page.goto(f"{lost.address}/office/lost/1")
    page.get_by_role("link", name="Вернуть 2 покупки").click()
    page.get_by_role("checkbox").first.uncheck()
    page.get_by_label("Почему").fill("линия без связи")
    page.get_by_role("button", name="Вернуть отмеченное").click()
    expect(page.get_by_text("вернётся, когда линия закроет день")).to_have_count(1)
    expect(page.get_by_role("link", name="Вернуть 1 покупку")).to_be_visible()
    assert MASHA not in page.title()
