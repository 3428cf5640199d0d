"""What a school sells: the menu as it is, and what goods are called.

Promises: at each minute of a day at most one good is on sale; a good keeps its
number and its name for old sales also after it went off sale.  Leaves it to
the caller to send new settings to the devices after a change (devices.service).
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Row

from cloud.csv_file import Applied
from cloud.meals import goods as catalogue_rules
from cloud.meals import store
from cloud.meals.cycle import COLUMNS as CYCLE_COLUMNS
from cloud.meals.cycle import (
    WORKBOOK_MAX,
    Line,
    Plan,
    clear_day,
    import_cycle,
    plan,
    plans,
    set_cycle,
    set_day,
)
from cloud.meals.goods import (
    COMPLEX,
    NO_PRICE,
    RETIRED,
    SOLD,
    UNCHECKED,
    GoodRefused,
    Kept,
    catalogue,
    mark_checked,
    offered,
)
from cloud.meals.goods_file import COLUMNS as GOODS_COLUMNS
from cloud.meals.goods_file import export_goods, import_goods
from cloud.meals.importer import COLUMNS, import_menu
from cloud.meals.menu import Item, MenuRefused, set_menu
from cloud.meals.photos import PhotoRefused
from cloud.meals.photos import checked as checked_photo
from cloud.meals.prices import Price, day_of_iso, iso, on
from cloud.meals.school_days import COLUMNS as DAYS_COLUMNS
from cloud.meals.school_days import import_days, is_school_day
from cloud.meals.words import HOT_MEALS, MEALS, TIMES, hot_meal, meal_of, word_of_hot_meal
from protocols.errors import FIELD_RANGE, Fault

__all__ = [
    "COLUMNS",
    "CYCLE_COLUMNS",
    "DAYS_COLUMNS",
    "GOODS_COLUMNS",
    "HOT_MEALS",
    "MEALS",
    "NO_PRICE",
    "RETIRED",
    "SOLD",
    "UNCHECKED",
    "WORKBOOK_MAX",
    "GoodRefused",
    "Item",
    "Kept",
    "Line",
    "MenuRefused",
    "Naming",
    "PhotoRefused",
    "Plan",
    "catalogue",
    "clear_day",
    "export_goods",
    "hot_meal",
    "import_cycle",
    "import_days",
    "import_goods",
    "import_menu",
    "is_school_day",
    "iso",
    "mark_checked",
    "meal_of",
    "offered",
    "plan",
    "plans",
    "set_cycle",
    "set_day",
    "set_menu",
    "word_of_hot_meal",
]

Naming = Callable[[Iterable[Sequence[int]]], str]


class Good(NamedTuple):
    """An item with its number (1 to 65535) and its `meal`, a word such as `lunch` or the name itself."""

    good_id: int
    name: str
    meal: str
    from_minute: int
    to_minute: int
    price_minor: int


def menu(conn: Connection, school_id: int) -> list[Good]:
    """What is on sale on the lines, by the time of day: what devices are told.

    A line that the catalogue has is left out while it is not checked for allergens, is retired or has no
    price; where the school asks for checks, so is a line that the catalogue does not have.
    """
    lines = whole_menu(conn, school_id)
    if not lines:
        return lines
    kept_back = store.withheld(conn, school_id)
    if store.checked_only(conn, school_id):
        kept_back |= {line.good_id for line in lines} - store.catalogue_numbers(conn, school_id)
    return [line for line in lines if line.good_id not in kept_back]


def whole_menu(conn: Connection, school_id: int) -> list[Good]:
    """The same with what may not be sold now: a device without a connection may still sell it."""
    return [_good(row) for row in store.all_of(conn, school_id) if row.meal]


def day_or_today(conn: Connection, school_id: int, text: str, now: int) -> int:
    """The day of `2026-09-01` or `01.09.2026`, today in the school for no text.

    Fault(FIELD_RANGE) for anything else.
    """
    if not text:
        local = datetime.fromtimestamp(now, ZoneInfo(store.time_zone(conn, school_id)))
        return day_of_iso(local.date().isoformat())
    try:
        return day_of_iso(text)
    except ValueError as error:
        raise Fault(FIELD_RANGE, "day", "no date such as 2026-09-01") from error


def take_over(conn: Connection, school_id: int, number: int, day: int, who: str, now: int) -> None:
    """Put a line of the devices' menu into the catalogue as it is, unchecked: the caller checks it.

    GoodRefused when no line of that number is on sale, or the catalogue has it.
    """
    lines = {line.good_id: line for line in unchecked_lines(conn, school_id)}
    if number not in lines:
        raise GoodRefused("no such line")
    line = lines[number]
    meal = line.meal if line.meal in MEALS else ""
    good = catalogue_rules.Good(
        f"line-{number}", line.name, COMPLEX if meal else catalogue_rules.PRODUCT, meal=meal,
        from_minute=line.from_minute, to_minute=line.to_minute,
        prices=(Price(day, None, line.price_minor),), line=number,
    )  # fmt: skip
    catalogue_rules.save(conn, school_id, [catalogue_rules.check(good)], who=who, now=now)


def checks(conn: Connection, school_id: int, number: int) -> Sequence[Row]:
    """Who has checked a good, or changed it so that it lost its check, the newest first: what, who, at."""
    return store.checks(conn, school_id, number)


def put_photo(conn: Connection, school_id: int, number: int, raw: bytes, now: int) -> None:
    """Keep a photo of a good, without what a phone wrote into it.  PhotoRefused when it is none."""
    store.put_photo(conn, (school_id, number, *checked_photo(raw), now))


def photo(conn: Connection, school_id: int, number: int) -> tuple[str, bytes] | None:
    """(media type, bytes) of a good's photo, None where there is none."""
    return store.photo(conn, school_id, number)


def import_workbook(
    conn: Connection, school_id: int, name: str, raw: bytes, *, who: str, now: int
) -> tuple[int | None, Applied]:
    """Take the official workbook of a day; (its day, what it did)."""
    from cloud.meals import workbook  # 20 MB that no process needs which only sells

    return workbook.import_day(conn, school_id, name, raw, who=who, now=now)


def export_workbook(conn: Connection, school_id: int, day: int, ages: str = "") -> tuple[str, bytes]:
    """(name, bytes) of the official workbook of a day.  GoodRefused when nothing is planned."""
    from cloud.meals import workbook

    return workbook.file_name(day), workbook.export_day(conn, school_id, day, ages)


def set_week_days(conn: Connection, school_id: int, week_days: int) -> None:
    """Let a school week have 5 or 6 days."""
    store.set_week_days(conn, school_id, week_days)


def unchecked_lines(conn: Connection, school_id: int) -> list[Good]:
    """Lines on sale that nobody has checked for allergens, as the catalogue does not have them."""
    known = store.catalogue_numbers(conn, school_id)
    return [line for line in whole_menu(conn, school_id) if line.good_id not in known]


def ask_for_checks(conn: Connection, school_id: int, value: bool) -> None:
    """Whether a line that the catalogue does not have is kept off sale; the caller publishes the settings."""
    store.set_checked_only(conn, school_id, value)


def take_day_prices(conn: Connection, school_id: int, day: int) -> int:
    """Give the lines that the catalogue has their prices of a day; returns how many changed.

    To be called when the menu is about to be told to devices, and only then: prices have a version.
    """
    changes = _price_changes(conn, school_id, day)
    for good_id, price_minor in changes.items():
        store.set_has_price(conn, school_id, good_id, price_minor is not None)
        if price_minor is not None:
            store.change(conn, school_id, good_id, {"price_minor": price_minor})
    return len(changes)


def schools_with_new_prices(conn: Connection, day_of: Callable[[str], int]) -> list[int]:
    """Schools whose lines have another price on the day that `day_of` gives for their time zone."""
    return [
        school_id
        for school_id, time_zone in store.schools_with_lines(conn)
        if _price_changes(conn, school_id, day_of(time_zone))
    ]


def _price_changes(conn: Connection, school_id: int, day: int) -> dict[int, int | None]:
    rows = store.lines_with_prices(conn, school_id)
    if not rows:
        return {}
    periods = store.prices(conn, school_id)
    found = {}
    for row in rows:
        price_minor = on([Price(*each) for each in periods.get(row.good_id, ())], day)
        stands = row.price_minor if row.has_price else None
        if price_minor != stands:
            found[row.good_id] = price_minor
    return found


def hot_goods(conn: Connection, school_id: int) -> dict[int, int]:
    """The hot meal, 1..7, of every good that was ever on sale and is one."""
    numbers = {row.good_id: hot_meal(row.meal or meal_of(row.name)) for row in store.all_of(conn, school_id)}
    for row in store.catalogue(conn, school_id):
        if row.good_id not in numbers and row.kind == COMPLEX and not row.is_service:
            numbers[row.good_id] = hot_meal(row.meal)
    return {good_id: number for good_id, number in numbers.items() if number}


def naming(conn: Connection, school_id: int, language: str) -> Naming:
    """What goods that were ever on sale are called in `ru` or `en`: a function from lines to words.

    A line begins with a good's number and how many of it; meals are in lower case: `lunch x2, tea`.
    Empty when one of the goods has no name.
    """
    names = {row.good_id: row.name for row in store.catalogue(conn, school_id)}
    for row in store.all_of(conn, school_id):
        words = MEALS.get(row.meal or meal_of(row.name))
        names[row.good_id] = words[language] if words else row.name

    def bought(lines: Iterable[Sequence[int]]) -> str:
        told = [(names.get(line[0], ""), line[1]) for line in lines]
        if not all(name for name, _quantity in told):
            return ""
        return ", ".join(
            name if quantity == 1 else f"{name} {TIMES[language]}{quantity}" for name, quantity in told
        )

    return bought


def _good(row: Row) -> Good:
    return Good(row.good_id, row.name, row.meal, row.from_minute, row.to_minute, row.price_minor)
