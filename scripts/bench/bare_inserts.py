"""The floor of `bench ingest`: the rows that the product wrote, inserted again with nothing in between.

Promises: the same tables with the same keys, indexes, triggers and constraints, the same durability, the same
sqlite3, executemany, one transaction a batch.  The rows are taken from the books of a run of the product and
sorted into batches before the clock starts: no message, no check, no rule, no archive.  They are found by
comparing the books before and after, so that a new table joins by itself.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Table

from cloud import db
from scripts.bench.device_journal import Message

_DISK_TRIES = 21

Row = tuple[Any, ...]
Batch = dict[str, list[Row]]
Places = dict[tuple[int, int], int]
"""(device_id, seq) of a record to the number of its batch"""


def read(before: Path, after: Path, stream: Sequence[Message], batch_messages: int) -> list[Batch]:
    """What a run wrote, sorted into batches of so many messages of the stream.

    `before`, `after`: the database files.  A row that came with a record goes into the batch of that record;
    a row that changes goes into every batch that changes it, in its last state.
    """
    places = {
        (message.device, seq): place // batch_messages
        for place, message in enumerate(stream)
        for seq in range(message.first, message.after)
    }
    batches: list[Batch] = [defaultdict(list) for _ in range(max(places.values()) + 1)]
    old, new = _open(before), _open(after)
    for table in db.metadata.sorted_tables:
        known = set(_rows(old, table))
        fresh = [row for row in _rows(new, table) if row not in known]
        if fresh:
            _sort(table, fresh, places, batches)
    old.close()
    new.close()
    return batches


def _sort(table: Table, fresh: list[Row], places: Places, batches: list[Batch]) -> None:
    """Put the rows of one table where they belong."""
    names = [column.name for column in table.columns]
    batch_of = _batch_of_row(names, places, batches)
    if batch_of is not None:
        for row in fresh:
            batches[batch_of(row)][table.name].append(row)
    elif table.name in db.APPEND_ONLY:
        batches[0][table.name] = fresh
    else:
        for batch in batches:
            batch[table.name] = _changed(names, fresh, batch)
        seen = {row for batch in batches for row in batch[table.name]}
        batches[0][table.name] += [row for row in fresh if row not in seen]


def _batch_of_row(names: list[str], places: Places, batches: list[Batch]) -> Callable[[Row], int] | None:
    """How a row of a table with these columns tells its batch: by its record, or by its entry."""
    for seq in ("seq", "cause_number"):
        if {"device_id", seq} <= set(names):
            device_at, seq_at = names.index("device_id"), names.index(seq)
            return lambda row: places.get((row[device_at], row[seq_at]), 0)
    if "line" in names:
        entry_at, of_entry = names.index("entry_id"), {}
        id_at = [column.name for column in db.entry.columns].index("entry_id")
        for number, batch in enumerate(batches):
            for row in batch["entry"]:
                of_entry[row[id_at]] = number
        return lambda row: of_entry[row[entry_at]]
    return None


def _changed(names: list[str], fresh: list[Row], batch: Batch) -> list[Row]:
    """The rows of a table of states that a batch touches: by its postings, by its records, else all."""
    for name, by in (("ledger_account_id", db.posting), ("account_id", db.record)):
        if name in names:
            here, there = names.index(name), [column.name for column in by.columns].index(name)
            touched = {row[there] for row in batch[by.name]}
            return [row for row in fresh if row[here] in touched]
    return fresh


def insert(database: Path, batches: Sequence[Batch], *, rows_at_once: int = 1) -> float:
    """Insert the batches into a copy of the books as they were before; returns the seconds it took.

    `rows_at_once`: 1 for plain executemany; more for that many rows in each statement, as cloud/bulk.py does.
    """
    connection = _open(database)
    work = [_work(batch, rows_at_once) for batch in batches]
    started = time.monotonic()
    for batch in work:
        connection.execute("BEGIN IMMEDIATE")
        for statement, parameters in batch:
            connection.executemany(statement, parameters)
        connection.execute("COMMIT")
    took = time.monotonic() - started
    connection.close()
    return took


def _work(batch: Batch, rows_at_once: int) -> list[tuple[str, list[Row]]]:
    """(statement, what it is executed with) of a batch, in an order that foreign keys allow."""
    work = []
    for table in db.metadata.sorted_tables:
        rows = batch.get(table.name, [])
        whole = len(rows) - len(rows) % rows_at_once
        groups = [rows[start : start + rows_at_once] for start in range(0, whole, rows_at_once)]
        if groups:
            flat = [tuple(chain.from_iterable(group)) for group in groups]
            work.append((_statement(table, rows_at_once), flat))
        if rows[whole:]:
            work.append((_statement(table, 1), rows[whole:]))
    return work


def _statement(table: Table, rows: int) -> str:
    names = [column.name for column in table.columns]
    keys = [column.name for column in table.primary_key]
    places = ", ".join([f"({', '.join('?' * len(names))})"] * rows)
    statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {places}"  # noqa: S608 our own names
    if table.name in db.APPEND_ONLY or {"device_id", "seq"} <= set(names):
        return statement
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    return f"{statement} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"


def _open(database: Path) -> Any:
    """A plain sqlite3 connection that the product's engine has set up: the same journal and durability."""
    return db.engine(f"sqlite:///{database}").raw_connection().driver_connection


def _rows(connection: Any, table: Table) -> list[Row]:
    names = ", ".join(column.name for column in table.columns)
    return list(connection.execute(f"SELECT {names} FROM {table.name}"))  # noqa: S608 our own names


def disk_ms(folder: Path) -> float:
    """Milliseconds of one small append that waits for the disk: the median of some."""
    took = []
    with (folder / "disk").open("wb", buffering=0) as file:
        for _ in range(_DISK_TRIES):
            started = time.monotonic()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            took.append(time.monotonic() - started)
    return 1000 * median(took)
