"""Registration, the fleet, settings, and where money is placed."""

import io
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from cloud import bulk, db
from cloud.accounting import service as accounting
from cloud.accounting.service import CATERER, Entry, purse
from cloud.devices import placement
from cloud.devices import service as devices
from cloud.keys import Vault, VaultError
from cloud.people import service as people
from protocols.errors import FIELD_RANGE, WIRE_MAC, Fault
from protocols.ledger import record
from protocols.mac import DeviceKeys
from protocols.wire import messages, table
from protocols.wire.till import pairing_key
from tests.cloud.schools import add_goods, add_pupils, add_school, reference

NOW = 1_750_000_000


@pytest.fixture
def vault(tmp_path) -> Vault:
    return Vault(tmp_path / "keys")


def register(conn, vault: Vault, school: int, label: str, kind: str = "canteen") -> dict[str, Any]:
    return devices.register(conn, vault, school, label, kind, NOW)


def images(conn, school: int, device: int) -> dict[int, table.Row]:
    """account to row of a device's newest table, by the card of each pupil."""
    statement = (
        "SELECT image FROM device_table WHERE school_id = ? AND device_id = ? ORDER BY version DESC LIMIT 1"
    )
    image = bytes(bulk.select(conn, statement, (school, device))[0][0])
    found = table.Table(io.BytesIO(image))
    rows = bulk.select(conn, "SELECT account_id FROM pupil WHERE school_id = ?", (school,))
    looked = {row[0]: found.find(reference(row[0])[:8]) for row in rows}
    return {account: row for account, row in looked.items() if row is not None}


def test_provision_opens_the_sealed_key(store: Engine, vault: Vault) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        told = register(conn, vault, school, "line-1")
        statement = "SELECT key_sealed, head_mac, next_seq, status FROM device_epoch WHERE school_id = ?"
        (row,) = bulk.select(conn, statement, (school,))
        everything = json.dumps([str(list(r)) for r in bulk.select(conn, "SELECT * FROM device_epoch")])
    key = bytes.fromhex(told["key"])
    context = devices.key_context(school, told["device"], 1)
    assert vault.open(bytes(row.key_sealed), context) == key
    assert bytes(row.head_mac) == record.genesis(DeviceKeys(key).chain, told["device"], 1)
    assert (row.next_seq, row.status) == (1, "open")
    assert told["reference_key"] == vault.reference_key(school).hex()
    assert told["username"] == f"{told['device']:08x}"
    for secret in (told["key"], told["password"]):
        assert secret not in everything
    with pytest.raises(VaultError):
        vault.open(bytes(row.key_sealed), devices.key_context(school, told["device"], 2))


def test_label_and_kind_are_checked(store_sqlite: Engine, vault: Vault) -> None:
    school = add_school(store_sqlite)
    with db.begin(store_sqlite) as conn:
        register(conn, vault, school, "line-1")
        for label, kind in (("line-1", "canteen"), (" ", "gate"), ("gate-1", "door")):
            with pytest.raises(devices.DeviceRefused):
                register(conn, vault, school, label, kind)


def test_fleet_tells_versions_and_waiting_records(store: Engine, vault: Vault) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        told = register(conn, vault, school, "line-1")
        devices.publish_tables(conn, vault, school, NOW)
        (row,) = devices.fleet(conn, school)
        assert (row.label, row.online, row.unsent, row.table_version, row.table_wanted) == (
            "line-1",
            False,
            None,
            0,
            1,
        )
        state = json.dumps({"next_seq": 9, "heap_free": 5})
        bulk.run(conn, "UPDATE device SET state = ?, online = 1 WHERE device_id = ?", (state, told["device"]))
        (row,) = devices.fleet(conn, school)
        assert (row.online, row.unsent, row.state["heap_free"]) == (True, 8, 5)


def test_bad_messages_add_up(store: Engine, vault: Vault) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        device = register(conn, vault, school, "line-1")["device"]
        for now in (1, 2):
            devices.count_refusals(conn, {(school, device, WIRE_MAC): 3, (school, 0, WIRE_MAC): 1}, now)
        found = {
            (row.device_id, row.label, row.name): (row.count, row.last_at)
            for row in devices.refusals(conn, school)
        }
    assert found == {(device, "line-1", "wire_mac"): (6, 2), (0, "", "wire_mac"): (2, 2)}


def test_settings_of_kinds_differ(store: Engine, vault: Vault) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        add_goods(conn, school, {1: 8500, 2: 14_000})
        register(conn, vault, school, "line-1")
        first = devices.settings_for(conn, school, "canteen", NOW)
        version = devices.set_settings(
            conn, school, NOW, kinds=("canteen",), verdict_ms=5000, fixed_moment=False
        )
        line = devices.settings_for(conn, school, "canteen", NOW)
        gate = devices.settings_for(conn, school, "gate", NOW)
        prices = bulk.select(
            conn, "SELECT good_id, price_minor FROM published_price WHERE school_id = ?", (school,)
        )
    both = messages.FIXED_MOMENT | messages.OFFLINE_AT_ONCE
    assert (first.version, first.verdict_ms, first.flags) == (1, 400, both)
    assert (line.version, line.verdict_ms, line.flags) == (version, 5000, messages.OFFLINE_AT_ONCE)
    assert (gate.version, gate.verdict_ms, gate.flags) == (version, 400, both)
    assert (line.zone_minutes, line.cap, [item.price for item in line.menu]) == (180, 50_000, [8500, 14_000])
    assert gate.menu == ()
    assert {tuple(row) for row in prices} == {(1, 8500), (2, 14_000)}


@pytest.mark.parametrize(
    "wrong",
    [{"verdict_ms": 70_000}, {"verdict_ms": -1}, {"fixed_moment": 1}, {"colour": 1}, {"cap_minor": 2**31}],
)
def test_wrong_setting_changes_nothing(store_sqlite: Engine, vault: Vault, wrong: dict[str, Any]) -> None:
    school = add_school(store_sqlite)
    with db.begin(store_sqlite) as conn:
        register(conn, vault, school, "line-1")
        before = devices.settings_for(conn, school, "gate", NOW)
        with pytest.raises(Fault) as caught:
            devices.set_settings(conn, school, NOW, **wrong)
        assert caught.value.code == FIELD_RANGE
        assert devices.settings_for(conn, school, "gate", NOW) == before


def test_old_prices_stay_known(store: Engine, vault: Vault) -> None:
    """A till that was offline while the price changed has sold at the old one."""
    school = add_school(store)
    with db.begin(store) as conn:
        add_goods(conn, school, {1: 8500})
        register(conn, vault, school, "line-1")
        bulk.run(conn, "UPDATE good SET price_minor = 9000 WHERE school_id = ?", (school,))
        devices.publish_settings(conn, school, NOW)
        statement = "SELECT price_minor, settings_version FROM published_price WHERE school_id = ? ORDER BY 1"
        assert [tuple(row) for row in bulk.select(conn, statement, (school,))] == [(8500, 1), (9000, 2)]


def test_tables_hold_cards_and_home_rights(store: Engine, vault: Vault) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        lines = [register(conn, vault, school, label)["device"] for label in ("line-1", "line-2")]
        gate = register(conn, vault, school, "gate-1", "gate")["device"]
        pupils = add_pupils(conn, school, 8, classes=2)
        for place, account in enumerate(pupils):
            accounting.top_up(conn, school, account, 30_000 * (place + 1), f"T{place}", NOW)
        bulk.run(conn, "UPDATE card SET status = 'blocked' WHERE account_id = ?", (pupils[0],))
        bulk.run(conn, "UPDATE pupil SET status = 'left' WHERE account_id = ?", (pupils[1],))
        devices.publish_tables(conn, vault, school, NOW)
        homes = {account.account_id: account.home_device for account in people.accounts(conn, school)}
        for line in lines:
            for account, row in images(conn, school, line).items():
                place = pupils.index(account)
                wanted = min(30_000 * (place + 1), 50_000) if homes[account] == line and place > 1 else 0
                assert (row.rights, row.account) == (wanted, account)
                assert bool(row.flags & table.BLOCKED) == (place in (0, 1))
        assert {row.rights for row in images(conn, school, gate).values()} == {0}
    assert sorted(list(homes.values()).count(line) for line in lines) == [4, 4]


def test_second_table_places_what_came_in(store: Engine, vault: Vault) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        line = register(conn, vault, school, "line-1")["device"]
        (account,) = add_pupils(conn, school, 1, classes=1)
        accounting.top_up(conn, school, account, 30_000, "T1", NOW)
        devices.publish_tables(conn, vault, school, NOW)
        accounting.top_up(conn, school, account, 5_000, "T2", NOW)
        devices.publish_tables(conn, vault, school, NOW)
        devices.publish_tables(conn, vault, school, NOW)
        assert images(conn, school, line)[account].rights == 35_000
        kept = bulk.select(conn, "SELECT version FROM device_table WHERE device_id = ? ORDER BY 1", (line,))
    assert [row[0] for row in kept] == [2, 3]


def test_class_moves_when_its_till_is_gone(store: Engine, vault: Vault) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        first, second = (register(conn, vault, school, label)["device"] for label in ("line-1", "line-2"))
        pupils = add_pupils(conn, school, 4, classes=2)
        for account in pupils:
            accounting.top_up(conn, school, account, 30_000, f"T{account}", NOW)
        devices.publish_tables(conn, vault, school, NOW)
        bulk.run(conn, "UPDATE device_epoch SET status = 'lost' WHERE device_id = ?", (first,))
        devices.publish_tables(conn, vault, school, NOW)
        rights = sorted(row.rights for row in images(conn, school, second).values())
        # What the lost till may still spend stays reserved: its pupils get nothing elsewhere.
        assert rights == [0, 0, 30_000, 30_000]
        bulk.run(conn, "UPDATE device_epoch SET status = 'closed' WHERE device_id = ?", (first,))
        devices.publish_tables(conn, vault, school, NOW)
        assert {row.rights for row in images(conn, school, second).values()} == {30_000}


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    money=st.lists(st.integers(0, 120_000), min_size=1, max_size=6),
    cap=st.integers(1, 90_000),
    cap_device=st.integers(1, 150_000),
    slack=st.integers(0, 5_000),
    spent=st.lists(st.tuples(st.integers(0, 5), st.integers(1, 20_000)), max_size=6),
)
def test_placement_keeps_its_bounds(
    store_sqlite: Engine, vault: Vault, money, cap, cap_device, slack, spent
) -> None:
    school = add_school(store_sqlite)
    with db.begin(store_sqlite) as conn:
        for label in ("line-1", "line-2"):
            register(conn, vault, school, label)
        devices.set_settings(conn, school, NOW, cap_minor=cap, cap_device_minor=cap_device, slack_minor=slack)
        pupils = add_pupils(conn, school, len(money), classes=3)
        for account, amount in zip(pupils, money, strict=True):
            accounting.top_up(conn, school, account, amount, f"T{account}", NOW)
        devices.publish_tables(conn, vault, school, NOW)
        check_bounds(conn, school, cap, cap_device, slack)
        for number, (place, amount) in enumerate(spent):
            spend(conn, school, pupils[place % len(pupils)], amount, number)
        devices.publish_tables(conn, vault, school, NOW)
        check_bounds(conn, school, cap, cap_device, slack)


def spend(conn, school: int, account: int, amount: int, number: int) -> None:
    """A sale within the rights of whichever till has them."""
    statement = "SELECT device_id, granted - spent FROM spending_right WHERE school_id = ? AND account_id = ?"
    for device, rights in bulk.select(conn, statement, (school, account)):
        if rights >= amount:
            update = "UPDATE spending_right SET spent = spent + ? WHERE device_id = ? AND account_id = ?"
            bulk.run(conn, update, (amount, device, account))
            lines = ((purse(account), -amount), (CATERER, amount))
            accounting.post(conn, school, [Entry(f"s{number}", "sale", NOW, lines)], NOW)
            return


def check_bounds(conn, school: int, cap: int, cap_device: int, slack: int) -> None:
    statement = "SELECT device_id, account_id, granted - spent FROM spending_right WHERE school_id = ?"
    held = [tuple(row) for row in bulk.select(conn, statement, (school,))]
    balances = accounting.balances_of_kind(conn, school, accounting.PURSES)
    for account in {account for _device, account, _rights in held}:
        out = sum(rights for _device, other, rights in held if other == account)
        assert out <= balances.get(purse(account), 0) + slack
    for device in {device for device, _account, _rights in held}:
        assert sum(rights for other, _account, rights in held if other == device) <= cap_device
    assert all(0 <= rights <= cap for _device, _account, rights in held)


def test_unbounded_placement_would_be_seen(store_sqlite: Engine, vault: Vault, monkeypatch) -> None:
    """The bounds above can fail: a rule that grants whatever is wanted breaks them."""
    monkeypatch.setattr(placement.parent, "grantable", lambda wanted, *_: wanted)  # type: ignore[attr-defined]
    school = add_school(store_sqlite)
    with db.begin(store_sqlite) as conn:
        register(conn, vault, school, "line-1")
        add_pupils(conn, school, 2)
        devices.publish_tables(conn, vault, school, NOW)
        with pytest.raises(AssertionError):
            check_bounds(conn, school, 50_000, 20_000_000, 0)


def test_offer_goes_to_the_home_till(store: Engine, vault: Vault) -> None:
    school = add_school(store)
    with db.begin(store) as conn:
        line = register(conn, vault, school, "line-1")["device"]
        pupils = add_pupils(conn, school, 3, classes=1)
        devices.offer_rights(conn, school, pupils, NOW)
        statement = "SELECT device_id, detail FROM downlink WHERE school_id = ? AND kind = 'grant'"
        assert bulk.select(conn, statement, (school,)) == []  # no table yet: it will place the money
        devices.publish_tables(conn, vault, school, NOW)
        devices.offer_rights(conn, school, pupils, NOW)
        (row,) = bulk.select(conn, statement, (school,))
    detail = json.loads(row.detail) if isinstance(row.detail, str) else row.detail
    assert (row.device_id, detail) == (line, {"accounts": pupils})


def test_till_gets_the_key_of_the_wire_and_never_the_device_key(store_sqlite, vault):
    school = add_school(store_sqlite)
    with db.begin(store_sqlite) as conn:
        line = devices.register(conn, vault, school, "line-1", "canteen", NOW)
        devices.register(conn, vault, school, "gate-1", "gate", NOW)
        told = devices.till_key(conn, vault, school, "line-1")
        assert told["pairing_key"] == pairing_key(bytes.fromhex(line["key"])).hex()
        assert line["key"] not in json.dumps(told)
        again = devices.new_epoch(conn, vault, school, "line-1", NOW)
        assert devices.till_key(conn, vault, school, "line-1") == {
            "device": line["device"], "epoch": 2,
            "pairing_key": pairing_key(bytes.fromhex(again["key"])).hex(),
        }  # fmt: skip
        with pytest.raises(devices.EpochRefused):
            devices.till_key(conn, vault, school, "gate-1")
        devices.lost(conn, vault, school, "line-1", NOW)
        with pytest.raises(devices.EpochRefused):
            devices.till_key(conn, vault, school, "line-1")
