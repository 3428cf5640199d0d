"""The kinds of faults by name, and plans of them drawn from a seed.

A kind is an object with `strike(sim, chance)`, which breaks something now and returns whether there was
something to break.  Whatever it needs later it asks of the heap.  A kind without a product side yet is
`missing`: it is listed, never skipped in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from scripts.sim.simulation import Options, Simulation

PLANNED_WINDOW = 160
"""Steps within which two faults make a pair."""

GAP_STEPS = 82
"""Steps between two faults of a plan, on the average, when nothing else is said."""


class Strike(NamedTuple):
    """`kind` of fault at a step of the run; `salt` is all its randomness."""

    step: int
    kind: str
    salt: int


class Kind(NamedTuple):
    """A kind of fault; `missing` says why the product cannot meet it yet.

    `staged`: it is played for a seeded bug that names it, and is in no random plan.
    """

    name: str
    text: str
    strike: Callable[[Simulation, Random], bool]
    missing: str = ""
    staged: bool = False


_KINDS: dict[str, Kind] = {}


def fault(
    text: str, missing: str = "", *, staged: bool = False
) -> Callable[[Callable[[Any, Random], bool]], Callable[[Any, Random], bool]]:
    """Make a function a kind of fault under its own name."""

    def add(strike: Callable[[Any, Random], bool]) -> Callable[[Any, Random], bool]:
        name = strike.__name__
        _KINDS[name] = Kind(name, text, strike, missing, staged)
        return strike

    return add


def kinds() -> dict[str, Kind]:
    """Every kind by name, those that are missing too."""
    from scripts.sim.faults import (  # noqa: F401 - they fill the list
        branch_faults,
        cloud_faults,
        device_faults,
        hostile_faults,
        network_faults,
        restore_faults,
        staged,
    )

    return _KINDS


def fault_by_name(name: str) -> Kind:
    """The kind of that name; KeyError when there is none."""
    return kinds()[name]


def ready() -> tuple[str, ...]:
    """The names of the kinds that strike at random."""
    return tuple(sorted(name for name, kind in kinds().items() if not kind.missing and not kind.staged))


def plan_of(options: Options, chance: Random) -> tuple[Strike, ...]:
    """Faults at random steps, kinds evenly; the gaps are between a fifth and nine fifths of their mean."""
    least = max(1, options.fault_gap // 5)
    gaps = least, max(least + 1, 2 * options.fault_gap - least)
    plan = []
    step = chance.randrange(*gaps)
    while options.faults and step < options.steps:
        plan.append(Strike(step, chance.choice(options.faults), chance.getrandbits(32)))
        step += chance.randrange(*gaps)
    return tuple(plan)
