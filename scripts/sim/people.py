"""Pupils, parents and the clock of a school: who taps where and when, who pays at the bank.

Promises: sessions of a day in their order (arrival, breakfast, lunch, snack), nights and holidays between
them left out; at a healing point nobody comes until the school has come to rest.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from protocols.ledger import record
from scripts.sim.office import MENU
from scripts.sim.parts import Goods
from scripts.sim.terminal import Terminal
from scripts.sim.town import Pupil

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation

# Minutes of the local day at which people come; the fifth runs into an hour when nothing is on sale.
_SESSIONS = (482, 600, 691, 780, 839, 905)
_ZONE_S = 3 * 3600
_SESSION_MS = 60_000
# From one person to the next at a terminal: in a rush, at a quiet time, and while it takes no card.
_RUSH_MS = (40, 400)
_TAP_MS = (100, 1_300)
_GATE_MS = (500, 4_000)
_CLOSED_MS = (1_500, 4_000)
# For so long somebody who waits for a light stands in the way of the next one.
_PATIENCE_MS = (2_000, 4_000)
# So many refusals in a row, and the others try another line first.
_SENT_AWAY = 3
_TOPUP_MS = (800, 4_000)
_LINES_MAX = 4
# The worker's rhythm; one in so many of its steps, a parent takes money out or asks again.
_WORKER_MS = 2_000
_BACK_IN = 12
_ASK_AGAIN_MS = 3_000
# Within it a second tap at the same terminal is a repeated one; only some people do that.
_REPEATED_MS = 3_300
# One in so many taps at a till, its cashier rings up several goods: so many lines at most, of each so many.
_BASKET_IN = 8
_BASKET_LINES, _BASKET_UNITS = 3, 2
# One in so many taps at a till, its cashier takes a sale back; so many records back it may lie.
_VOID_IN = 24
_VOID_BACK = 40
# Whose purse holds less than the cheapest meal mostly stays away, and pays in soon.
_POOR_MINOR = 5_500


class People:
    """Everyone who is no machine."""

    def __init__(self, sim: Simulation, chance: Random) -> None:
        self._sim = sim
        self._chance = chance
        self._last: Pupil | None = None
        self._of_till: dict[int, list[Pupil]] = {}
        self._tapped: dict[tuple[int, int], int] = {}
        """(serial number of a terminal, account) to when it last tapped there."""
        self._is_rush = True
        # Of its own, so that a seed means the same school with and without them.
        self._money_back = Random(f"money back {sim.options.seed}")

    def amount(self) -> int:
        """What a parent pays in, minor units."""
        return self._chance.choice((10_000, 30_000, 50_000, 80_000, 150_000, 250_000))

    def number(self) -> int:
        """Of a new card."""
        return self._chance.randrange(1 << 48)

    def start(self) -> None:
        """The first morning."""
        self.meet_homes()
        for terminal in self._sim.terminals:
            self.attend(terminal)
        self._sim.heap.after(self._chance.randrange(*_TOPUP_MS), self._pay)
        self._sim.heap.after(2_000, self._next_session)
        self._sim.heap.after(_WORKER_MS, self._worker)

    def attend(self, terminal: Terminal) -> None:
        """People come to this terminal from now on, for as long as it is there."""
        terminal.decided = self._decided
        self._come(terminal, _TAP_MS)

    def _come(self, terminal: Terminal, gap: tuple[int, int]) -> None:
        """The next person comes so many milliseconds from now, instead of whoever was about to."""
        if terminal.next_person is not None:
            terminal.next_person.call_off()
        terminal.next_person = self._sim.heap.after(self._chance.randrange(*gap), self._tap, terminal)

    def _decided(self, terminal: Terminal) -> None:
        """A light at a line: the next one steps up."""
        if terminal.next_person is not None and not terminal.is_gate:
            self._come(terminal, self._gap(terminal))

    def _gap(self, terminal: Terminal) -> tuple[int, int]:
        if self._sim.is_healing or not terminal.runs or not terminal.takes_cards:
            return _CLOSED_MS
        if terminal.is_gate:
            return _GATE_MS
        if terminal.controller.locked or terminal.sent_away >= _SENT_AWAY:
            # Now and then somebody tries all the same.
            return _CLOSED_MS
        return _RUSH_MS if self._is_rush else _TAP_MS

    # Time

    def _next_session(self) -> None:
        heap = self._sim.heap
        now = heap.wall_s
        local = datetime.fromtimestamp(now + _ZONE_S, UTC)
        minute = local.hour * 60 + local.minute
        ahead = [each for each in _SESSIONS if each > minute]
        days = 0
        if not ahead:
            days = 1 if self._chance.randrange(12) else self._chance.choice((3, 9, 40))
            if not self._sim.is_healing:
                self._evening()
        start = local.replace(hour=0, minute=0, second=0) + timedelta(
            days=days, minutes=(ahead or _SESSIONS)[0]
        )
        heap.skip(int(start.timestamp()) - _ZONE_S - now)
        self._is_rush = bool(self._chance.randrange(3))
        heap.after(_SESSION_MS, self._next_session)

    def sleep(self) -> None:
        """The day ends now: its evening, and the next morning."""
        heap = self._sim.heap
        self._evening()
        local = datetime.fromtimestamp(heap.wall_s + _ZONE_S, UTC)
        morning = local.replace(hour=0, minute=0, second=0) + timedelta(days=1, minutes=_SESSIONS[0])
        heap.skip(int(morning.timestamp()) - _ZONE_S - heap.wall_s)

    def _evening(self) -> None:
        """The day is over: the bank's file, and new tables."""
        sim = self._sim
        if not sim.cloud.down:
            sim.cloud.import_bank()
        sim.cloud.publish_tables()
        sim.backups.take()

    # Taps

    def meet_homes(self) -> None:
        """Learn which pupils eat at which till: most go to their own."""
        statement = (
            "SELECT p.account_id, c.home_device FROM pupil p JOIN school_class c"
            " ON c.school_id = p.school_id AND c.class_id = p.class_id"
        )
        homes = dict(self._sim.cloud.select(statement))
        self._of_till = {}
        for pupil in self._sim.town.pupils:
            self._of_till.setdefault(homes[pupil.account], []).append(pupil)

    def _pupil(self, terminal: Terminal) -> Pupil:
        chance, town = self._chance, self._sim.town
        if self._last is not None and not chance.randrange(12):
            return self._last
        home = self._of_till.get(terminal.device, town.pupils)
        for _ in range(6):
            pupil = chance.choice(home if chance.randrange(4) else town.pupils)
            is_poor = town.balance(pupil.account) < _POOR_MINOR and chance.randrange(
                3 if town.credit_slack else 8
            )
            tapped = self._tapped.get((terminal.serial, pupil.account), -_REPEATED_MS)
            if not is_poor and self._sim.heap.run_ms - tapped >= _REPEATED_MS:
                break
        self._last = pupil
        return pupil

    def _tap(self, terminal: Terminal) -> None:
        sim, chance = self._sim, self._chance
        if terminal.is_gone:
            return
        gap = self._gap(terminal)
        if sim.is_healing or not terminal.runs or not terminal.takes_cards:
            self._come(terminal, gap)
            return
        # Most wait for the light; some hold their card to it meanwhile.
        self._come(terminal, gap if terminal.is_gate or not chance.randrange(10) else _PATIENCE_MS)
        pupil = self._pupil(terminal)
        self._tapped[terminal.serial, pupil.account] = sim.heap.run_ms
        card = pupil.card if chance.randrange(60) else sim.town.stranger
        if not chance.randrange(4):
            card = sim.town.second_cards.get(pupil.account, card)
        self.tap(terminal, card)
        if not terminal.is_gate and not chance.randrange(_VOID_IN):
            sim.heap.after(chance.randrange(100, 5_000), self._void, terminal)

    def _void(self, terminal: Terminal) -> None:
        """A cashier takes a sale back: mostly one of this till, at times the same again or of another."""
        chance = self._chance
        if not terminal.runs:
            return
        of = terminal if chance.randrange(6) else chance.choice(self._sim.terminals)
        sales = [raw for raw in of.journal[-_VOID_BACK:] if raw[0] == record.SALE]
        if sales:
            seq = record.unpack(chance.choice(sales)).seq
            self.void(terminal, seq)
            if not chance.randrange(3):
                self._sim.heap.after(chance.randrange(100, 20_000), self.void, terminal, seq)

    def void(self, terminal: Terminal, seq: int) -> None:
        """The cashier asks for it; a board without power hears nothing."""
        if terminal.runs:
            terminal.panel.voids.append(seq)
            terminal.wake(0)

    def tap(self, terminal: Terminal, card: str, goods: Goods | None = None) -> None:
        """A card is held to a terminal; at a gate most people also walk through.

        `goods`: what the cashier has rung up at a till, chance says when None; () is the meal of the hour.
        """
        side = self._chance.choice(("in", "out")) if terminal.is_gate else "-"
        rung_up = None if terminal.is_gate else self._rung_up() if goods is None else goods or None
        terminal.reader.touch(side, card, rung_up)
        terminal.wake(0)
        if terminal.is_gate and self._chance.randrange(10):
            self._sim.heap.after(self._chance.randrange(200, 3_000), self._walk, terminal)

    def _rung_up(self) -> Goods | None:
        """What the cashier has rung up for a card, mostly nothing: then it buys the meal of the hour."""
        chance = self._chance
        if chance.randrange(_BASKET_IN):
            return None
        goods = chance.sample([row[0] for row in MENU], chance.randrange(1, _BASKET_LINES + 1))
        return tuple((good, chance.randrange(1, _BASKET_UNITS + 1)) for good in goods)

    def _walk(self, terminal: Terminal) -> None:
        if terminal.runs:
            terminal.portal.push()
            terminal.wake(0)

    # Money

    def _pay(self) -> None:
        sim = self._sim
        sim.heap.after(self._chance.randrange(*_TOPUP_MS), self._pay)
        if sim.is_healing:
            return
        lines = [sim.town.deposit(self._payer().account, self.amount()) for _ in range(self._lines())]
        if sim.cloud.down:
            sim.cloud.late_lines += lines
            return
        for _ in range(1 if self._chance.randrange(10) else 2):
            if len(lines) == 1:
                sim.cloud.top_up(lines[0])
            else:
                sim.cloud.top_up_file(lines)

    def _worker(self) -> None:
        sim, chance = self._sim, self._money_back
        sim.heap.after(_WORKER_MS, self._worker)
        if not sim.is_healing and not chance.randrange(_BACK_IN):
            self.take_back(chance.choice(sim.town.pupils), chance.choice((1, 2, 3, 3)), 3)
        elif not sim.is_healing and sim.town.asked_back and not chance.randrange(_BACK_IN):
            # A clerk is not sure whether the last request went through.
            if not sim.backups.archive_was_lost:
                sim.cloud.ask_back(list(sim.town.asked_back)[-1])
        else:
            sim.cloud.pay_back()

    def take_back(self, pupil: Pupil, part: int, of: int) -> bool:
        """A parent wants so much of what the purse truly holds; False when there is nothing to want."""
        town = self._sim.town
        amount = town.balance(pupil.account) * part // of
        if amount > 0:
            self._ask_back(town.ask_back(pupil.account, amount))
        return amount > 0

    def _ask_back(self, key: str) -> None:
        """A clerk asks until the cloud is there and out of recovery to say yes or no."""
        if not self._sim.cloud.ask_back(key):
            self._sim.heap.after(_ASK_AGAIN_MS, self._ask_back, key)

    def _lines(self) -> int:
        return self._chance.randrange(1, _LINES_MAX + 1)

    def _payer(self) -> Pupil:
        """Mostly the parents of somebody whose purse is nearly empty."""
        town = self._sim.town
        payers = [each for each in town.pupils if each.account not in town.paying_nothing] or town.pupils
        for _ in range(8):
            pupil = self._chance.choice(payers)
            if town.balance(pupil.account) < 3 * _POOR_MINOR:
                break
        return pupil
