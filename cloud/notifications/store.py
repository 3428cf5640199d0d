"""SQL of the tables `outbox` and `message`."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, or_, select, update

from cloud.db import insert_rows, message, outbox

_OUTBOX = (
    "school_id", "event", "account_id", "device_id", "epoch", "seq", "happened_at", "learnt_at", "detail",
)  # fmt: skip


def add(conn: Connection, rows: Sequence[tuple]) -> None:
    """Rows of (school, event, account, device, epoch, seq, happened_at, learnt_at, detail as JSON text)."""
    insert_rows(conn, outbox, rows, _OUTBOX)


def add_one(conn: Connection, values: dict[str, Any]) -> int:
    number: int = conn.execute(insert(outbox).values(**values).returning(outbox.c.id)).scalar_one()
    return number


def _waiting(now: int) -> Any:
    return outbox.c.done_at.is_(None) & or_(outbox.c.claimed_until.is_(None), outbox.c.claimed_until <= now)


def anything_waits(conn: Connection, now: int) -> bool:
    return conn.execute(select(outbox.c.id).where(_waiting(now)).limit(1)).first() is not None


def claim(conn: Connection, now: int, until: int, limit: int) -> Sequence[Row]:
    """Take the oldest waiting rows until `until`; rows another worker is taking are passed over."""
    rows = conn.execute(
        select(outbox)
        .where(_waiting(now))
        .order_by(outbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if rows:
        conn.execute(
            update(outbox).where(outbox.c.id.in_([row.id for row in rows])).values(claimed_until=until)
        )
    return rows


def done(conn: Connection, rows: Sequence[tuple[int, dict[str, Any]]], now: int) -> None:
    """Close rows: (id, detail with its outcome)."""
    if rows:
        conn.execute(
            update(outbox)
            .where(outbox.c.id == bindparam("number"), outbox.c.done_at.is_(None))
            .values(done_at=now, claimed_until=None, detail=bindparam("words", type_=outbox.c.detail.type)),
            [{"number": number, "words": detail} for number, detail in rows],
        )


def wait_until(conn: Connection, rows: Sequence[tuple[int, int, int]]) -> None:
    """Leave rows until a later time: (id, time, attempts so far)."""
    if rows:
        conn.execute(
            update(outbox)
            .where(outbox.c.id == bindparam("number"), outbox.c.done_at.is_(None))
            .values(claimed_until=bindparam("until"), attempts=bindparam("tries")),
            [{"number": number, "until": until, "tries": tries} for number, until, tries in rows],
        )


def add_messages(conn: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        conn.execute(insert(message), rows)


def messages_of(conn: Connection, outbox_ids: Iterable[int]) -> Sequence[Row]:
    return conn.execute(
        select(message).where(message.c.outbox_id.in_(list(outbox_ids))).order_by(message.c.id)
    ).all()


def mark(conn: Connection, rows: Iterable[tuple[int, str, str | None, int]]) -> None:
    """What became of waiting messages: (id, state, id at the provider, time)."""
    values = [
        {"number": number, "new_state": state, "provider": provider, "at": at}
        for number, state, provider, at in rows
    ]
    if values:
        conn.execute(
            update(message)
            .where(message.c.id == bindparam("number"), message.c.state == "waiting")
            .values(state=bindparam("new_state"), provider_id=bindparam("provider"), sent_at=bindparam("at")),
            values,
        )


def wipe(conn: Connection, numbers: Sequence[int]) -> None:
    """Forget the texts of messages."""
    if numbers:
        conn.execute(update(message).where(message.c.id.in_(numbers)).values(body=None))


def of_record(conn: Connection, school_id: int, device_id: int, epoch: int, seq: int) -> Sequence[Row]:
    """Messages about one record of a device, with the event and outcome of their outbox row."""
    return conn.execute(
        select(message, outbox.c.event, outbox.c.detail)
        .join(outbox, outbox.c.id == message.c.outbox_id)
        .where(
            outbox.c.school_id == school_id,
            outbox.c.device_id == device_id,
            outbox.c.epoch == epoch,
            outbox.c.seq == seq,
        )
        .order_by(message.c.id)
    ).all()


def counts(conn: Connection, school_id: int) -> dict[str, int]:
    """Messages of a school by state."""
    state = message.c.state
    rows = conn.execute(select(state, func.count()).where(message.c.school_id == school_id).group_by(state))
    return {row[0]: row[1] for row in rows}


def waiting(conn: Connection, school_id: int) -> int:
    number: int = conn.execute(
        select(func.count()).where(outbox.c.school_id == school_id, outbox.c.done_at.is_(None))
    ).scalar_one()
    return number
