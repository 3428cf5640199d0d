"""From messages to books: what is taken, what is refused, what a crash leaves behind."""

import pytest
from sqlalchemy import Engine

from cloud import db
from cloud.accounting import service as accounting
from cloud.accounting.service import BANK, CATERER, CLAIM, SUSPENSE_RULE, Entry, purse
from protocols.errors import (
    AMOUNT_RANGE,
    BASKET_ITEMS,
    CHAIN_BROKEN,
    CHAIN_FORK,
    GRANT_UNKNOWN,
    KEY_REUSED,
    NOT_CAPABLE,
    NOT_IN_MENU,
    OK,
    RIGHTS_SHORT,
    VOID_TWICE,
    VOID_UNKNOWN,
)
from protocols.ledger import record
from protocols.wire import envelope
from tests.cloud.ingest.peer import BREAKFAST, DAY, LUNCH, PRICES, World


@pytest.fixture
def world(store: Engine, tmp_path):
    made = World(store, tmp_path)
    yield made
    made.check_books()


def test_sale_reaches_the_books(world: World) -> None:
    account = world.of_line(world.line)[0]
    seq = world.line.sell(account)
    out = world.handle(*world.line.all_recs())
    assert world.line.told(out, envelope.ACK) == [seq + 1]
    assert world.balances(purse(account), CATERER) == [100_000 - 8500, 8500]
    assert world.records(world.line) == [(seq, OK)]
    assert world.rows("SELECT event, account_id, seq FROM outbox WHERE school_id = ?") == [
        ("purchase", account, seq)
    ]


def test_passage_reaches_attendance(world: World) -> None:
    account = world.pupils[0]
    turned, not_turned = world.gate.walk(account), world.gate.walk(account, out=True, turned=False)
    world.handle(*world.gate.all_recs())
    statement = "SELECT seq, direction, turned, day, account_id FROM passage WHERE school_id = ? ORDER BY seq"
    assert world.rows(statement) == [(turned, "in", 1, DAY, account), (not_turned, "out", 0, DAY, account)]
    assert world.rows("SELECT event, seq FROM outbox WHERE school_id = ?") == [("entry", turned)]


def test_hundreds_of_records_in_one_batch(world: World) -> None:
    for _ in range(30):
        for account in world.pupils:
            world.gate.walk(account)
    for account in world.of_line(world.line):
        world.line.sell(account, LUNCH)
    out = world.handle(*world.gate.all_recs(), *world.line.all_recs())
    assert world.gate.told(out, envelope.ACK) == [241]
    assert len(world.records(world.gate)) == 240
    assert world.balances(CATERER) == [14_000 * len(world.of_line(world.line))]


def test_repeat_is_acknowledged_and_ignored(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.line.sell(account)
    first = world.line.all_recs()
    world.handle(*first)
    for batch in (first, [*first, *first], world.line.all_recs(size=1)):
        assert world.line.told(world.handle(*batch), envelope.ACK) == [2]
    assert world.balances(CATERER) == [8500]
    assert world.refusals() == {}


def test_overlap_takes_only_what_is_new(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.line.sell(account)
    world.handle(*world.line.all_recs())
    world.line.sell(account, LUNCH)
    world.line.write(record.NOTE, 1, account, 24)
    overlapping, rest = world.line.recs(1, 2), world.line.recs(2, 2)
    assert world.line.told(world.handle(overlapping, rest), envelope.ACK) == [4]
    assert world.balances(CATERER) == [22_500]
    assert [seq for seq, _refusal in world.records(world.line)] == [1, 2, 3]


def test_gap_is_answered_with_what_is_wanted(world: World) -> None:
    account = world.of_line(world.line)[0]
    for _ in range(3):
        world.line.sell(account)
    assert world.line.told(world.handle(world.line.recs(2, 2)), envelope.ACK) == [1]
    assert world.records(world.line) == []
    assert world.line.told(world.handle(world.line.recs(2, 2), world.line.recs(1, 2)), envelope.ACK) == [3]


def test_same_number_with_other_bytes_is_an_alarm(world: World) -> None:
    one, two = world.of_line(world.line)[:2]
    world.line.sell(one)
    world.handle(*world.line.all_recs())
    world.line.raws.clear()
    del world.line.macs[1:]
    world.line.sell(two, LUNCH)
    assert world.line.told(world.handle(*world.line.all_recs()), envelope.ACK) == [2]
    assert world.refusals() == {(world.line.device, CHAIN_FORK): 1}
    assert world.balances(CATERER) == [8500]
    world.line.sell(two)
    world.handle(world.line.recs(2, 1))
    assert world.refusals() == {(world.line.device, CHAIN_FORK): 2}


def test_records_under_a_foreign_chain_are_refused(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.line.sell(account)
    world.line.sell(account)
    world.line.raws[1] = world.line.raws[1][:24] + b"abcd" + world.line.raws[1][28:]
    world.line.raws[1] = record.seal(world.line.raws[1][:24], b"abcd" + bytes(28))
    world.handle(*world.line.all_recs())
    assert world.refusals() == {(world.line.device, CHAIN_BROKEN): 1}
    assert world.records(world.line) == []


def test_sale_beyond_rights_touches_no_purse(world: World) -> None:
    account = world.of_line(world.other)[0]
    world.line.sell(account)
    world.handle(*world.line.all_recs())
    assert world.records(world.line) == [(1, RIGHTS_SHORT)]
    codes = (purse(account), CATERER, SUSPENSE_RULE, CLAIM)
    assert world.balances(*codes) == [100_000, 0, 8500, -8500]
    assert world.rows("SELECT count(*) FROM outbox WHERE school_id = ?") == [(0,)]


def test_sale_at_a_price_nobody_set_is_suspended(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.line.sell(account, price=1)
    world.line.sell(account, BREAKFAST, PRICES[LUNCH])
    world.line.sell(account, flags=0)
    world.handle(*world.line.all_recs())
    assert world.records(world.line) == [(1, NOT_IN_MENU), (2, NOT_IN_MENU), (3, BASKET_ITEMS)]
    assert world.balances(purse(account), CATERER, SUSPENSE_RULE) == [100_000 - 22_501, 0, 22_501]


def test_sale_of_nothing_or_less_moves_no_money(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.line.sell(account, price=0)
    world.line.sell(account, price=-8500)
    world.handle(*world.line.all_recs())
    assert world.records(world.line) == [(1, AMOUNT_RANGE), (2, AMOUNT_RANGE)]
    assert world.balances(purse(account), CATERER, SUSPENSE_RULE) == [100_000, 0, 0]


def test_gate_sells_nothing_and_line_passes_nobody(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.gate.sell(account)
    world.line.walk(account)
    world.handle(*world.gate.all_recs(), *world.line.all_recs())
    assert [refusal for _seq, refusal in world.records(world.gate)] == [RIGHTS_SHORT]
    assert [refusal for _seq, refusal in world.records(world.line)] == [NOT_CAPABLE, NOT_CAPABLE]
    assert world.balances(CATERER) == [0]
    assert world.rows("SELECT count(*) FROM passage WHERE school_id = ?") == [(0,)]


def test_grant_that_only_the_device_knows_authorises_nothing(world: World) -> None:
    account = world.of_line(world.line)[0]
    world.other.write(record.GRANT, 0, account, 50_000, 0)
    world.other.sell(account)
    world.handle(*world.other.all_recs())
    assert world.records(world.other) == [(1, GRANT_UNKNOWN), (2, RIGHTS_SHORT)]
    assert world.balances(purse(account), CATERER) == [100_000, 0]
    # It is reserved: what the purse holds beyond both is still free, and no more.
    out = world.handle(world.other.need(account, 1))
    assert world.other.told(out, envelope.ANSWER)[0].total == 0


def test_void_takes_its_sale_back_once(world: World) -> None:
    account = world.of_line(world.line)[0]
    sale = world.line.sell(account)
    other = world.line.sell(account, price=1)
    world.handle(*world.line.all_recs())
    for named, amount in ((sale, 8500), (sale, 8500), (77, 5), (other, 1)):
        world.line.write(record.VOID, 1, account, amount, named)
    same_batch = world.line.sell(account, LUNCH)
    world.line.write(record.VOID, 1, account, PRICES[LUNCH], same_batch)
    world.line.write(record.VOID, 1, account, PRICES[LUNCH], same_batch)
    world.handle(*world.line.all_recs(3))
    refusals = [refusal for _seq, refusal in world.records(world.line)[2:]]
    assert refusals == [OK, VOID_TWICE, VOID_UNKNOWN, OK, OK, OK, VOID_TWICE]
    assert world.balances(purse(account), CATERER, SUSPENSE_RULE) == [100_000, 0, 0]


def test_void_of_a_claim_gives_no_rights(world: World) -> None:
    account = world.of_line(world.other)[0]
    sale = world.line.sell(account)
    world.line.write(record.VOID, 1, account, 8500, sale)
    world.handle(*world.line.all_recs())
    assert world.records(world.line) == [(1, RIGHTS_SHORT), (2, VOID_UNKNOWN)]


def test_reused_key_is_kept_with_its_record(world: World) -> None:
    account = world.of_line(world.line)[0]
    first, second = world.line.sell(account), world.line.sell(account)
    with db.begin(world.engine) as conn:
        squatter = Entry(
            f"record:{world.line.device:08x}:1:{first}", "topup", 1, ((BANK, -1), (purse(account), 1))
        )
        accounting.post(conn, world.school, [squatter], 1)
    world.handle(*world.line.all_recs())
    assert world.records(world.line) == [(first, KEY_REUSED), (second, OK)]
    assert world.balances(CATERER) == [8500]
    assert world.rows("SELECT seq FROM outbox WHERE school_id = ?") == [(second,)]


def test_applied_versions_are_seen(world: World) -> None:
    world.line.write(record.TABLE, record.TABLE_ACCOUNTS, aux=1)
    world.line.write(record.TABLE, record.TABLE_SETTINGS, aux=1)
    world.handle(*world.line.all_recs())
    statement = (
        "SELECT label, table_version, settings_version, online FROM device WHERE school_id = ? ORDER BY label"
    )
    assert world.rows(statement) == [("gate-1", 0, 0, 0), ("line-1", 1, 1, 1), ("line-2", 0, 0, 0)]
