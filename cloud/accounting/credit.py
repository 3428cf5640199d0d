"""Repaying meal credit: money that a purse has free goes to what its pupil owes, before anything else.

Promises: only what is free beside all rights that are out is taken, so that no
till holds rights without money behind them; what is repaid once cannot be
repaid again, since the debt is the balance itself.  Nothing happens while a
school recovers: nobody knows what is out.  Leaves it to the caller to offer the
credit that became free to the tills.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from cloud.accounting import store
from cloud.accounting.books import CREDITS, Entry, credit, post, purse
from cloud.db import lock_school
from protocols.ids import hex8
from protocols.ledger.record import MONEY


def debts(conn: Connection, school_id: int, account_ids: Iterable[int] | None = None) -> dict[int, int]:
    """account_id to what it owes for hot meals, minor units above 0; of all accounts by default."""
    if account_ids is None:
        rows = store.balances_of_kind(conn, school_id, CREDITS)
        found = {row.code: row.amount_minor for row in rows}
    else:
        found = store.balances(conn, school_id, [credit(account_id) for account_id in account_ids])
    return {int(code.removeprefix(CREDITS), 16): -amount for code, amount in found.items() if amount < 0}


def repay(conn: Connection, school_id: int, now: int, account_ids: Iterable[int] | None = None) -> list[int]:
    """Repay what these accounts, or all, owe out of what their purses have free; returns who repaid."""
    if not debts(conn, school_id, account_ids) or store.is_recovering(conn, school_id):
        return []
    lock_school(conn, school_id)
    owed = debts(conn, school_id, account_ids)
    purses = store.balances(conn, school_id, [purse(account_id) for account_id in owed])
    out = store.reserved(conn, school_id, MONEY, list(owed))
    number = store.head(conn, school_id).entry_count
    entries: list[Entry] = []
    repaid = []
    for account_id, debt in sorted(owed.items()):
        amount = min(debt, purses.get(purse(account_id), 0) - out.get(account_id, 0))
        if amount > 0:
            # Entries have numbers without gaps, so this key is this repayment's alone.
            key = f"repay:{hex8(account_id)}:{number + len(entries) + 1}"
            lines = ((purse(account_id), -amount), (credit(account_id), amount))
            entries.append(Entry(key, "settlement", now, lines, reason="meal credit repaid"))
            repaid.append(account_id)
    post(conn, school_id, entries, now)
    return repaid
