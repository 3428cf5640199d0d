"""Many rows in few statements, the same on both databases: db.py's half for the hot paths.

Promises: one prepared statement for a list of tuples, one COPY where PostgreSQL
takes it, look-ups of many keys with one parameter, exceptions of SQLAlchemy.
Statements are written with `?` places.  Leaves the statements themselves to
the stores; text never comes from outside of them.

Statements go to the driver itself: SQLAlchemy's way around one costs ten times a
look-up on SQLite.  Where somebody watches SQLAlchemy's statements they go its way.
"""

import json
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from itertools import chain
from typing import Any, NoReturn

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


def _is_watched(conn: Connection) -> bool:
    """Whether somebody wants to hear of each statement, as tests do."""
    return bool(conn.engine.dispatch.before_cursor_execute)


def _driver(conn: Connection) -> Any:
    """The driver's own connection, in a transaction that SQLAlchemy knows of."""
    if not conn.in_transaction():
        conn.begin()
    return conn.connection.driver_connection


def _driver_error(conn: Connection) -> type[Exception]:
    return conn.dialect.dbapi.Error  # type: ignore[union-attr]


def _raise(conn: Connection, statement: str, error: Exception) -> NoReturn:
    """What was past SQLAlchemy raises SQLAlchemy's exceptions, without what stands in the rows."""
    base = _driver_error(conn)
    if conn.dialect.is_disconnect(error, conn.connection.dbapi_connection, None):  # type: ignore[arg-type]
        conn.invalidate(error)
    raise DBAPIError.instance(statement, None, error, base, dialect=conn.dialect) from error


@lru_cache(256)
def _row_class(names: tuple[str, ...]) -> Callable[[tuple[Any, ...]], Any]:
    """Makes a row, with its columns by name, of what the driver found."""
    return partial(tuple.__new__, namedtuple("Row", names, rename=True))


def run(conn: Connection, statement: str, values: tuple[Any, ...] = ()) -> int:
    """Run one statement; returns how many rows it touched."""
    statement, values = driver_sql(conn, statement), _driver_values(conn, values)
    if _is_watched(conn):
        return int(conn.exec_driver_sql(statement, values).rowcount)
    driver = _driver(conn)
    try:
        return int(driver.execute(statement, values).rowcount)
    except _driver_error(conn) as error:
        _raise(conn, statement, error)


def run_many(conn: Connection, statement: str, rows: Rows) -> None:
    """Run a statement for each tuple: prepared once, no dictionaries on the hot path."""
    if not rows:
        return
    statement = driver_sql(conn, statement)
    if conn.info.get(_TOGETHER, False):
        driver: Any = conn.connection.driver_connection
        for row in rows:
            driver.execute(statement, row)
        return
    if _is_watched(conn):
        conn.exec_driver_sql(statement, list(rows))
        return
    cursor = _driver(conn).cursor()
    try:
        cursor.executemany(statement, rows)
    except _driver_error(conn) as error:
        _raise(conn, statement, error)
    finally:
        cursor.close()


def select(conn: Connection, statement: str, values: tuple[Any, ...] = ()) -> Sequence[Any]:
    """The rows of a statement, named tuples; a list of numbers or texts stands for `IN ?`, of any length."""
    statement, values = driver_sql(conn, statement), _driver_values(conn, values)
    if _is_watched(conn):
        return conn.exec_driver_sql(statement, values).all()
    driver = _driver(conn)
    try:
        cursor = driver.execute(statement, values)
        found = cursor.fetchall()
    except _driver_error(conn) as error:
        _raise(conn, statement, error)
    if not found:
        return []
    return [*map(_row_class(tuple([column[0] for column in cursor.description])), found)]


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
    driver = _driver(conn)
    try:
        with driver.pipeline():
            yield driver
    except _driver_error(conn) as error:
        _raise(conn, "pipeline", error)


def _copy(conn: Connection, statement: str, rows: Rows) -> None:
    try:
        with _driver(conn).cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except _driver_error(conn) as error:
        _raise(conn, statement, error)


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
