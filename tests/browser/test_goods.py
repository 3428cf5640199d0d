"""Pages of the kitchen in a real browser: for everybody, on a phone, and what a manager does there."""

import pytest
from playwright.sync_api import Page, expect

from scripts import sample_goods
from tests.browser.surfer import Surfer, overflow, small_targets
from tests.browser.test_access import cut_off, set_text, violations
from tests.cloud.meals.test_routes import good

pytestmark = pytest.mark.browser


@pytest.fixture
def kitchen(surfer: Surfer) -> Surfer:
    sample_goods.cook(surfer.pages.engine)
    return surfer


def paths(kitchen: Surfer) -> tuple[str, ...]:
    bun, lunch = (good(kitchen.pages, code).good_id for code in ("402", "L1"))
    return (
        "/office/goods", f"/office/goods/{bun}", f"/office/goods/{lunch}", "/office/goods/1", "/office/menu",
        "/office/menu?day=2026-09-05", "/office/goods/files",
    )  # fmt: skip


def measured(page: Page, path: str) -> None:
    assert page.locator("h1").count() == 1, path
    assert page.locator(".button:visible").count() <= 1, path
    assert violations(page) == [], path
    for width in (320, 360, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        # A tick or a round stands in a line that is the target.
        wrong = [each for each in small_targets(page, 48) if not each.startswith(("INPUT  24", "INPUT  20"))]
        assert wrong == [], (path, width)
        assert overflow(page) <= 0, (path, width)
    page.set_viewport_size({"width": 320, "height": 640})
    set_text(page, 200)
    assert overflow(page) <= 0, (path, "200 %")
    assert cut_off(page) == [], (path, "200 %")


@pytest.mark.parametrize(("language", "theme"), [("ru", "light"), ("en", "dark")])
def test_pages_are_for_everybody(kitchen: Surfer, language: str, theme: str) -> None:
    page = kitchen.new_page(kitchen.context("staff", language=language, color_scheme=theme, has_touch=True))
    for path in paths(kitchen):
        page.goto(kitchen.address + path)
        measured(page, path)
        set_text(page, 100)


def test_manager_checks_a_dish_and_corrects_a_file(kitchen: Surfer, tmp_path) -> None:
    page = kitchen.context("staff").new_page()
    page.goto(f"{kitchen.address}/office/goods")
    page.get_by_role("link", name="Булочка с маком").click()
    expect(page.get_by_text("Не проверено")).to_be_visible()
    page.get_by_role("group", name="Арахис").get_by_text("следы").click()
    page.get_by_role("button", name="Сохранить: проверено").click()
    expect(page.get_by_role("alert")).to_contain_text("Отметьте, что проверили")
    expect(page.get_by_role("group", name="Арахис").get_by_label("следы")).to_be_checked()
    page.get_by_label("Это блюдо проверено мной на аллергены").check()
    page.get_by_role("button", name="Сохранить: проверено").click()
    expect(page.get_by_role("row", name="Булочка с маком")).to_contain_text("продаётся")
    file = tmp_path / "goods.csv"
    file.write_text("code;name;kind;prices\n9;Суп;dish;2026-09-01=85.005\n", encoding="utf-8")
    page.goto(f"{kitchen.address}/office/goods/files")
    page.get_by_label("Список товаров").set_input_files(file)
    page.get_by_role("button", name="Загрузить").click()
    expect(page.get_by_role("alert")).to_contain_text("цена не такая, как 85.00: не больше двух знаков")
