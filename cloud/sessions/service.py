"""Sessions of parents and of school staff.

Promises: a token is 128 random bits, known to one browser; the database holds
its keyed hash; each sign-in makes a new one; a session ends at its limit, when
idle too long, or the moment somebody strikes it out.  Leaves cookies to app.py
and the proof of who somebody is to codes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Row

from cloud.keys import Vault
from cloud.sessions import store

TOKEN_SIZE = 16
_MINUTE, _DAY = 60, 86400


@dataclass(frozen=True)
class Limits:
    """Seconds a session lives at most, and at most without being used."""

    life_s: int
    idle_s: int


LIMITS = {
    "parent": Limits(life_s=30 * _DAY, idle_s=30 * _DAY),
    "staff": Limits(life_s=12 * 60 * _MINUTE, idle_s=30 * _MINUTE),
}


@dataclass(frozen=True)
class Session:
    """An open session.  `handle` names it to its owner and is of no use as a token."""

    handle: str
    kind: str
    school_id: int
    adult_id: int | None
    created_at: int
    last_used_at: int
    who: str = ""
    """Whom of the staff the one-time link was made for."""


def start(
    conn: Connection,
    vault: Vault,
    *,
    kind: str,
    school_id: int,
    adult_id: int | None,
    now: int,
    random_bytes: Callable[[int], bytes],
    who: str = "",
) -> str:
    """Open a session and return its token, for the browser's cookie only; `who`: the name of the staff."""
    token = random_bytes(TOKEN_SIZE).hex()
    store.add(
        conn,
        {
            "token_mac": _mac(vault, token),
            "kind": kind,
            "school_id": school_id,
            "adult_id": adult_id,
            "who": who,
            "created_at": now,
            "last_used_at": now,
            "expires_at": now + LIMITS[kind].life_s,
        },
    )
    return token


def find(conn: Connection, vault: Vault, kind: str, token: str, now: int) -> Session | None:
    """The open session of a cookie's token, or None for anything else."""
    row = store.open_one(conn, kind, _mac(vault, token)) if token else None
    if row is None or now >= row.expires_at or now - row.last_used_at >= LIMITS[kind].idle_s:
        return None
    return _session(row)


def needs_touch(session: Session, now: int) -> bool:
    """Whether the time of last use is old enough to be worth a write: once a minute at most."""
    return now - session.last_used_at >= _MINUTE


def touch(conn: Connection, session: Session, now: int) -> None:
    """Note that the session is in use."""
    store.touch(conn, bytes.fromhex(session.handle), now)


def of_adult(conn: Connection, school_id: int, adult_id: int, now: int) -> list[Session]:
    """The open sessions of a parent, the last used first."""
    return [_session(row) for row in store.open_of_adult(conn, school_id, adult_id, now)]


def end(conn: Connection, session: Session, now: int) -> None:
    """Sign out here."""
    store.revoke(conn, bytes.fromhex(session.handle), now)


def end_others(conn: Connection, session: Session, now: int) -> int:
    """Sign out a parent's other browsers; returns how many there were."""
    if session.adult_id is None:
        return 0
    return store.revoke_others(conn, session.school_id, session.adult_id, bytes.fromhex(session.handle), now)


def _session(row: Row) -> Session:
    return Session(
        row.token_mac.hex(), row.kind, row.school_id, row.adult_id, row.created_at, row.last_used_at, row.who
    )


def _mac(vault: Vault, token: str) -> bytes:
    return vault.mac("session", token.encode("utf-8", "replace"))
