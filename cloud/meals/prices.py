"""Periods in which a good has a price.

Promises: on one day there is one price or none; a price without an end ends where the next one begins; the
same periods in any order are the same.  Days count from 1970-01-01, money is in minor units.  Pure.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from protocols.money import MAX_MINOR

_EPOCH = date(1970, 1, 1).toordinal()
DAY_MAX = 0xFFFF


class PriceRefused(ValueError):
    """Periods that cannot be; carries the reason."""


class Price(NamedTuple):
    """`price_minor` from `from_day` to the end of `to_day`; None: until another price begins."""

    from_day: int
    to_day: int | None
    price_minor: int


def ordered(periods: Iterable[Price]) -> tuple[Price, ...]:
    """The periods by their days, each with the end that the next one gives it.

    PriceRefused when two share a day, one ends before it begins, or a price is not more than 0.
    """
    found: list[Price] = []
    for each in sorted(periods, key=lambda period: period.from_day):
        if not 0 < each.price_minor <= MAX_MINOR:
            raise PriceRefused("price is not more than 0")
        if not 0 <= each.from_day <= DAY_MAX or (each.to_day is not None and each.to_day > DAY_MAX):
            raise PriceRefused("a day that no calendar has")
        if each.to_day is not None and each.to_day < each.from_day:
            raise PriceRefused(f"price from {iso(each.from_day)} ends before it begins")
        if found:
            last = found[-1]
            end = each.from_day - 1 if last.to_day is None else last.to_day
            if end >= each.from_day or end < last.from_day:
                raise PriceRefused(f"two prices on {iso(each.from_day)}")
            found[-1] = last._replace(to_day=end)
        found.append(each)
    return tuple(found)


def on(periods: Sequence[Price], day: int) -> int | None:
    """The price of a day in minor units, None where there is none."""
    for each in periods:
        if each.from_day <= day and (each.to_day is None or day <= each.to_day):
            return each.price_minor
    return None


def gap(periods: Sequence[Price], is_school_day: Callable[[int], bool]) -> int | None:
    """The first school day between two of `ordered` periods on which there is no price."""
    for before, after in pairwise(periods):
        for day in range((before.to_day or before.from_day) + 1, after.from_day):
            if is_school_day(day):
                return day
    return None


def iso(day: int) -> str:
    """A day as `2026-09-01`."""
    return date.fromordinal(day + _EPOCH).isoformat()


def day_of_iso(text: str) -> int:
    """Days since 1970-01-01 of `2026-09-01` or `01.09.2026`; ValueError for anything else."""
    parts = text.strip().split(".")
    written = "-".join(reversed(parts)) if len(parts) == 3 else text.strip()
    if len(written) != 10:
        raise ValueError("no date such as 2026-09-01")
    day = date.fromisoformat(written).toordinal() - _EPOCH
    if not 0 <= day <= DAY_MAX:
        raise ValueError("no date such as 2026-09-01")
    return day
