"""Messages to parents: what to tell goes in here, what became of it comes out.

Promises: enqueue puts facts into the outbox inside the caller's transaction, so
that a fact without its message, or a message without its fact, cannot be; texts
lie sealed in the database, and a one-time code is wiped once it was sent or grew
old.  Leaves sending to delivery.py and the loop to cloud/worker.py.
"""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import Connection

from cloud.formats import hidden_phone
from cloud.keys import Vault
from cloud.notifications import render, store
from cloud.notifications.delivery import BATCH, LEASE_S, deliver
from cloud.notifications.sealing import opened, sealed
from cloud.people import service as people

__all__ = ["BATCH", "LEASE_S", "deliver"]

ENTRY, EXIT, PURCHASE, LOGIN_CODE = "entry", "exit", "purchase", "login_code"
CARD_BLOCKED, CARD_USED = CARD_EVENTS = "card_blocked", "card_used"
EVENTS = (ENTRY, EXIT, PURCHASE)
CHANNEL = "file"
Goods = tuple[tuple[int, int], ...]
"""What was bought: (number of the good, how many of it)."""


class Happening(NamedTuple):
    """Something to tell the adults of a child.

    `event`: ENTRY, EXIT or PURCHASE; device, epoch and seq name the record that
    says so; times are UTC seconds.  A PURCHASE has `goods` and `amount_minor`, 0
    where a fund pays.
    """

    school_id: int
    event: str
    account_id: int
    device_id: int
    epoch: int
    seq: int
    happened_at: int
    learnt_at: int
    goods: Goods = ()
    amount_minor: int = 0


class Told(NamedTuple):
    """One message about a record.

    `to_masked`: the phone with its last digits only; `state`: waiting, sent or
    failed; `outcome` says why it was not sent.
    """

    to_masked: str
    state: str
    channel: str
    language: str
    text: str
    created_at: int
    sent_at: int | None
    outcome: str


class Counts(NamedTuple):
    """Messages of a school by state, and facts whose messages are not all done yet."""

    waiting: int
    sent: int
    failed: int
    unsettled: int


def enqueue(conn: Connection, happenings: Iterable[Happening]) -> None:
    """Put facts into the outbox, in the transaction that keeps them.

    The caller gives each fact once, when it is new to the books; who is told
    and in which words is decided when the message is sent.
    """
    rows = []
    for fact in happenings:
        event = fact.event
        if event == PURCHASE:
            detail = _purchase(fact.goods, fact.amount_minor)
        elif event in EVENTS:
            detail = "{}"
        else:
            raise ValueError("event is entry, exit or purchase")
        rows.append((*fact[:8], detail))
    store.add(conn, rows)


def enqueue_card(
    conn: Connection,
    school_id: int,
    event: str,
    account_id: int,
    happened_at: int,
    learnt_at: int,
    place: tuple[int, int, int] | None = None,
) -> None:
    """Tell a family about a card: CARD_BLOCKED, or CARD_USED with the record (device, epoch, seq)."""
    if event not in CARD_EVENTS:
        raise ValueError("event is card_blocked or card_used")
    source = place or (None, None, None)
    store.add(conn, [(school_id, event, account_id, *source, happened_at, learnt_at, "{}")])


@lru_cache(maxsize=1024)
def _purchase(goods: Goods, amount_minor: int) -> str:
    """The detail of a purchase.  A school sells few goods, so thousands of facts share a few texts."""
    return json.dumps({"goods": goods, "amount_minor": amount_minor})


def enqueue_code(conn: Connection, vault: Vault, adult_id: int, code: str, now: int) -> bool:
    """Send a one-time code to an adult; False when there is none of this number.

    The code stands sealed in the row of its message, is wiped when it was sent,
    and is not sent once it is older than delivery.CODE_LIFE_S.
    """
    adult = people.adult(conn, adult_id)
    if adult is None:
        return False
    outbox_id = store.add_one(
        conn,
        {"school_id": adult.school_id, "event": LOGIN_CODE, "happened_at": now, "learnt_at": now},
    )
    text = render.login_code(adult.language, code)
    store.add_messages(
        conn,
        [
            {
                "school_id": adult.school_id,
                "outbox_id": outbox_id,
                "adult_id": adult_id,
                "channel": CHANNEL,
                "language": adult.language,
                "body": sealed(vault, text, outbox_id, adult_id),
                "happened_at": now,
                "created_at": now,
            }
        ],
    )
    return True


def of_record(
    conn: Connection, vault: Vault, school_id: int, device_id: int, epoch: int, seq: int
) -> list[Told]:
    """The messages about one record of a device, for the tap panel of a demo."""
    rows = store.of_record(conn, school_id, device_id, epoch, seq)
    phones = people.phones(conn, school_id, {row.adult_id for row in rows})
    return [
        Told(
            hidden_phone(phones.get(row.adult_id, "")),
            row.state,
            row.channel,
            row.language,
            "" if row.body is None else opened(vault, row.body, row.outbox_id, row.adult_id),
            row.created_at,
            row.sent_at,
            row.detail.get("outcome", ""),
        )
        for row in rows
    ]


def counts(conn: Connection, school_id: int) -> Counts:
    """How a school's messages stand; nothing is on its way any more when `unsettled` is 0."""
    by_state = store.counts(conn, school_id)
    return Counts(
        by_state.get("waiting", 0),
        by_state.get("sent", 0),
        by_state.get("failed", 0),
        store.waiting(conn, school_id),
    )
