"""SQL of the table `passage`."""

from collections.abc import Sequence

from sqlalchemy import Connection, Row, func, select

from cloud import bulk
from cloud.db import insert_rows, passage

_ORDER = (passage.c.happened_at, passage.c.device_id, passage.c.epoch, passage.c.seq)


def known(conn: Connection, school_id: int, device_id: int, epoch: int, seqs: list[int]) -> set[int]:
    """Which of these records of one device stand here already."""
    statement = "SELECT seq FROM passage WHERE school_id = ? AND device_id = ? AND epoch = ? AND seq IN ?"
    return {row[0] for row in bulk.select(conn, statement, (school_id, device_id, epoch, seqs))}


def add(conn: Connection, rows: Sequence[tuple]) -> None:
    """Rows in the order of the table's columns."""
    insert_rows(conn, passage, rows)


def of_day(conn: Connection, school_id: int, account_id: int, day: int) -> Sequence[Row]:
    return conn.execute(
        select(passage)
        .where(passage.c.school_id == school_id, passage.c.account_id == account_id, passage.c.day == day)
        .order_by(*_ORDER)
    ).all()


def counts(conn: Connection, school_id: int, day: int | None) -> Sequence[Row]:
    """(direction, turned, number) of a day, or of all days."""
    wanted = (
        select(passage.c.direction, passage.c.turned, func.count().label("number"))
        .where(passage.c.school_id == school_id)
        .group_by(passage.c.direction, passage.c.turned)
    )
    if day is not None:
        wanted = wanted.where(passage.c.day == day)
    return conn.execute(wanted).all()
