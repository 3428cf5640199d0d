"""Records that come after their epoch was closed: who pays for what was sold.

Promises: first what was set aside when the holder was released, then what the
purse has left beside all rights that are out, else suspense for a person; a
purse never falls below what its other holders may spend.
"""

from collections.abc import Callable

from sqlalchemy import Connection

from cloud.accounting.service import CLAIM, purse
from cloud.ingest import store
from cloud.ingest.rights import RightKey

LOSS = "loss:device"
SUSPENSE_LATE = "suspense:late"


class Late:
    """Who pays, over one batch.  `spendable`: what a purse has free (school_id, account_id)."""

    def __init__(self, conn: Connection, spendable: Callable[[int, int], int]) -> None:
        self._conn = conn
        self._spendable = spendable
        self._taken: dict[tuple[int, int], int] = {}

    def pays(self, key: RightKey, amount: int) -> str:
        """The account to debit: LOSS, the purse, or CLAIM when the money must wait in SUSPENSE_LATE."""
        if store.use_release(self._conn, *key, amount):
            return LOSS
        school_id, account_id = key[0], key[3]
        place = school_id, account_id
        taken = self._taken.get(place, 0)
        if self._spendable(school_id, account_id) - taken >= amount:
            self._taken[place] = taken + amount
            return purse(account_id)
        return CLAIM
