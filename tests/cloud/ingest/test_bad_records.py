"""Authentic records that cannot be: each is kept with its number, counted, and moves nobody's money.

A device's key is right and its chain holds: what it says is wrong.  The journal goes on behind each of them.
"""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.accounting import service as accounting
from cloud.accounting.service import CATERER, CLAIM, SUSPENSE_RULE, purse
from cloud.devices import service as devices
from cloud.office import service as office
from protocols.errors import (
    AMOUNT_RANGE,
    CHAIN_BROKEN,
    CHAIN_GAP,
    GRANT_UNKNOWN,
    NOT_CAPABLE,
    NOT_IN_MENU,
    OK,
    RECORD_CRC,
    RECORD_DAY,
    RECORD_TYPE,
    RETURN_EXCEEDS_RIGHTS,
    RIGHTS_SHORT,
    TABLE_ROOT,
    VOID_DIFFERS,
    VOID_TWICE,
    VOID_UNKNOWN,
)
from protocols.ledger import record
from protocols.wire import envelope, messages
from tests.cloud.ingest.peer import DAY, NOON, Peer, World

I32_MAX, I32_MIN = 0x7FFFFFFF, -0x80000000
U32_MAX = 0xFFFFFFFF


@pytest.fixture
def world(store: Engine, tmp_path):
    made = World(store, tmp_path)
    yield made
    made.check_books()
    with db.snapshot(made.engine) as conn:
        assert accounting.check(conn, made.school).differences == []


def shown(world: World) -> dict[str, dict[int, int]]:
    """What the office's page of devices says was refused: label to number to count."""
    with db.reading(world.engine) as conn:
        fleet = office.fleet(conn, world.school)
    return {one.label: {each.code: each.number for each in one.refusals} for one in fleet.devices}


def journal(peer: Peer, body: bytes) -> None:
    """Journal these 24 bytes under the device's own chain, whatever they say."""
    peer.macs.append(record.next_mac(peer.chain, peer.macs[-1], body))
    peer.raws.append(record.seal(body, peer.macs[-1]))


def goes_on(world: World) -> None:
    """The device is acknowledged to its head, and its next sale is posted."""
    account = world.of_line(world.line)[1]
    before = world.balance(account)
    world.line.sell(account)
    out = world.handle(*world.line.recs_of(1))
    assert world.line.told(out, envelope.ACK) == [world.line.next_seq]
    assert world.balance(account) == before - 8500


@pytest.mark.parametrize("kind", [0, 13, 14, 99, 127, 128, 254])
def test_record_of_unknown_type_is_kept_and_counted(world: World, kind: int) -> None:
    account = world.of_line(world.line)[0]
    world.line.write(kind, 0xFF, account, I32_MIN, U32_MAX)
    out = world.handle(*world.line.all_recs())
    assert world.line.told(out, envelope.ACK) == [2]
    assert world.records(world.line) == [(1, RECORD_TYPE)]
    assert world.balances(purse(account), CATERER, SUSPENSE_RULE, CLAIM) == [100_000, 0, 0, 0]
    assert shown(world)["line-1"] == {RECORD_TYPE: 1}
    goes_on(world)


@pytest.mark.parametrize(
    ("price", "refusal", "suspended"),
    [
        (I32_MIN, AMOUNT_RANGE, 0),
        (-1, AMOUNT_RANGE, 0),
        (0, AMOUNT_RANGE, 0),
        (1, NOT_IN_MENU, 0),
        (50_000, NOT_IN_MENU, 0),  # all of CAP
        (50_001, RIGHTS_SHORT, 50_001),
        (I32_MAX, RIGHTS_SHORT, I32_MAX),
    ],
)
def test_price_at_and_beyond_each_limit(world: World, price: int, refusal: int, suspended: int) -> None:
    account = world.of_line(world.line)[0]
    world.line.sell(account, price=price)
    world.handle(*world.line.all_recs())
    assert world.records(world.line) == [(1, refusal)]
    # Within rights it is the purse's money that waits for a person, beyond them it is nobody's.
    of_purse = price if refusal == NOT_IN_MENU else 0
    codes = (purse(account), CATERER, SUSPENSE_RULE, CLAIM)
    assert world.balances(*codes) == [100_000 - of_purse, 0, of_purse + suspended, -suspended]
    assert shown(world)["line-1"] == {refusal: 1}
    goes_on(world)


@pytest.mark.parametrize(
    ("kind", "amount", "aux", "refusal"),
    [
        (record.GRANT, I32_MIN, 0, OK),  # a total below the known one says nothing new
        (record.RETURN, I32_MAX, 0, RETURN_EXCEEDS_RIGHTS),
        (record.RETURN, I32_MIN, 0, AMOUNT_RANGE),
        (record.RETURN, 50_001, 0, RETURN_EXCEEDS_RIGHTS),
        (record.RETURN, 1, U32_MAX, RETURN_EXCEEDS_RIGHTS),  # a bucket that nobody ever heard of
        (record.VOID, I32_MAX, U32_MAX, VOID_UNKNOWN),
        (record.VOID, I32_MIN, 0, VOID_UNKNOWN),
        (record.PASS, I32_MAX, U32_MAX, NOT_CAPABLE),
    ],
)
def test_total_at_and_beyond_each_limit(world: World, kind: int, amount: int, aux: int, refusal: int) -> None:
    account = world.of_line(world.line)[0]
    world.line.write(kind, 0, account, amount, aux)
    world.handle(*world.line.all_recs())
    assert world.records(world.line) == [(1, refusal)]
    assert world.balances(purse(account), CATERER, SUSPENSE_RULE, CLAIM) == [100_000, 0, 0, 0]
    assert shown(world)["line-1"] == ({refusal: 1} if refusal else {})
    goes_on(world)


def test_grant_of_all_that_a_field_holds_authorises_nothing(world: World) -> None:
    """It is reserved until its device is closed: nobody else gets that purse's money meanwhile."""
    account = world.of_line(world.line)[0]
    world.other.write(record.GRANT, 0, account, I32_MAX, 0)
    world.other.sell(account)
    world.handle(*world.other.all_recs())
    assert world.records(world.other) == [(1, GRANT_UNKNOWN), (2, RIGHTS_SHORT)]
    assert world.balances(purse(account), CATERER) == [100_000, 0]
    assert shown(world)["line-2"] == {GRANT_UNKNOWN: 1, RIGHTS_SHORT: 1}
    with db.begin(world.engine) as conn:
        devices.lost(conn, world.vault, world.school, "line-2", NOON)
        devices.release(conn, world.vault, world.school, "line-2", NOON)
    assert world.balance(account) == 50_000  # its home till holds CAP


def test_void_that_differs_or_comes_twice_is_counted(world: World) -> None:
    account = world.of_line(world.line)[0]
    sale = world.line.sell(account)
    for amount in (I32_MAX, 8500, 8500):
        world.line.write(record.VOID, record.SALE_SINGLE, account, amount, sale)
    world.handle(*world.line.all_recs())
    assert [refusal for _seq, refusal in world.records(world.line)] == [OK, VOID_DIFFERS, OK, VOID_TWICE]
    assert world.balances(purse(account), CATERER) == [100_000, 0]
    assert shown(world)["line-1"] == {VOID_DIFFERS: 1, VOID_TWICE: 1}


@pytest.mark.parametrize("day", [0, DAY - 36, DAY + 4_000, 0xFFFF])
def test_sale_outside_the_calendar_waits_for_a_person(world: World, day: int) -> None:
    account = world.of_line(world.line)[0]
    body = record.Record(record.SALE, 1, day, 1, 0, account, 8500, record.good_aux(1, bytes(8)))
    journal(world.line, record.pack_body(body))
    world.handle(*world.line.all_recs())
    assert world.records(world.line) == [(1, RECORD_DAY)]
    assert world.balances(CATERER) == [0]
    assert shown(world)["line-1"] == {RECORD_DAY: 1}
    goes_on(world)


def test_number_from_the_future_is_not_taken_yet(world: World) -> None:
    """Nothing of it is half applied: once what is missing has come, everything counts once."""
    account = world.of_line(world.line)[0]
    for _ in range(3):
        world.line.sell(account)
    first, *later = (world.line.recs(seq, 1) for seq in (1, 2, 3))
    out = world.handle(*later)
    assert world.line.told(out, envelope.ACK) == [1]
    assert world.records(world.line) == []
    assert world.balances(purse(account), CATERER) == [100_000, 0]
    assert shown(world)["line-1"] == {CHAIN_GAP: 2}
    out = world.handle(first, *later)
    assert world.line.told(out, envelope.ACK) == [4]
    assert world.balances(purse(account), CATERER) == [100_000 - 3 * 8500, 3 * 8500]


@pytest.mark.parametrize("seq", [2, 7, U32_MAX])
def test_number_that_skips_inside_a_message_is_refused(world: World, seq: int) -> None:
    account = world.of_line(world.line)[0]
    item = record.Record(record.SALE, 1, DAY, seq, 0, account, 8500, record.good_aux(1, bytes(8)))
    journal(world.line, record.pack_body(item))
    out = world.handle(world.line.recs(1, 1))
    assert world.line.told(out, envelope.ACK) == [1]
    assert world.records(world.line) == []
    assert shown(world)["line-1"] == {CHAIN_BROKEN: 1}


@pytest.mark.parametrize("place", [0, 4, 16, 24, 28, 31])
def test_damaged_record_under_a_right_mac_is_refused(world: World, place: int) -> None:
    account = world.of_line(world.line)[0]
    world.line.sell(account)
    raw = bytearray(world.line.raws[0])
    raw[place] ^= 1
    macs = world.line.macs
    body = messages.pack_recs(messages.Recs(1, 1, macs[0], macs[1], bytes(raw)))
    out = world.handle(world.line.message(envelope.RECS, body))
    assert world.line.told(out, envelope.ACK) == [1]
    assert world.records(world.line) == []
    assert shown(world)["line-1"] == {RECORD_CRC: 1}
    assert world.line.told(world.handle(*world.line.all_recs()), envelope.ACK) == [2]
    goes_on(world)


@pytest.mark.parametrize("wanted", [I32_MIN, -1, 0, 50_001, I32_MAX])
def test_need_beyond_each_limit_is_answered_and_grants_nothing(world: World, wanted: int) -> None:
    account = world.of_line(world.line)[0]
    before = world.rows("SELECT sum(granted) FROM spending_right WHERE school_id = ?")
    out = world.handle(world.other.need(account, wanted))
    assert [answer.total for answer in world.other.told(out, envelope.ANSWER)] == [0]
    assert world.rows("SELECT sum(granted) FROM spending_right WHERE school_id = ?") == before


def test_table_that_a_device_gave_up_is_counted_and_an_alarm(world: World) -> None:
    world.line.write(record.TABLE, record.TABLE_REFUSED, 0, TABLE_ROOT, 7)
    world.handle(*world.line.all_recs())
    assert world.records(world.line) == [(1, OK)]
    assert shown(world)["line-1"] == {TABLE_ROOT: 1}
    assert world.rows("SELECT table_version FROM device WHERE school_id = ? AND label = 'line-1'") == [(0,)]
    alarms = world.rows("SELECT kind, detail FROM alarm WHERE school_id = ?")
    assert alarms == [("table_refused", f"{world.line.device:08x} record 1: table 7, table_root")]
    goes_on(world)


def test_refused_records_count_for_their_own_device(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.line.write(13, 0, account)
    world.gate.sell(account)
    world.other.write(record.GRANT, 0, account, 50_000, 0)
    world.handle(*world.line.all_recs(), *world.gate.all_recs(), *world.other.all_recs())
    assert shown(world) == {
        "line-1": {RECORD_TYPE: 1}, "gate-1": {RIGHTS_SHORT: 1}, "line-2": {GRANT_UNKNOWN: 1},
    }  # fmt: skip
    # The same records again are no news.
    world.handle(*world.line.all_recs(), *world.gate.all_recs(), *world.other.all_recs())
    assert shown(world)["line-1"] == {RECORD_TYPE: 1}
