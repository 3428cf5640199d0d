"""Alarms: what a person must look at, one row each.

Promises: a row stays; the same thing told again within an hour is one row, and
whatever is said of one subject is one row for good; what settles itself has an end.
Leaves showing them to the office, sending them to notifications.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from cloud.alarms import store

_AGAIN_S = 3600
# Rows that end an alarm instead of raising one: the newest of that kind about the same thing, which is the
# subject without its last part.
_ENDS = {"reader_works": "reader_dead", "number_settled": "number_shared"}
_END_OF = {kind: end for end, kind in _ENDS.items()}


class Alarm(NamedTuple):
    """`kind`: recovery, recovery_over, fork, witness_forged, archive_short,
    clock_refused, clock_confirmed, table_refused, payout_refused, payout_unread,
    payouts_held, payouts_released, journal_begins_later, lost_card_refused, lost_card_unread, card_copied,
    card_unproven, number_shared, reader_dead.
    `over_at`: when it was over by itself, 0 while it is not.
    """

    at: int
    kind: str
    detail: str
    over_at: int = 0


def raise_alarm(
    conn: Connection, school_id: int, kind: str, detail: str, now: int, subject: str = ""
) -> None:
    """Write an alarm down; `subject`: what it is about, where one alarm of this kind says enough of it."""
    is_known = (
        store.was_raised_about(conn, school_id, kind, subject)
        if subject
        else store.was_raised(conn, school_id, kind, detail, now - _AGAIN_S)
    )
    if not is_known:
        store.add(conn, (school_id, now, kind, detail, subject))


def raise_alarms(conn: Connection, school_id: int, found: Iterable[tuple[str, ...]], now: int) -> None:
    """Write several down: (kind, detail) or (kind, detail, subject)."""
    for kind, detail, *subject in found:
        raise_alarm(conn, school_id, kind, detail, now, *subject)


def tell(conn: Connection, school_id: int, kind: str, detail: str, now: int) -> None:
    """How a matter of the whole school stands that may settle itself: `detail`, or "" when nothing is wrong.

    One alarm from when something is wrong until nothing is; its detail is the newest.
    """
    newest = store.newest(conn, school_id, (kind, _END_OF[kind]))
    is_open = newest is not None and newest.kind == kind
    if is_open and detail:
        store.set_detail(conn, newest.id, detail)
    elif is_open or detail:
        store.add(conn, (school_id, now, kind if detail else _END_OF[kind], detail, f"school:{now}"))


def alarms(conn: Connection, school_id: int, limit: int = 50) -> list[Alarm]:
    """The latest first, each with its end where it has one."""
    found: list[Alarm] = []
    ends: dict[tuple[str, str], int] = {}
    for at, kind, detail, subject in store.latest(conn, school_id, limit):
        about = subject.rpartition(":")[0]
        if kind in _ENDS:
            ends[_ENDS[kind], about] = at
        else:
            found.append(Alarm(at, kind, detail, ends.pop((kind, about), 0)))
    return found
