"""A long run: fresh seeds one after another in several processes, until so many sales were made.

Promises: the seeds are `first`, `first + 1`, ...; what school each one is follows from it alone; a run
counts as many of them, in their order, as are needed for the sales that were asked for.  So the same first
seed gives the same sums on any machine with any number of processes.  A seed that fails ends the run, unless
it is told to keep going; Ctrl-C ends it behind the runs that are on their way, with what there is so far.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from scripts.sim import faults, runs
from scripts.sim.simulation import Options

STEPS = 20_000
FAULT_GAP = 200
_ROOT = Path(__file__).resolve().parent.parent.parent
_RUNS_A_PROCESS = 40
_ACCOUNTS = (40, 60, 80, 120, 160)

Told = Callable[["Sums"], None]


class Plan(NamedTuple):
    """`first` seed; `sales` that are wanted; `jobs` processes; steps and mean gap of faults of each run.

    `keeps_going`: a seed that fails does not end it.
    """

    first: int
    sales: int
    jobs: int
    steps: int = STEPS
    fault_gap: int = FAULT_GAP
    kinds: tuple[str, ...] = ()
    keeps_going: bool = False

    def options(self, seed: int) -> Options:
        """The school of a seed."""
        chance = Random(f"school of {seed}")
        terminals, accounts = chance.randrange(4, 13), chance.choice(_ACCOUNTS)
        return Options(seed, self.steps, terminals, accounts, self.kinds, fault_gap=self.fault_gap)

    def command(self) -> str:
        """The line that repeats the run, up to its time."""
        every = self.kinds == faults.ready()
        kinds = "" if every else f" --faults {','.join(self.kinds) or 'none'}"
        return (
            f"klasskart sim --seed {self.first} --sales {self.sales} --jobs {self.jobs} --steps {self.steps}"
            f" --fault-gap {self.fault_gap}{kinds}{' --keep-going' if self.keeps_going else ''}"
        )


class Sums:
    """What the seeds up to now add up to."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.seeds = self.steps = self.sales = self.sales_minor = 0
        self.faults: Counter[str] = Counter()
        self.pairs: set[tuple[str, str]] = set()
        self.violations: list[dict[str, Any]] = []
        self.kopecks_unexplained = self.destroyed_records = 0
        self.terminal_hours = 0.0
        self.cpu_seconds = 0.0
        self.schools: Counter[str] = Counter()
        self.trace = hashlib.sha256()
        self.started = time.monotonic()
        self.is_whole = False
        self.failed: list[runs.Outcome] = []

    def add(self, outcome: runs.Outcome) -> None:
        """Count one more seed."""
        options, report = outcome.options, outcome.report
        self.seeds += 1
        self.steps += report["steps"]
        self.sales += report["sales"]
        self.sales_minor += report["sales_minor"]
        self.faults.update(report["faults"])
        self.pairs |= outcome.pairs
        self.violations += [{"seed": options.seed, **each} for each in report["violations"]]
        self.kopecks_unexplained += report["kopecks_unexplained"]
        self.destroyed_records += len(report["destroyed_records"])
        self.terminal_hours += report["terminal_hours"]
        self.cpu_seconds += report["steps"] / max(1, report["steps_per_second"])
        self.schools[f"{options.terminals} terminals, {options.accounts} accounts"] += 1
        self.trace.update(f"{options.seed} {report['trace']}\n".encode())
        if outcome.failed:
            self.failed.append(outcome)
        self.is_whole = self.sales >= self.plan.sales and not self.is_stopped

    @property
    def is_stopped(self) -> bool:
        """Did a seed end it?"""
        return bool(self.failed) and not self.plan.keeps_going

    def summary(self) -> dict[str, Any]:
        """All of it, for a file."""
        return {
            "command": self.plan.command(), "commit": commit(), "is_whole": self.is_whole,
            "seed_first": self.plan.first, "seeds": self.seeds, "steps": self.steps, "sales": self.sales,
            "sales_minor": self.sales_minor, "faults_total": self.faults.total(),
            "pairs_covered": len(self.pairs), "pairs_total": len(self.plan.kinds) ** 2,
            "violations": self.violations, "kopecks_unexplained": self.kopecks_unexplained,
            "destroyed_records": self.destroyed_records, "terminal_hours": round(self.terminal_hours, 1),
            "steps_per_second": round(self.steps / self.cpu_seconds) if self.cpu_seconds else 0,
            "sales_per_second": round(self.sales / self.cpu_seconds) if self.cpu_seconds else 0,
            "minutes": round((time.monotonic() - self.started) / 60, 1), "trace": self.trace.hexdigest()[:16],
            "faults": dict(sorted(self.faults.items())), "schools": dict(sorted(self.schools.items())),
        }  # fmt: skip


def run(plan: Plan, told: Told) -> Sums:
    """Run seeds until there are enough sales, one fails, or Ctrl-C; `told` hears of each that counts."""
    sums = Sums(plan)
    pool = ProcessPoolExecutor(
        plan.jobs, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=_RUNS_A_PROCESS
    )
    waiting: dict[Future[runs.Outcome], int] = {}
    done: dict[int, runs.Outcome] = {}
    following = counted = plan.first
    try:
        while not sums.is_whole and not sums.is_stopped:
            with _deaf():
                while len(waiting) < 2 * plan.jobs:
                    waiting[pool.submit(_one, plan.options(following))] = following
                    following += 1
            ready, _rest = wait(waiting, return_when=FIRST_COMPLETED)
            done |= {waiting.pop(future): future.result() for future in ready}
            counted = _count(sums, done, counted, told)
    except KeyboardInterrupt:
        # The processes do not hear it: what they are at comes to its end and counts.
        for future in [future for future in waiting if future.cancel()]:
            waiting.pop(future)
        done |= {seed: future.result() for future, seed in waiting.items()}
        _count(sums, done, counted, told)
    finally:
        pool.shutdown(cancel_futures=True)
    return sums


def _count(sums: Sums, done: dict[int, runs.Outcome], counted: int, told: Told) -> int:
    """Add what is next in order; the seed that is awaited then."""
    while counted in done and not sums.is_whole and not sums.is_stopped:
        sums.add(done.pop(counted))
        counted += 1
        told(sums)
    return counted


@contextmanager
def _deaf() -> Iterator[None]:
    """Threads and processes that begin in here never hear Ctrl-C, from their first instruction on.

    One that heard it while it started would leave its pool waiting for ever.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _one(options: Options) -> runs.Outcome:
    return runs.run(options)


def commit() -> str:
    """The product's commit, with a plus when files differ from it; empty without git."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=_ROOT, capture_output=True, text=True)
        changed = subprocess.run(["git", "status", "--porcelain"], cwd=_ROOT, capture_output=True, text=True)
    except OSError:
        return ""
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


def save(sums: Sums, path: Path) -> None:
    """Write the summary to `path` as JSON, and beside it as a page for people."""
    whole = sums.summary()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(_page(whole), encoding="utf-8")


def _page(whole: dict[str, Any]) -> str:
    left_out = ("command", "faults", "schools", "violations")
    lines = [
        f"# {whole['sales']:,} sales under faults",
        "",
        f"`{whole['command']}`",
        "",
        "| | |",
        "|---|---|",
    ]
    lines += [f"| {name} | {value} |" for name, value in whole.items() if name not in left_out]
    lines += [f"| violations | {len(whole['violations'])} |", "", "| fault | times |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in whole["faults"].items()]
    lines += ["", "| school | seeds |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in whole["schools"].items()]
    return "\n".join(lines) + "\n"
