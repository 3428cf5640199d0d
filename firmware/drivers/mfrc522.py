"""MFRC522 over SPI: cards of type A, by serial number or by what they prove.

Promises: poll() is one step that returns at once; a look at an empty field is 8 SPI transactions and makes no
object, and so is a look at a card that rests.  Two cards are told as such, also when one drowns the other:
after the first was selected and halted nobody else may answer.  A chip that answers wrong, has lost its
settings, or does not end an exchange is started anew; one that stays dead is told as DEAD at each try.

Source: NXP MFRC522 data sheet rev. 3.9: 8.1.2 SPI, 9.3 registers, 10.3 commands, 8.5 timer.
"""

from firmware.drivers import iso14443
from firmware.drivers.iso14443 import ANSWERED, COLLIDED, DAMAGED, SILENT
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
from protocols.errors import CARD_GONE, READER_DEAD, READER_NOISE, Fault

# Registers, and commands of the first of them.
_COMMAND = const(0x01)
_COM_IRQ = const(0x04)
_ERROR = const(0x06)
_FIFO = const(0x09)
_FIFO_LEVEL = const(0x0A)
_CONTROL = const(0x0C)
_BIT_FRAMING = const(0x0D)
_MODE = const(0x11)
_TX_MODE = const(0x12)
_RX_MODE = const(0x13)
_TX_CONTROL = const(0x14)
_TX_ASK = const(0x15)
_RF_CONFIG = const(0x26)
_VERSION = const(0x37)
_T_MODE = const(0x2A)
_T_PRESCALER = const(0x2B)
_T_RELOAD_HIGH = const(0x2C)
_T_RELOAD_LOW = const(0x2D)
_IDLE = const(0x00)
_TRANSCEIVE = const(0x0C)
_SOFT_RESET = const(0x0F)
_READ = const(0x80)

_RECEIVED = const(0x30)
_TIMED_OUT = const(0x01)
_COLLISION = const(0x08)
# Write, temperature, buffer, parity and protocol errors: the checksum is counted here.
_WRONG = const(0xD3)
_ANTENNA_ON = const(0x83)
_ANTENNA_OFF = const(0x80)
_SEND = const(0x80)
_CHECKSUM = const(0x80)

# The timer ticks every 25 us: 13.56 MHz / (2 * 169 + 1), started at the end of each transmission.
_SETTINGS = bytes(
    (
        _TX_MODE, 0x00, _RX_MODE, 0x00, _T_MODE, 0x80, _T_PRESCALER, 0xA9, _TX_ASK, 0x40, _MODE, 0x3D,
        _RF_CONFIG, 0x60, _TX_CONTROL, _ANTENNA_ON,
    )
)  # fmt: skip
# What one look reads in one transaction (8.1.2.2): the last address is 0.
_LOOK = (
    bytes(_READ | each << 1 for each in (_COM_IRQ, _ERROR, _FIFO_LEVEL, _CONTROL, _TX_CONTROL, _VERSION))
    + b"\0"
)

_FIFO_SIZE = const(64)
_WAIT_TICKS = const(40)
_TICKS_IN_MS = const(40)
_RESET_MS = const(50)
# A card needs 5 ms without the field to forget, and 5 ms of it before it listens (ISO 14443-3, 5.2).
_FIELD_MS = const(6)
# An answer takes up to 6 ms at 106 kbit/s; past this the chip hangs.
_GRACE_MS = const(100)
_POLL_MS = const(50)
_REST_MS = const(100)
_RETRY_MS = const(1000)
_TRIES = const(3)
# A card that somebody holds at the edge of the field is not gone for a quarter of a second.
_MISSES = const(4)
_RESTARTS = const(3)


class Mfrc522(Steps):
    """One chip; keeps hal/chip.py, and Air of iso14443.py for the talks.

    `spi`: hal/bus; `clock`: hal/clock.  `prove(uid)`: the talk whose value is the
    credential of a card that speaks ISO-DEP, or None where cards are known by number.
    `power`: a Switch at NRSTPD that is turned off and on at each start, or None.
    """

    def __init__(self, spi, clock, prove=None, power=None) -> None:
        super().__init__(clock)
        self._spi = spi
        self._power = power
        self._prove = prove
        self._isodep = None
        if prove is not None:
            from firmware.drivers.isodep import IsoDep

            self._isodep = IsoDep(self)
        self._pair = bytearray(2)
        self._look_at = bytearray(_LOOK)
        self._seen = bytearray(len(_LOOK))
        self._incoming = bytearray(_FIFO_SIZE + 1)
        self.reply = memoryview(self._incoming)[1:]
        self.length = 0
        # The tail of n + 1 bytes reads n of the FIFO; the short ones are kept, for a poll makes no object.
        self._addresses = memoryview(bytes((_READ | _FIFO << 1,)) * _FIFO_SIZE + b"\0")
        self._short = tuple(self._reading(count) for count in range(6))
        self._wake = _frame(bytes((iso14443.WAKE_UP,)))
        self._request = _frame(bytes((iso14443.REQUEST,)))
        self._halt = _frame(iso14443.HALT)
        self._selects: list[tuple] = []
        self._version = self._reload = self._has_checksum = 0
        self._begun = self._limit_ms = 0
        self._restarts = 0
        self._is_resting = False

    # The chip

    def _reading(self, count: int) -> tuple:
        """(outgoing, incoming) of one transaction that takes so many bytes out of the FIFO."""
        return self._addresses[_FIFO_SIZE - count :], memoryview(self._incoming)[: count + 1]

    def _write(self, register: int, value: int) -> None:
        self._pair[0] = register << 1
        self._pair[1] = value
        self._spi.exchange(self._pair, self._pair)

    def _begin(self, outgoing, scratch, has_checksum: bool, wait_ticks: int, last_bits: int) -> None:
        """Start one exchange with the field; `outgoing`: the frame behind the address of the FIFO."""
        self._write(_COMMAND, _IDLE)
        if wait_ticks != self._reload:
            self._reload = wait_ticks
            self._write(_T_RELOAD_HIGH, wait_ticks >> 8)
            self._write(_T_RELOAD_LOW, wait_ticks & 0xFF)
        checking = _CHECKSUM if has_checksum else 0
        if checking != self._has_checksum:
            self._has_checksum = checking
            self._write(_TX_MODE, checking)
        self._write(_COM_IRQ, 0x7F)
        self._write(_FIFO_LEVEL, 0x80)
        self._spi.exchange(outgoing, scratch)
        # Without StartSend first, or Transceive would send by the bits of the frame before.
        self._write(_BIT_FRAMING, last_bits)
        self._write(_COMMAND, _TRANSCEIVE)
        self._write(_BIT_FRAMING, _SEND | last_bits)
        self._is_busy = True
        self._begun = self._clock.uptime()
        self._limit_ms = wait_ticks // _TICKS_IN_MS + _GRACE_MS

    def _look(self) -> int:
        """PENDING, or how the exchange ended; then the bytes of the answer are in `reply`."""
        seen = self._seen
        self._spi.exchange(self._look_at, seen)
        if seen[6] != self._version or seen[5] != _ANTENNA_ON:
            raise Fault(READER_DEAD, "chip")
        if seen[1] & _RECEIVED:
            return self._received(seen[2], seen[3], seen[4])
        if seen[1] & _TIMED_OUT:
            return SILENT
        if self._clock.uptime_elapsed(self._clock.uptime(), self._begun) > self._limit_ms:
            raise Fault(READER_DEAD, "exchange")
        return PENDING

    def _received(self, wrong: int, count: int, control: int) -> int:
        if wrong & _COLLISION:
            return COLLIDED
        if wrong & _WRONG or control & 0x07 or not 0 < count <= _FIFO_SIZE:
            return DAMAGED
        outgoing, incoming = self._short[count] if count < 6 else self._reading(count)
        self._spi.exchange(outgoing, incoming)
        self.length = count
        if self._has_checksum:
            if count < 3 or iso14443.checksum(self.reply, count):
                return DAMAGED
            self.length = count - 2
        return ANSWERED

    def exchange(self, frame, has_checksum: bool, wait_ticks: int):
        """A talk: one frame and its answer."""
        outgoing, scratch = _frame(frame)
        self._begin(outgoing, scratch, has_checksum, wait_ticks, 0)
        yield 1
        return self._status

    # Its life: every yield is milliseconds to wait; behind _begin() it is over when the exchange is.

    def _live(self):
        """Start the chip, serve, and start it again when it fails, for ever."""
        while True:
            yield from self._start()
            if not self._version or self._restarts >= _RESTARTS:
                self._restarts = 0
                self._result = DEAD
                yield _RETRY_MS
                continue
            try:
                yield from self._serve()
            except Fault as fault:
                if fault.code != READER_DEAD:
                    raise
                self._restarts += 1

    def _start(self):
        """Reset the chip and set it up; `_version` is 0 when it does not take its settings."""
        if self._power is not None:
            self._power.set(False)
            yield 1
            self._power.set(True)
            yield _RESET_MS
        self._write(_COMMAND, _SOFT_RESET)
        yield _RESET_MS
        for place in range(0, len(_SETTINGS), 2):
            self._write(_SETTINGS[place], _SETTINGS[place + 1])
        self._reload = self._has_checksum = 0
        seen = self._seen
        self._spi.exchange(self._look_at, seen)
        self._version = seen[6] if seen[5] == _ANTENNA_ON and seen[6] != 0xFF else 0
        yield _FIELD_MS

    def _field_again(self):
        """Take the field away from all cards and give it back: whatever they were in, they begin anew."""
        self._write(_TX_CONTROL, _ANTENNA_OFF)
        yield _FIELD_MS
        self._write(_TX_CONTROL, _ANTENNA_ON)
        yield _FIELD_MS

    def _serve(self):
        """Rounds of looking, until the chip fails."""
        if self._is_resting:
            # It lay there when the chip failed: who lies there still is no new card.
            yield from self._stay()
        outgoing, scratch = self._wake
        while True:
            self._begin(outgoing, scratch, False, _WAIT_TICKS, 7)
            yield 2
            self._restarts = 0
            if self._status == SILENT:
                self._result = NOTHING
                yield _POLL_MS
                continue
            self._result = result = yield from self._meet()
            self._is_resting = result in (CARD, UNPROVEN)
            yield _POLL_MS
            if self._is_resting:
                yield from self._stay()

    def _meet(self):
        """A talk with whoever has answered WUPA: the result of the round."""
        is_noise, collisions = False, 0
        for attempt in range(_TRIES):
            if attempt:
                yield from self._field_again()
                self._begin(self._wake[0], self._wake[1], False, _WAIT_TICKS, 7)
                yield 2
            status = self._status
            if status in (ANSWERED, COLLIDED):
                # ATQA differs from card to card: it alone may collide and says nothing.
                status, frames, uid, acknowledged = yield from iso14443.select(self)
                if status == ANSWERED:
                    self._selects = [_frame(frame) for frame in frames]
                    result = yield from self._read(uid, acknowledged)
                    if result != NOISE:
                        return result
                    is_noise = True
                collisions += status == COLLIDED
                if collisions > 1:
                    break
            is_noise = is_noise or status == DAMAGED
        yield from self._field_again()
        if collisions > 1:
            return SEVERAL
        return NOISE if is_noise else TORN

    def _read(self, uid: bytes, acknowledged: int):
        """A talk with the selected card: CARD or UNPROVEN, or why it could not be read."""
        yield from self.exchange(iso14443.HALT, True, _WAIT_TICKS)
        self._begin(self._request[0], self._request[1], False, _WAIT_TICKS, 7)
        yield 2
        if self._status == DAMAGED:
            return NOISE
        if self._status != SILENT:
            # The one that we know is halted: this is another one.
            yield from self._field_again()
            return SEVERAL
        self.fault = None
        self.credential = of_uid(uid)
        if self._isodep is None or not acknowledged & iso14443.SPEAKS_ISO_DEP:
            return CARD
        result = yield from self._prove_it(uid)
        if self._status != ANSWERED:
            # It may lie there in the middle of a talk and hear nothing else.
            yield from self._field_again()
        return result

    def _prove_it(self, uid: bytes):
        """A talk by ISO-DEP with the halted card."""
        self._begin(self._wake[0], self._wake[1], False, _WAIT_TICKS, 7)
        yield 2
        for outgoing, scratch in self._selects:
            if self._status == ANSWERED:
                self._begin(outgoing, scratch, True, _WAIT_TICKS, 0)
                yield 2
        if self._status != ANSWERED:
            return TORN if self._status == SILENT else NOISE
        try:
            yield from self._isodep.activate()
            self.credential = yield from self._isodep.hold(self._prove(uid))
        except Fault as fault:
            if fault.code == READER_DEAD:
                raise
            if fault.code in (CARD_GONE, READER_NOISE):
                return TORN if fault.code == CARD_GONE else NOISE
            self.fault = fault
        yield from self._isodep.deselect()
        return CARD if self.fault is None else UNPROVEN

    def _stay(self):
        """As long as the card that was read lies there: RESTING; REMOVED when it has gone."""
        misses = 0
        while misses < _MISSES:
            self._begin(self._wake[0], self._wake[1], False, _WAIT_TICKS, 7)
            yield 2
            for outgoing, scratch in self._selects:
                if self._status == ANSWERED:
                    self._begin(outgoing, scratch, True, _WAIT_TICKS, 0)
                    yield 2
            if self._status == ANSWERED:
                misses = self._restarts = 0
                self._begin(self._halt[0], self._halt[1], True, _WAIT_TICKS, 0)
                yield 3
                self._result = RESTING
                yield _REST_MS
            else:
                misses += 1
                yield from self._field_again()
                yield _POLL_MS
        self._is_resting = False
        self._result = REMOVED
        yield 1


def _frame(frame) -> tuple:
    """(outgoing, scratch) of the transaction that puts a frame into the FIFO."""
    outgoing = bytes((_FIFO << 1,)) + bytes(frame)
    return outgoing, bytearray(len(outgoing))
