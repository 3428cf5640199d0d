"""Who is entitled to which meal on which day, and which fund pays for it.

Promises: a fund is named for a day and a meal only from what the school was
told; a right that is out is honoured by the entitlement that it was placed
under, also when that was shortened since.  Leaves the money to accounting and
the settling of a day to settle.py.
"""

from collections import defaultdict
from datetime import date

from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.benefits import store
from cloud.benefits.importer import COLUMNS, import_benefits
from cloud.benefits.settle import charges, settle, sweep
from cloud.meals import service as meals
from protocols.ids import hex8

__all__ = [
    "COLUMNS",
    "charges",
    "closed_by",
    "entitled",
    "fund_lines",
    "import_benefits",
    "settle",
    "sweep",
]

_EPOCH = date(1970, 1, 1).toordinal()


def entitled(conn: Connection, school_id: int, days: list[int]) -> dict[int, set[tuple[int, int]]]:
    """account_id to the (day, meal) pairs of these days that somebody else pays for."""
    found: defaultdict[int, set[tuple[int, int]]] = defaultdict(set)
    if days:
        for row in store.overlapping(conn, school_id, min(days), max(days)):
            found[row.account_id] |= {(day, row.meal) for day in days if row.from_day <= day <= row.to_day}
    return {account_id: pairs for account_id, pairs in found.items() if pairs}


def closed_by(conn: Connection, school_id: int, day: int) -> set[tuple[int, int]]:
    """(device_id, epoch) of every journal that closed this day, and that no person took back to it since."""
    return store.closed_by(conn, school_id, day)


def fund_lines(
    conn: Connection, school_id: int, account_id: int, day: int, meal: int, amount_minor: int
) -> list[tuple[str, int]]:
    """The postings by which a fund pays for a meal, up to the caterer's own; empty when no fund does."""
    rows = store.of_meal(conn, school_id, account_id, meal)
    covering = [row for row in rows if row.from_day <= day <= row.to_day]
    earlier = [row for row in rows if row.from_day <= day]
    if not covering and not earlier:
        return []
    row = (covering or earlier)[0]
    fund = f"fund:{row.fund}:{date.fromordinal(day + _EPOCH).year}:{row.category}"
    benefit = f"{accounting.BENEFITS}{hex8(account_id)}:{meals.word_of_hot_meal(meal)}"
    return [(fund, -amount_minor), (benefit, amount_minor), (benefit, -amount_minor)]
