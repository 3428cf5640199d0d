"""One-time codes: what opens, what runs out, and that an unknown phone cannot be told apart."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from cloud.codes import service as codes
from cloud.db import begin, login_code
from cloud.keys import Vault

PHONE, OTHER = "+79120000001", "+79120000002"
NOW = 1_788_240_000


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "keys")


def ask(store: Engine, vault: Vault, now: int = NOW, phone: str = PHONE, browser: str = "b1") -> codes.Asked:
    with begin(store) as conn:
        return codes.ask(conn, vault, phone, browser, now, lambda: "042137")


def check(
    store: Engine, vault: Vault, code: str, now: int = NOW, phone: str = PHONE, browser: str = "b1"
) -> codes.Tried:
    with begin(store) as conn:
        return codes.check(conn, vault, phone, browser, code, now)


def test_right_code_opens_once(store: Engine, vault: Vault) -> None:
    assert ask(store, vault) == codes.Asked(codes.SENT, "042137")
    assert check(store, vault, "042137", NOW + 10).state == codes.RIGHT
    assert check(store, vault, "042137", NOW + 11).state == codes.EXPIRED


def test_wrong_codes_count_down(store: Engine, vault: Vault) -> None:
    ask(store, vault)
    assert [check(store, vault, "111111").tries_left for _ in range(5)] == [4, 3, 2, 1, 0]
    assert check(store, vault, "042137") == codes.Tried(codes.WRONG, 0)


def test_code_ends_after_five_minutes(store: Engine, vault: Vault) -> None:
    ask(store, vault)
    assert check(store, vault, "042137", NOW + 300).state == codes.EXPIRED


def test_code_works_in_its_browser_only(store: Engine, vault: Vault) -> None:
    ask(store, vault)
    assert check(store, vault, "042137", browser="b2").state == codes.EXPIRED
    assert check(store, vault, "042137", phone=OTHER).state == codes.EXPIRED
    assert check(store, vault, "042137").state == codes.RIGHT


def test_next_code_waits_a_minute(store: Engine, vault: Vault) -> None:
    ask(store, vault)
    assert ask(store, vault, NOW + 20) == codes.Asked(codes.TOO_SOON, wait_s=40)
    assert ask(store, vault, NOW + 20, browser="b2").state == codes.TOO_SOON
    assert ask(store, vault, NOW + 60).state == codes.SENT


def test_newer_code_ends_the_older(store: Engine, vault: Vault) -> None:
    ask(store, vault)
    with begin(store) as conn:
        codes.ask(conn, vault, PHONE, "b1", NOW + 60, lambda: "777777")
    assert check(store, vault, "042137", NOW + 61).state == codes.WRONG
    assert check(store, vault, "777777", NOW + 62).state == codes.RIGHT


def test_sixth_code_of_a_day_is_refused(store: Engine, vault: Vault) -> None:
    states = [ask(store, vault, NOW + 100 * number).state for number in range(6)]
    assert states == [codes.SENT] * 5 + [codes.TOO_MANY]
    assert ask(store, vault, NOW + 86_401).state == codes.SENT


def test_eleventh_wrong_try_of_a_day_is_refused(store: Engine, vault: Vault) -> None:
    for number in range(2):
        ask(store, vault, NOW + 100 * number)
        for _ in range(5):
            check(store, vault, "111111", NOW + 100 * number)
    assert ask(store, vault, NOW + 300).state == codes.TOO_MANY
    assert ask(store, vault, NOW + 300, phone=OTHER).state == codes.SENT


def test_breaker_stops_a_flood_of_wrong_codes(store: Engine, vault: Vault) -> None:
    for number in range(12):
        phone = f"+7912000{number:04d}"
        ask(store, vault, phone=phone)
        for _ in range(5):
            check(store, vault, "111111", phone=phone)
    assert ask(store, vault, phone="+79129999999").state == codes.PAUSED
    ask(store, vault, NOW + codes.BREAKER_WINDOW_S, phone="+79129999999")
    assert check(store, vault, "042137", NOW + codes.BREAKER_WINDOW_S, "+79129999999").state == codes.RIGHT


def test_breaker_stays_shut_on_a_busy_morning(store: Engine, vault: Vault) -> None:
    for number in range(60):
        phone = f"+7912000{number:04d}"
        ask(store, vault, phone=phone)
        check(store, vault, "111111", phone=phone)
        assert check(store, vault, "042137", phone=phone).state == codes.RIGHT
    assert ask(store, vault, phone="+79129999999").state == codes.SENT


def test_store_holds_neither_phone_nor_code(store: Engine, vault: Vault) -> None:
    # Long enough that random bytes cannot spell it by chance.
    browser = "browser-of-a-curious-parent"
    ask(store, vault, browser=browser)
    with store.connect() as conn:
        row = conn.execute(select(login_code)).one()
    told = repr(tuple(bytes(value) if isinstance(value, memoryview) else value for value in row))
    assert PHONE not in told
    assert "042137" not in told
    assert browser not in told
    assert {len(row.phone_mac), len(row.code_mac), len(row.browser_mac)} == {32}


def test_old_rows_are_forgotten(store: Engine, vault: Vault) -> None:
    ask(store, vault)
    ask(store, vault, NOW + 3 * 86_400)
    with store.connect() as conn:
        assert len(conn.execute(select(login_code)).all()) == 1


def test_office_link_opens_once_for_its_school(store: Engine, vault: Vault) -> None:
    with begin(store) as conn:
        token = codes.new_link(conn, vault, 0xABCD, NOW, "Petrova")
        assert codes.link_is_open(conn, vault, token, NOW + 599)
        assert codes.use_link(conn, vault, token, NOW + 599) == codes.Link(0xABCD, "Petrova")
        assert codes.use_link(conn, vault, token, NOW + 599) is None


def test_office_link_ends_after_ten_minutes(store: Engine, vault: Vault) -> None:
    with begin(store) as conn:
        token = codes.new_link(conn, vault, 0xABCD, NOW)
        assert not codes.link_is_open(conn, vault, token, NOW + 600)
        assert codes.use_link(conn, vault, token, NOW + 600) is None
        assert codes.use_link(conn, vault, "0000abcd-forged", NOW) is None


def test_code_is_six_digits() -> None:
    assert all(len(code) == 6 and code.isdigit() for code in (codes.six_digits() for _ in range(50)))
