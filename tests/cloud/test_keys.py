"""The vault seals, opens and refuses what was changed."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from cloud.keys import Vault, VaultError


def test_sealed_value_opens_again(tmp_path) -> None:
    sealed = Vault(tmp_path).seal(b"secret", b"device/1")
    assert b"secret" not in sealed
    assert Vault(tmp_path).open(sealed, b"device/1") == b"secret"


def test_any_changed_byte_is_refused(tmp_path) -> None:
    vault = Vault(tmp_path)
    sealed = vault.seal(b"secret")
    for index in range(len(sealed)):
        changed = bytearray(sealed)
        changed[index] ^= 1
        with pytest.raises(VaultError):
            vault.open(bytes(changed))
    for length in range(len(sealed)):
        with pytest.raises(VaultError):
            vault.open(sealed[:length])


def test_other_context_is_refused(tmp_path) -> None:
    vault = Vault(tmp_path)
    with pytest.raises(VaultError):
        vault.open(vault.seal(b"secret", b"device/1"), b"device/2")


def test_other_vault_cannot_open(tmp_path) -> None:
    sealed = Vault(tmp_path / "one").seal(b"secret")
    with pytest.raises(VaultError):
        Vault(tmp_path / "two").open(sealed)


def test_labels_are_keys_of_their_own(tmp_path) -> None:
    vault = Vault(tmp_path)
    assert vault.mac("phone", b"1") == Vault(tmp_path).mac("phone", b"1")
    assert vault.mac("phone", b"1") != vault.mac("code", b"1")


def test_reference_key_survives_a_restart(tmp_path) -> None:
    key = Vault(tmp_path).reference_key(7)
    assert len(key) == 32
    assert Vault(tmp_path).reference_key(7) == key
    assert Vault(tmp_path).reference_key(8) != key


def test_two_makers_agree_on_one_key(tmp_path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: Vault(tmp_path).reference_key(7), range(32)))
    assert len(keys) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kek", "reference-00000007"]


def test_key_files_are_for_their_owner(tmp_path) -> None:
    Vault(tmp_path / "keys").reference_key(7)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o700
    for path in (tmp_path / "keys").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lost_master_key_is_not_replaced(tmp_path) -> None:
    Vault(tmp_path).reference_key(7)
    (tmp_path / "kek").unlink()
    with pytest.raises(VaultError, match="backup"):
        Vault(tmp_path)


def test_vault_shows_no_secret(tmp_path) -> None:
    assert repr(Vault(tmp_path)) == "Vault()"
