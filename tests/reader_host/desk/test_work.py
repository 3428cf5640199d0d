"""What the desk does with cards: each kind given, taken back and wiped, and cut off at every APDU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from protocols.card import application, tag
from protocols.card.application import CANTEEN, GATE
from protocols.errors import CARD_GONE, Fault
from reader_host.desk import owners, store, work
from reader_host.desk.store import ISSUE, REPLACE, WIPE
from reader_host.desk.work import WIPED, Refused, Wish
from reader_host.pcsc import kinds
from tests.fixtures.pcsc import PlainCard
from tests.reader_host.desk.parts import UID, Parts, desfire, keys_text, laid, ntag

FOR_MARIA = Wish(ISSUE, "s1")
OTHER_UID = bytes.fromhex("04A1B2C3D4E5F6")


def do(parts: Parts, card: Any, wish: Wish, apdus_left: int | None = None) -> store.Operation:
    on_reader = laid(card, apdus_left)
    return parts.work.finish(on_reader, parts.work.begin(wish, parts.work.look(on_reader)))


def go_on(parts: Parts, card: Any, apdus_left: int | None = None) -> store.Operation:
    on_reader = laid(card, apdus_left)
    unfinished = parts.work.look(on_reader).unfinished
    assert unfinished is not None
    return parts.work.finish(on_reader, unfinished)


def proved(parts: Parts, card: Any, role: int) -> str:
    talk = tag if card.__class__.__name__ == "VirtualNtag" else application
    on_reader = laid(card)
    return on_reader.hold(talk.identify(on_reader.uid, role, parts.keys.masters.of, parts.random_bytes))


CARDS = {"desfire": desfire, "ev1": lambda: desfire(is_ev1=True), "ntag": ntag}


@pytest.mark.parametrize("kind", CARDS)
def test_card_is_given_and_opens_gate_and_canteen(memory: Path, kind: str):
    parts, card = Parts(memory), CARDS[kind]()
    operation = do(parts, card, FOR_MARIA)
    assert (operation.state, operation.student) == (store.READY, "s1")
    secret = parts.store.secret(operation.op_id)
    assert proved(parts, card, GATE) == proved(parts, card, CANTEEN) == secret.credential
    look = parts.work.look(laid(card))
    assert look.state == kinds.ISSUED
    assert look.owner is not None
    assert (look.owner.student, look.owner.state, look.owner.waits) == ("s1", owners.OPEN, True)
    assert not look.seen.is_clonable


@pytest.mark.parametrize("kind", CARDS)
def test_giving_cut_at_every_apdu_goes_on_with_the_same_operation(memory: Path, kind: str):
    codes: list[int] = []
    for count in range(200):
        parts, card = Parts(memory / str(count)), CARDS[kind]()
        try:
            do(parts, card, FOR_MARIA, count)
        except Fault as fault:
            codes.append(fault.code)
        else:
            break
        begun = parts.store.in_state(store.BEGUN)
        assert parts.store.in_state(store.READY) == []
        if not begun:
            # Pulled away while it was looked at: nothing was promised to anybody.
            assert parts.work.look(laid(card)).state == kinds.NEW
            continue
        # The desk, too, starts anew.
        operation = go_on(Parts(memory / str(count), random_bytes=parts.random_bytes), card)
        assert (operation.op_id, operation.state) == (begun[0].op_id, store.READY)
        assert proved(parts, card, GATE) == parts.store.secret(operation.op_id).credential
    assert len(codes) > 25
    assert set(codes) == {CARD_GONE}


@pytest.mark.parametrize("kind", CARDS)
def test_giving_cut_at_every_apdu_can_be_recycled(memory: Path, kind: str):
    for count in range(200):
        parts, card = Parts(memory / str(count)), CARDS[kind]()
        try:
            do(parts, card, FOR_MARIA, count)
        except Fault:
            wiped = do(parts, card, Wish(WIPE))
            assert wiped.state == store.DROPPED
            assert parts.work.look(laid(card)).state == WIPED
            assert parts.store.in_state(store.READY) == []
            again = do(parts, card, Wish(ISSUE, "s2"))
            assert proved(parts, card, GATE) == parts.store.secret(again.op_id).credential
        else:
            break


@pytest.mark.parametrize("kind", CARDS)
def test_wiping_cut_at_every_apdu_goes_on(memory: Path, kind: str):
    codes: list[int] = []
    for count in range(200):
        parts, card = Parts(memory / str(count)), CARDS[kind]()
        do(parts, card, FOR_MARIA)
        try:
            do(parts, card, Wish(WIPE), count)
        except Fault as fault:
            codes.append(fault.code)
        else:
            break
        begun = parts.store.in_state(store.BEGUN)
        if not begun:
            assert parts.work.look(laid(card)).state == kinds.ISSUED
            continue
        assert go_on(parts, card).op_id == begun[0].op_id
        assert parts.work.look(laid(card)).state == WIPED
        assert [each.op for each in parts.store.in_state(store.READY)] == [ISSUE, WIPE]
    assert len(codes) > 15
    assert set(codes) == {CARD_GONE}


@pytest.mark.parametrize("kind", CARDS)
def test_replacing_cut_at_every_apdu_goes_on(memory: Path, kind: str):
    for count in range(200):
        parts, lost, card = Parts(memory / str(count)), CARDS[kind](), CARDS[kind]()
        card.uid = OTHER_UID
        do(parts, lost, FOR_MARIA)
        begun: list[store.Operation] = []
        try:
            do(parts, card, Wish(REPLACE, "s1"), count)
        except Fault:
            begun = parts.store.in_state(store.BEGUN)
            if not begun:
                continue
            assert parts.work.look(laid(lost)).state == kinds.ISSUED
            assert go_on(parts, card).op_id == begun[0].op_id
        assert [each.op for each in parts.store.in_state(store.READY)] == [ISSUE, REPLACE]
        replaced = parts.work.look(laid(lost)).owner
        assert replaced is not None
        assert replaced.state == owners.BLOCKED
        assert [each.op for each in parts.work.held("s1")] == [REPLACE]
        if not begun:
            break


def test_card_that_was_cut_twice_is_finished(memory: Path):
    parts, card = Parts(memory), desfire()
    with pytest.raises(Fault):
        do(parts, card, FOR_MARIA, 30)
    for count in (0, 5, 12, 20):
        with pytest.raises(Fault):
            go_on(parts, card, count)
    assert go_on(parts, card).state == store.READY
    assert len(parts.store.of_student("s1")) == 1


def test_plain_card_is_given_only_to_who_has_read_the_warning(memory: Path):
    parts, card = Parts(memory), PlainCard(bytes.fromhex("04A1B2C3"))
    with pytest.raises(Refused) as refused:
        do(parts, card, FOR_MARIA)
    assert refused.value.reason == work.PLAIN
    operation = do(parts, card, FOR_MARIA._replace(plain_allowed=True))
    assert parts.store.secret(operation.op_id).credential == "a:04A1B2C3"
    owner = parts.work.look(laid(card)).owner
    assert owner is not None
    assert owner.student == "s1"
    assert do(parts, card, Wish(WIPE)).state == store.READY
    assert parts.work.look(laid(card)).owner is None


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        (PlainCard(bytes.fromhex("08A1B2C3")), work.RANDOM),
        (desfire(bytes.fromhex("08A1B2C3")), work.RANDOM),
    ],
)
@pytest.mark.parametrize("wish", [FOR_MARIA._replace(plain_allowed=True), Wish(WIPE)])
def test_random_number_is_refused(memory: Path, card: Any, reason: str, wish: Wish):
    parts = Parts(memory)
    with pytest.raises(Refused) as refused:
        do(parts, card, wish)
    assert refused.value.reason == reason
    assert parts.store.in_state(store.BEGUN) == []


def test_card_of_somebody_is_not_given_to_another(memory: Path):
    parts, card = Parts(memory), desfire()
    do(parts, card, FOR_MARIA)
    for student, reason in (("s1", work.HAS_IT), ("s2", work.TAKEN)):
        with pytest.raises(Refused) as refused:
            do(parts, card, Wish(ISSUE, student))
        assert refused.value.reason == reason


def test_card_of_another_school_is_left_alone(memory: Path):
    card = desfire()
    do(Parts(memory / "theirs", keys_text().replace("5A", "6B")), card, FOR_MARIA)
    ours = Parts(memory / "ours")
    assert ours.work.look(laid(card)).state == kinds.FOREIGN
    for wish in (FOR_MARIA, Wish(WIPE)):
        with pytest.raises(Refused) as refused:
            do(ours, card, wish)
        assert refused.value.reason == work.FOREIGN


def test_card_of_another_desk_is_given_by_what_it_proves(memory: Path):
    card = desfire()
    other = do(Parts(memory / "other"), card, FOR_MARIA)
    parts = Parts(memory / "own")
    look = parts.work.look(laid(card))
    assert (look.state, look.owner) == (kinds.ISSUED, None)
    operation = do(parts, card, Wish(ISSUE, "s2"))
    assert operation.card_ref == other.card_ref


def test_wish_for_one_card_is_not_done_to_another(memory: Path):
    parts = Parts(memory)
    first = do(parts, desfire(), FOR_MARIA)
    other = desfire(OTHER_UID)
    do(parts, other, Wish(ISSUE, "s2"))
    with pytest.raises(Refused) as refused:
        do(parts, other, Wish(WIPE, uid_ref=first.uid_ref))
    assert refused.value.reason == work.OTHER_CARD
    with pytest.raises(Refused):
        parts.work.finish(laid(other), first)


def test_tag_without_its_keys_is_not_begun(memory: Path):
    parts, card = Parts(memory, keys_text(range(4))), ntag()
    with pytest.raises(Refused) as refused:
        do(parts, card, FOR_MARIA)
    assert refused.value.reason == work.NO_KEYS


def test_begun_card_that_never_comes_back_is_dropped_and_its_turn_returns(memory: Path):
    parts, card = Parts(memory), desfire()
    parts.store.start_row("2Б", ["s1", "s2"])
    with pytest.raises(Fault):
        do(parts, card, Wish(ISSUE, "s1", place=0), 30)
    assert [each.state for each in parts.store.row()] == [store.GIVEN, store.WAITING]
    parts.work.drop(parts.store.in_state(store.BEGUN)[0])
    assert [each.state for each in parts.store.row()] == [store.WAITING, store.WAITING]
    assert parts.store.in_state(store.BEGUN) == []


def test_no_id_and_no_key_is_left_in_the_folder(memory: Path):
    parts, card = Parts(memory), desfire()
    operation = do(parts, card, FOR_MARIA)
    secret = parts.store.secret(operation.op_id)
    kept = b"".join(path.read_bytes() for path in memory.iterdir())
    for text in (secret.credential, secret.uid, secret.identity, UID.hex(), UID.hex().upper()):
        assert text.encode() not in kept
    parts.store.set_state(operation.op_id, store.ACCEPTED)
    with pytest.raises(Exception, match=operation.op_id):
        parts.store.secret(operation.op_id)
    for path in memory.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
    assert memory.stat().st_mode & 0o077 == 0
    shown = repr((parts.keys, parts.store, parts.seal, secret, parts.keys.masters))
    assert secret.uid not in shown
    assert "5A00" not in shown.upper()
