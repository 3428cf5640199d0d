"""The official workbook of a day: real files, as they are and as they come."""

from datetime import datetime, timedelta
from io import BytesIO

import pytest
from openpyxl import Workbook, load_workbook

from cloud.db import begin, reading
from cloud.meals import service as meals
from cloud.meals.cycle import Line
from cloud.meals.workbook import HEADINGS
from tests.cloud.meals.test_goods import DAY, FISHCAKE, MASH, NOW, save
from tests.cloud.schools import add_school

NAME = "2026-09-01-sm.xlsx"
TODAY = datetime(2026, 9, 1)  # noqa: DTZ001 - a date in a sheet has no zone
PLAIN = MASH._replace(
    recipe="128", portion="180", energy="164.7", protein="3,1", fat="9.4", carbohydrate="17"
)
USUAL = [
    ["Завтрак", "гор.блюдо", "128", "Пюре", 180, 40, 164.7, 3.1, 9.4, 17],
    [None, "хлеб", None, None, None, None],
    ["Завтрак 2", None, None, "пюрё ", None, "40,00"],
    ["Обед", "2 блюдо", 202, "Котлета рыбная", "90/5", 70.0],
    [None, "Итого", None, None, None, 150],
]
LINES = (
    Line("breakfast", "", "гор.блюдо", "101"),
    Line("second breakfast", "", "", "101"),
    Line("lunch", "", "2 блюдо", "202"),
)


@pytest.fixture
def school(store_sqlite):
    school_id = add_school(store_sqlite)
    save(store_sqlite, school_id, PLAIN, FISHCAKE, checked=[PLAIN, FISHCAKE])
    return school_id


def book(rows=USUAL, *, headings=HEADINGS, day=TODAY, ages=None, above=1):
    made = Workbook()
    sheet = made.active
    sheet.append(["Школа", "МБОУ СОШ № 15", None, None, "Отд./корп", ages, None, None, "День", day])
    for _ in range(above):
        sheet.append([])
    for row in (headings, *rows):
        sheet.append(list(row) or [None])
    raw = BytesIO()
    made.save(raw)
    return raw.getvalue()


def load(store, school_id, raw, name=NAME):
    with begin(store) as conn:
        day, done = meals.import_workbook(conn, school_id, name, raw, who="П", now=NOW)
    return day, done.rows, done.changed, [problem.reason for problem in done.problems]


def planned(store, school_id):
    with reading(store) as conn:
        return meals.plan(conn, school_id, DAY)


def written(store, school_id, ages=""):
    with reading(store) as conn:
        return meals.export_workbook(conn, school_id, DAY, ages)


def test_workbook_is_the_menu_of_its_day(store_sqlite, school):
    assert load(store_sqlite, school, book()) == (DAY, 3, 3, [])
    assert planned(store_sqlite, school) == (DAY, "own", LINES)
    assert load(store_sqlite, school, book()) == (DAY, 3, 0, [])
    assert load(store_sqlite, school, book(day="01.09.2026", above=4)) == (DAY, 3, 0, [])


def test_what_is_written_is_read_again(store_sqlite, school):
    load(store_sqlite, school, book())
    name, raw = written(store_sqlite, school)
    assert name == NAME
    assert load(store_sqlite, school, raw) == (DAY, 3, 0, [])
    sheet = load_workbook(BytesIO(raw)).active
    rows = [list(row) for row in sheet.iter_rows(values_only=True)]
    assert rows[0] == [
        "Школа",
        "school",
        None,
        None,
        "Отд./корп",
        None,
        None,
        None,
        "День",
        TODAY,
    ]
    assert rows[2] == list(HEADINGS)
    assert rows[3] == ["Завтрак", "гор.блюдо", "128", "Пюре", 180, 40, 164.7, 3.1, 9.4, 17]
    assert [row[0] for row in rows[3:]] == ["Завтрак", "Второй завтрак", "Обед"]


def test_each_age_group_has_its_own_part(store_sqlite, school):
    load(store_sqlite, school, book())
    assert load(store_sqlite, school, book(USUAL[:1], ages="12-18")) == (DAY, 1, 1, [])
    assert set(planned(store_sqlite, school).lines) == {*LINES, LINES[0]._replace(ages="12-18")}
    assert load(store_sqlite, school, written(store_sqlite, school, "12-18")[1]) == (DAY, 1, 0, [])
    assert load(store_sqlite, school, written(store_sqlite, school)[1]) == (DAY, 3, 0, [])
    with pytest.raises(meals.GoodRefused), reading(store_sqlite) as conn:
        meals.export_workbook(conn, school, DAY, "5-6")


def test_name_like_a_formula_stays_a_name(store_sqlite, school):
    odd = MASH._replace(code="9", name="=1+1")
    save(store_sqlite, school, odd, checked=[odd])
    with begin(store_sqlite) as conn:
        meals.set_day(conn, school, DAY, [Line("lunch", "", "=A1", "9")], who="", now=NOW)
    raw = written(store_sqlite, school)[1]
    assert load_workbook(BytesIO(raw)).active["D4"].data_type == "s"
    assert load(store_sqlite, school, raw) == (DAY, 1, 0, [])


def test_moved_columns_are_told_by_their_cells(store_sqlite, school):
    moved = ["Прием пищи", "Раздел", "№ рец.", "Блюдо", "Цена", "Выход, г", *HEADINGS[6:]]
    assert load(store_sqlite, school, book(headings=moved)) == (
        None, 0, 0,
        [
            "E3: the column Выход, г must stand here, it stands in F3",
            "F3: the column Цена must stand here, it stands in E3",
        ],
    )  # fmt: skip
    shifted = [None, *HEADINGS]
    day, _rows, _changed, reasons = load(store_sqlite, school, book(headings=shifted))
    assert (day, len(reasons)) == (None, 10)
    assert reasons[0] == "A3: the column Прием пищи must stand here, it stands in B3"
    lost = [*HEADINGS[:5], "Стоимость", *HEADINGS[6:]]
    assert load(store_sqlite, school, book(headings=lost))[3] == ["F3: the column Цена must stand here"]
    assert load(store_sqlite, school, book(headings=["a", "b"]))[3][0].startswith("A3: the headings")
    assert planned(store_sqlite, school).source == "none"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (["Обед", "", "", "Пюре", "", 40.005], "F4: no amount such as 85.00 (two decimals)"),
        (["Обед", "", "", "Пюре", "", "=2*20"], "F4: no amount"),
        (["Обед", "", "", "Пюре", "", 41], "F4: the catalogue says 40.00 on that day"),
        (["Обед", "", "", "Новое", "", 41], "D4: no such dish in the catalogue"),
        (["Обед", "", "", "Суп", "", 41], "D4: the dish is not checked for allergens"),
        (["Обед", "", "", "Двойник", "", 40], "D4: several dishes have this name"),
        (["Ланч", "", "", "Пюре", "", 40], "A4: meal is none of завтрак"),
        ([None, "", "", "Пюре", "", 40], "A4: the meal of this dish is not named"),
        (["Обед", "", "", None, "", 40], "D4: a price without a dish"),
        (["Обед", "", "", None, "", None], "D4: no dish"),
    ],
)
def test_bad_cell_is_told_and_nothing_is_taken(store_sqlite, school, row, reason):
    twins = [MASH._replace(code=code, name="Двойник", recipe=code) for code in ("7", "8")]
    save(store_sqlite, school, MASH._replace(code="6", name="Суп"), *twins, checked=twins)
    day, rows, changed, reasons = load(store_sqlite, school, book([row, *USUAL[:1]] if row[3] else [row]))
    if reason == "F4: no amount" and not reasons:
        # A formula that no program has reckoned yet has no value: it is an empty price.
        assert (day, rows) == (DAY, 2)
        return
    assert (day, rows, changed) == (DAY, 0, 0)
    assert reasons[0].startswith(reason)
    assert planned(store_sqlite, school).source == "none"


def test_recipe_says_which_of_two_dishes(store_sqlite, school):
    twins = [MASH._replace(code=code, name="Двойник", recipe=code) for code in ("7", "8")]
    save(store_sqlite, school, *twins, checked=twins)
    assert load(store_sqlite, school, book([["Обед", None, 8, "Двойник", None, 40]])) == (DAY, 1, 1, [])
    assert planned(store_sqlite, school).lines == (Line("lunch", "", "", "8"),)


@pytest.mark.parametrize(
    ("raw", "name", "reason"),
    [
        (b"", NAME, "the file is no workbook"),
        (b"PK\x03\x04 nothing", NAME, "the file is no workbook"),
        (b"x" * (1024 * 1024 + 1), NAME, "the file is larger"),
        (book(day="32.09.2026"), NAME, "J1: no date such as"),
        (book(day=None), NAME, "J1: no date such as"),
        (book(day=TODAY + timedelta(1)), NAME, "J1: another day than in the name"),
        (book(), "menu.xlsx", "the file is not called like"),
    ],
)
def test_file_that_is_no_menu_is_told(store_sqlite, school, raw, name, reason):
    _day, rows, changed, reasons = load(store_sqlite, school, raw, name)
    assert (rows, changed) == (0, 0)
    assert reasons[0].startswith(reason)
    assert planned(store_sqlite, school).source == "none"
