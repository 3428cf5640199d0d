"""The canteen line: one card, the meal of the hour, rights that are here or come in time.

Promises: SALE is durable before "served"; the network is never waited for: a
card that waits lies in one variable, and the loop goes on; with the setting
FIXED_MOMENT every verdict of an online line appears at the same moment after the
tap, so that waiting tells nothing about money.  A decline shows no reason.
"""

from firmware.app.settings import item_at
from firmware.hal import panel as show
from protocols.errors import NOTHING_ON_SALE, OK, RIGHTS_SHORT, Fault
from protocols.ledger import record
from protocols.wire.messages import FIXED_MOMENT, OFFLINE_AT_ONCE, Need

_IDLE_MS = 1000


class _Waiting:
    """A tap whose verdict is not out yet.  `refusal`: what is already certain, or OK."""

    def __init__(self, tap, who, item, refusal: int, started: int) -> None:
        self.tap = tap
        self.who = who
        self.item = item
        self.refusal = refusal
        self.started = started


class Canteen:
    """The task of a line that sells the one item of the hour."""

    def __init__(self, controller) -> None:
        self._controller = controller
        self._reader = controller.board.reader
        self._link = controller.board.link
        self._waiting: _Waiting | None = None
        self._number = int.from_bytes(controller.board.random_bytes(4), "little") & 0x7FFFFFFF

    def resume(self) -> None:
        """After a boot: a card that waited has no record, so it never happened."""

    def step(self) -> int:
        """Go on with the card that waits, or take the next one."""
        if self._waiting is not None:
            return self._go_on(self._waiting)
        tap = self._reader.next_tap()
        if tap is None:
            return _IDLE_MS
        try:
            self._tap(tap)
        except Fault as fault:
            self._drop_waiting()
            self._controller.refuse_broken(tap, fault)
        return 0

    def _tap(self, tap) -> None:
        controller = self._controller
        controller.check_unlocked()
        who = controller.identify(tap)
        if controller.is_repeat(who, tap):
            controller.show_repeat(tap)
            return
        item = item_at(controller.settings.current, tap.time)
        refusal = who.refusal
        if refusal == OK and item is None:
            refusal = NOTHING_ON_SALE
        if refusal == OK:
            self._absorb(who)
        waiting = _Waiting(tap, who, item, refusal, controller.clock.uptime())
        if self._may_wait() and (self._is_fixed() or self._judge(waiting) == RIGHTS_SHORT):
            self._wait(waiting)
        else:
            self._decide(waiting)

    def _absorb(self, who) -> None:
        """Rights that the parent placed with the table become a GRANT at the account's first tap."""
        if who.row.rights > 0:
            self._controller.grant(who.account, record.MONEY, who.row.rights)

    def _is_fixed(self) -> bool:
        return bool(self._controller.settings.current.flags & FIXED_MOMENT)

    def _may_wait(self) -> bool:
        """A line that knows that it is offline decides at once, if the school set it so."""
        return self._link.online or not self._controller.settings.current.flags & OFFLINE_AT_ONCE

    def _judge(self, waiting) -> int:
        """OK, or why this card gets nothing as things stand now."""
        if waiting.refusal != OK:
            return waiting.refusal
        return self._controller.holder.may_spend(waiting.who.account, record.MONEY, waiting.item.price)

    def _wait(self, waiting) -> None:
        self._waiting = waiting
        if self._judge(waiting) != RIGHTS_SHORT:
            return
        account = waiting.who.account
        wanted = waiting.item.price - self._controller.holder.rights(account)
        self._number = (self._number + 1) & 0x7FFFFFFF
        self._controller.answered_number = -1
        self._controller.need = Need(self._number, account, record.MONEY, wanted)

    def _go_on(self, waiting: _Waiting) -> int:
        """Decide when the time has come; else the milliseconds that are left."""
        clock = self._controller.clock
        passed = clock.uptime_elapsed(clock.uptime(), waiting.started)
        left = self._controller.settings.current.verdict_ms - passed
        if left > 0 and self._may_wait():
            has_answer = self._controller.answered_number == self._number
            if self._is_fixed() or (self._judge(waiting) == RIGHTS_SHORT and not has_answer):
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
        seq = controller.write(
            record.SALE,
            record.SALE_SINGLE,
            account=who.account,
            amount=item.price,
            aux=record.good_aux(item.good, who.reference),
            time=tap.time,
        )
        controller.panel.verdict(show.SERVED, OK, seq, tap.time)
        controller.repeats.accept(who.bits, who.account, tap)
