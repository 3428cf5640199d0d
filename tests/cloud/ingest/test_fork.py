"""A device that was copied or rolled back: quarantine, the losing branch, its money."""

import copy

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.accounting.service import CATERER, CLAIM, purse
from cloud.alarms import service as alarms
from cloud.devices import service as devices
from cloud.ingest.fork import SUSPENSE_FORK
from protocols.errors import CHAIN_FORK, SEQ_FUTURE, WIRE_EPOCH
from protocols.ledger import record
from protocols.wire import envelope
from tests.cloud.ingest.peer import BREAKFAST, LUNCH, PRICES, Peer, World


@pytest.fixture
def world(store: Engine, tmp_path):
    made = World(store, tmp_path)
    yield made
    made.check_books()


def copied(peer: Peer) -> Peer:
    """The same board, image and key, as a second one."""
    other = copy.copy(peer)
    other.macs, other.raws = list(peer.macs), list(peer.raws)
    return other


def status(world: World, peer: Peer) -> str:
    rows = world.rows("SELECT device_id, epoch, status FROM device_epoch WHERE school_id = ?")
    return next(row[2] for row in rows if row[:2] == (peer.device, peer.epoch))


def test_copy_is_put_under_quarantine(world: World) -> None:
    line = world.line
    account = world.of_line(line)[0]
    line.sell(account)
    world.handle(*line.all_recs())
    clone = copied(line)
    line.sell(account, LUNCH)
    clone.sell(account, BREAKFAST)
    world.handle(*line.all_recs(2))
    out = world.handle(*clone.all_recs(2))
    assert clone.told(out, envelope.LOCK) == [CHAIN_FORK]
    assert status(world, line) == "quarantined"
    lunch, breakfast = PRICES[LUNCH], PRICES[BREAKFAST]
    assert world.balances(CATERER, SUSPENSE_FORK, CLAIM) == [lunch + breakfast, breakfast, -breakfast]
    assert world.balance(account) == 100_000 - lunch - breakfast
    assert world.refusals() == {(line.device, CHAIN_FORK): 1}
    with db.reading(world.engine) as conn:
        assert [alarm.kind for alarm in alarms.alarms(conn, world.school)] == ["fork"]


def test_losing_branch_is_kept_once(world: World) -> None:
    line = world.line
    account = world.of_line(line)[0]
    line.sell(account)
    clone = copied(line)
    line.sell(account)
    world.handle(*line.all_recs())
    seq = clone.sell(account, LUNCH)
    clone.write(record.VOID, 1, account, PRICES[LUNCH], seq)
    clone.sell(account, LUNCH)
    for _ in range(3):
        # The records of a branch come in any parts, and again.
        out = world.handle(*clone.all_recs(), *clone.all_recs(size=1))
    kept = world.rows("SELECT seq, raw FROM fork_record WHERE school_id = ? ORDER BY seq")
    assert [(seq, bytes(raw)) for seq, raw in kept] == [(n, clone.raws[n - 1]) for n in (2, 3, 4)]
    assert world.balances(SUSPENSE_FORK) == [PRICES[LUNCH]]
    # It hands its journal over: each answer names the end of what has arrived.
    assert clone.told(out, envelope.ACK) == [5, 2, 3, 4, 5]


def test_winning_branch_goes_on(world: World) -> None:
    line = world.line
    account = world.of_line(line)[0]
    line.sell(account)
    clone = copied(line)
    line.sell(account)
    clone.sell(account, LUNCH)
    world.handle(*line.all_recs(), *clone.all_recs(2))
    line.sell(account)
    world.handle(*line.all_recs(3))
    assert world.balances(CATERER) == [3 * PRICES[BREAKFAST]]
    assert world.line.told(world.handle(line.need(account, 100)), envelope.ANSWER) == []


def test_hello_alone_proves_nothing(world: World) -> None:
    line = world.line
    world.gate.walk(world.pupils[0])
    line.sell(world.of_line(line)[0])
    world.handle(*line.all_recs())
    old = copied(line)
    old.macs, old.raws = old.macs[:1], []
    out = world.handle(old.hello(), old.hello(locked=SEQ_FUTURE))
    assert status(world, line) == "open"
    assert line.told(out, envelope.LOCK) == []
    # One that says that it is rolled back is asked for all it has.
    assert line.told(out, envelope.ACK) == [1]
    old.write(record.NOTE, record.NOTE_LOCKED, 0, SEQ_FUTURE)
    world.handle(*old.all_recs())
    assert status(world, line) == "quarantined"


def test_chain_that_does_not_hold_proves_nothing(world: World) -> None:
    line = world.line
    account = world.of_line(line)[0]
    line.sell(account)
    world.handle(*line.all_recs())
    other = copied(line)
    other.macs[1] = bytes(32)
    other.sell(account)
    other.macs[2] = bytes(32)
    world.handle(other.recs(2, 1))
    assert status(world, line) == "open"


def test_old_board_that_sells_on_is_told_again_that_its_epoch_is_over(world: World) -> None:
    """The first LOCK may be lost on its way, and a connection that holds says no HELLO."""
    line = world.line
    world.handle(line.hello())
    with db.begin(world.engine) as conn:
        devices.new_epoch(conn, world.vault, world.school, "line-1", world.now)
    line.sell(world.of_line(line)[0])
    assert line.told(world.handle(*line.all_recs()), envelope.LOCK) == [WIRE_EPOCH]


def test_quarantined_device_begins_anew(world: World) -> None:
    line = world.line
    account = world.of_line(line)[0]
    line.sell(account)
    clone = copied(line)
    line.sell(account)
    clone.sell(account, LUNCH)
    world.handle(*line.all_recs(), *clone.all_recs(2))
    with db.begin(world.engine) as conn:
        anew = Peer(devices.new_epoch(conn, world.vault, world.school, "line-1", world.now))
        devices.publish_tables(conn, world.vault, world.school, world.now)
    world.ingest.poll()
    assert (anew.device, anew.epoch) == (line.device, 2)
    assert line.told(world.handle(line.hello()), envelope.LOCK) == [CHAIN_FORK]
    assert anew.told(world.handle(anew.hello()), envelope.ACK) == [1]
    with db.begin(world.engine) as conn:
        released = devices.release(conn, world.vault, world.school, "line-1", world.now)
        devices.publish_tables(conn, world.vault, world.school, world.now)
    # Two purses had CAP on that till, one of them less two breakfasts.
    aside = 2 * 50_000 - 2 * PRICES[BREAKFAST]
    assert released == (2, aside, aside)
    assert world.balances("loss:device", purse(account)) == [aside, 50_000]
    line.sell(account)
    world.handle(*line.all_recs(3))
    price = PRICES[BREAKFAST]
    assert world.balances("loss:device", CATERER) == [aside - price, 3 * price]
