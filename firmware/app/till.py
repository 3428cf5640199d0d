"""A line's till: what it rings up and takes back comes in, what became of it goes out.

Promises: what was rung up pays for one card and is gone then, as it is when the till begins a
new talk or the board boots; without it a card buys nothing here.  The till is told
kinds and numbers of records: no amount, no account, no right, no refusal.  A till that is not there
holds nothing up.  Leaves lights and sounds to the board's own panel.
"""

from firmware.hal import panel as show
from protocols.errors import (
    BAD_CREDENTIAL,
    BASKET_ITEMS,
    CARD_SEVERAL,
    CARD_UNKNOWN,
    NOT_IN_MENU,
    NOTHING_ON_SALE,
    REPEATED_TAP,
    Fault,
)
from protocols.ledger import record
from protocols.wire import till as wire

_TURN_MS = 10
_PIECE = 64
_VOIDS_MAX = 8
# Another card may do; what the staff rang up wrong; below these the line itself is out of order.
_CARD = (CARD_UNKNOWN, BAD_CREDENTIAL)
_RUNG_UP = (NOTHING_ON_SALE, NOT_IN_MENU, BASKET_ITEMS)
_TAIL = 136


class Till:
    """The panel of a line that has a till (hal/panel.py), and the task that talks to it.

    `panel`: the board's own; `serial`: a Serial of hal/bus.py; `key`: of the pairing.
    """

    def __init__(self, panel, serial, key: bytes, random_bytes) -> None:
        self._panel = panel
        self._serial = serial
        self._random_bytes = random_bytes
        self._talk = wire.Talk(key, True)
        self._frames = wire.Frames()
        self._piece = bytearray(_PIECE)
        self._controller = None
        self._op = 0
        self._lines: tuple = ()
        self._taken = 0
        self._voids: list = []
        self._sale = (0, 0)
        self._void = 0
        self._is_several = False

    def attach(self, controller) -> None:
        """The board has booted: find what was sold and taken back last."""
        self._controller = controller
        journal = controller.journal
        if not controller.readable:
            return
        try:
            for item in journal.records(max(journal.oldest_seq, journal.next_seq - _TAIL)):
                if item.type == record.SALE:
                    self._sale = (item.seq, item.time)
                elif item.type == record.VOID:
                    self._void = item.seq
        except Fault as fault:
            self._panel.fault(fault.code, fault.thing)

    # The panel

    def __getattr__(self, name: str):
        """All that a till has no part in is the board's own panel."""
        return getattr(self._panel, name)

    def next_basket(self):
        """What was rung up, once; nothing is sold without."""
        lines, self._taken = self._lines, self._op
        self._ring(0, ())
        return lines

    def next_void(self):
        """The oldest sale to take back, or None."""
        return self._voids.pop(0) if self._voids else None

    def verdict(self, kind: str, refusal: int, seq: int, time: int) -> None:
        """On a tap: the light, and for the till what became of what it had rung up."""
        self._panel.verdict(kind, refusal, seq, time)
        if kind == show.SERVED:
            self._sale = (seq, time)
        told = wire.Verdict(self._taken, _told(kind, refusal), seq, time)
        self._taken = 0
        self._say(wire.VERDICT, wire.pack_verdict(told))

    def voided(self, of: int, refusal: int, seq: int) -> None:
        """What came of taking a sale back."""
        self._panel.voided(of, refusal, seq)
        self._void = seq or self._void
        self._say(wire.VOIDED, wire.pack_voided(of, seq))

    def reader(self, side: str, code: int) -> None:
        """What goes on at a reader: at once, since a child stands there with two cards."""
        self._panel.reader(side, code)
        self._is_several = code == CARD_SEVERAL
        self._say(wire.STATE, wire.pack_state(self._state()))

    # The wire

    def step(self) -> int:
        """Take what has come."""
        while True:
            count = self._serial.read_into(self._piece)
            if not count:
                return _TURN_MS
            for packet in self._frames.take(self._piece[:count]):
                try:
                    self._take(packet)
                except Fault as fault:
                    self._controller.refused(fault)

    def _take(self, packet: bytes) -> None:
        kind, body = self._talk.open(packet)
        if kind == wire.OPEN:
            self._ring(0, ())
            self._serial.write(self._talk.answer(body, self._random_bytes(wire.NONCE_SIZE)))
        elif kind == wire.RING:
            self._ring(*wire.unpack_ring(body))
        elif kind == wire.VOID:
            if len(self._voids) < _VOIDS_MAX:
                self._voids.append(wire.unpack_void(body))
        else:
            self._say(wire.STATE, wire.pack_state(self._state()))

    def _ring(self, op: int, lines: tuple) -> None:
        self._op = op
        self._lines = lines

    def _say(self, kind: int, body: bytes) -> None:
        if self._talk.is_open:
            self._serial.write(self._talk.seal(kind, body))

    def _state(self) -> wire.State:
        controller = self._controller
        journal, accounts = controller.journal, controller.accounts
        flags = wire.ONLINE if controller.board.link.online else 0
        flags |= wire.READER_DEAD if controller.board.reader.faults else 0
        flags |= wire.SEVERAL if self._is_several else 0
        try:
            controller.check_takes_cards()
        except Fault:
            flags |= wire.LOCKED
        # What a card is being decided for counts as rung up.
        op, place = self._taken or self._op, (journal.next_seq, journal.acked)
        return wire.State(op, *self._sale, self._void, *place, accounts.version, accounts.base_day, flags)


def _told(kind: str, refusal: int) -> int:
    """What a till is told of a verdict: money, limits and a closed card are one and the same there."""
    if kind == show.SERVED:
        return wire.SERVED
    if kind == show.REPEAT:
        return wire.REPEAT
    if refusal in _CARD:
        return wire.CARD
    if refusal in _RUNG_UP:
        return wire.NOTHING
    return wire.LINE if refusal < REPEATED_TAP else wire.TEACHER
