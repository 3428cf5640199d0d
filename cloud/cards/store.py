"""SQL of the table `card`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from cloud.db import card


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


def move(conn: Connection, school_id: int, moves: Sequence[tuple[bytes, int]]) -> None:
    """Give cards to other accounts: (card_ref, account_id)."""
    if moves:
        conn.execute(
            update(card)
            .where(card.c.school_id == school_id, card.c.card_ref == bindparam("reference"))
            .values(account_id=bindparam("account")),
            [{"reference": reference, "account": account} for reference, account in moves],
        )


def set_status(conn: Connection, school_id: int, card_ref: bytes, status: str) -> bool:
    """Whether there was such a card in another status."""
    done = conn.execute(
        update(card)
        .where(card.c.school_id == school_id, card.c.card_ref == card_ref, card.c.status != status)
        .values(status=status)
    )
    return done.rowcount == 1
