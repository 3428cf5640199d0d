"""`klasskart sim --sales`: the long run's progress, its summary and its exit code."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from scripts.sim import longrun, runs

_LINE_EVERY_S = 60
INTERRUPTED = 130


def long(plan: longrun.Plan, *, summary: Path | None, as_json: bool, traces: Path, shrinks: bool) -> int:
    """Run it; 0 when every invariant held, 1 when one did not, 130 when a person ended it."""
    click.echo(f"from seed {plan.first}: {plan.command()}", err=True)
    with _Told(plan, traces, shrinks=shrinks) as told:
        sums = longrun.run(plan, told)
    if summary is not None:
        longrun.save(sums, summary)
    whole = sums.summary()
    if as_json:
        click.echo(json.dumps(whole, ensure_ascii=False))
    else:
        click.echo(_line(sums))
    if sums.failed:
        return 1
    return 0 if sums.is_whole else INTERRUPTED


def _line(sums: longrun.Sums) -> str:
    whole = sums.summary()
    return (
        f"{whole['minutes']:6.1f} min: {whole['seeds']} seeds, {whole['steps']:,} steps,"
        f" {whole['sales']:,} sales,"
        f" {whole['faults_total']:,} faults, {whole['pairs_covered']} of {whole['pairs_total']} pairs,"
        f" {len(whole['violations'])} violations, {whole['kopecks_unexplained']} kopecks unexplained,"
        f" {whole['sales_per_second']} sales/s and {whole['steps_per_second']} steps/s a core"
    )


class _Told:
    """A bar where a person looks on, else a line at the first seed and one each minute.

    A seed that fails is told at once, and how to repeat it.
    """

    def __init__(self, plan: longrun.Plan, traces: Path, *, shrinks: bool) -> None:
        self._traces, self._shrinks = traces, shrinks
        self._failed = 0
        self._bar: Progress | None = None
        self._next = time.monotonic()
        console = Console(stderr=True)
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("sales"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"),
                TimeElapsedColumn(), TimeRemainingColumn(), console=console,
            )  # fmt: skip
            self._task = self._bar.add_task("", total=plan.sales)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, sums: longrun.Sums) -> None:
        for outcome in sums.failed[self._failed :]:
            self._tell_failure(outcome)
        self._failed = len(sums.failed)
        if self._bar is not None:
            text = f"{sums.seeds} seeds, {len(sums.violations)} violations"
            self._bar.update(self._task, completed=min(sums.sales, sums.plan.sales), description=text)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + _LINE_EVERY_S
            print(_line(sums), file=sys.stderr, flush=True)

    def _tell_failure(self, outcome: runs.Outcome) -> None:
        for violation in outcome.report["violations"]:
            click.echo(f"  seed {outcome.options.seed}: {violation}", err=True)
        path = self._traces / f"seed-{outcome.options.seed}.json"
        runs.save(runs.shrink(outcome) if self._shrinks else outcome, path)
        click.echo(f"replay: klasskart sim --replay {path}", err=True)
