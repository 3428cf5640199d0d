"""The journal against a plain list, under cuts, boots, acknowledgements and a full ring."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from protocols import errors
from protocols.ledger import record
from protocols.ledger.journal import SLOTS, Journal
from protocols.mac import Hmac
from tests.protocols.nor import Nor, PowerCut

KEY = bytes(range(32))
SECTORS = 3


class JournalMachine(RuleBasedStateMachine):
    """`written`: amounts that append() returned for, by seq; `maybe`: the one that was cut, if any."""

    def __init__(self) -> None:
        super().__init__()
        self.nor = Nor(SECTORS)
        self.written: list[int] = []
        self.acked = 1
        self.oldest_needed = 1
        self.journal = self.opened()

    def opened(self) -> Journal:
        journal = Journal(self.nor, KEY, 7, 1, 0)
        journal.open()
        return journal

    def append(self, amount: int) -> None:
        """One sale; a full ring refuses it and only when nothing old may go."""
        refusal = errors.OK
        try:
            seq = self.journal.append(record.SALE, 1, 20000, 1788220800, 5, amount, 1)
        except errors.Fault as fault:
            refusal = fault.code
        if refusal:
            assert refusal == errors.JOURNAL_FULL
            assert len(self.written) - self.acked + 1 >= SLOTS
            return
        self.written.append(amount)
        assert seq == len(self.written)

    @rule(amounts=st.lists(st.integers(1, 1 << 30), min_size=1, max_size=60))
    def append_some(self, amounts: list[int]) -> None:
        for amount in amounts:
            self.append(amount)

    @rule(cut=st.integers(0, 200), bits=st.integers(0, 255), amount=st.integers(1, 1 << 30))
    def cut_and_boot(self, cut: int, bits: int, amount: int) -> None:
        self.nor.cut_after, self.nor.cut_bits = cut, bits
        lost = False
        try:
            for step in range(4):
                self.append(amount + step)
        except PowerCut:
            lost = True
        self.nor.cut_after = None
        self.journal = self.opened()
        if lost and self.journal.next_seq == len(self.written) + 2:
            # The bytes were all there when the power went.
            self.written.append(self.last_amount())
        assert self.journal.next_seq == len(self.written) + 1
        self.journal.acknowledge(max(self.acked, self.journal.oldest_seq))

    def last_amount(self) -> int:
        (item,) = list(self.journal.records(self.journal.next_seq - 1))
        return int(item.amount)

    @rule(part=st.floats(0, 1))
    def acknowledge(self, part: float) -> None:
        self.acked = max(self.acked, 1 + int(part * len(self.written)))
        self.journal.acknowledge(self.acked)

    @rule(part=st.floats(0, 1), count=st.integers(1, 20))
    def read(self, part: float, count: int) -> None:
        oldest = self.journal.oldest_seq
        first = oldest + int(part * (self.journal.next_seq - oldest))
        mac, raw, head = self.journal.read(first, count)
        chain = Hmac(KEY)
        for offset in range(0, len(raw), record.SIZE):
            mac = record.follow(chain, mac, raw, offset)
            assert mac
        assert mac == head
        assert [record.unpack(raw, at).amount for at in range(0, len(raw), record.SIZE)] == self.written[
            first - 1 : first - 1 + count
        ]

    @invariant()
    def nothing_unacknowledged_is_gone(self) -> None:
        assert self.journal.oldest_seq <= max(self.acked, 1)
        assert self.journal.next_seq == len(self.written) + 1


JournalMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestJournalMachine = JournalMachine.TestCase
