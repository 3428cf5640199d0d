"""A lost card: closed only where a device says so, and all that was done with it, also what comes late."""

import pytest
from sqlalchemy import Engine

from cloud import bulk, db
from cloud.cards import service as cards
from cloud.losses import service as losses
from cloud.notifications import service as notifications
from protocols.errors import CARD_BLOCKED
from protocols.ledger import record
from tests.cloud.ingest.peer import BREAKFAST, NOON, PRICES, Peer, World
from tests.cloud.schools import reference


@pytest.fixture
def world(store: Engine, tmp_path):
    made = World(store, tmp_path, money=60_000)
    peers = made.line, made.other, made.gate
    made.handle(*(peer.state(True) for peer in peers), *(peer.hello(1) for peer in peers))
    yield made
    made.check_books()


def report(world: World, account: int, **changed: object) -> losses.Lost:
    options = {"reporter": losses.PARENT, "who": "adult 1", "lost_at": world.now, "now": world.now} | changed
    with db.begin(world.engine) as conn:
        return losses.report(
            conn,
            world.vault,
            world.archive,
            world.school,
            account,
            reference(account),
            **options,  # type: ignore[arg-type]
        )


def found(world: World, number: int) -> losses.Lost | None:
    with db.begin(world.engine) as conn:
        return losses.found(
            conn,
            world.vault,
            world.archive,
            world.school,
            number,
            by="office",
            reason="brought",
            now=world.now,
        )


def look(world: World, one: losses.Lost) -> losses.Looked:
    with db.reading(world.engine) as conn:
        fresh = losses.lost(conn, world.school, one.number)
        assert fresh is not None
        return losses.look(conn, world.school, fresh)


def doors(world: World, one: losses.Lost) -> dict[str, tuple[str, int | None]]:
    return {door.label: (door.state, door.since) for door in look(world, one).force.doors}


def apply_table(world: World, peer: Peer, version: int) -> None:
    """The device works by that table from now on, and says so in its journal."""
    peer.time = world.now
    peer.write(record.TABLE, record.TABLE_ACCOUNTS, aux=version)
    world.handle(*peer.recs_of(1))


def test_block_is_in_force_only_where_a_device_says_so(world: World) -> None:
    one = report(world, world.pupils[0])
    world.ingest.poll()  # the tables are announced and nobody has answered
    assert {state for state, _since in doors(world, one).values()} == {"telling"}
    assert look(world, one).force.closed == 0
    world.now += 30
    apply_table(world, world.gate, one.table_version)
    assert doors(world, one)["gate-1"] == ("in_force", NOON + 30)
    apply_table(world, world.line, one.table_version - 1)
    assert doors(world, one)["line-1"] == ("telling", world.now)
    apply_table(world, world.line, one.table_version + 1)
    world.handle(world.other.state(False))
    seen = look(world, one).force
    assert (seen.closed, len(seen.counted), seen.is_everywhere) == (2, 3, False)
    assert doors(world, one)["line-2"] == ("silent", NOON)
    assert seen.doors[0].label == "line-2"
    apply_table(world, world.other, one.table_version)
    assert look(world, one).force.is_everywhere


def test_hello_is_a_devices_word_too(world: World) -> None:
    one = report(world, world.pupils[0])
    world.handle(world.gate.hello(one.table_version))
    assert doors(world, one)["gate-1"] == ("in_force", None)
    world.handle(world.gate.hello(one.table_version - 1))  # it was set back to an older image
    assert doors(world, one)["gate-1"][0] == "telling"


def test_most_that_can_be_lost_is_what_waiting_tills_hold(world: World) -> None:
    account = world.of_line(world.line)[0]
    one = report(world, account)
    assert look(world, one).force.at_most_minor == 50_000
    apply_table(world, world.line, one.table_version)
    assert look(world, one).force.at_most_minor == 0


def test_same_report_again_is_the_one_that_was_made(world: World) -> None:
    one = report(world, world.pupils[0])
    world.now += 60
    again = report(world, world.pupils[0], reporter=losses.OFFICE, who="Petrova")
    assert again == one
    tables = world.rows("SELECT table_version FROM school WHERE school_id = ?")
    assert tables == [(one.table_version,)]
    told = world.rows("SELECT event FROM outbox WHERE school_id = ?")
    assert told == [(notifications.CARD_BLOCKED,)]


def test_card_of_another_account_is_not_blocked(world: World) -> None:
    with pytest.raises(losses.NoSuchCard), db.begin(world.engine) as conn:
        losses.report(
            conn, world.vault, world.archive, world.school, world.pupils[0], reference(world.pupils[1]),
            reporter=losses.PARENT, who="adult 1", lost_at=NOON, now=NOON,
        )  # fmt: skip
    assert world.rows("SELECT status FROM card WHERE school_id = ?") == [("active",)] * 4


def test_found_card_opens_again_and_may_be_lost_again(world: World) -> None:
    one = report(world, world.pupils[0])
    world.now += 60
    ended = found(world, one.number)
    assert ended is not None
    assert (ended.is_open, ended.is_blocked, ended.ended_by) == (False, False, "office")
    assert found(world, one.number) == ended
    assert found(world, 99) is None
    second = report(world, world.pupils[0])
    assert (second.number, second.is_blocked) == (one.number + 1, True)
    assert second.table_version > one.table_version + 1
    apply_table(world, world.gate, one.table_version + 1)  # the one in which it was open
    assert doors(world, second)["gate-1"][0] == "telling"


def test_parent_may_take_back_for_ten_minutes_only(world: World) -> None:
    one = report(world, world.pupils[0])
    assert one.may_undo(NOON + losses.UNDO_S - 1)
    assert not one.may_undo(NOON + losses.UNDO_S)
    assert not report(world, world.pupils[1], reporter=losses.OFFICE).may_undo(NOON)


def test_what_was_done_with_the_card_is_told_device_by_device(world: World) -> None:
    account, other = world.of_line(world.line)[:2]
    world.line.write(record.GRANT, 0, account, 50_000)
    for peer, after in ((world.gate, -600), (world.line, -300)):
        peer.time = NOON + after
    walk(world.gate, account)
    world.line.sell(account)
    one = report(world, account, lost_at=NOON - 1000)
    world.line.time = world.gate.time = NOON + 120
    world.line.sell(account)
    world.line.write(record.GRANT, 0, other, 50_000)
    world.line.sell(other)
    world.line.write(record.SALE, 1, account, PRICES[BREAKFAST], record.good_aux(BREAKFAST, b"\x01\x02"))
    world.gate.write(
        record.NOTE, record.NOTE_REFUSED_TAP, account, CARD_BLOCKED, record.tap_aux(reference(account))
    )
    world.now = NOON + 3600
    assert look(world, one).after == []  # nothing of it has come yet
    world.handle(*world.line.all_recs(), *world.gate.all_recs())
    seen = look(world, one)
    assert [(use.kind, use.at) for use in seen.before] == [("in", NOON - 600), ("purchase", NOON - 300)]
    late = NOON + 120, NOON + 3600
    assert sorted((use.kind, use.at, use.learnt_at) for use in seen.after) == [
        ("purchase", *late),
        ("refused", *late),
    ]


def walk(gate: Peer, account: int) -> None:
    opened = gate.write(record.PASS, record.PASS_OPENED, account, aux=record.tap_aux(reference(account)))
    gate.write(record.PASS, record.PASS_TURNED, account, aux=opened)


def test_sale_that_the_canteen_cancelled_says_so(world: World) -> None:
    account = world.of_line(world.line)[0]
    one = report(world, account)
    world.line.time = NOON + 60
    world.line.write(record.GRANT, 0, account, 50_000)
    sold = world.line.sell(account)
    world.line.write(record.VOID, 1, account, PRICES[BREAKFAST], sold)
    world.handle(*world.line.all_recs())
    assert [use.is_voided for use in look(world, one).after] == [True]


def give_twin(world: World, account: int) -> bytes:
    """Another card of the account whose sales look the same."""
    twin = reference(account)[:2] + bytes(14)
    with db.begin(world.engine) as conn:
        columns = ["school_id", "card_ref", "account_id", "issued_at"]
        bulk.insert_rows(conn, db.card, [(world.school, twin, account, 0)], columns)
    return twin


def test_another_card_with_the_same_trace_is_said(world: World) -> None:
    account = world.of_line(world.line)[0]
    give_twin(world, account)
    one = report(world, account)
    world.line.time = NOON + 60
    world.line.write(record.GRANT, 0, account, 50_000)
    world.line.sell(account)
    world.handle(*world.line.all_recs())
    assert [use.is_sure for use in look(world, one).after] == [False]


def test_family_is_told_of_a_try_once_an_hour(world: World) -> None:
    account = world.pupils[0]
    report(world, account)
    aux = record.tap_aux(reference(account))
    for after in (-60, 60, 61, 4000):
        world.gate.time = NOON + after
        world.gate.write(record.NOTE, record.NOTE_REFUSED_TAP, account, CARD_BLOCKED, aux)
        world.now = NOON + max(after, 0)
        world.handle(*world.gate.recs_of(1))
    told = world.rows("SELECT happened_at FROM outbox WHERE school_id = ? AND event = 'card_used'")
    assert sorted(told) == [(NOON + 60,), (NOON + 4000,)]


def test_family_is_told_of_a_try_where_the_clock_was_not_set(world: World) -> None:
    account = world.pupils[0]
    report(world, account)
    world.gate.time, world.now = 0, NOON + 60
    aux = record.tap_aux(reference(account))
    world.gate.write(record.NOTE, record.NOTE_REFUSED_TAP, account, CARD_BLOCKED, aux)
    world.handle(*world.gate.recs_of(1))
    told = world.rows("SELECT happened_at FROM outbox WHERE school_id = ? AND event = 'card_used'")
    assert told == [(NOON + 60,)]


def test_replacing_a_card_leaves_money_rights_and_history_alone(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.line.write(record.GRANT, 0, account, 50_000)
    world.line.sell(account)
    world.handle(*world.line.all_recs())
    questions = [
        "SELECT * FROM spending_right WHERE school_id = ? ORDER BY device_id, account_id",
        "SELECT entry_id, external_key FROM entry WHERE school_id = ? ORDER BY entry_id",
        "SELECT * FROM balance WHERE school_id = ? ORDER BY ledger_account_id",
        "SELECT account_id, class_id, status FROM pupil WHERE school_id = ? ORDER BY account_id",
    ]
    before = [world.rows(question) for question in questions]
    report(world, account)
    with db.begin(world.engine) as conn:
        new = cards.issue(conn, world.vault, world.school, account, "a:04C716D07C564B", NOON)
        assert {card.card_ref: card.status for card in cards.of_account(conn, world.school, account)} == {
            reference(account): "blocked",
            new: "active",
        }
    assert [world.rows(question) for question in questions] == before


def test_other_number_of_the_card_is_this_card_too(world: World) -> None:
    account = world.pupils[0]
    alias = bytes(range(16))
    with db.begin(world.engine) as conn:
        bulk.insert_rows(conn, db.card_alias, [(world.school, alias, reference(account), 0, 1)])
    one = report(world, account)
    world.gate.time = NOON + 60
    aux = record.tap_aux(alias)
    world.gate.write(record.NOTE, record.NOTE_REFUSED_TAP, account, CARD_BLOCKED, aux)
    world.handle(*world.gate.recs_of(1))
    assert [use.kind for use in look(world, one).after] == ["refused"]
    assert world.rows("SELECT count(*) FROM outbox WHERE school_id = ? AND event = 'card_used'") == [(1,)]


def test_card_that_was_opened_elsewhere_is_reported_again(world: World) -> None:
    account = world.pupils[0]
    one = report(world, account)
    with db.begin(world.engine) as conn:
        cards.unblock(
            conn, world.school, reference(account), [], who="desk", now=world.now
        )  # as a desk that has it in the hand
        assert [line.report for line in losses.cards_of(conn, world.school, [account])[account]] == [None]
    world.now += 60
    second = report(world, account)
    assert second.number == one.number + 1
    with db.begin(world.engine) as conn:
        (card,) = cards.of_account(conn, world.school, account)
        first = losses.lost(conn, world.school, one.number)
    assert card.is_blocked
    assert first is not None
    assert not first.is_open
    assert report(world, account) == second


def test_card_that_another_pupil_has_by_now_is_reported_by_the_new_family(world: World) -> None:
    giver, taker = world.pupils[:2]
    old = report(world, giver)
    with db.begin(world.engine) as conn:
        bulk.run(
            conn, "UPDATE card SET account_id = ?, status = 'active' WHERE card_ref = ?",
            (taker, reference(giver)),
        )  # fmt: skip
        new = losses.report(
            conn, world.vault, world.archive, world.school, taker, reference(giver),
            reporter=losses.PARENT, who="adult 2", lost_at=NOON, now=NOON,
        )  # fmt: skip
    assert (new.account_id, new.number) == (taker, old.number + 1)
    found(world, old.number)
    assert statuses(world, taker) == ["active", "blocked"]


def test_found_opens_no_card_of_another_pupil(world: World) -> None:
    giver, taker = world.pupils[:2]
    old = report(world, giver)
    with db.begin(world.engine) as conn:
        bulk.run(conn, "UPDATE card SET account_id = ? WHERE card_ref = ?", (taker, reference(giver)))
    assert found(world, old.number) is not None
    assert statuses(world, taker) == ["active", "blocked"]


def statuses(world: World, account: int) -> list[str]:
    with db.reading(world.engine) as conn:
        return sorted(card.status for card in cards.of_account(conn, world.school, account))
