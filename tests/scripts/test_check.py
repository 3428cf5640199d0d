"""The quick round: a failed step fails the round and shows why; the table names every step."""

from __future__ import annotations

import sys

from rich.console import Console

from scripts.check import READING, TESTS, Outcome, Step, run, show


def test_failed_step_keeps_its_output():
    outcome = run(Step("seed", [sys.executable, "-c", "print('why it failed'); raise SystemExit(3)"]))
    assert (outcome.code, outcome.output) == (3, "why it failed\n")


def test_missing_tool_is_a_failure():
    outcome = run(Step("seed", ["no-such-tool-anywhere"]))
    assert outcome.code != 0
    assert "run scripts/setup --dev" in outcome.output


def test_table_names_every_step():
    console = Console(record=True, width=100)
    outcomes = [
        Outcome(Step("good one", []), 0, "quiet\n", 0.1),
        Outcome(Step("bad one", []), 1, "[the reason]\n", 2.0),
    ]
    show(console, outcomes)
    text = console.export_text()
    assert "[the reason]" in text
    assert "quiet" not in text
    for words in (("good one", "ok", "0.1"), ("bad one", "FAILED", "2.0")):
        assert any(all(word in line for word in words) for line in text.splitlines())


def test_every_check_is_a_step():
    names = " ".join(step.name for step in READING + TESTS)
    for word in ("format", "lint", "mypy", "basedpyright", "house rules", "CPython", "MicroPython"):
        assert word in names
