"""Killed at any moment: nothing is lost, nothing is posted twice, nothing is acknowledged too early."""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.accounting.service import CATERER, purse
from cloud.archive import Archive, ArchiveBroken, Grants, Records
from cloud.ingest import store as ingest_store
from cloud.ingest.batch import Batch
from protocols.wire import envelope
from tests.cloud.ingest.peer import World


class Killed(Exception):
    """The process ends here."""


@pytest.fixture
def world(store: Engine, tmp_path):
    made = World(store, tmp_path)
    yield made
    made.check_books()


def die(*_: object, **__: object) -> None:
    raise Killed


def archived(world: World) -> list[bytes]:
    found = [item for item in world.archive.read() if isinstance(item, Records)]
    return [item.raw[at : at + 32] for item in found for at in range(0, len(item.raw), 32)]


def day(world: World) -> int:
    """A small day of records and a grant; returns the pupil."""
    account = world.of_line(world.line)[0]
    world.line.sell(account)
    world.line.sell(account)
    world.gate.walk(account)
    return account


def check_day(world: World, account: int) -> None:
    """The same day, once, whatever happened on the way."""
    assert world.balances(purse(account), CATERER) == [100_000 - 17_000, 17_000]
    assert [seq for seq, _refusal in world.records(world.line)] == [1, 2]
    assert [seq for seq, _refusal in world.records(world.gate)] == [1, 2]
    assert world.rows("SELECT count(*) FROM outbox WHERE school_id = ?") == [(3,)]
    assert world.rows("SELECT count(*) FROM passage WHERE school_id = ?") == [(1,)]
    assert set(archived(world)) == {*world.line.raws, *world.gate.raws}


def send_all(world: World):
    return world.handle(*world.line.all_recs(), *world.gate.all_recs())


POINTS = {
    "before the books": (Batch, "_write"),
    "before the rights": (ingest_store, "write_rights"),
    "before the archive": (Archive, "append"),
    "in the journals": (ingest_store, "write_journals"),
}


@pytest.mark.parametrize("point", POINTS)
def test_killed_before_the_commit(world: World, monkeypatch, point: str) -> None:
    account = day(world)
    with monkeypatch.context() as patched:
        patched.setattr(*POINTS[point], die)
        with pytest.raises(Killed):
            send_all(world)
    assert world.balances(CATERER) == [0]
    assert world.records(world.line) == []
    world.restart()
    assert world.line.told(send_all(world), envelope.ACK) == [3]
    check_day(world, account)


def test_killed_between_archive_and_commit(world: World, monkeypatch) -> None:
    account = day(world)
    append = Archive.append

    def append_and_die(*values: object) -> None:
        append(*values)  # type: ignore[arg-type]
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Archive, "append", append_and_die)
        with pytest.raises(Killed):
            send_all(world)
    assert len(archived(world)) == 4
    assert world.records(world.line) == []
    world.restart()
    assert world.line.told(send_all(world), envelope.ACK) == [3]
    check_day(world, account)
    assert len(archived(world)) == 8  # twice in the archive, once in the books


def test_killed_between_commit_and_publish(world: World) -> None:
    account = day(world)
    send_all(world)  # committed, and the answers are lost with the process
    world.restart()
    assert world.line.told(send_all(world), envelope.ACK) == [3]
    check_day(world, account)
    assert len(archived(world)) == 4


def test_grant_lost_with_the_process_is_told_again(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.handle(world.other.need(account, 8500, number=1))
    world.restart()
    grants = [item for item in world.archive.read() if isinstance(item, Grants)]
    assert grants[-1].rows == ((account, 0, 8500),)
    assert world.other.told(world.handle(world.other.hello(1)), envelope.GRANT) == [[(account, 0, 8500)]]
    world.check_books()


def test_disk_that_takes_half_a_frame_stops_the_batch(world: World, monkeypatch) -> None:
    account = day(world)

    def half(*_: object) -> None:
        raise ArchiveBroken("disk")

    with monkeypatch.context() as patched:
        patched.setattr(Archive, "append", half)
        with pytest.raises(ArchiveBroken):
            send_all(world)
    assert world.line.told(send_all(world), envelope.ACK) == [3]
    check_day(world, account)


def test_refused_batch_leaves_no_memory(world: World, monkeypatch) -> None:
    """A grant that was rolled back was never given: the same NEED is decided anew."""
    account = world.of_line(world.line)[0]
    need = world.other.need(account, 8500, number=1)
    with monkeypatch.context() as patched:
        patched.setattr(Archive, "append", die)
        with pytest.raises(Killed):
            world.handle(need)
    out = world.handle(need)
    assert [answer.total for answer in world.other.told(out, envelope.ANSWER)] == [8500]
    assert [item.rows for item in world.archive.read() if isinstance(item, Grants)][-1] == (
        (account, 0, 8500),
    )


# Seeded bugs: the tests above must be able to fail.


def test_missing_archive_would_be_seen(world: World, monkeypatch) -> None:
    account = day(world)
    monkeypatch.setattr(Archive, "append", lambda *_: None)
    send_all(world)
    with pytest.raises(AssertionError):
        check_day(world, account)


def test_forgotten_journal_would_be_seen(world: World, monkeypatch) -> None:
    """A cloud that does not note how far a journal went would post the same sale again."""
    day(world)
    with monkeypatch.context() as patched:
        patched.setattr(ingest_store, "write_journals", lambda *_: None)
        send_all(world)
    with pytest.raises(Exception, match=r"UNIQUE|duplicate"):
        send_all(world)
    with db.begin(world.engine) as conn:
        ingest_store.write_journals(
            conn,
            [(peer.next_seq, peer.macs[-1], peer.nonce, 1, 1, peer.school, peer.device, 1)
             for peer in (world.line, world.gate)],
        )  # fmt: skip
    world.check_books()
