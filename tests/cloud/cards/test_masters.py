"""Master keys of cards: by school, role and version; rotated, retired, handed out by role."""

import stat

import pytest

from cloud.cards import service as cards
from cloud.devices import service as devices
from cloud.keys import Vault, VaultError
from protocols.card.application import CANTEEN, CARD, DESK, GATE
from protocols.card.tag import META_ROLE, SUN_ROLE

SCHOOL, OTHER = 7, 8


@pytest.fixture
def vault(tmp_path):
    return Vault(tmp_path / "keys")


def held(vault, kind):
    return {(one.role, one.version): one.key for one in cards.for_device(vault, SCHOOL, kind)}


def test_keys_are_made_once_and_are_all_different(vault, tmp_path):
    made = {(one.role, one.version): one.key for one in cards.for_desk(vault, SCHOOL)}
    assert set(made) == {(role, 1) for role in (DESK, GATE, CANTEEN, CARD, SUN_ROLE, META_ROLE)}
    others = [one.key for one in cards.for_desk(vault, OTHER)]
    assert len({*made.values(), *others}) == 12
    assert all(len(key) == 16 for key in made.values())
    again = Vault(tmp_path / "keys")
    assert {(one.role, one.version): one.key for one in cards.for_desk(again, SCHOOL)} == made


def test_a_device_gets_the_keys_of_its_own_role_alone(vault):
    assert set(held(vault, "gate")) == {(GATE, 1)}
    assert set(held(vault, "canteen")) == {(CANTEEN, 1)}


def test_two_versions_live_until_one_is_retired(vault):
    first = held(vault, "gate")
    assert cards.rotate(vault, SCHOOL, "gate") == 2
    both = held(vault, "gate")
    assert set(both) == {(GATE, 1), (GATE, 2)}
    assert both[GATE, 1] == first[GATE, 1]
    with pytest.raises(cards.MasterRefused, match="retire 1 first"):
        cards.rotate(vault, SCHOOL, "gate")
    with pytest.raises(cards.MasterRefused, match="newest"):
        cards.retire(vault, SCHOOL, "gate", 2)
    with pytest.raises(cards.MasterRefused, match="no version 3"):
        cards.retire(vault, SCHOOL, "gate", 3)
    cards.retire(vault, SCHOOL, "gate", 1)
    cards.retire(vault, SCHOOL, "gate", 1)
    assert held(vault, "gate") == {(GATE, 2): both[GATE, 2]}
    assert set(held(vault, "canteen")) == {(CANTEEN, 1)}
    # A card that was not renewed yet is opened by the desk alone.
    assert [one.version for one in cards.for_desk(vault, SCHOOL) if one.role == GATE] == [1, 2]
    assert cards.rotate(vault, SCHOOL, "gate") == 3


def test_no_key_lies_in_clear_or_in_a_repr(vault, tmp_path):
    masters = cards.for_desk(vault, SCHOOL)
    files = [path for path in (tmp_path / "keys").iterdir() if path.is_file()]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files)
    for one in masters:
        assert all(one.key not in path.read_bytes() for path in files)
        assert one.key.hex() not in repr(one)
        assert repr(one.key) not in repr(one)


def test_a_sealed_key_opens_for_its_own_role_only(vault, tmp_path):
    cards.make_all(vault, SCHOOL)
    folder = tmp_path / "keys"
    (folder / "card-00000007-gate-1").write_bytes((folder / "card-00000007-desk-1").read_bytes())
    with pytest.raises(VaultError):
        cards.for_device(vault, SCHOOL, "gate")


def test_card_keys_without_their_own_key_are_a_broken_restore(vault, tmp_path):
    cards.make_all(vault, SCHOOL)
    (tmp_path / "keys" / "kek").unlink()
    with pytest.raises(VaultError, match="restore it"):
        Vault(tmp_path / "keys")


def test_registry_of_devices_is_not_touched(vault):
    cards.make_all(vault, SCHOOL)
    assert devices.REGISTRY_FILE not in vault.names("")
