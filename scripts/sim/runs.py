"""Runs of the simulator: one seed, a mutant over many, ordered pairs, replays, and shrinking what failed.

Promises: a trace file holds everything that a run follows from, so that `replay` repeats it on any machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from scripts.sim import faults
from scripts.sim.crash import CRASH
from scripts.sim.faults import Strike
from scripts.sim.mutants import mutants, switched_on
from scripts.sim.simulation import Options, Simulation

MUTANT_SEEDS = 200
MUTANT_STEPS = 3_000
_HINT_ROUNDS = 6
_PAIR_GAP = 25
_PAIR_SPACE = 260
_PAIRS_A_RUN = 8


class Outcome(NamedTuple):
    """A run's options and report."""

    options: Options
    report: dict[str, Any]
    pairs: frozenset[tuple[str, str]] = frozenset()
    """Ordered pairs of faults that struck close together."""

    @property
    def failed(self) -> bool:
        """Whether an invariant broke."""
        return bool(self.report["violations"])

    @property
    def invariant(self) -> str:
        """The first that broke, or an empty text."""
        return self.report["violations"][0]["invariant"] if self.failed else ""


def run(options: Options, mutant: str = "") -> Outcome:
    """One run, of the product or of a mutant of it."""
    with switched_on(mutant):
        sim = Simulation(options)
        sim.run()
    return Outcome(options, sim.report(), frozenset(sim.pairs))


def run_all(every: list[Options], jobs: int = 1) -> Iterator[Outcome]:
    """The outcomes of these runs in their order, on so many processes."""
    if jobs == 1:
        yield from map(run, every)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(run, every)


# Mutants


class Catch(NamedTuple):
    """The run of a mutant that an invariant failed, and what led to it."""

    outcome: Outcome
    way: str


class DoesNotFit(Exception):
    """A mutant whose every directed run ends in a crash: its patch is not of this product any more."""


def hunt(name: str, seeds: int = MUTANT_SEEDS, steps: int = MUTANT_STEPS) -> Catch | None:
    """The first failing run of a mutant: its hints alone, pairs of them, then random seeds; None: it slipped.

    A run that the sound product fails as well has caught nothing, and a crash ahead of every complaint of an
    invariant catches nothing either; where that is all that the directed runs come to, DoesNotFit.
    """
    hints = [hint for hint in mutants()[name].hints if not faults.fault_by_name(hint).missing]
    plays: list[tuple[str, ...]] = [(hint,) for hint in hints]
    plays += [(first, second) for first in hints for second in hints]
    crashes = []
    for number in range(_HINT_ROUNDS * len(plays)):
        play = plays[number % len(plays)]
        options = close_together([play] * 3, seed=number + 1)
        if number >= len(plays):
            # What needs longer than a heal away from the next is seen when nothing heals between.
            options = options._replace(heal_every=options.steps)
        outcome = run(options, name)
        if _is_caught(outcome):
            return Catch(outcome, f"{', '.join(play)}, seed {options.seed}")
        if outcome.invariant == CRASH:
            crashes.append(outcome.report["violations"][0]["text"])
    if crashes and len(crashes) == _HINT_ROUNDS * len(plays):
        raise DoesNotFit(crashes[0])
    for seed in range(1, seeds + 1):
        options = Options(seed, steps, faults=faults.ready())
        outcome = run(options, name)
        if _is_caught(outcome):
            return Catch(outcome, f"random faults, seed {seed}")
    return None


def _is_caught(outcome: Outcome) -> bool:
    """Whether an invariant complained first, and of the bug alone: the sound product passes the same run."""
    return outcome.failed and outcome.invariant != CRASH and not run(outcome.options).failed


# Ordered pairs


def close_together(plays: Sequence[tuple[str, ...]], seed: int) -> Options:
    """A short run in which these plays follow each other; the faults of each strike close together."""
    chance = Random(seed)
    plan = []
    step = 120
    for first, *others in plays:
        plan.append(Strike(step, first, chance.getrandbits(32)))
        for other in others:
            plan.append(Strike(step + chance.randrange(1, _PAIR_GAP), other, chance.getrandbits(32)))
        step += _PAIR_SPACE
    return Options(
        seed, step + 100, terminals=7, accounts=16, faults=faults.ready(), plan=tuple(plan),
        heal_every=2 * _PAIR_SPACE, waits=True,
    )  # fmt: skip


def pair_runs(names: tuple[str, ...], seed: int) -> Iterator[tuple[list[tuple[str, str]], Options]]:
    """Runs that together hold every ordered pair of these kinds."""
    pairs = [(first, second) for first in names for second in names]
    Random(seed).shuffle(pairs)
    for start in range(0, len(pairs), _PAIRS_A_RUN):
        part = pairs[start : start + _PAIRS_A_RUN]
        yield part, close_together(part, seed + start)


# Shrinking and replay


def shrink(outcome: Outcome, mutant: str = "", tries: int = 60) -> Outcome:
    """A run with fewer faults and steps that breaks the same invariant."""
    wanted = outcome.invariant
    best = with_plan(outcome)

    def still_fails(options: Options) -> Outcome | None:
        nonlocal tries
        tries -= 1
        found = run(options, mutant)
        return found if found.invariant == wanted else None

    best = _fewer_steps(best, still_fails)
    size = max(1, len(best.options.plan or ()) // 2)
    while tries > 0:
        best, removed = _fewer_faults(best, size, still_fails, lambda: tries > 0)
        if size == 1 and not removed:
            break
        size = max(1, size // 2)
    return best


def with_plan(outcome: Outcome) -> Outcome:
    """The same options with the plan written out."""
    options = outcome.options
    if options.plan is not None:
        return outcome
    sim = Simulation(options)
    sim.cloud.close()
    return Outcome(options._replace(plan=sim.plan), outcome.report)


Still = Callable[[Options], "Outcome | None"]


def _fewer_steps(best: Outcome, still_fails: Still) -> Outcome:
    step = best.report["violations"][0]["step"]
    plan = tuple(strike for strike in best.options.plan or () if strike.step <= step)
    shorter = best.options._replace(steps=min(best.options.steps, step + 1), plan=plan)
    return still_fails(shorter) or best


def _fewer_faults(
    best: Outcome, size: int, still_fails: Still, may_go_on: Callable[[], bool]
) -> tuple[Outcome, bool]:
    removed = False
    place = 0
    while place < len(best.options.plan or ()) and may_go_on():
        plan = best.options.plan or ()
        found = still_fails(best.options._replace(plan=plan[:place] + plan[place + size :]))
        if found:
            best, removed = found, True
        else:
            place += size
    return best, removed


def save(outcome: Outcome, path: Path, mutant: str = "") -> None:
    """Write a trace file."""
    options = with_plan(outcome).options
    values = options._asdict() | {"plan": [list(strike) for strike in options.plan or ()]}
    whole = {"mutant": mutant, "options": values, "violations": outcome.report["violations"]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1) + "\n")


def load(path: Path) -> tuple[Options, str]:
    """(options, mutant) of a trace file."""
    whole = json.loads(path.read_text())
    values = whole["options"]
    plan = tuple(Strike(*strike) for strike in values["plan"])
    return Options(**(values | {"plan": plan, "faults": tuple(values["faults"])})), whole["mutant"]
