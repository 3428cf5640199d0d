"""SQL of the table `good`.  A good with an empty `meal` is off sale; its row keeps its name for old sales."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from cloud.db import good


def all_of(conn: Connection, school_id: int) -> Sequence[Row]:
    return conn.execute(
        select(good).where(good.c.school_id == school_id).order_by(good.c.from_minute, good.c.good_id)
    ).all()


def add(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        conn.execute(insert(good), rows)


def change(conn: Connection, school_id: int, good_id: int, values: dict[str, Any]) -> None:
    conn.execute(
        update(good).where(good.c.school_id == school_id, good.c.good_id == good_id).values(**values)
    )
