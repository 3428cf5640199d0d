"""How a local page writes times, days and classes: as the cloud's pages do, by the clock of this computer.

Promises: UTC seconds in, text out.  A school's PC stands in the school, so its own time zone is the school's.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

from babel.dates import format_date

from cloud.formats import class_name, device_name, money

__all__ = ["class_name", "clock", "day", "device_name", "local_day", "moment", "money", "since"]


def _local(at: int) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone()


def local_day(at: int) -> date:
    """The day on the wall's calendar."""
    return _local(at).date()


def clock(at: int) -> str:
    """`10:40`."""
    return _local(at).strftime("%H:%M")


def day(at: date | int, language: str) -> str:
    """`26 ноября`, and the year in another than this one."""
    found = at if isinstance(at, date) else _local(at).date()
    is_this_year = found.year == datetime.now(UTC).astimezone().year
    return format_date(found, "d MMMM" if is_this_year else "d MMMM y", locale=language)


def since(choice: str, now: int) -> int:
    """UTC seconds of `hour` (ago), `today` (this morning), `yesterday` or `week`; any other word is now."""
    midnight = int(_local(now).replace(hour=0, minute=0, second=0, microsecond=0).timestamp())
    return {
        "hour": now - 3600,
        "today": midnight,
        "yesterday": midnight - 86400,
        "week": midnight - 7 * 86400,
    }.get(choice, now)


def moment(at: int, now: int, language: str) -> str:
    """`10:40` today, `25 ноября, 10:40` on another day."""
    return clock(at) if _local(at).date() == _local(now).date() else f"{day(at, language)}, {clock(at)}"
