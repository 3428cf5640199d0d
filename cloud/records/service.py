"""Records of devices as people read them.

Promises: nothing is changed or judged here; the newest record of each device is
found without reading the older ones.  Leaves the books to accounting, names to
people, and who may look to the pages.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.formats import is_known_time
from cloud.records import store
from cloud.records.view import RecordView, view
from protocols.ids import hex8

__all__ = ["RecordView", "view"]


class Kept(NamedTuple):
    """A record in the cloud: where it came from, when it came (UTC seconds), and what it says."""

    device_key: str
    device_label: str
    device_id: int
    epoch: int
    seq: int
    received_at: int
    refusal: int
    view: RecordView

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
        _kept(row)
        for device_id in device_ids
        for row in store.newest(conn, school_id, device_id, limit, None)
    ]
    return sorted(found, key=lambda kept: (kept.received_at, kept.at, kept.seq), reverse=True)[:limit]


def of_device(
    conn: Connection, school_id: int, device_id: int, limit: int = 30, before: tuple[int, int] | None = None
) -> list[Kept]:
    """The newest records of one device; `before`: (epoch, seq) of the last one already seen."""
    return [_kept(row) for row in store.newest(conn, school_id, device_id, limit, before)]


def one(conn: Connection, school_id: int, device_id: int, epoch: int, seq: int) -> Kept | None:
    """One record, or None."""
    row = store.one(conn, school_id, device_id, epoch, seq)
    return None if row is None else _kept(row)


def of_number(conn: Connection, school_id: int, label: str, seq: int) -> Kept | None:
    """The record that people mean by `line-1 5417`, or None."""
    row = store.of_number(conn, school_id, label, seq)
    return None if row is None else _kept(row)


def _kept(row: Any) -> Kept:
    return Kept(
        hex8(row.device_id),
        row.device_label,
        row.device_id,
        row.epoch,
        row.seq,
        row.received_at,
        row.refusal,
        view(bytes(row.raw)),
    )
