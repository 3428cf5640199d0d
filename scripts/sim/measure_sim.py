"""`bench sim`: steps of the simulator a second on one core, at two sizes: the cost must grow linearly.

Promises: time is the processor's, so that a busy machine changes little; the runs have all faults and must be
sound.  Building the school is part of each run.
"""

from __future__ import annotations

from scripts.bench.report import BenchError, Goal, Report, Row
from scripts.sim import faults, runs
from scripts.sim.simulation import Options

STEPS_A_SECOND = 5_000
# Twice the steps may cost so much more than twice the time.
GROWTH_MOST = 1.25


def run(*, steps: int, seed: int) -> Report:
    """Run `steps` and four times as many, with every fault there is."""
    names = faults.ready()
    reports = []
    for size in (steps, 4 * steps):
        outcome = runs.run(Options(seed, size, faults=names))
        if outcome.failed:
            raise BenchError(f"seed {seed} breaks {outcome.invariant}")
        reports.append(outcome.report)
    small, large = reports
    growth = small["steps_per_second"] / large["steps_per_second"]
    goals = [
        Goal("steps a second of one core", large["steps_per_second"], STEPS_A_SECOND, True),
        Goal("cost of a step at four times the size, as ratio", growth, GROWTH_MOST, False),
    ]
    rows = []
    for report in reports:
        group = f"{report['steps']} steps"
        rate = report["steps_per_second"]
        sales = report["sales"] * rate / report["steps"]
        rows += [
            Row(group, "steps a second", rate, "", rate / small["steps_per_second"], "the smaller run"),
            Row(group, "sales a second", sales, ""),
            Row(group, "faults", sum(report["faults"].values()), ""),
            Row(group, "terminal hours", report["terminal_hours"], "h"),
        ]
    return Report("sim", {"seed": seed, "kinds_of_faults": len(names)}, goals, rows)
