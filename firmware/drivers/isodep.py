"""ISO-DEP (ISO 14443-4): APDUs to and from a selected card, over any Air that knows checksums.

Promises: blocks are numbered, chained and repeated by the rules of chapter 7.5; what a card says of its frame
size and its time is used within what a chip can do; a card that only asks for more time is left after a
bound.  Faults: CARD_GONE when it is silent, READER_NOISE when it is not understood.  No CID, no NAD, 106
kbit/s.
"""

from firmware.drivers.iso14443 import ANSWERED, SILENT
from firmware.hal.chip import const
from protocols.card import native
from protocols.errors import CARD_GONE, READER_NOISE, Fault

# FSDI 5: our frames hold 64 bytes, which is what the FIFO of an MFRC522 takes.
_ASK_FOR_ATS = b"\xe0\x50"
_FRAME_MAX = const(64)
_FRAME_SIZES = (16, 24, 32, 40, 48, _FRAME_MAX)
_HAS_TA = const(0x10)
_HAS_TB = const(0x20)
# PCB: I-blocks, R(ACK), R(NAK), S(DESELECT), S(WTX); the number of the block is bit 0, chaining bit 4.
_INFORMATION = const(0x02)
_ACKNOWLEDGE = const(0xA2)
_REPEAT = const(0xB2)
_DESELECT = const(0xC2)
_MORE_TIME = const(0xF2)
_CHAINED = const(0x10)
# 256 * 16 / 13.56 MHz in ticks of 25 us, rounded up, doubled for each step of FWI.
_TIME_UNIT = const(13)
_TIME_DEFAULT = const(4)
# What the timer of a chip holds: 1.6 s.
_TICKS_MAX = const(0xFFFF)
_TICKS_IN_MS = const(40)
_ATS_TICKS = const(200)
_TRIES = const(3)
_DELAYS_MAX = const(12)
_ANSWER_MAX = const(1024)


class IsoDep:
    """The transmission protocol with one card at a time; `air` is the chip's driver."""

    def __init__(self, air) -> None:
        self._air = air
        self._number = 0
        self._size = 0
        self._ticks = 0

    def activate(self):
        """A talk: RATS, and what the card's answer says about size and time."""
        air = self._air
        self._number = 0
        # A card answers RATS once: who did not understand it begins with WUPA again.
        status = yield from air.exchange(_ASK_FOR_ATS, True, _ATS_TICKS)
        if status != ANSWERED:
            raise _fault(status)
        guard_ms = self._take_ats(bytes(air.reply[: air.length]))
        if guard_ms:
            yield guard_ms

    def _take_ats(self, told: bytes) -> int:
        """Keep frame size and waiting time; the milliseconds before the first frame may follow."""
        if not told or told[0] != len(told):
            raise Fault(READER_NOISE, "ats")
        form = told[1] if len(told) > 1 else 0x02
        self._size = _FRAME_SIZES[min(form & 0x0F, 5)]
        place = 3 if form & _HAS_TA else 2
        times = told[place] if form & _HAS_TB and place < len(told) else _TIME_DEFAULT << 4
        waiting, guarding = times >> 4, times & 0x0F
        waiting = _TIME_DEFAULT if waiting == 15 else waiting
        # The standard gives a card 49152 / fc more than it says (7.2).
        self._ticks = min((_TIME_UNIT << waiting) + 145, _TICKS_MAX)
        return 0 if guarding in (0, 15) else (_TIME_UNIT << guarding) // _TICKS_IN_MS + 1

    def exchange(self, apdu):
        """A talk: the answer to one APDU."""
        body, place, answer = bytes(apdu), 0, b""
        # Checksum and PCB take three bytes of a frame.
        room = self._size - 3
        while True:
            part = body[place : place + room]
            place += len(part)
            chained = _CHAINED if place < len(body) else 0
            told = yield from self._block(bytes((_INFORMATION | chained | self._number,)) + part)
            if not chained:
                break
            if told[0] & 0xF6 != _ACKNOWLEDGE:
                raise Fault(READER_NOISE, "chain")
        while True:
            if told[0] & 0xEE != _INFORMATION:
                raise Fault(READER_NOISE, "block")
            answer += told[1:]
            if not told[0] & _CHAINED:
                return answer
            if len(answer) > _ANSWER_MAX:
                raise Fault(READER_NOISE, "length")
            told = yield from self._block(bytes((_ACKNOWLEDGE | self._number,)))

    def _block(self, block: bytes):
        """A talk: send a block until the card has understood it; its block, which has our number."""
        air = self._air
        is_chain = block[0] & 0xF6 == _ACKNOWLEDGE
        sent, ticks, delays = block, self._ticks, 0
        tries = 0
        while True:
            status = yield from air.exchange(sent, True, ticks)
            told = bytes(air.reply[: air.length]) if status == ANSWERED else b""
            kind = told[0] if told else 0
            ticks = self._ticks
            if kind == _MORE_TIME and len(told) == 2:
                delays += 1
                factor = told[1] & 0x3F
                if not 0 < factor < 60 or delays > _DELAYS_MAX:
                    raise Fault(READER_NOISE, "time")
                sent, ticks = bytes((_MORE_TIME, factor)), min(ticks * factor, _TICKS_MAX)
                continue
            is_acknowledge = kind & 0xF6 == _ACKNOWLEDGE
            if (is_acknowledge or kind & 0xE6 == _INFORMATION) and kind & 1 == self._number:
                self._number ^= 1
                return told
            tries += 1
            if tries > _TRIES:
                raise _fault(status)
            # Rule 6: it has not seen our newest block; rule 5: its own chain goes on; else rule 4.
            sent = block if is_acknowledge or is_chain else bytes((_REPEAT | self._number,))

    def hold(self, talk):
        """A talk of native commands with the card: what `talk` returns."""
        return native.hold(talk, self.exchange)

    def deselect(self):
        """A talk: the card rests until it is woken up; it may have gone already."""
        yield from self._air.exchange(bytes((_DESELECT,)), True, _ATS_TICKS)


def _fault(status: int) -> Fault:
    return Fault(CARD_GONE if status == SILENT else READER_NOISE, "card")
