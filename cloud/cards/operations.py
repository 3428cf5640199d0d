"""What a desk did with cards, taken once each.

    issue       the card is the pupil's
    replace     the same, and the pupil's other cards of kind `card` are reported lost
    temporary   the same as issue, until a day
    block       a card of a pupil, named by its reference as devices hold it, is reported lost
    renew       the card has keys of another version; it is whose it was
    wipe        the card is nobody's: its keys were taken off it

Promises: the same op_id with the same content is answered with the number of the
first time and does nothing; with other content it is refused; ids of cards are hashed at once and
stand in no row, answer or log; one operation is applied as a whole or not at all; what was
given out or wiped stands in the raw archive before it is committed.  What a report of a lost card means is
its caller's (losses).
"""

import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.archive import Archive, Decided
from cloud.cards import book, states, store
from cloud.cards.book import ACTIVE, KINDS, TEMPORARY, CardRefused, Wish
from cloud.cards.desks import Desk
from cloud.keys import Vault
from cloud.people import service as people
from protocols.card import credential
from protocols.errors import CARD_KIND, CARD_UNKNOWN, FIELD_RANGE, KEY_REUSED, OK, PUPIL_UNKNOWN, Fault
from protocols.errors import name as refusal_name

ISSUE, REPLACE, GIVE_UNTIL = GIVING = "issue", "replace", "temporary"
BLOCK, RENEW, WIPE = "block", "renew", "wipe"
OPERATIONS = (*GIVING, BLOCK, RENEW, WIPE)
BATCH_MAX = 100
_EPOCH = date(1970, 1, 1)
_OP_ID = 16
_REF = 16

Report = Callable[[int, bytes, int, int], None]
"""Blocks a card as lost and tells every device: (account_id, card_ref, gone since, said at), UTC seconds."""


class Answer(NamedTuple):
    """What became of an operation: `number` is a refusal number, 0 when it was taken."""

    op_id: str
    number: int
    text: str


class _Operation(NamedTuple):
    op: str
    op_id: str
    student: str
    credential: str
    uid: str
    kind: str
    until_day: int | None
    key_version: int
    at: int
    ref: str
    lost_at: int


class _Taker(NamedTuple):
    """What every operation of a request is applied with."""

    conn: Connection
    vault: Vault
    archive: Archive
    desk: Desk
    report: Report
    today: int
    now: int

    @property
    def who(self) -> str:
        """Whose word it is."""
        return f"desk {self.desk.label}"


def perform(
    conn: Connection,
    vault: Vault,
    archive: Archive,
    desk: Desk,
    operations: list[Any],
    *,
    now: int,
    report: Report,
) -> tuple[list[Answer], int]:
    """Take operations in their order; returns an answer for each, and how many changed what devices know.

    A change that `report` has told devices of is not counted.
    """
    taker = _Taker(conn, vault, archive, desk, report, book.day_of(conn, desk.school_id, now), now)
    store.desk_seen(conn, desk.school_id, desk.desk_id, now)
    answers, changes = [], 0
    for told in operations:
        answer, changed = _take(taker, told)
        answers.append(answer)
        changes += changed
    return answers, changes


def _take(taker: _Taker, told: Any) -> tuple[Answer, bool]:
    conn, desk = taker.conn, taker.desk
    try:
        one = _read(told)
    except Fault as fault:
        # Without a number that can be kept it may come again, and is refused again.
        return Answer(_op_id(told), fault.code, str(fault)), False
    content = taker.vault.mac("desk operation", json.dumps(one, ensure_ascii=True).encode())
    before = store.operation(conn, desk.school_id, desk.desk_id, one.op_id)
    if before is not None:
        if before.content_mac != content:
            return Answer(one.op_id, KEY_REUSED, "the same number came with another operation"), False
        return Answer(
            one.op_id, before.refusal, refusal_name(before.refusal) if before.refusal else ""
        ), False
    try:
        changed, number, text = _apply(taker, one), OK, ""
    except (CardRefused, Fault) as refused:
        changed, number, text = False, refused.code, str(refused)
    store.add_operation(
        conn,
        {"school_id": desk.school_id, "desk_id": desk.desk_id, "op_id": one.op_id, "operation": one.op,
         "content_mac": content, "refusal": number, "happened_at": one.at, "learnt_at": taker.now},
    )  # fmt: skip
    return Answer(one.op_id, number, text), changed


def _apply(taker: _Taker, one: _Operation) -> bool:
    """Whether devices must be told."""
    if one.op in GIVING:
        return _give(taker, one)
    if one.op == BLOCK:
        return _block(taker, one)
    conn, school_id = taker.conn, taker.desk.school_id
    card_ref = credential.card_ref(taker.vault.reference_key(school_id), credential.canonical(one.credential))
    if one.op == WIPE:
        # A card that nobody has any more is wiped, whoever said so first.
        said: list[Decided] = []
        is_gone = states.wipe(conn, school_id, card_ref, said, who=taker.who, now=taker.now)
        taker.archive.append(said, taker.now)
        return is_gone
    known = store.get(conn, school_id, card_ref)
    if known is None:
        raise CardRefused(CARD_UNKNOWN, "nobody has this card")
    if not known.protected:
        raise CardRefused(CARD_KIND, "a card without keys")
    # Another desk may have been faster with still newer keys; a card never goes back.
    store.raise_key_version(conn, school_id, card_ref, one.key_version)
    return False


def _give(taker: _Taker, one: _Operation) -> bool:
    conn, school_id = taker.conn, taker.desk.school_id
    account_id = _account(conn, school_id, one.student)
    numbers = book.numbers_of(taker.vault.reference_key(school_id), one.credential, one.uid)
    cards = book.read_for(conn, school_id, numbers)
    wish = Wish(numbers, account_id, one.kind, one.until_day, one.key_version)
    changed = cards.give(wish, today=taker.today, now=taker.now, reopens=True)
    cards.write(conn)
    said: list[Decided] = []
    states.given(school_id, numbers.card_ref, account_id, said, who=taker.who, now=taker.now)
    taker.archive.append(said, taker.now)
    if one.op == REPLACE:
        for row in store.of_account(conn, school_id, account_id):
            if row.card_ref != numbers.card_ref and row.kind == KINDS[0] and row.status == ACTIVE:
                taker.report(account_id, bytes(row.card_ref), one.lost_at, one.at)
                changed = False
    return changed


def _block(taker: _Taker, one: _Operation) -> bool:
    conn, school_id = taker.conn, taker.desk.school_id
    account_id = _account(conn, school_id, one.student)
    for row in store.of_account(conn, school_id, account_id):
        if bytes(row.card_ref).startswith(bytes.fromhex(one.ref)):
            taker.report(account_id, bytes(row.card_ref), one.lost_at, one.at)
            return False
    raise CardRefused(CARD_UNKNOWN, "the pupil has no such card")


def _account(conn: Connection, school_id: int, student: str) -> int:
    for account in people.accounts(conn, school_id):
        if account.external_id == student:
            return account.account_id
    raise CardRefused(PUPIL_UNKNOWN, "unknown pupil")


def _read(told: Any) -> _Operation:
    """An operation with every field of its type, or Fault(FIELD_RANGE) that names the field."""
    if not isinstance(told, Mapping):
        raise Fault(FIELD_RANGE, "operation", "no object")
    op, op_id = _word(told, "op"), _word(told, "op_id")
    if op not in OPERATIONS:
        raise Fault(FIELD_RANGE, "operation.op", "one of " + ", ".join(OPERATIONS))
    if len(op_id) != _OP_ID or op_id.strip("0123456789abcdef"):
        raise Fault(FIELD_RANGE, "operation.op_id", "16 hex digits in lower case")
    kind = _word(told, "kind", empty=True) or (TEMPORARY if op == GIVE_UNTIL else KINDS[0])
    until, ref = _word(told, "until", empty=True), _word(told, "ref", empty=op != BLOCK)
    if op == BLOCK and (len(ref) != _REF or ref.strip("0123456789abcdef")):
        raise Fault(FIELD_RANGE, "operation.ref", "16 hex digits in lower case")
    at = _number(told, "at", 0xFFFFFFFF)
    return _Operation(
        op, op_id, _word(told, "student", empty=op in (RENEW, WIPE)),
        _word(told, "credential", empty=op == BLOCK), _word(told, "uid", empty=True), kind,
        _day(until) if until else None, _number(told, "key_version", 0xFF), at, ref,
        _number(told, "lost_at", 0xFFFFFFFF) or at,
    )  # fmt: skip


def _word(told: Mapping[str, Any], name: str, *, empty: bool = False) -> str:
    value = told.get(name)
    text = "" if value is None else value
    if not isinstance(text, str) or len(text) > 200 or not (text or empty):
        raise Fault(FIELD_RANGE, f"operation.{name}", "a text")
    return text


def _number(told: Mapping[str, Any], name: str, highest: int) -> int:
    value = told.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= highest:
        raise Fault(FIELD_RANGE, f"operation.{name}", "a number")
    return value


def _day(text: str) -> int:
    try:
        return (date.fromisoformat(text) - _EPOCH).days
    except ValueError as error:
        raise Fault(FIELD_RANGE, "operation.until", "YYYY-MM-DD") from error


def _op_id(told: Any) -> str:
    value = told.get("op_id") if isinstance(told, Mapping) else None
    return value[:_OP_ID] if isinstance(value, str) else ""
