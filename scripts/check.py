"""The quick round while writing: format, lint, types, house rules, protocols on both interpreters.

    python scripts/check.py                    everything, in seconds
    python scripts/check.py --fix              lets ruff put right what it can, then everything
    python scripts/check.py --without-tests    only what reads the code (scripts/test runs the tests itself)

Promises: runs every step even after one failed, shows the output of those that failed, then one table; exits
with 1 when a step failed.  Leaves the long tests to scripts/test.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".venv" / "bin"

if __name__ == "__main__" and Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
    if not (TOOLS / "python").exists():
        sys.exit("check: there is no .venv yet; run scripts/setup --dev")
    os.execv(TOOLS / "python", [str(TOOLS / "python"), *sys.argv])  # the tools live in the environment

import click  # noqa: E402 - only inside the environment
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402


class Step(NamedTuple):
    """One line of the table: what it proves, and the command that proves it."""

    name: str
    command: list[str]


class Outcome(NamedTuple):
    """What a step said: its exit code, its output as text, how long it took in seconds."""

    step: Step
    code: int
    output: str
    seconds: float


READING = [
    Step("format (ruff)", [str(TOOLS / "ruff"), "format", "--check", "--quiet", "."]),
    Step("lint (ruff)", [str(TOOLS / "ruff"), "check", "--quiet", "."]),
    Step("types of the host (mypy)", [str(TOOLS / "mypy")]),
    Step("types of the chip (basedpyright)", [str(TOOLS / "basedpyright")]),
]
TESTS = [
    Step(
        "house rules",
        [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "tests/tidy"],
    ),
    Step("protocols on CPython", [sys.executable, "tests/run_micropython.py", "--here"]),
    Step("protocols on MicroPython", [sys.executable, "tests/run_micropython.py"]),
]


def run(step: Step) -> Outcome:
    """Run one step in the repository's root; a tool that is not installed is a failed step."""
    started = time.perf_counter()
    try:
        done = subprocess.run(
            step.command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        code, output = done.returncode, done.stdout
    except FileNotFoundError:
        code, output = 127, f"{step.command[0]} is not installed: run scripts/setup --dev\n"
    return Outcome(step, code, output, time.perf_counter() - started)


def show(console: Console, outcomes: list[Outcome]) -> None:
    """The output of what failed, then the table of all."""
    for outcome in outcomes:
        if outcome.code:
            console.rule(outcome.step.name)
            console.print(outcome.output.rstrip(), markup=False, highlight=False, soft_wrap=True)
    table = Table("check", "result", "seconds")
    table.columns[2].justify = "right"
    for outcome in outcomes:
        result = "[red]FAILED[/red]" if outcome.code else "[green]ok[/green]"
        table.add_row(outcome.step.name, result, f"{outcome.seconds:.1f}")
    console.print(table)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--fix", is_flag=True, help="Let ruff put right what it can first.")
@click.option("--without-tests", is_flag=True, help="Only read the code: format, lint, types.")
def check(*, fix: bool, without_tests: bool) -> None:
    """Run the quick checks of the house and print a table of them."""
    if fix:
        subprocess.run([TOOLS / "ruff", "check", "--fix", "--quiet", "."], cwd=ROOT, check=False)
        subprocess.run([TOOLS / "ruff", "format", "--quiet", "."], cwd=ROOT, check=False)
    steps = READING if without_tests else READING + TESTS
    with ThreadPoolExecutor(max_workers=2) as pool:
        outcomes = list(pool.map(run, steps))
    show(Console(), outcomes)
    sys.exit(1 if any(outcome.code for outcome in outcomes) else 0)


if __name__ == "__main__":
    check()
