"""Two failing seeds of the simulator: the registry is read while the books know more than it says."""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.accounting import service as accounting
from cloud.accounting.service import CATERER
from cloud.devices import registry
from cloud.devices import service as devices
from tests.cloud.ingest.peer import BREAKFAST, NOON, PRICES, World
from tests.cloud.ingest.test_recovery import backup, set_back


@pytest.fixture
def world(store_sqlite: Engine, tmp_path):
    made = World(store_sqlite, tmp_path)
    made.ingest.start({})
    return made


def statuses(world: World) -> list[str]:
    rows = world.rows("SELECT device_id, status FROM device_epoch WHERE school_id = ? ORDER BY epoch")
    return [status for device_id, status in rows if device_id == world.other.device]


def test_released_epoch_stays_closed_in_recovery(world: World) -> None:
    with db.begin(world.engine) as conn:
        devices.lost(conn, world.vault, world.school, "line-2", NOON)
        devices.release(conn, world.vault, world.school, "line-2", NOON)
    world.ingest.recover(world.school, "a person said so")
    assert statuses(world) == ["closed"]


def test_forgotten_epoch_number_is_not_given_again(world: World) -> None:
    made = registry.Enrolment(world.school, world.other.device, 4, "line-2", "canteen", "", "", "", 1)
    registry.write(world.vault, made)
    with db.begin(world.engine) as conn:
        provision = devices.new_epoch(conn, world.vault, world.school, "line-2", NOON)
    assert provision["epoch"] == 5


def test_journal_that_was_read_is_paid_again_before_the_bank_is_back(world: World) -> None:
    account = world.of_line(world.line)[0]
    kept = backup(world)
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 100_000, "after the backup", NOON)
    for _ in range(3):
        with db.begin(world.engine) as conn:
            devices.publish_tables(conn, world.vault, world.school, NOON)
        world.handle(world.line.hello())
        for _ in range(5):
            world.line.sell(account)
        world.handle(*world.line.all_recs())
    # More than the purse held at the backup.
    paid = world.balances(CATERER)
    assert paid == [15 * PRICES[BREAKFAST]]
    with db.begin(world.engine) as conn:
        devices.new_epoch(conn, world.vault, world.school, "line-1", NOON, journal_read=True)
    set_back(world, kept)
    world.ingest.recover(world.school, "a person said so")
    assert world.balances(CATERER) == paid
    assert world.balance(account) == 100_000 - 15 * PRICES[BREAKFAST]
