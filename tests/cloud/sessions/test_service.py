"""Sessions: they open with the token only, end in time, and can be struck out."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from cloud.db import begin, session
from cloud.keys import Vault
from cloud.sessions import service as sessions

NOW = 1_788_240_000


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "keys")


def start(store: Engine, vault: Vault, byte: int = 1, kind: str = "parent", adult_id: int = 7) -> str:
    with begin(store) as conn:
        return sessions.start(
            conn, vault, kind=kind, school_id=5, adult_id=adult_id, now=NOW,
            random_bytes=lambda size: bytes([byte]) * size,
        )  # fmt: skip


def find(store: Engine, vault: Vault, token: str, now: int = NOW, kind: str = "parent") -> Any:
    with begin(store) as conn:
        return sessions.find(conn, vault, kind, token, now)


def test_token_opens_its_own_session(store: Engine, vault: Vault) -> None:
    token = start(store, vault)
    found = find(store, vault, token)
    assert (found.school_id, found.adult_id, len(token)) == (5, 7, 32)
    assert find(store, vault, token[:-1] + "0") is None
    assert find(store, vault, "") is None
    assert find(store, vault, "\udcff") is None


def test_parent_token_opens_no_office(store: Engine, vault: Vault) -> None:
    assert find(store, vault, start(store, vault), kind="staff") is None


def test_token_is_not_in_the_store(store: Engine, vault: Vault) -> None:
    token = start(store, vault)
    with store.connect() as conn:
        kept = bytes(conn.execute(select(session.c.token_mac)).scalar_one())
    assert kept != token.encode()
    assert bytes.fromhex(token) not in kept
    assert len(kept) == 32


def test_parent_stays_for_thirty_days(store: Engine, vault: Vault) -> None:
    token = start(store, vault)
    assert find(store, vault, token, NOW + 30 * 86_400 - 1)
    assert find(store, vault, token, NOW + 30 * 86_400) is None


def test_idle_staff_session_ends_in_half_an_hour(store: Engine, vault: Vault) -> None:
    token = start(store, vault, kind="staff")
    assert find(store, vault, token, NOW + 1799, "staff")
    assert find(store, vault, token, NOW + 1800, "staff") is None


def test_busy_staff_session_ends_after_twelve_hours(store: Engine, vault: Vault) -> None:
    token = start(store, vault, kind="staff")
    for now in range(NOW, NOW + 12 * 3600, 1200):
        found = find(store, vault, token, now, "staff")
        with begin(store) as conn:
            sessions.touch(conn, found, now)
    assert find(store, vault, token, NOW + 12 * 3600, "staff") is None


def test_use_is_noted_once_a_minute(store: Engine, vault: Vault) -> None:
    found = find(store, vault, start(store, vault))
    assert not sessions.needs_touch(found, NOW + 59)
    assert sessions.needs_touch(found, NOW + 60)


def test_ended_session_opens_no_more(store: Engine, vault: Vault) -> None:
    token = start(store, vault)
    with begin(store) as conn:
        found = sessions.find(conn, vault, "parent", token, NOW)
        assert found
        sessions.end(conn, found, NOW)
    assert find(store, vault, token) is None


def test_others_end_and_this_one_stays(store: Engine, vault: Vault) -> None:
    mine, elsewhere = start(store, vault, 1), start(store, vault, 2)
    stranger = start(store, vault, 3, adult_id=8)
    with begin(store) as conn:
        here = sessions.find(conn, vault, "parent", mine, NOW)
        assert here
        assert len(sessions.of_adult(conn, 5, 7, NOW)) == 2
        assert sessions.end_others(conn, here, NOW) == 1
        assert [one.handle for one in sessions.of_adult(conn, 5, 7, NOW)] == [here.handle]
    assert find(store, vault, mine)
    assert find(store, vault, stranger)
    assert find(store, vault, elsewhere) is None
