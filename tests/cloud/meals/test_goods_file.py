"""The catalogue as a file: a bad line is told and nothing is taken; what is written is read again."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloud.csv_file import parse_table
from cloud.db import begin, reading
from cloud.meals import goods as catalogue
from cloud.meals import service as meals
from cloud.meals import store as rows
from cloud.meals.goods import Good
from cloud.meals.prices import Price
from protocols import allergens
from tests.cloud.meals.test_goods import DAY, NOW
from tests.cloud.schools import add_school

HEAD = "code;name;kind;meal;contains;may_contain;diets;parts;prices;checked_by;checked_on\n"
MASH = "101;Пюре;блюдо;;молоко;;халяль;;2026-09-01=40.00;Петрова;2026-08-28\n"
BUN = (
    "301;Булочка;product;;gluten, eggs;nuts;;;01.09.2026..2026-12-31=25,5 2027-01-01=27;Петрова;28.08.2026\n"
)
LUNCH = "L1;Обед;комплекс;обед;;;;101 301;2026-09-01=150.00;Петрова;2026-08-28\n"
USUAL = HEAD + MASH + BUN + LUNCH


def load(store, school_id, text, **options):
    table = parse_table("goods.csv", text.encode(), meals.GOODS_COLUMNS)
    with begin(store) as conn:
        done = meals.import_goods(conn, school_id, table, who="файл", now=NOW, **options)
    return done.rows, done.changed, [(problem.line, problem.reason) for problem in done.problems]


def written(store, school_id):
    with reading(store) as conn:
        return meals.export_goods(conn, school_id)


def test_file_is_the_catalogue(store):
    school_id = add_school(store)
    assert load(store, school_id, USUAL) == (3, 3, [])
    assert load(store, school_id, USUAL) == (3, 0, [])
    with reading(store) as conn:
        found = catalogue.codes_of(meals.catalogue(conn, school_id))
    bun = found["301"].good
    assert bun.prices == (Price(DAY, DAY + 121, 2550), Price(DAY + 122, None, 2700))
    assert allergens.words_of(bun.contains) == ["gluten", "eggs"]
    assert allergens.words_of(found["L1"].contains) == ["gluten", "eggs", "milk"]
    assert (found["L1"].hot_meal, found["L1"].state(DAY)) == (2, "sold")
    assert (found["101"].checked_by, found["101"].checked_at) == ("Петрова", 1_787_864_400)


def test_what_is_written_is_read_again(store):
    school_id, other = add_school(store), add_school(store)
    load(store, school_id, USUAL)
    text = written(store, school_id)
    assert load(store, school_id, "\ufeff" + text) == (3, 0, [])
    assert load(store, other, text) == (3, 3, [])
    assert written(store, other) == text


def periods(prices):
    last = len(prices) - 1
    return tuple(
        Price(DAY + 10 * place, None if place == last else DAY + 10 * place + 9, price)
        for place, price in enumerate(prices)
    )


words = st.text("абвyz ;\"'№&<", min_size=1, max_size=12).map(str.strip).filter(bool)
written_goods = st.builds(
    lambda number, name, category, contains, may, start, prices, retired: Good(
        f"c{number}", name, "product", category, contains=contains, may_contain=may & ~contains,
        from_minute=start, is_retired=retired, portion="200/5",
        prices=periods(prices),
    ),
    st.integers(1, 99), words, words, st.integers(0, 0x3FFF), st.integers(0, 0x3FFF), st.integers(0, 1439),
    st.lists(st.integers(1, 0x7FFFFFFF), max_size=3), st.booleans(),
)  # fmt: skip


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(written_goods, max_size=5, unique_by=lambda good: good.code), st.booleans())
def test_any_catalogue_is_read_as_it_was_written(store_sqlite, goods, checked):
    school_id, other = add_school(store_sqlite), add_school(store_sqlite)
    with begin(store_sqlite) as conn:
        given_checks = {good.code: ("Петрова", NOW) for good in goods} if checked else {}
        catalogue.save(
            conn, school_id, [catalogue.check(good) for good in goods], who="", now=NOW, checks=given_checks
        )
    text = written(store_sqlite, school_id)
    assert load(store_sqlite, school_id, text) == (len(goods), 0, [])
    assert load(store_sqlite, other, text, unchecked=True) == (len(goods), len(goods), [])
    assert written(store_sqlite, other) == text


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (
            "9;Суп;dish;;;;;;2026-09-01=85.005;П;2026-08-28",
            "prices have an amount that is none such as 85.00",
        ),
        ("9;Суп;dish;;;;;;2026-09-01=0;П;2026-08-28", "price is not more than 0"),
        ("9;Суп;dish;;;;;;85.00;П;2026-08-28", "prices are no periods such as 2026-09-01=85.00"),
        ("9;Суп;dish;;;;;;2026-09-31=85.00;П;2026-08-28", "prices has no date such as 2026-09-01"),
        (
            "9;Суп;dish;;;;;;2026-09-01..2026-09-30=85 2026-09-30=90;П;2026-08-28",
            "two prices on 2026-09-30",
        ),
        (
            "9;Суп;dish;;;;;;2026-09-01..2026-09-29=85 2026-10-01=90;П;2026-08-28",
            "no price on 2026-09-30, a school day between two prices",
        ),
        ("9;Суп;dish;;;;;;2026-09-01=85;;", "not checked for allergens: checked_by and checked_on are empty"),
        ("9;Суп;dish;;;;;;2026-09-01=85;П;", "checked_by and checked_on belong together"),
        ("9;Суп;dish;;;;;;2026-09-01=85;П;2026-09-02", "checked_on is after today"),
        ("9;Суп;dish;;сыр;;;;2026-09-01=85;П;2026-08-28", "contains has a word that is none of gluten"),
        ("9;Суп;dish;;milk;;vegan;;2026-09-01=85;П;2026-08-28", "diet vegan cannot be"),
        ("101;Суп;dish;;;;;;2026-09-01=85;П;2026-08-28", "a code of an earlier line"),
        ("9 9;Суп;dish;;;;;;2026-09-01=85;П;2026-08-28", "code has a space"),
        ("L2;Обед;complex;обед;;;;L1;2026-09-01=85;П;2026-08-28", "L2: part L1 is no dish or product"),
        ("L2;Обед;complex;обед;;;;77;2026-09-01=85;П;2026-08-28", "L2: part 77 is not in the catalogue"),
    ],
)
def test_bad_line_is_told_and_nothing_is_taken(store_sqlite, row, reason):
    school_id = add_school(store_sqlite)
    taken, changed, problems = load(store_sqlite, school_id, USUAL + row + "\n")
    assert (taken, changed, [line for line, _reason in problems]) == (0, 0, [5])
    assert problems[0][1].startswith(reason)
    with reading(store_sqlite) as conn:
        assert meals.catalogue(conn, school_id) == []


def test_gap_of_holidays_is_no_gap(store_sqlite):
    school_id = add_school(store_sqlite)
    # 26 and 27 September 2026 are a Saturday and a Sunday.
    row = "9;Суп;dish;;;;;;2026-09-01..2026-09-25=85 2026-09-28=90;П;2026-08-28\n"
    assert load(store_sqlite, school_id, HEAD + row) == (1, 1, [])
    # So are the first days of January, which are no weekend.
    row = "9;Суп;dish;;;;;;2026-09-01..2026-12-30=85 2027-01-11=90;П;2026-08-28\n"
    assert load(store_sqlite, school_id, HEAD + row) == (1, 1, [])


def test_changed_allergens_need_a_new_check(store_sqlite):
    school_id = add_school(store_sqlite)
    load(store_sqlite, school_id, USUAL)
    other = USUAL.replace("молоко", "молоко рыба")
    not_checked = "not checked for allergens: checked_by and checked_on are empty"
    assert load(store_sqlite, school_id, other) == (0, 0, [(2, not_checked)])
    assert load(store_sqlite, school_id, other.replace(MASH[-11:], "2026-08-31\n", 1)) == (3, 1, [])
    # An old file does not bring old allergens back with the check that they once had.
    assert load(store_sqlite, school_id, USUAL) == (0, 0, [(2, "checked_on is before the check that stands")])
    without = USUAL.replace("Петрова;2026-08-28", ";")
    assert load(store_sqlite, school_id, without, unchecked=True) == (3, 1, [])
    with reading(store_sqlite) as conn:
        assert catalogue.codes_of(meals.catalogue(conn, school_id))["101"].state(DAY) == "unchecked"
        assert [each.what for each in rows.checks(conn, school_id, 1)] == ["voided", "checked", "checked"]


def test_new_price_keeps_the_check(store_sqlite):
    school_id = add_school(store_sqlite)
    load(store_sqlite, school_id, USUAL)
    text = "code;name;kind;contains;diets;prices\n101;Пюре;dish;milk;halal;2026-09-01=45\n"
    assert load(store_sqlite, school_id, text) == (1, 1, [])
    with reading(store_sqlite) as conn:
        assert catalogue.codes_of(meals.catalogue(conn, school_id))["101"].state(DAY) == "sold"
