"""Money back to parents: what is free goes at once, the rest when the tills have given it back."""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.accounting import service as accounting
from cloud.devices import service as devices
from cloud.payouts import service as payouts
from protocols.ledger import record
from protocols.wire import envelope
from tests.cloud.ingest.peer import World

CAP = 50_000
MONEY = CAP + 10_000


@pytest.fixture
def world(store: Engine, tmp_path):
    made = World(store, tmp_path, money=MONEY)
    made.handle(made.line.state(True), made.other.state(True), made.line.hello(1), made.other.hello(1))
    yield made
    made.check_books()


def pupil_of(world: World) -> int:
    return world.of_line(world.line)[0]


def ask(world: World, account: int, amount: int, key: str = "R1") -> payouts.Payout:
    with db.begin(world.engine) as conn:
        return payouts.request(
            conn, world.archive, world.school, account, amount,
            key=key, reason="leaves", asked_by="office", now=world.now,
        )  # fmt: skip


def drive(world: World) -> int:
    world.now += payouts.RECALL_AGAIN_S
    return payouts.drive(world.engine, world.archive, world.now)


def seen(world: World, key: str = "R1") -> payouts.Payout:
    with db.reading(world.engine) as conn:
        return next(one for one in payouts.payouts(conn, world.school) if one.external_key == key)


def give_back(world: World, account: int, target: int):
    world.line.write(record.GRANT, 0, account, CAP)
    world.line.write(record.RETURN, 0, account, target)
    return world.handle(*world.line.all_recs())


def test_only_what_no_till_holds_goes_at_once(world) -> None:
    account = pupil_of(world)
    ask(world, account, 30_000)
    assert drive(world) == 10_000
    assert (seen(world).state, seen(world).paid_minor, world.balance(account)) == ("open", 10_000, CAP)
    assert [(one.label, one.rights_minor) for one in seen(world).awaited] == [("line-1", CAP)]
    assert drive(world) == 0


def test_the_rest_goes_when_the_return_is_in(world) -> None:
    account = pupil_of(world)
    ask(world, account, 30_000)
    drive(world)
    recalls = world.line.told(world.ingest.poll(), envelope.RECALL)
    assert recalls == [[(account, record.MONEY, 20_000)]]
    assert drive(world) == 0
    give_back(world, account, 20_000)
    assert drive(world) == 20_000
    assert (seen(world).state, world.balance(account)) == ("paid", 30_000)
    assert drive(world) == 0


def test_what_comes_back_is_placed_nowhere_else(world) -> None:
    account = pupil_of(world)
    ask(world, account, 30_000)
    drive(world)
    world.ingest.poll()
    give_back(world, account, 20_000)
    with db.begin(world.engine) as conn:
        devices.publish_tables(conn, world.vault, world.school, world.now)
        devices.offer_rights(conn, world.school, [account], world.now)
    world.ingest.poll()
    answers = world.other.told(world.handle(world.other.need(account, 8500)), envelope.ANSWER)
    assert [answer.total for answer in answers if answer.total] == []
    assert drive(world) == 20_000


def test_a_till_offline_is_waited_for_by_name(world) -> None:
    account = pupil_of(world)
    world.handle(world.line.state(False))
    ask(world, account, 30_000)
    drive(world)
    drive(world)
    assert world.line.told(world.ingest.poll(), envelope.RECALL) == []
    waits = seen(world).awaited[0]
    assert (waits.label, waits.online, waits.last_seen_at) == ("line-1", False, world.now - 30)
    assert len(world.rows("SELECT id FROM downlink WHERE school_id = ? AND kind = 'recall'")) == 1
    world.handle(world.line.state(True))
    assert len(world.line.told(world.ingest.poll(), envelope.RECALL)) == 1


def test_a_recall_that_got_lost_is_sent_again_with_the_same_total(world) -> None:
    account = pupil_of(world)
    ask(world, account, 30_000)
    told = []
    for _ in range(3):
        drive(world)
        told += world.line.told(world.ingest.poll(), envelope.RECALL)
    assert told == [[(account, record.MONEY, 20_000)]] * 3


def test_a_purse_that_was_spent_is_paid_in_part(world) -> None:
    account = pupil_of(world)
    ask(world, account, MONEY)
    drive(world)
    world.line.write(record.GRANT, 0, account, CAP)
    world.line.sell(account)
    world.line.write(record.RETURN, 0, account, CAP - 8500)
    world.handle(*world.line.all_recs())
    drive(world)
    drive(world)
    assert (seen(world).state, seen(world).paid_minor, world.balance(account)) == ("partly", MONEY - 8500, 0)


def test_the_same_key_is_the_same_request(world) -> None:
    account = pupil_of(world)
    assert ask(world, account, 5_000) == ask(world, account, 5_000)
    drive(world)
    assert ask(world, account, 5_000).state == "paid"
    with pytest.raises(payouts.PayoutRefused, match="another amount"):
        ask(world, account, 6_000)
    assert drive(world) == 0


@pytest.mark.parametrize(("amount", "match"), [(0, "more than 0"), (MONEY + 1, "holds 600.00")])
def test_an_amount_that_cannot_be_is_refused(world, amount, match) -> None:
    with pytest.raises(payouts.PayoutRefused, match=match):
        ask(world, pupil_of(world), amount)


def test_two_requests_cannot_want_the_same_money(world) -> None:
    account = pupil_of(world)
    ask(world, account, CAP)
    with pytest.raises(payouts.PayoutRefused, match=r"holds 100\.00"):
        ask(world, account, 20_000, "R2")


def test_nothing_is_paid_in_recovery(world) -> None:
    account = pupil_of(world)
    ask(world, account, 5_000)
    world.ingest.recover(world.school, "a drill", is_archive_whole=True)
    assert drive(world) == 0
    with pytest.raises(payouts.PayoutRefused, match="recovery"):
        ask(world, account, 5_000, "R2")


def test_a_cancelled_payout_frees_the_rest(world) -> None:
    account = pupil_of(world)
    ask(world, account, 30_000)
    drive(world)
    for _ in range(2):
        with db.begin(world.engine) as conn:
            assert payouts.cancel(conn, world.archive, world.school, "R1", world.now).state == "cancelled"
    with db.reading(world.engine) as conn:
        assert payouts.reserved(conn, world.school) == {}
        assert accounting.balances(conn, world.school, [accounting.BANK])[accounting.BANK] == -(
            4 * MONEY - 10_000
        )
    assert drive(world) == 0


def test_a_step_that_was_cut_off_pays_once(world, monkeypatch) -> None:
    account = pupil_of(world)
    ask(world, account, 5_000)
    with monkeypatch.context() as patch:
        patch.setattr("cloud.payouts.store.set_state", lambda *_: (_ for _ in ()).throw(OSError("cut")))
        with pytest.raises(OSError, match="cut"):
            drive(world)
    assert world.balance(account) == MONEY
    assert (drive(world), drive(world), world.balance(account)) == (5_000, 0, MONEY - 5_000)
