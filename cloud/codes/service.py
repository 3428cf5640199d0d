"""One-time codes for parents and one-time links for staff.

Promises: the database holds keyed hashes only; a code lives five minutes, takes
five tries and works in the browser that asked for it; a phone has five codes and
ten wrong tries a day; when wrong codes pile up over all phones, everybody waits
ten minutes.  The same rows are written and the same answers given for a phone
that no school knows.  Leaves to others: finding the person, sending the code,
the session that follows.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from cloud.codes import store
from cloud.keys import Vault
from protocols.ids import hex8, parse_hex8
from protocols.mac import equal

CODE_LIFE_S = 300
RESEND_S = 60
TRIES_MAX = 5
CODES_A_DAY = 5
WRONG_A_DAY = 10
LINK_LIFE_S = 600
WHO = "office"
"""Whom a link is for that was made for nobody by name."""
# The breaker: this many wrong codes in the window, and three wrong for each right one.
BREAKER_WINDOW_S = 600
BREAKER_WRONG = 60
BREAKER_RATIO = 3
_DAY = 86400

SENT, TOO_SOON, TOO_MANY, PAUSED = "sent", "too soon", "too many", "paused"
RIGHT, WRONG, EXPIRED = "right", "wrong", "expired"


@dataclass(frozen=True)
class Asked:
    """The answer to "send me a code": `code` when SENT, `wait_s` when TOO_SOON."""

    state: str
    code: str = ""
    wait_s: int = 0


@dataclass(frozen=True)
class Tried:
    """The answer to a code: RIGHT, WRONG, EXPIRED, TOO_MANY or PAUSED.

    `tries_left` counts for WRONG; none left means that a new code is needed.
    """

    state: str
    tries_left: int = 0


def six_digits() -> str:
    """A code nobody can guess ahead."""
    return f"{secrets.randbelow(1_000_000):06d}"


def ask(
    conn: Connection, vault: Vault, phone: str, browser: str, now: int, new_code: Callable[[], str]
) -> Asked:
    """Make a code for a phone, for one browser.  Whether anybody has this phone plays no part here."""
    phone_mac = _mac(vault, "phone", phone)
    asked = store.asked_since(conn, phone_mac, now - _DAY)
    if _breaker_is_open(conn, now):
        return Asked(PAUSED)
    if asked.last_at is not None and now - asked.last_at < RESEND_S:
        return Asked(TOO_SOON, wait_s=RESEND_S - (now - asked.last_at))
    if asked.codes >= CODES_A_DAY or asked.wrong >= WRONG_A_DAY:
        return Asked(TOO_MANY)
    store.forget_before(conn, now - 2 * _DAY)
    code = new_code()
    store.add(
        conn,
        phone_mac=phone_mac,
        code_mac=_code_mac(vault, browser, code),
        browser_mac=_mac(vault, "browser", browser),
        now=now,
    )
    return Asked(SENT, code=code)


def wait_s(conn: Connection, vault: Vault, phone: str, now: int) -> int:
    """Seconds until the next code may be asked for."""
    asked = store.asked_since(conn, _mac(vault, "phone", phone), now - RESEND_S)
    return 0 if asked.last_at is None else max(0, RESEND_S - (now - asked.last_at))


def check(conn: Connection, vault: Vault, phone: str, browser: str, code: str, now: int) -> Tried:
    """Judge a code.  A try is counted before it is compared."""
    phone_mac = _mac(vault, "phone", phone)
    row = store.last_of_browser(conn, phone_mac, _mac(vault, "browser", browser))
    if row is None or row.used_at is not None or now - row.created_at >= CODE_LIFE_S:
        return Tried(EXPIRED)
    if _breaker_is_open(conn, now):
        return Tried(PAUSED)
    if store.asked_since(conn, phone_mac, now - _DAY).wrong >= WRONG_A_DAY:
        return Tried(TOO_MANY)
    tries = store.take_try(conn, row.id, TRIES_MAX)
    if tries is None:
        return Tried(WRONG, 0)
    if equal(row.code_mac, _code_mac(vault, browser, code)):
        store.use(conn, row.id, now)
        return Tried(RIGHT)
    return Tried(WRONG, TRIES_MAX - tries)


@dataclass(frozen=True)
class Link:
    """What a one-time link opens: a school, for whom of its staff."""

    school_id: int
    who: str


def new_link(conn: Connection, vault: Vault, school_id: int, now: int, who: str = WHO) -> str:
    """A token for the office's door: works once, for ten minutes, for one school and one of its staff.

    `who`: the name that stands at what they do; two people who must agree have links of their own.
    """
    token = f"{hex8(school_id)}-{secrets.token_urlsafe(24)}"
    store.add(
        conn,
        phone_mac=_mac(vault, "phone", "office"),
        code_mac=_mac(vault, "office link", token),
        browser_mac=b"",
        now=now,
        who=who,
    )
    return token


def link_is_open(conn: Connection, vault: Vault, token: str, now: int) -> bool:
    """Whether a link would still open, without using it up."""
    return store.by_code(conn, _mac(vault, "office link", token), now - LINK_LIFE_S) is not None


def use_link(conn: Connection, vault: Vault, token: str, now: int) -> Link | None:
    """What a link opens, once; None when it is foreign, old or used."""
    row = store.by_code(conn, _mac(vault, "office link", token), now - LINK_LIFE_S)
    if row is None or not store.use_once(conn, row.id, now):
        return None
    return Link(parse_hex8(token[:8]), row.who)


def _breaker_is_open(conn: Connection, now: int) -> bool:
    rate = store.rate_since(conn, now - BREAKER_WINDOW_S)
    return rate.wrong >= BREAKER_WRONG and rate.wrong > BREAKER_RATIO * rate.used


def _code_mac(vault: Vault, browser: str, code: str) -> bytes:
    return _mac(vault, "code", f"{browser}/{code}")


def _mac(vault: Vault, what: str, text: str) -> bytes:
    return vault.mac(f"login {what}", text.encode("utf-8", "replace"))
