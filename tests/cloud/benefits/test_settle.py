"""Settling a day: what it must leave alone, and where money returns to."""

from cloud import db
from cloud.accounting import service as accounting
from cloud.benefits import service as benefits
from cloud.devices import service as devices
from protocols.ledger import record
from tests.cloud.ingest.peer import DAY, LUNCH, NOON, PRICES, World
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


def lost_ahead(world: World, days: int) -> int:
    """line-1, whose clock was wrong, sold a hot meal so many days ahead and is lost."""
    account = world.of_line(world.line)[0]
    entitle(world, *world.pupils)
    world.line.day = DAY + days
    take(world, world.line, account, record.SALE_SINGLE)
    with db.begin(world.engine) as conn:
        devices.lost(conn, world.vault, world.school, "line-1", NOON)
    return account


def test_meal_of_a_day_ahead_is_returned_when_its_journal_is_over(world: World) -> None:
    """Settled before a restore, it would else wait until the calendar has reached that day."""
    account = lost_ahead(world, 7)
    assert world.balances(accounting.purse(account), FUND) == [40_000 - PRICE, 0]
    for _ in range(2):
        publish(world)
        assert world.balances(accounting.purse(account), FUND) == [40_000, -PRICE]
    whole(world)


def test_benefits_of_a_day_ahead_stay(world: World) -> None:
    """A person may take a till that stands behind that day back to a day before it."""
    lost_ahead(world, 3)
    world.other.day = DAY + 8
    world.other.write(record.BOOT)
    world.handle(*world.other.all_recs())
    bucket = record.benefit_bucket(DAY + 3, LUNCH)
    question = (
        "SELECT sum(granted), sum(returned) FROM spending_right WHERE school_id = ?"
        f" AND bucket = {bucket} AND device_id = {world.other.device}"
    )
    before = world.rows(question)
    publish(world)
    assert before[0][0] > 0
    assert world.rows(question) == before
