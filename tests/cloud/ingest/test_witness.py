"""What stands outside the database tells that it was set back, also when the books lost nothing."""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.accounting import service as accounting
from cloud.ingest import witness
from protocols.wire import envelope, topics
from tests.cloud.ingest.peer import NOON, World
from tests.cloud.ingest.test_recovery import backup, school, set_back


@pytest.fixture
def world(store_sqlite: Engine, tmp_path):
    made = World(store_sqlite, tmp_path)
    made.ingest.start({})
    yield made
    made.check_books()


def test_silent_restore_that_lost_no_entry_is_seen(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.handle(world.line.hello(), world.other.hello(), world.other.state(True))
    kept = backup(world)
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 500, "N1", NOON)
    # The grant is all that this life did in the books of no other one: the bank's line comes again.
    out = world.handle(world.other.need(account, 500))
    assert [answer.total for answer in world.other.told(out, envelope.ANSWER)] == [500]
    retained = {world.school: dict(world.ingest.heads())[topics.cloud_head(world.school)]}
    for found in (None, retained):
        set_back(world, kept)
        with db.begin(world.engine) as conn:
            accounting.top_up(conn, world.school, account, 500, "N1", NOON)
        if found:
            witness.path_of(world.archive.folder, world.school).unlink()
        world.ingest.start(found)
        assert school(world)[2] == "recovery"
        rows = world.rows(
            f"SELECT granted FROM spending_right WHERE school_id = ? AND device_id = {world.other.device}"
            f" AND account_id = {account}"
        )
        assert rows == [(500,)]


def test_silent_restore_that_lost_a_top_up_alone_is_seen(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.handle(world.line.hello())
    kept = backup(world)
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 500, "N1", NOON)
    # No device says anything behind it: the books moved, and no batch did.
    told = dict(world.ingest.heads())
    assert world.ingest.heads() == []
    for found in ({}, {world.school: told[topics.cloud_head(world.school)]}):
        set_back(world, kept)
        if found:
            witness.path_of(world.archive.folder, world.school).unlink()
        world.ingest.start(found)
        assert school(world)[2] == "recovery"


def test_books_that_were_set_back_under_a_running_ingest_move_no_witness_back(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.handle(world.line.hello())
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 500, "N1", NOON)
    kept = backup(world)
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 700, "N2", NOON)
    running = world.ingest
    running.heads()
    before = witness.read(world.archive.folder, world.school)
    set_back(world, kept)
    world.ingest = running
    assert running.heads() == []
    assert witness.read(world.archive.folder, world.school) == before


def test_witness_without_a_count_of_batches_is_no_forgery(world: World) -> None:
    whole = witness.Witness(3, 7, 12, bytes(range(32)), 900, 5)
    payload = witness.seal(world.vault, world.school, whole)
    earlier = payload[: -16 - 8]
    earlier += witness._mac(world.vault, world.school, earlier)
    assert witness.unseal(world.vault, world.school, payload) == whole
    assert witness.unseal(world.vault, world.school, earlier) == whole._replace(batch_count=0)
    for cut in range(len(payload)):
        assert witness.unseal(world.vault, world.school, payload[:cut]) is None
