"""A day that a till had closed for a wrong clock, and that a person took back: it is open again."""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.benefits import service as benefits
from cloud.benefits import store as benefit_store
from cloud.devices import service as devices
from protocols.errors import OK
from protocols.ledger import record
from tests.cloud.ingest.peer import DAY, LUNCH, NIGHT, NOON, World
from tests.cloud.ingest.test_hot_meals import (
    BUCKET,
    FUND,
    FUNDED,
    PRICE,
    close_day,
    entitle,
    entries,
    take,
)


@pytest.fixture
def world(store: Engine, tmp_path) -> World:
    return World(store, tmp_path, pupils=4, money=40_000)


def settle(world: World) -> None:
    with db.begin(world.engine) as conn:
        benefits.settle(conn, world.school, [DAY], NIGHT)


def reopened(world: World, flags: int) -> int:
    """line-1 closed the day, its clock was put right, and a meal from a benefit was voided that same day."""
    account = world.of_line(world.line)[0]
    close_day(world, world.line, world.other)
    world.line.write(record.CLOCK, flags, amount=-9 * 86_400)
    entitle(world, account)
    seq = take(world, world.line, account, FUNDED)
    world.line.write(record.VOID, FUNDED, account, PRICE, seq)
    world.handle(*world.line.all_recs())
    return account


def returned(world: World) -> int:
    ((minor,),) = world.rows(f"SELECT returned FROM spending_right WHERE school_id = ? AND bucket = {BUCKET}")
    return int(minor)


def test_benefit_of_a_reopened_day_is_not_expired(world: World) -> None:
    account = reopened(world, record.CLOCK_CONFIRMED)
    settle(world)
    assert returned(world) == 0
    # The till serves from the right that it still holds, and the fund pays.
    world.line.sell(account, LUNCH, flags=FUNDED)
    world.handle(*world.line.all_recs())
    assert world.records(world.line)[-1][1] == OK
    assert world.balances(FUND, "suspense:rule") == [-PRICE, 0]
    world.check_books()


def test_day_that_is_not_over_ends_for_no_till(world: World) -> None:
    # The clock of the till ran ahead: it closed the day, and comes back to it later.
    account = world.of_line(world.line)[0]
    entitle(world, account)
    world.line.write(record.GRANT, account=account, amount=1, aux=BUCKET)
    world.line.write(record.CLOSE_DAY)
    world.handle(*world.line.all_recs())
    with db.begin(world.engine) as conn:
        devices.publish_tables(conn, world.vault, world.school, NOON)
    assert returned(world) == 0
    world.line.write(record.CLOCK, record.CLOCK_CONFIRMED, amount=-9 * 86_400)
    world.line.sell(account, LUNCH, flags=FUNDED)
    world.handle(*world.line.recs_of(2))
    assert world.records(world.line)[-1][1] == OK
    assert world.balances(FUND, "suspense:rule") == [-PRICE, 0]
    # What was not used by then ends with the next table behind the day.
    other = world.of_line(world.line)[1]
    entitle(world, other)
    close_day(world, world.line, world.other)
    with db.begin(world.engine) as conn:
        devices.publish_tables(conn, world.vault, world.school, NIGHT)
    assert world.rows(
        f"SELECT sum(returned) FROM spending_right WHERE school_id = ? AND bucket = {BUCKET}"
    ) == [(1,)]


def test_reopened_day_ends_with_its_second_close(world: World) -> None:
    reopened(world, record.CLOCK_CONFIRMED)
    close_day(world, world.line)
    assert returned(world) == 1


def test_meal_of_a_reopened_day_waits_for_its_end(world: World) -> None:
    account = world.of_line(world.line)[0]
    close_day(world, world.line, world.other)
    world.line.write(record.CLOCK, record.CLOCK_CONFIRMED, amount=-9 * 86_400)
    take(world, world.line, account, record.SALE_SINGLE)
    with db.begin(world.engine) as conn:
        rows = [(world.school, account, LUNCH, DAY, DAY, "city", "large-family", "", NOON)]
        benefit_store.write(conn, rows)  # no table says it yet: the file came late
    settle(world)
    assert entries(world, "rerate") == []
    close_day(world, world.line)
    assert len(entries(world, "rerate")) == 1


def test_clock_that_nobody_confirmed_opens_no_day(world: World) -> None:
    reopened(world, record.CLOCK_SET)
    settle(world)
    assert returned(world) == 1
