"""The schema's history: numbered Alembic migrations, applied by `klasskart cloud migrate`.

Promises: one transaction for all that is missing, safe when two processes
start at once, the same on SQLite and PostgreSQL.  What the tables are today
stands in cloud/db.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine


class MigrationBroken(Exception):
    """A migration left rows that refer to nothing; it was rolled back."""


_LOCK = 0x4B4B0001  # any number that nobody else locks in this database


def settings(connection: Connection) -> AlembicConfig:
    """Alembic's settings for this folder of migrations and an open connection."""
    made = AlembicConfig()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def upgrade(engine: Engine, to: str = "head") -> str:
    """Bring a database to a schema, by default the newest; returns the revision it has now."""
    with _free_to_rebuild(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        command.upgrade(settings(connection), to)
        return revision(connection)


@contextmanager
def _free_to_rebuild(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction, on SQLite with foreign keys checked at its end instead of all along.

    SQLite changes a table by making it anew, which its foreign keys would not let happen.
    """
    with engine.connect().execution_options(writing=True) as connection:
        driver: Any = connection.connection.driver_connection
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite:
            driver.execute("PRAGMA foreign_keys=OFF").close()  # has no effect inside a transaction
        try:
            with connection.begin():
                yield connection
                if is_sqlite:
                    _check_foreign_keys(connection)
        finally:
            if is_sqlite:
                driver.execute("PRAGMA foreign_keys=ON").close()


def _check_foreign_keys(connection: Connection) -> None:
    lost = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if lost is not None:
        raise MigrationBroken(f"{lost[0]} row {lost[1]} refers to nothing in {lost[2]}")


def newest() -> str:
    """The revision that this version of the code works with."""
    made = AlembicConfig()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return ScriptDirectory.from_config(made).get_current_head() or ""


def revision(connection: Connection) -> str:
    """The revision a database stands at, "" for an empty one."""
    return MigrationContext.configure(connection).get_current_revision() or ""
