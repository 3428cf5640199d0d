"""What became of payouts when a database was set back, a step was cut off, or the books refused one."""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.accounting import service as accounting
from cloud.accounting.service import BANK, Entry
from cloud.alarms import service as alarms
from cloud.archive import Archive, Payout
from cloud.ingest import recovery
from cloud.payouts import service as payouts
from tests.cloud.ingest.peer import World
from tests.cloud.ingest.test_recovery import backup, meet, school, set_back
from tests.cloud.payouts.test_payouts import CAP, MONEY, ask, drive, give_back, pupil_of, seen


def made(engine: Engine, folder) -> World:
    world = World(engine, folder, money=MONEY)
    world.ingest.start({})
    world.handle(world.line.state(True), world.other.state(True), world.line.hello(1), world.other.hello(1))
    return world


@pytest.fixture
def world(store_sqlite: Engine, tmp_path):
    """On SQLite, where a database is a file that can be put back."""
    found = made(store_sqlite, tmp_path)
    yield found
    found.check_books()


@pytest.fixture
def either(store: Engine, tmp_path):
    """On both databases."""
    return made(store, tmp_path)


def restored(world: World, kept) -> None:
    """The database is the backup's, and every till was read again."""
    set_back(world, kept)
    world.ingest.recover(world.school, "a drill", is_archive_whole=True)
    meet(world, world.line, world.other)
    assert school(world)[2] == "normal"


def raised(world: World) -> list[tuple[str, str]]:
    with db.reading(world.engine) as conn:
        return [(one.kind, one.detail) for one in alarms.alarms(conn, world.school)]


def test_a_restored_database_pays_no_second_time(world) -> None:
    account, kept = pupil_of(world), backup(world)
    ask(world, account, 30_000)
    assert drive(world) == 10_000
    world.ingest.poll()
    give_back(world, account, 20_000)
    assert drive(world) == 20_000
    restored(world, kept)
    again = ask(world, account, 30_000)
    assert (again.state, again.paid_minor, again.asked_by) == ("paid", 30_000, "office")
    assert (drive(world), world.balance(account)) == (0, MONEY - 30_000)


def test_a_payout_that_was_under_way_goes_on_after_a_restore(world) -> None:
    account, kept = pupil_of(world), backup(world)
    ask(world, account, 30_000)
    drive(world)
    restored(world, kept)
    assert (seen(world).state, seen(world).paid_minor) == ("open", 10_000)
    world.handle(world.line.state(True))
    drive(world)
    world.ingest.poll()
    give_back(world, account, 20_000)
    assert (drive(world), seen(world).state, world.balance(account)) == (20_000, "paid", 30_000)


def test_a_cancelled_payout_stays_cancelled(world) -> None:
    account = pupil_of(world)
    ask(world, account, 30_000)
    kept = backup(world)
    drive(world)
    with db.begin(world.engine) as conn:
        payouts.cancel(conn, world.archive, world.school, "R1", world.now)
    restored(world, kept)
    assert (seen(world).state, seen(world).paid_minor) == ("cancelled", 10_000)
    assert (drive(world), world.balance(account)) == (0, CAP)


def test_a_step_that_was_archived_only_does_not_count_beside_its_repetition(world, monkeypatch) -> None:
    account, kept = pupil_of(world), backup(world)
    ask(world, account, 30_000)
    with monkeypatch.context() as patch:
        # The archive has the part, then the process is killed: the database has nothing.
        append = Archive.append
        patch.setattr(Archive, "append", lambda *each: (append(*each), 1 / 0))
        with pytest.raises(ZeroDivisionError):
            drive(world)
    assert world.balance(account) == MONEY
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 4_000, "more", world.now)
    assert drive(world) == 14_000
    restored(world, kept)
    assert (seen(world).paid_minor, world.balance(account)) == (14_000, MONEY - 14_000)
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 4_000, "more", world.now)


def test_reading_the_archive_twice_changes_nothing(world) -> None:
    account = pupil_of(world)
    ask(world, account, 5_000)
    drive(world)
    before = seen(world), world.balance(account)
    for _ in range(2):
        world.ingest.recover(world.school, "a drill", is_archive_whole=True)
    assert (seen(world), world.balance(account)) == before


def test_a_request_comes_back_from_the_archive_byte_for_byte(tmp_path) -> None:
    change = Payout(7, 9, 2, 100, 1, 5_000, 1_200, 90, "Ключ-1", "уходит", "office")
    Archive(tmp_path).append([change], 100)
    assert recovery.decided(Archive(tmp_path), 7) == [change]
    assert recovery.decided(Archive(tmp_path), 8) == []
    path = next(tmp_path.glob("*.kka"))
    for cut in range(len(path.read_bytes())):
        whole = path.read_bytes()
        path.write_bytes(whole[:cut])
        assert recovery.decided(Archive(tmp_path), 7) == []
        path.write_bytes(whole)


def test_what_the_archive_does_not_take_is_not_paid(either, monkeypatch) -> None:
    account = pupil_of(either)
    ask(either, account, 5_000)
    with monkeypatch.context() as patch:
        patch.setattr(Archive, "append", lambda *_: (_ for _ in ()).throw(OSError(28, "no space left")))
        with pytest.raises(OSError, match="no space"):
            drive(either)
    assert (either.balance(account), seen(either).paid_minor) == (MONEY, 0)
    assert drive(either) == 5_000


def test_a_part_that_the_books_refuse_raises_an_alarm_and_is_not_tried_again(either) -> None:
    account = pupil_of(either)
    ask(either, account, 5_000)
    lines = ((accounting.purse(account), -1), (BANK, 1))
    with db.begin(either.engine) as conn:
        accounting.post(conn, either.school, [Entry("payout:R1:1", "payout", 1, lines)], either.now)
    for _ in range(3):
        assert drive(either) == 0
    assert [kind for kind, _detail in raised(either)] == ["payout_refused"]
    assert (seen(either).state, seen(either).paid_minor) == ("refused", 0)
    assert len(either.rows("SELECT external_key FROM refused_entry WHERE school_id = ?")) == 1
    with db.begin(either.engine) as conn:
        assert payouts.cancel(conn, either.archive, either.school, "R1", either.now).state == "cancelled"
