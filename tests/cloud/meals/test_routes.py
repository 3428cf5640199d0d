"""Pages of the catalogue: what is saved, under whose name, and what a stranger or a bad file cannot do."""

import io

import pytest

from cloud.db import begin, reading
from cloud.devices import service as devices
from cloud.meals import service as meals
from protocols import allergens
from scripts import sample_goods
from scripts import sample_school as sample
from tests.cloud.meals.test_photos import jpeg
from tests.cloud.meals.test_workbook import book
from tests.fixtures.pages import Pages, Visitor

GET = ("/office/goods", "/office/goods/1", "/office/menu", "/office/goods/files", "/office/goods/goods.csv",
       "/office/menu/workbook", "/office/goods/1/photo")  # fmt: skip
NONE = {f"allergen{place}": "no" for place in range(14)}


@pytest.fixture
def kitchen(pages: Pages) -> Pages:
    sample_goods.cook(pages.engine)
    return pages


@pytest.fixture
def manager(kitchen: Pages) -> Visitor:
    visitor = kitchen.staff("en", who="Ivanova")
    visitor.get("/office/goods/files")
    return visitor


def good(pages: Pages, code: str) -> meals.Kept:
    with reading(pages.engine) as conn:
        return next(kept for kept in meals.catalogue(conn, sample.SCHOOL) if kept.good.code == code)


def told(pages: Pages) -> list[int]:
    with reading(pages.engine) as conn:
        settings = devices.settings_for(conn, sample.SCHOOL, "canteen", pages.clock.now)
    return [item.good for item in settings.menu]


def send(manager: Visitor, path: str, name: str, raw: bytes, field: str = "file", **values: str):
    return manager.client.post(
        path, data={"csrf_token": manager.form_token, field: (io.BytesIO(raw), name), **values},
        headers={"Origin": "http://localhost"}, content_type="multipart/form-data",
    )  # fmt: skip


@pytest.mark.parametrize("path", GET)
def test_only_staff_see_the_kitchen(kitchen: Pages, path: str) -> None:
    for visitor in (kitchen.visitor(), kitchen.parent()):
        assert visitor.get(path).status_code in (302, 303)


def test_list_says_what_is_not_checked(manager: Visitor) -> None:
    page = manager.get("/office/goods").text
    assert "3 are not checked for allergens" in page  # a bun and two lines of the devices' menu
    assert page.index("Булочка с маком") < page.index("Сок яблочный") < page.index("Пюре картофельное")
    assert page.count("<b>not checked</b>") == 1
    assert page.count("<b>no price today</b>") == 1


def test_ticks_are_saved_under_the_name_of_the_session(kitchen: Pages, manager: Visitor) -> None:
    number = good(kitchen, "402").good_id
    path = f"/office/goods/{number}"
    ticks = NONE | {"allergen0": "contains", "allergen7": "may"}
    refused = manager.post(path, **ticks)
    assert refused.status_code == 422
    assert "without that nothing is saved" in refused.text
    assert good(kitchen, "402").checked_at is None
    assert manager.post(path, checked="yes", **ticks).status_code == 303
    kept = good(kitchen, "402")
    assert (kept.checked_by, kept.checked_at) == ("Ivanova", kitchen.clock.now)
    assert allergens.words_of(kept.good.contains) == ["gluten"]
    assert allergens.words_of(kept.good.may_contain) == ["nuts"]
    lying = manager.post(path, checked="yes", diet1="on", **NONE | {"allergen6": "contains"})
    assert lying.status_code == 422
    silent = manager.post(
        path, checked="yes", **{name: said for name, said in ticks.items() if name[-1] != "9"}
    )
    assert "Answer for each" in silent.text
    assert good(kitchen, "402") == kept


def test_line_is_taken_over_checked(kitchen: Pages, manager: Visitor) -> None:
    assert told(kitchen) == [sample.BREAKFAST, sample.LUNCH]
    page = manager.get(f"/office/goods/{sample.LUNCH}")
    assert "sold only while it is checked" in page.text
    assert page.text.count("required") == 42  # nothing is chosen for a dish of which nobody has said anything
    assert page.text.count('"no" required checked') == 0
    milk = NONE | {"allergen6": "contains"}
    assert manager.post(f"/office/goods/{sample.LUNCH}", checked="yes", **milk).status_code == 303
    assert told(kitchen) == [sample.BREAKFAST, sample.LUNCH]
    kept = good(kitchen, f"line-{sample.LUNCH}")
    assert (kept.good_id, kept.is_checked, kept.hot_meal) == (sample.LUNCH, True, 2)
    with begin(kitchen.engine) as conn:
        meals.ask_for_checks(conn, sample.SCHOOL, True)
    assert told(kitchen) == [sample.LUNCH]


def test_number_of_nothing_is_no_page(manager: Visitor) -> None:
    for path in ("/office/goods/999", "/office/menu?day=2026-13-01", "/office/menu/workbook?day=2026-09-05"):
        assert manager.get(path).status_code == 404, path
    assert manager.post("/office/goods/999", checked="yes", **NONE).status_code == 404


def test_files_are_taken_whole_or_not(kitchen: Pages, manager: Visitor) -> None:
    text = manager.get("/office/goods/goods.csv").data
    manager.get("/office/goods/files")
    same = send(manager, "/office/goods/files", "goods.csv", text)
    assert same.status_code == 200
    assert "Good lines: 7, new or changed: 0" in same.text
    bad = send(manager, "/office/goods/files", "goods.csv", text.replace(b"=40.00", b"=40.005"))
    assert bad.status_code == 422
    assert "Nothing was taken" in bad.text
    assert "prices have an amount" in bad.text
    workbook = manager.get("/office/menu/workbook")
    assert workbook.headers["Content-Disposition"].endswith('"2026-09-01-sm.xlsx"')
    manager.get("/office/goods/files")
    # The bun of the afternoon is not checked, so a workbook that names it is not taken.
    again = send(manager, "/office/goods/files", "2026-09-01-sm.xlsx", workbook.data)
    assert "D9: the dish is not checked for allergens" in again.text
    wrong = send(manager, "/office/goods/files", "../../2026-09-01-sm.xlsx", book(headings=["a"]))
    assert "A3: the headings" in wrong.text
    russian = kitchen.staff("ru")
    russian.get("/office/goods/files")
    assert (
        "нет заголовков"
        in send(russian, "/office/goods/files", "2026-09-01-sm.xlsx", book(headings=["a"])).text
    )


def test_large_files_go_to_their_pages_only(manager: Visitor) -> None:
    large = b"x" * (200 * 1024)
    assert send(manager, "/office/goods/files", "goods.csv", large).status_code == 422
    assert send(manager, "/office/menu/clear", "goods.csv", large).status_code == 413
    assert send(manager, "/office/goods/files", "goods.csv", large * 8).status_code == 413


def test_photo_is_kept_and_shown_as_what_it_is(kitchen: Pages, manager: Visitor) -> None:
    path = f"/office/goods/{good(kitchen, '101').good_id}/photo"
    assert manager.get(path).status_code == 404
    assert send(manager, path, "../../etc/passwd.html", b"<html>", "photo").status_code == 422
    assert send(manager, path, "../../etc/passwd.html", jpeg(), "photo").status_code == 303
    shown = manager.get(path)
    assert (shown.mimetype, shown.headers["X-Content-Type-Options"]) == ("image/jpeg", "nosniff")
    assert b"Exif" not in shown.data
    assert list(kitchen.config.data_dir.rglob("*passwd*")) == []


def test_own_menu_is_cleared(kitchen: Pages, manager: Visitor) -> None:
    assert "This day has a menu of its own" in manager.get("/office/menu").text
    assert manager.post("/office/menu/clear", day="2026-09-01").status_code == 303
    assert "Nothing is planned" in manager.get("/office/menu").text
