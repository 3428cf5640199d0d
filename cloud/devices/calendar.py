"""The calendar of a school: between which days the day of a device may lie.

Promises: a calendar only grows, so that what was once inside it stays so; it
reaches 400 days ahead when it is published and is published anew when half of
that is over: a school without a connection keeps its days for at least half a year.
"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from cloud.devices import store

AHEAD_DAYS = 400
_BEHIND_DAYS = 35
LAST_POSSIBLE = 0xFFFF
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).toordinal()


def day_of(now: int, time_zone: str) -> int:
    """Days since 1970-01-01 by the clock of a time zone."""
    local = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(time_zone))
    return local.date().toordinal() - _EPOCH


def calendar(conn: Connection, school_id: int) -> tuple[int, int]:
    """(first day, last day) as last published; everything before the first publication."""
    found = store.read_json(store.school(conn, school_id).settings).get("calendar", {})
    return found.get("first_day", 0), found.get("last_day", LAST_POSSIBLE)


def extended(conn: Connection, row: Any, everything: dict[str, Any], now: int) -> None:
    """Let the calendar in the settings of a school reach 400 days ahead; `row`: of the school.

    The first one begins 35 days before the first record, or before today: a device may have waited so long.
    """
    today = day_of(now, row.time_zone)
    known = everything.get("calendar", {})
    first = known.get("first_day")
    if first is None:
        first_at = store.first_record_at(conn, row.school_id)
        first = max(
            0, (today if first_at is None else min(today, day_of(first_at, row.time_zone))) - _BEHIND_DAYS
        )
    last = min(LAST_POSSIBLE, max(known.get("last_day", 0), today + AHEAD_DAYS))
    everything["calendar"] = {"first_day": first, "last_day": last}


def schools_to_extend(conn: Connection, now: int) -> list[int]:
    """Schools with devices whose calendar reaches less than half as far ahead as a new one."""
    found = []
    for row in store.schools(conn):
        last = store.read_json(row.settings).get("calendar", {}).get("last_day", 0)
        if row.settings_version and last < day_of(now, row.time_zone) + AHEAD_DAYS // 2:
            found.append(row.school_id)
    return found
