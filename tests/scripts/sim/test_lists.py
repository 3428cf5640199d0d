"""docs/simulator.md names every kind of fault and nothing else; test_mutants.py has the seeded bugs."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from scripts.sim import faults
from scripts.sim.command import sim

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "simulator.md").read_text(encoding="utf-8")


def named_in(heading: str) -> set[str]:
    """Words in backquotes in the rows of the table under a heading."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return {name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row)}


def test_page_names_each_kind_of_fault():
    assert named_in("Faults") == set(faults.kinds())


@pytest.mark.parametrize("part", ["0/2", "3/2", "x", "1/", "-1/2"])
def test_part_that_is_none_is_refused(part):
    result = CliRunner().invoke(sim, ["--pairs", "--part", part])
    assert result.exit_code == 2
    assert "is no part" in result.output
