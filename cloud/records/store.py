"""SQL that reads the table `record`.

Every statement walks the primary key, so that the cost does not grow with the years.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, and_, or_, select

from cloud import bulk
from cloud.db import device, record


def _joined() -> Any:
    same = and_(device.c.school_id == record.c.school_id, device.c.device_id == record.c.device_id)
    return select(record, device.c.label.label("device_label")).join(device, same)


def newest(
    conn: Connection, school_id: int, device_id: int, limit: int, before: tuple[int, int] | None
) -> Sequence[Any]:
    """A device's records, the newest first, below (epoch, seq)."""
    wanted = _joined().where(record.c.school_id == school_id, record.c.device_id == device_id)
    if before is not None:
        epoch, seq = before
        wanted = wanted.where(or_(record.c.epoch < epoch, and_(record.c.epoch == epoch, record.c.seq < seq)))
    return conn.execute(wanted.order_by(record.c.epoch.desc(), record.c.seq.desc()).limit(limit)).all()


def one(conn: Connection, school_id: int, device_id: int, epoch: int, seq: int) -> Any:
    return conn.execute(
        _joined().where(
            record.c.school_id == school_id,
            record.c.device_id == device_id,
            record.c.epoch == epoch,
            record.c.seq == seq,
        )
    ).one_or_none()


def of_number(conn: Connection, school_id: int, label: str, seq: int) -> Any:
    """The record of this number from the newest epoch that has it, by the device's label."""
    return conn.execute(
        _joined()
        .where(record.c.school_id == school_id, device.c.label == label, record.c.seq == seq)
        .order_by(record.c.epoch.desc())
        .limit(1)
    ).one_or_none()


def baskets(
    conn: Connection, school_id: int, device_ids: list[int], epochs: list[int], seqs: list[int]
) -> Sequence[Any]:
    """(device_id, epoch, seq of the sale, raw sale, raw item) of every item that these sales count."""
    # No more than a basket may have: what a foreign hand counts is not read.
    statement = (
        "SELECT s.device_id, s.epoch, s.seq, s.raw, i.raw FROM record s CROSS JOIN record i"
        " WHERE s.school_id = ? AND s.device_id IN ? AND s.epoch IN ? AND s.seq IN ?"
        " AND s.type = 6 AND (s.flags & 1) = 0 AND (s.aux & 65535) <= 16"
        " AND i.school_id = s.school_id AND i.device_id = s.device_id AND i.epoch = s.epoch"
        " AND i.seq >= s.seq - (s.aux & 65535) AND i.seq < s.seq ORDER BY s.seq, i.seq"
    )
    return bulk.select(conn, statement, (school_id, device_ids, epochs, seqs))
