"""The menu of a school: windows that never overlap, numbers that stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.csv_file import parse_table
from cloud.db import begin, reading
from cloud.meals import menu as rules
from cloud.meals import service as meals
from tests.cloud.schools import add_school

HEADER = "meal;from;to;price_rub\n"
USUAL = HEADER + "breakfast;08:00;10:59;85.00\nОбед;11:00;15:30;140\n"


def load(store, school_id, text):
    table = parse_table("menu.csv", text.encode(), meals.COLUMNS)
    with begin(store) as conn:
        applied = meals.import_menu(conn, school_id, table)
    return applied.rows, applied.changed, [(problem.line, problem.reason) for problem in applied.problems]


def menu(store, school_id):
    with reading(store) as conn:
        return meals.menu(conn, school_id)


def test_good_rows_are_the_menu(store):
    school_id = add_school(store)
    assert load(store, school_id, USUAL) == (2, 2, [])
    assert menu(store, school_id) == [
        meals.Good(1, "breakfast", "breakfast", 480, 659, 8500),
        meals.Good(2, "Обед", "lunch", 660, 930, 14000),
    ]
    with reading(store) as conn:
        assert meals.naming(conn, school_id, "ru")([(1, 1), (2, 2)]) == "завтрак, обед ×2"
        assert meals.naming(conn, school_id, "en")([(2, 3, 14000)]) == "lunch x3"
        assert meals.naming(conn, school_id, "en")([(1, 1), (9, 1)]) == ""
        assert meals.naming(conn, school_id, "en")([]) == ""


def test_same_file_again_changes_nothing(store):
    school_id = add_school(store)
    load(store, school_id, USUAL)
    assert load(store, school_id, USUAL) == (2, 0, [])


def test_changed_meal_keeps_its_number(store):
    school_id = add_school(store)
    load(store, school_id, USUAL)
    assert load(store, school_id, USUAL.replace("140", "155.50").replace("08:00", "07:30")) == (2, 2, [])
    assert [(good.good_id, good.from_minute, good.price_minor) for good in menu(store, school_id)] == [
        (1, 450, 8500),
        (2, 660, 15550),
    ]


def test_good_off_sale_keeps_name_and_number(store):
    school_id = add_school(store)
    load(store, school_id, USUAL)
    assert load(store, school_id, HEADER + "breakfast;08:00;10:59;85.00\nПирожок;11:00;12:00;30\n") == (
        2,
        2,
        [],
    )
    assert [good.good_id for good in menu(store, school_id)] == [1, 3]
    with reading(store) as conn:
        assert meals.naming(conn, school_id, "ru")([(1, 1), (2, 1), (3, 1)]) == "завтрак, обед, Пирожок"
    # Back on sale, it is the same good as before.
    load(store, school_id, USUAL)
    assert [good.good_id for good in menu(store, school_id)] == [1, 2]


def test_one_meal_may_have_two_windows(store):
    school_id = add_school(store)
    text = HEADER + "tea;06:00;06:59;20\nsnack;16:00;16:59;30\ntea;20:00;23:59;20\n"
    assert load(store, school_id, text) == (3, 3, [])
    assert load(store, school_id, text) == (3, 0, [])
    assert [good.meal for good in menu(store, school_id)] == ["tea", "snack", "tea"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("snack;10:59;11:00;10.00", "overlaps the time of an earlier line"),
        ("snack;15:30;16:00;10.00", "overlaps the time of an earlier line"),
        ("snack;00:00;23:59;10.00", "overlaps the time of an earlier line"),
        ("snack;16:00;17:00;10.005", "price_rub is no amount such as 85.00"),
        ("snack;16:00;17:00;1e2", "price_rub is no amount such as 85.00"),
        ("snack;16:00;17:00;0.00", "price is not more than 0"),
        ("snack;16:00;17:00;-5", "price is not more than 0"),
        ("snack;17:00;16:00;5", "from is after to: a window over midnight is two lines"),
        ("snack;24:00;24:30;5", "from is no time such as 08:00"),
        ("snack;16:00;16:60;5", "to is no time such as 08:00"),
        ("snack;16;17:00;5", "from is no time such as 08:00"),
        (";16:00;17:00;5", "meal is empty"),
    ],
)
def test_bad_row_is_told_and_skipped(store_sqlite, row, reason):
    school_id = add_school(store_sqlite)
    rows, changed, problems = load(store_sqlite, school_id, USUAL + row + "\ndinner;18:00;19:00;99,90\n")
    assert (rows, changed, problems) == (3, 3, [(4, reason)])
    assert [good.meal for good in menu(store_sqlite, school_id)] == ["breakfast", "lunch", "dinner"]


def test_bad_row_takes_nothing_off_sale(store_sqlite):
    school_id = add_school(store_sqlite)
    load(store_sqlite, school_id, USUAL)
    broken = USUAL.replace("140", "140.001")
    assert load(store_sqlite, school_id, broken) == (1, 0, [(3, "price_rub is no amount such as 85.00")])
    assert [good.price_minor for good in menu(store_sqlite, school_id)] == [8500, 14000]
    # But what is now sold in its time takes its place.
    assert load(store_sqlite, school_id, broken + "snack;12:00;12:59;10\n")[:2] == (2, 2)
    assert [good.meal for good in menu(store_sqlite, school_id)] == ["breakfast", "snack"]


windows = st.tuples(st.integers(0, 1439), st.integers(0, 1439))


@given(st.lists(windows, max_size=12))
def test_no_minute_sells_two_goods(pairs):
    items: list[rules.Item] = []
    for begin_minute, end_minute in pairs:
        item = rules.Item("tea", begin_minute, end_minute, 100)
        try:
            rules.check(items, item)
        except rules.MenuRefused:
            taken = {minute for each in items for minute in range(each.from_minute, each.to_minute + 1)}
            assert begin_minute > end_minute or taken & set(range(begin_minute, end_minute + 1))
            continue
        items.append(item)
    minutes = [minute for each in items for minute in range(each.from_minute, each.to_minute + 1)]
    assert len(minutes) == len(set(minutes))
