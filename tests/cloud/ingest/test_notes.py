"""What devices note and somebody must hear of: copies of cards, readers that do not read; each once."""

import pytest

from cloud import bulk, db
from cloud.alarms import service
from protocols.errors import CARD_COPY, CARD_UNKNOWN, OK, READER_DEAD, READER_NOISE, READER_UNTRUSTED
from protocols.ids import hex8
from protocols.ledger import record
from tests.cloud.ingest.peer import World


@pytest.fixture
def world(store, tmp_path):
    return World(store, tmp_path)


def alarms(world):
    return world.rows("SELECT kind, detail, subject FROM alarm WHERE school_id = ? ORDER BY id")


def test_copy_of_a_card_is_one_alarm_for_account_and_day(world):
    first, second = world.pupils[:2]
    for account in (first, first, second):
        seq = world.line.write(record.NOTE, record.NOTE_REFUSED_TAP, account, CARD_COPY, 5)
    world.handle(*world.line.all_recs())
    world.other.write(record.NOTE, record.NOTE_REFUSED_TAP, first, CARD_COPY, 5)
    world.handle(*world.other.all_recs())
    told = alarms(world)
    assert [row[0] for row in told] == ["card_copied"] * 2
    assert [row[2].split(":")[0] for row in told] == [hex8(first), hex8(second)]
    assert told[1][1].startswith(
        f"account {hex8(second)}: shown to {hex8(world.line.device)}, record {seq}, 2024-10-04 "
    )
    assert told[1][1].endswith(" UTC")


def test_protected_card_at_a_reader_that_cannot_check_it_is_no_copy(world):
    """Wiegand and OSDP hand numbers on: one word a day about the reader, and none about a child."""
    statement = "UPDATE device SET reader = ? WHERE school_id = ? AND device_id = ?"
    with db.begin(world.engine) as conn:
        for place, kind in ((world.line, "wiegand"), (world.other, "mfrc522")):
            reader = '{"kind": "%s", "uid_reversed": false, "osdp_address": 0}' % kind  # noqa: UP031
            bulk.run(conn, statement, (reader, world.school, place.device))
    first, second = world.pupils[:2]
    for device in (world.line, world.other):
        for account in (first, first, second):
            device.write(record.NOTE, record.NOTE_REFUSED_TAP, account, CARD_COPY, 5)
        world.handle(*device.all_recs())
    told = [(kind, subject.rpartition(":")[0]) for kind, _detail, subject in alarms(world)]
    assert told == [
        ("card_unproven", hex8(world.line.device)),
        ("card_copied", hex8(first)),
        ("card_copied", hex8(second)),
    ]
    assert all(hex8(account) not in alarms(world)[0][1] for account in (first, second))


def test_other_refused_taps_are_no_alarm(world):
    world.line.write(record.NOTE, record.NOTE_REFUSED_TAP, world.pupils[0], CARD_UNKNOWN, 5)
    world.handle(*world.line.all_recs())
    assert alarms(world) == []


@pytest.mark.parametrize("why", [READER_DEAD, READER_NOISE, READER_UNTRUSTED])
def test_reader_that_fails_is_an_alarm_until_it_works_again(world, why):
    for reader, code in ((1, why), (0, why), (1, OK), (1, why)):
        world.line.write(record.NOTE, record.NOTE_READER, 0, code, reader)
    world.handle(*world.line.all_recs())
    # The same records once more say nothing new.
    world.handle(*world.line.all_recs())
    with db.reading(world.engine) as conn:
        told = service.alarms(conn, world.school)
    where = f"of {hex8(world.line.device)}, record "
    assert [(one.kind, one.detail.split(", 20")[0], one.over_at > 0) for one in told] == [
        ("reader_dead", f"reader 1 {where}4", False),
        ("reader_dead", f"reader 0 {where}2", False),
        ("reader_dead", f"reader 1 {where}1", True),
    ]
