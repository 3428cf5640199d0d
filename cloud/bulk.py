"""Many rows in few statements, the same on both databases: db.py's half for the hot paths.

Promises: one prepared statement for a list of tuples, one COPY where PostgreSQL
takes it, look-ups of many keys with one parameter, exceptions of SQLAlchemy.
Statements are written with `?` places.  Leaves the statements themselves to
the stores; text never comes from outside of them.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

ROWS_AT_ONCE = 50

Rows = Sequence[tuple[Any, ...]]
Question = tuple[str, tuple[Any, ...]]
"""A statement with `?` places and its values."""

_TOGETHER = "statements go out together"
_FEW = 4  # up to here a prepared INSERT is quicker than the three steps of a COPY


def driver_sql(conn: Connection, statement: str) -> str:
    """A statement in the spelling of the connection's driver: `?` is a value, `IN ?` is any of a list."""
    if conn.dialect.name == "sqlite":
        return statement.replace("IN ?", "IN (SELECT value FROM json_each(?))")
    return statement.replace("IN ?", "= ANY(?)").replace("?", "%s")


def _driver_values(conn: Connection, values: tuple[Any, ...]) -> tuple[Any, ...]:
    if conn.dialect.name != "sqlite":
        return values
    return tuple(json.dumps(value) if isinstance(value, list) else value for value in values)


def run(conn: Connection, statement: str, values: tuple[Any, ...] = ()) -> int:
    """Run one statement; returns how many rows it touched."""
    return int(conn.exec_driver_sql(driver_sql(conn, statement), _driver_values(conn, values)).rowcount)


def run_many(conn: Connection, statement: str, rows: Rows) -> None:
    """Run a statement for each tuple: prepared once, no dictionaries on the hot path."""
    if not rows:
        return
    if conn.info.get(_TOGETHER, False):
        driver: Any = conn.connection.driver_connection
        for row in rows:
            driver.execute(driver_sql(conn, statement), row)
        return
    conn.exec_driver_sql(driver_sql(conn, statement), list(rows))


def select(conn: Connection, statement: str, values: tuple[Any, ...] = ()) -> Sequence[Any]:
    """The rows of a statement; a list of numbers or texts stands for `IN ?`, of any length."""
    return conn.exec_driver_sql(driver_sql(conn, statement), _driver_values(conn, values)).all()


def answers(conn: Connection, *questions: Question) -> list[list[tuple[Any, ...]]]:
    """The rows of several statements, with values as for select(); PostgreSQL is asked once for all.

    In the order given, so that what stands behind a lock is read under it.
    """
    if conn.dialect.name != "postgresql":
        return [[tuple(row) for row in select(conn, *question)] for question in questions]
    with _at_once(conn) as driver:
        cursors = [driver.execute(driver_sql(conn, statement), values) for statement, values in questions]
    return [cursor.fetchall() for cursor in cursors]


def insert_rows(conn: Connection, table: Table, rows: Rows, columns: Sequence[str] | None = None) -> None:
    """Insert tuples in the order of `columns`, by default all of the table.  JSON goes in as text."""
    if not rows:
        return
    names = ", ".join(columns or table.columns.keys())
    if conn.dialect.name == "postgresql" and len(rows) > _FEW:
        _copy(conn, f"COPY {table.name} ({names}) FROM STDIN", rows)
        return
    _insert(conn, f"INSERT INTO {table.name} ({names}) VALUES", rows, "")


def merge_rows(conn: Connection, table: Table, rows: Rows, keys: Sequence[str], change: str) -> None:
    """Insert tuples of all columns; where a row with the same keys is there, do `change` to it instead.

    In `change` the new values are `excluded.name`.  No two of the tuples have the same keys.
    """
    if not rows:
        return
    names = ", ".join(table.columns.keys())
    tail = f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {change}"
    _insert(conn, f"INSERT INTO {table.name} ({names}) VALUES", rows, tail)


def _insert(conn: Connection, head: str, rows: Rows, tail: str) -> None:
    """Many rows in each statement: on both databases that halves the cost of a row."""
    one = "(" + ", ".join("?" * len(rows[0])) + ")"
    size = len(rows) if conn.info.get(_TOGETHER, False) else ROWS_AT_ONCE
    whole = len(rows) - len(rows) % size
    if whole:
        many = ", ".join([one] * size)
        parts = [tuple(chain.from_iterable(rows[start : start + size])) for start in range(0, whole, size)]
        run_many(conn, f"{head} {many}{tail}", parts)
    run_many(conn, f"{head} {one}{tail}", rows[whole:])


@contextmanager
def together(conn: Connection, row_count: int) -> Iterator[None]:
    """Statements without results, sent to PostgreSQL as one: they cost one way to the server and back.

    For `row_count` rows at most in each; where that is many, and on SQLite, they go one by one.
    """
    if conn.dialect.name != "postgresql" or row_count > _FEW:
        yield
        return
    with _at_once(conn):
        conn.info[_TOGETHER] = True
        try:
            yield
        finally:
            del conn.info[_TOGETHER]


@contextmanager
def _at_once(conn: Connection) -> Iterator[Any]:
    """The driver of a PostgreSQL connection, while what it is told goes out together."""
    driver: Any = conn.connection.driver_connection
    base = conn.dialect.dbapi.Error  # type: ignore[union-attr]
    try:
        with driver.pipeline():
            yield driver
    except base as error:
        raise DBAPIError.instance("pipeline", None, error, base, dialect=conn.dialect) from error


def _copy(conn: Connection, statement: str, rows: Rows) -> None:
    driver: Any = conn.connection.driver_connection
    base = conn.dialect.dbapi.Error  # type: ignore[union-attr]
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except base as error:
        # COPY goes past SQLAlchemy; its callers wait for SQLAlchemy's exceptions.
        raise DBAPIError.instance(statement, None, error, base, dialect=conn.dialect) from error


def tuples(conn: Connection, statement: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """As select(), straight from the driver, for passes over millions of rows.

    The transaction must be open already, and the driver's exceptions are its own.
    """
    driver: Any = conn.connection.driver_connection
    cursor = driver.cursor()
    try:
        cursor.execute(driver_sql(conn, statement), _driver_values(conn, values))
        found: list[tuple[Any, ...]] = cursor.fetchall()
    finally:
        cursor.close()
    return found
