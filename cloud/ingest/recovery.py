"""Recovery after a restore: a new incarnation, the raw archive read again, nothing granted meanwhile.

Promises: the incarnation is above every number seen, and in the archive before
the database has it; reading the archive is idempotent, since records are known
by (device, epoch, seq) and grants are totals; a grant in the archive is proof, a
grant that only a device knows is reserved; prices that were told stay prices.
The end comes by itself when every open till's journal is read up to a table
that it got from this incarnation (devices.end_recovery).
"""

from collections.abc import Iterator

from sqlalchemy import Connection

from cloud.alarms import service as alarms
from cloud.archive import Archive, Branch, Decided, Grants, Incarnation, Item, Prices, Records
from cloud.db import lock_school
from cloud.devices import service as devices
from cloud.ingest import store
from cloud.ingest.fleet import Fleet
from cloud.ingest.inbox import Inbox, nothing
from cloud.keys import Vault
from protocols.ledger import record

_PART = 2000


class Restored(Exception):
    """Somebody knows more than the database: carries school_id to (reason, the incarnation seen)."""

    def __init__(self, schools: dict[int, tuple[str, int]]) -> None:
        super().__init__(schools)
        self.schools = schools


def begin(
    conn: Connection,
    vault: Vault,
    archive: Archive,
    school_id: int,
    reason: str,
    above: int,
    number: int,
    now: int,
) -> int:
    """Start a new incarnation in recovery mode; `number` is its random id.  Returns its counter."""
    lock_school(conn, school_id)
    devices.read_registry(conn, vault, school_id)
    # The registry may be all that is left of a lost life: its devices are not read by this incarnation yet.
    known = max(highest(archive, school_id), devices.highest_enrolled(vault, school_id))
    counter = 1 + max(above, store.incarnation(conn, school_id), known)
    archive.append([Incarnation(school_id, counter, number, now)], now)
    store.begin_incarnation(conn, school_id, counter, number, reason)
    alarms.raise_alarm(conn, school_id, "recovery", f"incarnation {counter}: {reason}", now)
    return counter


def highest(archive: Archive, school_id: int) -> int:
    """The highest incarnation of a school that its archive has heard of."""
    found = 0
    for item in archive.read():
        if item.school_id != school_id:
            continue
        if isinstance(item, Incarnation):
            found = max(found, item.counter)
        elif isinstance(item, Records):
            for start in range(0, len(item.raw), record.SIZE):
                if item.raw[start] == record.INCARN:
                    found = max(found, record.unpack(item.raw, start).aux)
    return found


def parts(archive: Archive, school_id: int) -> Iterator[list[Item]]:
    """What the archive holds of a school, in its order, in parts for one transaction each."""
    part: list[Item] = []
    size = 0
    for item in archive.read():
        if item.school_id != school_id or isinstance(item, Incarnation | Decided):
            continue
        part.append(item)
        size += len(item.rows) if isinstance(item, Grants | Prices) else len(item.raw) // record.SIZE
        if size >= _PART:
            yield part
            part, size = [], 0
    if part:
        yield part


def decided(archive: Archive, school_id: int) -> list[Decided]:
    """What people of a school decided, which no device says again, in the order of the archive."""
    return [item for item in archive.read() if isinstance(item, Decided) and item.school_id == school_id]


def inbox_of(conn: Connection, fleet: Fleet, items: list[Item]) -> Inbox:
    """An inbox without messages that knows the devices of these items, in every epoch."""
    places = {
        (item.school_id, item.device_id, item.epoch)
        for item in items
        if isinstance(item, Records | Grants | Branch)
    }
    present = fleet.read(conn, {place[:2] for place in places})
    older = fleet.read_older(conn, places)
    return nothing(present)._replace(older=older)
