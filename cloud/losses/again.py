"""Reports of lost cards and decisions about purchases: to the raw archive, and back from it by a restore.

Promises: what a person said stands in the archive before it is committed; the last word about a report and
about a sale counts, also one that was archived and never committed; reading it again changes nothing that is
known.  Posts nothing: what was agreed is posted by takebacks.step, once, under its key of the books.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection

from cloud.alarms import service as alarms
from cloud.archive import Decided, Decision, Report
from cloud.cards import service as cards
from cloud.db import lock_school
from cloud.devices import service as devices
from cloud.keys import Vault
from cloud.losses import store
from cloud.losses.takebacks import WAITS
from cloud.people import service as people
from protocols.ids import hex8


def report_of(row: Any, now: int) -> Report:
    """A report as it stands, for the archive; `row`: of lost_card."""
    return Report(
        row.school_id, row.account_id, row.number, now, bytes(row.card_ref), row.lost_at, row.reported_at,
        row.table_version, row.ended_at or 0, row.reporter, row.who, row.reason, row.ended_by, row.end_reason,
    )  # fmt: skip


def read_again(conn: Connection, vault: Vault, school_id: int, decided: Sequence[Decided], now: int) -> None:
    """Bring cards, reports and decisions up to what the archive says of them, in its order.

    Where that closes or opens a card the tables that say so are published in the same transaction: it comes
    behind the records of the archive, which are money.
    """
    lock_school(conn, school_id)
    if cards.read_again(conn, school_id, decided):
        devices.publish_tables(conn, vault, school_id, now)
    reports = {one.number: one for one in decided if isinstance(one, Report)}
    known = _reports(conn, school_id, reports.values(), now)
    decisions = {(one.device_id, one.epoch, one.seq): one for one in decided if isinstance(one, Decision)}
    there = {
        (row.device_id, row.epoch, row.seq): row for row in store.sales_at(conn, school_id, list(decisions))
    }
    fresh = [
        one
        for place, one in decisions.items()
        if one.number in known and not _is_known(there.get(place), one)
    ]
    store.ask(conn, [
        (
            school_id, one.device_id, one.epoch, one.seq, one.number, one.amount_minor, one.payer, one.state,
            one.request, one.asked_by, one.reason, one.asked_at, one.decided_by, one.decided_at or None, None,
        )
        for one in fresh
    ])  # fmt: skip


def _reports(conn: Connection, school_id: int, reports: Iterable[Report], now: int) -> set[int]:
    """Put reports back, ended ones first: there is one open report about a card.  Returns their numbers."""
    accounts = {account.account_id for account in people.accounts(conn, school_id)}
    found = set()
    for one in sorted(reports, key=lambda each: (not each.ended_at, each.number)):
        row = store.lost_card(conn, school_id, one.number)
        if row is None and one.account_id not in accounts:
            why = f"report {one.number} of {hex8(one.account_id)}: the restored database has no such pupil"
            alarms.raise_alarm(conn, school_id, "lost_card_unread", why, now)
            continue
        if row is None:
            store.add(conn, (
                school_id, one.number, one.account_id, one.card_ref, one.reporter, one.who, one.reason,
                one.lost_at, one.reported_at, one.table_version,
            ))  # fmt: skip
        if one.ended_at:
            store.end(conn, school_id, one.number, one.ended_by, one.end_reason, one.ended_at)
        found.add(one.number)
    return found


def _is_known(row: Any, one: Decision) -> bool:
    """Whether a database has this decision, or what became of it."""
    return row is not None and row.request == one.request and row.state != WAITS
