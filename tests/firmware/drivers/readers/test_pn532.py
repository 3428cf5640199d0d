"""PN532: on a script of frames, and against a model of the chip with cards before it, over SPI and serial."""

from firmware.drivers.pn532 import FRAME_MAX, Pn532, frame
from firmware.drivers.pn532_serial import SerialFrames
from firmware.drivers.pn532_spi import SpiFrames
from firmware.hal.chip import CARD, DEAD, NOISE, NOTHING, REMOVED, RESTING, SEVERAL, TORN, UNPROVEN
from protocols.errors import CARD_NOT_GENUINE
from tests.firmware.drivers.readers.field import Crowd, TypeA
from tests.firmware.drivers.readers.pn532_model import ACK, SerialModel, SpiModel, turned
from tests.firmware.drivers.readers.rig import (
    PROVED,
    UID4,
    UID7,
    UID10,
    Bench,
    desfire,
    masters,
    prove_at_gate,
)
from tests.firmware.drivers.readers.test_mfrc522 import Tick, check_quiet

BOTH = (SpiModel, SerialModel)


def bench(kind, *cards, prove=None, power=False):
    """A driver before a model of its chip."""
    crowd = Crowd(*cards)
    made = []

    def make(clock):
        made.append(kind(crowd, clock))
        frames = (SpiFrames if kind is SpiModel else SerialFrames)(made[0], FRAME_MAX)
        return Pn532(frames, clock, prove, made[0] if power else None)

    stand = Bench(make)
    stand.crowd, stand.model = crowd, made[0]
    return stand


def test_frames_are_those_of_the_manual():
    # UM0701-02: GetFirmwareVersion (7.2.2), and a frame of 6.2.1.1.
    assert frame(0x02) == bytes.fromhex("0000FF02FED4022A00")
    assert frame(0x4A, b"\x02\x00") == bytes.fromhex("0000FF04FCD44A0200E000")


class Line:
    """A serial line that knows what is coming."""

    def __init__(self, *lines):
        self.lines = list(lines)
        self.waiting = b""

    def write(self, data):
        expected, answer = self.lines.pop(0)
        assert bytes(data) == bytes.fromhex(expected), bytes(data)
        self.waiting += bytes.fromhex(answer)

    def read_into(self, buffer):
        part, self.waiting = self.waiting[: len(buffer)], self.waiting[len(buffer) :]
        for place, value in enumerate(part):
            buffer[place] = value
        return len(part)


def test_start_and_a_card_go_over_the_line_as_written():
    ack = "0000FF00FF00"
    off = ("0000FF04FCD4320100F900", ack + "0000FF02FED533F800")
    listed = "D54B0101000408" + "04" + "0F569FAB"
    total = -sum(bytes.fromhex(listed)) & 0xFF
    size = len(bytes.fromhex(listed))
    card = "0000FF%02X%02X%s%02X00" % (size, -size & 0xFF, listed, total)  # noqa: UP031
    line = Line(
        ("5555" + "00" * 14, ""),
        ("0000FF05FBD4140100001700", ack + "0000FF02FED5151600"),
        ("0000FF02FED4022A00", ack + "0000FF06FAD50332010607E800"),
        ("0000FF06FAD43205FF0100F500", ack + "0000FF02FED533F800"),
        ("0000FF04FCD44A0200E000", ack + "0000FF03FDD54B00E000"),
        ("0000FF04FCD44A0200E000", ack + card),
        off,
    )
    stand = Bench(lambda clock: Pn532(SerialFrames(line, FRAME_MAX), clock))
    assert stand.until(NOTHING, DEAD)[0] == NOTHING
    assert stand.until(CARD, NOISE, DEAD)[0] == CARD
    assert stand.chip.credential == "a:0F569FAB"
    assert line.lines == []


def test_every_bit_of_spi_goes_the_lowest_first():
    sent = []

    class Bus:
        def exchange(self, outgoing, incoming):
            sent.append(bytes(outgoing))
            for place in range(len(incoming)):
                incoming[place] = 0

    frames = SpiFrames(Bus(), FRAME_MAX)
    frames.send(frames.prepare(frame(0x02)))
    assert frames.receive(6) == 0
    assert sent[0] == bytes(turned(value) for value in b"\x01" + frame(0x02))
    assert sent[1] == b"\x40\x00"


def test_empty_field_is_nothing():
    for kind in BOTH:
        stand = bench(kind)
        stand.until(NOTHING)
        before = stand.model.transactions
        found = stand.pass_ms(2000)
        assert set(found) == {NOTHING}
        assert len(found) > 20
        assert stand.model.transactions - before <= 9 * (len(found) + 1)


def test_number_of_each_size_is_read():
    for kind in BOTH:
        for uid, text in (
            (UID4, "a:0F569FAB"),
            (UID7, "a:04C767F2066180"),
            (UID10, "a:0411223344556677889A"),
        ):
            stand = bench(kind, TypeA(uid))
            assert stand.until(CARD, NOISE, TORN)[0] == CARD
            assert stand.chip.credential == text
            assert set(stand.pass_ms(1000)) == {RESTING}


def test_card_that_goes_is_removed_and_the_next_is_read():
    for kind in BOTH:
        first, second = TypeA(UID4), TypeA(UID7)
        stand = bench(kind, first)
        stand.until(RESTING)
        stand.crowd.take(first)
        assert stand.until(REMOVED)[1] < 500
        stand.until(NOTHING)
        stand.crowd.lay(second)
        assert stand.until(CARD)[1] < 150
        stand.crowd.take(second)
        stand.crowd.lay(first)
        assert stand.until(REMOVED, CARD)[0] == REMOVED
        stand.until(CARD)
        assert stand.chip.credential == "a:0F569FAB"


def test_two_cards_are_several():
    for kind in BOTH:
        for second in (TypeA(UID7), TypeA(UID10), TypeA(UID7, desfire())):
            stand = bench(kind, TypeA(UID4), second)
            assert set(stand.pass_ms(800)) == {SEVERAL}
            stand.crowd.take(second)
            assert stand.until(CARD)[0] == CARD


def test_card_beside_one_that_was_read_waits_for_its_turn():
    first, second = TypeA(UID4), TypeA(UID7)
    stand = bench(SpiModel, first)
    stand.until(RESTING)
    stand.crowd.lay(second)
    assert set(stand.pass_ms(500)) == {RESTING}
    stand.crowd.take(first)
    assert stand.until(CARD, SEVERAL)[0] == CARD
    assert stand.chip.credential == "a:04C767F2066180"


def proving(kind, card, **changes):
    """A stand whose gate asks cards to prove themselves."""
    lying = TypeA(card.uid, card)
    for name, value in changes.items():
        setattr(lying, name, value)
    return bench(kind, lying, prove=prove_at_gate)


def test_issued_card_proves_itself():
    for kind in BOTH:
        stand = proving(kind, desfire(), delays=2)
        assert stand.until(CARD, NOISE, TORN, UNPROVEN)[0] == CARD
        assert stand.chip.credential == PROVED
        assert set(stand.pass_ms(1000)) == {RESTING}


def test_card_pulled_in_the_talk_is_torn_and_read_when_it_returns():
    stand = proving(SpiModel, desfire())
    stand.until(CARD)
    frames = stand.crowd.cards[0].frames
    for left in range(6, frames - 1):
        stand = proving(SpiModel, desfire(), left=left)
        assert stand.until(CARD, NOISE, TORN, UNPROVEN)[0] == TORN, left
        stand.crowd.cards[0].left = None
        assert stand.until(CARD)[0] == CARD
        assert stand.chip.credential == PROVED


def test_card_of_another_school_does_not_prove_itself():
    stand = proving(SerialModel, desfire(known=masters(100)))
    assert stand.until(CARD, NOISE, TORN, UNPROVEN)[0] == UNPROVEN
    assert stand.chip.credential == "a:04C767F2066180"
    assert stand.chip.fault.code == CARD_NOT_GENUINE


def test_damaged_talk_is_noise_and_then_read():
    hurt = [True]

    def spoil(frame, answer):
        return (b"\x55" * len(answer[0]), False) if hurt[0] and frame > 7 else answer

    stand = proving(SpiModel, desfire(), spoil=spoil)
    assert stand.until(CARD, NOISE, TORN, UNPROVEN)[0] == NOISE
    hurt[0] = False
    assert stand.until(CARD)[0] == CARD


def test_wrong_frames_are_noise_then_a_dead_reader():
    wrongs = ("0000FF03FDD54B00E100", "0000FF03FCD54B00E000", "55" * 20, "0000FF03FDD53300F800")
    for kind in BOTH:
        for wrong in wrongs:
            stand = bench(kind)
            stand.until(NOTHING)
            stand.model.garble = lambda whole, wrong=wrong: bytes.fromhex(wrong)
            assert stand.until(NOISE, DEAD)[0] == NOISE
            assert stand.until(DEAD)[1] < 4000
            stand.model.garble = None
            assert stand.until(NOTHING)[1] < 2500


def test_single_wrong_frame_is_noise_and_no_more():
    stand = bench(SpiModel)
    stand.until(NOTHING)
    left = [1]

    def garble(whole):
        left[0] -= 1
        return b"\x00" * len(whole) if left[0] >= 0 else whole

    stand.model.garble = garble
    assert stand.pass_ms(500).count(NOISE) == 1
    assert DEAD not in stand.results


def test_dead_reader_is_told_within_five_seconds_and_comes_back():
    for kind, floating in ((SpiModel, 0x00), (SpiModel, 0xFF), (SerialModel, 0)):
        for power in (True, False):
            stand = bench(kind, power=power)
            stand.until(NOTHING)
            stand.model.floating = floating
            stand.model.is_dead = True
            assert stand.until(DEAD)[1] < 1500
            assert set(stand.pass_ms(5000)) == {DEAD}
            stand.model.is_dead = False
            stand.model.power_on()
            stand.crowd.lay(TypeA(UID4))
            assert stand.until(CARD)[1] < 2000


def test_mute_chip_is_dead_and_comes_back():
    for kind in BOTH:
        stand = bench(kind)
        stand.until(NOTHING)
        stand.model.is_mute = True
        assert stand.until(DEAD)[1] < 1500
        stand.model.is_mute = False
        assert stand.until(NOTHING)[1] < 2000


def test_chip_that_lost_its_settings_is_set_up_again_and_takes_no_card_twice():
    for kind in BOTH:
        card = TypeA(UID4)
        stand = bench(kind, card, power=True)
        stand.until(RESTING)
        for _ in range(5):
            stand.model.power_on()
            # It answers by error frames until it is set up again: noise for a moment, and no card.
            found = stand.pass_ms(1000)
            assert found[-1] == RESTING
            assert CARD not in found
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
    stand = bench(SpiModel, card)
    stand.until(CARD)
    for away_ms in range(10, 200, 7):
        stand.pass_ms(300)
        stand.crowd.take(card)
        stand.pass_ms(away_ms)
        stand.crowd.lay(card)
    assert stand.results.count(CARD) == 1
    assert REMOVED not in stand.results


class QuietSpi:
    """A chip on SPI that makes no object: ready for ever, and nobody in the field."""

    def __init__(self):
        self.ack = bytes(turned(value) for value in ACK)
        self.nothing = bytes(turned(value) for value in bytes.fromhex("0000FF03FDD54B00E000"))

    def exchange(self, outgoing, incoming):
        if outgoing[0] == 0x40:
            incoming[1] = 0x80
        elif outgoing[0] == 0xC0:
            said = self.ack if len(incoming) == 7 else self.nothing
            for place in range(len(said)):
                incoming[place + 1] = said[place]


class QuietLine:
    """A serial line that makes no object: to each frame an acknowledgement and nobody."""

    def __init__(self):
        self.said = ACK + bytes.fromhex("0000FF03FDD54B00E000")
        self.place = 99

    def write(self, data):
        self.place = 0

    def read_into(self, buffer):
        count = 0
        while count < len(buffer) and self.place < len(self.said):
            buffer[count] = self.said[self.place]
            self.place += 1
            count += 1
        return count


def test_poll_of_an_empty_field_makes_no_object():
    for frames in (SpiFrames(QuietSpi(), FRAME_MAX), SerialFrames(QuietLine(), FRAME_MAX)):
        clock = Tick()
        chip = Pn532(frames, clock)
        # Such a chip answers everything the same: past the start.
        chip._life = chip._serve()
        check_quiet(chip, clock, NOTHING)
