"""Which days a school works: Monday to Friday or Saturday, without public holidays, and what it says itself.

Promises: the school's own word on a day wins over the country's holidays and these over the weekday; working
Saturdays that a government moves are known.  Days count from 1970-01-01.  Leaves how far devices may step to
devices/calendar.py.
"""

from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection

from cloud.csv_file import Applied, Refused, Table, text_of
from cloud.meals import store
from cloud.meals.prices import day_of_iso

COLUMNS = ("from", "to", "kind")
WEEK = 7
_EPOCH = date(1970, 1, 1).toordinal()
_KINDS = {"school": 1, "учёба": 1, "учеба": 1, "off": 0, "каникулы": 0, "выходной": 0}
_RANGE_MAX = 150


def weekday(day: int) -> int:
    """0 is Monday."""
    return (day + 3) % WEEK


def is_school_day(conn: Connection, school_id: int) -> Callable[[int], bool]:
    """A function from a day to whether the school works."""
    country, week_days = store.week(conn, school_id)
    own = store.school_days(conn, school_id)

    def works(day: int) -> bool:
        said = own.get(day)
        return _works(country, week_days, day) if said is None else said

    return works


@lru_cache(4096)
def _works(country: str, week_days: int, day: int) -> bool:
    known = _holidays(country)
    at = date.fromordinal(day + _EPOCH)
    if known is None:
        return weekday(day) < week_days
    if at in known:
        return False
    # A Saturday that the government made a working one is a school day in a week of five days too.
    return weekday(day) < week_days or (weekday(day) == 5 and known.is_working_day(at))


@lru_cache(16)
def _holidays(country: str) -> Any:
    """The public holidays of a country, None where nobody knows them."""
    import holidays  # half a second that no process needs which only sells

    if country not in holidays.list_supported_countries():
        return None
    return holidays.country_holidays(country)


def import_days(conn: Connection, school_id: int, table: Table) -> Applied:
    """Apply days.csv (from;to;kind, perhaps why): vacations, holidays, working Saturdays.  All or nothing."""
    problems = list(table.problems)
    found: dict[int, tuple[int, str]] = {}
    for row in table.rows:
        try:
            first, last = (_day(row.fields, name) for name in ("from", "to"))
            kind = _KINDS.get(row.fields["kind"].lower())
            if kind is None:
                raise Refused("kind is none of school, off")
            if not 0 <= last - first < _RANGE_MAX:
                raise Refused(f"from is after to, or more than {_RANGE_MAX} days")
            why = text_of({"why": row.fields.get("why", "")}, "why", empty=True)
            if found.keys() & set(range(first, last + 1)):
                raise Refused("a day of an earlier line")
            found |= dict.fromkeys(range(first, last + 1), (kind, why))
        except Refused as refused:
            problems.append(table.problem(row.line, str(refused)))
    if problems:
        return Applied(0, 0, sorted(problems))
    return Applied(len(table.rows), store.put_school_days(conn, school_id, found), [])


def _day(fields: dict[str, str], name: str) -> int:
    try:
        return day_of_iso(fields[name])
    except ValueError as error:
        raise Refused(f"{name} is no date such as 2026-09-01") from error
