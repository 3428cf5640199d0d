"""Records of devices as people read them.

Promises: nothing is changed or judged here; the newest record of each device is
found without reading the older ones.  Leaves the books to accounting, names to
people, and who may look to the pages.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.formats import is_known_time
from cloud.records import store
from cloud.records.view import RecordView, view
from protocols.ids import hex8
from protocols.ledger import basket
from protocols.ledger.basket import Line
from protocols.ledger.record import SALE, SALE_SINGLE, Record, unpack

Place = tuple[int, int, int]
"""device_id, epoch, seq"""
Lines = tuple[Line, ...]
"""What was sold: good, quantity, price of one unit in minor units."""

__all__ = ["RecordView", "view"]


class Kept(NamedTuple):
    """A record in the cloud: where it came from, when it came (UTC seconds), and what it says.

    `lines`: what a sale sold, or what the item of a basket says.
    """

    device_key: str
    device_label: str
    device_id: int
    epoch: int
    seq: int
    received_at: int
    refusal: int
    view: RecordView
    lines: Lines

    @property
    def at(self) -> int:
        """When it happened; when the cloud learnt of it if the device's clock was not set yet."""
        return self.view.time if is_known_time(self.view.time) else self.received_at

    @property
    def is_time_known(self) -> bool:
        """Whether the device's own time says when it happened."""
        return is_known_time(self.view.time)


def newest(conn: Connection, school_id: int, device_ids: Iterable[int], limit: int = 30) -> list[Kept]:
    """The newest records of several devices together, by the time the cloud learnt of them."""
    found = [
        kept
        for device_id in device_ids
        for kept in _kept(conn, school_id, store.newest(conn, school_id, device_id, limit, None))
    ]
    return sorted(found, key=lambda kept: (kept.received_at, kept.at, kept.seq), reverse=True)[:limit]


def of_device(
    conn: Connection, school_id: int, device_id: int, limit: int = 30, before: tuple[int, int] | None = None
) -> list[Kept]:
    """The newest records of one device; `before`: (epoch, seq) of the last one already seen."""
    return _kept(conn, school_id, store.newest(conn, school_id, device_id, limit, before))


def one(conn: Connection, school_id: int, device_id: int, epoch: int, seq: int) -> Kept | None:
    """One record, or None."""
    row = store.one(conn, school_id, device_id, epoch, seq)
    return None if row is None else _kept(conn, school_id, [row])[0]


def of_number(conn: Connection, school_id: int, label: str, seq: int) -> Kept | None:
    """The record that people mean by `line-1 5417`, or None."""
    row = store.of_number(conn, school_id, label, seq)
    return None if row is None else _kept(conn, school_id, [row])[0]


def lines_of_sales(conn: Connection, school_id: int, rows: Iterable[Any]) -> dict[Place, Lines]:
    """What the SALEs among these rows of `record` sold; a basket that its items do not make up is left out.

    Rows have device_id, epoch, seq, type, flags, amount and aux.  One statement for all baskets.
    """
    found: dict[Place, Lines] = {}
    baskets: list[Place] = []
    for row in rows:
        if row.type == SALE and row.flags & SALE_SINGLE:
            found[row.device_id, row.epoch, row.seq] = (Line(row.aux & 0xFFFF, 1, row.amount),)
        elif row.type == SALE:
            baskets.append((row.device_id, row.epoch, row.seq))
    return found | _baskets(conn, school_id, baskets) if baskets else found


def _baskets(conn: Connection, school_id: int, wanted: list[Place]) -> dict[Place, Lines]:
    device_ids, epochs, seqs = (sorted({place[part] for place in wanted}) for part in range(3))
    runs: defaultdict[Place, tuple[Record, ...]] = defaultdict(tuple)
    sales: dict[Place, Record] = {}
    for device_id, epoch, seq, sale, item in store.baskets(conn, school_id, device_ids, epochs, seqs):
        place = device_id, epoch, seq
        sales[place] = unpack(bytes(sale))
        runs[place] = basket.follow(runs[place], unpack(bytes(item)))
    return {
        place: tuple(map(basket.line_of, basket.committed(runs[place], sales[place])[1]))
        for place in wanted
        if place in sales
    }


def _kept(conn: Connection, school_id: int, rows: Sequence[Any]) -> list[Kept]:
    sold = lines_of_sales(conn, school_id, rows)
    kept = []
    for row in rows:
        seen = view(bytes(row.raw))
        kept.append(
            Kept(
                hex8(row.device_id),
                row.device_label,
                row.device_id,
                row.epoch,
                row.seq,
                row.received_at,
                row.refusal,
                seen,
                sold.get((row.device_id, row.epoch, row.seq), seen.lines),
            )
        )
    return kept
