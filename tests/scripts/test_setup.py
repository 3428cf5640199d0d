"""What setup installs is pinned to the last package, and running it again changes nothing."""

from __future__ import annotations

import re
import subprocess
from importlib import metadata

import pytest

from tests.fixtures.components import ROOT

PIN = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+")
NAME = re.compile(r"[a-z0-9-]+(\[[a-z]+\])?")
REQUIREMENTS = (
    "requirements.txt", "requirements-desk.txt", "requirements-dev.txt", "requirements-typings.txt",
)  # fmt: skip
# Every virtual environment has these from Python itself.
OF_PYTHON = {"pip", "setuptools"}


def lines_of(name):
    """The lines of a requirements file without comments."""
    return [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]


def plain(name):
    """A package's name as indexes compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def setup(*arguments):
    """Run scripts/setup: its exit code and everything that it said."""
    done = subprocess.run(
        [ROOT / "scripts" / "setup", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_constraints_are_names_and_versions():
    assert [line for line in lines_of("constraints.txt") if not PIN.fullmatch(line)] == []


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_requirements_are_pinned_names(name):
    pinned = {plain(line.partition("==")[0]) for line in lines_of("constraints.txt")}
    for line in lines_of(name):
        assert NAME.fullmatch(line), line
        assert plain(line.partition("[")[0]) in pinned


def test_everything_installed_is_pinned():
    pinned = {plain(line.partition("==")[0]): line.partition("==")[2] for line in lines_of("constraints.txt")}
    installed = {plain(each.name): each.version for each in metadata.distributions() if each.name}
    loose = {name: version for name, version in installed.items() if pinned.get(name) != version}
    assert set(loose) <= OF_PYTHON, loose


def test_second_setup_is_silent():
    assert setup("--dev") == (0, "")


def test_setup_refuses_what_it_does_not_know():
    code, said = setup("--nonsense")
    assert code == 2
    assert "unknown argument '--nonsense'" in said


@pytest.mark.parametrize("name", ["scripts/setup", "scripts/demo", "scripts/test", ".ci/run"])
def test_scripts_are_whole_and_executable(name):
    assert (ROOT / name).stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", ROOT / name], check=False).returncode == 0
