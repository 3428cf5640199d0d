"""Settling a day: what it must leave alone, and where money returns to."""

from cloud import db
from cloud.accounting import service as accounting
from cloud.benefits import service as benefits
from tests.cloud.ingest.peer import DAY, NOON, PRICES, World
from tests.cloud.ingest.test_hot_meals import (
    FUND,
    ON_CREDIT,
    close_day,
    credit,
    entitle,
    publish,
    take,
    whole,
)
from tests.cloud.ingest.test_hot_meals import world as world

PRICE = PRICES[2]


def test_day_of_a_device_without_a_clock_ends_no_right(world: World) -> None:
    entitle(world, world.of_line(world.line)[0])
    question = "SELECT sum(granted), sum(returned) FROM spending_right WHERE school_id = ? AND bucket < 8"
    before = world.rows(question)
    with db.begin(world.engine) as conn:
        benefits.settle(conn, world.school, [0], NOON)
    assert world.rows(question) == before


def test_meal_on_credit_that_was_repaid_is_returned_to_the_purse(world: World) -> None:
    account = world.of_line(world.line)[0]
    publish(world)
    take(world, world.line, account, ON_CREDIT)
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 5_000, "N1", NOON)
    close_day(world, world.line, world.other)
    entitle(world, account, last=DAY)
    publish(world, NOON + 86_400)
    assert world.balances(credit(account), accounting.purse(account), FUND) == [0, 45_000, -PRICE]
    whole(world)
