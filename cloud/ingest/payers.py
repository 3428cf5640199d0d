"""Who pays for a sale that the rules let through, by the bucket whose right it used.

Promises: a fund pays for one meal of a pupil and day at most, and for none that
was re-rated: what a late journal brings beside that is paid like any late
record, by the purse where it has so much free, else it waits in suspense.
What the archive holds of an epoch that was closed because its journal had been
read was paid from its own rights, and is again, whatever the purse holds before
the bank's file is back: the money is not given away a second time.
"""

from collections.abc import Callable

from sqlalchemy import Connection

from cloud.accounting.service import CLAIM, credit, purse
from cloud.benefits import service as benefits
from cloud.ingest import store
from cloud.ingest.late import Late
from cloud.ingest.rights import RightKey
from protocols.ledger.record import MEAL_CREDIT, MEALS_A_DAY, MONEY

Lines = list[tuple[str, int]]


class Payers:
    """Over one batch.  `used`: S - V of all holders under a key before this sale; `is_again`: the batch
    reads the archive after a restore."""

    def __init__(
        self, conn: Connection, late: Late, used: Callable[[int, int, int], int], *, is_again: bool
    ) -> None:
        self._conn = conn
        self._late = late
        self._used = used
        self._is_again = is_again

    def lines(self, key: RightKey, amount: int, *, is_late: bool) -> Lines:
        """The postings up to the caterer's; they end in CLAIM where nobody pays yet.

        `is_late`: the epoch of the device was closed before.
        """
        account_id, bucket = key[3], key[4]
        if bucket not in (MONEY, MEAL_CREDIT):
            return self._fund(key, amount) or [(self._late.pays(key, amount), -amount)]
        if is_late and not (self._is_again and not store.is_released(self._conn, *key[:3])):
            return [(self._late.pays(key, amount), -amount)]
        return [(purse(account_id) if bucket == MONEY else credit(account_id), -amount)]

    def _fund(self, key: RightKey, amount: int) -> Lines:
        school_id, account_id, bucket = key[0], key[3], key[4]
        day, meal = divmod(bucket, MEALS_A_DAY)
        if self._used(school_id, account_id, bucket) > 0:
            return []
        place = account_id, day, meal
        if benefits.charges(self._conn, school_id, [place])[place].stands:
            return []
        return benefits.fund_lines(self._conn, school_id, account_id, day, meal, amount)


def claim(amount: int) -> Lines:
    """No purse and no fund is touched before a person decides."""
    return [(CLAIM, -amount)]
