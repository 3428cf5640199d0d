"""The granter's half of the escrow counters (LEDGER section 1), as pure rules.

The parent keeps one invariant for every key: free = balance + slack - out >= 0,
where out is the sum of the rights that its open holders may still spend.  It
replays every record that a holder sends by the same arithmetic the holder used.
Leaves to others where counters and balances are kept, and who is told.
"""

from protocols.errors import (
    AMOUNT_RANGE,
    GRANT_UNKNOWN,
    NOT_CAPABLE,
    OK,
    RECORD_TYPE,
    RETURN_EXCEEDS_RIGHTS,
    RIGHTS_SHORT,
)
from protocols.ledger import record
from protocols.ledger.holder import Counters, may_void, rights

GATE = "gate"
CANTEEN = "canteen"

# What each kind of device may write beside the records that every device writes.
_CAPABILITIES = {
    record.SALE: CANTEEN,
    record.VOID: CANTEEN,
    record.ITEM: CANTEEN,
    record.GRANT: CANTEEN,
    record.RETURN: CANTEEN,
    record.PASS: GATE,
}


def free(balance: int, slack: int, out: int, reserved: int = 0) -> int:
    """What the parent may still promise under one key, in minor units.

    `reserved`: what open payouts have not been paid yet, and what is uncovered() of
    the pupil's meal credit.  It is granted to nobody, or placement would take away
    again what tills gave back.
    """
    return balance + slack - out - reserved


def uncovered(balance: int, slack: int, out: int) -> int:
    """What a key has promised beyond what it holds, minor units.

    So a restore leaves it that forgot a repayment and not what was granted after it:
    until the repayment comes again, the purse must not give that much to others.
    """
    return max(0, -free(balance, slack, out))


def payable(outstanding: int, balance: int, out: int) -> int:
    """How much of a payout may leave now: free - L, so that neither a right nor the slack is paid out."""
    return max(0, min(outstanding, balance - out))


def missing(outstanding: int, balance: int, out: int) -> int:
    """How much must come back from holders before the whole of what payouts want can leave; at most `out`."""
    return max(0, min(out, outstanding - (balance - out)))


def grantable(wanted: int, spendable: int, held: int, cap: int, room: int) -> int:
    """How much to grant to one holder: at most `wanted`, what is free, CAP and the room of CAP_DEVICE.

    `held`: rights of this key that the holder has; `room`: CAP_DEVICE less all its rights.
    """
    return max(0, min(wanted, spendable, cap - held, room))


def capable(kind: str, record_type: int) -> int:
    """OK, or why a device of this kind may not write such a record."""
    if record_type not in record.TYPES:
        return RECORD_TYPE
    needed = _CAPABILITIES.get(record_type)
    return OK if needed is None or needed == kind else NOT_CAPABLE


def replay(counters: Counters, item: record.Record, sale=None, was_voided: bool = False) -> tuple:
    """(refusal, counters after) of one authentic record under its key.

    For a VOID the caller hands in the sale that it names, or None, and whether
    an earlier VOID names the same one.

    A refused record changes no counter, but for GRANT_UNKNOWN: rights that only
    the device knows of are reserved, though nothing is posted under them.
    """
    granted, returned, spent, voided = counters
    if item.type == record.SALE:
        if item.amount <= 0:
            return AMOUNT_RANGE, counters
        units = record.units_of(item)
        if units > rights(counters):
            return RIGHTS_SHORT, counters
        return OK, Counters(granted, returned, spent + units, voided)
    if item.type == record.VOID:
        refusal = may_void(sale, item, was_voided)
        if refusal:
            return refusal, counters
        return OK, Counters(granted, returned, spent, voided + record.units_of(item))
    if item.type == record.RETURN:
        if item.amount < returned:
            return AMOUNT_RANGE, counters
        if item.amount - returned > rights(counters):
            return RETURN_EXCEEDS_RIGHTS, counters
        return OK, Counters(granted, item.amount, spent, voided)
    if item.type == record.GRANT:
        if item.amount <= granted:
            return OK, counters
        return GRANT_UNKNOWN, Counters(item.amount, returned, spent, voided)
    return OK, counters
