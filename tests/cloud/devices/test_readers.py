"""What a device is handed for its card reader: kind, keys of its own role, the key of an OSDP reader."""

import json

import pytest

from cloud.cards import service as cards
from cloud.db import begin
from cloud.devices import service as devices
from cloud.keys import Vault
from protocols.card.application import CANTEEN, GATE
from protocols.errors import FIELD_RANGE, Fault
from tests.cloud.schools import add_school

NOW = 1_750_000_000


@pytest.fixture
def vault(tmp_path):
    return Vault(tmp_path / "keys")


def test_device_without_a_known_reader_knows_cards_by_number(store_sqlite, vault):
    school = add_school(store_sqlite)
    with begin(store_sqlite) as conn:
        told = devices.register(conn, vault, school, "gate-1", "gate", NOW)
    assert "reader" not in told
    assert "card_keys" not in told


@pytest.mark.parametrize(("kind", "role"), [("gate", GATE), ("canteen", CANTEEN)])
def test_device_gets_the_keys_of_its_role_that_are_in_force(store, vault, kind, role):
    school = add_school(store)
    with begin(store) as conn:
        first = devices.register(
            conn, vault, school, "one", kind, NOW, reader=devices.Reader("mfrc522", uid_reversed=True)
        )
        assert first["reader"] == {"kind": "mfrc522", "uid_reversed": True}
        assert [(key["role"], key["version"]) for key in first["card_keys"]] == [(role, 1)]
        cards.rotate(vault, school, kind)
        again = devices.new_epoch(conn, vault, school, "one", NOW)
        assert again["reader"] == first["reader"]
        assert [(key["role"], key["version"]) for key in again["card_keys"]] == [(role, 1), (role, 2)]
        assert again["card_keys"][0] == first["card_keys"][0]
        cards.retire(vault, school, kind, 1)
        told = devices.new_epoch(conn, vault, school, "one", NOW, reader=devices.Reader("pn532_spi"))
        assert told["reader"]["kind"] == "pn532_spi"
        assert [key["version"] for key in told["card_keys"]] == [2]
        assert devices.new_epoch(conn, vault, school, "one", NOW)["reader"] == told["reader"]
    assert json.loads(json.dumps(told)) == told


def test_reader_of_numbers_gets_no_card_keys(store_sqlite, vault):
    school = add_school(store_sqlite)
    with begin(store_sqlite) as conn:
        wiegand = devices.register(conn, vault, school, "a", "gate", NOW, reader=devices.Reader("wiegand"))
        osdp = [
            devices.register(conn, vault, school, label, "gate", NOW, reader=devices.Reader("osdp", False, 5))
            for label in "bc"
        ]
        again = devices.new_epoch(conn, vault, school, "b", NOW)
    assert wiegand["reader"] == {"kind": "wiegand", "uid_reversed": False}
    assert all("card_keys" not in told for told in (wiegand, *osdp))
    assert osdp[0]["reader"]["osdp_address"] == 5
    keys = [told["reader"]["osdp_key"] for told in (*osdp, again)]
    assert [len(bytes.fromhex(key)) for key in keys] == [16] * 3
    assert keys[0] != keys[1]
    assert keys[0] == keys[2]  # the reader keeps its key when the device gets a new one


@pytest.mark.parametrize(
    "reader",
    [devices.Reader("rfid"), devices.Reader("osdp", False, 127), devices.Reader("mfrc522", False, 1)],
)
def test_reader_that_cannot_be_is_refused(store_sqlite, vault, reader):
    school = add_school(store_sqlite)
    with begin(store_sqlite) as conn:
        with pytest.raises(Fault) as fault:
            devices.register(conn, vault, school, "gate-1", "gate", NOW, reader=reader)
        assert fault.value.code == FIELD_RANGE
        assert devices.fleet(conn, school) == []
