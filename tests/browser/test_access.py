"""Pages for everybody: axe on each page, state, theme and language; narrow screens, large text, keys."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.surfer import Surfer, all_online, overflow, small_targets

pytestmark = pytest.mark.browser
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
KINDS = ("door", "parent", "staff")


def violations(page: Page) -> list[str]:
    """What axe finds with the whole page in the window, so that nothing happens to be under the tabs."""
    height = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": 360, "height": height + 100})
    found = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]
    ]


def set_text(page: Page, per_cent: int) -> None:
    page.evaluate(f"document.documentElement.style.fontSize = '{per_cent}%'")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("language", ["ru", "en"])
def test_axe_finds_nothing(surfer: Surfer, kind: str, theme: str, language: str) -> None:
    for view, page in surfer.walk(kind, language=language, color_scheme=theme):
        assert violations(page) == [], view.name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("language", ["ru", "en"])
def test_pages_fit_phones_thumbs_and_large_text(surfer: Surfer, kind: str, language: str) -> None:
    for view, page in surfer.walk(kind, language=language, has_touch=True):
        for width in (320, 360, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            assert small_targets(page, 48) == [], (view.name, width)
            assert overflow(page) <= 0, (view.name, width)
        page.set_viewport_size({"width": 320, "height": 640})
        set_text(page, 200)
        assert overflow(page) <= 0, (view.name, "200 %")
        assert cut_off(page) == [], (view.name, "200 %")


@pytest.mark.parametrize("language", ["ru", "en"])
def test_each_page_has_one_heading_title_and_filled_button(surfer: Surfer, language: str) -> None:
    titles = set()
    for view, page in surfer.walk(*KINDS, language=language):
        assert page.locator("h1").count() == 1, view.name
        assert page.locator("html").get_attribute("lang") == language
        assert page.title().endswith((" · KlassKart", " · КлассКарт")), view.name
        assert page.locator(".button").count() <= 1, view.name
        titles.add(page.title())
        if view.kind != "door":
            page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
            last = page.locator("main .card, main .button-line").last.bounding_box()
            tabs = page.locator(".tabs").bounding_box()
            assert last
            assert tabs
            assert last["y"] + last["height"] <= tabs["y"], view.name
    assert len(titles) >= 15


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_a_calm_day(surfer: Surfer, theme: str) -> None:
    all_online(surfer.pages)
    for kind, path in (("parent", "/"), ("staff", "/office/"), ("staff", "/office/devices")):
        page = surfer.new_page(surfer.context(kind, color_scheme=theme))
        page.goto(surfer.address + path)
        assert violations(page) == [], path


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_the_way_in(surfer: Surfer, theme: str) -> None:
    context = surfer.context("door", color_scheme=theme)
    page = context.new_page()
    page.goto(f"{surfer.address}/sign-in")
    page.get_by_role("button", name="Получить код").click()
    assert page.get_by_role("alert").is_visible()
    assert violations(page) == []
    page.get_by_label("Номер телефона").fill("+79120000001")
    page.get_by_role("button", name="Получить код").click()
    assert violations(page) == []
    page.get_by_label("Код из сообщения").fill("1")
    page.get_by_role("button", name="Войти").click()
    assert page.get_by_role("alert").is_visible()
    assert violations(page) == []
    surfer.errors.clear()  # 422 is the answer to a slip, and Chromium calls it an error


def cut_off(page: Page) -> list[str]:
    """Texts that stick out of the window, which a hidden overflow would not show."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('main *, nav *')].filter((node) => {
            const box = node.getBoundingClientRect();
            const seen = node.getClientRects().length && getComputedStyle(node).clipPath === 'none';
            return seen && node.textContent.trim() && !node.closest('.sheet thead') &&
              (box.right > innerWidth + 1 || box.left < -1);
          }).map((node) => node.className + ': ' + node.textContent.trim().slice(0, 60))"""
    )
    return found


@pytest.mark.parametrize("path", ["/", "/money", "/more"])
def test_every_stop_of_the_keyboard_is_seen(surfer: Surfer, path: str) -> None:
    page = surfer.context("parent").new_page()
    page.goto(surfer.address + path)
    stops = []
    for _ in range(40):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            """() => {
                const node = document.activeElement;
                if (!node || node === document.body) return null;
                const box = node.getBoundingClientRect(), style = getComputedStyle(node);
                const tabs = document.querySelector('.tabs').getBoundingClientRect();
                return {name: node.textContent.trim(), tab: !!node.closest('.tabs'), top: box.top,
                        bottom: box.bottom, ring: style.outlineStyle + style.boxShadow, under: tabs.top};
            }"""
        )
        if stop is None:
            break
        stops.append(stop)
        assert "none" not in stop["ring"].replace("none0", ""), stop
        assert stop["top"] >= -1, stop
        assert stop["tab"] or stop["bottom"] <= stop["under"] + 1, stop
    names = [stop["name"] for stop in stops]
    assert names[0] == "К содержанию"
    assert names[-3:] == ["Сегодня", "Деньги", "Ещё"]


def test_skip_link_leads_past_the_navigation(surfer: Surfer) -> None:
    page = surfer.context("parent").new_page()
    page.goto(surfer.address)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"


def test_money_line_opens_by_keyboard(surfer: Surfer) -> None:
    page = surfer.context("parent").new_page()
    page.goto(f"{surfer.address}/money/01a0b1c2")
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.get_by_text("Линия 1, запись 6").is_visible()


def test_forced_colours_keep_edges_of_buttons_and_cards(surfer: Surfer) -> None:
    page = surfer.context("parent", forced_colors="active").new_page()
    page.goto(f"{surfer.address}/more")
    for name in (".card", ".button-line", ".choice-one"):
        width = page.locator(name).first.evaluate("(node) => getComputedStyle(node).borderTopWidth")
        assert width in ("1px", "2px"), name


def test_nothing_moves_when_motion_is_reduced(surfer: Surfer) -> None:
    page = surfer.context("parent", reduced_motion="reduce").new_page()
    page.goto(surfer.address)
    page.locator("#live").evaluate("(node) => node.classList.add('changed')")
    assert page.locator("#live").evaluate("(node) => getComputedStyle(node).animationName") == "none"
