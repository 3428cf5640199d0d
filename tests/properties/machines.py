"""How the state machines run: the same plays each time, fresh ones with their seed printed, and seeded bugs.

`KLASSKART_PLAY_SEED=N` repeats fresh plays that failed.
"""

import os
import random

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test
from sqlalchemy.exc import IntegrityError

from protocols.errors import Fault

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
Machine = type[RuleBasedStateMachine]


def run(machine: Machine, examples: int, steps: int) -> None:
    """The same plays on every machine and every day."""
    run_state_machine_as_test(machine, settings=_settings(examples, steps, derandomize=True))


def run_fresh(machine: Machine, examples: int, steps: int) -> None:
    """Plays that nobody has seen."""
    number = int(os.environ.get("KLASSKART_PLAY_SEED") or random.randrange(1 << 32))
    print(f"to repeat: KLASSKART_PLAY_SEED={number}")
    seeded = hypothesis.seed(number)(type(machine.__name__, (machine,), {}))
    run_state_machine_as_test(seeded, settings=_settings(examples, steps))


def catch(machine: Machine, examples: int, steps: int, match: str | None = None) -> None:
    """Fails unless the same plays find something wrong; `match`: what the complaint must say."""
    wanted = _settings(examples, steps, derandomize=True, phases=[Phase.generate])
    with pytest.raises((AssertionError, Fault, IntegrityError), match=match):
        run_state_machine_as_test(machine, settings=wanted)


def _settings(examples: int, steps: int, **more: object) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=SLOW,
        **more,  # type: ignore[arg-type]
    )
