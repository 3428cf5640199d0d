"""The batch that reads the raw archive again, after a restore.

Promises: what the database knows already changes nothing; nothing is published
and nothing is archived a second time.
"""

from functools import partial

from cloud.archive import Branch, Grants, Item, Prices, Records
from cloud.ingest import chain
from cloud.ingest.batch import Batch
from protocols.errors import CHAIN_FORK

BY_ARCHIVE = "archive", 0


class Again(Batch):
    """A part of the archive, inside one transaction."""

    is_again = True

    def read_again(self, items: list[Item]) -> None:
        """Take what the archive holds: prices and grants first, which are proofs, then what devices sent."""
        for item in items:
            if isinstance(item, Prices):
                self._prices.tell_again(self._conn, item)
        of_epoch = {(*d.key, d.epoch): d for d in (*self._devices.values(), *self._inbox.older.values())}
        grants = [item for item in items if isinstance(item, Grants) and item[:3] in of_epoch]
        self._rights.read(self._conn, ((one.school_id, row[0]) for one in grants for row in one.rows))
        for one in grants:
            for account_id, bucket, total in one.rows:
                key = (*one[:3], account_id, bucket)
                more = total - self._rights.get(key).counters.granted
                if more > 0:
                    self._rights.grant(key, more, BY_ARCHIVE)
        for item in items:
            device = of_epoch.get(item[:3]) if isinstance(item, Records | Branch) else None
            if device is not None and isinstance(item, Records):
                taken = chain.archived(device.keys.chain, device.next_seq, device.head_mac, item.raw)
                self.go_on(device, taken)
            elif device is not None and isinstance(item, Branch):
                recs = chain.of_branch(device.keys.chain, item.previous_mac, item.raw)
                self._forks.take(device, recs, partial(self._known, device), CHAIN_FORK)
        self._judge()
