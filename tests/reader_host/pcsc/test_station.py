"""Cards on a real pcscd: what they are, how they come and go, and what a pulled card does."""

from __future__ import annotations

import secrets

import pytest

from protocols import errors
from protocols.card import application, tag
from protocols.card.application import GATE, Masters
from reader_host.pcsc import kinds, station
from tests.fixtures.pcsc import NAME, PlainCard, VirtualSlot
from tests.protocols.card.virtual_desfire import VirtualDesfire
from tests.protocols.card.virtual_ntag import VirtualNtag

UID = bytes.fromhex("04C767F2066180")
MASTERS = Masters({(role, 1): bytes((role, 7)) * 8 for role in range(6)})

pytestmark = pytest.mark.pcsc


def reader() -> str:
    return next(name for name in station.reader_names() if NAME in name)


def look() -> kinds.Seen:
    with station.card_on(reader()) as card:
        return kinds.look(card, MASTERS, secrets.token_bytes)


def test_card_monitor_sees_cards_come_and_go(slot: VirtualSlot):
    with station.Watch() as watch:
        slot.lay(PlainCard(UID))
        came = watch.next(20)
        slot.pull()
        went = watch.next(20)
    assert came is not None
    assert went is not None
    assert (came.is_there, went.is_there) == (True, False)
    assert NAME in came.reader


@pytest.mark.parametrize("is_ev1", [True, False])
def test_desfire_is_issued_and_known(slot: VirtualSlot, is_ev1: bool):
    slot.lay(VirtualDesfire(UID, secrets.token_bytes, is_ev1))
    seen = look()
    assert (seen.kind, seen.state, seen.is_clonable) == (kinds.DESFIRE, kinds.NEW, True)
    assert seen.name.endswith("EV1" if is_ev1 else "EV2")
    with station.card_on(reader()) as card:
        made = card.hold(application.issue(card.uid, b"\x01" * 8, MASTERS, secrets.token_bytes))
    seen = look()
    assert (seen.state, seen.credential, seen.is_clonable) == (kinds.ISSUED, made, False)
    assert seen.shown == "a:04C767F2066180"


def test_ntag_is_issued_and_known(slot: VirtualSlot):
    slot.lay(VirtualNtag(UID, secrets.token_bytes))
    assert look().state == kinds.NEW
    with station.card_on(reader()) as card:
        made = card.hold(tag.issue(card.uid, MASTERS, secrets.token_bytes))
    seen = look()
    assert (seen.kind, seen.state, seen.credential) == (kinds.NTAG, kinds.ISSUED, made)


@pytest.mark.parametrize("uid", ["04A1B2C3", "04A1B2C3D4E5F6"])
def test_plain_card_is_a_number(slot: VirtualSlot, uid: str):
    slot.lay(PlainCard(bytes.fromhex(uid)))
    seen = look()
    assert (seen.kind, seen.credential, seen.is_clonable) == (kinds.PLAIN, f"a:{uid}", True)


def test_empty_reader_and_no_reader_are_told_apart(slot: VirtualSlot):
    with pytest.raises(errors.Fault) as gone, station.card_on(reader()):
        pass
    assert gone.value.code == errors.CARD_GONE
    with pytest.raises(errors.Fault) as dead, station.card_on("no such reader"):
        pass
    assert dead.value.code == errors.READER_DEAD


def test_card_pulled_away_in_the_middle_is_finished(slot: VirtualSlot):
    card = VirtualDesfire(UID, secrets.token_bytes)
    for count in (3, 9, 15, 22):
        slot.lay(card, apdus_left=count)
        with pytest.raises(errors.Fault) as gone, station.card_on(reader()) as laid:
            laid.hold(application.issue(laid.uid, b"\x02" * 8, MASTERS, secrets.token_bytes))
        assert gone.value.code == errors.CARD_GONE
        slot.pull()
    slot.lay(card)
    with station.card_on(reader()) as laid:
        made = laid.hold(application.issue(laid.uid, b"\x02" * 8, MASTERS, secrets.token_bytes))
        assert laid.hold(application.identify(laid.uid, GATE, MASTERS.of, secrets.token_bytes)) == made
