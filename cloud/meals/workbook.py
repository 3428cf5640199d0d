"""The official daily menu of a school, `YYYY-MM-DD-sm.xlsx`: read as a day's menu, and written from one.

Layout, as the generators of schools agree on it: row 1 school (B), department (F), date (J); row 3 the ten
headings; dishes from row 4, the meal named in its first row.  Promises: headings are looked for, and a column
that was moved is told by its cell; one bad cell and nothing is taken; what it wrote it reads as no change.
A dish is found by its name, of several by the number of its recipe too; price, portion and nutrition are the
catalogue's: another price is a bad cell, other nutrition is passed over.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from io import BytesIO
from typing import Any, NamedTuple
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError  # noqa: N812 - an exception

from openpyxl import Workbook, load_workbook
from openpyxl.styles import Alignment, Font
from openpyxl.utils.exceptions import InvalidFileException
from sqlalchemy import Connection

from cloud.csv_file import Applied, Problem, Refused
from cloud.meals import cycle, store
from cloud.meals import goods as catalogue
from cloud.meals.cycle import WORKBOOK_MAX, Line, may_plan, meal_word
from cloud.meals.goods import GoodRefused, Kept
from cloud.meals.prices import day_of_iso, iso
from cloud.meals.words import MEALS
from protocols.errors import Fault
from protocols.money import minor_from_text, text_from_minor

HEADINGS = (
    "Прием пищи", "Раздел", "№ рец.", "Блюдо", "Выход, г", "Цена", "Калорийность", "Белки", "Жиры",
    "Углеводы",
)  # fmt: skip
_UNPACKED_MAX = 16 * 1024 * 1024
_ROWS_MAX, _COLUMNS_MAX = 120, 12
_NAME = re.compile(r"(\d{4}-\d{2}-\d{2})-sm\.xlsx")
_COLUMNS = "ABCDEFGHIJKL"
_SECOND_BREAKFAST = re.compile(r"завтрак\s*2|2\s*завтрак", re.IGNORECASE)
_NOT_READ = (
    BadZipFile, InvalidFileException, ParseError, ZlibError, KeyError, ValueError, TypeError, IndexError,
    AttributeError, EOFError, OSError, NotImplementedError,
)  # fmt: skip


class _Sheet(NamedTuple):
    """The cells of a workbook's first sheet, and in which row the headings stand."""

    rows: list[tuple[Any, ...]]
    head: int


def file_name(day: int) -> str:
    """What the file of a day is called."""
    return f"{iso(day)}-sm.xlsx"


def import_day(
    conn: Connection, school_id: int, name: str, raw: bytes, *, who: str, now: int
) -> tuple[int | None, Applied]:
    """Take a workbook as the menu of its day for the age group in its cell F1; (day, what it did)."""
    problems: list[Problem] = []

    def wrong(row: int, column: int, reason: str) -> None:
        cell = f"{_COLUMNS[column]}{row}: " if row else ""
        problems.append(Problem(name, row, f"{cell}{reason}"))

    sheet = _read(raw, wrong)
    if sheet is None:
        return None, Applied(0, 0, problems)
    day = _day(name, sheet, wrong)
    ages = _text(sheet.rows[0], 5)
    lines = _lines(conn, school_id, sheet, day, ages, wrong)
    if problems or day is None:
        return day, Applied(0, 0, problems)
    others = [line for line in cycle.plan(conn, school_id, day).lines if line.ages != ages]
    changed = cycle.set_day(conn, school_id, day, [*others, *lines], who=who, now=now)
    return day, Applied(len(lines), len(lines) if changed else 0, [])


def export_day(conn: Connection, school_id: int, day: int, ages: str = "") -> bytes:
    """The workbook of a day for an age group.  GoodRefused when nothing is planned for it."""
    lines = [line for line in cycle.plan(conn, school_id, day).lines if line.ages == ages]
    if not lines:
        raise GoodRefused("nothing is planned for that day")
    goods = catalogue.codes_of(catalogue.catalogue(conn, school_id))
    book = Workbook()
    sheet = book.active
    sheet.title = "1"
    at = date.fromisoformat(iso(day))
    for cell, value in (("A1", "Школа"), ("B1", store.school_name(conn, school_id)), ("E1", "Отд./корп"),
                        ("F1", ages or None), ("I1", "День"), ("J1", at)):  # fmt: skip
        sheet[cell] = value
    sheet["J1"].number_format = "dd.mm.yyyy"
    sheet.append([])
    sheet.append(list(HEADINGS))
    before = ""
    for line in lines:
        kept = goods[line.code]
        price_minor = kept.price_minor(day)
        price = None if price_minor is None else Decimal(text_from_minor(price_minor))
        good = kept.good
        meal = MEALS[line.meal]["ru"]
        sheet.append([
            meal[:1].upper() + meal[1:] if line.meal != before else None, line.section or None,
            good.recipe or None, good.name, _number(good.portion), price, _number(good.energy),
            _number(good.protein), _number(good.fat), _number(good.carbohydrate),
        ])  # fmt: skip
        before = line.meal
    _dress(sheet)
    raw = BytesIO()
    book.save(raw)
    return raw.getvalue()


def _read(raw: bytes, wrong: Any) -> _Sheet | None:
    """The cells, read without formulas, links and what a small file may swell to."""
    if len(raw) > WORKBOOK_MAX:
        wrong(0, 0, f"the file is larger than {WORKBOOK_MAX // 1024} KB")
        return None
    try:
        with ZipFile(BytesIO(raw)) as packed:
            if sum(each.file_size for each in packed.infolist()) > _UNPACKED_MAX:
                wrong(0, 0, "the file is larger than a menu can be")
                return None
        book = load_workbook(BytesIO(raw), read_only=True, data_only=True, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()
        size = {"max_row": _ROWS_MAX, "max_col": _COLUMNS_MAX}
        rows = [
            (*row, *[None] * (_COLUMNS_MAX - len(row))) for row in sheet.iter_rows(values_only=True, **size)
        ]
    except _NOT_READ:
        wrong(0, 0, "the file is no workbook such as .xlsx")
        return None
    wanted = [_plain(heading) for heading in HEADINGS]
    for place, row in enumerate(rows[:10]):
        names = [_plain(_text(row, column)) for column in range(_COLUMNS_MAX)]
        if sum(name in wanted for name in names) >= 4:
            return _Sheet(rows, place) if _check_headings(place + 1, names, wrong) else None
    wrong(3, 0, f"the headings {', '.join(HEADINGS[:4])} ... are not in the first ten rows")
    return None


def _check_headings(row: int, names: Sequence[str], wrong: Any) -> bool:
    """Whether each column stands where the monitoring looks for it."""
    good = True
    for column, heading in enumerate(HEADINGS):
        if names[column] == _plain(heading):
            continue
        good = False
        elsewhere = _plain(heading) in names
        where = f", it stands in {_COLUMNS[names.index(_plain(heading))]}{row}" if elsewhere else ""
        wrong(row, column, f"the column {heading} must stand here{where}")
    return good


def _day(name: str, sheet: _Sheet, wrong: Any) -> int | None:
    """The day of the cell J1, which the name of the file says too."""
    value = sheet.rows[0][9]
    try:
        text = value.date().isoformat() if isinstance(value, datetime) else str(value)
        day = day_of_iso(text)
    except ValueError:
        wrong(1, 9, "no date such as 01.09.2026")
        return None
    known = _NAME.fullmatch(name.rpartition("/")[2])
    if known is None:
        wrong(0, 0, "the file is not called like 2026-09-01-sm.xlsx")
    elif known[1] != iso(day):
        wrong(1, 9, "another day than in the name of the file")
    return day


def _lines(
    conn: Connection, school_id: int, sheet: _Sheet, day: int | None, ages: str, wrong: Any
) -> list[Line]:
    goods = catalogue.catalogue(conn, school_id)
    by_name: dict[str, list[Kept]] = {}
    for kept in goods:
        by_name.setdefault(_plain(kept.good.name), []).append(kept)
    meal = ""
    found: list[Line] = []
    for row, cells in enumerate(sheet.rows[sheet.head + 1 :], sheet.head + 2):
        if _text(cells, 0):
            try:
                meal = meal_word(_SECOND_BREAKFAST.sub("второй завтрак", _text(cells, 0)))
            except Refused as refused:
                meal = ""
                wrong(row, 0, str(refused))
                continue
        if not _text(cells, 3) or _plain(_text(cells, 3)).startswith("итого"):
            if _text(cells, 5) and not _plain(_text(cells, 1) + _text(cells, 3)).startswith("итого"):
                wrong(row, 3, "a price without a dish")
            continue
        if not meal:
            wrong(row, 0, "the meal of this dish is not named")
            continue
        try:
            kept = _dish(by_name, _text(cells, 3), _text(cells, 2))
        except GoodRefused as refused:
            wrong(row, 3, str(refused))
            continue
        found.append(Line(meal, ages, _text(cells, 1), kept.good.code))
        reason = _wrong_price(kept, day, _text(cells, 5))
        if reason:
            wrong(row, 5, reason)
    if not found and day is not None:
        wrong(sheet.head + 2, 3, "no dish")
    return found


def _dish(by_name: Mapping[str, Sequence[Kept]], name: str, recipe: str) -> Kept:
    """The dish of a row; GoodRefused when there is none, several, or one that may not be sold."""
    known = by_name.get(_plain(name), ())
    if len(known) > 1:
        known = [kept for kept in known if kept.good.recipe == recipe]
        if len(known) != 1:
            raise GoodRefused("several dishes have this name: the number of the recipe must say which")
    if not known:
        raise GoodRefused("no such dish in the catalogue")
    return may_plan({known[0].good.code: known[0]}, known[0].good.code)


def _wrong_price(kept: Kept, day: int | None, text: str) -> str:
    """Why the price of a row cannot be; empty when it can."""
    if not text:
        return ""
    try:
        price_minor = minor_from_text(text)
    except Fault:
        return "no amount such as 85.00 (two decimals)"
    if day is None or kept.price_minor(day) == price_minor:
        return ""
    stands = kept.price_minor(day)
    if stands is None:
        return "the catalogue has no price on that day"
    return f"the catalogue says {text_from_minor(stands)} on that day"


def _text(cells: Sequence[Any], column: int) -> str:
    """A cell as a person reads it: `40.5` of a number, without spaces around it."""
    value = cells[column]
    if value is None:
        return ""
    text = " ".join(str(value).split())
    return text.removesuffix(".0") if isinstance(value, float) else text


def _plain(text: str) -> str:
    """A heading or name as it is compared: case, spaces and the letter ё make no difference."""
    return " ".join(text.casefold().replace("ё", "е").split())


def _number(text: str) -> Decimal | str | None:
    try:
        return Decimal(text.replace(",", ".")) if text else None
    except InvalidOperation:
        return text


def _dress(sheet: Any) -> None:
    """Widths and a bold head, so that it can be printed and read."""
    for column, width in zip(_COLUMNS, (14, 14, 9, 44, 10, 10, 14, 9, 9, 11), strict=False):
        sheet.column_dimensions[column].width = width
    for cell in sheet[3]:
        cell.font = Font(bold=True)
    for row in sheet.iter_rows(min_row=4):
        for cell in row:
            if cell.data_type == "f":
                cell.data_type = "s"  # a name that begins with = is no formula
        row[3].alignment = Alignment(wrap_text=True, vertical="top")
        row[5].number_format = "0.00"
