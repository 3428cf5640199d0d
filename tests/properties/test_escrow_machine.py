"""Holders and their parent against a plain dict of what is true, over a network that repeats and reorders.

The truth is one dict: what each purse got and what was eaten.  Whatever the
order of messages, no purse goes below zero, free never falls below zero, no
till holds more than CAP, and once everything has arrived all counters agree.
"""

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from protocols import errors
from protocols.ledger import parent, record
from protocols.ledger.holder import NONE, Counters, Holder, may_void, rights

CAP = 1000
TILLS = (0, 1)
ACCOUNTS = (11, 12)
DAY = 20000
tills = st.sampled_from(TILLS)
accounts = st.sampled_from(ACCOUNTS)
amounts = st.integers(1, 700)


class Store:
    """A holder's counters in a dict."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int], Counters] = {}

    def get(self, account: int, bucket: int) -> Counters:
        return self.rows.get((account, bucket), NONE)

    def put(self, account: int, bucket: int, counters: Counters) -> None:
        self.rows[account, bucket] = counters


class Till:
    """A device: its journal is a list, what of it has arrived a number."""

    def __init__(self) -> None:
        self.store = Store()
        self.holder = Holder(self.store, CAP)
        self.journal: list[record.Record] = []
        self.received = 0

    def write(self, kind: int, account: int, amount: int, aux: int = 0) -> None:
        item = record.Record(kind, 1, DAY, len(self.journal) + 1, 0, account, amount, aux)
        if kind in (record.GRANT, record.RETURN):
            item = record.Record(kind, 0, DAY, item.seq, 0, account, amount, record.MONEY)
        self.journal.append(item)
        self.holder.apply(item)

    def is_voided(self, seq: int) -> bool:
        return any(item.type == record.VOID and item.aux == seq for item in self.journal)


class EscrowMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.tills = [Till() for _ in TILLS]
        self.deposits = dict.fromkeys(ACCOUNTS, 0)
        self.eaten = dict.fromkeys(ACCOUNTS, 0)
        # The parent: counters by (till, account), and every message it ever sent.
        self.known = {(till, account): NONE for till in TILLS for account in ACCOUNTS}
        self.sent: list[tuple[str, int, int, int]] = []

    def free(self, account: int) -> int:
        mine = [counters for (_till, other), counters in self.known.items() if other == account]
        balance = self.deposits[account] - sum(counters.spent - counters.voided for counters in mine)
        return parent.free(balance, 0, sum(rights(counters) for counters in mine))

    def believed_free(self, account: int) -> int:
        """What grants are made from."""
        return self.free(account)

    @rule(account=accounts, amount=amounts)
    def deposit(self, account: int, amount: int) -> None:
        self.deposits[account] += amount

    @rule(till=tills, account=accounts, wanted=amounts)
    def grant(self, till: int, account: int, wanted: int) -> None:
        counters = self.known[till, account]
        more = parent.grantable(wanted, self.believed_free(account), rights(counters), CAP, 1 << 30)
        self.known[till, account] = Counters(counters.granted + more, *counters[1:])
        self.sent.append(("grant", till, account, counters.granted + more))

    @rule(till=tills, account=accounts, part=amounts)
    def recall(self, till: int, account: int, part: int) -> None:
        self.sent.append(("recall", till, account, self.known[till, account].returned + part))

    @rule(back=st.integers(0, 30))
    def deliver_any_message_again(self, back: int) -> None:
        """The newest message, or any before it, first or once more."""
        if back >= len(self.sent):
            return
        kind, till, account, total = self.sent[-1 - back]
        holder = self.tills[till].holder
        due = (holder.grant_due if kind == "grant" else holder.return_due)(account, record.MONEY, total)
        if due is not None:
            self.tills[till].write(record.GRANT if kind == "grant" else record.RETURN, account, due)

    @rule(till=tills, account=accounts, amount=amounts)
    def eat(self, till: int, account: int, amount: int) -> None:
        if self.tills[till].holder.may_spend(account, record.MONEY, amount) == errors.OK:
            self.tills[till].write(record.SALE, account, amount)
            self.eaten[account] += amount

    @rule(till=tills, which=st.floats(0, 1, exclude_max=True))
    def void(self, till: int, which: float) -> None:
        device = self.tills[till]
        if not device.journal:
            return
        sale = device.journal[int(which * len(device.journal))]
        seq = len(device.journal) + 1
        wanted = record.Record(record.VOID, sale.flags, DAY, seq, 0, sale.account, sale.amount, sale.seq)
        if may_void(sale, wanted, device.is_voided(sale.seq)) == errors.OK:
            excess = device.holder.excess_due(sale.account, record.MONEY, sale.amount)
            if excess is not None:
                device.write(record.RETURN, sale.account, excess)
            device.write(record.VOID, sale.account, sale.amount, sale.seq)
            self.eaten[sale.account] -= sale.amount

    @rule(till=tills, count=st.integers(1, 10))
    def upload(self, till: int, count: int) -> None:
        device = self.tills[till]
        for item in device.journal[device.received : device.received + count]:
            sale, was_voided = None, False
            if item.type == record.VOID:
                sale = device.journal[item.aux - 1]
                earlier = device.journal[: item.seq - 1]
                was_voided = any(other.type == record.VOID and other.aux == item.aux for other in earlier)
            key = (till, item.account)
            refusal, self.known[key] = parent.replay(self.known[key], item, sale, was_voided)
            assert refusal == errors.OK, (errors.name(refusal), item)
            device.received += 1

    @invariant()
    def nobody_owes(self) -> None:
        for account in ACCOUNTS:
            assert self.eaten[account] <= self.deposits[account]
            assert self.free(account) >= 0

    @invariant()
    def tills_hold_no_more_than_cap(self) -> None:
        for till in self.tills:
            for account in ACCOUNTS:
                assert 0 <= till.holder.rights(account) <= CAP

    def teardown(self) -> None:
        """Everything arrives: the parent knows exactly what is true."""
        for till in TILLS:
            self.upload(till, len(self.tills[till].journal))
        for account in ACCOUNTS:
            mine = [self.known[till, account] for till in TILLS]
            assert sum(each.spent - each.voided for each in mine) == self.eaten[account]
            for till in TILLS:
                own = self.tills[till].store.get(account, record.MONEY)
                assert own[1:] == self.known[till, account][1:]


EscrowMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestEscrowMachine = EscrowMachine.TestCase


class GrantsIgnoringEscrow(EscrowMachine):
    """A seeded bug: the parent forgets what its tills may still spend."""

    def believed_free(self, account: int) -> int:
        return self.deposits[account] - self.eaten[account]


class SellsWithoutRights(EscrowMachine):
    """A seeded bug: a till that sells to everybody."""

    @rule(till=tills, account=accounts, amount=amounts)
    def eat_anyway(self, till: int, account: int, amount: int) -> None:
        self.tills[till].write(record.SALE, account, amount)
        self.eaten[account] += amount


@pytest.mark.parametrize("bug", [GrantsIgnoringEscrow, SellsWithoutRights])
def test_seeded_bug_is_caught(bug: type[EscrowMachine]) -> None:
    quick = settings(EscrowMachine.TestCase.settings, phases=[Phase.generate], database=None)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(bug, settings=quick)
