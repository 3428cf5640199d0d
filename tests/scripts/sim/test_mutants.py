"""docs/simulator.md lists each seeded bug with what catches it, and the simulator does as the page says."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from cloud.ingest.outgoing import Post
from scripts.sim import faults, runs
from scripts.sim.command import sim
from scripts.sim.crash import CRASH
from scripts.sim.invariants import NAMES
from scripts.sim.mutants import Mutant, mutants
from scripts.sim.simulation import Options

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")
SHORT = Options(11, 900, terminals=5, accounts=16, faults=faults.ready())


class Row(NamedTuple):
    """One row of the page's table."""

    bug: str
    name: str
    invariant: str
    struck: tuple[str, ...]


def rows_of_the_page() -> list[Row]:
    section = PAGE.split("## Seeded bugs\n")[1].split("\n## ")[0]
    found = []
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[1].startswith("`"):
            found.append(Row(cells[0], cells[1].strip("`"), cells[2], tuple(cells[3].split(", "))))
    return found


ROWS = rows_of_the_page()


def test_page_has_one_row_for_each_bug():
    assert sorted(row.name for row in ROWS) == sorted(mutants())
    assert f"`{len(ROWS)} of {len(ROWS)} caught`" in PAGE
    assert not [mutant.name for mutant in mutants().values() if mutant.missing]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_seeded_bug_is_caught_as_the_page_says(row):
    """By directed faults alone; a crash, or a run that the sound product fails as well, would not count."""
    assert row.struck == mutants()[row.name].hints
    caught = runs.hunt(row.name, seeds=0)
    assert caught is not None, f"{row.name} slipped through"
    assert caught.outcome.invariant == row.invariant, caught.way
    assert row.invariant in NAMES


def test_bug_is_not_caught_where_the_sound_product_fails_too(monkeypatch):
    failed = runs.run(SHORT)._replace(report={"violations": [{"invariant": "I5", "text": "", "step": 1}]})
    monkeypatch.setattr(runs, "run", lambda options, mutant="": failed)
    assert runs.hunt("sells_without_rights", seeds=1, steps=300) is None


def ends_at_once(patches):
    """A patch that no longer fits the product."""
    patches.replace(Post, "ack", lambda self, device: None)


def test_crash_of_a_mutant_catches_nothing(monkeypatch):
    """It ends in a TypeError: no invariant has seen the bug."""
    monkeypatch.setitem(mutants(), "ends_at_once", Mutant("ends_at_once", "", ends_at_once))
    outcome = runs.run(SHORT, "ends_at_once")
    assert outcome.invariant == CRASH
    assert "TypeError" in outcome.report["violations"][0]["text"]
    assert runs.hunt("ends_at_once", seeds=1, steps=300) is None


def test_mutant_that_does_not_fit_says_so(monkeypatch):
    monkeypatch.setitem(mutants(), "ends_at_once", Mutant("ends_at_once", "", ends_at_once, ("link_drop",)))
    result = CliRunner().invoke(sim, ["--mutant", "ends_at_once"])
    assert result.exit_code == 0
    assert re.match("ends_at_once: does not fit the product any more: .*TypeError", result.output)


def test_mutant_leaves_the_product_as_it_was():
    runs.run(SHORT, "sells_without_rights")
    assert runs.run(SHORT).report["violations"] == []


@pytest.mark.parametrize("name", sorted(set(faults.kinds()) - set(faults.ready())))
def test_staged_scene_is_named_by_a_bug_and_passed_by_the_product(name):
    """It is in no random plan, so that a seed means the same school with and without it."""
    assert [mutant.name for mutant in mutants().values() if name in mutant.hints]
    outcome = runs.run(runs.close_together([(name,)] * 3, 5))
    assert outcome.report["violations"] == []
    assert outcome.report["faults"][name] > 0
