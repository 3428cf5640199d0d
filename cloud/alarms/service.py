"""Alarms: what a person must look at, one row each.

Promises: a row stays; the same thing told again within an hour is one row.
Leaves showing them to the office, sending them to notifications.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from cloud.alarms import store

_AGAIN_S = 3600


class Alarm(NamedTuple):
    """`kind`: recovery, recovery_over, fork, witness_forged, archive_short,
    clock_refused, clock_confirmed, table_refused, payout_refused, payout_unread,
    payouts_held, payouts_released, journal_begins_later, lost_card_refused.
    """

    at: int
    kind: str
    detail: str


def raise_alarm(conn: Connection, school_id: int, kind: str, detail: str, now: int) -> None:
    """Write an alarm down."""
    if not store.was_raised(conn, school_id, kind, detail, now - _AGAIN_S):
        store.add(conn, (school_id, now, kind, detail))


def raise_alarms(conn: Connection, school_id: int, found: Iterable[tuple[str, str]], now: int) -> None:
    """Write several down: (kind, detail)."""
    for kind, detail in found:
        raise_alarm(conn, school_id, kind, detail, now)


def alarms(conn: Connection, school_id: int, limit: int = 50) -> list[Alarm]:
    """The latest first."""
    return [Alarm(*row) for row in store.latest(conn, school_id, limit)]
