"""Two failing seeds of the simulator: the registry is read while the books know more than it says."""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.devices import registry
from cloud.devices import service as devices
from tests.cloud.ingest.peer import NOON, World


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
