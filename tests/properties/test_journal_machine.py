"""The journal against a plain list: cuts, boots, worn pages, rot, a blanked tail, and a ring that wraps.

The list has what append() returned for.  A boot finds all of it, or locks itself;
nothing is overwritten that is not acknowledged or within the backup horizon.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from protocols import errors
from protocols.ledger import record
from protocols.ledger.journal import HEADER, HORIZON_DAYS, SECTOR, SLOTS, Journal
from protocols.mac import Hmac
from tests.properties import machines
from tests.protocols.nor import Nor, PowerCut

KEY = bytes(range(32))
SECTORS = 3
TIME = 1788220800
amounts = st.integers(1, 1 << 30)
shares = st.floats(0, 1, exclude_max=True)


class JournalMachine(RuleBasedStateMachine):
    """`written`: (day, amount) by seq; `macs`: the chain state before each seq, by the words of the docs."""

    journal_class = Journal

    def __init__(self) -> None:
        super().__init__()
        self.nor = Nor(SECTORS)
        self.day = 20000
        self.written: list[tuple[int, int]] = []
        self.chain = Hmac(KEY)
        self.macs = [record.genesis(KEY, 7, 1)]
        self.acked = 1
        self.is_whole = True
        self.journal = self.opened()

    def opened(self) -> Journal:
        journal = self.journal_class(self.nor, KEY, 7, 1)
        journal.open()
        return journal

    def note(self, amount: int) -> None:
        """The list has one more."""
        seq = len(self.written) + 1
        body = record.pack_body((record.SALE, 1, self.day, seq, TIME, 5, amount, 1))
        self.written.append((self.day, amount))
        self.macs.append(record.next_mac(self.chain, self.macs[-1], body))

    def must_stay(self, seq: int) -> bool:
        """Whether a record may not be overwritten today."""
        return seq >= self.acked or self.written[seq - 1][0] + HORIZON_DAYS > self.day

    def append(self, amount: int) -> bool:
        """One sale; a full ring refuses it, and only when nothing old may go."""
        refusal = fault_of(lambda: self.journal.append(record.SALE, 1, self.day, TIME, 5, amount, 1))
        if not refusal:
            self.note(amount)
            return True
        assert refusal == errors.JOURNAL_FULL
        oldest = self.journal.oldest_seq
        assert any(map(self.must_stay, range(oldest, min(oldest + SLOTS, len(self.written) + 1))))
        assert not self.is_whole or len(self.written) + 1 - oldest == SECTORS * SLOTS
        return False

    @rule(amount=amounts, count=st.integers(1, 130))
    def append_some(self, amount: int, count: int) -> None:
        for step in range(count):
            if not self.append(amount + step):
                break

    @rule(count=st.integers(1, 40))
    def days_pass(self, count: int) -> None:
        self.day += count

    @rule(cut=st.integers(0, 200), bits=st.integers(0, 255), amount=amounts)
    def power_is_cut(self, cut: int, bits: int, amount: int) -> None:
        self.nor.cut_after, self.nor.cut_bits = cut, bits
        lost = None
        try:
            for step in range(4):
                lost = amount + step
                self.append(lost)
                lost = None
        except PowerCut:
            self.is_whole = False
        self.nor.cut_after = None
        self.boot()
        if lost is not None and self.journal.next_seq == len(self.written) + 2:
            # The bytes were all there when the power went.
            self.note(lost)

    @rule()
    def boot(self) -> None:
        self.journal = self.opened()
        self.journal.acknowledge(max(self.acked, self.journal.oldest_seq))
        self.is_whole = False  # the page in use is left alone

    @precondition(lambda self: not self.nor.stuck)
    @rule(sector=st.integers(0, SECTORS - 1), place=st.integers(256, SECTOR - 5))
    def page_wears_out(self, sector: int, place: int) -> None:
        """Four bytes take nothing any more; the record goes to another page."""
        self.nor.stuck = tuple(range(sector * SECTOR + place, sector * SECTOR + place + 4))
        self.is_whole = False

    @rule(part=shares)
    def acknowledge(self, part: float) -> None:
        self.acked = max(self.acked, 1 + int(part * (len(self.written) + 1)))
        self.journal.acknowledge(self.acked)

    @rule(more=st.integers(1, 100))
    def acknowledge_the_future(self, more: int) -> None:
        assert fault_of(lambda: self.journal.acknowledge(self.journal.next_seq + more)) == errors.SEQ_FUTURE

    @rule(part=shares, count=st.integers(1, 20))
    def read(self, part: float, count: int) -> None:
        oldest = self.journal.oldest_seq
        first = oldest + int(part * (self.journal.next_seq - oldest))
        there = self.journal.next_seq - first
        assert self.check_read(self.journal, first, count) == min(count, there)

    def check_read(self, journal: Journal, first: int, count: int) -> int:
        """How many records a read gives; before a damaged one it may be fewer than were asked for."""
        before, raw, head = journal.read(first, count)
        found = [record.unpack(raw, at) for at in range(0, len(raw), record.SIZE)]
        assert [(item.day, item.amount) for item in found] == self.written[first - 1 : first - 1 + len(found)]
        assert before == self.macs[first - 1]
        assert head == self.macs[first - 1 + len(found)]
        return len(found)

    # Damage: looked at, and taken back

    def places(self) -> list[int]:
        """Where the records of the newest sector lie, in their order, each at its last place."""
        start = (self.journal._ordinal % SECTORS) * SECTOR + HEADER
        first = self.journal._first_seqs[self.journal._ordinal % SECTORS]
        found = {}
        for at in range(start, start + SLOTS * record.SIZE, record.SIZE):
            if record.crc_ok(self.nor.cells, at) and record.unpack(self.nor.cells, at).seq >= first:
                found[record.unpack(self.nor.cells, at).seq] = at
        return [found[seq] for seq in sorted(found)]

    @rule(part=shares, bit=st.integers(0, SECTORS * SECTOR * 8 - 1), in_newest=st.booleans())
    def bit_rots(self, part: float, bit: int, in_newest: bool) -> None:
        """One bit anywhere, or in a record of the newest sector: a boot or whoever reads there finds it.

        In the newest record it looks like a torn write, so that one may be forgotten, and no other.
        """
        places = self.places()
        if in_newest and places:
            bit = places[int(part * len(places))] * 8 + bit % (record.SIZE * 8)
        oldest, ordinal = self.journal.oldest_seq, self.journal._ordinal
        with self.damaged():
            self.nor.cells[bit // 8] ^= 1 << bit % 8
            refusal = fault_of(self.read_everything)
        assert refusal in (errors.OK, errors.JOURNAL_BROKEN)
        if not refusal:
            # A header may be gone where the next sector would be erased anyway.
            assert self.found[0] == oldest or bit // 8 // SECTOR == (ordinal + 1) % SECTORS
            assert self.found[1] in (len(self.written), len(self.written) + 1), "records are forgotten"

    def read_everything(self) -> None:
        """Boot on what lies in flash and read all of it."""
        journal = self.opened()
        self.found = journal.oldest_seq, journal.next_seq
        first = journal.oldest_seq
        while first < journal.next_seq:
            read = self.check_read(journal, first, 60)
            assert read, "a read gives nothing and no fault"
            first += read

    @contextmanager
    def damaged(self) -> Iterator[None]:
        """What happens to the flash here is taken back."""
        whole = bytes(self.nor.cells)
        try:
            yield
        finally:
            self.nor.cells[:] = whole

    @rule(count=st.integers(1, 130))
    def tail_is_blanked(self, count: int) -> None:
        """The chain before it is whole: only a parent that knows more can tell, by its ACK."""
        places = self.places()
        gone = min(count, len(places))
        with self.damaged():
            for at in places[-count:]:
                self.blank(at)
            journal = self.opened()
            assert journal.next_seq == len(self.written) + 1 - gone
            if gone:
                assert fault_of(lambda: journal.acknowledge(len(self.written) + 1)) == errors.SEQ_FUTURE

    @rule(part=shares)
    def record_is_blanked(self, part: float) -> None:
        """One that has others behind it: the device locks itself."""
        places = self.places()
        if len(places) < 2:
            return
        with self.damaged():
            self.blank(places[int(part * (len(places) - 1))])
            assert fault_of(self.opened) == errors.JOURNAL_BROKEN

    def blank(self, at: int) -> None:
        """Also where the same record was torn and written again."""
        seq = record.unpack(self.nor.cells, at).seq
        start = at // SECTOR * SECTOR + HEADER
        for place in range(start, start + SLOTS * record.SIZE, record.SIZE):
            raw = self.nor.cells[place : place + record.SIZE]
            if place == at or (record.crc_ok(raw) and record.unpack(raw).seq == seq):
                self.nor.cells[place : place + record.SIZE] = b"\xff" * record.SIZE

    # What holds

    @invariant()
    def nothing_is_gone_too_early(self) -> None:
        oldest = self.journal.oldest_seq
        assert self.journal.next_seq == len(self.written) + 1
        assert oldest <= max(self.acked, 1)
        assert not any(map(self.must_stay, range(1, oldest)))

    def teardown(self) -> None:
        """A last boot finds all that has to be there."""
        self.boot()
        self.nothing_is_gone_too_early()
        kept = [(item.day, item.amount) for item in self.journal.records(1)]
        assert kept == self.written[self.journal.oldest_seq - 1 :]
        assert self.journal.head_mac == self.macs[-1]


def fault_of(call: Callable[[], object]) -> int:
    try:
        call()
    except errors.Fault as fault:
        return fault.code
    return errors.OK


def test_journal_follows_the_model() -> None:
    machines.run(JournalMachine, 60, 30)


def test_journal_follows_the_model_afresh() -> None:
    machines.run_fresh(JournalMachine, 30, 30)


# Seeded bugs: each must be caught.


class Overwrites(Journal):
    """The ring turns whatever is in it."""

    def _check_expired(self, ordinal: int, day: int) -> None:
        return


class ForgetsTheHorizon(Journal):
    """An acknowledged record may be overwritten on the same day."""

    def __init__(self, flash, key: bytes, device: int, epoch: int) -> None:
        super().__init__(flash, key, device, epoch, 0)


class NeverOverwrites(Journal):
    """A ring that is full for ever."""

    def _check_expired(self, ordinal: int, day: int) -> None:
        raise errors.Fault(errors.JOURNAL_FULL, "seq 1")


class StopsAtTheFirstHole(Journal):
    """A boot that takes a torn write for the end."""

    def _read_slot(self, ordinal: int, slot: int) -> bytearray:
        raw = super()._read_slot(ordinal, slot)
        if slot == 0:
            self.is_over = False
        self.is_over = getattr(self, "is_over", False) or not record.crc_ok(raw)
        return bytearray(b"\xff" * record.SIZE) if self.is_over else raw


class DoesNotReadBack(Journal):
    """append() returns whatever the flash took."""

    def _program(self, offset: int, data: bytes, buffer: bytearray) -> bool:
        super()._program(offset, data, buffer)
        return True


class TakesAnyAck(Journal):
    """An ACK beyond the head is fine."""

    def acknowledge(self, next_wanted: int) -> None:
        self.acked = max(self.acked, next_wanted)


class PassesOverRot(Journal):
    """A damaged record is as good as a torn one."""

    def _scan(self, ordinal: int) -> None:
        try:
            super()._scan(ordinal)
        except errors.Fault:
            self._slot = SLOTS


BUGS = [
    Overwrites,
    StopsAtTheFirstHole,
    DoesNotReadBack,
    TakesAnyAck,
    PassesOverRot,
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_seeded_bug_is_caught(bug: type[Journal]) -> None:
    machines.catch(type(bug.__name__, (JournalMachine,), {"journal_class": bug}), 500, 30)


def fill_in_a_day(journal_class: type[Journal]) -> None:
    """A ring that is filled within a day, goes on, and turns a horizon later: plays seldom come so far."""
    play = type("Play", (JournalMachine,), {"journal_class": journal_class})()
    for _ in range(SECTORS + 1):
        play.append_some(amount=1, count=SLOTS)
        play.acked = play.journal.next_seq
        play.journal.acknowledge(play.acked)
        play.nothing_is_gone_too_early()
    assert play.journal.next_seq == SECTORS * SLOTS + 1, "the ring did not fill"
    play.days_pass(HORIZON_DAYS)
    play.append_some(amount=1, count=1)
    assert play.journal.next_seq == SECTORS * SLOTS + 2, "the ring does not turn"


@pytest.mark.parametrize("bug", [ForgetsTheHorizon, NeverOverwrites], ids=lambda bug: bug.__name__)
def test_ring_that_turns_too_early_or_never_is_caught(bug: type[Journal]) -> None:
    fill_in_a_day(Journal)
    with pytest.raises(AssertionError):
        fill_in_a_day(bug)
