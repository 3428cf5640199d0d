"""A card waits at a till without rights: grants, recalls, refusals; top-ups and tables on their way."""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.accounting import service as accounting
from cloud.archive import Grants
from cloud.devices import service as devices
from cloud.ingest import needs
from protocols.ledger import record
from protocols.wire import envelope, table
from tests.cloud.ingest.peer import NOON, World

CAP = 50_000


@pytest.fixture
def world(store: Engine, tmp_path):
    made = World(store, tmp_path, money=CAP + 10_000)
    made.handle(made.line.state(True), made.other.state(True), made.line.hello(1), made.other.hello(1))
    yield made
    made.check_books()


def pupil_of(world: World) -> int:
    return world.of_line(world.line)[0]


def answers(world: World, out) -> list[int]:
    return [answer.total for answer in world.other.told(out, envelope.ANSWER)]


def give_back(world: World, account: int, out) -> None:
    """line-1 obeys the RECALL in `out`."""
    for right in world.line.told(out, envelope.GRANT):
        world.line.write(record.GRANT, 0, right[0].account, right[0].total)
    (recall,) = world.line.told(out, envelope.RECALL)
    world.line.write(record.RETURN, 0, account, recall[0].total)


def test_free_money_is_granted_at_once(world: World) -> None:
    account = pupil_of(world)
    out = world.handle(world.other.need(account, 8500))
    assert answers(world, out) == [8500]
    assert world.line.opened(out) == []
    assert Grants(world.school, world.other.device, 1, NOON, ((account, 0, 8500),)) in list(
        world.archive.read()
    )


def test_repeated_need_is_granted_once(world: World) -> None:
    account = pupil_of(world)
    need = world.other.need(account, 4000, number=9)
    assert answers(world, world.handle(need, need)) == [4000, 4000]
    assert answers(world, world.handle(world.other.need(account, 4000, number=9))) == [4000]
    assert answers(world, world.handle(world.other.need(account, 4000, number=10))) == [8000]


def test_numbers_of_a_new_boot_are_new(world: World) -> None:
    account = pupil_of(world)
    world.handle(world.other.need(account, 4000, number=1))
    world.other.nonce = b"\x02" * 8
    world.handle(world.other.hello(1))
    assert answers(world, world.handle(world.other.need(account, 4000, number=1))) == [8000]


def test_missing_money_is_recalled_from_the_other_till(world: World) -> None:
    account = pupil_of(world)
    out = world.handle(world.other.need(account, 14_000, number=1))
    assert answers(world, out) == []
    assert world.line.told(out, envelope.RECALL)[0][0].total == 4000
    give_back(world, account, out)
    assert answers(world, world.handle(*world.line.all_recs())) == [14_000]


def test_waiting_till_asks_again_and_recall_is_repeated(world: World) -> None:
    account = pupil_of(world)
    need = world.other.need(account, 14_000, number=1)
    first, second = world.handle(need), world.handle(need)
    assert world.line.told(first, envelope.RECALL) == world.line.told(second, envelope.RECALL)
    assert answers(world, second) == []


def test_recall_that_brings_too_little_ends_in_no(world: World) -> None:
    """The other till had sold in between: it returns what it can, and that is the last word."""
    account = pupil_of(world)
    out = world.handle(world.other.need(account, 45_000, number=1))
    world.line.write(record.GRANT, 0, account, CAP)
    for _ in range(3):
        world.line.sell(account)
    (recall,) = world.line.told(out, envelope.RECALL)
    world.line.write(record.RETURN, 0, account, min(recall[0].total, CAP - 3 * 8500))
    assert answers(world, world.handle(*world.line.all_recs())) == [0]


def test_purse_without_money_is_a_no_at_once(world: World) -> None:
    assert answers(world, world.handle(world.other.need(pupil_of(world), CAP + 10_001))) == [0]
    assert answers(world, world.handle(world.other.need(0xDEAD, 1))) == [0]
    for wanted in (0, -5):
        assert answers(world, world.handle(world.other.need(pupil_of(world), wanted))) == [0]
    assert answers(world, world.handle(world.other.need(pupil_of(world), 5, bucket=1))) == [0]


def test_money_on_an_offline_till_is_a_no(world: World) -> None:
    world.handle(world.line.state(False))
    world.now += needs.BACK_WITHIN_S
    assert answers(world, world.handle(world.other.need(pupil_of(world), 14_000))) == [0]


def test_till_that_has_just_gone_may_come_back(world: World) -> None:
    account = pupil_of(world)
    world.handle(world.line.state(False))
    need = world.other.need(account, 14_000, number=1)
    assert answers(world, world.handle(need)) == []
    world.now += needs.BACK_WITHIN_S
    assert answers(world, world.handle(need)) == [0]


def test_cap_bounds_what_a_till_gets(world: World) -> None:
    account = pupil_of(world)
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 500_000, "more", NOON)
    assert answers(world, world.handle(world.other.need(account, CAP + 1))) == [0]
    assert answers(world, world.handle(world.other.need(account, CAP))) == [CAP]


def test_bound_of_a_device_is_kept(world: World) -> None:
    with db.begin(world.engine) as conn:
        devices.set_settings(conn, world.school, NOON, cap_device_minor=2 * CAP + 3000)
    one, two = world.of_line(world.line)[:2]
    assert answers(world, world.handle(world.other.need(one, 3001))) == [0]
    assert answers(world, world.handle(world.other.need(one, 2000), world.other.need(two, 1001))) == [2000, 0]
    assert answers(world, world.handle(world.other.need(two, 1000))) == [1000]


def test_gate_gets_no_rights(world: World) -> None:
    out = world.handle(world.gate.need(pupil_of(world), 5))
    assert [answer.total for answer in world.gate.told(out, envelope.ANSWER)] == [0]


def test_top_up_reaches_the_home_till_as_a_grant(world: World) -> None:
    account = pupil_of(world)
    sold = [world.line.write(record.GRANT, 0, account, CAP), *(world.line.sell(account) for _ in range(2))]
    world.handle(*world.line.all_recs())
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, account, 100_000, "more", NOON)
    out = world.ingest.poll()
    assert world.line.told(out, envelope.GRANT) == [[(account, 0, CAP + 17_000)]]
    assert world.ingest.poll() == []
    assert len(sold) == 3


def test_top_up_waits_for_an_offline_till(world: World) -> None:
    account = pupil_of(world)
    world.handle(world.line.state(False))
    with db.begin(world.engine) as conn:
        devices.set_settings(conn, world.school, NOON, cap_minor=2 * CAP)
        accounting.top_up(conn, world.school, account, 100_000, "more", NOON)
    world.ingest.poll()
    assert world.ingest.poll() == []
    world.handle(world.line.state(True))
    assert world.line.told(world.ingest.poll(), envelope.GRANT) == [[(account, 0, 2 * CAP)]]


def test_lost_grant_is_told_again_at_hello(world: World) -> None:
    account = pupil_of(world)
    world.handle(world.other.need(account, 8500))
    assert world.other.told(world.handle(world.other.hello(1)), envelope.GRANT) == [[(account, 0, 8500)]]
    world.other.write(record.GRANT, 0, account, 8500)
    world.handle(*world.other.all_recs())
    assert world.other.told(world.handle(world.other.hello(1)), envelope.GRANT) == []


def test_hello_brings_time_settings_and_table(world: World) -> None:
    out = world.handle(world.line.hello())
    assert [kind for kind, _ in world.line.opened(out)] == [
        envelope.SETTINGS, envelope.TIME, envelope.TABLE, envelope.ACK,
    ]  # fmt: skip
    (time,) = world.line.told(out, envelope.TIME)
    assert (time.utc, time.day, time.boot_nonce) == (NOON, 20_000, world.line.nonce)
    (settings,) = world.line.told(out, envelope.SETTINGS)
    assert (settings.first_day, settings.last_day) == (20_000 - 35, 20_000 + 400)
    assert (settings.zone_minutes, settings.cap, len(settings.menu)) == (180, CAP, 2)
    assert world.gate.told(world.handle(world.gate.hello()), envelope.SETTINGS)[0].menu == ()


def test_table_is_fetched_chunk_by_chunk(world: World) -> None:
    (manifest,) = world.line.told(world.handle(world.line.hello()), envelope.TABLE)
    wants = [world.line.want(manifest.version, first, 2) for first in range(0, manifest.chunks, 2)]
    chunks = world.line.told(world.handle(*wants, world.line.want(manifest.version, 900, 4)), envelope.CHUNK)
    image = b"".join(bytes(chunk.data) for chunk in chunks)
    assert [chunk.index for chunk in chunks] == list(range(manifest.chunks))
    assert table.root(image) == manifest.root
    assert world.line.told(world.handle(world.line.want(99, 0, 4)), envelope.CHUNK) == []


def test_new_table_is_archived_before_it_is_announced(world: World) -> None:
    with db.begin(world.engine) as conn:
        accounting.top_up(conn, world.school, pupil_of(world), 5, "a", NOON)
        version = devices.publish_tables(conn, world.vault, world.school, NOON)
    assert world.line.told(world.handle(world.line.want(version, 0, 1)), envelope.CHUNK) == []
    before = len(list(world.archive.read()))
    out = world.ingest.poll()
    assert [manifest.version for manifest in world.line.told(out, envelope.TABLE)] == [version]
    archived = list(world.archive.read())[before:]
    assert {grant.device_id for grant in archived if isinstance(grant, Grants)} == {
        world.line.device,
        world.other.device,
    }
    assert len(world.line.told(world.handle(world.line.want(version, 0, 1)), envelope.CHUNK)) == 1


def test_new_settings_reach_devices_that_are_online(world: World) -> None:
    with db.begin(world.engine) as conn:
        version = devices.set_settings(conn, world.school, NOON, verdict_ms=700)
    out = world.ingest.poll()
    assert [s.verdict_ms for s in world.line.told(out, envelope.SETTINGS)] == [700]
    assert world.gate.told(out, envelope.SETTINGS) == []
    told = world.gate.told(world.handle(world.gate.hello(1, version - 1)), envelope.SETTINGS)
    assert [s.version for s in told] == [version]


def test_counter_never_comes_back(world: World) -> None:
    seen = []
    for _ in range(3):
        for _topic, payload in world.handle(world.line.hello(1)):
            seen.append(envelope.peek(payload, envelope.TO_DEVICE).counter)
        world.restart()
    assert seen == sorted(set(seen))
