"""One simulated school: builds the parts, lets people tap, strikes with faults, heals, and looks.

Promises: everything that happens follows from the options; a run of K steps is K events of the heap, and its
cost grows linearly with K.
"""

from __future__ import annotations

import gc
import hashlib
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from protocols.ledger import record
from scripts.sim import invariants, rest
from scripts.sim.backup import Backups
from scripts.sim.cloud import Cloud
from scripts.sim.crash import CRASH, Stopped, described
from scripts.sim.faults import GAP_STEPS, PLANNED_WINDOW, Strike, fault_by_name, plan_of
from scripts.sim.heap import Heap
from scripts.sim.hostile import HostileTill
from scripts.sim.network import Network
from scripts.sim.people import People
from scripts.sim.record_invariants import follow
from scripts.sim.suspects import Suspects
from scripts.sim.terminal import Terminal
from scripts.sim.town import Town

_HEAL_EVERY = 5_000
# A fault that finds nothing to break looks again so many steps later, while it would still make a pair.
_TRY_EVERY = 8
# So long a plan stands still for a fault that waits, and a healing for a fault of several scenes.
_STILL_STEPS_MAX = 8_000
_ROUND_STEPS = 400
_LOOK_EVERY_BATCHES = 40
_HEAL_MAX_MS = 900_000
_TOLD_STEPS = 3_000
_VIOLATIONS_MAX = 12
_TABLE_WAIT_STEPS = 20_000


class Options(NamedTuple):
    """What a run follows from.  `plan` is drawn from the seed unless it is given."""

    seed: int
    steps: int = 6_000
    terminals: int = 8
    accounts: int = 40
    faults: tuple[str, ...] = ()
    plan: tuple[Strike, ...] | None = None
    sectors: int = 24
    heal_every: int = _HEAL_EVERY
    fault_gap: int = GAP_STEPS
    waits: bool = False
    """Whether the plan stands still until a fault that finds nothing to break does; else it is dropped."""


class Violation(NamedTuple):
    """`invariant`, what was seen, and at which step."""

    invariant: str
    text: str
    step: int


class Simulation:
    """A school that runs.  `report()` after `run()`."""

    def __init__(self, options: Options) -> None:
        self.options = options
        root = Random(options.seed)  # the order of these lines is part of the trace
        self.heap = Heap()
        self.network = Network(self.heap, Random(root.getrandbits(64)))
        self.town = Town(options.accounts, Random(root.getrandbits(64)), self.complain)
        self.cloud = Cloud(self.heap, self.network, self.town, Random(root.getrandbits(64)))
        self.cloud.complain = self.complain
        self.cloud.watch_batch = self._look_sometimes
        self.network.cloud = self.cloud.hear
        self._terminal_seed = root.getrandbits(64)
        self.people = People(self, Random(root.getrandbits(64)))
        plan_seed = root.getrandbits(64)
        self.plan = options.plan if options.plan is not None else plan_of(options, Random(plan_seed))
        self.terminals: list[Terminal] = []
        self.steps = 0
        self.struck: Counter[str] = Counter()
        self.pairs: set[tuple[str, str]] = set()
        self._struck_at: list[tuple[int, str]] = []
        self._plan_step = 0
        self.scenes = 0
        """Faults of several scenes that are under way: no healing falls between them."""
        self.violations: list[Violation] = []
        self.suspects = Suspects(self)
        self.backups = Backups(self)
        self.kopecks_unexplained = 0
        self.excused: dict[int, int] = {}
        self.hostile: HostileTill | None = None
        self.thieves = 0
        self.is_healing = False
        self.trace = hashlib.sha256()
        self.network.trace = self.trace
        self.seconds = 0.0

    # Building

    def build(self) -> None:
        """Found the school, provision and start the boards, publish the first tables."""
        self.cloud.found_school()
        gates = max(1, self.options.terminals // 6)
        for number in range(self.options.terminals):
            kind = "gate" if number < gates else "canteen"
            self.add_terminal(f"{kind}-{number + 1}", kind)
        self.cloud.choose_settings()
        self.cloud.entitle()
        for pupil in self.town.pupils[::7]:
            second = f"a:04{self.people.number():012X}"
            self.cloud.give_second_card(pupil.account, second)
            self.town.second_cards[pupil.account] = second
        for pupil in self.town.pupils:
            self.cloud.top_up(self.town.deposit(pupil.account, self.people.amount()))
        self.cloud.publish_tables()
        for terminal in self.terminals:
            terminal.boot()
        self._wait_until(rest.settled, _TABLE_WAIT_STEPS)
        self.backups.take()
        self.people.start()

    def add_terminal(self, label: str, kind: str) -> Terminal:
        """Register a device with the cloud and make the hardware for it."""
        return self.add_hardware(label, label, self.cloud.register(label, kind))

    def add_hardware(self, name: str, label: str, provision: Any) -> Terminal:
        """A board for a provisioning record; `label`: what the cloud calls the device."""
        serial = len(self.terminals) + 1
        chance = Random(self._terminal_seed + serial)
        terminal = Terminal(
            name, provision, self.heap, self.network, chance, self.complain, self.options.sectors
        )
        terminal.serial = serial
        terminal.label = label
        terminal.follow = self._follow
        self.terminals.append(terminal)
        return terminal

    def honest_terminals(self) -> list[Terminal]:
        """Devices whose journal the cloud must have to the last record."""
        return [each for each in self.terminals if not each.is_gone and not each.is_suspect]

    def excuse(self, account: int, amount_minor: int) -> None:
        """So much may be reserved beyond the balance: a thief claims it (I2)."""
        self.excused[account] = self.excused.get(account, 0) + amount_minor

    def _follow(self, terminal: Terminal, raw: bytes) -> None:
        self.trace.update(raw)
        item = record.unpack(raw)
        self.town.follow(terminal.serial, item)
        for invariant, text in follow(self, terminal, item):
            self.complain(invariant, text)

    # Running

    def run(self) -> None:
        """Build, run all steps with the plan's faults, heal, and look at everything."""
        started = time.process_time()
        # SQLAlchemy makes many short-lived cycles; the default collects them far too often.
        gc.collect()
        gc.freeze()
        thresholds = gc.get_threshold()
        gc.set_threshold(200_000, 10, 10)
        try:
            self.build()
            self._run_steps()
            self.heal()
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001 - the office and the bank end like this
            self.violations.append(Violation(CRASH, f"ended with {described(error)}", self.steps))
        finally:
            self.seconds = time.process_time() - started
            gc.set_threshold(*thresholds)
            gc.unfreeze()
            self.cloud.close()

    def _run_steps(self) -> None:
        """So many steps of the plan; healings, and steps in which it stands still, are not among them."""
        waiting: list[Strike] = []
        place = stood = 0
        next_heal = self.options.heal_every
        while True:
            while place < len(self.plan) and self.plan[place].step <= self._plan_step:
                if not self._strike(self.plan[place]):
                    waiting.append(self.plan[place])
                place += 1
            if waiting and self.steps % _TRY_EVERY == 0:
                waiting = [each for each in waiting if self._is_timely(each) and not self._strike(each)]
            is_due = self._plan_step >= min(next_heal, self.options.steps)
            must_wait = self.options.waits and (bool(waiting) or self._plays_on())
            if stood < _STILL_STEPS_MAX and (must_wait or (is_due and self.scenes)):
                stood += 1
                if waiting and self.options.waits and stood % _ROUND_STEPS == 0:
                    self._make_a_round()
                self._step()
                continue
            stood = 0
            if must_wait:
                waiting = []
            if self._plan_step >= self.options.steps:
                break
            if is_due:
                self.heal()
                self._struck_at = []
                next_heal = self._plan_step + self.options.heal_every
            self._step()
            self._plan_step += 1

    def _plays_on(self) -> bool:
        """Whether a fault of several scenes is under way, and no other can make a pair with it any more."""
        last = self._struck_at[-1][0] if self._struck_at else -PLANNED_WINDOW
        return bool(self.scenes) and self._plan_step > last + PLANNED_WINDOW

    def _step(self) -> None:
        self.heap.step()
        self.steps += 1

    def _is_timely(self, strike: Strike) -> bool:
        """Whether a fault that found nothing to break would still make a pair."""
        return strike.step + PLANNED_WINDOW > self._plan_step

    def _make_a_round(self) -> None:
        """A planned fault waits: an engineer looks after what it may wait for, a recovery most of all."""
        self.cloud.start()
        self.network.heal()
        for terminal in self.terminals:
            terminal.heal()
        self.suspects.collect()

    def _strike(self, strike: Strike) -> bool:
        """Break something now; False when there was nothing to break, which is tried again for a while."""
        # With other victims first, so that a planned pair does strike.
        if not any(
            fault_by_name(strike.kind).strike(self, Random(strike.salt + again)) for again in range(3)
        ):
            return False
        self.struck[strike.kind] += 1
        now = self._plan_step
        self._struck_at = [each for each in self._struck_at if now - each[0] <= PLANNED_WINDOW]
        self.pairs |= {(kind, strike.kind) for _step, kind in self._struck_at}
        self._struck_at.append((now, strike.kind))
        return True

    def complain(self, invariant: str, text: str) -> None:
        """Something that must not be was seen."""
        self.violations.append(Violation(invariant, text, self.steps))
        if len(self.violations) >= _VIOLATIONS_MAX:
            raise Stopped

    def _look_sometimes(self) -> None:
        if self.cloud.batches % _LOOK_EVERY_BATCHES == 0:
            for invariant, text in invariants.always(self):
                self.complain(invariant, text)

    # Healing

    def heal(self) -> None:
        """End every trouble, wait until the school has come to rest, and check everything."""
        self.is_healing = True
        self.network.heal()
        # Who stands in a line is served first: a sale on meal credit behind the last table stays a debt.
        self._wait_until(Simulation._nobody_waits, _TABLE_WAIT_STEPS)
        self.cloud.heal()
        for terminal in self.terminals:
            terminal.heal()
        self._wait_until(rest.acknowledged, _TABLE_WAIT_STEPS)
        self._wait_until(self.suspects.are_told, _TOLD_STEPS)
        self.suspects.collect()
        self._wait_until(rest.out_of_recovery, _TABLE_WAIT_STEPS)
        for terminal in self.honest_terminals():
            if rest.asks_for_a_person(terminal):
                self.cloud.confirm_day(terminal.label)
        self.cloud.publish_tables()
        # A table or a setting whose announcement was lost comes with the next connection.
        for terminal in self.honest_terminals():
            self.network.break_link(terminal)
        self._wait_until(rest.settled, _TABLE_WAIT_STEPS)
        self.suspects.count_destroyed()
        for invariant, text in invariants.healed(self):
            self.complain(invariant, text)
        self.is_healing = False

    def _nobody_waits(self) -> bool:
        """Whether no card is held to a terminal that works."""
        there = [each for each in self.honest_terminals() if each.runs]
        return not any(each.reader.waiting or each.controller.need is not None for each in there)

    def _wait_until(self, rested: Callable[[Simulation], bool], steps_max: int) -> None:
        """Run events until `rested`, at most a quarter of an hour of the school's time."""
        until = self.heap.run_ms + _HEAL_MAX_MS
        end = self.steps + steps_max
        while self.heap.run_ms < until and self.steps < end and len(self.heap):
            for _ in range(64):
                self.heap.step()
                self.steps += 1
            if rested(self):
                return

    # What came of it

    def report(self) -> dict[str, Any]:
        """The run as the command prints it."""
        hours = sum(terminal.powered_ms() for terminal in self.terminals) / 3_600_000
        return {
            "seed": self.options.seed,
            "steps": self.steps,
            "sales": self.town.sales,
            "sales_minor": self.town.sales_minor,
            "faults": dict(sorted(self.struck.items())),
            "pairs_covered": len(self.pairs),
            "pairs_total": len(set(self.options.faults)) ** 2,
            "violations": [violation._asdict() for violation in self.violations],
            "kopecks_unexplained": self.kopecks_unexplained,
            "destroyed_records": [f"{name} {raw.hex()}" for name, raw in self.suspects.destroyed],
            "terminal_hours": round(hours, 1),
            "steps_per_second": round(self.steps / self.seconds) if self.seconds else 0,
            "trace": self.trace.hexdigest()[:16],
        }
