"""Whose a card is that this desk did not give: by the cloud's list, and by what was done here since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from protocols.card import credential
from protocols.errors import CARD_TAKEN, Fault
from reader_host.desk import owners, roster, store, work
from reader_host.desk.roster import BadRoster
from reader_host.desk.store import ISSUE, REPLACE, TEMPORARY, WIPE
from reader_host.desk.work import Refused, Wish
from reader_host.pcsc import kinds
from tests.fixtures.pcsc import PlainCard
from tests.reader_host.desk.parts import NOW, PUPILS, UID, FakeCloud, Parts, desfire, keys_text, laid, ntag
from tests.reader_host.desk.test_sender import sender_of
from tests.reader_host.desk.test_work import CARDS, OTHER_UID, do

PLAIN_UID = bytes.fromhex("04A1B2C3")


def short(parts: Parts, canonical: str) -> str:
    """A credential as devices hold it."""
    return parts.keys.reference(canonical)[:16]


def line(parts: Parts, canonical: str, student: str, uid: str = "", **more: Any) -> dict[str, Any]:
    """A card in the cloud's list, with the further numbers that the cloud tells of it."""
    others = credential.aliases(uid or canonical)
    return {
        "ref": short(parts, canonical), "student": student, "kind": "card", "blocked": False, "until": None,
        "at": NOW - 86400, "key_version": int(bool(uid)), "bare": [short(parts, uid)] if uid else [],
        "parts": [short(parts, each) for each in others], **more,
    }  # fmt: skip


def told(parts: Parts, *cards: dict[str, Any]) -> None:
    """The cloud's list of cards has come, and what was accepted before stands in it."""
    pupils = [{"student": s, "name": n, "class": c, "cards": 0} for s, n, c in PUPILS]
    parts.store.settle([each.number for each in parts.store.unsettled()])
    parts.roster = roster.parse({"pupils": pupils, "cards": list(cards)}, NOW)


def owner(parts: Parts, card: Any) -> owners.Owned | None:
    return parts.work.look(laid(card)).owner


def refusal(parts: Parts, card: Any, wish: Wish) -> str:
    with pytest.raises(Refused) as refused:
        do(parts, card, wish)
    assert parts.store.in_state(store.BEGUN) == []
    return refused.value.reason


def given_elsewhere(
    parts: Parts, folder: Path, card: Any, student: str = "s1", **more: Any
) -> dict[str, Any]:
    """A card that another desk gave, as the cloud tells of it."""
    other = Parts(folder / "other")
    secret = other.store.secret(do(other, card, Wish(ISSUE, student)).op_id)
    other.store.close()
    return line(parts, secret.credential, student, secret.uid, **more)


@pytest.mark.parametrize("kind", CARDS)
def test_card_of_another_desk_is_known_and_not_given_to_another_pupil(memory: Path, kind: str):
    parts, card = Parts(memory / "own"), CARDS[kind]()
    told(parts, given_elsewhere(parts, memory, card))
    found = owner(parts, card)
    assert found is not None
    assert (found.student, found.state, found.how, found.waits) == ("s1", owners.OPEN, owners.EXACT, False)
    assert [each.ref for each in parts.work.held("s1")] == [found.ref]
    assert refusal(parts, card, Wish(ISSUE, "s2")) == work.TAKEN
    assert refusal(parts, card, Wish(ISSUE, "s1")) == work.HAS_IT
    # Wiped here: free at once, and the cloud is told of what it knows.
    wiped = do(parts, card, Wish(WIPE))
    assert (wiped.state, wiped.student) == (store.READY, "s1")
    assert owner(parts, card) is None
    assert do(parts, card, Wish(ISSUE, "s2")).state == store.READY


def test_number_that_the_office_imported_is_known(memory: Path):
    parts, card = Parts(memory), PlainCard(PLAIN_UID)
    told(parts, line(parts, "a:04A1B2C3", "s1"))
    found = owner(parts, card)
    assert found is not None
    assert (found.student, found.how) == ("s1", owners.EXACT)
    assert refusal(parts, card, Wish(ISSUE, "s2", plain_allowed=True)) == work.TAKEN
    assert do(parts, card, Wish(WIPE)).state == store.READY
    assert owner(parts, card) is None


def test_imported_card_with_a_chip_gets_keys_for_its_owner_alone(memory: Path):
    parts, card = Parts(memory), desfire()
    told(parts, line(parts, "a:04C767F2066180", "s1"))
    assert refusal(parts, card, Wish(ISSUE, "s2")) == work.TAKEN
    assert do(parts, card, Wish(ISSUE, "s1")).state == store.READY
    look = parts.work.look(laid(card))
    assert (look.state, look.owner and look.owner.student) == (kinds.ISSUED, "s1")


@pytest.mark.parametrize(
    ("printed", "uid", "how"),
    [
        # The office typed four bytes of a card that says seven; both orders; ten digits of a 125 kHz print.
        ("a:04A1B2C3", OTHER_UID, owners.PART),
        ("a:C3B2A104", OTHER_UID, owners.PART),
        ("em:0004A1B2C3", OTHER_UID, owners.PART),
        ("em:01C3B2A104", PLAIN_UID, owners.PART),
        # 26 bits are too few to say anything.
        ("em:01FFA1B2C3", OTHER_UID, None),
        ("a:04A1B2C4", PLAIN_UID, None),
    ],
)
def test_part_of_a_printed_number_is_a_question_and_no_answer(memory: Path, printed: str, uid: bytes, how):
    parts, card = Parts(memory), PlainCard(uid)
    told(parts, line(parts, printed, "s1"))
    found = owner(parts, card)
    assert (found and found.how) == how
    wish = Wish(ISSUE, "s2")
    assert refusal(parts, card, wish) == work.PLAIN
    if how:
        assert refusal(parts, card, wish._replace(plain_allowed=True)) == work.PERHAPS
        assert refusal(parts, card, Wish(WIPE)) == work.NOTHING
        assert do(parts, card, Wish(ISSUE, "s1", plain_allowed=True)).state == store.READY
        do(parts, card, Wish(WIPE))
    assert do(parts, card, wish._replace(plain_allowed=True, part_allowed=True)).state == store.READY


def test_copy_of_a_protected_card_is_told_and_never_given(memory: Path):
    parts, card = Parts(memory / "own"), desfire()
    told(parts, given_elsewhere(parts, memory, card))
    copy = PlainCard(UID)
    found = owner(parts, copy)
    assert found is not None
    assert (found.student, found.how) == ("s1", owners.BARE)
    for student in ("s1", "s2"):
        assert refusal(parts, copy, Wish(ISSUE, student, plain_allowed=True)) == work.COPY


def test_protected_card_that_lost_its_keys_is_its_owners(memory: Path):
    parts, card = Parts(memory / "own"), desfire()
    told(parts, given_elsewhere(parts, memory, card))
    empty = desfire()
    found = owner(parts, empty)
    assert found is not None
    assert found.how == owners.BARE
    assert refusal(parts, empty, Wish(ISSUE, "s2")) == work.TAKEN
    assert do(parts, empty, Wish(ISSUE, "s1")).state == store.READY


@pytest.mark.parametrize(
    ("more", "state", "reasons"),
    [
        ({"blocked": True}, owners.BLOCKED, {"s1": None, "s2": work.TAKEN}),
        ({"student": ""}, owners.LEFT, {"s1": work.TAKEN, "s2": work.TAKEN}),
        ({"kind": "temporary", "until": "2026-08-31"}, owners.OVER, {"s1": None, "s2": None}),
        ({"kind": "temporary", "until": "2026-09-30"}, owners.OPEN, {"s1": work.HAS_IT, "s2": work.TAKEN}),
    ],
)
def test_state_of_a_card_is_known_and_decides(memory: Path, more: dict, state: str, reasons: dict):
    for student, reason in reasons.items():
        folder = memory / student
        parts, card = Parts(folder / "own"), desfire()
        told(parts, given_elsewhere(parts, folder, card, **more))
        found = owner(parts, card)
        assert found is not None
        assert found.state == state
        if reason is None:
            assert do(parts, card, Wish(ISSUE, student)).state == store.READY
        else:
            assert refusal(parts, card, Wish(ISSUE, student)) == reason
            assert do(parts, card, Wish(WIPE)).state == store.READY


def test_closed_card_is_not_opened_beside_the_one_in_its_place(memory: Path):
    parts, card, fob = Parts(memory / "own"), desfire(), line(Parts(memory / "x"), "a:04A1B2C3", "s1")
    closed = given_elsewhere(parts, memory, card, blocked=True)
    told(parts, closed, fob)
    assert refusal(parts, card, Wish(ISSUE, "s1")) == work.CLOSED
    told(parts, closed, {**fob, "kind": "fob"})
    assert do(parts, card, Wish(ISSUE, "s1")).state == store.READY


def test_list_of_the_cloud_is_newer_than_what_was_done_here(memory: Path, cloud: FakeCloud):
    """Given here, told, and then wiped, moved or closed elsewhere."""
    parts, card = Parts(memory), desfire()
    done = do(parts, card, Wish(ISSUE, "s1"))
    secret = parts.store.secret(done.op_id)
    told(parts)
    # It waits for the cloud: the list cannot know of it.
    found = owner(parts, card)
    assert found is not None
    assert found.waits
    sending = sender_of(parts, cloud)
    parts.roster = roster.EMPTY
    sending.turn()
    assert parts.store.numbered(done.number).settled == 1
    known = line(parts, secret.credential, "s1", secret.uid)
    for cards, student, state in (
        ([known], "s1", owners.OPEN),
        ([{**known, "blocked": True}], "s1", owners.BLOCKED),
        ([{**known, "student": "s2"}], "s2", owners.OPEN),
    ):
        told(parts, *cards)
        found = owner(parts, card)
        assert found is not None
        assert (found.student, found.state, found.waits) == (student, state, False)
    told(parts)
    assert owner(parts, card) is None
    # The list is forgotten after some days: what was done here is all that is left.
    parts.roster = roster.EMPTY
    found = owner(parts, card)
    assert found is not None
    assert found.student == "s1"


def test_accepted_operation_counts_until_a_list_tells_of_it(memory: Path, cloud: FakeCloud):
    parts, card = Parts(memory), desfire()
    sending = sender_of(parts, cloud)
    assert sending.turn()
    parts.work = work.Work(
        parts.keys, parts.store, now=lambda: NOW, random_bytes=parts.random_bytes, roster=sending.roster
    )
    do(parts, card, Wish(ISSUE, "s1"))
    assert sending.turn()
    assert parts.store.in_state(store.ACCEPTED)
    found = owner(parts, card)
    assert found is not None
    assert (found.student, found.waits) == ("s1", False)
    assert refusal(parts, card, Wish(ISSUE, "s2")) == work.TAKEN


def test_card_given_elsewhere_is_closed_by_its_replacement_here(memory: Path):
    parts, lost, card = Parts(memory / "own"), desfire(), ntag(OTHER_UID)
    told(parts, given_elsewhere(parts, memory, lost), line(parts, "a:04A1B2C3", "s1", kind="fob"))
    do(parts, card, Wish(REPLACE, "s1"))
    found = owner(parts, lost)
    assert found is not None
    assert (found.state, found.waits) == (owners.BLOCKED, True)
    assert {each.kind for each in parts.work.held("s1")} == {"fob", "card"}
    assert refusal(parts, lost, Wish(ISSUE, "s1")) == work.CLOSED


def test_refused_operation_is_no_owner(memory: Path, cloud: FakeCloud):
    """The list was old, the card is another's by now: what the cloud says counts."""
    parts, card = Parts(memory), desfire()
    told(parts)
    done = do(parts, card, Wish(ISSUE, "s2"))
    secret = parts.store.secret(done.op_id)
    cloud.refusals[done.op_id] = (CARD_TAKEN, "the card opens another account")
    sender_of(parts, cloud).turn()
    assert parts.store.numbered(done.number).state == store.REFUSED
    told(parts, line(parts, secret.credential, "s1", secret.uid))
    found = owner(parts, card)
    assert found is not None
    assert found.student == "s1"


def test_temporary_card_of_here_ends_by_itself(memory: Path):
    parts, card = Parts(memory), desfire()
    do(parts, card, Wish(TEMPORARY, "s1", "temporary", "2026-08-31"))
    found = owner(parts, card)
    assert found is not None
    assert found.state == owners.OVER
    assert do(parts, card, Wish(ISSUE, "s2")).state == store.READY


@pytest.mark.parametrize(
    "change",
    [{"ref": "0102"}, {"ref": "zz" * 8}, {"ref": 5}, {"blocked": 1}, {"at": "x"}, {"bare": ["01"]},
     {"parts": 3}, {"student": None, "kind": None, "key_version": None}],
)  # fmt: skip
def test_list_with_a_bad_card_is_refused_whole(memory: Path, change: dict):
    good = line(Parts(memory), "a:04A1B2C3", "s1")
    with pytest.raises(BadRoster):
        roster.parse({"pupils": [], "cards": [good, {**good, **change}]}, NOW)


def test_list_of_cards_is_sealed_and_read_back(memory: Path):
    parts = Parts(memory)
    told(
        parts,
        line(parts, "a:04A1B2C3", "s1"),
        line(parts, "app:4B4B01:0102030405060708", "s2", "a:" + UID.hex()),
    )
    parts.roster = parts.roster._replace(tag='"tag"')
    roster.keep(parts.seal, parts.roster)
    assert roster.kept(parts.seal, NOW, 7) == parts.roster
    held = (memory / roster.FILE).read_bytes()
    assert all(ref.encode() not in held and bytes.fromhex(ref) not in held for ref in parts.roster.cards)
    # A list of a program that knew pupils only is none.
    parts.seal.write(roster.FILE, b'{"at": %d, "pupils": []}' % NOW)
    assert roster.kept(parts.seal, NOW, 7) == roster.EMPTY


def test_unchanged_list_is_not_sent_again(memory: Path, cloud: FakeCloud):
    parts = Parts(memory)
    cloud.tag = '"1"'
    cloud.cards = [line(parts, "a:04A1B2C3", "s1")]
    sender_of(parts, cloud).turn()
    late = sender_of(parts, cloud, now=NOW + 3600)
    assert late.roster().at == NOW
    assert late.turn()
    assert cloud.not_modified == 1
    assert late.roster().at == NOW + 3600
    assert len(late.roster().cards) == 1
    cloud.tag, cloud.cards = '"2"', []
    later = sender_of(parts, cloud, now=NOW + 7200)
    assert later.turn()
    assert later.roster().cards == {}


def test_old_file_of_operations_is_taken_over(memory: Path):
    parts, card = Parts(memory), desfire()
    do(parts, card, Wish(ISSUE, "s1"))
    parts.store._conn.execute("ALTER TABLE operation DROP COLUMN settled")
    parts.store.close()
    again = Parts(memory, keys_text())
    found = owner(again, card)
    assert found is not None
    assert found.student == "s1"


def test_pulled_while_it_was_looked_at_is_no_owner(memory: Path):
    parts, card = Parts(memory), desfire()
    with pytest.raises(Fault):
        parts.work.look(laid(card, 2))
