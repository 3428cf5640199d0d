"""A disk that is full at any write: no ACK, the next try succeeds, nothing is doubled or half done."""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import NoReturn

import pytest
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import OperationalError

from cloud import bulk, db
from cloud.accounting import service as accounting
from cloud.accounting.service import CATERER, purse
from cloud.archive import Archive, Grants, Records
from cloud.ingest import service, witness
from cloud.ingest.client import NOT_NOW
from cloud.ingest.service import Incoming, Outgoing
from protocols.errors import WIRE_MAC
from protocols.ledger import record
from protocols.wire import envelope
from tests.cloud.ingest.peer import World

FULL = "database or disk is full"
WRITES = ("INSERT", "UPDATE", "DELETE")


@pytest.fixture
def world(store_sqlite: Engine, tmp_path):
    made = World(store_sqlite, tmp_path)
    yield made
    made.check_books()


class Day:
    """A day of every kind of write: sales, a void, a passage, a NEED, and a forged message."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.account = world.of_line(world.line)[0]
        sale = world.line.sell(self.account)
        world.line.sell(self.account)
        world.line.write(record.VOID, 1, self.account, 8500, sale)
        world.gate.walk(self.account)
        forged = world.gate.all_recs()[0]
        self.batch: list[Incoming] = [
            *world.line.all_recs(),
            *world.gate.all_recs(),
            forged._replace(payload=forged.payload[:-1] + bytes([forged.payload[-1] ^ 1])),
            world.other.need(self.account, 8500, number=1),
        ]
        self.before = everything(world)

    def fails(self) -> None:
        """One try on a full disk: nothing to publish, nothing in the database."""
        with pytest.raises(NOT_NOW):
            self.world.handle(*self.batch)
        assert everything(self.world) == self.before

    def succeeds(self, refused: int = 1) -> None:
        """The next try goes through."""
        self.check(self.world.handle(*self.batch), refused)

    def check(self, out: list[Outgoing], refused: int = 1) -> None:
        """Everything was answered, stands in the books once for all, and is whole in the archive."""
        world = self.world
        assert world.line.told(out, envelope.ACK) == [4]
        assert world.gate.told(out, envelope.ACK) == [3]
        assert [answer.total for answer in world.other.told(out, envelope.ANSWER)] == [8500]
        assert world.balances(purse(self.account), CATERER) == [100_000 - 8500, 8500]
        assert world.records(world.line) == [(1, 0), (2, 0), (3, 0)]
        assert world.rows("SELECT count(*) FROM passage WHERE school_id = ?") == [(1,)]
        assert world.rows("SELECT count(*) FROM outbox WHERE school_id = ?") == [(3,)]
        assert world.refusals() == {(world.gate.device, WIRE_MAC): refused}
        kept = list(world.archive.read())
        raws = [
            item.raw[at : at + 32]
            for item in kept
            if isinstance(item, Records)
            for at in range(0, len(item.raw), 32)
        ]
        assert set(raws) == {*world.line.raws, *world.gate.raws}
        given = [row for item in kept if isinstance(item, Grants) for row in item.rows]
        assert (self.account, 0, 8500) in given
        with db.snapshot(world.engine) as conn:
            assert accounting.check(conn, world.school).differences == []


def everything(world: World) -> dict[str, list[tuple]]:
    """Every row of the database."""
    with db.reading(world.engine) as conn:
        return {
            name: [tuple(row) for row in bulk.select(conn, f"SELECT * FROM {name}")]
            for name in db.metadata.tables
        }


def no_room(*_: object) -> NoReturn:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def full_at(engine: Engine, number: int) -> Iterator[list[str]]:
    """The statement `number` of those that write finds the disk full; COMMIT is the last of them."""
    seen: list[str] = []

    def before(_conn, _cursor, statement: str, *_: object) -> None:
        if statement.lstrip().startswith(WRITES):
            refuse(statement)

    def refuse(statement: str) -> None:
        seen.append(statement)
        if len(seen) == number:
            raise OperationalError(statement, None, sqlite3.OperationalError(FULL))

    def committing(_conn) -> None:
        refuse("COMMIT")

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "commit", committing)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", before)
        event.remove(engine, "commit", committing)


def tried(work: Callable[..., list[Outgoing]], *values: Incoming) -> list[Outgoing] | None:
    """What it returns; None where the database was full."""
    try:
        return work(*values)
    except OperationalError as error:
        if str(error.orig) != FULL:
            raise
        return None


def test_database_is_full_at_each_statement_in_turn(world: World) -> None:
    day = Day(world)
    for number in count(1):
        with full_at(world.engine, number) as seen:
            out = tried(world.handle, *day.batch)
        if out is not None:
            break
        assert everything(world) == day.before, seen[-1]
    assert out is not None
    assert "COMMIT" in seen
    assert number > 12, seen
    day.check(out)


def test_sqlite_itself_finds_no_page(world: World) -> None:
    """SQLite's own refusal, at each page in turn that a batch of records would make the file grow by."""
    for _ in range(300):
        world.line.sell(world.of_line(world.line)[0], price=1)
    batch, before = world.line.all_recs(), everything(world)
    for room in count():
        world.engine.dispose()
        limit_pages(world.engine, room)
        out = tried(world.handle, *batch)
        if out is not None:
            break
        assert everything(world) == before
    assert out is not None
    assert room >= 3
    assert world.line.told(out, envelope.ACK) == [301]
    assert len(world.records(world.line)) == 300
    world.engine.dispose()


def limit_pages(engine: Engine, room: int) -> None:
    """The one connection of the pool may make the file grow by so many pages."""
    with db.reading(engine) as conn:
        (pages,) = conn.exec_driver_sql("PRAGMA page_count").one()
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages + room}")


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("share", [0, 1, 50, 99])
def test_archive_is_full_at_each_write(world: World, monkeypatch, number: int, share: int) -> None:
    """The disk takes a part of the frames, or none: what was torn is passed over, the rest is read."""
    day = Day(world)
    write, calls = os.write, count(1)

    def little_room(handle: int, data: bytes) -> int:
        if next(calls) != number:
            return write(handle, data)
        if not share:
            no_room()
        return write(handle, data[: max(1, len(data) * share // 100)])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", little_room)
        day.fails()
    assert next(calls) == number + 1, "the write that was to fail never came"
    day.succeeds()


@pytest.mark.parametrize("number", [1, 2])
def test_archive_does_not_reach_the_disk(world: World, monkeypatch, number: int) -> None:
    day = Day(world)
    sync, calls = os.fdatasync, count(1)

    def little_room(handle: int) -> None:
        if next(calls) == number:
            no_room()
        sync(handle)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", little_room)
        day.fails()
    day.succeeds()


def test_witness_is_not_written(world: World, monkeypatch) -> None:
    """Behind the commit: the batch stands, nothing is acknowledged, and the next try says the same again.

    Only the forged message is counted twice: it was taken twice.
    """
    day = Day(world)
    with monkeypatch.context() as patched:
        patched.setattr(witness, "write", no_room)
        with pytest.raises(NOT_NOW):
            world.handle(*day.batch)
    day.succeeds(refused=2)


def test_grant_of_the_work_list_waits_for_room(store_sqlite: Engine, tmp_path, monkeypatch) -> None:
    """Money has come in; the grant for it goes out once, and its archive came first."""
    world = World(store_sqlite, tmp_path, money=1000)
    account = world.of_line(world.line)[0]
    world.handle(world.line.hello())
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 700, "T late", world.now)
    before = everything(world)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", no_room)
        with pytest.raises(NOT_NOW):
            world.ingest.poll()
        assert everything(world) == before
    for number in count(1):
        with full_at(world.engine, number):
            out = tried(world.ingest.poll)
        if out is not None:
            break
        assert everything(world) == before
    assert out is not None
    assert number > 4
    assert world.line.told(out, envelope.GRANT) == [[(account, 0, 1700)]]
    assert world.ingest.poll() == []
    grants = [item.rows for item in world.archive.read() if isinstance(item, Grants)]
    assert grants[-1] == ((account, 0, 1700),)
    world.check_books()


# Seeded bugs: the tests above must be able to fail.


def test_answer_before_the_archive_would_be_seen(world: World, monkeypatch) -> None:
    """A cloud that does not look whether the archive took its records acknowledges what is nowhere."""
    day = Day(world)
    monkeypatch.setattr(Archive, "append_meanwhile", lambda *_: lambda: None)
    with pytest.raises(AssertionError):
        day.succeeds()


def test_half_a_batch_would_be_seen(world: World, monkeypatch) -> None:
    """A transaction that keeps what it had when the disk was full."""
    day = Day(world)

    @contextmanager
    def keeping(engine: Engine) -> Iterator[Connection]:
        with engine.connect().execution_options(writing=True) as conn, conn.begin() as transaction:
            try:
                yield conn
            finally:
                transaction.commit()

    with monkeypatch.context() as patched:
        patched.setattr(service, "begin", keeping)
        with full_at(world.engine, 6), pytest.raises(AssertionError):
            day.fails()
    monkeypatch.setattr(world, "check_books", lambda: None)  # they are spoilt
