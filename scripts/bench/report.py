"""What a bench says: rows, goals, and how both are printed for a person or for a machine.

Promises: one shape for every bench.  A row is a value with its unit, a floor or rival beside it where there
is one, and the ratio to that; a goal compares one ratio or count of this run with a limit.  Goals are never
about wall-clock figures, so that they hold on any machine.  Leaves measuring to the benches.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table


class BenchError(Exception):
    """A measurement could not be made, or what was measured is wrong; the text says what."""


class Row(NamedTuple):
    """One figure: `value` in `unit` (None: could not be had, `note` says why); `ratio` = value : `to`."""

    group: str
    name: str
    value: float | None
    unit: str
    ratio: float | None = None
    to: str = ""
    note: str = ""


class Goal(NamedTuple):
    """What this run must show: `value` at least, or else under, `limit`."""

    name: str
    value: float
    limit: float
    at_least: bool

    @property
    def met(self) -> bool:
        """Whether the run showed it."""
        return self.value >= self.limit if self.at_least else self.value < self.limit

    @property
    def bound(self) -> str:
        """The limit as a person reads it, e.g. `>= 100`."""
        return f"{'>=' if self.at_least else '<'} {number(self.limit)}"


class Report(NamedTuple):
    """One run of one bench.  `settings` says under which conditions; they are part of the result."""

    bench: str
    settings: dict[str, Any]
    goals: list[Goal]
    rows: list[Row]

    @property
    def met(self) -> bool:
        """Whether every goal is met."""
        return all(goal.met for goal in self.goals)

    @property
    def exit_code(self) -> int:
        """0, or 1 when a goal is missed."""
        return 0 if self.met else 1


def number(value: float | None) -> str:
    """Four figures, thousands apart; a dash for what could not be had."""
    if value is None:
        return "-"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    decimals = 3 if abs(value) < 1 else 2 if abs(value) < 100 else 1
    return f"{value:.{decimals}f}"


def as_json(report: Report) -> str:
    """The report as one JSON object on one line."""
    goals = [{**goal._asdict(), "met": goal.met} for goal in report.goals]
    rows = [row._asdict() for row in report.rows]
    whole = {
        "bench": report.bench,
        "met": report.met,
        "settings": report.settings,
        "goals": goals,
        "rows": rows,
    }
    return json.dumps(whole, ensure_ascii=False)


def show(report: Report, console: Console) -> None:
    """Goals first, then every figure, then the conditions of the run."""
    console.print(_goals(report))
    console.print(_rows(report))
    told = ", ".join(f"{name} {value}" for name, value in report.settings.items())
    console.print(told, markup=False, highlight=False, style="dim")


def _goals(report: Report) -> Table:
    table = Table("goal", "this run", "wanted", "", title=f"bench {report.bench}", title_justify="left")
    table.columns[1].justify = table.columns[2].justify = "right"
    for goal in report.goals:
        word = "[green]met[/green]" if goal.met else "[red]MISSED[/red]"
        table.add_row(goal.name, number(goal.value), goal.bound, word)
    return table


def _rows(report: Report) -> Table:
    table = Table("", "figure", "ratio", "to", "value", "unit", "note")
    for index in (2, 4):
        table.columns[index].justify = "right"
    group = ""
    for row in report.rows:
        if row.group != group and group:
            table.add_section()
        shown = row.group if row.group != group else ""
        group = row.group
        ratio = "" if row.ratio is None else number(row.ratio)
        table.add_row(shown, row.name, ratio, row.to, number(row.value), row.unit, row.note)
    return table
