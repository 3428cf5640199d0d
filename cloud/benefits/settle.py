"""The evening of a day: unused benefits expire, and meals that a fund should have paid are re-rated.

Promises: a benefit expires when the journal of its holder has passed the day, so
that nothing can be sold from it any more, and the school's calendar has too: a
till whose clock ran ahead may be taken back to the day; a hot meal from money or credit goes
to the fund when its pupil is entitled, the till that sold it has passed the day
and no right to that meal is out or was used; of a basket one portion of it.
One pupil, day and meal has one external key, so that there is never a second
re-rating; all of it may run again at any time.  Only when the sale was taken back, and the
re-rating with it, does the next key pay for another one.  Nothing happens while a school
recovers.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.benefits import store
from cloud.db import lock_school
from cloud.meals import service as meals
from protocols.ids import hex8
from protocols.ledger.holder import Counters, rights
from protocols.ledger.record import MEALS_A_DAY, benefit_bucket

LOOK_BACK_DAYS = 100
# A till that closes its day may be so much ahead of this clock.
_AHEAD_S = 3600
_DAYS_END = 1 << 16  # days of records are u16


Place = tuple[int, int, int]
"""(account_id, day, meal)"""


class Charge(NamedTuple):
    """The external key of the re-rating that counts, and whether it is in the books."""

    key: str
    stands: bool


def charges(conn: Connection, school_id: int, places: Iterable[Place]) -> dict[Place, Charge]:
    """Whether a re-rating has paid for these meals, and the key of it or of the one that may."""
    found: dict[Place, Charge] = {}
    waiting, number = list(places), 1
    while waiting:
        keys = {_charge_key(*place, number): place for place in waiting}
        standing = accounting.standing(conn, school_id, keys)
        found |= {
            place: Charge(key, key in standing) for key, place in keys.items() if standing.get(key, True)
        }
        waiting, number = [place for key, place in keys.items() if not standing.get(key, True)], number + 1
    return found


def _charge_key(account_id: int, day: int, meal: int, number: int) -> str:
    first = f"rerate:{hex8(account_id)}:{day}:{meal}"
    return first if number == 1 else f"{first}:{number}"


def settle(conn: Connection, school_id: int, days: Iterable[int], now: int) -> list[int]:
    """Settle days as far as they are over; returns the accounts that got money or credit back."""
    # A device that does not know the day closes day 0, whose buckets are those of money and credit.
    wanted = sorted(day for day in set(days) if day > 0)
    if not wanted or not store.has_any(conn, school_id) or accounting.is_recovering(conn, school_id):
        return []
    lock_school(conn, school_id)
    returned: set[int] = set()
    for day in wanted:
        returned |= _settle(conn, school_id, day, now)
    accounting.repay(conn, school_id, now, returned)
    return sorted(returned)


def sweep(conn: Connection, school_id: int, today: int, now: int) -> list[int]:
    """settle() for every day but today that may be open: what a restore or a late file left behind."""
    if not store.has_any(conn, school_id):
        return []
    days = set(store.days_with_records(conn, school_id, today - LOOK_BACK_DAYS, today))
    days |= {bucket // MEALS_A_DAY for bucket in store.buckets_out(conn, school_id, benefit_bucket(today, 0))}
    # What a wrong clock put on a day to come may have been settled before a restore, when its journal ended.
    days |= set(store.days_with_records(conn, school_id, today + 1, _DAYS_END))
    return settle(conn, school_id, days, now)


def _settle(conn: Connection, school_id: int, day: int, now: int) -> set[int]:
    closed = store.closed_by(conn, school_id, day)
    is_over = day < store.school_time(conn, school_id).day(now + _AHEAD_S)
    taken = _expire(conn, school_id, day, closed, now, is_over=is_over)
    chosen: dict[tuple[int, int], Any] = {}
    hot = meals.hot_goods(conn, school_id)
    entitled = {
        (row.account_id, row.meal) for row in store.overlapping(conn, school_id, day, day)
    }  # fmt: skip
    sales = store.sales(conn, school_id, day)
    # A meal that was bought with a lost card and taken back is no meal of its pupil.
    foreign = accounting.taken_back(conn, school_id, [_sold(sale) for sale in sales]) if sales else ()
    for sale in sales:
        key = sale.account_id, hot.get(sale.good, 0)
        if (
            key in entitled
            and key not in taken
            and _is_past(sale, day, closed)
            and _sold(sale) not in foreign
        ):
            chosen.setdefault(key, sale)
    return _rerate(conn, school_id, day, chosen, now)


def _sold(sale: Any) -> str:
    """The external key of the entry of a sale."""
    return f"record:{hex8(sale.device_id)}:{sale.epoch}:{sale.seq}"


def _is_past(row: Any, day: int, closed: set[tuple[int, int]]) -> bool:
    """Whether nothing of the day can come from this journal any more, as far as the device is honest."""
    is_over = row.status != "open" or (row.last_day or 0) > day
    return is_over or (row.device_id, row.epoch) in closed


def _expire(
    conn: Connection, school_id: int, day: int, closed: set[tuple[int, int]], now: int, *, is_over: bool
) -> set[tuple[int, int]]:
    """End the rights that nobody can use any more; (account_id, meal) of those used or still out."""
    taken: set[tuple[int, int]] = set()
    rows, moved = [], []
    first = benefit_bucket(day, 0)
    for row in store.rights(conn, school_id, first, first + MEALS_A_DAY - 1):
        key = row.account_id, row.bucket - first
        counters = Counters(row.granted, row.returned, row.spent, row.voided)
        left = rights(counters)
        is_claimed = row.journaled > row.granted and row.status != "closed"
        if row.spent > row.voided or is_claimed:
            taken.add(key)
        if left <= 0 or row.status == "closed":
            continue
        # Of a lost device nobody knows: its rights stay reserved until a person releases it.
        if is_over and row.status == "open" and _is_past(row, day, closed):
            place = row.device_id, row.epoch, row.account_id, row.bucket
            rows.append((left, school_id, *place))
            moved.append(accounting.Movement(*place, accounting.RETURNED, left, accounting.BY_EXPIRY, day))
        else:
            taken.add(key)
    store.expire(conn, rows)
    accounting.move(conn, school_id, moved, now)
    return taken


def _rerate(
    conn: Connection, school_id: int, day: int, chosen: dict[tuple[int, int], Any], now: int
) -> set[int]:
    # Here and not above: the service speaks for this file.
    from cloud.benefits import service

    charge = charges(conn, school_id, [(account_id, day, meal) for account_id, meal in chosen])
    sales = {
        key: _sold(sale) for key, sale in sorted(chosen.items()) if not charge[key[0], day, key[1]].stands
    }
    lines = accounting.lines_of(conn, school_id, sales.values())
    owed = accounting.debts(conn, school_id, {account_id for account_id, _meal in sales})
    entries = []
    for (account_id, meal), sold in sales.items():
        sale = chosen[account_id, meal]
        own = accounting.purse(account_id), accounting.credit(account_id)
        paid = [code for code, amount in lines.get(sold, ()) if code in own and amount == -sale.amount]
        is_served = any(code.startswith("caterer:") for code, _amount in lines.get(sold, ()))
        fund = service.fund_lines(conn, school_id, account_id, day, meal, sale.price)
        if paid and is_served and fund:
            # What was owed for the meal may have been repaid by the purse since.
            to_credit = min(owed.get(account_id, 0), sale.price) if paid[0] == own[1] else 0
            owed[account_id] = owed.get(account_id, 0) - to_credit
            back = ((own[1], to_credit), (own[0], sale.price - to_credit))
            entries.append(
                accounting.Entry(
                    charge[account_id, day, meal].key, "rerate", now,
                    (*fund, *(line for line in back if line[1])),
                    sale.device_id, sale.epoch, sale.seq, "paid by the fund", sold,
                )
            )  # fmt: skip
    results = accounting.post(conn, school_id, entries, now)
    return {
        int(entry.external_key.split(":")[1], 16)
        for entry, result in zip(entries, results, strict=True)
        if not result.refusal
    }
