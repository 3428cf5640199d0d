"""The spender's half of the escrow counters (LEDGER section 1).

A holder may spend what it was granted and has neither returned nor spent:
rights = G - R - S + V, and 0 <= rights <= CAP for every key (account, bucket).
It is handed a store with `get(account, bucket)` and `put(account, bucket,
counters)`; the journal is written by the caller, first, and apply() is told of
each record after it is durable and again at each replay.
"""

from collections import namedtuple

from protocols.errors import (
    AMOUNT_RANGE,
    OK,
    RIGHTS_SHORT,
    VOID_DIFFERS,
    VOID_TWICE,
    VOID_UNKNOWN,
    WEAK_LIMIT,
)
from protocols.ledger import record

Counters = namedtuple("Counters", ("granted", "returned", "spent", "voided"))
NONE = Counters(0, 0, 0, 0)
AMOUNT_MAX = 0x7FFFFFFF
_TRADES = (record.SALE, record.VOID)
_MOVES = (record.SALE, record.VOID, record.GRANT, record.RETURN)


def may_void(sale, item: record.Record, was_voided: bool) -> int:
    """OK, or why a VOID may not stand: it undoes an own sale of the same day, whole, and once.

    `sale`: the record that `item.aux` names on the same device and epoch, or
    None.  Both the device and its parent ask this.
    """
    if sale is None or sale.type != record.SALE or item.aux >= item.seq:
        return VOID_UNKNOWN
    if was_voided:
        return VOID_TWICE
    same = (sale.account, sale.amount, sale.flags, sale.day) == (
        item.account,
        item.amount,
        item.flags,
        item.day,
    )
    return OK if same else VOID_DIFFERS


def rights(counters: Counters) -> int:
    """What may still be spent under these counters, in minor units (or units of a benefit)."""
    return counters.granted - counters.returned - counters.spent + counters.voided


class Holder:
    """The counters of one (device, epoch).  `cap`: most rights under one key, minor units."""

    def __init__(self, store, cap: int) -> None:
        self._store = store
        self.cap = cap

    def rights(self, account: int, bucket: int = record.MONEY) -> int:
        """Rights under a key; 0 for a key never seen."""
        return rights(self._store.get(account, bucket))

    def may_spend(self, account: int, bucket: int, amount: int) -> int:
        """OK, AMOUNT_RANGE or RIGHTS_SHORT."""
        if not 0 < amount <= AMOUNT_MAX:
            return AMOUNT_RANGE
        return OK if amount <= self.rights(account, bucket) else RIGHTS_SHORT

    def may_spend_weak(self, account: int, day: int, amount: int, limit: int) -> int:
        """OK, or WEAK_LIMIT: weak cards of an account spend at most `limit` of money here in a day.

        What was voided does not count; nor does what a benefit or meal credit pays.
        """
        counters = self._store.get(account, record.weak_bucket(day))
        return OK if counters.spent - counters.voided + amount <= limit else WEAK_LIMIT

    def grant_due(self, account: int, bucket: int, total: int):
        """The G total to journal when the parent says `total`, or None when it is nothing new.

        Totals merge by max.  The parent keeps CAP; a device keeps it too: what
        would lift the rights above CAP is not taken, and the parent's books
        keep it reserved until it is returned.
        """
        counters = self._store.get(account, bucket)
        highest = counters.granted + self.cap - rights(counters)
        due = min(total, highest, AMOUNT_MAX)
        return due if due > counters.granted else None

    def return_due(self, account: int, bucket: int, target: int):
        """The R total to journal for a RECALL to `target`: as much as the rights allow.

        None when the target was reached before.  The same R as before when
        nothing is left: the record tells the parent that its recall was seen.
        """
        counters = self._store.get(account, bucket)
        if target <= counters.returned:
            return None
        return counters.returned + min(target - counters.returned, rights(counters))

    def excess_due(self, account: int, bucket: int, coming: int):
        """The R total to journal ahead of a VOID that brings `coming` units back, or None.

        A cashier's mistake is always undone; what would then be more than one
        device may hold goes to the parent first, so that no cut leaves it here.
        """
        counters = self._store.get(account, bucket)
        excess = min(rights(counters) + coming - self.cap, rights(counters))
        return counters.returned + excess if excess > 0 else None

    def apply(self, item: record.Record) -> None:
        """Follow one durable record; records that move no rights are passed over."""
        if item.type not in _MOVES:
            return
        if item.type in _TRADES:
            self._follow(item, record.bucket_of(item))
            if item.flags & record.SALE_WEAK:
                self._follow(item, record.weak_bucket(item.day))
        else:
            self._follow(item, item.aux)

    def _follow(self, item: record.Record, bucket: int) -> None:
        old = self._store.get(item.account, bucket)
        if item.type == record.SALE:
            new = Counters(old.granted, old.returned, old.spent + record.units_of(item), old.voided)
        elif item.type == record.VOID:
            new = Counters(old.granted, old.returned, old.spent, old.voided + record.units_of(item))
        elif item.type == record.GRANT:
            new = Counters(max(old.granted, item.amount), old.returned, old.spent, old.voided)
        else:
            new = Counters(old.granted, max(old.returned, item.amount), old.spent, old.voided)
        self._store.put(item.account, bucket, new)
