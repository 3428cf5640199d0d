"""From chips to taps, and a whole gate whose cards lie before a model of its chip."""

from firmware.drivers.mfrc522 import Mfrc522
from firmware.drivers.proof import prover
from firmware.drivers.taps import Taps
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
    UNTRUSTED,
)
from firmware.hal.panel import ASK, GO
from protocols.card.application import GATE
from protocols.errors import (
    CARD_NOT_GENUINE,
    CARD_SEVERAL,
    CARD_UNKNOWN,
    OK,
    READER_DEAD,
    READER_NOISE,
    READER_UNTRUSTED,
    Fault,
)
from protocols.ledger import record
from tests.firmware.drivers.readers.field import Crowd, TypeA
from tests.firmware.drivers.readers.mfrc522_model import Mfrc522Model
from tests.firmware.drivers.readers.rig import PROVED, UID4, UID7, desfire, masters, ntag
from tests.firmware.parts import RigClock, RigPanel
from tests.firmware.rig import Rig, row
from tests.protocols.card.virtual_card import randoms
from tests.protocols.card.virtual_desfire import VirtualDesfire

NUMBER = "a:04C767F2066180"
TAG = "app:D2760000850101:04C767F2066180"


class Scripted:
    """A chip that comes to what a test says."""

    wait_ms = 10
    fault = None
    credential = "a:0F569FAB"

    def __init__(self, *results):
        self.results = list(results)

    def poll(self):
        return self.results.pop(0) if self.results else PENDING


def run(*results, chip=None):
    """(taps, faults on the panel: of the reader, and of cards) of one reader."""
    panel = RigPanel()
    chip = chip or Scripted()
    chip.results += results
    reader = Taps([("in", chip)], RigClock(), panel)
    taps = []
    while chip.results:
        assert reader.step() == 10
        tap = reader.next_tap()
        if tap is not None:
            taps.append((tap.side, tap.credential))
    faults = [code for _side, code in panel.readers]
    return taps, faults + panel.faults


def test_card_is_one_tap_however_long_it_lies():
    taps, faults = run(NOTHING, CARD, RESTING, RESTING, REMOVED, NOTHING, CARD, RESTING)
    assert taps == [("in", "a:0F569FAB")] * 2
    assert faults == []


def test_what_is_no_card_is_no_tap():
    taps, faults = run(NOTHING, SEVERAL, SEVERAL, TORN, NOISE, DEAD, DEAD, NOTHING, DEAD)
    assert taps == []
    assert faults == [CARD_SEVERAL, OK, READER_DEAD, OK, READER_DEAD]


def test_two_cards_are_asked_for_one():
    panel = RigPanel()
    chip = Scripted(SEVERAL, SEVERAL, NOTHING, SEVERAL)
    reader = Taps([("in", chip)], RigClock(), panel)
    while chip.results:
        reader.step()
        assert reader.next_tap() is None
        assert reader.faults == 0
    # As long as they lie there, each time anew; nobody gets a verdict.
    several, over = ("in", CARD_SEVERAL), ("in", OK)
    assert panel.readers == [several, over, several]
    assert panel.verdicts == panel.faults == []


def test_faults_are_those_of_now():
    chips = Scripted(DEAD, NOTHING), Scripted(UNTRUSTED, UNTRUSTED)
    reader = Taps(zip(("in", "out"), chips), RigClock(), RigPanel())
    assert reader.faults == 0
    reader.step()
    assert reader.faults == READER_DEAD | READER_UNTRUSTED << 8
    reader.step()
    assert reader.faults == READER_UNTRUSTED << 8


def test_reader_that_says_numbers_backwards_is_turned_round():
    for told, wanted in (
        ("a:0F569FAB", "a:AB9F560F"),
        ("a:04C767F2066180", "a:806106F267C704"),
        ("w34:01020304", "w34:04030201"),
        ("w26:D41B81", "w26:D41B81"),
        (PROVED, PROVED),
    ):
        chip = Scripted(CARD)
        chip.credential = told
        reader = Taps([("in", chip)], RigClock(), RigPanel(), True)
        reader.step()
        assert reader.next_tap().credential == wanted


def test_noise_is_told_when_it_lasts():
    assert run(*([NOISE] * 7 + [NOTHING]) * 3)[1] == []
    assert run(*[NOISE] * 50)[1] == [READER_NOISE]
    assert run(*[NOISE] * 50, NOTHING)[1] == [READER_NOISE, OK]


def test_unproven_card_is_a_tap_by_its_number_and_a_fault():
    chip = Scripted()
    chip.fault = Fault(CARD_NOT_GENUINE, "proof")
    taps, faults = run(UNPROVEN, RESTING, chip=chip)
    assert (taps, faults) == ([("in", "a:0F569FAB")], [CARD_NOT_GENUINE])


def test_full_queue_drops_and_counts():
    chip = Scripted(*[CARD] * 6)
    reader = Taps([("in", chip)], RigClock(), RigPanel())
    for _ in range(6):
        reader.step()
    assert reader.dropped == 2
    assert len([1 for _ in range(6) if reader.next_tap() is not None]) == 4


def test_dead_reader_keeps_no_other_waiting():
    dead, well = Scripted(*[DEAD] * 9), Scripted(CARD)
    dead.wait_ms = 1000
    panel = RigPanel()
    reader = Taps([("in", dead), ("out", well)], RigClock(), panel)
    assert reader.step() == 10
    assert reader.next_tap().side == "out"
    assert panel.readers == [("in", READER_DEAD)]


class Gate:
    """A gate with two real drivers on two chips."""

    def __init__(self, *rows, is_proving=True):
        self.crowds = (Crowd(), Crowd())
        self.rig = Rig(rows=rows, reader_of=self.reader)
        self.is_proving = is_proving

    def reader(self, rig):
        prove = prover(GATE, masters().of, randoms(5))
        self.models = [Mfrc522Model(crowd, rig.clock) for crowd in self.crowds]
        chips = [Mfrc522(model, rig.clock, prove, model) for model in self.models]
        return Taps(zip(("in", "out"), chips), rig.clock, rig.panel)

    def tap(self, card, side=0):
        """A card laid down for a second; what was shown."""
        before = len(self.rig.panel.verdicts)
        self.crowds[side].lay(card)
        self.rig.run(1000)
        self.crowds[side].take(card)
        self.rig.run(500)
        return [verdict[:2] for verdict in self.rig.panel.verdicts[before:]]


def test_gate_opens_for_a_card_that_proves_itself():
    gate = Gate(row(PROVED, 11))
    gate.rig.run(500)
    card = desfire()
    assert gate.tap(TypeA(UID7, card)) == [(GO, OK)]
    opened = gate.rig.of_type(record.PASS)[0]
    assert (opened.account, opened.flags & record.PASS_OPENED) == (11, record.PASS_OPENED)


def test_gate_opens_for_a_tag_that_proves_itself():
    gate = Gate(row(TAG, 12))
    assert gate.tap(TypeA(UID7, ntag()), side=1) == [(GO, OK)]
    assert gate.rig.of_type(record.PASS)[0].flags & record.PASS_OUT


def test_copy_of_a_protected_card_is_asked_and_told():
    # Its table row is the proved id, so the number of a copy opens nothing; the panel names the copy.
    gate = Gate(row(PROVED, 11))
    assert gate.tap(TypeA(UID7, desfire(known=masters(100)))) == [(ASK, CARD_UNKNOWN)]
    assert CARD_NOT_GENUINE in gate.rig.panel.faults
    assert gate.tap(TypeA(UID7)) == [(ASK, CARD_UNKNOWN)]


def test_cards_without_our_application_are_their_number():
    gate = Gate(row(NUMBER, 13), row("a:0F569FAB", 14))
    assert gate.tap(TypeA(UID7, VirtualDesfire(UID7, randoms(7)))) == [(GO, OK)]
    assert gate.tap(TypeA(UID4)) == [(GO, OK)]
    assert gate.tap(TypeA(UID4, VirtualDesfire(UID7, randoms(7)))) == [("repeat", 20)]


def test_dead_reader_of_a_gate_is_told_and_the_other_works_on():
    gate = Gate(row("a:0F569FAB", 14))
    gate.rig.run(500)
    gate.models[0].is_dead = True
    gate.rig.run(4000)
    assert gate.rig.panel.readers == [("in", READER_DEAD)]
    assert gate.tap(TypeA(UID4), side=1) == [(GO, OK)]
    gate.models[0].is_dead = False
    gate.rig.run(8000)
    assert gate.tap(TypeA(UID4), side=0) == [(GO, OK)]
