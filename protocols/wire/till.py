"""The wire between a canteen line and its till: framed, paired, MACed; a raw wire is told nothing.

    frame   COBS (Cheshire and Baker, 1999) of a packet, then a zero byte
    packet   0  u8   type
             1  u32  counter
             5  n B  body
           5+n  8 B  MAC

MAC = first 8 bytes of HMAC-SHA256(K, direction u8, packet without its MAC).  OPEN and
OPENED have the counter 0 and the pairing key; all others have the key of the talk, which
is HMAC-SHA256(pairing key, "talk", nonce of the till, nonce of the line), and a counter
above all before it.  No body carries an amount, an account, a right or a refusal number.

    OPEN    nonce of the till 8 B
    RING    op u32 | count u8 | count of (good u16, quantity u16): what the next card pays for; none: nothing
    VOID    seq u32 of the sale that is taken back
    ASK     nothing: how does the line stand
    OPENED  nonce of the till 8 B | nonce of the line 8 B
    VERDICT op u32 of what was rung up, 0 for none | kind u8 | seq u32, 0 for none | time u32 of the tap
    VOIDED  of u32 | seq u32 of the VOID, 0 when nothing was taken back
    STATE   op u32 that waits for a card or for its verdict | seq u32 and time u32 of the last sale
            | seq u32 of the last VOID | next u32 and acked u32 of the journal | table u32, its version
            | day u16 of it | flags u8
"""

from collections import namedtuple

from protocols.errors import (
    BASKET_ITEMS,
    WIRE_BODY,
    WIRE_LENGTH,
    WIRE_MAC,
    WIRE_NONCE,
    WIRE_STALE,
    WIRE_TYPE,
    Fault,
)
from protocols.fields import Layout
from protocols.ledger.record import ITEMS_MAX
from protocols.mac import equal, hkdf_sha256, hmac_sha256

NONCE_SIZE = 8
PACKET_MAX = 200

OPEN = 1
RING = 2
VOID = 3
ASK = 4
OPENED = 17
VERDICT = 18
VOIDED = 19
STATE = 20

# Kinds of verdicts: TEACHER for whatever is nobody's business at the till, money among it.
SERVED = 1
CARD = 2
TEACHER = 3
REPEAT = 4
LINE = 5
NOTHING = 6

# Flags of STATE.
ONLINE = 0x01
READER_DEAD = 0x02
LOCKED = 0x04
SEVERAL = 0x08

Verdict = namedtuple("Verdict", ("op", "kind", "seq", "time"))
State = namedtuple("State", ("op", "sale", "sale_time", "void", "next", "acked", "table", "day", "flags"))

_MAC_SIZE = 8
_TO_LINE = b"\x01"
_TO_TILL = b"\x02"
_FROM_TILL = (OPEN, RING, VOID, ASK)
_HEAD = Layout("till", "type u8, counter u32")
_RING = Layout("ring", "op u32, count u8")
_LINE = Layout("line", "good u16, quantity u16")
_VERDICT = Layout("verdict", "op u32, kind u8, seq u32, time u32")
_STATE = Layout(
    "state",
    "op u32, sale u32, sale_time u32, void u32, next u32, acked u32, table u32, day u16, flags u8",
)
_NUMBER = Layout("number", "seq u32")
_VOIDED = Layout("voided", "of u32, seq u32")


def pairing_key(device_key: bytes) -> bytes:
    """32 bytes that a line and its till share, from the key of one (device, epoch) that no till holds."""
    return hkdf_sha256(device_key, b"klasskart/1/usb")


def frame(packet) -> bytes:
    """A packet as bytes on the wire, the zero at the end too."""
    out = bytearray(1)
    place = 0
    for value in packet:
        if value:
            out.append(value)
        else:
            out[place] = len(out) - place
            place = len(out)
            out.append(0)
    out[place] = len(out) - place
    out.append(0)
    return bytes(out)


def unframe(framed) -> bytes:
    """The packet of a frame without its zero; Fault(WIRE_LENGTH) for bytes that are none."""
    out = bytearray()
    place = 0
    while place < len(framed):
        end = place + framed[place]
        if end == place or end > len(framed):
            raise Fault(WIRE_LENGTH, "frame")
        out += framed[place + 1 : end]
        if end < len(framed):
            out.append(0)
        place = end
    return bytes(out)


class Frames:
    """Whole packets out of a stream of bytes.  `dropped`: frames that were none."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._is_long = False
        self.dropped = 0

    def take(self, piece) -> list:
        """The packets that end in this piece."""
        found = []
        for value in piece:
            if value:
                if len(self._held) <= PACKET_MAX:
                    self._held.append(value)
                else:
                    self._is_long = True
                continue
            if self._held:
                try:
                    if self._is_long:
                        raise Fault(WIRE_LENGTH, "frame")
                    found.append(unframe(self._held))
                except Fault:
                    self.dropped += 1
            self._held = bytearray()
            self._is_long = False
        return found


class Talk:
    """One end of the wire: `key` of the pairing; a till begins, the line answers.

    A replayed OPEN ends no talk: the line goes over to a new key with the first packet under it.
    """

    def __init__(self, key: bytes, is_line: bool) -> None:
        self._pairing = key
        self._is_line = is_line
        self._nonce = b""
        self._key: bytes | None = None
        self._next: bytes | None = None
        self._sent = 0
        self._seen = 0

    def __repr__(self) -> str:
        return "Talk()"

    @property
    def is_open(self) -> bool:
        """Whether both ends have a key."""
        return self._key is not None

    def begin(self, nonce: bytes) -> bytes:
        """The till's OPEN, as a frame; `nonce`: 8 random bytes.  What was open before is over."""
        self._nonce = nonce
        self._key = None
        return self._pack(self._pairing, OPEN, 0, nonce)

    def answer(self, till_nonce: bytes, nonce: bytes) -> bytes:
        """The line's OPENED, as a frame."""
        self._next = self._talk_key(till_nonce, nonce)
        return self._pack(self._pairing, OPENED, 0, till_nonce + nonce)

    def seal(self, kind: int, body: bytes = b"") -> bytes:
        """A message as a frame; Fault(WIRE_NONCE) when nothing is open."""
        if self._key is None:
            raise Fault(WIRE_NONCE, "till")
        self._sent += 1
        return self._pack(self._key, kind, self._sent, body)

    def open(self, packet: bytes) -> tuple:
        """(type, body) of a packet, which is looked at no further before its MAC.

        Faults: WIRE_LENGTH, WIRE_TYPE for one that the other end does not send, WIRE_NONCE when nothing is
        open, WIRE_MAC, WIRE_STALE for a counter that was used or an answer to another OPEN.
        """
        if not _HEAD.size + _MAC_SIZE <= len(packet) <= PACKET_MAX:
            raise Fault(WIRE_LENGTH, "till", "%d B" % len(packet))
        kind, counter = _HEAD.unpack(packet)
        if (kind in _FROM_TILL) != self._is_line:
            raise Fault(WIRE_TYPE, "till", "type %d" % kind)
        body = packet[_HEAD.size : -_MAC_SIZE]
        if kind in (OPEN, OPENED):
            self._check(self._pairing, packet)
            self._check_opening(counter, body)
            return kind, body
        if self._next is not None and self._fits(self._next, packet):
            self._turn_over(self._next)
        if self._key is None:
            raise Fault(WIRE_NONCE, "till")
        self._check(self._key, packet)
        if counter <= self._seen:
            raise Fault(WIRE_STALE, "till", "counter %d" % counter)
        self._seen = counter
        return kind, body

    def _check_opening(self, counter: int, body: bytes) -> None:
        if counter or len(body) != (NONCE_SIZE if self._is_line else 2 * NONCE_SIZE):
            raise Fault(WIRE_BODY, "till")
        if not self._is_line:
            if body[:NONCE_SIZE] != self._nonce:
                raise Fault(WIRE_STALE, "till", "nonce")
            self._turn_over(self._talk_key(self._nonce, body[NONCE_SIZE:]))
            self._nonce = b""

    def _turn_over(self, key: bytes) -> None:
        self._key = key
        self._next = None
        self._sent = self._seen = 0

    def _talk_key(self, till_nonce: bytes, nonce: bytes) -> bytes:
        return hmac_sha256(self._pairing, b"talk", till_nonce, nonce)

    def _pack(self, key: bytes, kind: int, counter: int, body: bytes) -> bytes:
        packet = _HEAD.pack(kind, counter) + body
        if len(packet) + _MAC_SIZE > PACKET_MAX:
            raise Fault(WIRE_LENGTH, "till", "%d B" % len(packet))
        return frame(packet + _mac(key, _TO_TILL if self._is_line else _TO_LINE, packet))

    def _fits(self, key: bytes, packet: bytes) -> bool:
        came = _TO_LINE if self._is_line else _TO_TILL
        return equal(_mac(key, came, packet[:-_MAC_SIZE]), packet[-_MAC_SIZE:])

    def _check(self, key: bytes, packet: bytes) -> None:
        if not self._fits(key, packet):
            raise Fault(WIRE_MAC, "till")


def _mac(key: bytes, direction: bytes, packet: bytes) -> bytes:
    return hmac_sha256(key, direction, packet)[:_MAC_SIZE]


# Bodies


def pack_ring(op: int, lines) -> bytes:
    """A RING of (good, quantity) pairs, none to take back what was rung up; Fault(BASKET_ITEMS)."""
    if len(lines) > ITEMS_MAX:
        raise Fault(BASKET_ITEMS, "ring", "%d lines" % len(lines))
    return _RING.pack(op, len(lines)) + b"".join([_LINE.pack(*pair) for pair in lines])


def unpack_ring(body: bytes) -> tuple:
    """(op, (good, quantity) pairs) of a RING, or Fault(WIRE_BODY)."""
    op, count = _RING.unpack(body)
    if count > ITEMS_MAX or len(body) != _RING.size + count * _LINE.size:
        raise Fault(WIRE_BODY, "ring")
    return op, tuple([_LINE.unpack(body, _RING.size + place * _LINE.size) for place in range(count)])


def pack_verdict(verdict: Verdict) -> bytes:
    """A VERDICT."""
    return _VERDICT.pack(*verdict)


def unpack_verdict(body: bytes) -> Verdict:
    """The Verdict of a VERDICT, or Fault(WIRE_BODY)."""
    return Verdict(*_whole(_VERDICT, body))


def pack_state(state: State) -> bytes:
    """A STATE."""
    return _STATE.pack(*state)


def unpack_state(body: bytes) -> State:
    """The State of a STATE, or Fault(WIRE_BODY)."""
    return State(*_whole(_STATE, body))


def pack_void(seq: int) -> bytes:
    """A VOID."""
    return _NUMBER.pack(seq)


def unpack_void(body: bytes) -> int:
    """The seq of a VOID, or Fault(WIRE_BODY)."""
    return _whole(_NUMBER, body)[0]


def pack_voided(of: int, seq: int) -> bytes:
    """A VOIDED."""
    return _VOIDED.pack(of, seq)


def unpack_voided(body: bytes) -> tuple:
    """(of, seq) of a VOIDED, or Fault(WIRE_BODY)."""
    return _whole(_VOIDED, body)


def _whole(layout: Layout, body: bytes) -> tuple:
    if len(body) != layout.size:
        raise Fault(WIRE_BODY, layout.name, "%d B" % len(body))
    return layout.unpack(body)
