"""The canteen line: one card, the meal of the hour or a basket, rights that are here or come in time.

Promises: SALE is durable before "served"; the network is never waited for: a
card that waits lies in one variable, and the loop goes on; with the setting
FIXED_MOMENT every verdict of an online line appears at the same moment after the
tap, so that waiting tells nothing about money.  A decline shows no reason.
A hot meal is paid by the benefit of that day and meal, else by money, else by meal
credit; light, text and moment are the same for all three.  Weak cards, whose number
can be copied, spend money up to a daily limit: then what is left are benefit and credit.
"""

from firmware.app.baskets import ring_up, write_basket
from firmware.app.settings import item_at
from firmware.app.voids import Voids
from firmware.hal import panel as show
from protocols.errors import NOTHING_ON_SALE, OK, RIGHTS_SHORT, WEAK_LIMIT, Fault
from protocols.ledger import record
from protocols.wire.messages import FIXED_MOMENT, OFFLINE_AT_ONCE, Need
from protocols.wire.table import CREDIT, WEAK

_IDLE_MS = 1000


class _Waiting:
    """A tap whose verdict is not out yet.

    `item`: the MenuItem that it pays for, of a basket with `lines`; `refusal`: what is
    already certain, or OK; `limit`: what weak cards of the account may spend in a day, minor
    units, 0 for a card without limit; `day`: of the school, for which rights were taken over;
    `asked`: the bucket that the parent was asked for last, or None.
    """

    def __init__(self, tap, who, item, lines, refusal: int, started: int) -> None:
        self.tap = tap
        self.who = who
        self.item = item
        self.lines = lines
        self.refusal = refusal
        self.limit = 0
        self.day = 0
        self.asked: int | None = None
        self.started = started


class Canteen:
    """The task of a line that sells the one item of the hour, or what its staff rings up."""

    def __init__(self, controller) -> None:
        self._controller = controller
        self._reader = controller.board.reader
        self._link = controller.board.link
        self._voids = Voids(controller)
        self._waiting: _Waiting | None = None
        self._number = int.from_bytes(controller.board.random_bytes(4), "little") & 0x7FFFFFFF

    def resume(self) -> None:
        """After a boot: a card that waited has no record, so it never happened."""

    def step(self) -> int:
        """Go on with the card that waits, or take the next one; without one, take a sale back if asked to."""
        if self._waiting is not None:
            return self._go_on(self._waiting)
        tap = self._reader.next_tap()
        if tap is None:
            return self._void()
        try:
            self._tap(tap)
        except Fault as fault:
            self._drop_waiting()
            self._controller.refuse_broken(tap, fault)
        return 0

    def _void(self) -> int:
        seq = self._controller.panel.next_void()
        if seq is None:
            return _IDLE_MS
        self._voids.answer(seq)
        return 0

    def _tap(self, tap) -> None:
        controller = self._controller
        controller.check_takes_cards()
        who = controller.identify(tap)
        if controller.is_repeat(who, tap):
            controller.show_repeat(tap)
            return
        refusal, item, lines = self._offered(tap)
        refusal = who.refusal or refusal
        waiting = _Waiting(tap, who, item, lines, refusal, controller.clock.uptime())
        if refusal == OK:
            if who.row.flags & WEAK:
                waiting.limit = controller.settings.current.weak_day_minor
            self._absorb(waiting)
        if self._may_wait() and (self._is_fixed() or self._lacked(waiting) is not None):
            self._wait(waiting)
        else:
            self._decide(waiting)

    def _offered(self, tap) -> tuple:
        """(refusal, item, lines) of what this tap pays for: what was rung up, else the good of the hour."""
        settings = self._controller.settings.current
        wanted = self._controller.panel.next_basket()
        if wanted is not None:
            return ring_up(settings.menu, wanted)
        item = item_at(settings, tap.time)
        return (NOTHING_ON_SALE if item is None else OK), item, ()

    def _absorb(self, waiting) -> None:
        """Rights that the parent placed with the table become a GRANT when a tap first needs them."""
        controller, who, meal = self._controller, waiting.who, waiting.item.meal
        day = waiting.day = self._day(waiting)
        if who.row.rights > 0:
            controller.grant(who.account, record.MONEY, who.row.rights)
        if controller.accounts.has_benefit(who.row, day, meal):
            controller.grant(who.account, record.benefit_bucket(day, meal), 1)
        if meal and who.row.flags & CREDIT and self._lacked(waiting) is not None:
            controller.grant(who.account, record.MEAL_CREDIT, controller.accounts.credit_total)

    def _day(self, waiting) -> int:
        """The day that a SALE for this tap has if it is written now: TIME may come while a card waits."""
        return self._controller.day(waiting.tap.time)

    def _is_fixed(self) -> bool:
        return bool(self._controller.settings.current.flags & FIXED_MOMENT)

    def _may_wait(self) -> bool:
        """A line that knows that it is offline decides at once, if the school set it so."""
        return self._link.online or not self._controller.settings.current.flags & OFFLINE_AT_ONCE

    def _flags(self, waiting) -> int:
        """The flags of the SALE that the rights here allow: benefit, else money, else meal credit.

        Those of money where nothing suffices.
        """
        holder, account, item = self._controller.holder, waiting.who.account, waiting.item
        if item.meal and holder.rights(account, record.benefit_bucket(self._day(waiting), item.meal)) > 0:
            return record.SALE_SINGLE | record.FROM_BENEFIT | item.meal << record.SALE_MEAL_SHIFT
        if item.meal and self._judge_money(waiting) in (RIGHTS_SHORT, WEAK_LIMIT):
            if holder.may_spend(account, record.MEAL_CREDIT, item.price) == OK:
                return record.SALE_SINGLE | record.FROM_CREDIT
        return record.SALE_SINGLE | (record.SALE_WEAK if waiting.limit else 0)

    def _judge_money(self, waiting) -> int:
        """OK, or why money does not pay for this: WEAK_LIMIT, RIGHTS_SHORT or AMOUNT_RANGE."""
        holder, account, price = self._controller.holder, waiting.who.account, waiting.item.price
        limit, day = waiting.limit, self._day(waiting)
        if limit:
            # A wrong day has left out what they spent on this one: nobody knows how much that was.
            is_forgotten = day < self._controller.state.benefits_from
            if is_forgotten or holder.may_spend_weak(account, day, price, limit) != OK:
                return WEAK_LIMIT
        return holder.may_spend(account, record.MONEY, price)

    def _judge(self, waiting) -> int:
        """OK, or why this card gets nothing as things stand now."""
        if waiting.refusal != OK:
            return waiting.refusal
        if self._flags(waiting) & record.SALE_SOURCE != record.FROM_MONEY:
            return OK
        return self._judge_money(waiting)

    def _lacked(self, waiting) -> int | None:
        """The bucket of which the parent could give for a card to buy, or None; credit is the last resort."""
        if waiting.refusal != OK:
            return None
        source = self._flags(waiting) & record.SALE_SOURCE
        if source == record.FROM_BENEFIT:
            return None
        refusal = self._judge_money(waiting)
        if refusal == RIGHTS_SHORT:
            return record.MONEY
        # More money would not help a card that has come to its limit.
        is_meal = refusal == WEAK_LIMIT and waiting.item.meal and source == record.FROM_MONEY
        return record.MEAL_CREDIT if is_meal else None

    def _wait(self, waiting) -> None:
        self._waiting = waiting
        bucket = self._lacked(waiting)
        if bucket is not None:
            self._ask(waiting, bucket)

    def _ask(self, waiting, bucket: int) -> None:
        """Ask the parent for the rights that are missing under a bucket."""
        account = waiting.who.account
        wanted = waiting.item.price - self._controller.holder.rights(account, bucket)
        self._number = (self._number + 1) & 0x7FFFFFFF
        waiting.asked = bucket
        self._controller.answered_number = -1
        self._controller.need = Need(self._number, account, bucket, wanted)

    def _awaits_answer(self, waiting) -> bool:
        """Whether the parent may still change the verdict; without money it is asked for meal credit."""
        if self._lacked(waiting) is None:
            return False
        if self._controller.answered_number != self._number:
            return True
        if waiting.asked == record.MONEY and waiting.item.meal and self._judge(waiting) == RIGHTS_SHORT:
            self._ask(waiting, record.MEAL_CREDIT)
            return True
        return False

    def _go_on(self, waiting: _Waiting) -> int:
        """Decide when the time has come; else the milliseconds that are left."""
        clock = self._controller.clock
        passed = clock.uptime_elapsed(clock.uptime(), waiting.started)
        left = self._controller.settings.current.verdict_ms - passed
        if left > 0 and self._may_wait():
            if self._awaits_answer(waiting) or self._is_fixed():
                return left
        self._drop_waiting()
        try:
            self._decide(waiting)
        except Fault as fault:
            self._controller.refuse_broken(waiting.tap, fault)
        return 0

    def _drop_waiting(self) -> None:
        self._waiting = None
        self._controller.need = None

    def _decide(self, waiting) -> None:
        if waiting.refusal == OK and waiting.day != self._day(waiting):
            # Its day was closed meanwhile: what counts is the benefit of the day that is open.
            self._absorb(waiting)
        refusal = self._judge(waiting)
        if refusal == OK:
            self._sell(waiting)
        else:
            self._controller.refuse(waiting.tap, waiting.who, refusal)

    def _sell(self, waiting) -> None:
        controller = self._controller
        # The parent may have locked the line while the card waited.
        controller.check_unlocked()
        who, tap, item = waiting.who, waiting.tap, waiting.item
        if waiting.lines:
            seq = write_basket(controller, waiting, self._flags(waiting) & record.SALE_WEAK)
        else:
            seq = controller.write(
                record.SALE,
                self._flags(waiting),
                account=who.account,
                amount=item.price,
                aux=record.good_aux(item.good, who.reference),
                time=tap.time,
            )
        controller.panel.verdict(show.SERVED, OK, seq, tap.time)
        controller.repeats.accept(who.bits, who.account, tap)
