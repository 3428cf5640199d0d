"""The escrow counters that a batch touches, of all holders of the accounts it speaks of.

Promises: read once for all accounts of a batch, written once, inside the
batch's transaction, and every change of a counter told to the books with its
cause.  The rules themselves are protocols.ledger's.
"""

from collections.abc import Iterable

from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.accounting.service import Movement
from cloud.ingest import store
from protocols.ledger.holder import NONE, Counters, rights


class Right:
    """The counters of one holder under one key, as the cloud knows them: G, R, S, V in `counters`.

    `journaled`: the highest G that the device has written down; `tabled`: the G
    of its newest table; `recall_target`: the highest R it was asked for; `closed`:
    its epoch is over, and nothing is reserved for it any more.
    """

    __slots__ = ("closed", "counters", "journaled", "online", "recall_target", "tabled")

    def __init__(self) -> None:
        self.counters: Counters = NONE
        self.recall_target = self.journaled = self.tabled = 0
        self.online = self.closed = False

    @property
    def rights(self) -> int:
        """What the holder may still spend, as far as its journal is known."""
        return rights(self.counters)

    @property
    def out(self) -> int:
        """What is reserved for it: also a grant that only the device claims to have."""
        return rights(self.counters) + self.claim

    @property
    def claim(self) -> int:
        """What only the device says that it was granted."""
        return max(0, self.journaled - self.counters.granted)


RightKey = tuple[int, int, int, int, int]
"""school_id, device_id, epoch, account_id, bucket"""


class Rights:
    """The rights that a batch touches: read once for all its accounts, written once."""

    def __init__(self) -> None:
        self._rights: dict[RightKey, Right] = {}
        self._holders: dict[tuple[int, int, int], list[RightKey]] = {}
        self._over: dict[tuple[int, int, int], list[RightKey]] = {}
        self._read: set[tuple[int, int]] = set()
        self._dirty: dict[RightKey, Right] = {}
        self._moved: dict[int, list[Movement]] = {}

    def read(self, conn: Connection, accounts: Iterable[tuple[int, int]]) -> None:
        """Read all holders' rows of (school_id, account_id) pairs that were not read yet."""
        of_school: dict[int, list[int]] = {}
        for school_id, account_id in set(accounts) - self._read:
            of_school.setdefault(school_id, []).append(account_id)
            self._read.add((school_id, account_id))
        for school_id, ids in of_school.items():
            for row in store.rights(conn, school_id, ids):
                key = (school_id, *row[:4])
                right = self._rights[key] = Right()
                right.counters = Counters(*row[4:8])
                right.recall_target, right.journaled, right.tabled, right.online, right.closed = row[8:]
                listed = self._over if right.closed else self._holders
                listed.setdefault((school_id, key[3], key[4]), []).append(key)

    def get(self, key: RightKey) -> Right:
        """The counters of a key; zeros for one never seen.  Changes need `touch`."""
        right = self._rights.get(key)
        if right is None:
            right = self._rights[key] = Right()
            self._holders.setdefault((key[0], key[3], key[4]), []).append(key)
        return right

    def touch(self, key: RightKey) -> Right:
        """The counters of a key, to be changed; they are written with the batch."""
        right = self.get(key)
        self._dirty[key] = right
        return right

    def holders(self, school_id: int, account_id: int, bucket: int) -> list[tuple[RightKey, Right]]:
        """Every holder that may have something under a key."""
        keys = self._holders.get((school_id, account_id, bucket), [])
        return [(key, self._rights[key]) for key in keys]

    def out(self, school_id: int, account_id: int, bucket: int) -> int:
        """What all holders together may still spend."""
        return sum(right.out for _key, right in self.holders(school_id, account_id, bucket))

    def used(self, school_id: int, account_id: int, bucket: int) -> int:
        """S - V of all holders under a key, also of those whose epoch is over."""
        place = school_id, account_id, bucket
        keys = [*self._holders.get(place, ()), *self._over.get(place, ())]
        return sum(self._rights[key].counters.spent - self._rights[key].counters.voided for key in keys)

    def grant(self, key: RightKey, more: int, cause: tuple[str, int]) -> int:
        """Raise G; returns the new total."""
        right = self.touch(key)
        self._list(key).extend(accounting.grant(key[1:3], key[3:], more, right.claim, cause))
        right.counters = right.counters._replace(granted=right.counters.granted + more)
        return right.counters.granted

    def replayed(self, key: RightKey, after: Counters, seq: int) -> None:
        """R, S or V moved by what the device journaled under `seq`."""
        right = self.touch(key)
        moved = self._list(key)
        for counter, (old, new) in enumerate(zip(right.counters, after), 1):
            if new != old:
                moved.append(Movement(*key[1:], counter, new - old, accounting.BY_RECORD, seq))
        right.counters = after

    def sold(self, key: RightKey, right: Right, after: Counters, seq: int) -> None:
        """The same for a sale, which moves S alone: `right` is what `get` gave for the key."""
        units = after.spent - right.counters.spent
        self._list(key).append(Movement(*key[1:], accounting.SPENT, units, accounting.BY_RECORD, seq))
        right.counters = after
        self._dirty[key] = right

    def journaled(self, key: RightKey, total: int, seq: int) -> None:
        """The device journaled this G total: what nobody gave it is reserved."""
        right = self.touch(key)
        before = right.claim
        right.journaled = max(right.journaled, total)
        if right.claim != before:
            cause = accounting.BY_RECORD, seq
            self._list(key).append(Movement(*key[1:], accounting.CLAIMED, right.claim - before, *cause))

    def _list(self, key: RightKey) -> list[Movement]:
        return self._moved.setdefault(key[0], [])

    def write(self, conn: Connection, now: int) -> None:
        """Write what was touched, and what moved since the last time."""
        rows = [
            (*key, *right.counters, right.recall_target, right.journaled, right.tabled)
            for key, right in self._dirty.items()
        ]
        store.write_rights(conn, rows)
        self._dirty.clear()
        for school_id, moved in sorted(self._moved.items()):
            accounting.move(conn, school_id, moved, now)
        self._moved.clear()
