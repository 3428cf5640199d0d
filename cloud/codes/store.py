"""SQL of the table `login_code`.  It holds keyed hashes and times, nothing that opens a door."""

from sqlalchemy import Connection, Row, and_, case, delete, func, insert, select, update

from cloud.db import login_code as code


def add(
    conn: Connection, *, phone_mac: bytes, code_mac: bytes, browser_mac: bytes, now: int, who: str = ""
) -> None:
    conn.execute(
        insert(code).values(
            phone_mac=phone_mac, code_mac=code_mac, browser_mac=browser_mac, created_at=now, tries=0, who=who
        )
    )


def asked_since(conn: Connection, phone_mac: bytes, since: int) -> Row:
    """How many codes a phone asked for, the time of the last, and the wrong tries at all of them."""
    return conn.execute(
        select(
            func.count().label("codes"),
            func.max(code.c.created_at).label("last_at"),
            func.coalesce(func.sum(code.c.tries), 0).label("wrong"),
        ).where(code.c.phone_mac == phone_mac, code.c.created_at > since)
    ).one()


def rate_since(conn: Connection, since: int) -> Row:
    """Wrong tries and codes used, over all phones."""
    return conn.execute(
        select(
            func.coalesce(func.sum(code.c.tries), 0).label("wrong"),
            func.coalesce(func.sum(case((code.c.used_at.is_not(None), 1), else_=0)), 0).label("used"),
        ).where(code.c.created_at > since)
    ).one()


def last_of_browser(conn: Connection, phone_mac: bytes, browser_mac: bytes) -> Row | None:
    """The newest code that this browser asked for; an older one no longer counts."""
    return conn.execute(
        select(code)
        .where(code.c.phone_mac == phone_mac, code.c.browser_mac == browser_mac)
        .order_by(code.c.id.desc())
        .limit(1)
    ).one_or_none()


def take_try(conn: Connection, row_id: int, tries_max: int) -> int | None:
    """Count a try before it is judged, so that two at once are two; None when none is left."""
    return conn.execute(
        update(code)
        .where(and_(code.c.id == row_id, code.c.used_at.is_(None), code.c.tries < tries_max))
        .values(tries=code.c.tries + 1)
        .returning(code.c.tries)
    ).scalar_one_or_none()


def use(conn: Connection, row_id: int, now: int) -> None:
    """The try was right: give it back and close the code."""
    conn.execute(update(code).where(code.c.id == row_id).values(tries=code.c.tries - 1, used_at=now))


def by_code(conn: Connection, code_mac: bytes, since: int) -> Row | None:
    return conn.execute(
        select(code)
        .where(code.c.code_mac == code_mac, code.c.created_at > since, code.c.used_at.is_(None))
        .limit(1)
    ).one_or_none()


def use_once(conn: Connection, row_id: int, now: int) -> bool:
    """Close a link; False when somebody else was first."""
    done = conn.execute(update(code).where(code.c.id == row_id, code.c.used_at.is_(None)).values(used_at=now))
    return done.rowcount == 1


def forget_before(conn: Connection, moment: int) -> None:
    conn.execute(delete(code).where(code.c.created_at < moment))
