"""The PCs at which cards are issued: a token for each, hashed at rest, revocable; what they know cards by.

Promises: a token is 256 random bits, shown once when the desk is made; the
database holds its keyed hash; a revoked token lets nobody in from that moment.  A
desk is told references of cards as devices hold them, never a number of a card.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.cards import book, masters, store
from cloud.keys import Vault
from protocols.card.credential import DEVICE_REFERENCE_SIZE
from protocols.ids import hex8

TOKEN_SIZE = 32
_EPOCH = date(1970, 1, 1)


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


def cards_for_desk(conn: Connection, school_id: int, students: Mapping[int, str]) -> list[dict[str, Any]]:
    """Every card of a school, closed ones too, as its desks recognise it; `students`: who is at the school.

    `ref`, `bare` and `parts` are references of 8 bytes in hex: of the card, of the bare serial number of one
    that proves itself, and of what readers that leave a part out say of this card alone.  `student` is empty
    where the owner has left; `key_version` is 0 for a card that can be copied; `at`: UTC seconds, when given.
    """
    known = book.read(conn, school_id)
    bare: dict[bytes, list[str]] = {card_ref: [] for card_ref in known.cards}
    parts: dict[bytes, list[str]] = {card_ref: [] for card_ref in known.cards}
    for ref, cards in sorted(known.meant.items()):
        for card_ref, form in cards.items():
            if not form.is_lossy:
                bare[card_ref].append(_short(ref))
            elif known.names_one(ref):
                parts[card_ref].append(_short(ref))
    return [
        {
            "ref": _short(card_ref), "student": students.get(row["account_id"], ""), "kind": row["kind"],
            "blocked": row["status"] == book.BLOCKED, "until": _day(row["until_day"]), "at": row["issued_at"],
            "key_version": row["key_version"], "bare": bare[card_ref], "parts": parts[card_ref],
        }
        for card_ref, row in sorted(known.cards.items())
    ]  # fmt: skip


def _short(ref: bytes) -> str:
    return ref[:DEVICE_REFERENCE_SIZE].hex()


def _day(days: int | None) -> str | None:
    return None if days is None else (_EPOCH + timedelta(days=days)).isoformat()


def _mac(vault: Vault, token: str) -> bytes:
    return vault.mac("desk token", token.encode("utf-8", "replace"))


def _desk(row: Any) -> Desk:
    return Desk(row.school_id, row.desk_id, row.label, row.made_at, row.seen_at, row.revoked_at)
