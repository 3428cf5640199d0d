"""Holders and their parent against plain dicts of what is true, over a network that loses and reorders.

The truth: what each purse got, what was paid out of it, what was eaten.  Whatever
the order of messages and however often the parent is set back, nobody can spend
beyond income and slack, and once everything has arrived all counters agree.
"""

from collections.abc import Callable
from copy import deepcopy

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from protocols import errors
from protocols.ledger import parent, record
from protocols.ledger.holder import rights
from tests.properties import machines
from tests.properties.escrow import (
    ACCOUNT,
    BENEFIT,
    CAP,
    KEYS,
    SLACK,
    TILLS,
    Key,
    Message,
    Packet,
    Parent,
    Till,
)

PURSE, CREDIT = (ACCOUNT, record.MONEY), (ACCOUNT, record.MEAL_CREDIT)
tills = st.sampled_from(TILLS)
keys = st.sampled_from(KEYS)
amounts = st.integers(1, 700) | st.just(CAP)
losses = st.sampled_from(("", "memory", "memory and archive", "memory and archive"))
places = st.integers(0, 5) | st.integers(0, 30)


class EscrowMachine(RuleBasedStateMachine):
    """`income`: what came under a key less what was paid out; `eaten`: units, by key.

    `archive`: G totals outside the parent's memory; `is_archive_whole`: it was never lost.
    """

    till_class = Till
    parent_class = Parent

    def __init__(self) -> None:
        super().__init__()
        self.tills = [self.till_class() for _ in TILLS]
        self.parent = self.parent_class()
        self.backup = deepcopy(self.parent)
        self.income = {key: int(key[1] == BENEFIT) for key in KEYS}
        self.income[PURSE] = 2 * CAP
        self.eaten = dict.fromkeys(KEYS, 0)
        self.undone: set[tuple[int, int]] = set()
        self.sent: list[Message] = []
        self.packets: list[Packet] = []
        self.archive: dict[tuple[int, Key], int] = {}
        self.is_archive_whole = True

    @rule(amount=amounts, is_out=st.booleans())
    def money_moves(self, amount: int, is_out: bool) -> None:
        """A deposit, or a payout as far as no till can spend it."""
        paid = self.parent.payable(PURSE, amount, self.income[PURSE]) if is_out else 0
        self.income[PURSE] += -paid if is_out else amount

    # Rights

    @rule(till=tills, key=keys, amount=amounts, is_recall=st.booleans(), arrives=st.booleans())
    def parent_speaks(self, till: int, key: Key, amount: int, is_recall: bool, arrives: bool) -> None:
        """A grant or a recall; it may arrive at once, later, never or twice."""
        if is_recall:
            kind, total = record.RETURN, self.parent.counters(till, key).returned + amount
        else:
            kind, total = record.GRANT, self.parent.grant(till, key, amount, self.income[key])
            self.archive[till, key] = max(total, self.archive.get((till, key), 0))
        self.sent.append(Message(kind, till, key, total, self.parent.incarnation))
        if arrives:
            self.tills[till].take(self.sent[-1])

    @rule(back=places)
    def any_message_arrives(self, back: int) -> None:
        """The newest, or any before it, for the first time or once more."""
        if self.sent:
            message = self.sent[-1 - back % len(self.sent)]
            self.tills[message.till].take(message)

    # The tills

    @rule(till=tills, key=keys, price=amounts)
    def eat(self, till: int, key: Key, price: int) -> None:
        self.eaten[key] += self.tills[till].sell(key, price)

    @rule(till=tills, back=places)
    def void(self, till: int, back: int) -> None:
        sales = self.tills[till].sales()
        if sales:
            sale = sales[-1 - back % len(sales)]
            units = self.tills[till].void(sale)
            if (till, sale.seq) not in self.undone and units:
                # Whatever a till does, a meal is given back once.
                self.undone.add((till, sale.seq))
                self.eaten[sale.account, record.bucket_of(sale)] -= units

    @rule(till=tills)
    def boot(self, till: int) -> None:
        before = [self.tills[till].counters(key) for key in KEYS]
        self.tills[till].boot()
        assert [self.tills[till].counters(key) for key in KEYS] == before

    # Uploads

    @rule(till=tills, back=st.integers(0, 3), count=st.integers(1, 10))
    def upload(self, till: int, back: int, count: int) -> None:
        """From what the parent asked for, or from before it."""
        first = max(1, self.parent.next_seq[till] - back)
        records = tuple(self.tills[till].journal[first - 1 : first - 1 + count])
        self.packets.append(Packet(till, first, records))
        self.parent.read(self.packets[-1])

    @rule(back=places)
    def old_packet_comes_again(self, back: int) -> None:
        if self.packets:
            self.parent.read(self.packets[-1 - back % len(self.packets)])

    # Restores

    @rule(lost=losses, heard=st.sampled_from(((), (0,), TILLS)))
    def parent_is_restored(self, lost: str, heard: tuple[int, ...]) -> None:
        """A backup is made; or the parent goes back to it, and its archive survives or goes back too."""
        if not lost:
            self.backup = deepcopy(self.parent)
            return
        if "archive" in lost:
            self.archive = {place: counters.granted for place, counters in self.backup.known.items()}
            self.is_archive_whole = False
        self.parent = self.parent.restored(self.backup, self.archive)
        for till in heard:
            self.hear_of_the_parent(till)

    def hear_of_the_parent(self, till: int) -> None:
        """Any message of a new incarnation, and all that the till has written goes up."""
        self.tills[till].obeys(self.parent.incarnation)
        self.upload(till, 0, len(self.tills[till].journal) + 1)

    # What holds

    @invariant()
    def nobody_can_owe(self) -> None:
        """Eaten and what may still be eaten, by all tills together, is within income and slack."""
        for key in KEYS:
            at_tills = sum(rights(till.counters(key)) for till in self.tills)
            assert self.eaten[key] + at_tills <= self.income[key] + SLACK[key[1]], key

    @invariant()
    def free_is_not_below_zero(self) -> None:
        if not self.parent.is_recovering():
            for key in KEYS:
                assert self.parent.free(key, self.income[key]) >= 0, key

    @invariant()
    def tills_hold_no_more_than_cap(self) -> None:
        for till in self.tills:
            for key in KEYS:
                assert 0 <= rights(till.counters(key)) <= CAP, key

    @invariant()
    def parent_refuses_only_what_it_forgot(self) -> None:
        if self.is_archive_whole:
            assert self.parent.refused <= {errors.OK}, self.parent.refused

    def check(self) -> None:
        """All that holds at any time."""
        self.nobody_can_owe()
        self.free_is_not_below_zero()
        self.tills_hold_no_more_than_cap()

    def teardown(self) -> None:
        """Everything arrives: recovery is over and the parent knows what is true."""
        for till in TILLS:
            self.hear_of_the_parent(till)
        assert not self.parent.is_recovering()
        self.nobody_can_owe()
        self.free_is_not_below_zero()
        for key in KEYS:
            assert self.parent.used(key) + self.parent.waiting[key] == self.eaten[key], key
            for number, device in enumerate(self.tills):
                known = self.parent.counters(number, key)
                reserved = rights(known) + self.parent.claim(number, key)
                assert reserved >= rights(device.counters(key)), key
                if self.is_archive_whole:
                    assert device.counters(key)[1:] == known[1:], key


def test_escrow_follows_the_model() -> None:
    machines.run(EscrowMachine, 100, 50)


def test_escrow_follows_the_model_afresh() -> None:
    machines.run_fresh(EscrowMachine, 40, 50)


# Seeded bugs: each must be caught.


class ForgetsEscrow(Parent):
    """Grants from the balance, whatever tills may still spend."""

    def out(self, key: Key) -> int:
        return 0


class PaysOutEscrow(Parent):
    """What tills may still spend goes back to whoever paid it in."""

    def payable(self, key: Key, wanted: int, income: int) -> int:
        return 0 if self.is_recovering() else max(0, min(wanted, income - self.used(key)))


class PaysOutInRecovery(Parent):
    """Pays out right after a restore, by what the backup knew."""

    def payable(self, key: Key, wanted: int, income: int) -> int:
        return parent.payable(wanted, income - self.used(key), self.out(key))


class ForgetsClaims(Parent):
    """What only a till says that it was granted is not reserved."""

    def claim(self, till: int, key: Key) -> int:
        return 0


class GrantsInRecovery(Parent):
    """Grants right after a restore."""

    def is_recovering(self) -> bool:
        return False


class HonoursClaims(Parent):
    """Sales under a grant that nobody gave are taken; then it is given once more."""

    def journal_grant(self, till: int, key: Key, total: int) -> None:
        counters = self.counters(till, key)
        self.known[till, key] = counters._replace(granted=counters.granted + total)


class ReadsTwice(Parent):
    """A repeated packet is replayed again."""

    def read(self, packet: Packet) -> None:
        for item in packet.records:
            if item.seq <= self.next_seq[packet.till]:
                self.next_seq[packet.till] = item.seq + 1
                self.replay(packet.till, item)


class SellsWithoutRights(Till):
    """Sells to everybody."""

    def refusal(self, key: Key, units: int) -> int:
        return errors.OK


class AddsGrants(Till):
    """Takes a G total for an increment."""

    def due(self, message: Message) -> int | None:
        if message.kind == record.GRANT:
            return int(self.counters(message.key).granted + message.total)
        return super().due(message)


class ReturnsTooMuch(Till):
    """Returns what it is asked for, spent or not."""

    def due(self, message: Message) -> int | None:
        return message.total if message.kind == record.RETURN else super().due(message)


class ObeysThePast(Till):
    """Takes a grant of an older incarnation."""

    def obeys(self, incarnation: int) -> bool:
        super().obeys(incarnation)
        return True


class VoidsTwice(Till):
    """Takes a sale back as often as it is asked."""

    def is_voided(self, seq: int) -> bool:
        return False


class KeepsExcess(Till):
    """Holds what a void brings above CAP."""

    def excess(self, account: int, bucket: int, units: int) -> int | None:
        return None


def machine_of(bug: type) -> type[EscrowMachine]:
    place = "till_class" if issubclass(bug, Till) else "parent_class"
    return type(bug.__name__, (EscrowMachine,), {place: bug})


FOUND = [
    ForgetsEscrow,
    PaysOutEscrow,
    ForgetsClaims,
    HonoursClaims,
    SellsWithoutRights,
    AddsGrants,
    ReturnsTooMuch,
]


@pytest.mark.parametrize("bug", FOUND, ids=lambda bug: bug.__name__)
def test_seeded_bug_is_caught(bug: type) -> None:
    machines.catch(machine_of(bug), 1500, 50)


# Bugs that plays reach too seldom: the same machine, step by step.


def speak(play: EscrowMachine, till: int, key: Key, amount: int, arrives: bool = True) -> None:
    play.parent_speaks(till, key, amount, False, arrives)


def grant_after_a_restore(play: EscrowMachine) -> None:
    speak(play, 0, CREDIT, 200)
    play.parent_is_restored("memory and archive", ())
    speak(play, 1, CREDIT, 200)


def payout_after_a_restore(play: EscrowMachine) -> None:
    speak(play, 0, PURSE, CAP)
    play.parent_is_restored("memory and archive", ())
    play.money_moves(2 * CAP, True)


def grant_of_the_past(play: EscrowMachine) -> None:
    speak(play, 0, CREDIT, 200, arrives=False)
    play.parent_is_restored("memory and archive", TILLS)
    speak(play, 1, CREDIT, 200)
    play.any_message_arrives(1)


def sale_voided_twice(play: EscrowMachine) -> None:
    speak(play, 0, CREDIT, 200)
    play.eat(0, CREDIT, 100)
    play.void(0, 0)
    play.void(0, 0)


def packet_that_comes_again(play: EscrowMachine) -> None:
    play.money_moves(500, False)
    speak(play, 0, PURSE, 200)
    play.eat(0, PURSE, 100)
    play.upload(0, 0, 10)
    play.old_packet_comes_again(0)


def void_above_cap(play: EscrowMachine) -> None:
    speak(play, 0, PURSE, CAP)
    play.eat(0, PURSE, 100)
    play.upload(0, 0, 10)
    speak(play, 0, PURSE, 100)
    play.void(0, 0)


DIRECTED = [
    (GrantsInRecovery, grant_after_a_restore),
    (PaysOutInRecovery, payout_after_a_restore),
    (ObeysThePast, grant_of_the_past),
    (VoidsTwice, sale_voided_twice),
    (ReadsTwice, packet_that_comes_again),
    (KeepsExcess, void_above_cap),
]


def end(play: EscrowMachine) -> None:
    play.check()
    play.teardown()


@pytest.mark.parametrize(("bug", "steps"), DIRECTED, ids=lambda each: each.__name__)
def test_directed_play_catches_its_bug(bug: type, steps: Callable[[EscrowMachine], None]) -> None:
    sound, sick = EscrowMachine(), machine_of(bug)()
    steps(sound)
    end(sound)
    steps(sick)
    with pytest.raises(AssertionError):
        end(sick)
