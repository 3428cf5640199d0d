"""The catalogue: what is not checked for allergens is not offered, on the devices' menu either."""

import pytest

from cloud import bulk
from cloud.db import begin, reading
from cloud.devices import service as devices
from cloud.meals import goods as catalogue
from cloud.meals import service as meals
from cloud.meals import store as rows
from cloud.meals.goods import Good, GoodRefused
from cloud.meals.prices import Price
from protocols import allergens
from protocols.wire.messages import pack_settings
from tests.cloud.meals.test_menu import USUAL, load
from tests.cloud.schools import add_device, add_school

NOW = 1_788_249_600  # 2026-09-01 08:00 in Moscow
DAY = 20_697
MILK, EGGS, FISH = (allergens.bits_of([word]) for word in ("milk", "eggs", "fish"))
MASH = Good("101", "Пюре", contains=MILK, prices=(Price(DAY, None, 4000),))
FISHCAKE = Good("202", "Котлета рыбная", contains=FISH, may_contain=EGGS, prices=(Price(DAY, None, 7000),))
LUNCH = Good(
    "L1", "Обед № 1", "complex", meal="Обед", parts=("101", "202"), prices=(Price(DAY, None, 15000),)
)


def save(store, school_id, *goods, checked=(), who="Петрова", now=NOW):
    with begin(store) as conn:
        return catalogue.save(
            conn, school_id, [catalogue.check(good) for good in goods], who=who, now=now,
            checks={good.code: (who, now) for good in checked},
        )  # fmt: skip


def states(store, school_id, day=DAY):
    with reading(store) as conn:
        return {kept.good.code: kept.state(day) for kept in catalogue.catalogue(conn, school_id)}


def kept(store, school_id, code):
    with reading(store) as conn:
        return catalogue.codes_of(catalogue.catalogue(conn, school_id))[code]


def checks(store, school_id, good_id):
    with reading(store) as conn:
        return [(each.what, each.who, each.at) for each in rows.checks(conn, school_id, good_id)]


def told(store, school_id, now=NOW):
    """The bytes of the settings that a canteen is told, and its menu's numbers."""
    with reading(store) as conn:
        settings = devices.settings_for(conn, school_id, "canteen", now)
    return pack_settings(settings), [(item.good, item.price) for item in settings.menu]


def test_unchecked_good_is_not_offered(store):
    school_id = add_school(store)
    assert save(store, school_id, MASH, FISHCAKE, checked=[MASH]) == ["101", "202"]
    assert states(store, school_id) == {"101": "sold", "202": "unchecked"}
    with reading(store) as conn:
        assert [each.good.code for each in catalogue.offered(conn, school_id, DAY)] == ["101"]
        assert catalogue.offered(conn, school_id, DAY - 1) == []
    assert states(store, school_id, DAY - 1) == {"101": "no_price", "202": "unchecked"}
    assert save(store, school_id, MASH, FISHCAKE) == []


def test_complex_meal_is_as_checked_as_its_parts(store):
    school_id = add_school(store)
    save(store, school_id, MASH, FISHCAKE, LUNCH, checked=[MASH, LUNCH])
    lunch = kept(store, school_id, "L1")
    assert (lunch.unchecked_parts, lunch.state(DAY)) == (("202",), "unchecked")
    assert (lunch.contains, lunch.may_contain, lunch.hot_meal) == (MILK | FISH, EGGS, 2)
    with begin(store) as conn:
        catalogue.mark_checked(
            conn, school_id, kept(store, school_id, "202").good_id,
            contains=FISH | EGGS, may_contain=EGGS, diets=0, who=" Иванова ", now=NOW + 5,
        )  # fmt: skip
    lunch = kept(store, school_id, "L1")
    assert (lunch.state(DAY), lunch.contains, lunch.may_contain) == ("sold", MILK | FISH | EGGS, 0)
    fishcake = kept(store, school_id, "202")
    assert (fishcake.checked_by, fishcake.checked_at) == ("Иванова", NOW + 5)
    assert checks(store, school_id, fishcake.good_id) == [("checked", "Иванова", NOW + 5)]


@pytest.mark.parametrize(
    "change", [{"contains": 0}, {"may_contain": EGGS}, {"name": "Пюре с маслом"}, {"kind": "product"}]
)
def test_check_is_lost_with_what_it_was_about(store_sqlite, change):
    school_id = add_school(store_sqlite)
    save(store_sqlite, school_id, MASH, checked=[MASH])
    assert save(store_sqlite, school_id, MASH._replace(**change), now=NOW + 9, who="файл") == ["101"]
    assert states(store_sqlite, school_id) == {"101": "unchecked"}
    assert [each[0] for each in checks(store_sqlite, school_id, 1)] == ["voided", "checked"]


def test_price_and_category_do_not_touch_a_check(store_sqlite):
    school_id = add_school(store_sqlite)
    save(store_sqlite, school_id, MASH, checked=[MASH])
    other = MASH._replace(category="Гарниры", prices=(Price(DAY, None, 4500),), diets=0, energy="112.5")
    assert save(store_sqlite, school_id, other) == ["101"]
    assert states(store_sqlite, school_id) == {"101": "sold"}
    assert kept(store_sqlite, school_id, "101").price_minor(DAY) == 4500


def test_other_parts_need_another_check(store_sqlite):
    school_id = add_school(store_sqlite)
    save(store_sqlite, school_id, MASH, FISHCAKE, LUNCH, checked=[MASH, FISHCAKE, LUNCH])
    save(store_sqlite, school_id, LUNCH._replace(parts=("101",)))
    assert states(store_sqlite, school_id)["L1"] == "unchecked"


@pytest.mark.parametrize(
    ("good", "reason"),
    [
        (MASH._replace(code=""), "code is empty"),
        (MASH._replace(name=""), "name is empty"),
        (MASH._replace(kind="soup"), "kind is not"),
        (MASH._replace(meal="brunch"), "meal is none of"),
        (MASH._replace(from_minute=700, to_minute=600), "from is after to"),
        (MASH._replace(diets=allergens.bits_of(["vegan"], allergens.DIETS)), "diet vegan cannot be"),
        (MASH._replace(parts=("202",)), "parts are what a complex meal has"),
        (LUNCH._replace(parts=()), "parts are what a complex meal has"),
        (LUNCH._replace(parts=("101", "101")), "parts are named twice"),
        (MASH._replace(is_service=True), "a service beyond food"),
        (MASH._replace(prices=(Price(DAY, DAY, 1), Price(DAY, None, 2))), "two prices on"),
    ],
)
def test_good_that_cannot_be_is_refused(good, reason):
    with pytest.raises((GoodRefused, ValueError), match=reason):
        catalogue.check(good)


@pytest.mark.parametrize(
    ("good", "reason"),
    [
        (LUNCH._replace(parts=("101", "nothing")), "part nothing is not in the catalogue"),
        (LUNCH._replace(code="L2", parts=("L1",)), "part L1 is no dish"),
        (MASH._replace(code="X", line=9), "no number 9"),
    ],
)
def test_goods_that_do_not_fit_change_nothing(store_sqlite, good, reason):
    school_id = add_school(store_sqlite)
    save(store_sqlite, school_id, MASH, FISHCAKE, LUNCH)
    with pytest.raises(GoodRefused, match=reason):
        save(store_sqlite, school_id, MASH._replace(name="other"), good)
    assert kept(store_sqlite, school_id, "101").good.name == "Пюре"


def test_numbers_are_never_given_twice(store):
    school_id = add_school(store)
    save(store, school_id, MASH)
    load(store, school_id, USUAL)
    save(store, school_id, FISHCAKE)
    with reading(store) as conn:
        assert [good.good_id for good in meals.menu(conn, school_id)] == [2, 3]
        assert (
            meals.naming(conn, school_id, "ru")([(1, 1), (3, 1), (4, 2)]) == "Пюре, обед, Котлета рыбная ×2"
        )
    assert kept(store, school_id, "202").good_id == 4


def test_a_catalogue_of_its_own_changes_no_byte_of_the_settings(store):
    school_id = add_school(store)
    load(store, school_id, USUAL)
    before = told(store, school_id)
    save(store, school_id, MASH, FISHCAKE, LUNCH, checked=[MASH])
    assert told(store, school_id) == before
    assert before[1] == [(1, 8500), (2, 14000)]


def test_line_that_the_catalogue_has_sells_only_while_it_is_checked(store):
    school_id = add_school(store)
    load(store, school_id, USUAL)
    card = Good("line-2", "Обед", "complex", meal="lunch", line=2, prices=(Price(DAY - 9, None, 14000),))
    before = told(store, school_id)
    save(store, school_id, card, checked=[card])
    assert told(store, school_id) == before
    save(store, school_id, card._replace(contains=MILK))
    assert told(store, school_id)[1] == [(1, 8500)]
    with reading(store) as conn:
        assert (
            devices.benefit_minor(conn, school_id) == 14000
        )  # a line without a connection may sell it still
    with begin(store) as conn:
        catalogue.mark_checked(
            conn, school_id, 2, contains=MILK, may_contain=0, diets=0, who="Петрова", now=NOW
        )
    assert told(store, school_id) == before


def test_school_may_ask_for_checks_of_every_line(store):
    school_id = add_school(store)
    load(store, school_id, USUAL)
    card = Good("line-2", "Обед", "complex", meal="lunch", line=2, prices=(Price(DAY, None, 14000),))
    save(store, school_id, card, checked=[card])
    with begin(store) as conn:
        assert [line.good_id for line in meals.unchecked_lines(conn, school_id)] == [1]
        meals.ask_for_checks(conn, school_id, True)
    assert told(store, school_id)[1] == [(2, 14000)]
    with begin(store) as conn:
        meals.ask_for_checks(conn, school_id, False)
    assert told(store, school_id)[1] == [(1, 8500), (2, 14000)]


def test_line_takes_the_price_of_the_day_when_it_is_told(store):
    school_id = add_school(store)
    load(store, school_id, USUAL)
    card = Good(
        "line-2", "Обед", "complex", meal="lunch", line=2,
        prices=(Price(DAY, DAY + 1, 15000), Price(DAY + 2, DAY + 2, 16000)),
    )  # fmt: skip
    with begin(store) as conn:
        add_device(conn, school_id, "line-1", "canteen")
    save(store, school_id, card, checked=[card])
    seen = []
    for days in range(5):
        with begin(store) as conn:
            devices.tell_new_prices(conn, NOW + 86_400 * days)
            assert devices.schools_with_new_prices(conn, NOW + 86_400 * days) == []
        seen.append(dict(told(store, school_id)[1]).get(2))
    assert seen == [15000, 15000, 16000, None, None]
    with reading(store) as conn:
        rows = bulk.select(
            conn, "SELECT price_minor FROM published_price WHERE school_id = ? AND good_id = 2", (school_id,)
        )
        version = bulk.select(conn, "SELECT settings_version FROM school WHERE school_id = ?", (school_id,))[
            0
        ][0]
    assert sorted(row[0] for row in rows) == [15000, 16000]
    assert version == 3  # a price that stays is not told again


def test_menu_file_does_not_win_over_the_catalogue(store_sqlite):
    school_id = add_school(store_sqlite)
    load(store_sqlite, school_id, USUAL)
    card = Good("line-2", "Обед", "complex", meal="lunch", line=2, prices=(Price(DAY, None, 15000),))
    save(store_sqlite, school_id, card, checked=[card])
    load(store_sqlite, school_id, USUAL.replace("140", "99.99"))
    with begin(store_sqlite) as conn:
        devices.publish_settings(conn, school_id, NOW)
    assert dict(told(store_sqlite, school_id)[1]) == {1: 8500, 2: 15000}
