"""The OSDP panel before a reader of the tests: cards, keys, clear text, silence, rubbish."""

from firmware.drivers.osdp import OsdpPanel
from firmware.hal.chip import CARD, DEAD, NOISE, NOTHING, UNTRUSTED
from protocols.card import osdp
from protocols.errors import FIELD_RANGE, READER_UNTRUSTED, Fault
from tests.firmware.drivers.readers.rig import Bench
from tests.protocols.card.virtual_card import randoms
from tests.protocols.card.virtual_reader import VirtualReader

KEY = bytes(range(16))
# 26 bits of a Wiegand reader, filled up on the right: D4 1B 81 with its parities.
WIEGAND = (osdp.RAW, b"\x00\x01\x1a\x00" + bytes.fromhex("EA0DC080"))
SERIAL = (osdp.RAW, b"\x00\x00\x38\x00" + bytes.fromhex("04C767F2066180"))


class Line:
    """RS-485 with one reader at its end; keeps hal/bus.Serial.  `spoil`: what becomes of each reply."""

    def __init__(self, reader, clock):
        self.reader = reader
        self.clock = clock
        self.waiting = b""
        self.ready_at = 0
        self.is_cut = False
        self.spoil = None
        self.sent = []

    def write(self, data):
        self.sent.append(bytes(data))
        if self.is_cut:
            return
        reply = self.reader.hear(data)
        if self.spoil is not None:
            reply = self.spoil(reply)
        # 9600 bit/s, ten bits a byte, and what the reader takes.
        self.ready_at = self.clock.ticks() + 10 + len(reply)
        self.waiting += reply

    def read_into(self, buffer):
        if self.clock.ticks() < self.ready_at:
            return 0
        part, self.waiting = self.waiting[:7], self.waiting[7:]
        buffer[: len(part)] = part
        return len(part)


def bench(reader, key=KEY, is_installing=False):
    made = []

    def make(clock):
        made.append(Line(reader, clock))
        return OsdpPanel(made[0], clock, key, randoms(2), reader.address, is_installing)

    stand = Bench(make)
    stand.line, stand.reader = made[0], reader
    return stand


def test_channel_opens_and_cards_come():
    for address in (0, 5, 0x7E):
        stand = bench(VirtualReader(KEY, address))
        assert stand.until(NOTHING, DEAD, UNTRUSTED, NOISE)[0] == NOTHING
        stand.reader.events.append(WIEGAND)
        assert stand.until(CARD, NOISE)[1] < 400
        assert stand.chip.credential == "w26:D41B81"
        stand.reader.events.append(SERIAL)
        stand.until(CARD)
        assert stand.chip.credential == "osdp:56:04C767F2066180"
        assert set(stand.pass_ms(3000)) == {NOTHING}
        # All but the opening is said in the channel.
        assert not [each for each in stand.line.sent[3:] if not each[4] & 8]


def test_bits_that_are_no_card_are_noise():
    stand = bench(VirtualReader(KEY))
    stand.until(NOTHING)
    for told in ("", "00011A00", "00011A00EA0DC000", "0001000000"):
        data = bytes.fromhex(told)
        stand.reader.events.append((osdp.RAW, data))
        assert stand.until(CARD, NOISE)[0] == NOISE


def test_other_reports_are_nothing():
    stand = bench(VirtualReader(KEY))
    stand.until(NOTHING)
    stand.reader.events += [(0x53, b"\x00\x01\x35"), (0x48, b"\x00\x00")]
    assert set(stand.pass_ms(1000)) == {NOTHING}


def test_lost_replies_are_asked_for_again_and_no_card_is_lost():
    for lost in range(3):
        stand = bench(VirtualReader(KEY))
        stand.until(NOTHING)
        count = [0]

        def spoil(reply, count=count, lost=lost):
            count[0] += 1
            return b"" if count[0] % 3 == lost else reply

        stand.line.spoil = spoil
        for _ in range(10):
            stand.reader.events.append(WIEGAND)
            assert stand.until(CARD, DEAD, UNTRUSTED, NOISE)[0] == CARD
        assert stand.results.count(CARD) == 10


def test_late_reply_is_no_answer():
    stand = bench(VirtualReader(KEY))
    stand.until(NOTHING)
    before = [b""]

    def spoil(reply):
        late, before[0] = before[0], reply
        return late + reply

    stand.line.spoil = spoil
    stand.reader.events.append(WIEGAND)
    assert stand.until(CARD, UNTRUSTED, NOISE)[0] == CARD
    assert set(stand.pass_ms(1000)) == {NOTHING}


def test_busy_reader_is_waited_for():
    stand = bench(VirtualReader(KEY))
    stand.until(NOTHING)
    stand.reader.busy = 7
    stand.reader.events.append(WIEGAND)
    assert stand.until(CARD, DEAD, UNTRUSTED, NOISE)[0] == CARD


def test_dead_reader_is_told_within_five_seconds_and_comes_back():
    stand = bench(VirtualReader(KEY))
    stand.until(NOTHING)
    stand.line.is_cut = True
    assert stand.until(DEAD)[1] < 1500
    assert set(stand.pass_ms(6000)) == {DEAD}
    stand.line.is_cut = False
    stand.line.waiting = b""
    stand.reader.reset()
    stand.reader.events.append(WIEGAND)
    assert stand.until(CARD)[1] < 3500


def test_reader_that_lost_its_power_gets_a_new_channel():
    stand = bench(VirtualReader(KEY))
    stand.until(NOTHING)
    stand.reader.reset()
    stand.reader.events.append(WIEGAND)
    assert stand.until(CARD)[1] < 3500


def test_noise_on_the_line_is_noise():
    stand = bench(VirtualReader(KEY))
    stand.until(NOTHING)
    stand.line.spoil = lambda reply: b"\x53\x12" * 20
    assert stand.until(NOISE, DEAD)[0] == NOISE
    stand.line.spoil = lambda reply: b"\xff\x53" + reply
    stand.reader.events.append(WIEGAND)
    assert stand.until(CARD, limit_ms=9000)[0] == CARD


def test_line_that_babbles_ends_every_turn():
    class Babble:
        def write(self, data):
            pass

        def read_into(self, buffer):
            for place in range(len(buffer)):
                buffer[place] = 0x53
            return len(buffer)

    stand = Bench(lambda clock: OsdpPanel(Babble(), clock, KEY, randoms(2)))
    assert stand.until(NOISE, DEAD)[0] == NOISE


def test_reader_with_another_key_or_in_clear_is_untrusted():
    for key, is_installing in ((bytes(range(1, 17)), False), (None, True), (osdp.MAKERS_KEY, True)):
        reader = VirtualReader(key, 0, is_installing)
        stand = bench(reader)
        reader.events.append(WIEGAND)
        assert set(stand.pass_ms(5000)) == {UNTRUSTED}
        assert stand.chip.fault.code == READER_UNTRUSTED
        assert stand.chip.credential == ""


def test_card_told_in_clear_is_never_taken():
    stand = bench(VirtualReader(KEY))
    stand.until(NOTHING)
    stand.reader.is_clear = True
    stand.reader.events.append(WIEGAND)
    assert stand.until(CARD, UNTRUSTED)[0] == UNTRUSTED
    assert stand.chip.credential == ""


def test_card_said_again_by_a_third_is_never_taken():
    stand = bench(VirtualReader(KEY))
    stand.until(NOTHING)
    heard = []

    def keep(reply):
        heard.append(reply)
        return reply

    stand.line.spoil = keep
    stand.reader.events.append(WIEGAND)
    stand.until(CARD)
    told = [reply for reply in heard if len(reply) > 24][-1]
    stand.chip.credential = ""
    # The same sequence comes round again: only the MAC tells the old reply from a new one.
    stand.line.spoil = lambda reply: told
    assert CARD not in stand.pass_ms(3000)
    assert stand.chip.credential == ""


def test_makers_key_is_refused_as_a_readers_key():
    for key, address in ((osdp.MAKERS_KEY, 0), (bytes(15), 0), (KEY, 0x7F)):
        try:
            OsdpPanel(None, None, key, None, address)
        except Fault as fault:
            code = fault.code
        else:
            code = 0
        assert code == FIELD_RANGE


def test_new_reader_gets_its_key_in_install_mode_only():
    reader = VirtualReader(None, 0, True)
    assert set(bench(reader).pass_ms(3000)) == {UNTRUSTED}
    assert reader.key is None
    stand = bench(reader, is_installing=True)
    assert stand.until(NOTHING, DEAD, UNTRUSTED, NOISE)[0] == NOTHING
    assert reader.key == KEY
    reader.events.append(WIEGAND)
    assert stand.until(CARD)[0] == CARD
    # It is installed: a reader in its place with the maker's key gets nothing any more.
    stand.line.reader = VirtualReader(None, 0, True)
    assert stand.until(UNTRUSTED, CARD)[0] == UNTRUSTED
    assert UNTRUSTED in stand.pass_ms(5000)
    assert stand.line.reader.key is None


def test_install_mode_takes_no_card_under_the_makers_key():
    reader = VirtualReader(None, 0, True)
    reader.events.append(WIEGAND)
    stand = bench(reader, is_installing=True)
    taken = stand.until(CARD, NOTHING)[0]
    # The card waits until the reader has its own key.
    assert taken == CARD
    assert reader.key == KEY
