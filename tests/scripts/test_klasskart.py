"""The root command: quick, whole even when a branch is broken, and clear about what is missing."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from scripts import klasskart
from scripts.klasskart import BRANCHES, Branch, LazyGroup, load
from tests.fixtures.components import ROOT


def root_with(**branches):
    """A root command with other branches."""
    return LazyGroup(name="klasskart", branches=branches)


def test_help_names_every_branch():
    said = CliRunner().invoke(klasskart.klasskart, ["--help"])
    assert said.exit_code == 0
    for name, branch in BRANCHES.items():
        assert f"  {name} " in said.output
        assert branch.summary in said.output


def test_help_loads_no_branch():
    code = (
        "import sys; from click.testing import CliRunner; from scripts.klasskart import klasskart\n"
        "assert CliRunner().invoke(klasskart, ['--help']).exit_code == 0\n"
        "print([name for name in ('cloud', 'flask', 'sqlalchemy', 'scripts.play') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


@pytest.mark.parametrize("command", [[".venv/bin/klasskart"], [sys.executable, "scripts/klasskart.py"]])
def test_command_runs_from_any_folder(tmp_path, command):
    whole = [str(ROOT / part) if "/" in part and not part.startswith("/") else part for part in command]
    said = subprocess.run([*whole, "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "klasskart [OPTIONS] COMMAND" in said.stdout


def test_missing_branch_says_so():
    root = root_with(later=Branch("scripts.no_such_room.command", "later", "Comes later."))
    said = CliRunner().invoke(root, ["later"])
    assert said.exit_code == 1
    assert (
        said.output == "Error: 'later' is not part of this copy: there is no scripts.no_such_room.command\n"
    )


def test_missing_package_says_setup(tmp_path, monkeypatch):
    (tmp_path / "seeded_branch.py").write_text("import no_such_package_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        click.ClickException, match="needs the package 'no_such_package_anywhere': run scripts/setup"
    ):
        load("seed", Branch("seeded_branch", "seed", ""))


def test_branch_without_its_command_says_so():
    with pytest.raises(click.ClickException, match="has no command named 'nothing'"):
        load("seed", Branch("scripts.klasskart", "nothing", ""))


def test_unknown_command_is_refused():
    said = CliRunner().invoke(klasskart.klasskart, ["nonsense"])
    assert said.exit_code == 2
    assert "No such command 'nonsense'" in said.output
