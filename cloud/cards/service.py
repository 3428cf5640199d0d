"""Cards: issue, block, find, and the rows that go into the tables of devices.

Promises: only the keyed reference of a card is kept; a card points at one
account, an account may have many cards; a card opens nothing when it is blocked
or when its pupil has left.  Leaves it to the caller to publish new tables to the
devices after a change (devices.service.publish_tables).
"""

from typing import NamedTuple

from sqlalchemy import Connection, Row

from cloud.cards import store
from cloud.cards.importer import COLUMNS, import_cards
from cloud.keys import Vault
from cloud.people import service as people
from protocols.card import credential

__all__ = ["COLUMNS", "import_cards"]


class CardTaken(Exception):
    """The credential already opens another account; block or move that card first."""


class Card(NamedTuple):
    """A card of an account: `status` is `active` or `blocked`, `card_ref` 16 bytes."""

    card_ref: bytes
    account_id: int
    kind: str
    status: str
    issued_at: int


class TableCard(NamedTuple):
    """What a device's table holds of a card.

    `reference`: the first 8 bytes of card_ref; `active`: the card is not
    blocked and its pupil is at the school; `home_device`: where the money of
    this pupil's class is placed, or None.
    """

    reference: bytes
    account_id: int
    active: bool
    class_id: int
    home_device: int | None


def issue(
    conn: Connection,
    vault: Vault,
    school_id: int,
    account_id: int,
    canonical: str,
    now: int,
    kind: str = "card",
) -> bytes:
    """Give a card to an account and return its reference; the same again changes nothing.

    `canonical` is any spelling that protocols.card.credential accepts, or
    Fault(BAD_CREDENTIAL).  CardTaken when it opens another account.
    """
    card_ref = reference(vault, school_id, canonical)
    row = store.get(conn, school_id, card_ref)
    if row is None:
        store.add(
            conn,
            [{"school_id": school_id, "card_ref": card_ref, "account_id": account_id, "kind": kind,
              "status": "active", "issued_at": now}],
        )  # fmt: skip
    elif row.account_id != account_id:
        raise CardTaken("the card opens another account")
    return card_ref


def reference(vault: Vault, school_id: int, text: str) -> bytes:
    """16 bytes that stand for a credential in this school, or Fault(BAD_CREDENTIAL)."""
    return credential.card_ref(vault.reference_key(school_id), credential.canonical(text))


def find(conn: Connection, vault: Vault, school_id: int, text: str) -> Card | None:
    """The card of a credential, or None when nobody has it."""
    row = store.get(conn, school_id, reference(vault, school_id, text))
    return None if row is None else _card(row)


def block(conn: Connection, school_id: int, card_ref: bytes) -> bool:
    """Close a card; False when there is none or it is closed.  Acts at a device with its next table."""
    return store.set_status(conn, school_id, card_ref, "blocked")


def unblock(conn: Connection, school_id: int, card_ref: bytes) -> bool:
    """Open a blocked card again; False when there is none or it is open."""
    return store.set_status(conn, school_id, card_ref, "active")


def of_account(conn: Connection, school_id: int, account_id: int) -> list[Card]:
    """All cards of an account, the oldest first."""
    return [_card(row) for row in store.of_account(conn, school_id, account_id)]


def table_cards(conn: Connection, school_id: int) -> list[TableCard]:
    """Every card of a school as devices shall know it, by reference."""
    accounts = {account.account_id: account for account in people.accounts(conn, school_id)}
    rows = []
    for row in store.all_of(conn, school_id):
        account = accounts[row.account_id]
        rows.append(
            TableCard(
                row.card_ref[: credential.DEVICE_REFERENCE_SIZE],
                row.account_id,
                row.status == "active" and account.active,
                account.class_id,
                account.home_device,
            )
        )
    return rows


def _card(row: Row) -> Card:
    return Card(row.card_ref, row.account_id, row.kind, row.status, row.issued_at)
