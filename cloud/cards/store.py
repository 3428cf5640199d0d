"""SQL of the tables `card`, `card_alias`, `desk` and `desk_operation`."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from cloud import bulk
from cloud.db import card, card_alias, desk, desk_operation


def all_of(conn: Connection, school_id: int) -> Sequence[Row]:
    return conn.execute(select(card).where(card.c.school_id == school_id).order_by(card.c.card_ref)).all()


def of_account(conn: Connection, school_id: int, account_id: int) -> Sequence[Row]:
    return conn.execute(
        select(card)
        .where(card.c.school_id == school_id, card.c.account_id == account_id)
        .order_by(card.c.issued_at, card.c.card_ref)
    ).all()


def get(conn: Connection, school_id: int, card_ref: bytes) -> Row | None:
    return conn.execute(
        select(card).where(card.c.school_id == school_id, card.c.card_ref == card_ref)
    ).one_or_none()


def add(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        conn.execute(insert(card), rows)


def change(conn: Connection, school_id: int, rows: Sequence[dict[str, Any]]) -> None:
    """Write all of these cards anew, each by its `card_ref`."""
    if not rows:
        return
    names = [name for name in rows[0] if name not in ("school_id", "card_ref")]
    conn.execute(
        update(card)
        .where(card.c.school_id == school_id, card.c.card_ref == bindparam("of_card"))
        .values({name: bindparam(f"to_{name}") for name in names}),
        [{"of_card": row["card_ref"], **{f"to_{name}": row[name] for name in names}} for row in rows],
    )


def set_status(conn: Connection, school_id: int, card_ref: bytes, status: str) -> bool:
    """Whether there was such a card in another status."""
    done = conn.execute(
        update(card)
        .where(card.c.school_id == school_id, card.c.card_ref == card_ref, card.c.status != status)
        .values(status=status)
    )
    return done.rowcount == 1


def raise_key_version(conn: Connection, school_id: int, card_ref: bytes, version: int) -> None:
    """The keys on a card are of this version, unless they are known to be of a newer one."""
    conn.execute(
        update(card)
        .where(card.c.school_id == school_id, card.c.card_ref == card_ref, card.c.key_version < version)
        .values(key_version=version)
    )


def remove(conn: Connection, school_id: int, card_ref: bytes) -> None:
    """Forget a card and its other numbers."""
    remove_aliases(conn, school_id, [card_ref])
    conn.execute(delete(card).where(card.c.school_id == school_id, card.c.card_ref == card_ref))


def counts(conn: Connection, school_id: int) -> dict[int, int]:
    """account_id to how many active cards."""
    found = conn.execute(
        select(card.c.account_id, func.count())
        .where(card.c.school_id == school_id, card.c.status == "active")
        .group_by(card.c.account_id)
    )
    return {row[0]: row[1] for row in found}


def ended(conn: Connection, school_id: int, from_day: int, before_day: int) -> bool:
    """Whether the last day of an active card lies in from_day..before_day - 1."""
    statement = (
        "SELECT 1 FROM card WHERE school_id = ? AND status = 'active' AND until_day >= ? AND until_day < ?"
        " LIMIT 1"
    )
    return bool(bulk.select(conn, statement, (school_id, from_day, before_day)))


# Other numbers of a card


def aliases(conn: Connection, school_id: int, alias_refs: Iterable[bytes] | None = None) -> Sequence[Any]:
    """alias_ref, card_ref, is_copy, is_lossy: of these numbers, or all of a school."""
    statement = select(card_alias).where(card_alias.c.school_id == school_id)
    if alias_refs is not None:
        statement = statement.where(card_alias.c.alias_ref.in_(list(alias_refs)))
    return conn.execute(statement.order_by(card_alias.c.alias_ref, card_alias.c.card_ref)).all()


def aliases_of(conn: Connection, school_id: int, card_refs: Sequence[bytes]) -> Sequence[Any]:
    """The same of these cards."""
    return conn.execute(
        select(card_alias)
        .where(card_alias.c.school_id == school_id, card_alias.c.card_ref.in_(card_refs))
        .order_by(card_alias.c.alias_ref)
    ).all()


def add_aliases(conn: Connection, rows: Sequence[tuple[int, bytes, bytes, int, int]]) -> None:
    """(school_id, alias_ref, card_ref, is_copy, is_lossy)"""
    names = ("school_id", "alias_ref", "card_ref", "is_copy", "is_lossy")
    bulk.insert_rows(conn, card_alias, list(rows), names)


def remove_aliases(conn: Connection, school_id: int, card_refs: Sequence[bytes]) -> None:
    """Forget the other numbers of these cards."""
    if card_refs:
        conn.execute(
            delete(card_alias).where(
                card_alias.c.school_id == school_id, card_alias.c.card_ref == bindparam("of_card")
            ),
            [{"of_card": card_ref} for card_ref in card_refs],
        )


# Desks


def desks(conn: Connection, school_id: int) -> Sequence[Row]:
    return conn.execute(select(desk).where(desk.c.school_id == school_id).order_by(desk.c.desk_id)).all()


def add_desk(conn: Connection, values: dict[str, Any]) -> None:
    conn.execute(insert(desk), values)


def desk_of_token(conn: Connection, token_mac: bytes) -> Row | None:
    """The desk whose token has this keyed hash, unless it was revoked."""
    return conn.execute(
        select(desk).where(desk.c.token_mac == token_mac, desk.c.revoked_at.is_(None))
    ).one_or_none()


def desk_seen(conn: Connection, school_id: int, desk_id: int, now: int) -> None:
    conn.execute(
        update(desk).where(desk.c.school_id == school_id, desk.c.desk_id == desk_id).values(seen_at=now)
    )


def revoke_desk(conn: Connection, school_id: int, desk_id: int, now: int) -> bool:
    """Whether there was such a desk that was not revoked."""
    done = conn.execute(
        update(desk)
        .where(desk.c.school_id == school_id, desk.c.desk_id == desk_id, desk.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return done.rowcount == 1


def operation(conn: Connection, school_id: int, desk_id: int, op_id: str) -> Row | None:
    return conn.execute(
        select(desk_operation).where(
            desk_operation.c.school_id == school_id,
            desk_operation.c.desk_id == desk_id,
            desk_operation.c.op_id == op_id,
        )
    ).one_or_none()


def add_operation(conn: Connection, values: dict[str, Any]) -> None:
    conn.execute(insert(desk_operation), values)
