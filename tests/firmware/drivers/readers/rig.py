"""What the tests of readers share: driving a chip through time, and cards that prove themselves."""

from firmware.drivers.mfrc522 import Mfrc522
from firmware.hal.chip import PENDING
from protocols.card import application, native, tag
from protocols.card.application import CANTEEN, CARD, DESK, GATE, Masters
from tests.firmware.drivers.readers.field import Crowd
from tests.firmware.drivers.readers.mfrc522_model import Mfrc522Model
from tests.firmware.parts import RigClock, RigPanel
from tests.protocols.card.virtual_card import randoms
from tests.protocols.card.virtual_desfire import VirtualDesfire
from tests.protocols.card.virtual_ntag import VirtualNtag

UID4 = bytes.fromhex("0F569FAB")
UID7 = bytes.fromhex("04C767F2066180")
UID10 = bytes.fromhex("0411223344556677889A")
IDENTITY = bytes.fromhex("0011223344556677")
PROVED = "app:4B4B01:0011223344556677"


def masters(filling=0):
    """The school's master keys; another `filling` is another school."""
    roles = (DESK, GATE, CANTEEN, CARD, tag.SUN_ROLE, tag.META_ROLE)
    return Masters({(role, 1): bytes((role, 1 + filling)) * 8 for role in roles})


def desfire(uid=UID7, known=None):
    """A virtual DESFire EV2 that the desk has issued."""
    card = VirtualDesfire(uid, randoms(7))
    hold(card, application.issue(uid, IDENTITY, known or masters(), randoms(1)))
    return card


def ntag(uid=UID7):
    """A virtual NTAG 424 DNA that the desk has issued."""
    card = VirtualNtag(uid, randoms(7))
    hold(card, tag.issue(uid, masters(), randoms(1)))
    return card


def hold(card, talk):
    """A talk without a reader, as the desk has it."""
    return native.run(talk, lambda command: native.unwrap(card.apdu(native.wrap(command))))


def prove_at_gate(uid):
    """What a gate asks of a DESFire card."""
    return application.identify(uid, GATE, masters().of, randoms(3))


class ChipClock(RigClock):
    """Milliseconds as a chip of 32 bits has them: 30 bits, and an error for whoever counts on beyond."""

    period = 1 << 30

    def __init__(self, start):
        super().__init__()
        self.start = start

    def uptime(self):
        return (self.start + self.real) % self.period

    def uptime_elapsed(self, later, earlier):
        assert 0 <= later < self.period
        assert 0 <= earlier < self.period
        half = self.period // 2
        return (later - earlier + half) % self.period - half


class Bench:
    """A chip's driver in time.  `make(clock)` makes the driver; the model has time of its own.

    `start`: the chip's milliseconds at the start, for a day on which they begin again from 0.
    """

    def __init__(self, make, start=0):
        self.clock = ChipClock(start)
        self.panel = RigPanel()
        self.chip = make(self.clock)
        self.results = []

    def pass_ms(self, milliseconds):
        """Let the driver work for so long; results in order of time, which `results` collects too."""
        found = []
        until = self.clock.ticks() + milliseconds
        while self.clock.ticks() < until:
            result = self.chip.poll()
            if result != PENDING:
                found.append(result)
            self.clock.pass_ms(max(1, min(self.chip.wait_ms, until - self.clock.ticks())))
        self.results += found
        return found

    def until(self, *wanted, limit_ms=5000):
        """The first of the wanted results, and the milliseconds that it took."""
        started = self.clock.ticks()
        while self.clock.ticks() - started < limit_ms:
            result = self.chip.poll()
            if result != PENDING:
                self.results.append(result)
            if result in wanted:
                return result, self.clock.ticks() - started
            self.clock.pass_ms(max(1, self.chip.wait_ms))
        raise AssertionError(("none of", wanted, "but", self.results[-5:]))


def bench(*cards, prove=None, version=0x92, power=False):
    """A driver before a model of its chip, started."""
    crowd = Crowd(*cards)
    made = []

    def make(clock):
        made.append(Mfrc522Model(crowd, clock, version))
        return Mfrc522(made[0], clock, prove, made[0] if power else None)

    stand = Bench(make)
    stand.crowd, stand.model = crowd, made[0]
    return stand
