"""The panel in a real browser: a tap fills the columns, keys and small screens work, axe is content."""

import threading

import pytest
from axe_playwright_python.sync_playwright import Axe
from waitress.server import create_server  # type: ignore[import-untyped]

from scripts.play.panel.app import create_panel
from tests.scripts.play.panel import stand_model
from tests.scripts.play.panel.stand_model import TOKEN, StandModel, setting

pytestmark = pytest.mark.browser

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]}}


@pytest.fixture(scope="module")
def served():
    """A panel on a free port and its stand."""
    stand = StandModel()
    server = create_server(lambda *_: [], host="127.0.0.1", port=0, threads=4)
    server.application = create_panel(setting(server.effective_port), stand)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}", stand
    server.close()
    thread.join(5)


@pytest.fixture
def panel(served, page):
    """The opened panel; the browser's page and the stand."""
    address, stand = served
    stand.story = None
    page.goto(f"{address}/?token={TOKEN}")
    return page, stand


def violations(page):
    found = Axe().run(page, options=RULES)
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found.response["violations"]]


def hold(page, who="unknown", where="line-1:-"):
    page.locator(f'input[name="who"][value="{who}"]').check()
    page.locator(f'input[name="where"][value="{where}"]').check()
    page.get_by_role("button", name="Приложить карту").click()


def test_tap_fills_the_columns(panel):
    page, stand = panel
    stand.story = stand_model.sale
    hold(page, stand_model.PUPILS[0].key)
    page.wait_for_selector("#column-message.column-done")
    assert "Выдано" in page.locator("#column-light").inner_text()
    assert "−140,00\N{NO-BREAK SPACE}₽" in page.locator("#column-books").inner_text()
    assert "Давыдов Роман" in page.locator("#trail-line").inner_text()
    assert "token" not in page.url


def test_columns_fill_one_after_another(panel):
    """A column that has not changed keeps its element: nothing is read out twice."""
    page, stand = panel
    hold(page)
    page.wait_for_selector("#column-light.column-waiting")
    number = stand.trails.open(stand.tapped[-1], "").number - 1
    stand.trails.reach(number, "light", "done", verdict="served", refusal=0)
    page.wait_for_selector("#column-light.column-done")
    page.evaluate("window.kept = document.getElementById('column-light')")
    stand.trails.reach(number, "record", "done", seq=7)
    page.wait_for_selector("#column-record.column-done")
    assert page.evaluate("window.kept === document.getElementById('column-light')")
    stand_model.sale(stand.trails, number)


def test_search_and_keyboard_are_enough(panel):
    page, stand = panel
    stand.story = stand_model.entry
    page.locator("#search").fill("2б королева")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_selector("#column-message.column-done")
    assert stand.tapped[-1].credential == stand_model.PUPILS[7].credential
    assert "2" in page.locator("#trail-line").inner_text()


def test_search_for_nobody_says_so(panel):
    page, _ = panel
    page.locator("#search").fill("ъъъ")
    assert page.locator("#nobody").is_visible()


def test_missing_choice_is_said_in_place(panel):
    page, _ = panel
    page.get_by_role("button", name="Приложить карту").click()
    page.wait_for_selector("#problem:not(:empty)")
    assert "Сначала выберите" in page.locator("#problem").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("story", [stand_model.sale, stand_model.refusal, stand_model.repeat])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing(panel, width, scheme, story):
    page, stand = panel
    stand.story = story
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    assert violations(page) == []
    hold(page)
    page.wait_for_selector("[data-over=yes] #column-light.column-done")
    page.wait_for_timeout(200)  # the fade-in of a column is over
    assert violations(page) == []


@pytest.mark.parametrize("width", [320, 360, 760, 1280])
def test_no_sideways_scroll(panel, width):
    page, stand = panel
    stand.story = stand_model.sale
    page.set_viewport_size({"width": width, "height": 800})
    hold(page)
    page.wait_for_selector("#column-message.column-done")
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_controls_are_big_enough(panel):
    page, _ = panel
    small = page.evaluate(
        """() => {
          const controls = 'button, a.stand-link, .pupil, .tick, .place, input.time, #search';
          const height = (each) => each.getBoundingClientRect().height;
          return [...document.querySelectorAll(controls)]
            .filter((each) => height(each) > 0 && height(each) < 47.5)
            .map((each) => each.outerHTML);
        }"""
    )
    assert small == []


def test_panel_works_without_script(served, chromium):
    address, stand = served
    stand.story = stand_model.sale
    context = chromium.new_context(java_script_enabled=False, locale="ru-RU")
    page = context.new_page()
    page.goto(f"{address}/?token={TOKEN}")
    hold(page)
    assert "Выдано" in page.locator("#column-light").inner_text()
    context.close()
