"""Plays one school day as fast as the boards take it, waits until everything has settled, and counts.

It promises that a tap of the file is played once, that nothing is called settled which is not: every record
of every board acknowledged, every fact told, every message left; and that what is unsettled when time is up
is named.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cloud import db
from protocols.ledger.parent import CANTEEN
from scripts.play import outcome
from scripts.play.day import Tap
from scripts.play.hand import Hand, Stopped
from scripts.play.schedule import Schedule
from scripts.play.school import BOARDS
from scripts.play.town import Town

TICK_S = 0.05
LOOK_S = 0.2
STATUS_S = 2.0
AFTER_THE_DAY_S = 60


@dataclass(frozen=True)
class Unsettled:
    """One thing that is not finished: how many of it, and where."""

    count: int
    reason: str


@dataclass(frozen=True)
class Result:
    """The JSON object of the day, and why it is not settled (empty when it is)."""

    values: dict[str, float]
    reasons: list[str]


class Play:
    """One day of taps in one town."""

    def __init__(
        self,
        town: Town,
        taps: Sequence[Tap],
        *,
        day_start: int,
        begun: float,
        clock: Callable[[], float] = time.monotonic,
    ):
        """`day_start` in UTC seconds; `begun`: when by `clock` the whole command began, for `seconds`."""
        owners = {credential: account for account, credential in town.world.cards.items()}
        self._town = town
        self._clock = clock
        self._begun = begun
        self._taps = taps
        self._schedule = Schedule(taps, owner=lambda tap: owners.get(tap.credential, tap.credential))
        self._stopped = threading.Event()
        self._engine = db.engine(town.config.database_url)
        self._hands = town.hands(
            lambda at: (at - day_start) * 1000,
            needs_line=True,
            stopped=self._stopped,
            may_tap=self._may_tap,
        )
        self._broken: list[BaseException] = []
        self._threads = [
            threading.Thread(target=self._hold_cards, args=(hand,), name=f"hand of {hand.name}", daemon=True)
            for hand in self._hands.values()
        ]

    @property
    def played(self) -> int:
        """How many taps are done."""
        return sum(hand.tally.played for hand in self._hands.values())

    def run(self, timeout_s: float, watch: Callable[[int], None]) -> Result:
        """Play and settle within the time; `watch` is told the number of taps done again and again."""
        until = self._clock() + timeout_s
        for thread in self._threads:
            thread.start()
        open_things = [Unsettled(len(self._taps), "the day has not begun")]
        looked = 0.0
        while open_things and self._clock() < until:
            self._town.supervisor.tick()
            if self._broken:
                raise self._broken[0]
            watch(self.played)
            if any(thread.is_alive() for thread in self._threads):
                time.sleep(TICK_S)
            elif self._clock() - looked >= LOOK_S:
                looked = self._clock()
                open_things = self._unsettled()
        if any(thread.is_alive() for thread in self._threads):
            self._let_go()
            open_things = self._unsettled()
        return self._result(open_things)

    def _let_go(self) -> None:
        """Time is up: end the hands' threads, then be able to ask the boards once more."""
        self._schedule.stop()
        self._stopped.set()
        for thread in self._threads:
            thread.join(STATUS_S)
        self._stopped.clear()

    def _result(self, open_things: Sequence[Unsettled]) -> Result:
        with db.reading(self._engine) as conn:
            counted = outcome.count(conn, self._town.world.school_id)
        self._engine.dispose()
        values = outcome.report(
            counted,
            taps=self.played,
            repeated_taps_ignored=sum(hand.tally.repeated for hand in self._hands.values()),
            unsettled=sum(each.count for each in open_things),
            seconds=round(self._clock() - self._begun, 1),
        )
        return Result(values, [each.reason for each in open_things])

    def _may_tap(self, label: str) -> bool:
        """The rule of the play: all boards are online; a line needs the others for the rights they hold."""
        if not self._town.supervisor.all_alive():
            return False
        if BOARDS[label] != CANTEEN:
            return True
        with db.reading(self._engine) as conn:
            return outcome.lines_away(conn, self._town.world.school_id) == 0

    def _hold_cards(self, hand: Hand) -> None:
        """The thread of one board: its taps in order, then the board's clock runs past the last passage."""
        try:
            while (tap := self._schedule.next(hand.name)) is not None:
                hand.play(tap)
                self._schedule.done(tap)
            if self._taps:
                hand.finish(self._taps[-1].at + AFTER_THE_DAY_S)
        except Stopped:
            return
        except Exception as error:  # noqa: BLE001 - told by the thread that waits for this one
            self._broken.append(error)

    def _unsettled(self) -> list[Unsettled]:
        """What is not finished. Boards first: what they have had acknowledged, the cloud has by then."""
        found = [each for name in self._hands for each in self._unsettled_on(name)]
        with db.reading(self._engine) as conn:
            waits = outcome.waiting(conn, self._town.world.school_id)
        in_cloud = [
            Unsettled(waits.facts, f"cloud: {waits.facts} events not told yet"),
            Unsettled(waits.messages, f"cloud: {waits.messages} messages not sent"),
            Unsettled(waits.refused, f"cloud: {waits.refused} records that could not be posted"),
        ]
        return found + [each for each in in_cloud if each.count]

    def _unsettled_on(self, name: str) -> list[Unsettled]:
        """What one board has still to do."""
        found = []
        left = self._schedule.left_on(name)
        if left:
            found.append(Unsettled(left, f"{name}: {left} taps not played"))
        status = self._hands[name].ask_status(STATUS_S)
        if status is None:
            found.append(Unsettled(1, f"{name}: the board does not answer"))
        else:
            unsent = int(status["next"]) - int(status["acked"])
            if unsent:
                found.append(Unsettled(unsent, f"{name}: {unsent} records not acknowledged by the cloud"))
        return found
