"""A hot meal in a basket: money pays at the till, and a fund pays one portion of it in the evening."""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.accounting import service as accounting
from cloud.benefits import service as benefits
from cloud.benefits import store as benefit_store
from cloud.devices import service as devices
from cloud.reconciliation import service as reconciliation
from protocols.errors import BASKET_ITEMS, OK
from protocols.ids import hex8
from protocols.ledger import record
from protocols.ledger.basket import Line
from protocols.ledger.record import item_aux
from tests.cloud.ingest.peer import BREAKFAST, DAY, LUNCH, NIGHT, NOON, PRICES, World
from tests.cloud.ingest.test_hot_meals import BUCKET, FUND, FUNDED, close_day, entitle, entries, whole

PRICE = PRICES[LUNCH]
MONEY = 50_000
TWO = (Line(BREAKFAST, 1, PRICES[BREAKFAST]), Line(LUNCH, 2, PRICE))
TOTAL = PRICES[BREAKFAST] + 2 * PRICE


@pytest.fixture(params=[False, True], ids=["any-card", "weak-cards"])
def world(request: pytest.FixtureRequest, store: Engine, tmp_path) -> World:
    made = World(store, tmp_path, pupils=4, money=MONEY, is_limited=request.param)
    with db.begin(store) as conn:
        conn.execute(db.good.update().where(db.good.c.good_id == BREAKFAST).values(meal="breakfast"))
        devices.set_settings(conn, made.school, NOON, credit_minor=PRICE)
    return made


def entitle_late(world: World, account: int, *meals: int) -> None:
    """The file came after the tables: no till knows of it."""
    rows = [(world.school, account, meal, DAY, DAY, "city", "large-family", "", NOON) for meal in meals]
    with db.begin(world.engine) as conn:
        benefit_store.write(conn, rows)


def sell(world: World, account: int, *lines: Line) -> int:
    world.line.write(record.GRANT, account=account, amount=MONEY)
    seq = world.line.sell_basket(account, *lines)
    world.handle(*world.line.all_recs())
    return seq


def test_one_portion_goes_to_the_fund(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle_late(world, account, LUNCH)
    seq = sell(world, account, *TWO)
    assert world.balance(account) == MONEY - TOTAL
    close_day(world, world.line, world.other)
    for _ in range(2):
        with db.begin(world.engine) as conn:
            benefits.settle(conn, world.school, [DAY], NOON)
    assert entries(world, "rerate") == [f"rerate:{hex8(account)}:{DAY}:{LUNCH}"]
    assert world.rows("SELECT seq, corrects FROM entry WHERE school_id = ? AND kind = 'rerate'") == [
        (seq, f"record:{hex8(world.line.device)}:1:{seq}")
    ]
    assert world.balances(accounting.purse(account), FUND) == [MONEY - TOTAL + PRICE, -PRICE]
    assert world.balances(accounting.CATERER) == [TOTAL]
    whole(world)


def test_each_meal_of_the_day_has_its_own_portion(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle_late(world, account, BREAKFAST, LUNCH)
    sell(world, account, *TWO)
    close_day(world, world.line, world.other)
    assert len(entries(world, "rerate")) == 2
    assert world.balances(FUND) == [-PRICE - PRICES[BREAKFAST]]
    whole(world)


def test_benefit_that_was_used_leaves_the_basket_to_the_purse(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle(world, account, last=DAY)
    world.line.write(record.GRANT, account=account, amount=1, aux=BUCKET)
    world.line.sell(account, LUNCH, flags=FUNDED)
    sell(world, account, *TWO)
    close_day(world, world.line, world.other)
    assert entries(world, "rerate") == []
    assert world.balances(FUND, accounting.purse(account)) == [-PRICE, MONEY - TOTAL]
    whole(world)


def test_first_meal_counts_whether_single_or_in_a_basket(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle_late(world, account, LUNCH)
    world.line.write(record.GRANT, account=account, amount=MONEY)
    first = world.line.sell(account, LUNCH)
    sell(world, account, *TWO)
    close_day(world, world.line, world.other)
    assert world.rows("SELECT seq FROM entry WHERE school_id = ? AND kind = 'rerate'") == [(first,)]
    whole(world)


def test_void_gives_the_portion_back_to_the_fund(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle_late(world, account, LUNCH)
    seq = sell(world, account, *TWO)
    close_day(world, world.line, world.other)
    assert world.balances(FUND) == [-PRICE]
    world.line.write(record.VOID, 0, account, TOTAL, seq)
    world.handle(*world.line.all_recs())
    assert world.records(world.line)[-1][1] == OK
    assert world.balances(accounting.purse(account), FUND, accounting.CATERER) == [MONEY, 0, 0]


def test_void_gives_every_portion_back_and_the_next_basket_has_them(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle_late(world, account, BREAKFAST, LUNCH)
    seq = sell(world, account, *TWO)
    with db.begin(world.engine) as conn:
        devices.lost(conn, world.vault, world.school, "line-1", NOON)
        benefits.settle(conn, world.school, [DAY], NIGHT)
    both = PRICE + PRICES[BREAKFAST]
    assert world.balances(FUND) == [-both]
    world.line.write(record.VOID, 0, account, TOTAL, seq)
    world.line.sell_basket(account, *TWO)
    world.handle(*world.line.all_recs())
    assert world.balances(FUND, accounting.CATERER) == [0, TOTAL]
    for _ in range(2):
        with db.begin(world.engine) as conn:
            benefits.settle(conn, world.school, [DAY], NIGHT)
    keys = [f"rerate:{hex8(account)}:{DAY}:{meal}" for meal in (BREAKFAST, LUNCH)]
    assert sorted(entries(world, "rerate")) == sorted([*keys, *(f"{key}:2" for key in keys)])
    assert world.balances(accounting.purse(account), FUND) == [MONEY - TOTAL + both, -both]
    whole(world)


def test_voided_and_refused_baskets_are_not_rerated(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle_late(world, account, LUNCH)
    seq = sell(world, account, *TWO)
    world.line.write(record.VOID, 0, account, TOTAL, seq)
    world.line.sell_basket(account, Line(LUNCH, 1, PRICE))
    world.handle(*world.line.all_recs())
    close_day(world, world.line, world.other)
    assert entries(world, "rerate") == []
    assert world.balances(FUND) == [0]


def test_no_other_rights_pay_for_a_basket(world: World) -> None:
    account = world.of_line(world.line)[0]
    entitle(world, account, last=DAY)
    world.line.write(record.GRANT, account=account, amount=PRICE, aux=record.MEAL_CREDIT)
    world.line.write(record.GRANT, account=account, amount=1, aux=BUCKET)
    found = []
    for flags in (record.FROM_CREDIT, record.FROM_BENEFIT | LUNCH << record.SALE_MEAL_SHIFT):
        world.line.write(record.ITEM, account=account, amount=PRICE // 2, aux=item_aux(LUNCH, 2))
        found.append(world.line.write(record.SALE, flags, account, PRICE, 1))
    with db.begin(world.engine) as conn:
        row = {"school_id": world.school, "good_id": LUNCH, "price_minor": PRICE // 2, "settings_version": 1}
        conn.execute(db.published_price.insert(), row | {"published_at": NOON})
    world.restart()
    world.handle(*world.line.all_recs())
    refusals = dict(world.records(world.line))
    assert [refusals[seq] for seq in found] == [BASKET_ITEMS, BASKET_ITEMS]
    assert world.balances(accounting.CATERER, FUND) == [0, 0]


def test_portions_of_the_day_are_units_of_goods(world: World) -> None:
    one, two = world.of_line(world.line)[:2]
    sell(world, one, *TWO)
    world.line.write(record.GRANT, account=two, amount=MONEY)
    world.line.sell(two, LUNCH)
    world.line.sell_basket(two, *TWO[:1])
    voided = world.line.sell_basket(two, Line(BREAKFAST, 2, PRICES[BREAKFAST]))
    world.line.write(record.VOID, 0, two, 2 * PRICES[BREAKFAST], voided)
    close_day(world, world.line, world.other)
    with db.snapshot(world.engine) as conn:
        found = reconciliation.reconcile(conn, world.school, DAY)
    line = next(one for one in found.devices if one.label == "line-1")
    assert (line.sales, line.suspended) == (3 + 1, 1)
    assert line.journal_minor == TOTAL + PRICE
