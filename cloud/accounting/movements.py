"""The pending side of the books: rights out on devices, every change of them written down.

A grant is a pending transfer purse -> escrow of the holder; a sale posts a part
of it, a return or the void of a sale gives a part back.  Promises: each change
of G, R, S, V of a holder under a key is one row that nobody can edit, with what
caused it; the pending balance of a holder equals the sum of what is out on it.
Leaves the counters themselves, which are the sums of these rows, to those who
decide by them (devices, ingest): they call move() in the same transaction.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from cloud.accounting import store
from cloud.db import lock_school
from protocols.ids import hex8
from protocols.ledger.record import MEAL_CREDIT, MONEY

GRANTED, RETURNED, SPENT, VOIDED, CLAIMED = range(1, 6)
"""The counters G, R, S, V; CLAIMED: journaled by the device though nobody granted it: reserved, signed."""
SIGN = {GRANTED: 1, RETURNED: -1, SPENT: -1, VOIDED: 1, CLAIMED: 1}
"""How a counter moves what is out."""

BENEFITS = 2
"""The source of all buckets that are benefits; MONEY and MEAL_CREDIT are sources of their own."""
SOURCES = {MONEY: "", MEAL_CREDIT: ":credit", BENEFITS: ":benefits"}

BY_RECORD, BY_TABLE, BY_NEED, BY_OFFER, BY_OPENING = "record", "table", "need", "offer", "opening"
BY_EXPIRY = "expiry"
"""Causes; `cause_number` is the seq, the version, the number of the NEED, the row of downlink, 0, the day."""


class Movement(NamedTuple):
    """One change of one counter.  `amount`: minor units, of a benefit units; above 0 but for CLAIMED."""

    device_id: int
    epoch: int
    account_id: int
    bucket: int
    counter: int
    amount: int
    cause: str
    cause_number: int


def source_of(bucket: int) -> int:
    """What a bucket is drawn from: MONEY, MEAL_CREDIT or BENEFITS."""
    return min(bucket, BENEFITS)


def escrow(device_id: int, epoch: int, source: int = MONEY) -> str:
    """The code of what is pending on a holder."""
    return f"escrow:{hex8(device_id)}:{epoch}{SOURCES[source]}"


def grant(
    holder: tuple[int, int], key: tuple[int, int], more: int, claim: int, cause: tuple[str, int]
) -> Iterable[Movement]:
    """The movements of a grant of `more` to a holder (device, epoch) under a key (account, bucket).

    `claim`: what the device had claimed before beyond its grants; the grant covers it first.
    """
    yield Movement(*holder, *key, GRANTED, more, *cause)
    if claim:
        yield Movement(*holder, *key, CLAIMED, -min(more, claim), *cause)


def move(conn: Connection, school_id: int, movements: Sequence[Movement], now: int) -> None:
    """Write changes of counters in their order, in the caller's transaction."""
    if not movements:
        return
    lock_school(conn, school_id)
    first = store.movement_count(conn, school_id) + 1
    changes: defaultdict[tuple[int, int, int], int] = defaultdict(int)
    rows = []
    for number, movement in enumerate(movements, first):
        device_id, epoch, _account_id, bucket, counter, amount, _cause, _number = movement
        changes[device_id, epoch, source_of(bucket)] += SIGN[counter] * amount
        rows.append((school_id, number, *movement, now))
    store.add_movements(conn, rows)
    store.set_movement_count(conn, school_id, first - 1 + len(rows))
    store.add_to_pending(
        conn, [(school_id, *key, change) for key, change in sorted(changes.items()) if change]
    )


def pending(conn: Connection, school_id: int) -> dict[str, int]:
    """The pending balance of every holder, by code."""
    return {
        escrow(device_id, epoch, source): amount
        for device_id, epoch, source, amount in store.pending(conn, school_id)
    }
