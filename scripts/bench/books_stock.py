"""Books of any size for `bench books`: sales with the records behind them, posted by the product itself.

Promises: the same number gives the same books, but for the school's number; every tenth entry is a top-up,
the others are sales of 800 purses with a device record each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Engine

from cloud import db, migrations
from cloud.accounting import service as accounting
from cloud.accounting.service import BANK, CATERER, Entry
from protocols.ids import hex8
from protocols.ledger import record

SCHOOL, DEVICE = 0x0B0015, 0x0DE71CE
BATCH = 2000
LINES = 2
_PURSES = 800
_TOPUP_EVERY = 10
_NOON = 1_788_253_200
_PRICE_MINOR = 8500


def open_books(url: str) -> Engine:
    """A migrated store with one school and one till."""
    engine = db.engine(url)
    migrations.upgrade(engine)
    with db.begin(engine) as conn:
        names = ["school_id", "name", "time_zone"]
        db.insert_rows(conn, db.school, [(SCHOOL, "bench", "Europe/Moscow")], names)
        names = ["school_id", "device_id", "label", "kind"]
        db.insert_rows(conn, db.device, [(SCHOOL, DEVICE, "line-1", "canteen")], names)
        names = ["school_id", "device_id", "epoch", "key_sealed", "next_seq", "head_mac"]
        db.insert_rows(conn, db.device_epoch, [(SCHOOL, DEVICE, 1, b"", 1, bytes(32))], names)
    return engine


def entry(number: int) -> Entry:
    """The entry with this number, from 1: a top-up or a sale."""
    code, moment = accounting.purse(1 + number * 7 % _PURSES), _NOON + number
    if number % _TOPUP_EVERY == 0:
        amount_minor = _PRICE_MINOR * _TOPUP_EVERY
        return Entry(f"bank:{number}", "topup", moment, ((BANK, -amount_minor), (code, amount_minor)))
    lines = ((code, -_PRICE_MINOR), (CATERER, _PRICE_MINOR))
    return Entry(f"record:{hex8(DEVICE)}:1:{number}", "sale", moment, lines, DEVICE, 1, number)


def _record_row(sale: Entry) -> tuple[object, ...]:
    account, seq = int(sale.postings[0][0][-8:], 16), sale.seq or 0
    item = record.Record(
        record.SALE, record.SALE_SINGLE, 20698, seq, sale.happened_at, account, _PRICE_MINOR, 1
    )
    raw = record.seal(record.pack_body(item), bytes(32))
    return (SCHOOL, DEVICE, 1, seq, *item[:3], *item[4:], raw, sale.happened_at, 0)


def fill(engine: Engine, first: int, after: int, watch: Callable[[int], None] = lambda done: None) -> None:
    """Post the entries first..after-1 with their records, in batches as ingest has them."""
    for start in range(first, after, BATCH):
        batch = [entry(number) for number in range(start, min(start + BATCH, after))]
        with db.begin(engine) as conn:
            accounting.post(conn, SCHOOL, batch, _NOON + start)
            add_records(conn, batch)
        watch(start)


def add_records(conn: Connection, batch: list[Entry]) -> None:
    """The records of those entries that are sales."""
    db.insert_rows(conn, db.record, [_record_row(each) for each in batch if each.kind == "sale"])


def database_url(folder: Path) -> str:
    """A SQLite file in a folder."""
    return f"sqlite:///{folder / 'books.db'}"
