"""Wiegand in and out: on bits that come as a test says, through cut and ringing wires, and head to tail."""

import sys

from firmware.drivers.wiegand import TICK_MS, WiegandIn, WiegandOut
from firmware.hal.chip import CARD, NOISE
from protocols.card.wiegand import credential_of, frame_of
from protocols.errors import BAD_CREDENTIAL, Fault
from tests.firmware.drivers.readers.rig import Bench
from tests.protocols.card.virtual_card import randoms

CARDS = ("w26:D41B81", "w34:89D41B81", "w37:0123456FF")


class Wires:
    """D0 and D1; keeps hal/bus.DataLines.  `cut`: the line that is broken, or None."""

    def __init__(self):
        self.cut = None
        self.on_bit = None

    def listen(self, on_bit):
        self.on_bit = on_bit

    def pulse(self, bit):
        if bit != self.cut:
            self.on_bit(bit)


def bench():
    wires = Wires()
    stand = Bench(lambda clock: WiegandIn(wires, clock))
    stand.wires = wires
    return stand


def send(stand, frame, length, gap_ms=2, together=1):
    """Bits on the wires, `together` of them in the time of one gap; results meanwhile."""
    for place in range(length):
        stand.wires.pulse(frame >> (length - 1 - place) & 1)
        if place % together == together - 1:
            stand.pass_ms(gap_ms)


def told(stand, frame, length, **how):
    """What came of one frame."""
    count = len(stand.results)
    send(stand, frame, length, **how)
    stand.pass_ms(100)
    return stand.results[count:]


def test_frame_of_the_makers_manual_is_a_card():
    # 26 bits of civintec's manual: D4 1B 81 with its two parities.
    stand = bench()
    assert told(stand, int("11101010000011011100000010", 2), 26) == [CARD]
    assert stand.chip.credential == "w26:D41B81"


def test_each_length_at_each_speed_is_a_card():
    for card in CARDS:
        for gap_ms, together in ((1, 8), (1, 2), (1, 1), (2, 1), (5, 1), (20, 1)):
            stand = bench()
            frame, length = frame_of(card)
            assert told(stand, frame, length, gap_ms=gap_ms, together=together) == [CARD], (card, gap_ms)
            assert stand.chip.credential == card


def test_every_wrong_bit_is_noise():
    for card in CARDS:
        frame, length = frame_of(card)
        for place in range(length):
            stand = bench()
            assert told(stand, frame ^ 1 << place, length) == [NOISE]
            assert stand.chip.frames_bad == 1


def test_every_other_length_is_noise():
    for length in range(1, 129):
        stand = bench()
        if length not in (26, 34, 37):
            assert told(stand, (1 << length) - 1, length, gap_ms=1, together=8) == [NOISE], length


def test_line_that_babbles_is_noise_and_the_next_card_is_read():
    stand = bench()
    assert told(stand, (1 << 1000) - 1, 1000, gap_ms=1, together=8) == [NOISE]
    frame, length = frame_of(CARDS[0])
    assert told(stand, frame, length) == [CARD]


def test_cut_wire_is_noise():
    for cut in (0, 1):
        stand = bench()
        stand.wires.cut = cut
        frame, length = frame_of(CARDS[1])
        assert told(stand, frame, length) == [NOISE]


def test_two_cards_without_a_pause_are_noise():
    stand = bench()
    frame, length = frame_of(CARDS[0])
    send(stand, frame, length)
    assert told(stand, frame, length) == [NOISE]


def test_cards_one_after_another_are_each_read():
    stand = bench()
    for card in CARDS * 20:
        frame, length = frame_of(card)
        assert told(stand, frame, length, gap_ms=1) == [CARD]
        assert stand.chip.credential == card


def test_silence_is_no_result():
    assert bench().pass_ms(5000) == []


def test_random_bits_are_cards_only_by_their_parities():
    draw = randoms(5)
    taken = 0
    for _ in range(400):
        length = 24 + draw(1)[0] % 16
        frame = int.from_bytes(draw(6), "big") & ((1 << length) - 1)
        stand = bench()
        found = told(stand, frame, length, gap_ms=1, together=8)
        half = {26: 13, 34: 17, 37: 19}.get(length, 0)
        ones = [frame >> place & 1 for place in range(length)]
        # The last half has an odd number of ones with its bit, the first an even one.
        right = half and sum(ones[:half]) % 2 == 1 and sum(ones[-half:]) % 2 == 0
        assert found == [CARD if right else NOISE], (length, frame)
        taken += bool(right)
    assert taken


def test_interrupt_makes_no_object():
    stand = bench()
    handler = stand.wires.on_bit
    if sys.implementation.name == "micropython":
        import micropython

        micropython.heap_lock()
        try:
            for _ in range(1000):
                handler(1)
        finally:
            micropython.heap_unlock()
    # The count of bits goes round where a chip would need an object for a larger one.
    chip = stand.chip
    chip._head = chip._tail = chip._seen = 0x3FFFFFFF - 10
    frame, length = frame_of(CARDS[2])
    assert told(stand, frame, length) == [CARD]
    assert stand.chip.credential == CARDS[2]
    assert chip._head < 100


def out(stand, length, is_reversed=False):
    return WiegandOut(stand.wires, length, is_reversed)


def play(stand, panel, ticks=200):
    """The port's timer."""
    count = len(stand.results)
    for _ in range(ticks):
        panel.tick()
        stand.pass_ms(TICK_MS)
    return stand.results[count:]


def test_what_goes_out_comes_in():
    for card in CARDS:
        stand = bench()
        panel = out(stand, int(card[1:3]))
        assert panel.send(card)
        assert not panel.send(card)
        assert play(stand, panel) == [CARD]
        assert stand.chip.credential == card
        assert panel.send(card)


def test_longer_numbers_go_out_as_what_panels_know_of_them():
    stand = bench()
    for credential, length, is_reversed, expected in (
        ("a:04A1B2C3", 34, False, "w34:04A1B2C3"),
        ("a:04A1B2C3", 34, True, "w34:C3B2A104"),
        ("a:04A1B2C3", 26, False, "w26:A1B2C3"),
        ("em:01026F6C3A", 26, False, "w26:6F6C3A"),
        ("em:01026F6C3A", 34, False, "w34:026F6C3A"),
    ):
        panel = out(stand, length, is_reversed)
        panel.send(credential)
        assert play(stand, panel) == [CARD]
        assert stand.chip.credential == expected
    assert refusal_of(out(stand, 37), "a:04A1B2C3") == BAD_CREDENTIAL
    assert refusal_of(out(stand, 26), "app:4B4B01:0011223344556677") == BAD_CREDENTIAL


def refusal_of(panel, credential):
    """The number of the Fault that send() raises, or 0."""
    try:
        panel.send(credential)
    except Fault as fault:
        return fault.code
    return 0


def test_timer_makes_no_object():
    stand = bench()
    panel = out(stand, 26)
    panel.send(CARDS[0])
    sent = bytearray(64)
    count = [0]

    class Counting:
        def pulse(self, bit):
            sent[count[0]] = bit
            count[0] += 1

    panel._lines = Counting()
    if sys.implementation.name == "micropython":
        import micropython

        micropython.heap_lock()
    try:
        for _ in range(100):
            panel.tick()
    finally:
        if sys.implementation.name == "micropython":
            micropython.heap_unlock()
    assert count[0] == 26
    frame = 0
    for bit in sent[:26]:
        frame = frame << 1 | bit
    assert credential_of(frame, 26) == CARDS[0]
