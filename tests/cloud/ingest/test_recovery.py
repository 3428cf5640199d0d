"""A database that was set back: announced, noticed at the start, or noticed by what a device says."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import Engine

from cloud import bulk, db
from cloud.accounting import service as accounting
from cloud.accounting.service import CATERER, CLAIM, SUSPENSE_RULE
from cloud.alarms import service as alarms
from cloud.devices import service as devices
from cloud.ingest import witness
from cloud.meals import service as meals
from protocols.errors import GRANT_UNKNOWN, RIGHTS_SHORT
from protocols.ledger import record
from protocols.wire import envelope, topics
from tests.cloud.ingest.peer import BREAKFAST, NOON, PRICES, Peer, World

PRICE = PRICES[BREAKFAST]


@pytest.fixture
def world(store_sqlite: Engine, tmp_path):
    made = World(store_sqlite, tmp_path)
    made.ingest.start({})
    yield made
    made.check_books()


def backup(world: World) -> Path:
    """The database as it is now."""
    world.engine.dispose()
    kept = world.folder / "kept.db"
    shutil.copy(world.folder / "cloud.db", kept)
    return kept


def set_back(world: World, kept: Path) -> None:
    """The database is that of the backup again; everything else is as it was."""
    world.engine.dispose()
    for name in ("cloud.db-wal", "cloud.db-shm"):
        (world.folder / name).unlink(missing_ok=True)
    shutil.copy(kept, world.folder / "cloud.db")
    world.restart()


def without_archive(world: World) -> None:
    """The archive is lost too."""
    shutil.rmtree(world.folder / "archive")
    world.restart()


def school(world: World) -> tuple:
    """incarnation, its id, mode."""
    return world.rows("SELECT incarnation, incarnation_id, mode FROM school WHERE school_id = ?")[0]


def meet(world: World, *peers: Peer) -> None:
    """The devices hear of the new incarnation, write it down, and send what is asked for; then they fetch the
    table that they are told of."""
    hear(world, *peers)
    for peer in peers:
        told = peer.told(world.handle(peer.hello()), envelope.TABLE)
        if told:
            peer.write(record.TABLE, record.TABLE_ACCOUNTS, aux=told[-1].version)
            world.handle(*peer.recs_of(1))


def hear(world: World, *peers: Peer) -> None:
    """They hear of it, and hand their journals over up to the record of it."""
    counter, number, _mode = school(world)
    for peer in peers:
        if peer.incarnation != (counter, number):
            world.handle(peer.hello())
            peer.incarnation = counter, number
            peer.write(record.INCARN, 0, number, 0, counter)
        first = peer.told(world.handle(peer.hello()), envelope.ACK)[0]
        world.handle(*peer.all_recs(first))


def test_announced_restore_comes_back_whole(world: World) -> None:
    account = world.of_line(world.line)[0]
    kept = backup(world)
    world.line.sell(account)
    world.handle(*world.line.all_recs())
    set_back(world, kept)
    assert world.balances(CATERER) == [0]
    world.ingest.recover(world.school, "a person said so")
    assert (school(world)[0], school(world)[2]) == (2, "recovery")
    # What was archived is in the books again before any device has spoken.
    assert world.balances(CATERER) == [PRICE]
    world.line.sell(account)
    meet(world, world.line, world.other, world.gate)
    assert school(world)[2] == "normal"
    assert world.balances(CATERER) == [2 * PRICE]
    assert world.balance(account) == 100_000 - 2 * PRICE


def test_nothing_is_granted_in_recovery(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.ingest.recover(world.school, "a person said so")
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 5000, "late", NOON)
        devices.publish_tables(conn, world.vault, world.school, NOON)
    world.handle(world.line.state(True), world.other.state(True))
    out = world.handle(world.other.need(account, 100))
    assert [answer.total for answer in world.other.told(out, envelope.ANSWER)] == [0]
    statement = "SELECT sum(granted) FROM spending_right WHERE school_id = ?"
    granted = world.rows(statement)
    world.ingest.poll()
    meet(world, world.line)
    assert school(world)[2] == "recovery"
    meet(world, world.other)
    assert school(world)[2] == "normal"
    assert world.rows(statement) == granted
    out = world.handle(world.other.need(account, 100))
    assert [answer.total for answer in world.other.told(out, envelope.ANSWER)] == [100]


def test_lost_till_does_not_hold_recovery_up(world: World) -> None:
    world.ingest.recover(world.school, "a person said so")
    meet(world, world.line)
    with db.begin(world.engine) as conn:
        reserved = devices.lost(conn, world.vault, world.school, "line-2", NOON)
    assert reserved == 2 * 50_000
    assert school(world)[2] == "normal"
    with db.begin(world.engine) as conn:
        # Nobody has read its journal since the restore: CAP for each purse it knew.
        released = devices.release(conn, world.vault, world.school, "line-2", NOON)
    assert released == (2, 100_000, 100_000)


def test_grant_of_the_archive_is_honoured(world: World) -> None:
    account = world.of_line(world.line)[0]
    kept = backup(world)
    world.handle(world.line.state(True), world.other.state(True))
    world.handle(world.other.need(account, PRICE))
    set_back(world, kept)
    world.ingest.recover(world.school, "a person said so")
    world.other.write(record.GRANT, 0, account, PRICE)
    world.other.sell(account)
    meet(world, world.line, world.other)
    assert world.balances(CATERER, SUSPENSE_RULE) == [PRICE, 0]


def test_grant_that_nobody_can_prove_waits(world: World) -> None:
    account = world.of_line(world.line)[0]
    kept = backup(world)
    world.handle(world.line.state(True), world.other.state(True))
    world.handle(world.other.need(account, 2 * PRICE))
    set_back(world, kept)
    without_archive(world)
    world.ingest.recover(world.school, "the archive is lost")
    world.other.write(record.GRANT, 0, account, 2 * PRICE)
    world.other.sell(account)
    meet(world, world.line, world.other)
    assert [code for _seq, code in world.records(world.other)][:2] == [GRANT_UNKNOWN, RIGHTS_SHORT]
    assert world.balances(CATERER, SUSPENSE_RULE, CLAIM) == [0, PRICE, -PRICE]


def test_silent_restore_is_seen_at_the_start(world: World) -> None:
    account = world.of_line(world.line)[0]
    kept = backup(world)
    world.line.sell(account)
    world.handle(*world.line.all_recs())
    retained = {world.school: dict(world.ingest.heads())[topics.cloud_head(world.school)]}
    path = witness.path_of(world.archive.folder, world.school)
    for found in (retained, {}):
        set_back(world, kept)
        if found:
            path.unlink()
        world.ingest.start(found)
        assert school(world)[2] == "recovery"
        meet(world, world.line, world.other)
        assert school(world)[2] == "normal"
        assert world.balances(CATERER) == [PRICE]
    # With everything in its place nothing happens.
    told = dict(world.ingest.heads())[topics.cloud_head(world.school)]
    before = school(world)
    world.restart()
    world.ingest.start({world.school: told})
    assert school(world) == before


def test_forged_witness_is_an_alarm(world: World) -> None:
    world.line.sell(world.of_line(world.line)[0])
    world.handle(*world.line.all_recs())
    good = dict(world.ingest.heads())[topics.cloud_head(world.school)]
    before = school(world)
    world.restart()
    world.ingest.start({world.school: bytes([good[0] ^ 9]) + good[1:]})
    assert school(world) == before
    with db.reading(world.engine) as conn:
        assert [one.kind for one in alarms.alarms(conn, world.school)] == ["witness_forged"]


def test_device_that_knows_more_starts_recovery(world: World) -> None:
    account = world.of_line(world.line)[0]
    kept = backup(world)
    world.line.incarnation = (1, 0x1234)
    world.line.sell(account)
    world.handle(*world.line.all_recs())
    with db.reading(world.engine) as conn:
        head = accounting.head(conn, world.school)
    books = head.entry_count.to_bytes(4, "little") + head.hash[:8]
    set_back(world, kept)
    world.handle(world.line.hello(books=books))
    assert (school(world)[0], school(world)[2]) == (2, "recovery")
    meet(world, world.line, world.other)
    assert world.balances(CATERER) == [PRICE]
    # The books it was told of are those of an earlier incarnation now: no reason for another one.
    world.line.incarnation = (1, 0x1234)
    world.handle(world.line.hello(books=bytes(range(1, 13))))
    assert school(world)[0] == 2


def test_incarnation_is_above_all_that_were_seen(world: World) -> None:
    kept = backup(world)
    world.ingest.recover(world.school, "first")
    meet(world, world.line, world.other)
    set_back(world, kept)
    world.handle(world.line.hello())
    assert school(world)[0] == 3  # the archive and the device know of 2
    set_back(world, kept)
    without_archive(world)
    world.line.incarnation = (7, 99)
    world.handle(world.line.hello())
    assert (school(world)[0], school(world)[2]) == (8, "recovery")


def test_incarnation_is_above_those_of_the_registry(world: World) -> None:
    kept = backup(world)
    world.ingest.recover(world.school, "a first restore")
    with db.begin(world.engine) as conn:
        # Enrolled in incarnation 2: no recovery of that number waits for it.
        devices.new_epoch(conn, world.vault, world.school, "line-2", NOON)
    set_back(world, kept)
    without_archive(world)
    world.ingest.recover(world.school, "the whole machine was set back")
    assert school(world)[0] == 3
    meet(world, world.line)
    # What the new board holds was granted by a life that nobody remembers: it is read first.
    assert school(world)[2] == "recovery"


def test_price_of_the_archive_stays_a_price(world: World) -> None:
    account = world.of_line(world.line)[0]
    kept = backup(world)
    with db.begin(world.engine) as conn:
        bulk.run(conn, "UPDATE good SET price_minor = 9100 WHERE school_id = ?", (world.school,))
        devices.publish_settings(conn, world.school, NOON)
    world.handle(world.line.state(True))
    assert 9100 in [item.price for item in world.line.told(world.ingest.poll(), envelope.SETTINGS)[-1].menu]
    set_back(world, kept)
    world.ingest.recover(world.school, "a person said so")
    # The office has not said the new price again yet.
    world.line.sell(account, price=9100)
    meet(world, world.line, world.other)
    assert world.balances(CATERER, SUSPENSE_RULE) == [9100, 0]


def test_number_of_a_forgotten_good_is_not_given_again(world: World) -> None:
    def menu(*names: str) -> None:
        items = [meals.Item(name, 60 * at, 60 * at + 59, 7000) for at, name in enumerate(names)]
        with db.begin(world.engine) as conn:
            meals.set_menu(conn, world.school, items)
            devices.publish_settings(conn, world.school, NOON)
        world.ingest.poll()

    kept = backup(world)
    world.handle(world.line.state(True))
    menu("pie")
    told = "SELECT max(good_id) FROM published_price WHERE school_id = ?"
    before = world.rows(told)[0][0]
    set_back(world, kept)
    world.ingest.recover(world.school, "a person said so")
    menu("soup of the day")
    assert world.rows(told)[0][0] == before + 1


def test_recovery_waits_for_tables_of_its_own(world: World) -> None:
    """A till takes a total of its table over at a card's first tap, also behind its record of the restore."""
    account = world.of_line(world.line)[0]
    kept = backup(world)
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 5000, "of a lost life", NOON)
        version = devices.publish_tables(conn, world.vault, world.school, NOON)
    world.ingest.poll()
    world.line.write(record.TABLE, record.TABLE_ACCOUNTS, aux=version)
    set_back(world, kept)
    without_archive(world)
    world.ingest.recover(world.school, "the whole machine was set back")
    hear(world, world.line, world.other, world.gate)
    assert school(world)[2] == "recovery"
    # Nobody remembers this grant: it is reserved before anything new is given.
    world.line.write(record.GRANT, 0, account, 55_000)
    world.handle(*world.line.recs_of(1))
    assert world.records(world.line)[-1][1] == GRANT_UNKNOWN
    manifests = world.line.told(world.ingest.poll(), envelope.TABLE)
    assert manifests[-1].version > version
    meet(world, world.line, world.other)
    assert school(world)[2] == "normal"
    statement = "SELECT max(journaled) FROM spending_right WHERE school_id = ?"
    assert world.rows(statement) == [(55_000,)]


def test_device_enrolled_after_the_backup_is_known(world: World) -> None:
    kept = backup(world)
    with db.begin(world.engine) as conn:
        third = Peer(devices.register(conn, world.vault, world.school, "gate-2", "gate", NOON))
        devices.lost(conn, world.vault, world.school, "line-2", NOON)
    third.walk(world.pupils[0])
    world.handle(*third.all_recs())
    set_back(world, kept)
    world.ingest.recover(world.school, "a person said so")
    assert [seq for seq, _refusal in world.records(third)] == [1, 2]
    rows = world.rows("SELECT device_id, status FROM device_epoch WHERE school_id = ?")
    assert (world.other.device, "lost") in rows


def test_epoch_that_was_forgotten_takes_no_later_one_back(world: World) -> None:
    kept = backup(world)
    with db.begin(world.engine) as conn:
        devices.new_epoch(conn, world.vault, world.school, "line-2", NOON)
    set_back(world, kept)
    with db.begin(world.engine) as conn:
        # The office goes on before anybody knows that the database was set back.
        devices.new_epoch(conn, world.vault, world.school, "line-2", NOON)
    world.ingest.recover(world.school, "a person said so")
    statement = "SELECT device_id, epoch, status FROM device_epoch WHERE school_id = ? ORDER BY epoch"
    epochs = world.rows(statement)
    of_line = [row[1:] for row in epochs if row[0] == world.other.device]
    assert of_line == [(1, "lost"), (2, "lost"), (3, "open")]
    present = world.rows("SELECT device_id, epoch FROM device WHERE school_id = ?")
    assert (world.other.device, 3) in present


def test_bank_file_can_come_again(world: World) -> None:
    account = world.of_line(world.line)[0]
    kept = backup(world)
    for is_lost in (True, False, False):
        with db.begin(world.engine) as conn:
            accounting.top_up(conn, world.school, account, 7000, "after the backup", NOON)
        assert world.balance(account) == 107_000
        if is_lost:
            set_back(world, kept)
            world.ingest.recover(world.school, "a person said so")


def test_unfinished_recovery_goes_on(world: World, monkeypatch) -> None:
    kept = backup(world)
    world.line.sell(world.of_line(world.line)[0])
    world.handle(*world.line.all_recs())
    set_back(world, kept)

    def killed(_school: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(world.ingest, "_read_archive", killed)
    with pytest.raises(KeyboardInterrupt):
        world.ingest.recover(world.school, "killed in the middle")
    world.restart()
    assert world.balances(CATERER) == [0]
    world.handle(world.gate.hello())
    assert world.balances(CATERER) == [PRICE]


def test_versions_of_the_lost_time_are_not_given_out_again(world: World) -> None:
    kept = backup(world)
    # One that stands in a journal of the archive, and one that a board may be fetching just now.
    world.line.write(record.TABLE, record.TABLE_ACCOUNTS, aux=70_000)
    world.gate.write(record.TABLE, record.TABLE_SETTINGS, aux=80_000)
    world.handle(*world.line.all_recs(), *world.gate.all_recs())
    with db.begin(world.engine) as conn:
        lost = devices.publish_tables(conn, world.vault, world.school, NOON)
    set_back(world, kept)
    # No device has said HELLO: an acknowledgement may be all that it hears of the restore.
    world.ingest.recover(world.school, "a person said so")
    versions = world.rows("SELECT table_version, settings_version FROM school WHERE school_id = ?")
    assert versions == [(70_000, 80_000)]
    set_back(world, kept)
    shutil.rmtree(world.folder / "archive")
    world.restart()
    world.ingest.recover(world.school, "a person said so")
    with db.begin(world.engine) as conn:
        assert devices.publish_tables(conn, world.vault, world.school, NOON) > lost
