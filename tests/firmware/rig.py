"""A whole controller on scripted parts that can fail: the firmware's tests on both interpreters.

`Rig` keeps flash and storage over a reboot, as a power cut does; `Parent` speaks the
other side of the wire with the real codecs and believes nothing.
"""

import hashlib
import struct
from binascii import crc32

from firmware.app.canteen import Canteen
from firmware.app.controller import Controller
from firmware.app.readers import Watch
from firmware.app.supervisor import Supervisor
from firmware.app.sync import Sync
from firmware.app.till import Till
from firmware.app.turnstile import Turnstile
from firmware.hal.board import GATE, Board, Provision
from firmware.hal.portal import Turn
from firmware.hal.reader import Tap
from protocols.card.credential import card_ref
from protocols.ledger import record
from protocols.mac import DeviceKeys
from protocols.wire import envelope, messages, table, topics
from protocols.wire.till import pairing_key
from tests.firmware.parts import Dog, Hands, RamStorage, RigClock, RigLink, RigPanel
from tests.protocols.nor import Nor

SCHOOL, DEVICE, EPOCH = 0x5C4001, 0xDE51CE, 1
KEY = bytes(range(32))
REFERENCE_KEY = bytes(range(32, 64))
ANNA, BORIS, VERA = "a:04C716D07C564B", "a:04900A33356B5B", "a:0F569FAB"


def reference(credential):
    """The eight bytes under which a device knows a card."""
    return card_ref(REFERENCE_KEY, credential)[: table.REFERENCE]


def row(credential, account, rights=0, flags=0, benefit_days=0):
    """A row of the account table."""
    return table.Row(reference(credential), account, rights, benefit_days, flags, 0)


def settings(
    version=1,
    flags=0,
    cap=100000,
    menu=((7, 0, 1439, 8500),),
    verdict_ms=400,
    first_day=0,
    last_day=0xFFFF,
    weak_day=0,
):
    """Settings of a school three hours ahead of UTC."""
    # A row of four is no hot meal.
    items = tuple(messages.MenuItem(*(tuple(item) + (0,))[:5]) for item in menu)  # noqa: RUF005
    days = (first_day, last_day)
    return messages.Settings(version, 180, 3000, verdict_ms, 5000, flags, cap, *days, weak_day, items)


class Rig:
    """One controller.  `reboot()` is what a power cut leaves: flash and storage.

    `reader_of(rig)`: the board's reader, where it is not the test's hands; `reading`: of its provisioning;
    `serial`: the wire to a till, if there is one.
    """

    def __init__(
        self,
        kind=GATE,
        sectors=8,
        rows=(),
        given=None,
        base_day=0,
        credit_total=0,
        reader_of=None,
        reading=None,
        serial=None,
    ):
        self.kind = kind
        self.reader_of = reader_of
        self.reading = reading
        self.serial = serial
        self.flash = Nor(sectors)
        self.storage = RamStorage()
        self.link = RigLink()
        self.clock = RigClock()
        self.panel = RigPanel()
        self.boots = 0
        self.device = DEVICE
        if rows:
            self.storage.files["accounts"] = table.build(rows, 1, base_day, credit_total)
        if given is not None:
            self.keep_settings(given)
        self.reboot()

    def keep_settings(self, given):
        """Settings as an earlier life stored them."""
        body = messages.pack_settings(given)
        self.storage.files["settings"] = body + struct.pack("<I", crc32(body))

    def reboot(self):
        """Start the board anew on what is durable."""
        self.boots += 1
        self.flash.cut_after = None
        connection = self.link.connection
        self.link = RigLink()
        self.link.connection = connection
        self.storage.open_count = 0
        self.hands = Hands()
        provision = Provision(
            school=SCHOOL,
            device=self.device,
            epoch=EPOCH,
            kind=self.kind,
            key=KEY,
            reference_key=REFERENCE_KEY,
            reading=self.reading,
        )
        reader = self.reader_of(self) if self.reader_of is not None else self.hands
        board = Board(
            provision=provision,
            flash=self.flash,
            storage=self.storage,
            clock=self.clock,
            reader=reader,
            portal=self.hands if self.kind == GATE else None,
            panel=self.panel,
            link=self.link,
            watchdog=Dog(),
            random_bytes=self.random_bytes,
            wait=None,
        )
        if self.serial is not None:
            board.panel = Till(self.panel, self.serial, pairing_key(KEY), self.random_bytes)
        self.controller = Controller(board)
        self.controller.boot()
        self.task = Turnstile(self.controller) if self.kind == GATE else Canteen(self.controller)
        self.task.resume()
        self.sync = Sync(self.controller)
        tasks = (board.reader, self.task, self.sync, Watch(self.controller), self.controller)
        if self.serial is not None:
            board.panel.attach(self.controller)
            tasks = (board.panel,) + tasks  # noqa: RUF005
        self.loop = Supervisor(tasks, board.watchdog, self.panel)
        self.dog = board.watchdog
        self.parent = Parent(self)

    def random_bytes(self, count):
        """Different at each boot, the same in each run."""
        return hashlib.sha256(b"%d" % self.boots).digest()[:count]

    def run(self, milliseconds=0):
        """Let the board work until it has nothing to do, then let time pass, then again."""
        for _ in range(2000):
            wait = self.loop.step()
            if wait:
                if milliseconds <= 0:
                    return
                step = min(wait, milliseconds)
                self.clock.pass_ms(step)
                milliseconds -= step

    def tap(self, credential, side="in"):
        """A card in the field; returns the last verdict (kind, refusal, seq)."""
        self.hands.taps.append(Tap(side, credential, self.clock.utc(), self.clock.ticks()))
        count = len(self.panel.verdicts)
        self.run()
        return self.panel.verdicts[-1] if len(self.panel.verdicts) > count else None

    def turn(self, direction="in"):
        """The rotor turns."""
        self.hands.turns.append(Turn(direction, self.clock.utc(), self.clock.ticks()))
        self.run()

    def records(self):
        """Every record of the journal."""
        journal = self.controller.journal
        return list(journal.records(journal.oldest_seq))

    def of_type(self, *kinds):
        """The records of some types."""
        return [item for item in self.records() if item.type in kinds]


class Parent:
    """The cloud's side of one device, as far as a test scripts it."""

    def __init__(self, rig):
        self.rig = rig
        self.keys = DeviceKeys(KEY)
        self.incarnation = (1, 77)
        self.counter = 0
        self.down = topics.topic(SCHOOL, DEVICE, topics.DOWN)
        self.tbl = topics.topic(SCHOOL, DEVICE, topics.TABLE)

    def head(self, kind, **other):
        """The head of a message from this parent; `other` fields make a wrong one."""
        self.counter += 1
        values = {
            "type": kind,
            "school": SCHOOL,
            "device": DEVICE,
            "epoch": EPOCH,
            "incarnation": self.incarnation[0],
            "incarnation_id": self.incarnation[1],
            "counter": self.counter,
        }
        values.update(other)
        return envelope.Head(*[values[name] for name in HEAD_FIELDS])

    def seal(self, kind, body, **other):
        """The bytes of a message."""
        key = self.keys.table if kind == envelope.CHUNK else self.keys.down
        return envelope.seal(key, self.head(kind, **other), body)

    def send(self, kind, body, **other):
        """Put a message in and let the board take it."""
        topic = self.tbl if kind == envelope.CHUNK else self.down
        self.rig.link.inbound.append((topic, self.seal(kind, body, **other)))
        self.rig.run()

    def connect(self, next_wanted=None):
        """Bring the link up and answer HELLO."""
        self.rig.link.up()
        self.rig.run()
        hello = self.heard(envelope.HELLO)[-1]
        self.send(envelope.ACK, messages.pack_ack(next_wanted or hello.next_seq))
        return hello

    def heard(self, kind):
        """The bodies of one type that the device has sent, unpacked; everything sent is checked."""
        bodies = []
        for _topic, payload in self.rig.link.sent:
            head = envelope.peek(payload, envelope.TO_CLOUD)
            opened = envelope.open_envelope(self.keys.up, head, payload, SCHOOL, DEVICE)
            if head.type == kind:
                bodies.append(UNPACK[kind](opened.body))
        return bodies

    def received(self):
        """seq -> Record of all RECS so far."""
        found = {}
        for recs in self.heard(envelope.RECS):
            for index in range(recs.count):
                item = record.unpack(recs.raw, index * record.SIZE)
                found[item.seq] = item
        return found


HEAD_FIELDS = ("type", "school", "device", "epoch", "incarnation", "incarnation_id", "counter")
UNPACK = {
    envelope.HELLO: messages.unpack_hello,
    envelope.RECS: messages.unpack_recs,
    envelope.NEED: messages.unpack_need,
    envelope.WANT: messages.unpack_want,
}
