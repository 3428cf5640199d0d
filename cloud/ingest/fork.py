"""Two journals of one epoch: a device that was copied or rolled back.

Promises: an epoch is put under quarantine only by authentic records that say
other things under the same seq, or stand behind another chain, never by a HELLO
alone; the first branch that came stays the journal, the losing one is kept byte
for byte and its money waits in suspense, where no purse is touched.
"""

import structlog
from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.accounting.service import CLAIM, Entry
from cloud.alarms import service as alarms
from cloud.archive import Branch
from cloud.ingest import chain, store
from cloud.ingest.fleet import Device
from protocols.errors import CHAIN_FORK
from protocols.ids import hex8
from protocols.ledger import record
from protocols.wire.messages import Recs

SUSPENSE_FORK = "suspense:fork"
log = structlog.get_logger("ingest")


class Forks:
    """The losing branches of one batch.  `frames`: what must be in the archive before the commit."""

    def __init__(self, conn: Connection, now: int) -> None:
        self._conn = conn
        self._now = now
        self.frames: list[Branch] = []
        self.quarantined: list[Device] = []
        """Epochs that this batch put under quarantine."""

    def take(self, device: Device, recs: Recs, known: chain.Known, refusal: int) -> bool:
        """Whether these authentic records belong to a losing branch; if so they are kept."""
        if refusal != CHAIN_FORK and not self._goes_on(device, recs):
            return False
        macs = chain.macs(device.keys.chain, recs)
        if not macs:
            return False  # not a journal of this device, whatever sent it
        main_raw = known(recs.from_seq, min(recs.from_seq + recs.count, device.next_seq))
        rows = []
        for number, mac in enumerate(macs):
            start, end = number * record.SIZE, (number + 1) * record.SIZE
            if main_raw[start:end] != recs.raw[start:end]:
                rows.append((recs.from_seq + number, mac, recs.raw[start:end]))
        place = (*device.key, device.epoch)
        before = store.fork_macs(self._conn, *place, [seq for seq, _mac, _raw in rows])
        fresh = [row for row in rows if (row[0], row[1]) not in before]
        if fresh:
            self.frames.append(Branch(*place, self._now, recs.previous_mac, recs.raw))
            store.add_fork_records(self._conn, [(*place, *row, self._now) for row in fresh])
            self._post(device, fresh)
        if device.status == "open":
            self._quarantine(device, recs)
        return True

    def _goes_on(self, device: Device, recs: Recs) -> bool:
        """Whether these follow a branch that was kept before."""
        if device.status == "open":
            return False
        place = (*device.key, device.epoch)
        known = store.fork_macs(self._conn, *place, [recs.from_seq - 1])
        return (recs.from_seq - 1, recs.previous_mac) in known

    def _quarantine(self, device: Device, recs: Recs) -> None:
        device.status, device.lock_reason = "quarantined", CHAIN_FORK
        store.set_status(self._conn, *device.key, device.epoch, "quarantined", CHAIN_FORK)
        detail = f"{hex8(device.device_id)} epoch {device.epoch}: two journals from record {recs.from_seq}"
        alarms.raise_alarm(self._conn, device.school_id, "fork", detail, self._now)
        self.quarantined.append(device)
        log.error("device under quarantine", device=hex8(device.device_id), epoch=device.epoch)

    def _post(self, device: Device, fresh: list[tuple[int, bytes, bytes]]) -> None:
        """The money of these records into suspense: a sale as a claim, its void takes the claim back."""
        entries = []
        for seq, mac, raw in fresh:
            item = record.unpack(raw)
            source = device.device_id, device.epoch, seq
            key = f"{hex8(device.device_id)}:{device.epoch}:{seq}:{mac[:8].hex()}"
            if item.type == record.SALE and item.amount > 0:
                lines = ((CLAIM, -item.amount), (SUSPENSE_FORK, item.amount))
                entries.append(Entry(f"fork:{key}", "sale", item.time, lines, *source, "losing branch"))
            elif item.type == record.VOID and item.amount > 0 and self._has_sale(device, item):
                lines = ((SUSPENSE_FORK, -item.amount), (CLAIM, item.amount))
                reason = f"losing branch, void of record {item.aux}"
                entries.append(Entry(f"fork:{key}", "reversal", item.time, lines, *source, reason))
        accounting.post(self._conn, device.school_id, entries, self._now)

    def _has_sale(self, device: Device, void: record.Record) -> bool:
        """Whether the sale that a void names stands in a losing branch too."""
        raws = store.fork_raws(self._conn, *device.key, device.epoch, void.aux)
        sales = [item for item in map(record.unpack, raws) if item.type == record.SALE]
        return any((sale.account, sale.amount) == (void.account, void.amount) for sale in sales)
