"""SQL of the devices' menu (`good`) and of the catalogue.

A line of the menu with an empty `meal` is off sale; its row keeps its name for old sales.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert

from cloud import bulk
from cloud.db import good
from cloud.meals import db


def all_of(conn: Connection, school_id: int) -> Sequence[Any]:
    return bulk.select(
        conn, "SELECT * FROM good WHERE school_id = ? ORDER BY from_minute, good_id", (school_id,)
    )


def highest_number(conn: Connection, school_id: int) -> int:
    """The highest good_id that a line, the catalogue or a published price ever had; 0 before the first."""
    statement = " UNION ALL ".join(
        f"SELECT max(good_id) AS highest FROM {table} WHERE school_id = ?"  # noqa: S608 our own names
        for table in ("good", "catalogue_good", "published_price")
    )
    return max(row.highest or 0 for row in bulk.select(conn, statement, (school_id,) * 3))


def add(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        conn.execute(insert(good), rows)


def change(conn: Connection, school_id: int, good_id: int, values: dict[str, Any]) -> None:
    columns = ", ".join(f"{good.c[name].name} = ?" for name in values)
    statement = f"UPDATE good SET {columns} WHERE school_id = ? AND good_id = ?"  # noqa: S608 our own names
    bulk.run(conn, statement, (*values.values(), school_id, good_id))


# What the catalogue says of the devices' menu.


def withheld(conn: Connection, school_id: int) -> set[int]:
    """Numbers that the catalogue has and that may not be sold: not checked, a part not checked, retired,
    or without a price today."""
    statement = (
        "SELECT good_id FROM catalogue_good WHERE school_id = ? AND"
        " (checked_at IS NULL OR is_retired = 1 OR has_price = 0)"
        " UNION SELECT made.good_id FROM good_part AS made JOIN catalogue_good AS part"
        " ON part.school_id = made.school_id AND part.good_id = made.part_id"
        " WHERE made.school_id = ? AND part.checked_at IS NULL"
    )
    return {row.good_id for row in bulk.select(conn, statement, (school_id, school_id))}


def catalogue_numbers(conn: Connection, school_id: int) -> set[int]:
    rows = bulk.select(conn, "SELECT good_id FROM catalogue_good WHERE school_id = ?", (school_id,))
    return {row.good_id for row in rows}


def checked_only(conn: Connection, school_id: int) -> bool:
    rows = bulk.select(conn, "SELECT checked_only FROM catalogue_rule WHERE school_id = ?", (school_id,))
    return bool(rows and rows[0].checked_only)


def set_checked_only(conn: Connection, school_id: int, value: bool) -> None:
    bulk.merge_rows(
        conn,
        db.catalogue_rule,
        [(school_id, int(value), 5)],
        ["school_id"],
        "checked_only = excluded.checked_only",
    )


def lines_with_prices(conn: Connection, school_id: int) -> Sequence[Any]:
    """Lines of the devices' menu that the catalogue has: good_id, price_minor, has_price, name, new_name."""
    statement = (
        "SELECT good.good_id, good.price_minor, catalogue_good.has_price FROM good JOIN catalogue_good"
        " ON catalogue_good.school_id = good.school_id AND catalogue_good.good_id = good.good_id"
        " WHERE good.school_id = ? ORDER BY good.good_id"
    )
    return bulk.select(conn, statement, (school_id,))


def set_has_price(conn: Connection, school_id: int, good_id: int, value: bool) -> None:
    statement = "UPDATE catalogue_good SET has_price = ? WHERE school_id = ? AND good_id = ?"
    bulk.run(conn, statement, (int(value), school_id, good_id))


def schools_with_lines(conn: Connection) -> list[tuple[int, str]]:
    """(school, time zone) of the schools of which the catalogue has a line of the devices' menu."""
    statement = (
        "SELECT DISTINCT school.school_id, school.time_zone FROM school JOIN catalogue_good"
        " ON catalogue_good.school_id = school.school_id JOIN good ON good.school_id = school.school_id"
        " AND good.good_id = catalogue_good.good_id ORDER BY school.school_id"
    )
    return [(row.school_id, row.time_zone) for row in bulk.select(conn, statement)]


# The catalogue.


def catalogue(conn: Connection, school_id: int) -> Sequence[Any]:
    statement = "SELECT * FROM catalogue_good WHERE school_id = ? ORDER BY category, name, good_id"
    return bulk.select(conn, statement, (school_id,))


def line_numbers(conn: Connection, school_id: int) -> set[int]:
    """Numbers that a line of the devices' menu has or had."""
    rows = bulk.select(conn, "SELECT good_id FROM good WHERE school_id = ?", (school_id,))
    return {row.good_id for row in rows}


def prices(conn: Connection, school_id: int) -> Mapping[int, list[tuple[int, int | None, int]]]:
    """good_id to (from_day, to_day, price_minor), by day."""
    statement = "SELECT * FROM good_price WHERE school_id = ? ORDER BY good_id, from_day"
    found = defaultdict(list)
    for row in bulk.select(conn, statement, (school_id,)):
        found[row.good_id].append((row.from_day, row.to_day, row.price_minor))
    return found


def parts(conn: Connection, school_id: int) -> Mapping[int, list[int]]:
    """good_id of a complex meal to what it is made of, in its order."""
    statement = "SELECT * FROM good_part WHERE school_id = ? ORDER BY good_id, place"
    found = defaultdict(list)
    for row in bulk.select(conn, statement, (school_id,)):
        found[row.good_id].append(row.part_id)
    return found


def photo_numbers(conn: Connection, school_id: int) -> set[int]:
    rows = bulk.select(conn, "SELECT good_id FROM good_photo WHERE school_id = ?", (school_id,))
    return {row.good_id for row in rows}


def put_good(
    conn: Connection, school_id: int, good_id: int, values: Mapping[str, Any], *, is_new: bool
) -> None:
    if is_new:
        conn.execute(insert(db.catalogue_good).values(school_id=school_id, good_id=good_id, **values))
        return
    columns = ", ".join(f"{db.catalogue_good.c[name].name} = ?" for name in values)
    statement = f"UPDATE catalogue_good SET {columns} WHERE school_id = ? AND good_id = ?"  # noqa: S608
    bulk.run(conn, statement, (*values.values(), school_id, good_id))


def set_prices(
    conn: Connection, school_id: int, good_id: int, periods: Sequence[tuple[int, int | None, int]]
) -> None:
    bulk.run(conn, "DELETE FROM good_price WHERE school_id = ? AND good_id = ?", (school_id, good_id))
    bulk.insert_rows(conn, db.good_price, [(school_id, good_id, *period) for period in periods])


def set_parts(conn: Connection, school_id: int, good_id: int, numbers: Sequence[int]) -> None:
    bulk.run(conn, "DELETE FROM good_part WHERE school_id = ? AND good_id = ?", (school_id, good_id))
    rows = [(school_id, good_id, number, place) for place, number in enumerate(numbers)]
    bulk.insert_rows(conn, db.good_part, rows)


def add_check(
    conn: Connection, school_id: int, good_id: int, at: int, who: str, what: str, good: Any
) -> None:
    columns = ["school_id", "good_id", "at", "who", "what", "contains", "may_contain"]
    row = (school_id, good_id, at, who, what, good.contains, good.may_contain)
    bulk.insert_rows(conn, db.good_check, [row], columns)


def checks(conn: Connection, school_id: int, good_id: int) -> Sequence[Any]:
    """What was checked and lost, the newest first."""
    statement = "SELECT * FROM good_check WHERE school_id = ? AND good_id = ? ORDER BY id DESC LIMIT 20"
    return bulk.select(conn, statement, (school_id, good_id))


# The days of a school.


def time_zone(conn: Connection, school_id: int) -> str:
    rows = bulk.select(conn, "SELECT time_zone FROM school WHERE school_id = ?", (school_id,))
    return str(rows[0].time_zone)


def week(conn: Connection, school_id: int) -> tuple[str, int]:
    """(country, how many days a week of the school has: 5 or 6)."""
    country = bulk.select(conn, "SELECT country FROM school WHERE school_id = ?", (school_id,))[0].country
    rows = bulk.select(conn, "SELECT week_days FROM catalogue_rule WHERE school_id = ?", (school_id,))
    return str(country), rows[0].week_days if rows else 5


def set_week_days(conn: Connection, school_id: int, week_days: int) -> None:
    values = (school_id, 0, week_days)
    bulk.merge_rows(conn, db.catalogue_rule, [values], ["school_id"], "week_days = excluded.week_days")


def school_days(conn: Connection, school_id: int) -> dict[int, bool]:
    """Days of which the school itself says whether it works."""
    rows = bulk.select(conn, "SELECT day, is_school FROM school_day WHERE school_id = ?", (school_id,))
    return {row.day: bool(row.is_school) for row in rows}


def put_school_days(conn: Connection, school_id: int, days: Mapping[int, tuple[int, str]]) -> int:
    """Keep what the school says of some days; returns how many are new or different."""
    rows = bulk.select(conn, "SELECT day, is_school, why FROM school_day WHERE school_id = ?", (school_id,))
    known = {row.day: (row.is_school, row.why) for row in rows}
    fresh = [(school_id, day, *said) for day, said in days.items() if known.get(day) != said]
    change = "is_school = excluded.is_school, why = excluded.why"
    bulk.merge_rows(conn, db.school_day, fresh, ["school_id", "day"], change)
    return len(fresh)


# Menus.


def put_cycle(
    conn: Connection, school_id: int, from_day: int, weeks: int, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Make `rows` all of the cycle that begins on a Monday: (school, from_day, place, meal, ages, position,
    section, good_id)."""
    values = (school_id, from_day, weeks)
    bulk.merge_rows(conn, db.menu_cycle, [values], ["school_id", "from_day"], "weeks = excluded.weeks")
    statement = "DELETE FROM menu_cycle_line WHERE school_id = ? AND from_day = ?"
    bulk.run(conn, statement, (school_id, from_day))
    bulk.insert_rows(conn, db.menu_cycle_line, rows)


def cycles(conn: Connection, school_id: int) -> list[tuple[int, int]]:
    """(Monday on which it begins, weeks) of every cycle, by day."""
    statement = "SELECT from_day, weeks FROM menu_cycle WHERE school_id = ? ORDER BY from_day"
    return [(row.from_day, row.weeks) for row in bulk.select(conn, statement, (school_id,))]


_LINE = (
    "SELECT line.meal, line.ages, line.position, line.section, catalogue_good.code FROM {table} AS line"
    " JOIN catalogue_good ON catalogue_good.school_id = line.school_id"
    " AND catalogue_good.good_id = line.good_id WHERE line.school_id = ? AND {which}"
)


def cycle_lines(conn: Connection, school_id: int, from_day: int, place: int) -> list[tuple[Any, ...]]:
    statement = _LINE.format(table="menu_cycle_line", which="line.from_day = ? AND line.place = ?")
    return [tuple(row) for row in bulk.select(conn, statement, (school_id, from_day, place))]


def all_cycle_lines(conn: Connection, school_id: int) -> list[tuple[Any, ...]]:
    statement = "SELECT * FROM menu_cycle_line WHERE school_id = ?"
    return sorted(tuple(row) for row in bulk.select(conn, statement, (school_id,)))


def own_days(conn: Connection, school_id: int) -> dict[int, tuple[str, int]]:
    """Days with a menu of their own: who gave it, and when."""
    rows = bulk.select(conn, "SELECT day, who, changed_at FROM menu_day WHERE school_id = ?", (school_id,))
    return {row.day: (row.who, row.changed_at) for row in rows}


def day_lines(conn: Connection, school_id: int, day: int) -> list[tuple[Any, ...]]:
    statement = _LINE.format(table="menu_day_line", which="line.day = ?")
    return [tuple(row) for row in bulk.select(conn, statement, (school_id, day))]


def put_day(
    conn: Connection, school_id: int, day: int, who: str, now: int, rows: Sequence[tuple[Any, ...]]
) -> None:
    """Make `rows` all that a day has: (school, day, meal, ages, position, section, good_id)."""
    change = "who = excluded.who, changed_at = excluded.changed_at"
    bulk.merge_rows(conn, db.menu_day, [(school_id, day, who, now)], ["school_id", "day"], change)
    bulk.run(conn, "DELETE FROM menu_day_line WHERE school_id = ? AND day = ?", (school_id, day))
    bulk.insert_rows(conn, db.menu_day_line, rows)


def clear_day(conn: Connection, school_id: int, day: int) -> bool:
    bulk.run(conn, "DELETE FROM menu_day_line WHERE school_id = ? AND day = ?", (school_id, day))
    return bulk.run(conn, "DELETE FROM menu_day WHERE school_id = ? AND day = ?", (school_id, day)) > 0


# Photos.


def put_photo(conn: Connection, row: tuple[Any, ...]) -> None:
    """(school, good_id, media_type, image, width, height, added_at) in place of the one that was there."""
    names = ("media_type", "image", "width", "height", "added_at")
    change = ", ".join(f"{name} = excluded.{name}" for name in names)
    bulk.merge_rows(conn, db.good_photo, [row], ["school_id", "good_id"], change)


def photo(conn: Connection, school_id: int, good_id: int) -> tuple[str, bytes] | None:
    """(media type, bytes)."""
    statement = "SELECT media_type, image FROM good_photo WHERE school_id = ? AND good_id = ?"
    rows = bulk.select(conn, statement, (school_id, good_id))
    return (str(rows[0].media_type), bytes(rows[0].image)) if rows else None


def school_name(conn: Connection, school_id: int) -> str:
    return str(bulk.select(conn, "SELECT name FROM school WHERE school_id = ?", (school_id,))[0].name)
