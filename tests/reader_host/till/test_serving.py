"""The serving of a till against a model of a controller: every finger, every cut, in any order."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from reader_host.till import line, serving
from reader_host.till.serving import SERVED_MS, Serving

NOW = 1_788_246_000
GOODS = (7, 8, 22)


def made() -> Serving:
    """A till whose line has just answered that nothing was ever sold."""
    till = Serving(lambda at: at // 86400)
    till.take(line.LineReady(), 0)
    till.take(line.Last(line.NONE, 0, 0), 0)
    till.orders.clear()
    return till


def charged(*goods: int) -> Serving:
    till = made()
    for good in goods:
        till.press(good)
    assert till.charge(till.revision)
    till.take(line.RungUp(), 0)
    till.orders.clear()
    return till


def test_sale_takes_two_touches_and_a_tap():
    till = charged(7)
    till.take(line.Verdict(line.SERVED, 5, NOW), 100)
    assert (till.result.kind, till.result.lines, till.basket) == (line.SERVED, ((7, 1),), {})
    till.tick(100 + SERVED_MS - 1)
    assert till.result is not None
    till.tick(100 + SERVED_MS)
    assert till.result is None


def test_second_press_on_charge_is_none():
    till = made()
    till.press(7)
    seen = till.revision
    assert till.charge(seen)
    assert not till.charge(seen)
    assert len(till.orders) == 1


def test_charge_of_a_basket_that_was_not_seen_is_none():
    till = made()
    till.press(7)
    seen = till.revision
    till.press(8)
    assert not till.charge(seen)


def test_what_is_added_behind_the_card_is_not_sold():
    till = charged(7)
    till.press(22)
    till.take(line.Verdict(line.SERVED, 5, NOW), 0)
    till.take(line.RungUp(), 0)
    assert (till.result.lines, till.basket, till.waits_for_card) == (((7, 1),), {22: 1}, False)


def test_nothing_is_charged_while_the_basket_before_is_not_taken_back():
    till = charged(7)
    till.press(22)
    assert not till.charge(till.revision)
    till.take(line.RungUp(), 0)
    assert till.charge(till.revision)


def test_lost_line_tells_what_became_of_the_basket():
    for last, kind, basket in (
        (line.Last(line.SALE, 9, NOW), line.SERVED, {}),
        (line.Last(line.REFUSED, 9, NOW, line.TEACHER), line.TEACHER, {7: 1}),
        (line.Last(line.SALE, 0, NOW), None, {7: 1}),
    ):
        till = charged(7)
        till.take(line.LineLost(), 0)
        till.take(line.LineReady(), 0)
        assert not till.may_charge
        till.take(last, 0)
        assert (till.result and till.result.kind, till.basket) == (kind, basket)


def test_card_that_hides_the_sale_before_it_makes_nobody_pay_twice():
    till = charged(7)
    till.take(line.LineLost(), 0)
    till.take(line.LineReady(), 0)
    till.take(line.Verdict(line.NOTHING, 10, NOW), 0)
    till.take(line.Last(line.REFUSED, 10, NOW, line.NOTHING), 0)
    assert (till.result.kind, till.basket) == (serving.UNSURE, {})


def test_undo_is_one_void_with_a_reason():
    till = charged(7)
    till.take(line.Verdict(line.SERVED, 5, NOW), 0)
    till.ask_reason(5, NOW)
    till.undo(5, "because")
    assert till.orders == []
    till.undo(5, "dish")
    till.undo(5, "dish")
    assert till.orders == [serving.TakeBack(5, "dish")]
    till.take(line.Voided(5, 6), 0)
    assert (till.last.is_taken_back, till.note, till.basket) == (True, serving.UNDONE, {7: 1})
    till.ask_reason(5, NOW)
    assert not till.asks_reason


def test_sale_of_another_day_is_not_undone_here():
    till = charged(7)
    till.take(line.Verdict(line.SERVED, 5, NOW), 0)
    till.ask_reason(5, NOW + 86400)
    assert not till.asks_reason


def test_process_that_ended_goes_on_with_what_was_under_way():
    till = charged(7)
    again = Serving(lambda at: at // 86400)
    again.restore(till.kept())
    again.take(line.LineReady(), 0)
    again.take(line.Last(line.SALE, 5, NOW), 0)
    assert (again.result.kind, again.result.lines, again.basket) == (line.SERVED, ((7, 1),), {})


def test_refusals_of_money_look_like_all_others():
    words = {line.kind_of(code) for code in (22, 24, 25, 26, 30, 31)}
    assert words == {line.TEACHER}


class Controller:
    """A line by its contract: FIFO, one basket, journal before light; the power may go at any point."""

    def __init__(self) -> None:
        self.journal: list[tuple[str, line.Lines, str]] = []
        self.basket: line.Lines = ()
        self.inbox: list[Any] = []
        self.outbox: list[line.Event] = []
        self.voided: set[int] = set()
        self.taps_paid: dict[int, int] = {}

    def write(self, what: str, lines: line.Lines = (), kind: str = "") -> int:
        self.journal.append((what, lines, kind))
        return len(self.journal)

    def work(self) -> None:
        """Take one thing from the pipe."""
        if not self.inbox:
            return
        order = self.inbox.pop(0)
        if isinstance(order, serving.RingUp):
            self.basket = order.lines
            self.outbox.append(line.RungUp())
        elif isinstance(order, serving.TakeBack):
            self.void(order.seq)
        elif isinstance(order, serving.AskLast):
            self.tell_last()
        else:
            self.tap(*order)

    def void(self, seq: int) -> None:
        if seq in self.voided:
            self.outbox.append(line.Voided(seq, 0))
            return
        self.voided.add(seq)
        self.outbox.append(line.Voided(seq, self.write(line.VOID)))

    def tell_last(self) -> None:
        if not self.journal:
            self.outbox.append(line.Last(line.NONE, 0, 0))
            return
        what, _lines, kind = self.journal[-1]
        self.outbox.append(line.Last(what, len(self.journal), NOW, kind))

    def tap(self, number: int, has_money: bool) -> None:
        lines, self.basket = self.basket, ()
        if lines and has_money:
            self.taps_paid[number] = self.taps_paid.get(number, 0) + 1
            self.outbox.append(line.Verdict(line.SERVED, self.write(line.SALE, lines), NOW))
        else:
            kind = line.TEACHER if lines else line.NOTHING
            self.outbox.append(line.Verdict(kind, self.write(line.REFUSED, kind=kind), NOW))


class Serve(RuleBasedStateMachine):
    """Fingers, cards, cuts and windows in any order; the plates are what the page has shown as served."""

    @initialize()
    def begin(self):
        self.till = Serving(lambda at: at // 86400)
        self.controller = Controller()
        self.now = 0
        self.taps = 0
        self.shown: list[tuple[int, line.Lines]] = []
        self.charges: list[line.Lines] = []
        self.unsure = 0
        self.is_up = False
        self.power_on()

    def power_on(self):
        if not self.is_up:
            self.is_up = True
            self.hear(line.LineReady())

    def hear(self, event):
        before = self.till.last
        self.till.take(event, self.now)
        if self.till.last is not before and self.till.last and not self.till.last.is_taken_back:
            self.shown.append((self.till.last.seq, self.till.last.lines))
        if self.till.result and self.till.result.kind == serving.UNSURE:
            self.unsure += 1
            self.till.dismiss()
        self.send()

    def send(self):
        orders, self.till.orders = self.till.orders, []
        if self.is_up:
            self.controller.inbox += orders

    @rule(good=st.sampled_from(GOODS))
    def press(self, good):
        self.till.press(good)
        self.send()

    @rule(good=st.sampled_from(GOODS))
    def less(self, good):
        self.till.less(good)
        self.send()

    @rule(presses=st.integers(1, 3), is_late=st.booleans())
    def charge(self, presses, is_late):
        """One press, a double press, or one from a window that has not heard the news."""
        revision = self.till.revision - is_late
        lines = self.till.lines()
        done = [self.till.charge(revision) for _ in range(presses)]
        assert done.count(True) <= (0 if is_late else 1)
        if any(done):
            self.charges.append(lines)
        self.send()

    @rule(name=st.sampled_from(("dismiss", "clear", "repeat", "withdraw", "keep")))
    def other_button(self, name):
        getattr(self.till, name)()
        self.send()

    @rule(reason=st.sampled_from(serving.REASONS), presses=st.integers(1, 2))
    def undo(self, reason, presses):
        if self.till.last:
            seq = self.till.last.seq
            for _ in range(presses):
                self.till.ask_reason(seq, NOW)
                self.till.undo(seq, reason)
        self.send()

    @rule(has_money=st.booleans())
    def tap(self, has_money):
        if self.is_up:
            self.taps += 1
            self.controller.inbox.append((self.taps, has_money))

    @rule(steps=st.integers(1, 4))
    def work(self, steps):
        for _ in range(steps):
            if self.is_up:
                self.controller.work()

    @rule()
    def listen(self):
        while self.controller.outbox:
            self.hear(self.controller.outbox.pop(0))

    @rule(is_lost=st.booleans())
    def cut(self, is_lost):
        """The power goes; what the controller has said last may be lost with it."""
        if self.is_up:
            self.is_up = False
            if is_lost:
                self.controller.outbox.clear()
            while self.controller.outbox:
                self.hear(self.controller.outbox.pop(0))
            self.controller.inbox.clear()
            self.controller.basket = ()
            self.hear(line.LineLost())

    @rule()
    def come_back(self):
        self.power_on()

    @rule()
    def end_the_process(self):
        """The till's own process is killed; its board ends with it."""
        self.cut(is_lost=True)
        kept = self.till.kept()
        self.till = Serving(lambda at: at // 86400)
        self.till.restore(kept)

    @rule(passed=st.integers(1, 4000))
    def wait(self, passed):
        self.now += passed
        self.till.tick(self.now)

    @invariant()
    def each_sale_is_shown_once_and_is_a_sale(self):
        seqs = [seq for seq, _lines in self.shown]
        assert len(seqs) == len(set(seqs))
        for seq, lines in self.shown:
            what, sold, _kind = self.controller.journal[seq - 1]
            assert what == line.SALE
            assert lines == sold, "another basket is shown than was sold"

    @invariant()
    def next_card_pays_what_the_page_shows(self):
        """Whenever nothing is on its way: neither more nor less, and the page says that it waits."""
        if self.is_up and not self.controller.outbox and not self.controller.inbox:
            if self.controller.basket:
                assert self.controller.basket == self.till.lines()
                assert self.till.waits_for_card

    @invariant()
    def nobody_pays_twice(self):
        sales = [lines for what, lines, _kind in self.controller.journal if what == line.SALE]
        assert len(sales) <= len(self.charges), "a sale that nobody has charged"
        assert all(count == 1 for count in self.controller.taps_paid.values())
        voids = [what for what, _lines, _kind in self.controller.journal if what == line.VOID]
        assert len(voids) == len(self.controller.voided)

    @invariant()
    def a_settled_till_knows_every_sale(self):
        """Or has said that it does not know: then nobody is charged on a guess."""
        if self.is_up and self.till.may_charge and not self.controller.outbox and not self.controller.inbox:
            sales = {at for at, each in enumerate(self.controller.journal, 1) if each[0] == line.SALE}
            unseen = sales - {seq for seq, _lines in self.shown}
            assert len(unseen) <= self.unsure


TestServe = Serve.TestCase
TestServe.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
