"""SQL of the table `good`.  A good with an empty `meal` is off sale; its row keeps its name for old sales."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, insert

from cloud import bulk
from cloud.db import good


def all_of(conn: Connection, school_id: int) -> Sequence[Any]:
    return bulk.select(
        conn, "SELECT * FROM good WHERE school_id = ? ORDER BY from_minute, good_id", (school_id,)
    )


def highest_published(conn: Connection, school_id: int) -> int:
    """The highest good_id that devices were ever told of; 0 before the first."""
    statement = "SELECT max(good_id) FROM published_price WHERE school_id = ?"
    return bulk.select(conn, statement, (school_id,))[0][0] or 0


def add(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        conn.execute(insert(good), rows)


def change(conn: Connection, school_id: int, good_id: int, values: dict[str, Any]) -> None:
    columns = ", ".join(f"{good.c[name].name} = ?" for name in values)
    statement = f"UPDATE good SET {columns} WHERE school_id = ? AND good_id = ?"  # noqa: S608 our own names
    bulk.run(conn, statement, (*values.values(), school_id, good_id))
