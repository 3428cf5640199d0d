"""The menu file: taken whole or not at all, every mistake by its place."""

import copy
import json

import pytest

from reader_host.till import menu as menus
from tests.reader_host.till.parts import MENU


def read(tmp_path, change=None, text=None):
    """The menu of a folder after a change to the sample."""
    value = copy.deepcopy(MENU)
    if change:
        change(value)
    (tmp_path / menus.FILE).write_text(text if text is not None else json.dumps(value), encoding="utf-8")
    return menus.read(tmp_path)


def test_whole_menu_is_read(tmp_path):
    menu = read(tmp_path)
    lunch = menu.good(7)
    assert (lunch.price_minor, lunch.is_set, lunch.name.of("en")) == (9600, True, "Lunch, years 1–4")
    assert (menu.of_barcode("4600000000022").number, menu.good(21).is_checked) == (22, False)
    assert [tab.key for tab in menu.tabs] == ["lunch", "buffet", "drinks", "services"]


def test_good_is_on_sale_to_its_last_minute(tmp_path):
    menu = read(tmp_path, lambda value: value["goods"][0].update({"from": "11:00", "to": "11:59"}))
    assert [7 in [each.number for each in menu.at(minute)] for minute in (659, 660, 719, 720)] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("price", "96.005", "goods[3].price"),
        ("price", "0.00", "goods[3].price"),
        ("price", 96, "goods[3].price"),
        ("number", 0, "goods[3].number"),
        ("number", True, "goods[3].number"),
        ("number", 7, "goods"),
        ("tab", "supper", "goods[3].tab"),
        ("name", "Обед", "goods[3].name"),
        ("name", {"ru": "Обед"}, "goods[3].name.en"),
        ("from", "8:00", "goods[3].from"),
        ("from", "24:00", "goods[3].from"),
        ("to", "", "goods[3].to"),
        ("stock", -1, "goods[3].stock"),
        ("checked", 1, "goods[3].checked"),
        ("barcodes", "46", "goods[3].barcodes"),
        ("barcodes", ["4x"], "goods[3].barcodes"),
        ("barcodes", ["4600000000022"], "goods"),
    ],
)
def test_mistake_is_told_by_its_place(tmp_path, field, value, place):
    with pytest.raises(menus.MenuRefused) as caught:
        read(tmp_path, lambda menu: menu["goods"][3].update({field: value}))
    assert [each.partition(": ")[0] for each in caught.value.problems] == [place]


@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"price": 1.5}', '{"goods": [1], "tabs": [2]}'])
def test_file_that_is_no_menu_is_refused(tmp_path, text):
    with pytest.raises(menus.MenuRefused):
        read(tmp_path, text=text)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(menus.MenuRefused, match="No such file"):
        menus.read(tmp_path)
