"""New keys for a card in place: whose it is stays, it can be cut off anywhere, the desk's keys may change."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from protocols.card.application import CANTEEN, GATE
from protocols.errors import CARD_GONE, Fault
from reader_host.desk import keys as desk_keys
from reader_host.desk import owners, store, work
from reader_host.desk.keys import BadKeys
from reader_host.desk.seal import Seal
from reader_host.desk.store import ISSUE, RENEW, WIPE
from reader_host.desk.work import Refused, Wish
from reader_host.pcsc import kinds
from tests.reader_host.desk.parts import NOW, FakeCloud, Parts, desfire, keys_text, laid, ntag
from tests.reader_host.desk.test_owners import given_elsewhere, line, refusal, told
from tests.reader_host.desk.test_sender import sender_of
from tests.reader_host.desk.test_work import CARDS, FOR_MARIA, do, go_on, proved

RENEWAL = Wish(RENEW)


def version_text(*versions: int, **more: Any) -> str:
    """A file of keys with these versions of every role."""
    whole = json.loads(keys_text(**more))
    whole["masters"] = [
        {"role": role, "version": version, "key": f"{role:02X}{version:02X}" * 8}
        for version in versions
        for role in range(6)
    ]
    return json.dumps(whole)


def with_keys(parts: Parts, folder: Path, *versions: int) -> Parts:
    """The same desk after a start with a file of these versions beside what it has."""
    parts.store.close()
    seal = Seal(folder)
    if desk_keys.kept(seal) is None:
        seal.write(desk_keys.FILE, version_text(1).encode())
    given = folder / "given.json"
    given.write_text(version_text(*versions))
    desk_keys.take_in(seal, given)
    held = seal.read(desk_keys.FILE)
    assert held is not None
    return Parts(folder, held.decode(), parts.random_bytes)


def issued(folder: Path, card: Any) -> tuple[Parts, str]:
    """(the desk with keys of two versions, the credential of a card that it gave under the first)."""
    parts = Parts(folder, version_text(1))
    secret = parts.store.secret(do(parts, card, FOR_MARIA).op_id)
    return with_keys(parts, folder, 1, 2), secret.credential


def each_cut(folder: Path, parts: Parts, card: Any, wish: Wish) -> Iterator[tuple[Parts, Path, Any]]:
    """(desk, its folder, card) as they are after the work was cut off at each APDU in turn."""
    parts.store.close()
    text = (parts.seal.read(desk_keys.FILE) or version_text(1).encode()).decode()
    start = copy.deepcopy(card)
    for count in range(200):
        now = folder.with_name(f"{folder.name}-{count}")
        shutil.copytree(folder, now)
        desk, one = Parts(now, text, parts.random_bytes), copy.deepcopy(start)
        try:
            do(desk, one, wish, count)
            return
        except Fault as fault:
            if fault.code != CARD_GONE:
                raise
            yield desk, now, one
        finally:
            desk.store.close()
            shutil.rmtree(now)


@pytest.mark.parametrize("kind", CARDS)
def test_renewed_card_is_whose_it_was_under_the_newest_keys(memory: Path, kind: str):
    card = CARDS[kind]()
    parts, credential = issued(memory, card)
    look = parts.work.look(laid(card))
    assert look.seen.keys == kinds.OLD
    assert refusal(parts, card, FOR_MARIA) == work.HAS_IT
    done = do(parts, card, RENEWAL)
    assert (done.state, done.op, done.student, done.key_version) == (store.READY, RENEW, "s1", 2)
    look = parts.work.look(laid(card))
    assert (look.state, look.seen.keys) == (kinds.ISSUED, kinds.CURRENT)
    assert look.owner is not None
    assert (look.owner.student, look.owner.state) == ("s1", owners.OPEN)
    # Gates and canteens that have only the newest read it.
    alone = Parts(memory / "alone", version_text(2), parts.random_bytes)
    assert proved(alone, card, GATE) == proved(alone, card, CANTEEN) == credential
    assert refusal(parts, card, RENEWAL) == work.NOT_OLD


@pytest.mark.parametrize("kind", CARDS)
def test_renewing_cut_at_every_apdu_opens_doors_all_along_and_goes_on(memory: Path, kind: str):
    card, cuts = CARDS[kind](), 0
    first, credential = issued(memory / "desk", card)
    for parts, folder, one in each_cut(memory / "desk", first, card, RENEWAL):
        # Whoever is hungry now is known, whichever keys are on it.
        assert proved(parts, one, GATE) == proved(parts, one, CANTEEN) == credential
        begun = parts.store.in_state(store.BEGUN)
        if not begun:
            assert parts.work.look(laid(one)).seen.keys == kinds.OLD
            continue
        cuts += 1
        operation = go_on(with_keys(parts, folder, 2), one)
        assert (operation.op_id, operation.state, operation.key_version) == (begun[0].op_id, store.READY, 2)
        alone = Parts(folder / "alone", version_text(2), parts.random_bytes)
        assert proved(alone, one, GATE) == proved(alone, one, CANTEEN) == credential
    assert cuts > 25


@pytest.mark.parametrize("kind", CARDS)
@pytest.mark.parametrize("drops", [True, False])
def test_renewing_cut_at_every_apdu_can_be_given_up_and_wiped(memory: Path, kind: str, drops: bool):
    card, cuts = CARDS[kind](), 0
    first, _credential = issued(memory / "desk", card)
    for parts, _folder, one in each_cut(memory / "desk", first, card, RENEWAL):
        begun = parts.store.in_state(store.BEGUN)
        cuts += len(begun)
        for each in begun if drops else ():
            parts.work.drop(each)
        wiped = do(parts, one, Wish(WIPE))
        # The cloud knows this card, so it hears that it is nobody's now; nothing else is told.
        assert (wiped.state, wiped.student) == (store.READY, "s1")
        assert [each.op for each in parts.store.in_state(store.READY)] == [ISSUE, WIPE]
        assert parts.work.look(laid(one)).state == work.WIPED
    assert cuts > 25


@pytest.mark.parametrize("kind", ["desfire", "ntag"])
@pytest.mark.parametrize("wish", [FOR_MARIA, RENEWAL, Wish(WIPE)], ids=lambda wish: wish.op)
def test_work_cut_at_every_apdu_is_finished_with_keys_that_came_between(memory: Path, kind: str, wish: Wish):
    """Even of a file that does not have the versions any more which are on the card."""
    card, cuts = CARDS[kind](), 0
    first = Parts(memory / "desk", version_text(1))
    if wish.op != ISSUE:
        first.store.close()
        first, _credential = issued(memory / "desk", card)
    for parts, folder, one in each_cut(memory / "desk", first, card, wish):
        begun = parts.store.in_state(store.BEGUN)
        if not begun:
            continue
        cuts += 1
        parts = with_keys(parts, folder, 3)
        assert parts.work.look(laid(one)).state != kinds.FOREIGN
        done = go_on(parts, one)
        assert (done.op_id, done.state) == (begun[0].op_id, store.READY)
        if wish.op == WIPE:
            assert parts.work.look(laid(one)).state == work.WIPED
        else:
            assert done.key_version == 3
            alone = Parts(folder / "alone", version_text(3), parts.random_bytes)
            assert proved(alone, one, GATE) == parts.store.secret(done.op_id).credential
    assert cuts > 10


@pytest.mark.parametrize("kind", ["desfire", "ntag"])
def test_wiping_cut_at_every_apdu_is_finished_at_another_desk(memory: Path, kind: str):
    """A desk that has never seen the card wipes it, or gives it."""
    card, cuts = CARDS[kind](), 0
    first, _credential = issued(memory / "desk", card)
    for parts, folder, one in each_cut(memory / "desk", first, card, Wish(WIPE)):
        cuts += 1
        other = Parts(folder / "other", version_text(1, 2), parts.random_bytes)
        twin = copy.deepcopy(one)
        assert other.work.look(laid(one)).state != kinds.FOREIGN
        do(other, one, Wish(WIPE))
        assert other.work.look(laid(one)).state == work.WIPED
        assert do(other, twin, Wish(ISSUE, "s2")).state == store.READY
        assert other.work.look(laid(twin)).state == kinds.ISSUED
    assert cuts > 20


def test_older_file_takes_no_key_away(memory: Path):
    card = desfire()
    parts, _credential = issued(memory, card)
    do(parts, card, RENEWAL)
    parts = with_keys(parts, memory, 1)
    assert parts.keys.masters.newest(GATE)[0] == 2
    assert parts.work.look(laid(card)).seen.keys == kinds.CURRENT


def test_other_key_of_the_same_version_is_refused_and_nothing_is_taken_in(memory: Path):
    seal, given = Seal(memory), memory / "given.json"
    given.write_text(version_text(1, token="the desk's"))
    desk_keys.take_in(seal, given)
    before = seal.read(desk_keys.FILE)
    other = json.loads(version_text(1, 2))
    other["masters"][1]["key"] = "77" * 16
    given.write_text(json.dumps(other))
    with pytest.raises(BadKeys, match="version 1 of role 1") as bad:
        desk_keys.take_in(seal, given)
    assert "77" not in str(bad.value)
    assert seal.read(desk_keys.FILE) == before
    # Another school's file has nothing to do with these keys.
    given.write_text(json.dumps({**other, "school": "0badc0de"}))
    taken = desk_keys.take_in(seal, given)
    assert (taken.school, taken.token) == ("0badc0de", "")


@pytest.mark.parametrize("wish", [FOR_MARIA, RENEWAL, Wish(WIPE)])
@pytest.mark.parametrize("known", [True, False])
def test_card_with_keys_that_the_desk_has_not_is_left_alone(memory: Path, wish: Wish, known: bool):
    card = desfire()
    newer = Parts(memory / "newer", version_text(2))
    secret = newer.store.secret(do(newer, card, FOR_MARIA).op_id)
    parts = Parts(memory / "own", version_text(1))
    told(parts, *([line(parts, secret.credential, "s1", secret.uid)] if known else []))
    assert parts.work.look(laid(card)).state == kinds.FOREIGN
    # That it is one of ours is known by its number; else it could be any school's.
    assert refusal(parts, card, wish) == (work.NEWER if known else work.FOREIGN)


@pytest.mark.parametrize("wish", [FOR_MARIA, RENEWAL, Wish(WIPE)])
def test_card_with_one_newer_key_is_not_begun(memory: Path, wish: Wish):
    """Rotated for canteens alone: a gate's key would let it pass, and the work would end in the middle."""
    card = desfire()
    whole = json.loads(version_text(1))
    whole["masters"].append({"role": CANTEEN, "version": 2, "key": "33" * 16})
    newer = Parts(memory / "newer", json.dumps(whole))
    do(newer, card, FOR_MARIA)
    parts = Parts(memory / "own", version_text(1))
    look = parts.work.look(laid(card))
    assert (look.state, look.seen.keys) == (kinds.ISSUED, kinds.NEWER)
    assert refusal(parts, card, wish) == work.NEWER


def test_card_of_another_desk_is_renewed_and_one_of_nobody_is_given(memory: Path):
    card = desfire()
    parts = Parts(memory / "own", keys_text())
    known = given_elsewhere(parts, memory, card)
    parts = with_first_keys(parts, memory / "own")
    told(parts)
    assert refusal(parts, card, RENEWAL) == work.NOBODYS
    told(parts, known)
    assert do(parts, card, RENEWAL).student == "s1"


def with_first_keys(parts: Parts, folder: Path) -> Parts:
    """The keys of keys_text(), and a second version of the gates' key."""
    parts.store.close()
    whole = json.loads(keys_text())
    whole["masters"].append({"role": GATE, "version": 2, "key": "22" * 16})
    return Parts(folder, json.dumps(whole), parts.random_bytes)


def test_tag_without_its_keys_at_this_desk_is_not_renewed(memory: Path):
    card = ntag()
    parts, _credential = issued(memory / "a", card)
    whole = json.loads(version_text(1, 2))
    whole["masters"] = [each for each in whole["masters"] if each["role"] < 4]
    lacking = Parts(memory / "a", json.dumps(whole), parts.random_bytes)
    assert lacking.work.look(laid(card)).seen.keys == ""
    assert refusal(lacking, card, RENEWAL) == work.NOT_OLD


def test_card_that_was_wiped_elsewhere_has_nothing_left_to_renew(memory: Path):
    card = desfire()
    parts, _credential = issued(memory, card)
    with pytest.raises(Fault):
        do(parts, card, RENEWAL, 40)
    assert parts.store.in_state(store.BEGUN)
    elsewhere = Parts(memory / "other", version_text(1, 2), parts.random_bytes)
    do(elsewhere, card, Wish(WIPE))
    with pytest.raises(Refused, match=work.OTHER_CARD):
        go_on(parts, card)
    assert parts.store.in_state(store.BEGUN) == []
    told(parts)
    assert do(parts, card, Wish(ISSUE, "s2")).state == store.READY


def test_cloud_hears_of_the_version_that_is_on_the_card(memory: Path, cloud: FakeCloud):
    card = desfire()
    parts, credential = issued(memory, card)
    with pytest.raises(Fault):
        do(parts, card, RENEWAL, 40)
    assert parts.store.in_state(store.BEGUN)[0].key_version == 2
    parts = with_keys(parts, memory, 3)
    go_on(parts, card)
    sender_of(parts, cloud).turn()
    renewed = cloud.received[-1]
    assert [renewed[name] for name in ("op", "student", "credential", "kind", "key_version", "at")] == [
        RENEW, "s1", credential, None, 3, NOW,
    ]  # fmt: skip
    # Accepted, and no giving: the card is still whose it was.
    found = parts.work.look(laid(card)).owner
    assert found is not None
    assert (found.student, found.op) == ("s1", ISSUE)


@pytest.mark.parametrize(("kind", "expected"), [("desfire", 64), ("ntag", 67)])
def test_apdus_of_a_renewal_at_the_desk(memory: Path, kind: str, expected: int):
    """As docs/security/cards.md has them: every key anew, and all looking and reading back included."""
    card = CARDS[kind]()
    parts, _credential = issued(memory, card)
    heard = 0
    on_reader = laid(card)
    exchange = on_reader.exchange

    def count(apdu: bytes) -> bytes:
        nonlocal heard
        heard += 1
        return exchange(apdu)

    on_reader.exchange = count
    parts.work.finish(on_reader, parts.work.begin(RENEWAL, parts.work.look(on_reader)))
    assert heard == expected
