"""Lost cards as pages and commands use them: report, find again, see what holds and what happened.

Promises: a report blocks the card and publishes the tables that say so in one transaction; the same report
again is the one that was made; each keeps who, why and when, and none is ever deleted; what was said stands
in the raw archive before it is committed (again.py).  Money of the account, its rights and its history are
not touched: they are not on the card.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.archive import Archive, Decided
from cloud.cards import service as cards
from cloud.db import lock_school
from cloud.devices import service as devices
from cloud.formats import SchoolTime, is_known_time
from cloud.keys import Vault
from cloud.losses import store
from cloud.losses.again import read_again, report_of
from cloud.losses.force import Door, Force, applied, force
from cloud.losses.takebacks import (
    ALONE_MINOR,
    Refused,
    Sale,
    Waiting,
    ask,
    can_be_taken_back,
    decide,
    decided,
    drive,
    sales_of,
    step,
    waiting,
)
from cloud.losses.uses import PURCHASE, REFUSED, Place, Use, uses
from cloud.notifications import service as notifications
from cloud.people import service as people
from cloud.records import service as records
from protocols.errors import CARD_BLOCKED, CARD_COPY
from protocols.ledger.record import tap_aux

__all__ = [
    "ALONE_MINOR", "PURCHASE", "REFUSED", "Door", "Force", "Place", "Refused", "Sale", "Use", "Waiting",
    "ask", "decide", "drive", "read_again", "sales_of", "step", "waiting",
]  # fmt: skip

PARENT, OFFICE, CONTACT_CENTRE = REPORTERS = "parent", "office", "contact_centre"
UNDO_S = 10 * 60
"""So long a parent may take an own report back; then a found card is shown to the school."""
LOOK_S = 35 * 86_400
"""Devices may be silent for a month; what comes longer than this after a report is not read."""
LOST_BEFORE_MAX_S = 14 * 86_400
TOLD_AGAIN_S = 3600
WIPED, GIVEN = "wiped", "given"
"""Why a report ended that nobody ended: its card was wiped, or given out anew."""
_NOT_TAKEN = (CARD_BLOCKED, CARD_COPY)


class NoSuchCard(LookupError):
    """The account has no such card."""


class Lost(NamedTuple):
    """A report.  Times are UTC seconds; `lost_at`: since when the card was gone, as the reporter says.

    `reporter`: PARENT, OFFICE or CONTACT_CENTRE; `who`: their name or number; `ended_at` None while the card
    is closed; `is_blocked`: the card is closed indeed, whoever did it.
    """

    number: int
    account_id: int
    card_ref: bytes
    reporter: str
    who: str
    reason: str
    lost_at: int
    reported_at: int
    table_version: int
    ended_at: int | None
    ended_by: str
    end_reason: str
    is_blocked: bool

    @property
    def is_open(self) -> bool:
        """Whether the card is still looked for."""
        return self.ended_at is None

    @property
    def is_over_by_itself(self) -> bool:
        """Whether it ended with the card: wiped, or given out anew."""
        return self.end_reason in (WIPED, GIVEN)

    @property
    def undo_until(self) -> int:
        """When a parent can no longer take it back."""
        return self.reported_at + UNDO_S

    def may_undo(self, now: int) -> bool:
        """Whether a parent may take it back without the school."""
        return self.is_open and self.reporter == PARENT and now < self.undo_until


class Looked(NamedTuple):
    """What the page shows: where the block holds, and what was done since the card was gone, oldest first.

    `labels`: device_id to label; `lines`: what each purchase was.
    """

    lost: Lost
    force: Force
    before: list[Use]
    after: list[Use]
    labels: dict[int, str]
    lines: dict[Place, records.Lines]


class CardLine(NamedTuple):
    """A card of an account; `report`: the open report that keeps it closed, or None."""

    card_ref: bytes
    kind: str
    status: str
    issued_at: int
    report: Lost | None


def report(
    conn: Connection,
    vault: Vault,
    archive: Archive,
    school_id: int,
    account_id: int,
    card_ref: bytes,
    *,
    reporter: str,
    who: str,
    reason: str = "",
    lost_at: int,
    now: int,
    said_at: int | None = None,
) -> Lost:
    """Block a card of an account, and tell every device and the family; an open report again is itself.

    An open report about a card that somebody opened since, or gave to another pupil, is ended by this one.
    `said_at`: when the school was told, where it could not tell the cloud at once; the report counts from
    then.  It and `lost_at` lie within LOST_BEFORE_MAX_S before `now`, else they are moved there.  NoSuchCard.
    """
    lock_school(conn, school_id)
    card = _card(conn, school_id, account_id, card_ref)
    if card is None:
        raise NoSuchCard
    earlier = store.open_of_card(conn, school_id, card_ref)
    if earlier is not None:
        if earlier.account_id == account_id and card.is_blocked:
            return _lost(earlier, is_blocked=True)
        store.end(conn, school_id, earlier.number, who, reason, now)
    said: list[Decided] = []
    cards.block(conn, school_id, card_ref, said, who=who, now=now)
    version = devices.publish_tables(conn, vault, school_id, now)
    number = store.next_number(conn, school_id)
    reported_at = min(now, max(now if said_at is None else said_at, now - LOST_BEFORE_MAX_S))
    since = min(reported_at, max(lost_at, now - LOST_BEFORE_MAX_S))
    row = school_id, number, account_id, card_ref, reporter, who, reason, since, reported_at, version
    store.add(conn, row)
    _keep(conn, archive, school_id, [earlier.number, number] if earlier is not None else [number], said, now)
    notifications.enqueue_card(conn, school_id, notifications.CARD_BLOCKED, account_id, reported_at, now)
    made = lost(conn, school_id, number)
    if made is None:
        raise NoSuchCard
    return made


def _keep(
    conn: Connection, archive: Archive, school_id: int, numbers: Iterable[int], said: list[Decided], now: int
) -> None:
    """Put reports as they stand, and what was done with cards, where a restore finds them."""
    rows = [store.lost_card(conn, school_id, number) for number in numbers]
    archive.append([*(report_of(row, now) for row in rows), *said], now)


def found(
    conn: Connection,
    vault: Vault,
    archive: Archive,
    school_id: int,
    number: int,
    *,
    by: str,
    reason: str,
    now: int,
) -> Lost | None:
    """The card is there again and opens with each device's next table; None when there is no such report.

    A report that has ended stays as it was; a card that is another pupil's by now stays as it is.
    """
    lock_school(conn, school_id)
    row = store.lost_card(conn, school_id, number)
    if row is not None and row.ended_at is None:
        store.end(conn, school_id, number, by, reason, now)
        said: list[Decided] = []
        if _card(conn, school_id, row.account_id, bytes(row.card_ref)) is not None:
            cards.unblock(conn, school_id, bytes(row.card_ref), said, who=by, now=now)
        _keep(conn, archive, school_id, [number], said, now)
        devices.publish_tables(conn, vault, school_id, now)
    return lost(conn, school_id, number)


def settle(conn: Connection, archive: Archive, school_id: int, *, by: str, now: int) -> int:
    """End the reports whose card was wiped, opened or given to another pupil meanwhile; returns how many."""
    ended = []
    for row in store.open_reports(conn, school_id):
        card = cards.at(conn, school_id, bytes(row.card_ref))
        if card is None or card.account_id != row.account_id or not card.is_blocked:
            store.end(conn, school_id, row.number, by, WIPED if card is None else GIVEN, now)
            ended.append(row.number)
    _keep(conn, archive, school_id, ended, [], now)
    return len(ended)


def lost(conn: Connection, school_id: int, number: int) -> Lost | None:
    """One report."""
    row = store.lost_card(conn, school_id, number)
    return None if row is None else _told(conn, school_id, [row])[0]


def of_accounts(conn: Connection, school_id: int, account_ids: Iterable[int]) -> list[Lost]:
    """Every report about cards of these accounts, the newest first."""
    return _told(conn, school_id, store.of_accounts(conn, school_id, account_ids))


def latest(conn: Connection, school_id: int, limit: int = 50) -> list[Lost]:
    """The newest reports of a school."""
    return _told(conn, school_id, store.latest(conn, school_id, limit))


def cards_of(conn: Connection, school_id: int, account_ids: Sequence[int]) -> dict[int, list[CardLine]]:
    """account_id to its cards, the oldest first."""
    reports = {one.card_ref: one for one in of_accounts(conn, school_id, account_ids) if one.is_open}
    return {
        account_id: [
            CardLine(
                card.card_ref, card.kind, card.status, card.issued_at,
                reports.get(card.card_ref) if card.is_blocked else None,
            )
            for card in cards.of_account(conn, school_id, account_id)
        ]
        for account_id in account_ids
    }  # fmt: skip


def offered(conn: Connection, school_id: int, seen: Looked) -> list[Use]:
    """Purchases after the report that nobody has decided about yet."""
    known = decided(conn, school_id, seen.after)
    return [use for use in seen.after if can_be_taken_back(use, known.get(use.place))]


def look(conn: Connection, school_id: int, one: Lost) -> Looked:
    """Where the block of a report holds by now, and what was done with the card."""
    times = SchoolTime(people.school(conn, school_id).time_zone, "ru")
    first, last = one.lost_at, (one.ended_at or one.reported_at + LOOK_S)
    rows = store.records(
        conn, school_id, one.account_id, one.table_version, times.day(first), times.day(last) + 1
    )
    tables = applied(rows)
    own = cards.references(conn, school_id, one.card_ref)
    others = [
        each
        for card in cards.of_account(conn, school_id, one.account_id)
        if card.card_ref != one.card_ref
        for each in cards.references(conn, school_id, card.card_ref)
    ]
    done = [use for use in uses(rows, own, others, tables) if first <= use.at <= last]
    fleet = devices.fleet(conn, school_id)
    held: dict[str, int] = {}
    for holder in devices.holders(conn, school_id, one.account_id):
        held[holder.label] = held.get(holder.label, 0) + holder.out
    return Looked(
        one,
        force(fleet, one.table_version, tables, held),
        [use for use in done if use.at < one.reported_at],
        [use for use in done if use.at >= one.reported_at],
        {device.device_id: device.label for device in fleet},
        records.lines_of_sales(conn, school_id, rows),
    )


def tapped(conn: Connection, school_id: int, taps: Sequence[Any], now: int) -> None:
    """Tell families of closed cards that somebody tried: (record as a refused tap, device_id, epoch).

    Once an hour for a card; only cards that are reported lost.
    """
    shut = [tap for tap in taps if tap[0].amount in _NOT_TAKEN and tap[0].account]
    if not shut:
        return
    reports = store.of_accounts(conn, school_id, {tap[0].account for tap in shut})
    known = {
        (row.account_id, tap_aux(each)): row
        for row in reports
        if row.ended_at is None
        for each in cards.references(conn, school_id, bytes(row.card_ref))
    }
    for item, device_id, epoch in shut:
        row = known.get((item.account, item.aux))
        at = item.time if is_known_time(item.time) else now
        if row is None or at < row.reported_at:
            continue
        if store.told(conn, school_id, row.number, now, now - TOLD_AGAIN_S):
            place = device_id, epoch, item.seq
            event = notifications.CARD_USED
            notifications.enqueue_card(conn, school_id, event, item.account, at, now, place)


def _card(conn: Connection, school_id: int, account_id: int, card_ref: bytes) -> cards.Card | None:
    own = (card for card in cards.of_account(conn, school_id, account_id) if card.card_ref == card_ref)
    return next(own, None)


def _told(conn: Connection, school_id: int, rows: Sequence[Any]) -> list[Lost]:
    blocked = {
        card.card_ref
        for account_id in {row.account_id for row in rows}
        for card in cards.of_account(conn, school_id, account_id)
        if card.is_blocked
    }
    return [_lost(row, is_blocked=bytes(row.card_ref) in blocked) for row in rows]


def _lost(row: Any, *, is_blocked: bool) -> Lost:
    return Lost(
        row.number, row.account_id, bytes(row.card_ref), row.reporter, row.who, row.reason, row.lost_at,
        row.reported_at, row.table_version, row.ended_at, row.ended_by, row.end_reason, is_blocked,
    )  # fmt: skip
