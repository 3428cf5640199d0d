"""What a desk did and who goes to the school; what became of one record, to books and messages, for a demo.

Promises: each reading of names stands in the log of reads; phones are masked; the answer for a record
that has not arrived says so and is not an error.  The texts of messages are shown in demos only.
"""

from typing import Any

from sqlalchemy import Connection

from cloud.accounting import service as accounting
from cloud.archive import Archive
from cloud.cards import service as cards
from cloud.db import lock_school
from cloud.devices import service as devices
from cloud.keys import Vault
from cloud.losses import service as losses
from cloud.notifications import service as notifications
from cloud.people import service as people
from cloud.records import service as records
from protocols.ids import hex8


def take(
    conn: Connection, vault: Vault, archive: Archive, desk: cards.Desk, operations: list[Any], now: int
) -> list[cards.Answer]:
    """Do what a desk did, each operation once, and tell devices; a card that it blocks is reported lost."""
    school_id, who = desk.school_id, f"desk {desk.label}"

    def report(account_id: int, card_ref: bytes, lost_at: int, said_at: int) -> None:
        losses.report(
            conn, vault, archive, school_id, account_id, card_ref, reporter=losses.OFFICE, who=who,
            lost_at=lost_at, said_at=said_at, now=now,
        )  # fmt: skip

    lock_school(conn, school_id)
    answers, changes = cards.perform(conn, vault, archive, desk, operations, now=now, report=report)
    losses.settle(conn, archive, school_id, by=who, now=now)
    if changes:
        devices.publish_tables(conn, vault, school_id, now)
    return answers


def roster(conn: Connection, desk: cards.Desk, now: int) -> dict[str, list[dict[str, Any]]]:
    """Active pupils of the desk's school, by the school's own number, and every card; in the log of reads."""
    staff = people.Staff(f"desk {desk.label}", "roster of the desk", now)
    counts = cards.counts(conn, desk.school_id)
    active = [one for one in people.pupils(conn, desk.school_id, staff) if one.status == "active"]
    students = {one.account_id: one.external_id for one in active}
    return {
        "pupils": [
            {
                "student": one.external_id,
                "name": " ".join(part for part in (one.last_name, one.first_name, one.middle_name) if part),
                "class": one.class_name,
                "cards": counts.get(one.account_id, 0),
            }
            for one in active
        ],
        "cards": cards.cards_for_desk(conn, desk.school_id, students),
    }


def pupils(conn: Connection, school_id: int) -> list[dict[str, str]]:
    """Active pupils for the panel's picker, by class and name."""
    found = [pupil for pupil in people.pupils(conn, school_id) if pupil.status == "active"]
    found.sort(key=lambda one: (len(one.class_name), one.class_name, one.last_name, one.first_name))
    return [
        {
            "account": hex8(one.account_id),
            "name": f"{one.last_name} {one.first_name}",
            "class": one.class_name,
        }
        for one in found
    ]


def trace(
    conn: Connection, vault: Vault, school_id: int, device_id: int, epoch: int, seq: int
) -> dict[str, Any]:
    """The record, its entries on the books and its messages.

    Keys: record_known; record None or {kind, direction, stage, seq, time, amount_minor,
    account, lines [[good, quantity, price_minor]], received_at, raw_hex}; entries
    [{entry_id, posted_at, postings {code: amount_minor}}]; messages [{to_masked, channel,
    language, text, state}].
    """
    kept = records.one(conn, school_id, device_id, epoch, seq)
    if kept is None:
        return {"record_known": False, "record": None, "entries": [], "messages": []}
    numbers = accounting.entries_of_record(conn, school_id, device_id, epoch, seq)
    return {
        "record_known": True,
        "record": _record(kept),
        "entries": [_entry(accounting.explain(conn, school_id, number)) for number in numbers],
        "messages": [
            {
                "to_masked": told.to_masked,
                "channel": told.channel,
                "language": told.language,
                "text": told.text,
                "state": told.state,
            }
            for told in notifications.of_record(conn, vault, school_id, device_id, epoch, seq)
        ],
    }


def _record(kept: records.Kept) -> dict[str, Any]:
    view = kept.view
    return {
        "kind": view.kind,
        "direction": view.direction,
        "stage": view.stage,
        "seq": view.seq,
        "time": view.time,
        "amount_minor": view.amount_minor,
        "account": hex8(view.account_id),
        "lines": kept.lines,
        "received_at": kept.received_at,
        "raw_hex": view.raw_hex.replace(" ", ""),
    }


def _entry(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "entry_id": told["entry_id"],
        "posted_at": told["posted_at"],
        "postings": {part["code"]: part["amount_minor"] for part in told["postings"]},
    }
