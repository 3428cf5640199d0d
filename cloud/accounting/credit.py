"""Repaying meal credit: money that a purse has free goes to what its pupil owes, before anything else.

Promises: only what is free beside all rights that are out is taken, so that no
till holds rights without money behind them; what is repaid once cannot be
repaid again, since the debt is the balance itself.  Rights beyond L that a
repayment had made possible stay covered: when the meal is voided afterwards
the money stays with the credit until they are used or returned, then goes back;
when a restore forgot the repayment, it comes again, debt or no debt.  Nothing
happens while a school recovers: nobody knows what is out.  Leaves it to the
caller to offer the credit that became free to the tills.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from cloud.accounting import store
from cloud.accounting.books import CREDITS, Entry, credit, post, purse
from cloud.db import lock_school
from protocols.ids import hex8
from protocols.ledger import parent
from protocols.ledger.record import MEAL_CREDIT, MONEY


def debts(conn: Connection, school_id: int, account_ids: Iterable[int] | None = None) -> dict[int, int]:
    """account_id to what it owes for hot meals, minor units above 0; of all accounts by default."""
    if account_ids is None:
        rows = store.balances_of_kind(conn, school_id, CREDITS)
        found = {row.code: row.amount_minor for row in rows}
    else:
        found = store.balances(conn, school_id, [credit(account_id) for account_id in account_ids])
    return {int(code.removeprefix(CREDITS), 16): -amount for code, amount in found.items() if amount < 0}


def repay(conn: Connection, school_id: int, now: int, account_ids: Iterable[int] | None = None) -> list[int]:
    """Repay what these accounts, or all, owe out of what their purses have free, and give back what was
    repaid for a meal that was voided; returns whose money moved."""
    wanted = None if account_ids is None else sorted(set(account_ids))
    if not _lacking(conn, school_id, wanted) or store.is_recovering(conn, school_id):
        return []
    lock_school(conn, school_id)
    lacking = _lacking(conn, school_id, wanted)
    purses = store.balances(conn, school_id, [purse(account_id) for account_id in lacking])
    out = store.reserved(conn, school_id, MONEY, list(lacking))
    number = store.head(conn, school_id).entry_count
    entries: list[Entry] = []
    moved = []
    for account_id, lack in sorted(lacking.items()):
        free = max(0, purses.get(purse(account_id), 0) - out.get(account_id, 0))
        amount = min(lack, free)
        if amount:
            # Entries have numbers without gaps, so this key is this repayment's alone.
            key = f"repay:{hex8(account_id)}:{number + len(entries) + 1}"
            lines = ((purse(account_id), -amount), (credit(account_id), amount))
            reason = "meal credit repaid" if amount > 0 else "given back: the meal was voided"
            entries.append(Entry(key, "settlement", now, lines, reason=reason))
            moved.append(account_id)
    post(conn, school_id, entries, now)
    return moved


def uncovered(conn: Connection, school_id: int, account_ids: Iterable[int]) -> dict[int, int]:
    """account_id to parent.uncovered() of its meal credit, where there is any."""
    slack, standing = _standing(conn, school_id, sorted(set(account_ids)))
    needs = {
        account_id: parent.uncovered(balance, slack, out) for account_id, (balance, out) in standing.items()
    }
    return {account_id: need for account_id, need in needs.items() if need}


def _lacking(conn: Connection, school_id: int, account_ids: list[int] | None) -> dict[int, int]:
    """account_id to what its credit lacks, minor units; below 0: what it holds and no right needs."""
    slack, standing = _standing(conn, school_id, account_ids)
    lacking = {account_id: max(0, out - slack) - balance for account_id, (balance, out) in standing.items()}
    return {account_id: lack for account_id, lack in lacking.items() if lack}


def _standing(
    conn: Connection, school_id: int, account_ids: list[int] | None
) -> tuple[int, dict[int, tuple[int, int]]]:
    """L of meal credit, and account_id to its credit's balance and what is out of it, minor units."""
    # Here and not above: devices asks the books for balances, so it imports this room.
    from cloud.devices import service as devices

    if account_ids is None:
        rows = store.balances_of_kind(conn, school_id, CREDITS)
        balances = {int(row.code.removeprefix(CREDITS), 16): row.amount_minor for row in rows}
    else:
        codes = {credit(account_id): account_id for account_id in account_ids}
        found = store.balances(conn, school_id, list(codes))
        balances = {codes[code]: amount for code, amount in found.items()}
    out = store.reserved(conn, school_id, MEAL_CREDIT, list(balances))
    slack = devices.money_rules(conn, school_id).credit_highest_minor
    return slack, {account_id: (amount, out.get(account_id, 0)) for account_id, amount in balances.items()}
