"""SQL of the table `good`.  A good with an empty `meal` is off sale; its row keeps its name for old sales."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from cloud import bulk
from cloud.db import good, published_price


def all_of(conn: Connection, school_id: int) -> Sequence[Any]:
    return bulk.select(
        conn, "SELECT * FROM good WHERE school_id = ? ORDER BY from_minute, good_id", (school_id,)
    )


def highest_published(conn: Connection, school_id: int) -> int:
    """The highest good_id that devices were ever told of; 0 before the first."""
    statement = select(func.max(published_price.c.good_id)).where(published_price.c.school_id == school_id)
    return conn.execute(statement).scalar() or 0


def add(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        conn.execute(insert(good), rows)


def change(conn: Connection, school_id: int, good_id: int, values: dict[str, Any]) -> None:
    conn.execute(
        update(good).where(good.c.school_id == school_id, good.c.good_id == good_id).values(**values)
    )
