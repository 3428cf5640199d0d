"""Baskets in the books: one entry for all the goods, judged with its items, whole or not at all."""

import json

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.accounting import service as accounting
from cloud.accounting.service import CATERER, CLAIM, SUSPENSE_RULE, purse
from cloud.records import service as records
from protocols.errors import (
    BASKET_ITEMS,
    BASKET_TOTAL,
    NOT_CAPABLE,
    NOT_IN_MENU,
    OK,
    RIGHTS_SHORT,
    VOID_DIFFERS,
    VOID_TWICE,
    VOID_UNKNOWN,
)
from protocols.ledger import record
from protocols.ledger.basket import Line
from protocols.ledger.record import ITEMS_MAX, item_aux
from tests.cloud.ingest.peer import BREAKFAST, LUNCH, PRICES, World

TWO = (Line(BREAKFAST, 2, PRICES[BREAKFAST]), Line(LUNCH, 1, PRICES[LUNCH]))
TOTAL = 2 * PRICES[BREAKFAST] + PRICES[LUNCH]


@pytest.fixture(params=[False, True], ids=["any-card", "weak-cards"])
def world(request: pytest.FixtureRequest, store: Engine, tmp_path):
    made = World(store, tmp_path, is_limited=request.param)
    yield made
    made.check_books()


def of_sales(world: World) -> list[int]:
    """The refusals of the SALEs of the line, in their order."""
    rows = world.rows("SELECT refusal FROM record WHERE school_id = ? AND type = 6 ORDER BY seq")
    return [row[0] for row in rows]


@pytest.mark.parametrize("size", [1, 2, 20])
def test_basket_is_one_entry_over_any_borders(world: World, size: int) -> None:
    account = world.of_line(world.line)[0]
    seq = world.line.sell_basket(account, *TWO)
    for message in world.line.all_recs(size=size):
        world.handle(message)
    assert world.records(world.line) == [(1, OK), (2, OK), (seq, OK)]
    assert world.balances(purse(account), CATERER) == [100_000 - TOTAL, TOTAL]
    ((event, told_of, detail),) = world.rows("SELECT event, seq, detail FROM outbox WHERE school_id = ?")
    detail = json.loads(detail) if isinstance(detail, str) else detail
    assert (event, told_of) == ("purchase", seq)
    assert detail == {"goods": [[BREAKFAST, 2], [LUNCH, 1]], "amount_minor": TOTAL}


def test_same_messages_again_change_nothing(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.line.sell_basket(account, *TWO)
    first = world.line.all_recs(size=2)
    world.handle(*first)
    world.handle(*first, *world.line.all_recs(size=1))
    assert world.balances(CATERER) == [TOTAL]


def test_basket_of_sixteen_behind_a_full_batch(world: World) -> None:
    account = world.of_line(world.line)[0]
    for _ in range(10):
        world.line.write(record.NOTE, 1, account, 24)
    world.line.sell_basket(account, *[Line(BREAKFAST, 1, 100)] * ITEMS_MAX, amount=1600)
    world.line.sell_basket(account, *[TWO[1]] * 3)
    for message in world.line.all_recs():
        world.handle(message)
    assert of_sales(world) == [NOT_IN_MENU, OK]
    assert world.balances(CATERER, SUSPENSE_RULE) == [3 * PRICES[LUNCH], 1600]


WRONG = {
    "another sum than its items": ({"amount": TOTAL - 1}, TWO, BASKET_TOTAL),
    "counts one item of two": ({"count": 1}, TWO[::-1], BASKET_TOTAL),
    "counts more than there are": ({"count": 3}, TWO, BASKET_ITEMS),
    "counts more than a basket may have": ({"count": ITEMS_MAX + 1}, TWO, BASKET_ITEMS),
    "counts none": ({"count": 0}, TWO, BASKET_ITEMS),
    "one unit is a single sale": ({}, TWO[1:], BASKET_ITEMS),
    "nothing of a good": ({"amount": TOTAL}, (Line(BREAKFAST, 0, PRICES[BREAKFAST]), TWO[1]), BASKET_ITEMS),
    "a price that nobody published": ({}, (Line(BREAKFAST, 2, PRICES[BREAKFAST] - 1),), NOT_IN_MENU),
    "a good that is not sold": ({}, (TWO[1], Line(9, 1, PRICES[LUNCH])), NOT_IN_MENU),
}


@pytest.mark.parametrize("size", [2, 20])
@pytest.mark.parametrize("why", WRONG)
def test_basket_that_does_not_hold_together_waits(world: World, why: str, size: int) -> None:
    account = world.of_line(world.line)[0]
    claimed, lines, refusal = WRONG[why]
    world.line.sell_basket(account, *lines, **claimed)
    amount = record.unpack(world.line.raws[-1]).amount
    for message in world.line.all_recs(size=size):
        world.handle(message)
    assert of_sales(world) == [refusal]
    assert world.balances(purse(account), SUSPENSE_RULE, CATERER) == [100_000 - amount, amount, 0]
    assert world.rows("SELECT count(*) FROM outbox WHERE school_id = ?") == [(0,)]


def test_items_of_others_and_of_the_basket_before_do_not_count(world: World) -> None:
    one, two = (*world.of_line(world.line), *world.of_line(world.other))[:2]
    line, price = world.line, PRICES[BREAKFAST]
    line.write(record.ITEM, account=two, amount=price, aux=item_aux(BREAKFAST, 2))
    line.write(record.SALE, account=one, amount=2 * price, aux=1)
    line.sell_basket(one, TWO[0])
    line.write(record.SALE, account=one, amount=price, aux=1)
    for message in line.all_recs(size=3):
        world.handle(message)
    assert of_sales(world) == [BASKET_ITEMS, OK, BASKET_ITEMS]
    assert world.balances(CATERER, SUSPENSE_RULE) == [2 * price, 3 * price]


def test_items_alone_move_nothing(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.line.write(record.ITEM, account=account, amount=PRICES[LUNCH], aux=item_aux(LUNCH, 3))
    world.line.write(record.BOOT, account=1, aux=2)
    world.line.write(record.SALE, account=account, amount=3 * PRICES[LUNCH], aux=1)
    world.handle(*world.line.all_recs())
    assert of_sales(world) == [BASKET_ITEMS]
    assert world.balances(CATERER) == [0]


def test_basket_beyond_the_rights_touches_no_purse(world: World) -> None:
    account = world.of_line(world.other)[0]
    world.line.sell_basket(account, *TWO)
    world.handle(*world.line.all_recs())
    assert of_sales(world) == [RIGHTS_SHORT]
    assert world.balances(purse(account), CATERER, CLAIM) == [100_000, 0, -TOTAL]


def test_gate_sells_no_basket(world: World) -> None:
    world.gate.sell_basket(world.pupils[0], *TWO)
    world.handle(*world.gate.all_recs())
    assert [refusal for _seq, refusal in world.records(world.gate)] == [
        NOT_CAPABLE,
        NOT_CAPABLE,
        RIGHTS_SHORT,
    ]


@pytest.mark.parametrize("apart", [False, True])
def test_void_takes_the_whole_basket_back_once(world: World, apart: bool) -> None:
    account = world.of_line(world.line)[0]
    seq = world.line.sell_basket(account, *TWO)
    for amount, named in ((PRICES[LUNCH], seq), (TOTAL, seq - 1), (TOTAL, seq), (TOTAL, seq)):
        world.line.write(record.VOID, 0, account, amount, named)
    for batch in [world.line.recs(1, 3), world.line.recs(4, 4)] if apart else world.line.all_recs():
        world.handle(batch)
    refusals = [refusal for _seq, refusal in world.records(world.line)[3:]]
    assert refusals == [VOID_DIFFERS, VOID_UNKNOWN, OK, VOID_TWICE]
    assert world.balances(purse(account), CATERER) == [100_000, 0]


def test_history_and_record_name_the_goods(world: World) -> None:
    account = world.of_line(world.line)[0]
    single = world.line.sell(account)
    seq = world.line.sell_basket(account, *TWO)
    wrong = world.line.sell_basket(account, *TWO, amount=1)
    world.handle(*world.line.all_recs(size=3))
    with db.reading(world.engine) as conn:
        lines = {line.seq: line.lines for line in accounting.history(conn, world.school, purse(account))}
        place = world.school, world.line.device, world.line.epoch
        kept = {number: records.one(conn, *place, number) for number in (single, seq - 1, seq, wrong)}
        (entry_id,) = accounting.entries_of_record(conn, *place, seq)
        told = accounting.explain(conn, world.school, entry_id)
    assert (lines[single], lines[seq], lines[wrong]) == (((BREAKFAST, 1, 8500),), TWO, ())
    assert told["record"]["lines"] == TWO
    found = {number: (one.lines, one.view.items) for number, one in kept.items() if one is not None}
    assert found == {
        single: (((BREAKFAST, 1, 8500),), 0),
        seq - 1: (TWO[1:], 0),
        seq: (TWO, 2),
        wrong: ((), 2),
    }
