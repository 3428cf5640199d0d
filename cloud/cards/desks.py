"""The PCs at which cards are issued: a token for each, hashed at rest, revocable.

Promises: a token is 256 random bits, shown once when the desk is made; the
database holds its keyed hash; a revoked token lets nobody in from that moment.
"""

import json
import secrets
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.cards import masters, store
from cloud.keys import Vault
from protocols.ids import hex8

TOKEN_SIZE = 32


class DeskRefused(ValueError):
    """This desk cannot be made or is not there; carries the reason."""


class Desk(NamedTuple):
    """A desk of a school.  `seen_at`: when it was heard last; `revoked_at`: since when it is not let in."""

    school_id: int
    desk_id: int
    label: str
    made_at: int
    seen_at: int | None
    revoked_at: int | None


def add_desk(
    conn: Connection,
    vault: Vault,
    school_id: int,
    label: str,
    now: int,
    *,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[Desk, str]:
    """A new desk and its token, the only copy.  DeskRefused for a label that is empty or in use."""
    known = desks(conn, school_id)
    if not label.strip() or any(each.label == label and each.revoked_at is None for each in known):
        raise DeskRefused("label is empty or in use")
    token = random_bytes(TOKEN_SIZE).hex()
    made = Desk(school_id, 1 + max((each.desk_id for each in known), default=0), label, now, None, None)
    store.add_desk(conn, {**made._asdict(), "token_mac": _mac(vault, token)})
    return made, token


def desks(conn: Connection, school_id: int) -> list[Desk]:
    """Every desk there was, the oldest first."""
    return [_desk(row) for row in store.desks(conn, school_id)]


def desk_of(conn: Connection, vault: Vault, token: str) -> Desk | None:
    """The desk that a token lets in, or None."""
    row = store.desk_of_token(conn, _mac(vault, token)) if token else None
    return None if row is None else _desk(row)


def revoke_desk(conn: Connection, school_id: int, label: str, now: int) -> None:
    """Let a desk in no more; DeskRefused when there is none of that label that is let in."""
    for each in desks(conn, school_id):
        if each.label == label and store.revoke_desk(conn, school_id, each.desk_id, now):
            return
    raise DeskRefused(f"no desk {label} is let in")


def desk_file(vault: Vault, school_id: int, token: str = "") -> str:
    """What a desk needs, as JSON, secret: the master keys of cards, K_ref, and its token where it is new."""
    told: dict[str, Any] = {
        "school": hex8(school_id),
        "masters": [
            {"role": one.role, "version": one.version, "key": one.key.hex()}
            for one in masters.for_desk(vault, school_id)
        ],
        "reference_key": vault.reference_key(school_id).hex(),
    }
    if token:
        told["token"] = token
    return json.dumps(told, indent=1)


def _mac(vault: Vault, token: str) -> bytes:
    return vault.mac("desk token", token.encode("utf-8", "replace"))


def _desk(row: Any) -> Desk:
    return Desk(row.school_id, row.desk_id, row.label, row.made_at, row.seen_at, row.revoked_at)
