"""What people said about lost cards outlives a restore: by a real backup and restore, on both databases."""

import io

import pytest
from sqlalchemy import Engine

from cloud import bulk, db
from cloud.accounting import service as accounting
from cloud.alarms import service as alarms
from cloud.api import service as api
from cloud.archive import Archive, CardState, Decided, Decision, Report
from cloud.cards import service as cards
from cloud.config import Config
from cloud.ingest import recovery
from cloud.losses import service as losses
from cloud.losses import takebacks
from cloud.people import service as people
from cloud.restore.command import backup, restore
from protocols.card import credential
from protocols.wire import table
from tests.cloud.ingest.peer import LUNCH, NOON, PRICES, World
from tests.cloud.ingest.test_hot_meals import close_day
from tests.cloud.ingest.test_recovery import meet, school
from tests.cloud.losses.test_losses import found, look, report
from tests.cloud.losses.test_takebacks import ask, decide, sold_after, states
from tests.cloud.restore.test_restore import Cloud, again, run
from tests.cloud.schools import reference

PRICE = PRICES[LUNCH]
LOSS = accounting.LOST_CARDS


@pytest.fixture
def world(store: Engine, empty_url: str, tmp_path):
    made = Cloud(store, tmp_path, money=60_000)
    made.config = Config(tmp_path, empty_url)
    made.config.write()
    peers = made.line, made.other, made.gate
    made.handle(*(peer.state(True) for peer in peers), *(peer.hello(1) for peer in peers))
    yield made
    made.check_books()


def set_back(world: Cloud) -> None:
    """The database is that of the backup; the archive is whole, and the tills are read again."""
    world.engine.dispose()
    code, said = run(world, restore, world.folder / "kept", "--force")
    assert code == 0, said
    again(world)


def heal(world: Cloud) -> None:
    meet(world, world.line, world.other)
    assert school(world)[2] == "normal"


def keep(world: Cloud) -> None:
    assert run(world, backup, world.folder / "kept")[0] == 0


def status(world: World, account: int) -> list[str]:
    with db.reading(world.engine) as conn:
        return [card.status for card in cards.of_account(conn, world.school, account)]


def report_again(world: World, one: losses.Lost) -> losses.Lost | None:
    with db.reading(world.engine) as conn:
        return losses.lost(conn, world.school, one.number)


def flags(world: World, device: int, account: int) -> int:
    """Of an account's card in the newest table of a device."""
    statement = "SELECT image FROM device_table WHERE device_id = ? ORDER BY version DESC LIMIT 1"
    with db.reading(world.engine) as conn:
        image = bytes(bulk.select(conn, statement, (device,))[0][0])
    row = table.Table(io.BytesIO(image)).find(reference(account)[: table.REFERENCE])
    assert row is not None
    return row.flags


def test_block_of_after_the_backup_is_in_force_again(world: Cloud) -> None:
    account = world.pupils[0]
    keep(world)
    one = report(world, account, reason="left in the bus")
    set_back(world)
    back = report_again(world, one)
    # The report is the same to the last word, the card is closed, and every device is told so.
    assert back == one
    assert status(world, account) == ["blocked"]
    heal(world)
    for peer in (world.line, world.other, world.gate):
        assert flags(world, peer.device, account) & table.BLOCKED
    # The next one gets the next number.
    assert report(world, world.pupils[1]).number == one.number + 1


def test_card_that_was_found_is_open_again(world: Cloud) -> None:
    first, second = world.pupils[:2]
    early = report(world, first)
    keep(world)
    late = report(world, second)
    world.now += 60
    ended = [found(world, one.number) for one in (early, late)]
    set_back(world)
    assert [report_again(world, one) for one in (early, late)] == ended
    assert status(world, first) == status(world, second) == ["active"]
    heal(world)
    assert not flags(world, world.gate.device, first) & table.BLOCKED


def test_last_word_about_a_card_counts(world: Cloud) -> None:
    account = world.pupils[0]
    keep(world)
    for _ in range(2):
        one = report(world, account)
        world.now += 60
        found(world, one.number)
    last = report(world, account)
    set_back(world)
    with db.reading(world.engine) as conn:
        known = losses.of_accounts(conn, world.school, [account])
    assert [(each.number, each.is_open) for each in known] == [(3, True), (2, False), (1, False)]
    assert known[0] == last
    assert status(world, account) == ["blocked"]


def test_purchase_is_returned_once_before_and_after(world: Cloud) -> None:
    keep(world)
    account, one = sold_after(world)
    ask(world, one)
    close_day(world, world.line)
    assert losses.drive(world.engine, world.now) == 1
    before = world.balance(account), world.balances(LOSS)
    set_back(world)
    assert states(world, one) == [("agreed", "loss")]
    # Nothing is posted in recovery; then once, and nobody is offered it a second time.
    assert losses.drive(world.engine, world.now) == 0
    heal(world)
    assert [losses.drive(world.engine, world.now) for _ in range(2)] == [1, 0]
    assert (world.balance(account), world.balances(LOSS)) == before
    assert ask(world, one) == ""
    with db.reading(world.engine) as conn:
        assert losses.offered(conn, world.school, look(world, one)) == []
    assert states(world, one) == [("posted", "loss")]


def test_what_waits_for_a_second_person_still_waits(world: Cloud, monkeypatch) -> None:
    keep(world)
    _account, one = sold_after(world, 2)
    places = [use.place for use in look(world, one).after]
    monkeypatch.setattr(takebacks, "ALONE_MINOR", PRICE)
    first, second = ask(world, one, places=places[:1]), ask(world, one, places=places[1:])
    set_back(world)
    assert states(world, one) == [("agreed", "loss"), ("waits", "loss")]
    heal(world)
    assert decide(world, first, "Ivanova") == 0
    assert decide(world, second, "Ivanova", agree=False) == 1
    # What the second person said outlives the next restore too.
    set_back(world)
    assert states(world, one) == [("agreed", "loss"), ("declined", "loss")]


def test_reading_the_archive_twice_changes_nothing(world: Cloud) -> None:
    account, one = sold_after(world)
    ask(world, one)
    close_day(world, world.line)
    losses.drive(world.engine, world.now)
    names = ("card", "lost_card", "lost_card_sale")
    before = [world.rows(f"SELECT * FROM {name} WHERE school_id = ?") for name in names]
    for _ in range(2):
        world.ingest.recover(world.school, "a drill", is_archive_whole=True)
    assert [world.rows(f"SELECT * FROM {name} WHERE school_id = ?") for name in names] == before
    assert status(world, account) == ["blocked"]


def test_what_the_archive_does_not_take_is_not_said(world: Cloud, monkeypatch) -> None:
    account = world.pupils[0]
    with monkeypatch.context() as patch:
        patch.setattr(Archive, "append", lambda *_: (_ for _ in ()).throw(OSError(28, "no space left")))
        with pytest.raises(OSError, match="no space"):
            report(world, account)
    assert status(world, account) == ["active"]
    assert world.rows("SELECT * FROM lost_card WHERE school_id = ?") == []


def test_card_that_the_backup_does_not_know_comes_back_closed(world: Cloud) -> None:
    """Given and lost after the backup: a file that is imported again does not open it."""
    account = world.pupils[0]
    keep(world)
    with db.begin(world.engine) as conn:
        new = cards.issue(conn, world.vault, world.school, account, "a:04C716D07C564B", NOON)
        said = losses.report(
            conn, world.vault, world.archive, world.school, account, new,
            reporter=losses.PARENT, who="adult 1", lost_at=NOON, now=NOON,
        )  # fmt: skip
    set_back(world)
    assert status(world, account) == ["active", "blocked"]
    with db.begin(world.engine) as conn:
        cards.issue(conn, world.vault, world.school, account, "a:04C716D07C564B", NOON + 60)
    assert status(world, account) == ["active", "blocked"]
    assert report_again(world, said) == said


def test_desks_blocks_wipes_and_gifts_come_back(world: Cloud) -> None:
    keys = world.vault.reference_key(world.school)
    texts = [f"a:04C716D07C56{number:02X}" for number in range(4)]
    giver, taker = world.pupils[:2]
    with db.begin(world.engine) as conn:
        for text in texts:
            cards.issue(conn, world.vault, world.school, giver, text, NOON - 60)
        cards.add_desk(conn, world.vault, world.school, "Office PC", NOON)
        desk = cards.desks(conn, world.school)[0]
        names = {one.account_id: one.external_id for one in people.accounts(conn, world.school)}
    keep(world)

    def does(number: int, op: str, text: str, student: str = "") -> None:
        told = {"op": op, "op_id": f"{number:016x}", "student": student, "credential": text, "at": NOON}
        if op == "block":
            told["ref"] = credential.card_ref(keys, text)[:8].hex()
        with db.begin(world.engine) as conn:
            answers = api.take(conn, world.vault, world.archive, desk, [told], NOON)
        assert [one.number for one in answers] == [0]

    does(1, "block", texts[0], names[giver])
    does(2, "wipe", texts[1])
    does(3, "wipe", texts[2])
    does(4, "issue", texts[2], names[taker])
    does(5, "block", texts[3], names[giver])
    does(6, "issue", texts[3], names[giver])
    set_back(world)
    with db.reading(world.engine) as conn:
        found_at = [cards.at(conn, world.school, credential.card_ref(keys, text)) for text in texts]
    # Blocked; nobody's; not the giver's any more, though the taker is forgotten; opened again.
    assert [one and (one.account_id, one.status) for one in found_at] == [
        (giver, "blocked"), None, (giver, "blocked"), (giver, "active"),
    ]  # fmt: skip


def test_report_of_a_pupil_whom_the_backup_does_not_know_is_told(world: Cloud) -> None:
    one = Report(
        world.school, 0xDEAD, 7, NOON, bytes(16), NOON, NOON, 1, 0, "parent", "adult 9", "", "", ""
    )  # fmt: skip
    world.archive.append([one, CardState(world.school, 0xDEAD, NOON, 1, bytes(16), "adult 9")], NOON)
    world.ingest.recover(world.school, "a drill", is_archive_whole=True)
    assert world.rows("SELECT * FROM lost_card WHERE school_id = ?") == []
    with db.reading(world.engine) as conn:
        told = [each.detail for each in alarms.alarms(conn, world.school) if each.kind == "lost_card_unread"]
    assert told == ["report 7 of 0000dead: the restored database has no such pupil"]


def test_what_was_said_comes_back_from_the_archive_byte_for_byte(tmp_path) -> None:
    said: list[Decided] = [
        CardState(7, 9, 100, 1, bytes(range(16)), "desk Канцелярия"),
        Report(
            7,
            9,
            3,
            101,
            bytes(range(16)),
            90,
            95,
            12,
            99,
            "parent",
            "adult 4",
            "в автобусе",
            "Ира",
            "есть",
        ),
        Decision(7, 5, 2, 102, 17, 3, 8_500, 96, 98, "loss", "agreed", "ab" * 32, "Ира", "сразу", "Оля"),
    ]
    Archive(tmp_path).append(said, 100)
    assert recovery.decided(Archive(tmp_path), 7) == said
    assert recovery.decided(Archive(tmp_path), 8) == []
    path = next(tmp_path.glob("*.kka"))
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        assert recovery.decided(Archive(tmp_path), 7) == said[: len(recovery.decided(Archive(tmp_path), 7))]
