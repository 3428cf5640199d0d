"""PN532 over SPI or a serial line: the chip finds cards by itself, this driver asks it and believes little.

Promises: poll() is one step that returns at once; a look at an empty field makes no object.  The field goes
off after each look that found somebody, so that every look sees all cards anew, in whatever state they were.
Two cards are told as such.  A chip that is silent, or says what is no frame, is started anew; one that stays
so is told as DEAD at each try.  Leaves to `frames` (pn532_spi.py, pn532_serial.py) how bytes get to the chip.

Source: NXP UM0701-02 PN532 user manual, rev. 02: 6.2 frames, 7.1 error codes, 7.2 and 7.3 commands.
"""

from firmware.drivers.steps import Steps
from firmware.hal.chip import (
    CARD,
    DEAD,
    NOISE,
    NOTHING,
    PENDING,
    REMOVED,
    RESTING,
    SEVERAL,
    TORN,
    UNPROVEN,
    const,
)
from protocols.card.credential import of_uid
from protocols.errors import BAD_CREDENTIAL, CARD_ANSWER, CARD_GONE, READER_DEAD, READER_NOISE, Fault

_TO_CHIP = const(0xD4)
_TO_HOST = const(0xD5)
_VERSION = const(0x02)
_SAM = const(0x14)
_RF = const(0x32)
_EXCHANGE = const(0x40)
_LIST = const(0x4A)
# The chip by its own name in the answer to GetFirmwareVersion.
_IC = const(0x32)

# How a command ended.
_ANSWERED = const(1)
_DAMAGED = const(2)
# What to read: an acknowledgement, a list of two cards, an answer of a card.
_ACK_SIZE = const(6)
_LIST_SIZE = const(100)
FRAME_MAX = 140
"""Bytes of the longest frame that comes from the chip or goes to it."""

# The manual gives 15 ms for the acknowledgement (6.2.1.3).
_ACK_LIMIT_MS = const(50)
_ANSWER_LIMIT_MS = const(300)
# A card may take what its ATS says, and the chip repeats.
_CARD_LIMIT_MS = const(3000)
_POLL_MS = const(50)
_REST_MS = const(100)
_RETRY_MS = const(1000)
_RESET_MS = const(20)
# A card that somebody holds at the edge of the field is not gone for a quarter of a second.
_MISSES = const(4)
_RESTARTS = const(3)
_DAMAGES = const(3)
_PARTS = const(16)

# Status of InDataExchange (7.1): time is out, the target was released, the card has gone.
_GONE = b"\x01\x29\x2b"
_STATUS = const(0x3F)
_MORE = const(0x40)
_SPEAKS_ISO_DEP = const(0x20)


def frame(command: int, parameters=b"") -> bytes:
    """The bytes of a normal information frame (6.2.1.1)."""
    body = bytes((_TO_CHIP, command)) + bytes(parameters)
    size = len(body)
    return b"\x00\x00\xff" + bytes((size, -size & 0xFF)) + body + bytes((-sum(body) & 0xFF, 0))


class Pn532(Steps):
    """One chip; keeps hal/chip.py.

    `frames`: see pn532_spi.py; `clock`: hal/clock; `prove(uid)`: the talk whose value is
    the credential of a card that speaks ISO-DEP, or None where cards are known by
    number; `power`: a Switch at RSTPD_N that is turned off and on at each start, or None.
    """

    _LOOK_MS = 2

    def __init__(self, frames, clock, prove=None, power=None) -> None:
        super().__init__(clock)
        self._frames = frames
        self._prove = prove
        self._power = power
        self._native = None
        if prove is not None:
            from protocols.card import native

            self._native = native
        self._list = frames.prepare(frame(_LIST, b"\x02\x00"))
        self._is_acknowledged = False
        self._command = self._want = self._limit_ms = 0
        self._begun = 0
        self._at = self._size = 0
        self._restarts = self._damages = 0
        # The number of the card that was read and lies there, also while the chip is started anew.
        self._rests = b""

    # The chip

    def _begin(self, prepared, command: int, want: int, limit_ms: int) -> None:
        self._frames.send(prepared)
        # One by one: on a board a line of several would make a tuple at each poll.
        self._command = command
        self._want = want
        self._limit_ms = limit_ms
        self._is_busy = True
        self._is_acknowledged = False
        self._begun = self._clock.uptime()

    def _look(self) -> int:
        """PENDING, or how the command ended; then its answer lies at `_at`: `_size` bytes behind the code."""
        frames = self._frames
        want = self._want if self._is_acknowledged else _ACK_SIZE
        count = frames.receive(want)
        while count:
            end = self._parse(frames.buffer, count)
            if end < 0:
                return _DAMAGED
            if not end:
                break
            if self._is_acknowledged:
                return _ANSWERED
            if self._size:
                # An answer ahead of its acknowledgement: not to this command.
                return _DAMAGED
            self._is_acknowledged = True
            count = frames.drop(end)
        passed = self._clock.uptime_elapsed(self._clock.uptime(), self._begun)
        if passed > (self._limit_ms if self._is_acknowledged else _ACK_LIMIT_MS):
            raise Fault(READER_DEAD, "answer")
        return PENDING

    def _parse(self, buffer, count: int) -> int:
        """Where the frame ends that stands in front; 0 when a part of it is missing, -1 when it is none."""
        start = 0
        while start + 1 < count and not (buffer[start] == 0x00 and buffer[start + 1] == 0xFF):
            start += 1
        start += 2
        if start + 2 > count:
            return 0 if count < _ACK_SIZE else -1
        size = buffer[start]
        check = buffer[start + 1]
        if size == 0x00 and check == 0xFF:
            self._size = 0
            return min(start + 3, count)
        if size + check & 0xFF or size < 2:
            return -1
        end = start + 2 + size
        if end >= count:
            return 0 if end < len(buffer) and not self._frames.is_whole else -1
        total = 0
        for place in range(start + 2, end + 1):
            total += buffer[place]
        if total & 0xFF or buffer[start + 2] != _TO_HOST or buffer[start + 3] != self._command + 1:
            return -1
        self._at = start + 4
        self._size = size - 2
        return end + 1

    def _ask(self, command: int, parameters=b"", limit_ms: int = _ANSWER_LIMIT_MS):
        """A talk: one command; Fault(READER_NOISE) when its answer is no frame."""
        prepared = self._frames.prepare(frame(command, parameters))
        self._begin(prepared, command, FRAME_MAX, limit_ms)
        yield 1
        if self._status != _ANSWERED:
            raise Fault(READER_NOISE, "frame")

    def _answer(self) -> bytes:
        return bytes(self._frames.buffer[self._at : self._at + self._size])

    # Its life: every yield is milliseconds to wait; behind _begin() it is over when the answer is there.

    def _live(self):
        """Start the chip, serve, and start it again when it fails, for ever."""
        is_serving = False
        while True:
            try:
                yield from self._start()
                is_serving = self._restarts < _RESTARTS
                if is_serving:
                    yield from self._serve()
            except Fault as fault:
                if fault.code not in (READER_DEAD, READER_NOISE):
                    raise
                self._restarts += 1
            if not is_serving or self._restarts >= _RESTARTS:
                self._restarts = 0
                self._result = DEAD
                yield _RETRY_MS
            is_serving = False

    def _start(self):
        """Wake the chip up and set it up; a Fault when it does not answer."""
        if self._power is not None:
            self._power.set(False)
            yield _RESET_MS
            self._power.set(True)
            yield _RESET_MS
        self._frames.wake()
        yield _RESET_MS
        self._frames.clear()
        # Normal mode, no security module (7.2.10).
        yield from self._ask(_SAM, b"\x01\x00\x00")
        yield from self._ask(_VERSION)
        if self._size != 4 or self._frames.buffer[self._at] != _IC:
            raise Fault(READER_DEAD, "chip")
        # One try a look, or the chip answers when the next card comes (7.3.1, item 5).
        yield from self._ask(_RF, b"\x05\xff\x01\x00")

    def _serve(self):
        """Rounds of looking, until the chip fails."""
        buffer = self._frames.buffer
        misses = 0
        while True:
            self._begin(self._list, _LIST, _LIST_SIZE, _ANSWER_LIMIT_MS)
            yield 1
            if self._status != _ANSWERED or not self._size:
                self._damages += 1
                if self._damages >= _DAMAGES:
                    self._damages = 0
                    raise Fault(READER_DEAD, "frames")
                self._result = NOISE
                yield _POLL_MS
                self._frames.clear()
                continue
            self._damages = self._restarts = 0
            if buffer[self._at]:
                self._result = result = yield from self._meet()
                if result not in (NOISE, TORN):
                    misses = 0
                yield _REST_MS if result == RESTING else _POLL_MS
            elif self._rests:
                misses += 1
                if misses >= _MISSES:
                    self._rests = b""
                    misses = 0
                    self._result = REMOVED
                yield _POLL_MS
            else:
                self._result = NOTHING
                yield _POLL_MS

    def _meet(self):
        """A talk with whoever was listed: the result of the round."""
        told = self._answer()
        uid, acknowledged = _target(told)
        if told[0] > 1:
            # Who lies beside the one that was read waits until that has gone.
            result = RESTING if self._rests else SEVERAL
        elif not uid:
            result = NOISE
        elif uid == self._rests:
            result = RESTING
        elif self._rests:
            # Another card lies in the place of the one that was read: it is met anew.
            result = REMOVED
        else:
            result = yield from self._read(uid, acknowledged)
        # Off and on again: no card stays in the middle of something.
        yield from self._ask(_RF, b"\x01\x00")
        if result in (CARD, UNPROVEN):
            self._rests = uid
        elif result == REMOVED:
            self._rests = b""
        return result

    def _read(self, uid: bytes, acknowledged: int):
        self.fault = None
        try:
            self.credential = of_uid(uid)
            if self._prove is not None and acknowledged & _SPEAKS_ISO_DEP:
                self.credential = yield from self._native.hold(self._prove(uid), self._apdu)
        except Fault as fault:
            if fault.code == READER_DEAD:
                raise
            if fault.code == CARD_GONE:
                return TORN
            if fault.code in (READER_NOISE, BAD_CREDENTIAL):
                return NOISE
            self.fault = fault
            return UNPROVEN
        return CARD

    def _apdu(self, apdu: bytes):
        """A talk: the answer to one APDU; the chip does the blocks, the repeats and the pleas for time."""
        answer = b""
        for _ in range(_PARTS):
            yield from self._ask(_EXCHANGE, b"\x01" + apdu, _CARD_LIMIT_MS)
            told = self._answer()
            if not told:
                break
            status = told[0] & _STATUS
            if status:
                raise Fault(CARD_GONE if status in _GONE else READER_NOISE, "card", "%02x" % status)
            answer += told[1:]
            if not told[0] & _MORE:
                return answer
            apdu = b""
        raise Fault(CARD_ANSWER, "card", "%d B" % len(answer))


def _target(told: bytes) -> tuple:
    """(serial number, SAK) of the first card of a list (7.3.5), or (b"", 0) when the list does not fit."""
    if len(told) < 6 or len(told) < 6 + told[5]:
        return b"", 0
    return told[6 : 6 + told[5]], told[4]
