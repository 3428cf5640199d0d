"""The catalogue as a CSV file: read from one, and written so that reading it again changes nothing.

Promises: one bad line and nothing of the file is applied; a line that is new or different and not checked for
allergens is bad, unless the caller asks for unchecked goods (they stay off sale); money is read without a
float.  Prices are `2026-09-01=85.00 2027-01-01..2027-05-31=92.50`, allergens and diets words with spaces.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from cloud.csv_file import Applied, Refused, Table, text_of
from cloud.meals import goods as catalogue
from cloud.meals import store
from cloud.meals.goods import TEXTS, Good, GoodRefused, Kept
from cloud.meals.prices import Price, PriceRefused, day_of_iso, gap, iso
from cloud.meals.school_days import is_school_day
from cloud.meals.words import ALLERGENS_RU, DIETS_RU, KINDS_RU
from protocols import allergens
from protocols.errors import Fault
from protocols.money import minor_from_text, text_from_minor

COLUMNS = ("code", "name", "kind", "prices")
ALL_COLUMNS = (
    "code", "name", "kind", "category", "meal", "from", "to", "sold_as", "contains", "may_contain", "diets",
    "parts", "prices", "recipe", "portion", "energy", "protein", "fat", "carbohydrate", "line", "retired",
    "checked_by", "checked_on",
)  # fmt: skip
NOT_CHECKED = "not checked for allergens: checked_by and checked_on are empty"
_EPOCH = date(1970, 1, 1).toordinal()
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_SOLD_AS = {"": False, "food": False, "питание": False, "service": True, "услуга": True}
_YES = {"": False, "no": False, "нет": False, "yes": True, "да": True}


class _Check(NamedTuple):
    who: str
    day: int


def import_goods(
    conn: Connection, school_id: int, table: Table, *, who: str, now: int, unchecked: bool = False
) -> Applied:
    """Apply a file of goods by their codes; goods that it does not name stay as they are.

    `unchecked`: take goods that nobody has checked; they are not offered before somebody has.
    """
    problems = list(table.problems)
    known = catalogue.codes_of(catalogue.catalogue(conn, school_id))
    works = is_school_day(conn, school_id)
    zone = ZoneInfo(store.time_zone(conn, school_id))
    lines: dict[str, int] = {}
    goods: list[Good] = []
    checks: dict[str, tuple[str, int]] = {}
    for row in table.rows:
        try:
            good, check = _good(row.fields, works), _check(row.fields, zone, now)
            if lines.setdefault(good.code, row.line) != row.line:
                raise Refused("a code of an earlier line")
            kept = known.get(good.code)
            given = _given(kept, check, zone)
            if not (given or unchecked) and not _stays(kept, good):
                raise Refused(NOT_CHECKED)
        except (Refused, GoodRefused, PriceRefused) as refused:
            problems.append(table.problem(row.line, str(refused)))
            continue
        goods.append(good)
        if given:
            checks[good.code] = given
    if problems:
        return Applied(0, 0, sorted(problems))
    try:
        changed = catalogue.save(conn, school_id, goods, who=who, now=now, checks=checks)
    except GoodRefused as refused:
        return Applied(0, 0, [table.problem(lines.get(str(refused).partition(": ")[0], 0), str(refused))])
    return Applied(len(goods), len(changed), [])


def export_goods(conn: Connection, school_id: int) -> str:
    """The whole catalogue as text with `;` between fields; import_goods of it changes nothing."""
    zone = ZoneInfo(store.time_zone(conn, school_id))
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    writer.writerow(ALL_COLUMNS)
    for kept in catalogue.catalogue(conn, school_id):
        good = kept.good
        values = {name: getattr(good, name) for name in ("code", "name", "kind", "meal", *TEXTS)}
        values |= {
            "from": _clock(good.from_minute), "to": _clock(good.to_minute),
            "sold_as": "service" if good.is_service else "food",
            "contains": " ".join(allergens.words_of(good.contains)),
            "may_contain": " ".join(allergens.words_of(good.may_contain)),
            "diets": " ".join(allergens.words_of(good.diets, allergens.DIETS)),
            "parts": " ".join(good.parts), "prices": " ".join(map(_written, good.prices)),
            "line": str(good.line or ""), "retired": "yes" if good.is_retired else "no",
            "checked_by": kept.checked_by,
            "checked_on": "" if kept.checked_at is None else iso(_local_day(kept.checked_at, zone)),
        }  # fmt: skip
        writer.writerow([values[name] for name in ALL_COLUMNS])
    return text.getvalue()


def _stays(kept: Kept | None, good: Good) -> bool:
    """Whether a line says nothing that has to be checked: it is as it stands, or its check stays."""
    if kept is None:
        return False
    same = kept.good == good._replace(line=kept.good.line)
    return same or (kept.checked_at is not None and catalogue.keeps_check(kept.good, good))


def _given(kept: Kept | None, check: _Check | None, zone: ZoneInfo) -> tuple[str, int] | None:
    """The check that a line brings; one that stands already is none."""
    if check is None:
        return None
    if kept and kept.checked_at is not None:
        stands = _Check(kept.checked_by, _local_day(kept.checked_at, zone))
        if check.day < stands.day:
            raise Refused("checked_on is before the check that stands")
        if check == stands:
            return None
    at = date.fromordinal(check.day + _EPOCH)
    return check.who, int(datetime(at.year, at.month, at.day, tzinfo=zone).timestamp())


def _check(fields: Mapping[str, str], zone: ZoneInfo, now: int) -> _Check | None:
    who, day = (fields.get(name, "") for name in ("checked_by", "checked_on"))
    if not who and not day:
        return None
    if not who or not day:
        raise Refused("checked_by and checked_on belong together")
    found = _day(day, "checked_on")
    if found > _local_day(now, zone):
        raise Refused("checked_on is after today")
    return _Check(text_of({"checked_by": who}, "checked_by"), found)


def _good(fields: dict[str, str], works: Callable[[int], bool]) -> Good:
    said = dict.fromkeys(ALL_COLUMNS, "") | fields
    kind = said["kind"].lower()
    good = Good(
        code=text_of(said, "code", longest=30),
        name=text_of(said, "name"),
        kind=KINDS_RU.get(kind, kind),
        meal=said["meal"],
        from_minute=_minute(said["from"], "from", 0),
        to_minute=_minute(said["to"], "to", 24 * 60 - 1),
        is_service=_choice(said, "sold_as", _SOLD_AS),
        is_retired=_choice(said, "retired", _YES),
        contains=_bits(said, "contains", allergens.ALLERGENS, ALLERGENS_RU),
        may_contain=_bits(said, "may_contain", allergens.ALLERGENS, ALLERGENS_RU),
        diets=_bits(said, "diets", allergens.DIETS, DIETS_RU),
        prices=tuple(_price(word) for word in said["prices"].split()),
        parts=tuple(said["parts"].split()),
        line=_line(said["line"]),
        **{name: text_of(said, name, empty=True) for name in TEXTS},
    )
    if re.search(r"\s", good.code):
        raise Refused("code has a space")
    good = catalogue.check(good)
    day = gap(good.prices, works)
    if day is not None:
        raise Refused(f"no price on {iso(day)}, a school day between two prices")
    return good


def _price(word: str) -> Price:
    """`2026-09-01=85.00`, `2026-09-01..2026-12-31=85.00`."""
    days, equals, amount = word.partition("=")
    first, dots, last = days.partition("..")
    if not equals:
        raise Refused("prices are no periods such as 2026-09-01=85.00")
    try:
        price_minor = minor_from_text(amount)
    except Fault as fault:
        raise Refused("prices have an amount that is none such as 85.00") from fault
    return Price(_day(first, "prices"), _day(last, "prices") if dots else None, price_minor)


def _written(period: Price) -> str:
    last = "" if period.to_day is None else f"..{iso(period.to_day)}"
    return f"{iso(period.from_day)}{last}={text_from_minor(period.price_minor)}"


def _day(text: str, name: str) -> int:
    try:
        return day_of_iso(text)
    except ValueError as error:
        raise Refused(f"{name} has no date such as 2026-09-01") from error


def _minute(text: str, name: str, otherwise: int) -> int:
    if not text:
        return otherwise
    clock = _CLOCK.fullmatch(text)
    if clock is None:
        raise Refused(f"{name} is no time such as 08:00")
    return int(clock[1]) * 60 + int(clock[2])


def _choice(fields: Mapping[str, str], name: str, known: Mapping[str, bool]) -> bool:
    value = known.get(fields[name].lower())
    if value is None:
        raise Refused(f"{name} is none of " + ", ".join(word for word in known if word))
    return value


def _bits(fields: Mapping[str, str], name: str, known: tuple[str, ...], also: Mapping[str, str]) -> int:
    words = [also.get(word, word) for word in re.split(r"[\s,]+", fields[name].lower()) if word]
    try:
        return allergens.bits_of(words, known)
    except ValueError as error:
        raise Refused(f"{name} has a word that is none of " + ", ".join(known)) from error


def _line(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= catalogue.GOOD_MAX):
        raise Refused("line is no number of the lines' menu")
    return int(text)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _local_day(moment: int, zone: ZoneInfo) -> int:
    return datetime.fromtimestamp(moment, zone).date().toordinal() - _EPOCH
