"""The printed bound: what each holder could cost if it were lost, copied or rolled back now."""

import pytest
from sqlalchemy import Engine

from cloud import bulk, db
from cloud.devices import service as devices
from cloud.reconciliation import service
from cloud.reconciliation.cli import bound_lines
from protocols.ledger import record
from tests.cloud.accounting.test_check import edit
from tests.cloud.ingest.peer import NOON, World


@pytest.fixture
def world(store: Engine, tmp_path) -> World:
    return World(store, tmp_path, pupils=2, money=40_000)


def told(world: World) -> service.Bound:
    with db.snapshot(world.engine) as conn:
        return service.bound(conn, world.school)


def of(world: World, label: str) -> tuple[int, int, int, int]:
    """purses, out, lost, rolled back of one device."""
    (one,) = [each for each in told(world).devices if each.label == label]
    return one.purses, one.out_minor, one.lost_minor, one.rolled_back_minor


def test_sold_money_can_only_be_rolled_back(world: World) -> None:
    assert of(world, "line-1") == (1, 40_000, 40_000, 40_000)
    account = world.of_line(world.line)[0]
    world.line.write(record.GRANT, account=account, amount=40_000)
    world.line.sell(account)
    world.handle(*world.line.all_recs())
    assert of(world, "line-1") == (1, 31_500, 31_500, 40_000)
    found = told(world)
    assert (found.lost_minor, found.rolled_back_minor) == (71_500, 80_000)
    assert (found.total_minor, found.slack_minor, found.purses) == (80_000, 0, 2)


def test_gates_and_closed_epochs_hold_nothing(world: World) -> None:
    assert {one.label for one in told(world).devices} == {"line-1", "line-2"}
    edit(world.engine, f"UPDATE device_epoch SET status = 'closed' WHERE device_id = {world.line.device}")
    assert {one.label for one in told(world).devices} == {"line-2"}
    edit(world.engine, f"UPDATE device_epoch SET status = 'lost' WHERE device_id = {world.line.device}")
    assert of(world, "line-1")[2] == 40_000


def test_caps_hold_the_bound(world: World) -> None:
    account = world.of_line(world.line)[0]
    row = (world.school, world.line.device, 1, account + 100, 0, 90_000, 0, 0, 0, 0, 0, 0)
    with db.begin(world.engine) as conn:
        bulk.insert_rows(conn, db.spending_right, [row])
        devices.set_settings(conn, world.school, NOON, cap_minor=30_000)
    assert of(world, "line-1") == (2, 130_000, 60_000, 60_000)
    with db.begin(world.engine) as conn:
        devices.set_settings(conn, world.school, NOON, cap_device_minor=50_000, slack_minor=700)
    assert of(world, "line-1")[2:] == (50_000, 50_000)
    assert told(world).slack_minor == 1400
    assert told(world).total_minor == 50_000 + 30_000 + 1400


def test_claims_of_a_device_count(world: World) -> None:
    edit(
        world.engine,
        f"UPDATE spending_right SET journaled = 45000 WHERE device_id = {world.line.device}",
    )
    assert of(world, "line-1") == (1, 45_000, 45_000, 45_000)


def test_recovery_counts_with_the_cap(world: World) -> None:
    edit(world.engine, "UPDATE school SET mode = 'recovery'")
    # Two pupils: the other one's purse may have been placed here by a life that nobody remembers.
    assert of(world, "line-1") == (1, 40_000, 100_000, 100_000)
    with db.begin(world.engine) as conn:
        devices.set_settings(conn, world.school, NOON, credit_minor=16_000)
    assert of(world, "line-1")[2:] == (132_000, 132_000)
    assert told(world).total_minor == 2 * 132_000 + 2 * 16_000
    with db.begin(world.engine) as conn:
        devices.set_settings(conn, world.school, NOON, cap_device_minor=60_000)
    assert of(world, "line-1")[2:] == (60_000, 60_000)
    assert any(line.strip().startswith("recovery:") for line in bound_lines(told(world)))


def test_copied_card_is_told_beside_the_bound(world: World) -> None:
    before = told(world).total_minor
    assert any(
        "copied card  300.00 a day on each of them, 2 lines" in line for line in bound_lines(told(world))
    )
    with db.begin(world.engine) as conn:
        devices.set_settings(conn, world.school, world.now, weak_day_minor=0)
    assert any("copied card  no limit" in line for line in bound_lines(told(world)))
    assert told(world).total_minor == before
