"""What the columns of db.py are made of: numbers, texts, bytes, and the checks that several tables share.

Promises: the same types on SQLite and PostgreSQL; integers only.  Leaves the tables to db.py and
to the db.py of a feature.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    Text,
)

# Every table of the cloud, whichever module says what it is made of.
metadata = MetaData()

# A 32-bit unsigned number does not fit PostgreSQL's integer; row numbers of one table do grow beyond it.
_Big = BigInteger().with_variant(Integer, "sqlite")


def key(name: str) -> Column[Any]:
    """A number that is part of the key of its table."""
    return Column(name, _Big, primary_key=True, autoincrement=False)


def row_number() -> Column[Any]:
    """The number of a row, given by the database."""
    return Column("id", _Big, primary_key=True, autoincrement=True)


def number(name: str, default: int | None = None) -> Column[Any]:
    """A number that is always there."""
    return Column(name, _Big, nullable=False, server_default=None if default is None else str(default))


def maybe(name: str) -> Column[Any]:
    """A number, or nothing."""
    return Column(name, _Big)


def text(name: str, default: str | None = None) -> Column[Any]:
    """A text that is always there."""
    return Column(name, Text, nullable=False, server_default=default)


def raw(name: str) -> Column[Any]:
    """Bytes that are always there."""
    return Column(name, LargeBinary, nullable=False)


def json(name: str) -> Column[Any]:
    """A JSON object, empty by default."""
    return Column(name, JSON, nullable=False, server_default="{}")


def one_of(column: str, *words: str) -> CheckConstraint:
    """The column holds one of these words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def refers(table: str, *columns: str) -> ForeignKeyConstraint:
    """The columns name a row of another table."""
    return ForeignKeyConstraint(columns, [f"{table}.{column}" for column in columns])
