"""Cards of cards.csv into the table of cards.

Promises: a raw id is hashed at once and stands in no table, problem or log; one
credential opens one account; a row is applied as a whole or not at all; the
same file again changes nothing, also not a card that was blocked meanwhile.
A card that a new file gives to another pupil moves there.
"""

from typing import NamedTuple

from sqlalchemy import Connection

from cloud.cards import store
from cloud.csv_file import Applied, Refused, Table, text_of
from cloud.keys import Vault
from cloud.people import service as people
from protocols.card import credential
from protocols.errors import Fault

COLUMNS = ("student_id", "credential")


class _Line(NamedTuple):
    line: int
    card_ref: bytes
    account_id: int


def import_cards(conn: Connection, vault: Vault, school_id: int, table: Table, now: int) -> Applied:
    """Apply cards.csv; pupils must be there already."""
    problems = list(table.problems)
    accounts = {account.external_id: account.account_id for account in people.accounts(conn, school_id)}
    key = vault.reference_key(school_id)
    good: dict[bytes, _Line] = {}
    for row in table.rows:
        try:
            card = _Line(row.line, _reference(key, row.fields), _account(accounts, row.fields))
            if card.card_ref in good:
                raise Refused(f"two cards for one credential, first on line {good[card.card_ref].line}")
        except Refused as refused:
            problems.append(table.problem(row.line, str(refused)))
            continue
        good[card.card_ref] = card
    return Applied(len(good), _apply(conn, school_id, good, now), sorted(problems))


def _reference(key: bytes, fields: dict[str, str]) -> bytes:
    text = text_of(fields, "credential")
    try:
        return credential.card_ref(key, credential.canonical(text))
    except Fault as fault:
        raise Refused(f"credential is none: {fault.thing}") from fault


def _account(accounts: dict[str, int], fields: dict[str, str]) -> int:
    account_id = accounts.get(text_of(fields, "student_id"))
    if account_id is None:
        raise Refused("unknown pupil")
    return account_id


def _apply(conn: Connection, school_id: int, good: dict[bytes, _Line], now: int) -> int:
    known = {row.card_ref: row.account_id for row in store.all_of(conn, school_id)}
    fresh = [card for card in good.values() if card.card_ref not in known]
    moved = [card for card in good.values() if known.get(card.card_ref, card.account_id) != card.account_id]
    store.add(
        conn,
        [{"school_id": school_id, "card_ref": card.card_ref, "account_id": card.account_id, "kind": "card",
          "status": "active", "issued_at": now} for card in fresh],
    )  # fmt: skip
    store.move(conn, school_id, [(card.card_ref, card.account_id) for card in moved])
    return len(fresh) + len(moved)
