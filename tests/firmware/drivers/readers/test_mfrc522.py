"""MFRC522: on a script of transactions, and against a model of the chip with cards before it."""

import gc
import sys

from firmware.drivers.mfrc522 import Mfrc522
from firmware.hal.chip import CARD, DEAD, NOISE, NOTHING, REMOVED, RESTING, SEVERAL, TORN
from tests.firmware.drivers.readers.field import TypeA, crc_a
from tests.firmware.drivers.readers.rig import UID4, UID7, UID10, bench
from tests.firmware.parts import RigClock


class Script:
    """A bus that knows what is coming: pairs of bytes that go out and bytes that come in."""

    def __init__(self, *lines):
        self.lines = list(lines)

    def exchange(self, outgoing, incoming):
        expected, answer = self.lines.pop(0)
        assert bytes(outgoing) == bytes.fromhex(expected), bytes(outgoing)
        for place, value in enumerate(bytes.fromhex(answer)):
            incoming[place] = value


def test_start_and_empty_poll_go_over_the_bus_as_written():
    # The address is shifted left by one, bit 7 reads (8.1.2.3): soft reset, then the settings.
    start = ["020F", "2400", "2600", "5480", "56A9", "2A40", "223D", "4C60", "2883"]
    look = ("88 8C 94 98 A8 EE 00", "00 00 00 00 10 83 92")
    poll = ["0200", "5800", "5A28", "087F", "1480", "1252", "1A07", "020C", "1A87"]
    bus = Script(*[(line, "") for line in start], look, *[(line, "") for line in poll])
    clock = RigClock()
    chip = Mfrc522(bus, clock)
    chip.poll()
    clock.pass_ms(50)
    chip.poll()
    clock.pass_ms(6)
    assert chip.poll() == 0
    assert bus.lines == []
    bus.lines = [("88 8C 94 98 A8 EE 00", "00 45 00 00 10 83 92")]
    clock.pass_ms(2)
    assert chip.poll() == NOTHING
    # From the second on the timer keeps its value: 8 transactions, 8 looks a second and more.
    del poll[1:3]
    bus.lines = [(line, "") for line in poll]
    clock.pass_ms(49)
    chip.poll()
    assert len(bus.lines) == 7
    clock.pass_ms(1)
    chip.poll()
    assert bus.lines == []


def test_empty_field_is_nothing():
    stand = bench()
    assert set(stand.pass_ms(2000)) == {NOTHING}
    count, before = len(stand.results), stand.model.transactions
    stand.pass_ms(1000)
    rounds = len(stand.results) - count
    assert rounds >= 15
    assert stand.model.transactions - before <= 8 * (rounds + 1)


def test_number_of_each_size_is_read():
    for uid, text in ((UID4, "a:0F569FAB"), (UID7, "a:04C767F2066180"), (UID10, "a:0411223344556677889A")):
        stand = bench(TypeA(uid))
        assert stand.until(CARD, NOISE, TORN)[0] == CARD
        assert stand.chip.credential == text
        assert set(stand.pass_ms(1000)) == {RESTING}


def test_card_is_read_within_a_tenth_of_a_second():
    stand = bench()
    stand.pass_ms(500)
    stand.crowd.lay(TypeA(UID7))
    assert stand.until(CARD)[1] < 100


def test_card_that_goes_is_removed_and_the_next_is_read():
    first, second = TypeA(UID4), TypeA(UID7)
    stand = bench(first)
    stand.until(CARD)
    stand.until(RESTING)
    stand.crowd.take(first)
    assert stand.until(REMOVED, RESTING)[1] < 400
    assert stand.until(NOTHING)[0] == NOTHING
    stand.crowd.lay(second)
    stand.until(CARD)
    assert stand.chip.credential == "a:04C767F2066180"


def test_card_put_in_place_of_another_is_read():
    first, second = TypeA(UID7), TypeA(UID10)
    stand = bench(first)
    stand.until(RESTING)
    stand.crowd.take(first)
    stand.crowd.lay(second)
    assert stand.until(REMOVED, CARD)[0] == REMOVED
    assert stand.until(CARD)[0] == CARD
    assert stand.chip.credential == "a:0411223344556677889A"


def test_two_cards_are_several_whatever_their_numbers():
    pairs = [
        (UID4, bytes.fromhex("0F569FAC")),
        (UID4, UID7),
        # The first level is the same: only the second tells them apart.
        (UID7, UID7[:3] + b"\x01\x02\x03\x04"),
        (UID10, UID10[:6] + b"\x01\x02\x03\x04"),
    ]
    for first, second in pairs:
        stand = bench(TypeA(first), TypeA(second))
        found = stand.pass_ms(1000)
        assert set(found) == {SEVERAL}, found
        # One of them goes, the other is read.
        stand.crowd.take(stand.crowd.cards[0])
        assert stand.until(CARD, limit_ms=500)[0] == CARD


def test_strong_card_does_not_hide_a_weak_one():
    stand = bench(TypeA(UID7, strength=2), TypeA(UID4))
    assert set(stand.pass_ms(500)) == {SEVERAL}


def test_same_number_twice_is_one_card():
    # Nobody can tell two copies apart: they answer bit for bit the same.
    assert bench(TypeA(UID4), TypeA(UID4)).until(CARD, SEVERAL)[0] == CARD


def test_card_pulled_at_any_frame_is_never_a_card():
    whole = TypeA(UID7)
    stand = bench(whole)
    stand.until(CARD)
    needed = whole.frames
    for frames in range(needed):
        card = TypeA(UID7)
        card.left = frames
        stand = bench(card)
        found = stand.pass_ms(400)
        if frames == 0:
            assert set(found) == {NOTHING}
        elif frames < 5:
            # Up to the last SAK nothing is known of it.
            assert found[0] == TORN, (frames, found)
            assert CARD not in found, (frames, found)
    card.left = None
    assert stand.until(CARD)[0] == CARD


def test_bytes_that_are_no_card_are_noise():
    rubbish = [(b"\x04\x00", 0, 0x02), (b"\x04", 0, 0x01), (b"", 0, 0x01), (b"\x04\x00\x07", 0, 0x00, 3)]
    for each in rubbish:
        stand = bench()
        stand.crowd.noise = lambda heard, each=each: each
        assert set(stand.pass_ms(1000)) == {NOISE}
        stand.crowd.noise = None
        assert stand.until(NOTHING, limit_ms=300)[0] == NOTHING


def test_wrong_check_byte_checksum_or_cascade_is_never_a_card():
    def flip(frame, place):
        def spoil(now, answer):
            if now != frame:
                return answer
            data = bytearray(answer[0])
            data[min(place, len(data) - 1)] ^= 0x04
            return bytes(data), answer[1]

        return spoil

    for frame in (2, 3, 4, 5):
        for place in range(5):
            card = TypeA(UID7)
            card.spoil = flip(frame, place)
            stand = bench(card)
            found = stand.until(CARD, NOISE, TORN)[0]
            # The second try is clean, so a card may be read; a wrong number never.
            assert found != CARD or stand.chip.credential == "a:04C767F2066180", (frame, place)


def test_answer_changed_on_its_way_is_noise():
    def hurt(size, place):
        def noise(heard):
            if heard is None or len(heard) != size:
                return None if heard is None else (heard, 0)
            data = bytearray(heard)
            data[place] ^= 0x10
            return bytes(data), 0

        return noise

    # The check byte of a number, each byte of SAK and its checksum.
    for size, places in ((5, range(4, 5)), (3, range(3))):
        for place in places:
            stand = bench(TypeA(UID4))
            stand.crowd.noise = hurt(size, place)
            assert set(stand.pass_ms(600)) == {NOISE}, (size, place)


def test_number_that_is_not_whole_is_noise():
    # SAK says that more follows, and there is no cascade tag.
    assert set(bench(TypeA(UID4, sak=0x0C)).pass_ms(600)) == {NOISE}


def test_single_bad_frame_is_repeated():
    def spoil(frame, answer):
        return (b"\x00" * len(answer[0]), answer[1]) if frame == 3 else answer

    card = TypeA(UID7)
    card.spoil = spoil
    assert bench(card).until(CARD, NOISE, TORN)[0] == CARD


def test_dead_reader_is_told_within_five_seconds_and_comes_back():
    for floating in (0x00, 0xFF):
        stand = bench(power=True)
        stand.until(NOTHING)
        stand.model.is_dead = True
        stand.model.floating = floating
        assert stand.until(DEAD)[1] < 1000
        assert set(stand.pass_ms(5000)) == {DEAD}
        stand.model.is_dead = False
        stand.model.power_on()
        stand.crowd.lay(TypeA(UID4))
        assert stand.until(CARD)[1] < 2000


def test_reader_that_was_never_there_is_dead():
    stand = bench()
    stand.model.is_dead = True
    assert stand.until(DEAD)[1] < 1000


def test_chip_that_lost_its_settings_is_set_up_again_and_takes_no_card_twice():
    card = TypeA(UID4)
    stand = bench(card, power=True)
    stand.until(RESTING)
    for _ in range(5):
        stand.model.power_on()
        assert set(stand.pass_ms(1000)) == {RESTING}
    stand.model.is_dead = True
    stand.until(DEAD)
    stand.model.is_dead = False
    assert stand.until(CARD, RESTING)[0] == RESTING
    stand.crowd.take(card)
    stand.until(REMOVED)
    stand.crowd.lay(card)
    assert stand.until(CARD)[0] == CARD


def test_card_at_the_edge_of_the_field_is_one_tap():
    card = TypeA(UID7)
    stand = bench(card)
    stand.until(CARD)
    for away_ms in range(10, 200, 7):
        stand.pass_ms(300)
        stand.crowd.take(card)
        stand.pass_ms(away_ms)
        stand.crowd.lay(card)
    assert stand.results.count(CARD) == 1
    assert REMOVED not in stand.results


def test_antenna_that_the_chip_turned_off_comes_back():
    # As it does by itself when it is too hot: version, timer and all else are as before.
    stand = bench()
    stand.until(NOTHING)
    stand.model.write(0x14, 0x80)
    stand.crowd.lay(TypeA(UID4))
    assert stand.until(CARD)[1] < 500


def test_chip_that_hangs_is_dead_and_comes_back():
    stand = bench()
    stand.until(NOTHING)
    stand.model.hangs = True
    assert stand.until(DEAD)[1] < 2000
    stand.model.hangs = False
    assert stand.until(NOTHING)[1] < 2000


def test_clone_of_the_chip_is_taken():
    for version in (0x88, 0x91, 0xB2, 0x12):
        assert bench(TypeA(UID4), version=version).until(CARD, DEAD)[0] == CARD


class Quiet:
    """A chip that makes no object: it gives the same look for ever."""

    def __init__(self, look):
        self.look = bytes.fromhex(look)

    def exchange(self, outgoing, incoming):
        if len(incoming) == 7:
            for place in range(7):
                incoming[place] = self.look[place]


class QuietCard:
    """A chip with one card before it that makes no object either: each answer lies ready."""

    def __init__(self):
        self.answer = b""
        self.answers = {
            0x52: b"\x04\x00",
            0x20: UID4 + bytes((UID4[0] ^ UID4[1] ^ UID4[2] ^ UID4[3],)),
            0x70: b"\x08" + crc_a(b"\x08"),
        }

    def exchange(self, outgoing, incoming):
        if outgoing[0] == 0x12:
            key = outgoing[2] if outgoing[1] == 0x93 else outgoing[1]
            self.answer = self.answers.get(key, b"")
        elif len(incoming) == 7:
            incoming[1] = 0x30 if self.answer else 0x01
            incoming[2] = incoming[4] = 0
            incoming[3] = len(self.answer)
            incoming[5] = 0x83
            incoming[6] = 0x92
        elif outgoing[0] == 0x92:
            for place in range(len(self.answer)):
                incoming[place + 1] = self.answer[place]


class Tick:
    """A clock that makes no object."""

    now = 0

    def uptime(self):
        return self.now

    def uptime_elapsed(self, later, earlier):
        return later - earlier


def test_poll_of_an_empty_field_makes_no_object():
    clock = Tick()
    check_quiet(Mfrc522(Quiet("00 45 00 00 10 83 92"), clock), clock, NOTHING)


def test_poll_of_a_resting_card_makes_no_object():
    clock = Tick()
    check_quiet(Mfrc522(QuietCard(), clock), clock, RESTING)


def check_quiet(chip, clock, wanted):
    """Hundreds of rounds with one result and not one object."""
    assert run_quietly(chip, clock, 400, wanted) >= 40
    if sys.implementation.name != "micropython":
        return
    import micropython

    gc.collect()
    before = gc.mem_alloc()
    micropython.heap_lock()
    try:
        # With the heap locked any object, also one given back at once, is a MemoryError.
        rounds = run_quietly(chip, clock, 4000, wanted)
    finally:
        micropython.heap_unlock()
    assert rounds >= 400
    assert gc.mem_alloc() == before


def run_quietly(chip, clock, polls, wanted):
    """How many rounds ended as wanted."""
    rounds = 0
    for _ in range(polls):
        if chip.poll() == wanted:
            rounds += 1
        clock.now += chip.wait_ms
    return rounds
