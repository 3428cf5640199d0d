"""Menus that repeat: which day has which dishes, and which days have none."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.csv_file import parse_table
from cloud.db import begin, reading
from cloud.meals import service as meals
from cloud.meals.cycle import Line
from cloud.meals.prices import day_of_iso
from cloud.meals.school_days import WEEK, is_school_day, weekday
from tests.cloud.meals.test_goods import DAY, FISHCAKE, MASH, NOW, save
from tests.cloud.schools import add_school

HEAD = "week;day;meal;code;ages;section\n"
MONDAY = day_of_iso("2026-08-31")
TWO_WEEKS = (
    HEAD + "1;пн;Завтрак;101;;гарнир\n1;2;обед;202;7-11;\n1;2;обед;101;7-11;\n2;1;Второй завтрак;202;;\n"
)
BREAKFAST = Line("breakfast", "", "гарнир", "101")


@pytest.fixture
def school(store):
    school_id = add_school(store)
    save(store, school_id, MASH, FISHCAKE, checked=[MASH, FISHCAKE])
    return school_id


def load(store, school_id, text, first="2026-09-01", **options):
    table = parse_table("cycle.csv", text.encode(), meals.CYCLE_COLUMNS)
    with begin(store) as conn:
        done = meals.import_cycle(conn, school_id, table, day_of_iso(first), **options)
    return done.rows, done.changed, [(problem.line, problem.reason) for problem in done.problems]


def planned(store, school_id, day, count=1):
    with reading(store) as conn:
        return [(plan.source, plan.lines) for plan in meals.plans(conn, school_id, range(day, day + count))]


def set_days(store, school_id, text):
    table = parse_table("days.csv", ("from;to;kind;why\n" + text).encode(), meals.DAYS_COLUMNS)
    with begin(store) as conn:
        done = meals.import_days(conn, school_id, table)
    return done.rows, done.changed, [(problem.line, problem.reason) for problem in done.problems]


def test_cycle_repeats_by_the_week(store, school):
    assert load(store, school, TWO_WEEKS) == (4, 4, [])
    assert load(store, school, TWO_WEEKS) == (4, 0, [])
    lunch = (Line("lunch", "7-11", "", "202"), Line("lunch", "7-11", "", "101"))
    for start in (MONDAY, MONDAY + 14, MONDAY + 10 * WEEK):
        assert planned(store, school, start, 8) == [
            ("cycle", (BREAKFAST,)), ("cycle", lunch), ("none", ()), ("none", ()), ("none", ()),
            ("no_school", ()), ("no_school", ()), ("cycle", (Line("second breakfast", "", "", "202"),)),
        ]  # fmt: skip
    assert planned(store, school, MONDAY - 1) == [("no_school", ())]
    assert planned(store, school, MONDAY - 3) == [("none", ())]


def test_later_cycle_takes_over(store, school):
    load(store, school, TWO_WEEKS)
    load(store, school, HEAD + "1;1;обед;101;;\n", first="2026-09-16")
    found = planned(store, school, MONDAY + 14)
    assert found == [("cycle", (Line("lunch", "", "", "101"),))]


def test_own_day_wins_until_it_is_cleared(store, school):
    load(store, school, TWO_WEEKS)
    with begin(store) as conn:
        assert meals.set_day(conn, school, MONDAY, [Line("lunch", "", "", "202")], who="П", now=NOW)
        assert not meals.set_day(conn, school, MONDAY, [Line("lunch", "", "", "202")], who="П", now=NOW)
        assert meals.set_day(conn, school, MONDAY + 5, [BREAKFAST], who="П", now=NOW)  # a Saturday that feeds
    assert planned(store, school, MONDAY) == [("own", (Line("lunch", "", "", "202"),))]
    assert planned(store, school, MONDAY + 5) == [("own", (BREAKFAST,))]
    with begin(store) as conn:
        assert meals.clear_day(conn, school, MONDAY)
        assert not meals.clear_day(conn, school, MONDAY)
    assert planned(store, school, MONDAY) == [("cycle", (BREAKFAST,))]


def test_school_says_which_days_it_works(store, school):
    text = "2026-10-26;01.11.2026;каникулы;осень\n2026-09-05;2026-09-05;school;\n"
    wrong = [(3, "kind is none of school, off")]
    assert set_days(store, school, text.replace("school", "школа")) == (0, 0, wrong)
    assert set_days(store, school, text) == (2, 8, [])
    with begin(store) as conn:
        works = is_school_day(conn, school)
        assert [works(day_of_iso(text)) for text in ("2026-10-23", "2026-10-26", "2026-11-01")] == [1, 0, 0]
        assert works(day_of_iso("2026-09-05"))
        # Public holidays of Russia, moved ones too; 2024-04-27 was a working Saturday.
        assert not any(works(day_of_iso(text)) for text in ("2026-11-04", "2026-12-31", "2027-01-08"))
        assert works(day_of_iso("2024-04-27"))
        assert not works(DAY + 11)  # a Saturday like others
        meals.set_week_days(conn, school, 6)
        assert is_school_day(conn, school)(DAY + 11)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("0;1;обед;101;;", "week is no number from 1 to 12"),
        ("13;1;обед;101;;", "week is no number from 1 to 12"),
        ("1;8;обед;101;;", "day is no number from 1 to 7"),
        ("1;1;ланч;101;;", "meal is none of завтрак"),
        ("1;1;обед;999;;", "no such dish in the catalogue"),
        ("1;1;обед;303;;", "the dish is not checked for allergens"),
        ("1;1;обед;404;;", "the dish is retired"),
    ],
)
def test_bad_line_is_told_and_nothing_is_taken(store_sqlite, row, reason):
    school_id = add_school(store_sqlite)
    old = MASH._replace(code="404", is_retired=True)
    save(
        store_sqlite,
        school_id,
        MASH,
        FISHCAKE,
        FISHCAKE._replace(code="303"),
        old,
        checked=[MASH, FISHCAKE, old],
    )
    taken, changed, problems = load(store_sqlite, school_id, TWO_WEEKS + row + "\n")
    assert (taken, changed, [line for line, _reason in problems]) == (0, 0, [6])
    assert problems[0][1].startswith(reason)
    assert planned(store_sqlite, school_id, MONDAY) == [("none", ())]


@given(st.integers(0, 60_000))
def test_weekday_is_that_of_the_calendar(day):
    assert weekday(day) == date.fromordinal(day + date(1970, 1, 1).toordinal()).weekday()
