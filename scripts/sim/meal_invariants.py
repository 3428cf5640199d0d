"""Who pays a hot meal, checked against the ground truth: the fund once (I10), a debt as soon as it can be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cloud import db
from cloud.accounting import service as accounting
from protocols.ledger import record

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation

SECOND_MEALS = (
    "SELECT r.account_id, -sum(p.amount_minor) FROM record r JOIN entry e ON e.device_id = r.device_id"
    " AND e.epoch = r.epoch AND e.seq = r.seq AND e.kind IN ('sale', 'reversal') JOIN posting p"
    " ON p.entry_id = e.entry_id JOIN ledger_account a ON a.ledger_account_id = p.ledger_account_id"
    " WHERE r.type IN (6, 7) AND r.flags & 6 = 4 AND a.code = printf('purse:%08x', r.account_id)"
    " AND e.external_key NOT LIKE 'fork:%' GROUP BY r.account_id"
)
"""What purses paid for sales from a benefit whose meal the fund had paid before (late journals)."""

# The price of the meal whose number stands at the end of a re-rating's key, else of the whole sale.  Goods of
# the simulation's menu have the numbers of their meals.
_PRICE = (
    "coalesce((SELECT i.amount FROM record i WHERE (r.flags & 1) = 0 AND i.device_id = r.device_id"
    " AND i.epoch = r.epoch AND i.seq >= r.seq - (r.aux & 65535) AND i.seq < r.seq"
    " AND e.external_key || ':'"
    " LIKE printf('rerate:%08x:%d:%d:', r.account_id, r.day, i.aux & 65535) || '%'), r.amount)"
)
_FUNDED = (
    "SELECT e.external_key, e.corrects, e.kind, r.account_id, r.day, r.flags,"  # noqa: S608 our own
    f" -sum(p.amount_minor), max({_PRICE}) FROM entry e JOIN posting p ON p.entry_id = e.entry_id"
    " JOIN ledger_account a ON a.ledger_account_id = p.ledger_account_id AND a.code LIKE 'fund:%'"
    " JOIN record r ON r.device_id = e.device_id AND r.epoch = e.epoch AND r.seq = e.seq"
    " GROUP BY e.entry_id ORDER BY e.entry_id"
)


def funds_pay_once(sim: Simulation) -> Iterator[tuple[str, str]]:
    """I10: for each pupil, day and meal the funds pay at most once, and only for who is entitled."""
    charged: Counter[tuple[int, int, int]] = Counter()
    rerated: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for key, corrects, kind, account, day, flags, paid, price in sim.cloud.select(_FUNDED):
        if kind == "reversal" and corrects in rerated:
            # The sale takes every re-rating of it along: a basket may have one for each of its meals.
            along = rerated.pop(corrects)
            charged.update({(account, day, meal): -1 for meal in along})
            if -paid != along.total():
                yield "I10", f"account {account:08x} day {day}: {-paid} go back to the fund that paid {along}"
            continue
        meal = int(key.split(":")[3]) if kind == "rerate" else flags >> record.SALE_MEAL_SHIFT
        charged[account, day, meal] += paid // max(price, 1)
        if kind == "rerate":
            rerated[corrects][meal] += paid
        if abs(paid) != price:
            yield "I10", f"account {account:08x} day {day} meal {meal}: the fund pays {paid} for {price}"
    for (account, day, meal), times in charged.items():
        if times not in (0, 1):
            yield "I10", f"account {account:08x} day {day} meal {meal}: the fund pays {times} times"
        if (account, meal) not in sim.town.entitled:
            yield "I10", f"account {account:08x} meal {meal}: the fund pays for who is not entitled"
    reserved = _reserved(sim)
    before = _first_open_day(sim)
    for account, day, meal in () if sim.backups.archive_was_lost else forgotten_refunds(sim):
        # It is given back again once the benefit that went out behind the restore has expired, and that of a
        # day to come, which a wrong clock put there, when the tills have passed that day.
        if (account, day, meal) not in reserved and day < before:
            yield "I10", f"account {account:08x} day {day} meal {meal}: what was given back is forgotten"
    if sim.backups.restores or sim.hostile is not None:
        return
    for account, day, meal in _unfunded(sim, reserved):
        if charged[account, day, meal] == 0:
            yield "I10", f"account {account:08x} day {day} meal {meal}: nobody gave the money back"


def _wall_day(sim: Simulation) -> int:
    """The school day that it truly is."""
    return (sim.heap.wall_s + 3 * 3600) // 86_400


def _first_open_day(sim: Simulation) -> int:
    """The earliest day that is not over for some till, or for the school."""
    open_days = sim.cloud.select(
        "SELECT coalesce(j.day, 0) FROM device d JOIN device_epoch e ON e.device_id = d.device_id"
        " LEFT JOIN record j ON j.device_id = e.device_id AND j.epoch = e.epoch AND j.seq = e.next_seq - 1"
        " WHERE d.kind = 'canteen' AND e.status = 'open'"
    )
    return min([_wall_day(sim), *(row[0] for row in open_days)])


def _unfunded(sim: Simulation, reserved: set[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    """Meals of entitled pupils that purse or credit paid, of days that every journal has passed."""
    rows = sim.cloud.select(
        "SELECT DISTINCT r.account_id, r.day, coalesce(i.aux, r.aux) & 65535 FROM record r JOIN entry e"
        " ON e.device_id = r.device_id AND e.epoch = r.epoch AND e.seq = r.seq AND e.kind = 'sale'"
        " JOIN posting p ON p.entry_id = e.entry_id JOIN ledger_account a"
        " ON a.ledger_account_id = p.ledger_account_id"
        " AND a.code IN (printf('purse:%08x', r.account_id), printf('credit:%08x', r.account_id))"
        " LEFT JOIN record i ON (r.flags & 1) = 0 AND i.device_id = r.device_id AND i.epoch = r.epoch"
        " AND i.seq >= r.seq - (r.aux & 65535) AND i.seq < r.seq"
        " WHERE r.type = 6 AND r.refusal = 0 AND r.flags & 4 = 0 AND r.day < ? AND r.day >= ?",
        (_first_open_day(sim), _wall_day(sim) - 90),
    )
    for account, day, meal in rows:
        if (account, meal) in sim.town.entitled and (account, day, meal) not in reserved:
            yield account, day, meal


def _reserved(sim: Simulation) -> set[tuple[int, int, int]]:
    """(account, day, meal) of benefits that were used or are still out."""
    return {
        (row[0], *divmod(row[1], record.MEALS_A_DAY))
        for row in sim.cloud.select(
            "SELECT r.account_id, r.bucket FROM spending_right r JOIN device_epoch e"
            " ON e.device_id = r.device_id AND e.epoch = r.epoch WHERE r.bucket >= 8"
            " AND (r.spent > r.voided OR (e.status <> 'closed'"
            " AND max(r.granted, r.journaled) - r.returned - r.spent + r.voided > 0))"
        )
    }


def forgotten_refunds(sim: Simulation) -> dict[tuple[int, int, int], int]:
    """(account, day, meal) to what a fund gave back, minor units, and a restored database does not know."""
    keys = sim.cloud.select("SELECT external_key FROM entry WHERE kind = 'rerate'")
    known = {":".join(row[0].split(":")[:4]) for row in keys}
    return {
        (account, day, meal): amount
        for (account, day, meal), amount in sim.town.refunded.items()
        if amount and f"rerate:{account:08x}:{day}:{meal}" not in known
    }


def debts_are_repaid(sim: Simulation) -> Iterator[tuple[str, str]]:
    """I5: nobody owes for a meal while the purse has money that is free, and no credit keeps money that no
    right needs."""
    if sim.cloud.in_recovery:
        return
    out = {
        (row[0], row[1]): row[2]
        for row in sim.cloud.select(
            "SELECT r.account_id, r.bucket,"
            " sum(max(r.granted, r.journaled) - r.returned - r.spent + r.voided)"
            " FROM spending_right r JOIN device_epoch e ON e.device_id = r.device_id AND e.epoch = r.epoch"
            " WHERE r.bucket < 2 AND e.status <> 'closed' GROUP BY r.account_id, r.bucket"
        )
    }
    with db.reading(sim.cloud.engine) as conn:
        purses = accounting.balances_of_kind(conn, sim.cloud.school, accounting.PURSES)
        credits = accounting.balances_of_kind(conn, sim.cloud.school, accounting.CREDITS)
    for pupil in sim.town.pupils:
        account = pupil.account
        owed = -credits.get(accounting.credit(account), 0)
        free = purses.get(accounting.purse(account), 0) - out.get((account, record.MONEY), 0)
        needed = max(0, out.get((account, record.MEAL_CREDIT), 0) - sim.town.credit_slack)
        if owed > 0 and free > 0:
            yield "I5", f"account {account:08x} owes {owed} for meals, its purse has {free} free"
        if owed < 0 and -owed > needed:
            yield "I5", f"the credit of {account:08x} keeps {-owed}, its rights need {needed}"
