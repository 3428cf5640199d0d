"""Cards: issue, block, find, and the rows that go into the tables of devices.

Promises: only the keyed references of a card are kept; a card points at one
account, an account may have many cards; a card opens nothing when it is blocked,
when its last day has passed or when its pupil has left; the bare serial number
of a card that proves itself opens nothing at all.  Leaves it to the caller to
publish new tables to the devices after a change (devices.service.publish_tables).
"""

from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.cards import book, store
from cloud.cards.book import ACTIVE, BLOCKED, KINDS, TEMPORARY, CardRefused, CardTaken, Wish
from cloud.cards.desks import (
    Desk,
    DeskRefused,
    add_desk,
    cards_for_desk,
    desk_file,
    desk_of,
    desks,
    revoke_desk,
)
from cloud.cards.importer import COLUMNS, Imported, Spelling, import_cards
from cloud.cards.masters import (
    ROLES,
    Master,
    MasterRefused,
    for_desk,
    for_device,
    make_all,
    retire,
    rotate,
    versions,
)
from cloud.cards.operations import BATCH_MAX, Answer, Report, perform
from cloud.cards.states import STATES, block, read_again, unblock
from cloud.keys import Vault
from cloud.people import service as people
from protocols.card import credential

__all__ = [
    "BATCH_MAX",
    "COLUMNS",
    "KINDS",
    "ROLES",
    "STATES",
    "TEMPORARY",
    "Answer",
    "CardRefused",
    "CardTaken",
    "Desk",
    "DeskRefused",
    "Imported",
    "Master",
    "MasterRefused",
    "Report",
    "Spelling",
    "add_desk",
    "block",
    "cards_for_desk",
    "desk_file",
    "desk_of",
    "desks",
    "for_desk",
    "for_device",
    "import_cards",
    "make_all",
    "perform",
    "read_again",
    "retire",
    "revoke_desk",
    "rotate",
    "unblock",
    "versions",
]


class Card(NamedTuple):
    """A card of an account: `status` is `active` or `blocked`, `card_ref` 16 bytes.

    `kind`: card, temporary, second, fob or city; `is_protected`: it proves itself
    with a key of `key_version`; `is_weak`: its number can be copied, so the daily limit of weak
    cards holds; `until_day`: the last day of a temporary card, days from 1970-01-01.
    """

    card_ref: bytes
    account_id: int
    kind: str
    status: str
    issued_at: int
    is_protected: bool
    is_weak: bool
    key_version: int
    until_day: int | None

    @property
    def is_blocked(self) -> bool:
        """Whether somebody closed it."""
        return self.status == BLOCKED


class TableCard(NamedTuple):
    """What a device's table holds of one number of a card.

    `reference`: the first 8 bytes of the number's reference; `active`: the card is not
    blocked, its last day has not passed and its pupil is at the school; `home_device`: where
    the money of this pupil's class is placed, or None; `is_copy`: the bare
    number of a card that proves itself.
    """

    reference: bytes
    account_id: int
    active: bool
    class_id: int
    home_device: int | None
    is_weak: bool = True
    is_copy: bool = False


class Told(NamedTuple):
    """What devices are told of a school's cards.

    `exact`: to readers that say whole numbers; `lossy`: to readers that may leave a part
    out; `shared`: how many cards some reader cannot tell from each other, so that it knows none
    of them; `unknown`: how many of them no reader knows.
    """

    exact: list[TableCard]
    lossy: list[TableCard]
    shared: int
    unknown: int


class Alike(NamedTuple):
    """A card that some reader cannot tell from others; `is_part`: only a part of its number is known, so that
    no reader takes it."""

    account_id: int
    kind: str
    status: str
    issued_at: int
    is_part: bool


def issue(
    conn: Connection,
    vault: Vault,
    school_id: int,
    account_id: int,
    canonical: str,
    now: int,
    kind: str = KINDS[0],
    *,
    uid: str = "",
    until_day: int | None = None,
    key_version: int = 0,
) -> bytes:
    """Give a card to an account and return its reference; the same again changes nothing.

    `canonical` is any spelling that protocols.card.credential accepts, or
    Fault(BAD_CREDENTIAL); `uid`: the serial number (`a:...`) of a card that proves itself;
    `until_day`: the last day of a temporary card, behind which it is free for another
    pupil.  CardTaken when it opens another account, CardRefused for the bare number
    of a protected card, Fault(CARD_KIND) for a random number or one with a part left out.
    """
    numbers = book.numbers_of(vault.reference_key(school_id), canonical, uid)
    known = book.read_for(conn, school_id, numbers)
    today = book.day_of(conn, school_id, now)
    known.give(Wish(numbers, account_id, kind, until_day, key_version), today=today, now=now)
    known.write(conn)
    return numbers.card_ref


def reference(vault: Vault, school_id: int, text: str) -> bytes:
    """16 bytes that stand for a credential in this school, or Fault(BAD_CREDENTIAL)."""
    return credential.card_ref(vault.reference_key(school_id), credential.canonical(text))


def find(conn: Connection, vault: Vault, school_id: int, text: str) -> Card | None:
    """The card of a credential, or None when nobody has it."""
    row = store.get(conn, school_id, reference(vault, school_id, text))
    return None if row is None else _card(row)


def at(conn: Connection, school_id: int, card_ref: bytes) -> Card | None:
    """The card of a reference, or None when nobody has it."""
    row = store.get(conn, school_id, card_ref)
    return None if row is None else _card(row)


def of_account(conn: Connection, school_id: int, account_id: int) -> list[Card]:
    """All cards of an account, the oldest first."""
    return [_card(row) for row in store.of_account(conn, school_id, account_id)]


def references(conn: Connection, school_id: int, card_ref: bytes) -> list[bytes]:
    """Every reference under which readers may say a card, its own first; a copy says one of them too."""
    return [card_ref, *(bytes(row.alias_ref) for row in store.aliases_of(conn, school_id, [card_ref]))]


def counts(conn: Connection, school_id: int) -> dict[int, int]:
    """account_id to how many active cards it has."""
    return store.counts(conn, school_id)


def ended_since(conn: Connection, school_id: int, from_day: int, today: int) -> bool:
    """Whether a card's last day was from_day or later, and before today: tables of from_day still name it."""
    return store.ended(conn, school_id, from_day, today)


def table_cards(conn: Connection, school_id: int, today: int = 0) -> Told:
    """Every card of a school as devices shall know it on this day, by reference."""
    accounts = {account.account_id: account for account in people.accounts(conn, school_id)}
    known = book.read(conn, school_id)

    def row(ref: bytes, card_ref: bytes, is_copy: bool) -> TableCard:
        values = known.cards[card_ref]
        account = accounts[values["account_id"]]
        is_open = values["status"] == ACTIVE and not book.is_over(values["until_day"], today)
        return TableCard(
            ref[: credential.DEVICE_REFERENCE_SIZE], account.account_id, is_open and account.active,
            account.class_id, account.home_device, bool(values["weak"]), is_copy,
        )  # fmt: skip

    shared: frozenset[bytes] = frozenset().union(*known.shared())
    unknown = {card_ref for card_ref in shared if not known.is_known_at_all(card_ref)}
    exact = {ref: row(ref, ref, is_copy=False) for ref in known.cards if ref not in unknown}
    lossy: dict[bytes, TableCard] = {}
    for ref, cards in known.meant.items():
        for card_ref, form in cards.items():
            if not form.is_lossy:
                # The bare number of a card that proves itself: a card that it was before is none any more.
                exact[ref] = row(ref, card_ref, is_copy=True)
            elif known.names_one(ref):
                lossy[ref] = row(ref, card_ref, form.is_copy)
    heard = {**{ref: one for ref, one in exact.items() if not known.is_anybodys(ref)}, **lossy}
    return Told(
        [exact[ref] for ref in sorted(exact)],
        [heard[ref] for ref in sorted(heard)],
        len(shared),
        len(unknown),
    )


def look_alikes(conn: Connection, school_id: int) -> list[list[Alike]]:
    """Cards that some reader cannot tell from each other: groups and cards by when they were given."""
    known = book.read(conn, school_id)

    def alike(card_ref: bytes) -> Alike:
        row = known.cards[card_ref]
        return Alike(row["account_id"], row["kind"], row["status"], row["issued_at"], known.is_part(card_ref))

    groups = (map(alike, group) for group in known.shared())
    by_age = [sorted(group, key=lambda one: (one.issued_at, one.account_id)) for group in groups]
    return sorted(by_age, key=lambda group: (group[0].issued_at, group[0].account_id))


def _card(row: Any) -> Card:
    return Card(
        row.card_ref, row.account_id, row.kind, row.status, row.issued_at, bool(row.protected),
        bool(row.weak), row.key_version, row.until_day,
    )  # fmt: skip
