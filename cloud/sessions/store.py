"""SQL of the table `session`.  A row is found by the keyed hash of its token, never by the token."""

from sqlalchemy import Connection, Row, insert, select, update

from cloud.db import session


def add(conn: Connection, values: dict) -> None:
    conn.execute(insert(session).values(values))


def open_one(conn: Connection, kind: str, token_mac: bytes) -> Row | None:
    """The session of a token if nobody has ended it; its times are for the caller to judge."""
    return conn.execute(
        select(session).where(
            session.c.token_mac == token_mac, session.c.kind == kind, session.c.revoked_at.is_(None)
        )
    ).one_or_none()


def open_of_adult(conn: Connection, school_id: int, adult_id: int, now: int) -> list[Row]:
    return list(
        conn.execute(
            select(session)
            .where(
                session.c.kind == "parent",
                session.c.school_id == school_id,
                session.c.adult_id == adult_id,
                session.c.revoked_at.is_(None),
                session.c.expires_at > now,
            )
            .order_by(session.c.last_used_at.desc(), session.c.created_at.desc())
            .limit(50)
        )
    )


def touch(conn: Connection, token_mac: bytes, now: int) -> None:
    conn.execute(update(session).where(session.c.token_mac == token_mac).values(last_used_at=now))


def revoke(conn: Connection, token_mac: bytes, now: int) -> None:
    conn.execute(
        update(session)
        .where(session.c.token_mac == token_mac, session.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def revoke_others(conn: Connection, school_id: int, adult_id: int, kept: bytes, now: int) -> int:
    """End an adult's sessions but one; returns how many."""
    return conn.execute(
        update(session)
        .where(
            session.c.kind == "parent",
            session.c.school_id == school_id,
            session.c.adult_id == adult_id,
            session.c.token_mac != kept,
            session.c.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    ).rowcount
