"""What a school cooks on which day: a menu that repeats every few weeks, and days that differ.

Promises: a day has at most one menu, its own if somebody gave it one, else that of the cycle in force, and
none on a day without school; what nobody has checked is named and not offered.  Weeks are counted by the
calendar from the Monday of the cycle's first day, holidays included.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from cloud.csv_file import Applied, Refused, Table, text_of
from cloud.meals import goods as catalogue
from cloud.meals import store
from cloud.meals.goods import GoodRefused, Kept
from cloud.meals.school_days import WEEK, is_school_day, weekday
from cloud.meals.words import MEALS, meal_of

COLUMNS = ("week", "day", "meal", "code")
WEEKS_MAX = 12
WORKBOOK_MAX = 1024 * 1024
"""Bytes of a day's workbook."""
_LINES_MAX = 60
_WEEKDAYS = {"пн": 1, "вт": 2, "ср": 3, "чт": 4, "пт": 5, "сб": 6, "вс": 7}


class Line(NamedTuple):
    """A dish of a day's menu: `meal` a word such as `lunch`, `ages` such as `7-11` or empty for everybody,
    `section` what the workbook calls it (`гор.блюдо`)."""

    meal: str
    ages: str
    section: str
    code: str


class Plan(NamedTuple):
    """The menu of a day.  `source`: `own`, `cycle`, `none` (nothing planned) or `no_school`."""

    day: int
    source: str
    lines: tuple[Line, ...]


def set_cycle(
    conn: Connection, school_id: int, first_day: int, weeks: int, lines: Mapping[int, Sequence[Line]]
) -> None:
    """Let a cycle begin with the week of `first_day`; `lines` by place, 0 the Monday of its first week.

    It is in force until a later cycle begins.  GoodRefused names what cannot be.
    """
    if not 1 <= weeks <= WEEKS_MAX:
        raise GoodRefused(f"a cycle has 1 to {WEEKS_MAX} weeks")
    if any(not 0 <= place < weeks * WEEK for place in lines):
        raise GoodRefused("a day outside of the cycle's weeks")
    goods = catalogue.codes_of(catalogue.catalogue(conn, school_id))
    monday = first_day - weekday(first_day)
    rows = [
        (school_id, monday, place, *row)
        for place, planned in sorted(lines.items())
        for row in _rows(goods, planned)
    ]
    store.put_cycle(conn, school_id, monday, weeks, rows)


def set_day(conn: Connection, school_id: int, day: int, lines: Sequence[Line], *, who: str, now: int) -> bool:
    """Give a day a menu of its own; whether that changes what was planned.  GoodRefused as set_cycle."""
    goods = catalogue.codes_of(catalogue.catalogue(conn, school_id))
    planned = plan(conn, school_id, day)
    if planned.source == "own" and planned.lines == _in_order(lines):
        return False
    rows = [(school_id, day, *row) for row in _rows(goods, lines)]
    store.put_day(conn, school_id, day, who, now, rows)
    return True


def clear_day(conn: Connection, school_id: int, day: int) -> bool:
    """Let the cycle say again what a day has; whether it had a menu of its own."""
    return store.clear_day(conn, school_id, day)


def plan(conn: Connection, school_id: int, day: int) -> Plan:
    """The menu of one day."""
    return plans(conn, school_id, [day])[0]


def plans(conn: Connection, school_id: int, days: Iterable[int]) -> list[Plan]:
    """The menus of some days, by the cycle, the school's calendar and the days of their own."""
    works = is_school_day(conn, school_id)
    own = store.own_days(conn, school_id)
    cycles = store.cycles(conn, school_id)
    found = []
    for day in days:
        if day in own:
            found.append(Plan(day, "own", _lines(store.day_lines(conn, school_id, day))))
            continue
        if not works(day):
            found.append(Plan(day, "no_school", ()))
            continue
        begun = [each for each in cycles if each[0] <= day]
        if not begun:
            found.append(Plan(day, "none", ()))
            continue
        monday, weeks = begun[-1]
        place = (day - monday) % (weeks * WEEK)
        lines = _lines(store.cycle_lines(conn, school_id, monday, place))
        found.append(Plan(day, "cycle" if lines else "none", lines))
    return found


def import_cycle(
    conn: Connection, school_id: int, table: Table, first_day: int, *, unchecked: bool = False
) -> Applied:
    """Take a cycle from CSV: week (1, 2, ...), day (1 to 7 or `пн`), meal, code, perhaps ages and section.

    All or nothing.  A dish that is not checked for allergens is a bad line, unless `unchecked`.
    """
    problems = list(table.problems)
    goods = catalogue.codes_of(catalogue.catalogue(conn, school_id))
    lines: dict[int, list[Line]] = {}
    weeks = 0
    for row in table.rows:
        try:
            week = _number(row.fields, "week", WEEKS_MAX)
            said = row.fields["day"].lower()
            at = _WEEKDAYS.get(said) or _number(row.fields, "day", WEEK)
            line = Line(
                meal_word(row.fields["meal"]),
                text_of({"ages": row.fields.get("ages", "")}, "ages", empty=True, longest=20),
                text_of({"section": row.fields.get("section", "")}, "section", empty=True, longest=40),
                text_of(row.fields, "code"),
            )
            may_plan(goods, line.code, unchecked=unchecked)
        except (Refused, GoodRefused) as refused:
            problems.append(table.problem(row.line, str(refused)))
            continue
        weeks = max(weeks, week)
        lines.setdefault((week - 1) * WEEK + at - 1, []).append(line)
    if problems or not lines:
        return Applied(0, 0, sorted(problems))
    before = store.cycles(conn, school_id), store.all_cycle_lines(conn, school_id)
    set_cycle(conn, school_id, first_day, weeks, lines)
    after = store.cycles(conn, school_id), store.all_cycle_lines(conn, school_id)
    return Applied(len(table.rows), 0 if before == after else len(table.rows), [])


def may_plan(goods: Mapping[str, Kept], code: str, *, unchecked: bool = False) -> Kept:
    """The good of a code when a menu may name it; GoodRefused otherwise."""
    kept = goods.get(code)
    if kept is None:
        raise GoodRefused("no such dish in the catalogue")
    if kept.good.is_retired:
        raise GoodRefused("the dish is retired")
    if not kept.is_checked and not unchecked:
        raise GoodRefused("the dish is not checked for allergens")
    return kept


def meal_word(text: str) -> str:
    """The meal that a file means, in any case and language; Refused when it is none."""
    meal = meal_of(" ".join(text.split()))
    if meal not in MEALS:
        raise Refused("meal is none of " + ", ".join(words["ru"] for words in MEALS.values()))
    return meal


def _rows(goods: Mapping[str, Kept], lines: Sequence[Line]) -> list[tuple[str, str, int, str, int]]:
    """(meal, ages, position, section, good_id) of a day; each meal counts its own positions."""
    if len(lines) > _LINES_MAX:
        raise GoodRefused(f"more than {_LINES_MAX} lines on one day")
    places: dict[tuple[str, str], int] = {}
    found = []
    for line in lines:
        if line.code not in goods:
            raise GoodRefused(f"{line.code}: no such dish in the catalogue")
        place = places[line.meal, line.ages] = places.get((line.meal, line.ages), -1) + 1
        found.append((line.meal, line.ages, place, line.section, goods[line.code].good_id))
    return found


def _lines(rows: Sequence[tuple[str, str, int, str, str]]) -> tuple[Line, ...]:
    """Rows of a day (meal, ages, position, section, code) as its lines."""
    by_place = sorted(rows, key=lambda row: row[2])
    return _in_order([Line(meal, ages, section, code) for meal, ages, _place, section, code in by_place])


def _in_order(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Meals in the order of a day; within a meal as they are."""
    order = list(MEALS)
    return tuple(sorted(lines, key=lambda line: (order.index(line.meal), line.ages)))


def _number(fields: Mapping[str, str], name: str, highest: int) -> int:
    text = fields[name]
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= highest):
        raise Refused(f"{name} is no number from 1 to {highest}")
    return int(text)
