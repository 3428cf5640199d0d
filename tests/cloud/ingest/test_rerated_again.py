"""A fund pays one meal of a day: when that one is taken back, the next."""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.accounting import service as accounting
from cloud.benefits import service as benefits
from cloud.benefits import store as benefit_store
from cloud.devices import service as devices
from protocols.ids import hex8
from protocols.ledger import record
from tests.cloud.ingest.peer import DAY, LUNCH, NIGHT, NOON, World
from tests.cloud.ingest.test_hot_meals import FUND, PRICE, entries, take, whole


@pytest.fixture(params=[False, True], ids=["any-card", "weak-cards"])
def world(request: pytest.FixtureRequest, store: Engine, tmp_path) -> World:
    made = World(store, tmp_path, pupils=4, money=40_000, is_limited=request.param)
    with db.begin(store) as conn:
        devices.set_settings(conn, made.school, NOON, credit_minor=PRICE)
    return made


def test_meal_that_is_taken_back_behind_its_rerating_leaves_the_fund_to_the_next(world: World) -> None:
    """A lost line is found: what the fund had paid for was taken back there, and another meal eaten."""
    account = world.of_line(world.line)[0]
    first = take(world, world.line, account, record.SALE_SINGLE)
    world.handle(*world.line.all_recs())
    with db.begin(world.engine) as conn:
        rows = [(world.school, account, LUNCH, DAY, DAY, "city", "large-family", "", NOON)]
        benefit_store.write(conn, rows)
        devices.lost(conn, world.vault, world.school, "line-1", NOON)
        benefits.settle(conn, world.school, [DAY], NIGHT)
    key = f"rerate:{hex8(account)}:{DAY}:{LUNCH}"
    assert entries(world, "rerate") == [key]
    assert world.balances(FUND, accounting.purse(account)) == [-PRICE, 40_000]
    world.line.write(record.VOID, record.SALE_SINGLE, account, PRICE, first)
    world.handle(*world.line.all_recs())
    assert world.balances(FUND, accounting.purse(account)) == [0, 40_000]
    second = world.line.sell(account, LUNCH)
    world.line.sell(account, LUNCH)
    world.handle(*world.line.all_recs())
    # Once, whatever comes again: the second meal is the fund's, the third is the purse's.
    for _ in range(2):
        with db.begin(world.engine) as conn:
            benefits.settle(conn, world.school, [DAY], NIGHT)
            assert benefits.charges(conn, world.school, [(account, DAY, LUNCH)]) == {
                (account, DAY, LUNCH): (f"{key}:2", True)
            }
    assert entries(world, "rerate") == [key, f"{key}:2"]
    assert world.rows("SELECT seq FROM entry WHERE school_id = ? AND kind = 'rerate'") == [
        (first,),
        (second,),
    ]
    assert world.balances(FUND, accounting.purse(account)) == [-PRICE, 40_000 - PRICE]
    whole(world)
