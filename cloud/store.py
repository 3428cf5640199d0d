"""How a connection to the store is opened, the same for every process.

Promises: when begin() returns, its commit is on the disk; a writer on SQLite takes the
write lock at its start, so that what it read stays true; a login of PostgreSQL
that may do the cloud's work and no more.  Its names are used through
cloud/db.py, where the tables are.
"""

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import InterfaceError, OperationalError

STORE_DOWN = (OperationalError, InterfaceError)
"""The database does not take it now: it may later, unchanged."""


def engine(url: str) -> Engine:
    """An engine for a SQLite or PostgreSQL URL, set up for durable commits."""
    parsed = make_url(url)
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    # hide_parameters: what stands in rows must not stand in logs, also when a statement fails.
    is_server = parsed.get_backend_name() != "sqlite"
    made = create_engine(parsed, pool_pre_ping=is_server, hide_parameters=True)
    if made.dialect.name == "sqlite":
        event.listen(made, "connect", _open_sqlite)
        event.listen(made, "begin", _begin_sqlite)
    return made


_TURN = "turn of a school"
# A transaction that writes and nothing else: its commit waits until the disk has all that was written before.
_ON_THE_DISK = "SELECT pg_logical_emit_message(true, 'klasskart', '')"
_SCHOOL_LOCKS = 0x4B4B << 32  # with a school's number below: far from the lock of the migrations
_BUSY_MS, _TURN_MS = 20_000, 2
# recursive_triggers: without it INSERT OR REPLACE deletes a row past the append-only triggers.
_PRAGMAS = (
    f"busy_timeout={_BUSY_MS}",
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "recursive_triggers=ON",
)


def _open_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    if not connection.get_execution_options().get("writing", False):
        connection.exec_driver_sql("BEGIN")
    elif not _took_the_turn(connection.connection.driver_connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # refused in the usual way


def _took_the_turn(driver: Any) -> bool:
    """Begin writing as soon as nobody else does; False when it took longer than busy_timeout.

    SQLite itself sleeps longer and longer while it waits, up to 100 ms: with
    several writers the database would stand idle in between.
    """
    until = time.monotonic() + _BUSY_MS / 1000
    driver.execute(f"PRAGMA busy_timeout={_TURN_MS}").close()
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE").close()
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > until:
                    return False
            else:
                return True
    finally:
        driver.execute(f"PRAGMA busy_timeout={_BUSY_MS}").close()


@contextmanager
def begin(made: Engine) -> Iterator[Connection]:
    """A connection in a transaction that may write; commits at the end, rolls back on an exception."""
    with made.connect().execution_options(writing=True) as connection, connection.begin():
        connection.info.pop(_TURN, None)
        yield connection
        if connection.info.pop(_TURN, False):
            # The school's turn ends with the first of the two, the disk is waited for in the second.
            connection.execution_options(no_parameters=True).exec_driver_sql(f"COMMIT; {_ON_THE_DISK}")


@contextmanager
def reading(made: Engine) -> Iterator[Connection]:
    """A connection for reading: what is written by mistake is rolled back."""
    with made.connect() as connection:
        yield connection


@contextmanager
def snapshot(made: Engine) -> Iterator[Connection]:
    """A connection for reading for which the database stands still, while others go on writing."""
    with made.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection = connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin():
            connection.exec_driver_sql("SELECT 1 FROM school LIMIT 1").all()  # from here on
            yield connection
            connection.rollback()


def lock_school(connection: Connection, school_id: int) -> None:
    """Until the end of the transaction nobody else moves money or rights of this school.

    SQLite has one writer anyway.  On PostgreSQL those who wait stand in a queue
    of its lock manager: a lock of the school's row would be written to the row
    each time, and wakes everybody who waits for it.  In a transaction of
    begin() the turn is over before the disk has the commit; begin() returns when it has.
    """
    for statement, values in turn(connection, school_id):
        connection.exec_driver_sql(statement.replace("?", "%s"), values)


def turn(connection: Connection, school_id: int) -> list[tuple[str, tuple[int]]]:
    """lock_school() as a question of bulk.answers(), for who asks it with others; none on SQLite."""
    if connection.dialect.name != "postgresql":
        return []
    statement = "SELECT pg_advisory_xact_lock(?)"
    if connection.get_execution_options().get("writing", False):
        connection.info[_TURN] = True
        statement += ", set_config('synchronous_commit', 'off', true)"
    return [(statement, (_SCHOOL_LOCKS | school_id,))]


CACHES = ("balance", "books_head", "pending_balance", "spending_right")
"""What follows from the books: rows change, and never go."""


def restrict(conn: Connection, role: str, password: str) -> None:
    """Make a login of PostgreSQL for the cloud's processes: it can read all and write what they write.

    It owns nothing, so it has no DDL; it cannot change or delete a row of the
    books, the records and the movements, nor switch their triggers off.
    `role`: a plain name; `password`: without quotes and backslashes.
    Migrations go on with the owner's login.  ValueError for another database or an odd name.
    """
    from cloud import db  # imports this file

    if conn.dialect.name != "postgresql":
        raise ValueError("only PostgreSQL has roles; on SQLite the file's owner may do anything")
    if not re.fullmatch("[a-z][a-z0-9_]{0,62}", role) or not re.fullmatch("[A-Za-z0-9_-]{16,}", password):
        raise ValueError("the role is a plain name and the password letters and digits, 16 or more")
    exists = conn.exec_driver_sql("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).first()
    verb = "ALTER" if exists else "CREATE"
    login = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS"
    statements = [
        f"{verb} ROLE {role} {login} PASSWORD '{password}'",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        f"GRANT SELECT ON alembic_version TO {role}",
    ]
    for table in sorted(db.metadata.tables):
        rights = "SELECT, INSERT"
        if table not in db.APPEND_ONLY:
            rights += ", UPDATE" if table in CACHES else ", UPDATE, DELETE"
        statements.append(f"GRANT {rights} ON {table} TO {role}")
    for statement in statements:
        conn.exec_driver_sql(statement)
