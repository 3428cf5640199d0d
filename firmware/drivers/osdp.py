"""OSDP on RS-485: the panel of one reader, which speaks in a secure channel or is not heard.

Promises: a card counts only inside a channel under this reader's own key; the maker's key SCBK-D opens one
only in install mode, and then for nothing but to give the reader its key.  A reply in clear, under another
key, or of another moment ends the channel and is told as UNTRUSTED; a reader that is silent is DEAD; both are
tried anew every second.  poll() is one step that returns at once.  Each poll enciphers, so it leaves garbage.

Source: SIA OSDP v2.2: 5 packets and sequence, 7 replies; libosdp (Apache-2.0) is the peer of the tests.
"""

from firmware.drivers.steps import Steps
from firmware.hal.chip import CARD, DEAD, NOISE, NOTHING, PENDING, UNTRUSTED, const
from protocols.card import osdp
from protocols.card.wiegand import of_raw_bits
from protocols.errors import FIELD_RANGE, READER_DEAD, READER_NOISE, READER_UNTRUSTED, Fault

_PIECES_MAX = const(16)
_OVER = const(1)
# The standard gives a reader 200 ms to answer (5.7).
_ANSWER_MS = const(250)
_POLL_MS = const(50)
_BUSY_MS = const(100)
_RETRY_MS = const(1000)
_TRIES = const(3)
_BUSY_MAX = const(20)
_KEY_SIZE = const(16)


class OsdpPanel(Steps):
    """One reader; keeps hal/chip.py.

    `serial`: hal/bus; `key`: the SCBK of this reader, 16 bytes, never the maker's:
    Fault(FIELD_RANGE); `random_bytes`: of the board; `is_installing`: the reader may still have
    the maker's key, and gets `key` over it.
    """

    _LOOK_MS = 5

    def __init__(
        self, serial, clock, key: bytes, random_bytes, address: int = 0, is_installing: bool = False
    ):
        if len(key) != _KEY_SIZE or key == osdp.MAKERS_KEY or not 0 <= address < 0x7F:
            raise Fault(FIELD_RANGE, "osdp key or address")
        super().__init__(clock)
        self._serial = serial
        self._key = key
        self._random_bytes = random_bytes
        self._address = address
        self._is_installing = is_installing
        self._storage = bytearray(osdp.LENGTH_MAX)
        self._piece = bytearray(32)
        self._count = 0
        self._sequence = 0
        self._channel = None
        self._is_rubbish = False
        self._reply = None
        self._begun = 0

    def _look(self) -> int:
        """PENDING, or _OVER: the reply is there, or its time is over and `_reply` is None."""
        self._reply = self._receive()
        passed = self._clock.uptime_elapsed(self._clock.uptime(), self._begun)
        return _OVER if self._reply is not None or passed > _ANSWER_MS else PENDING

    def _receive(self):
        """The reply that has come, or None."""
        for _ in range(_PIECES_MAX):
            got = self._serial.read_into(self._piece)
            if not got:
                break
            room = osdp.LENGTH_MAX - self._count
            if got > room:
                self._is_rubbish = True
                got = room
            self._storage[self._count : self._count + got] = self._piece[:got]
            self._count += got
        try:
            end, packet = osdp.find(self._storage, self._count, self._address)
        except Fault:
            end, packet = self._count, None
        if end:
            # What stands ahead of a packet and is none of it: noise on the line, or a mark.
            self._is_rubbish = self._is_rubbish or packet is None
            left = self._count - end
            self._storage[:left] = self._storage[end : self._count]
            self._count = left
        if packet is not None and packet.sequence != self._sequence and packet.code != osdp.BUSY:
            # Late, from before: no answer to this.
            return None
        return packet

    def _say(self, packet: bytes):
        """A talk: one packet and its reply; Fault(READER_DEAD) for silence, (READER_NOISE) for rubbish."""
        busy = tries = 0
        self._is_rubbish = False
        while tries < _TRIES:
            self._count = 0
            self._serial.write(packet)
            self._is_busy = True
            self._begun = self._clock.uptime()
            yield self._LOOK_MS
            reply = self._reply
            if reply is None:
                self._is_rubbish = self._is_rubbish or self._count > 0
                tries += 1
            elif reply.code == osdp.BUSY and not reply.block and busy < _BUSY_MAX:
                busy += 1
                yield _BUSY_MS
            else:
                return reply
        raise Fault(READER_NOISE if self._is_rubbish else READER_DEAD, "osdp")

    def _next(self) -> int:
        """The sequence of the next packet: 0 once, then 1, 2, 3, 1... (5.9)."""
        self._sequence = self._sequence % 3 + 1
        return self._sequence

    # Its life: every yield is milliseconds to wait; behind a packet it is over when the reply is there.

    def _live(self):
        """Open a channel, poll, and begin again when something fails, for ever."""
        while True:
            try:
                yield from self._open()
                yield from self._serve()
            except Fault as fault:
                self._result = _TOLD.get(fault.code, DEAD)
                self.fault = fault
            self._channel = None
            yield _RETRY_MS

    def _open(self):
        """A talk: who is there, and the channel."""
        self._sequence = 0
        reply = yield from self._say(osdp.pack(self._address, 0, osdp.ID, b"\0"))
        if reply.code != osdp.READER_ID:
            raise Fault(READER_UNTRUSTED, "osdp id")
        try:
            self._channel = yield from self._challenge(self._key)
        except Fault as fault:
            if fault.code != READER_UNTRUSTED or not self._is_installing:
                raise
            yield from self._install()
            self._channel = yield from self._challenge(self._key)
        # A reader that has its key is installed: from now on the maker's opens nothing.
        self._is_installing = False

    def _challenge(self, key: bytes):
        """A talk: a channel under a key."""
        channel = osdp.Channel(key, self._random_bytes(osdp.RANDOM))
        reply = yield from self._say(channel.challenge(self._address, self._next()))
        sequence = self._next()
        reply = yield from self._say(channel.answer(reply, self._address, sequence))
        channel.opened(reply)
        return channel

    def _install(self):
        """A talk: give the reader its key over a channel under the maker's."""
        self._sequence = 0
        yield from self._say(osdp.pack(self._address, 0, osdp.ID, b"\0"))
        self._channel = yield from self._challenge(osdp.MAKERS_KEY)
        code, _data = yield from self._order(osdp.KEY_SET, bytes((1, _KEY_SIZE)) + self._key)
        if code != osdp.ACK:
            raise Fault(READER_UNTRUSTED, "osdp key")
        self._sequence = 0
        yield from self._say(osdp.pack(self._address, 0, osdp.ID, b"\0"))

    def _order(self, code: int, data: bytes = b""):
        """A talk in the channel: (code, data) of the reply."""
        reply = yield from self._say(self._channel.seal(self._address, self._next(), code, data))
        data = self._channel.open(reply)
        return reply.code, data

    def _serve(self):
        """Polls, until something fails."""
        while True:
            code, data = yield from self._order(osdp.POLL)
            self._result = self._take(data) if code == osdp.RAW else NOTHING
            yield _POLL_MS

    def _take(self, data: bytes) -> int:
        """RAW: reader, format, count of bits, bits (7.10)."""
        self.fault = None
        if len(data) < 5:
            return NOISE
        try:
            self.credential = of_raw_bits(data[2] | data[3] << 8, data[4:])
        except Fault:
            return NOISE
        return CARD


_TOLD = {READER_DEAD: DEAD, READER_NOISE: NOISE, READER_UNTRUSTED: UNTRUSTED}
