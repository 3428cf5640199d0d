"""Hot meals in the books: on credit, from a benefit, and re-rated in the evening."""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.accounting import service as accounting
from cloud.benefits import service as benefits
from cloud.benefits import store as benefit_store
from cloud.devices import service as devices
from cloud.reconciliation import service as reconciliation
from protocols.errors import NOT_IN_MENU, OK
from protocols.ids import hex8
from protocols.ledger import record
from protocols.wire import envelope, table
from tests.cloud.ingest.peer import BREAKFAST, DAY, LUNCH, NIGHT, NOON, PRICES, Peer, World

PRICE = PRICES[LUNCH]
ON_CREDIT = record.SALE_SINGLE | record.FROM_CREDIT
FUNDED = record.SALE_SINGLE | record.FROM_BENEFIT | LUNCH << record.SALE_MEAL_SHIFT
FUND = "fund:city:2024:large-family"
BUCKET = record.benefit_bucket(DAY, LUNCH)


@pytest.fixture(params=[False, True], ids=["any-card", "weak-cards"])
def world(request: pytest.FixtureRequest, store: Engine, tmp_path) -> World:
    made = World(store, tmp_path, pupils=4, money=40_000, is_limited=request.param)
    with db.begin(store) as conn:
        conn.execute(db.good.update().where(db.good.c.good_id == BREAKFAST).values(meal="breakfast"))
        devices.set_settings(conn, made.school, NOON, credit_minor=PRICE)
    return made


def entitle(world: World, *accounts: int, first: int = DAY - 1, last: int = DAY + 9) -> None:
    rows = [
        (world.school, account, LUNCH, first, last, "city", "large-family", "", NOON) for account in accounts
    ]
    with db.begin(world.engine) as conn:
        benefit_store.write(conn, rows)
    publish(world)


def publish(world: World, now: int = NOON) -> None:
    with db.begin(world.engine) as conn:
        devices.publish_tables(conn, world.vault, world.school, now)
    world.ingest.poll()


def row_of(world: World, peer: Peer, account: int) -> tuple[table.Row, table.Table]:
    import io

    from tests.cloud.schools import reference

    (image,) = world.rows(
        "SELECT image FROM device_table WHERE school_id = ? AND version ="
        f" (SELECT max(version) FROM device_table) AND device_id = {peer.device}"
    )
    found = table.Table(io.BytesIO(bytes(image[0])))
    row = found.find(reference(account)[:8])
    assert row is not None
    return row, found


def close_day(world: World, *peers: Peer) -> None:
    """The day is over, and each till closes it."""
    world.now = NIGHT
    for peer in peers:
        seqs = [seq for seq, raw in enumerate(peer.raws, 1) if raw[0] in (record.SALE, record.VOID)]
        peer.write(record.CLOSE_DAY, amount=len(seqs), aux=max(seqs, default=0))
        world.handle(*peer.all_recs())


def take(world: World, peer: Peer, account: int, flags: int, good: int = LUNCH) -> int:
    """Journal the grants behind a sale, then the sale, and hand it over."""
    source = flags & record.SALE_SOURCE
    if source == record.FROM_BENEFIT:
        peer.write(record.GRANT, account=account, amount=1, aux=BUCKET)
    elif source == record.FROM_CREDIT:
        peer.write(record.GRANT, account=account, amount=PRICE, aux=record.MEAL_CREDIT)
    else:
        peer.write(record.GRANT, account=account, amount=40_000)
    seq = peer.sell(account, good, flags=flags)
    world.handle(*peer.all_recs())
    return seq


def credit(account: int) -> str:
    return accounting.credit(account)


def entries(world: World, kind: str) -> list[str]:
    rows = world.rows(
        f"SELECT external_key FROM entry WHERE school_id = ? AND kind = '{kind}' ORDER BY entry_id"
    )
    return [row[0] for row in rows]


def whole(world: World) -> None:
    """The books are whole and the day balances."""
    with db.snapshot(world.engine) as conn:
        assert accounting.check(conn, world.school).differences == []
        found = reconciliation.reconcile(conn, world.school, DAY)
    assert (found.items, found.difference_minor) == ([], 0)
    assert found.journal_minor == found.books_minor
    world.check_books()


# Placement


def test_home_till_alone_gets_credit_and_benefits(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle(world, account)
    row, image = row_of(world, world.line, account)
    assert row.flags == table.CREDIT | table.WEAK | table.meal_flag(LUNCH)
    assert (image.base_day, image.credit_total) == (DAY, PRICE)
    # Five of the days ahead, without the Sunday.
    days = [image.base_day + bit for bit in range(16) if row.benefit_days >> bit & 1]
    assert len(days) == 5
    assert all(day % 7 != 3 for day in days)
    for other in (world.other, world.gate):
        row, image = row_of(world, other, account)
        assert (row.flags, row.benefit_days) == (table.WEAK, 0)
    assert row_of(world, world.gate, account)[1].credit_total == 0


def test_counters_stand_before_the_table(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle(world, account)
    rows = world.rows(
        "SELECT bucket, granted, tabled FROM spending_right WHERE school_id = ?"
        f" AND account_id = {account} AND bucket > 0 ORDER BY bucket"
    )
    assert rows[0] == (record.MEAL_CREDIT, PRICE, PRICE)
    assert [(granted, tabled) for _bucket, granted, tabled in rows[1:]] == [(1, 1)] * 5
    publish(world)
    again = world.rows(
        "SELECT bucket, granted, tabled FROM spending_right WHERE school_id = ?"
        f" AND account_id = {account} AND bucket > 0 ORDER BY bucket"
    )
    assert again == rows


def test_cap_device_counts_credit_and_benefits(world: World) -> None:
    with db.begin(world.engine) as conn:
        devices.set_settings(conn, world.school, NOON, cap_device_minor=80_000 + PRICE)
    account = world.of_line(world.line)[0]
    entitle(world, account)
    held = world.rows(
        "SELECT sum((granted - returned - spent + voided) * CASE WHEN bucket < 8 THEN 1 ELSE 14000 END)"
        f" FROM spending_right WHERE school_id = ? AND device_id = {world.line.device}"
    )
    assert held[0][0] <= 80_000 + PRICE


def test_school_without_credit_places_none(world: World) -> None:
    with db.begin(world.engine) as conn:
        devices.set_settings(conn, world.school, NOON, credit_minor=0)
    publish(world)
    assert world.rows("SELECT * FROM spending_right WHERE school_id = ? AND bucket > 0") == []


# Credit


def test_meal_on_credit_is_owed_beside_the_purse(world: World) -> None:
    account = world.of_line(world.line)[0]
    publish(world)
    take(world, world.line, account, ON_CREDIT)
    assert world.balances(accounting.purse(account), credit(account)) == [40_000, -PRICE]
    assert world.balances(accounting.CATERER) == [PRICE]
    whole(world)


def test_new_money_repays_before_it_is_spent(world: World) -> None:
    account = world.of_line(world.line)[0]
    publish(world)
    take(world, world.line, account, ON_CREDIT)
    for _ in range(2):
        with db.begin(world.engine) as conn:
            accounting.top_up(conn, world.school, account, 20_000, "N1", NOON)
        assert world.balances(accounting.purse(account), credit(account)) == [60_000 - PRICE, 0]
    assert len(entries(world, "settlement")) == 1
    # What was repaid may be owed again, and the rest is money for the home till.
    world.handle(world.line.state(True), world.line.hello())
    sent = world.line.told(world.ingest.poll(), envelope.GRANT)
    assert sorted(tuple(right) for right in sent[0]) == [
        (account, record.MONEY, 46_000), (account, record.MEAL_CREDIT, 2 * PRICE),
    ]  # fmt: skip
    whole(world)


def test_part_of_a_debt_is_repaid(world: World) -> None:
    account = world.of_line(world.line)[0]
    publish(world)
    take(world, world.line, account, ON_CREDIT)
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 5_000, "N1", NOON)
    assert world.balances(accounting.purse(account), credit(account)) == [40_000, 5_000 - PRICE]
    whole(world)


def test_credit_is_for_hot_meals_only(world: World) -> None:
    account = world.of_line(world.line)[0]
    publish(world)
    with db.begin(world.engine) as conn:
        good = {"school_id": world.school, "good_id": 9, "name": "Bun", "meal": "Bun", "from_minute": 1200}
        conn.execute(db.good.insert(), good | {"to_minute": 1300, "price_minor": PRICE})
        devices.publish_settings(conn, world.school, NOON)
    world.line.write(record.GRANT, account=account, amount=PRICE, aux=record.MEAL_CREDIT)
    aux = record.good_aux(9, bytes(8))
    seq = world.line.write(record.SALE, ON_CREDIT, account, PRICE, aux)
    world.handle(*world.line.all_recs())
    assert world.records(world.line)[-1] == (seq, NOT_IN_MENU)
    assert world.balances(credit(account), "suspense:rule", accounting.CATERER) == [-PRICE, PRICE, 0]


def test_need_for_credit_is_answered(world: World) -> None:
    account = world.of_line(world.line)[0]
    need = world.other.need(account, PRICE, bucket=record.MEAL_CREDIT)
    (answer,) = world.other.told(world.handle(need), envelope.ANSWER) or [None]
    assert answer is not None
    assert (answer.bucket, answer.total) == (record.MEAL_CREDIT, PRICE)
    # L is one lunch: another till gets it only when this one gives it back.
    sent = world.handle(world.line.need(account, PRICE, bucket=record.MEAL_CREDIT))
    assert world.line.told(sent, envelope.ANSWER) == []
    assert [tuple(right) for right in world.other.told(sent, envelope.RECALL)[0]] == [
        (account, record.MEAL_CREDIT, PRICE)
    ]
    publish(world)
    assert row_of(world, world.line, account)[0].flags == table.WEAK
    whole(world)


# Benefits


def test_benefit_sale_is_paid_by_the_fund(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle(world, account)
    take(world, world.line, account, FUNDED)
    benefit = f"benefit:{hex8(account)}:lunch"
    assert world.balances(accounting.purse(account), FUND, benefit) == [40_000, -PRICE, 0]
    assert world.balances(accounting.CATERER) == [PRICE]
    close_day(world, world.line, world.other)
    assert entries(world, "rerate") == []
    whole(world)


def test_benefit_for_another_meal_touches_no_fund(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle(world, account)
    take(world, world.line, account, FUNDED, good=BREAKFAST)
    assert world.records(world.line)[-1][1] == NOT_IN_MENU
    assert world.balances(FUND, accounting.purse(account), "world:claim") == [0, 40_000, -PRICES[BREAKFAST]]


def test_void_of_a_funded_meal_gives_it_back_to_the_fund(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle(world, account)
    seq = take(world, world.line, account, FUNDED)
    world.line.write(record.VOID, FUNDED, account, PRICE, seq)
    world.handle(*world.line.all_recs())
    assert world.records(world.line)[-1][1] == OK
    assert world.balances(FUND, accounting.CATERER, accounting.purse(account)) == [0, 0, 40_000]
    whole(world)


# Re-rating


def test_meal_at_another_till_goes_to_the_fund_in_the_evening(world: World) -> None:
    account = world.of_line(world.other)[0]
    entitle(world, account)
    world.handle(world.line.state(True))
    # A visitor at line-1 pays with money that was recalled; here it is placed there by hand.
    seq = visit(world, account)
    close_day(world, world.line)
    assert entries(world, "rerate") == []  # the benefit is still out at its home till
    close_day(world, world.other)
    assert entries(world, "rerate") == [f"rerate:{hex8(account)}:{DAY}:{LUNCH}"]
    assert world.balances(accounting.purse(account), FUND, accounting.CATERER) == [40_000, -PRICE, PRICE]
    (row,) = world.rows("SELECT seq, corrects FROM entry WHERE school_id = ? AND kind = 'rerate'")
    assert row == (seq, f"record:{hex8(world.line.device)}:1:{seq}")
    # Once, whatever comes again.
    for _ in range(2):
        publish(world, NOON + 86_400)
        with db.begin(world.engine) as conn:
            benefits.settle(conn, world.school, [DAY], NIGHT)
    assert len(entries(world, "rerate")) == 1
    whole(world)


def visit(world: World, account: int) -> int:
    """A pupil of line-2 eats at line-1: its money was recalled from line-2 before."""
    world.other.write(record.GRANT, account=account, amount=40_000)
    world.handle(world.other.state(True), *world.other.all_recs())
    sent = world.handle(world.line.need(account, PRICE))
    (recall,) = world.other.told(sent, envelope.RECALL)[0]
    world.other.write(record.RETURN, account=account, amount=recall.total)
    world.handle(*world.other.all_recs())
    world.line.write(record.GRANT, account=account, amount=PRICE)
    seq = world.line.sell(account, LUNCH)
    world.handle(*world.line.all_recs())
    return seq


def test_first_of_two_meals_is_rerated(world: World) -> None:
    account = world.of_line(world.line)[0]
    with db.begin(world.engine) as conn:
        rows = [(world.school, account, LUNCH, DAY, DAY, "city", "large-family", "", NOON)]
        benefit_store.write(conn, rows)  # no table says it yet: the file came late
    seq = take(world, world.line, account, record.SALE_SINGLE)
    world.line.sell(account, LUNCH)
    close_day(world, world.line, world.other)
    assert world.rows("SELECT seq FROM entry WHERE school_id = ? AND kind = 'rerate'") == [(seq,)]
    assert world.balance(account) == 40_000 - PRICE
    whole(world)


def test_meal_on_credit_is_rerated_to_the_debt(world: World) -> None:
    account = world.of_line(world.line)[0]
    publish(world)
    take(world, world.line, account, ON_CREDIT)
    close_day(world, world.line, world.other)
    entitle(world, account, last=DAY)
    publish(world, NOON + 86_400)
    assert world.balances(credit(account), accounting.purse(account), FUND) == [0, 40_000, -PRICE]
    whole(world)


def test_unused_benefit_expires_with_the_journal(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle(world, account)
    world.line.write(record.GRANT, account=account, amount=1, aux=BUCKET)
    close_day(world, world.other)
    question = f"SELECT returned FROM spending_right WHERE school_id = ? AND bucket = {BUCKET}"
    assert world.rows(question) == [(0,)]
    close_day(world, world.line)
    assert world.rows(question) == [(1,)]
    whole(world)


def test_voided_meal_is_not_rerated(world: World) -> None:
    account = world.of_line(world.line)[0]
    seq = take(world, world.line, account, record.SALE_SINGLE)
    world.line.write(record.VOID, record.SALE_SINGLE, account, PRICE, seq)
    world.handle(*world.line.all_recs())
    close_day(world, world.line, world.other)
    entitle(world, account, last=DAY)
    publish(world, NOON + 86_400)
    assert entries(world, "rerate") == []


def test_benefit_that_comes_behind_the_rerating_is_paid_by_the_purse(world: World) -> None:
    account = world.of_line(world.other)[0]
    entitle(world, account)
    visit(world, account)
    close_day(world, world.line)
    world.other.write(record.GRANT, account=account, amount=1, aux=BUCKET)
    world.other.sell(account, LUNCH, flags=FUNDED)
    with db.begin(world.engine) as conn:
        devices.lost(conn, world.vault, world.school, "line-2", NOON)
        devices.release(conn, world.vault, world.school, "line-2", NOON)
        benefits.settle(conn, world.school, [DAY], NIGHT)
    assert len(entries(world, "rerate")) == 1
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 20_000, "N1", NOON)
    before = world.balance(account)
    world.handle(*world.other.all_recs())
    assert world.balances(FUND, accounting.purse(account)) == [-PRICE, before - PRICE]
    assert world.balances("suspense:late") == [0]


def test_second_benefit_without_free_money_waits(world: World) -> None:
    account = world.of_line(world.other)[0]
    entitle(world, account)
    visit(world, account)
    close_day(world, world.line)
    world.other.write(record.GRANT, account=account, amount=1, aux=BUCKET)
    world.other.sell(account, LUNCH, flags=FUNDED)
    with db.begin(world.engine) as conn:
        devices.lost(conn, world.vault, world.school, "line-2", NOON)
        devices.release(conn, world.vault, world.school, "line-2", NOON)
        benefits.settle(conn, world.school, [DAY], NIGHT)
    publish(world)  # all that is free goes out to line-1
    world.handle(*world.other.all_recs())
    assert world.balances(FUND) == [-PRICE]
    assert world.balances("suspense:late")[0] in (0, PRICE)
    assert sum(world.balances("suspense:late", accounting.CATERER)) == 2 * PRICE


def test_nothing_is_rerated_while_a_school_recovers(world: World) -> None:
    account = world.of_line(world.line)[0]
    take(world, world.line, account, record.SALE_SINGLE)
    with db.begin(world.engine) as conn:
        conn.execute(db.school.update().values(mode="recovery", incarnation=2))
    entitle(world, account, last=DAY)
    close_day(world, world.line, world.other)
    assert entries(world, "rerate") == []
