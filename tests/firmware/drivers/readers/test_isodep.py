"""ISO-DEP over an MFRC522: cards that prove themselves, that are slow, damaged, pulled away, or another's."""

from firmware.hal.chip import CARD, NOISE, RESTING, TORN, UNPROVEN
from protocols.errors import CARD_NOT_GENUINE
from tests.firmware.drivers.readers.field import TypeA
from tests.firmware.drivers.readers.rig import PROVED, UID7, bench, desfire, masters, prove_at_gate
from tests.protocols.card.virtual_card import randoms
from tests.protocols.card.virtual_desfire import VirtualDesfire


def proving(card, **changes):
    """A stand whose gate asks cards to prove themselves."""
    lying = TypeA(card.uid, card)
    for name, value in changes.items():
        setattr(lying, name, value)
    return bench(lying, prove=prove_at_gate)


def test_issued_card_proves_itself():
    stand = proving(desfire())
    assert stand.until(CARD, NOISE, TORN, UNPROVEN)[0] == CARD
    assert stand.chip.credential == PROVED
    assert set(stand.pass_ms(1000)) == {RESTING}


def test_small_frames_chains_and_pleas_for_time_change_nothing():
    for size in range(6):
        for delays in (0, 1, 3):
            stand = proving(desfire(), delays=delays, size=size)
            stand.crowd.cards[0].ats = bytes((5, 0x70 | size, 0x77, 0x40, 0x02))
            assert stand.until(CARD, NOISE, TORN, UNPROVEN)[0] == CARD, (size, delays)
            assert stand.chip.credential == PROVED


def test_card_that_only_asks_for_time_is_left():
    stand = proving(desfire(), delays=1000)
    assert stand.until(CARD, NOISE, TORN, UNPROVEN)[0] == NOISE


def test_damaged_blocks_are_repeated():
    stand = proving(desfire())
    stand.until(CARD)
    frames = stand.crowd.cards[0].frames
    for hurt in range(8, frames):

        def spoil(frame, answer, hurt=hurt):
            return (b"\x55" * len(answer[0]), False) if frame == hurt else answer

        stand = proving(desfire(), spoil=spoil)
        assert stand.until(CARD, NOISE, TORN, UNPROVEN)[0] == CARD, hurt
        assert stand.chip.credential == PROVED


def test_lost_blocks_are_said_again_by_the_rules():
    for size in (0, 5):
        stand = proving(desfire(), size=size)
        stand.crowd.cards[0].ats = bytes((5, 0x70 | size, 0x77, 0x40, 0x02))
        stand.until(CARD)
        frames = stand.crowd.cards[0].frames
        # From the first block behind RATS on; the last is the farewell.
        for lost in range(12, frames):
            stand = proving(desfire(), size=size, deaf_to=lost)
            stand.crowd.cards[0].ats = bytes((5, 0x70 | size, 0x77, 0x40, 0x02))
            assert stand.until(CARD, NOISE, TORN, UNPROVEN)[0] == CARD, (size, lost)
            assert stand.chip.credential == PROVED


def test_card_pulled_in_the_talk_is_torn_and_read_when_it_returns():
    stand = proving(desfire())
    stand.until(CARD)
    frames = stand.crowd.cards[0].frames
    for left in range(8, frames - 1):
        stand = proving(desfire(), left=left)
        assert stand.until(CARD, NOISE, TORN, UNPROVEN)[0] == TORN, left
        stand.crowd.cards[0].left = None
        assert stand.until(CARD)[0] == CARD
        assert stand.chip.credential == PROVED


def test_card_of_another_school_does_not_prove_itself():
    stand = proving(desfire(known=masters(100)))
    assert stand.until(CARD, NOISE, TORN, UNPROVEN)[0] == UNPROVEN
    assert stand.chip.credential == "a:04C767F2066180"
    assert stand.chip.fault.code == CARD_NOT_GENUINE
    assert set(stand.pass_ms(500)) == {RESTING}


def test_new_card_is_unproven_and_never_proved():
    stand = proving(VirtualDesfire(UID7, randoms(7)))
    assert stand.until(CARD, NOISE, TORN, UNPROVEN)[0] == UNPROVEN


def test_number_of_a_plain_card_is_no_proof():
    stand = bench(TypeA(UID7), prove=prove_at_gate)
    assert stand.until(CARD)[0] == CARD
    assert stand.chip.credential == "a:04C767F2066180"
