"""The shared tests on MicroPython, one pytest case per file, and proof that the runner can fail."""

import subprocess
import sys

import pytest

from tests.fixtures.components import ROOT
from tests.run_micropython import FOLDERS, HEAP, files_of

SHARED = [path for folder in FOLDERS if (ROOT / folder).exists() for path in files_of(str(ROOT / folder))]


def run(micropython, path, cwd=ROOT, heap=HEAP):
    """The exit code and the output of the runner for one file."""
    runner = cwd / "tests" / "run_micropython.py"
    done = subprocess.run(
        [micropython, "-X", f"heapsize={heap}", runner, path],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd=cwd,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize("path", [path.removeprefix(f"{ROOT}/") for path in SHARED])
def test_shared_file_passes_on_micropython(micropython, path):
    code, output = run(micropython, path)
    assert code == 0, output


def test_shared_tests_exist():
    assert len(SHARED) > 3


@pytest.fixture
def copy(tmp_path):
    """A folder with the runner and one shared test file that a test fills: write(text) -> path."""
    (tmp_path / "tests" / "protocols").mkdir(parents=True)
    runner = ROOT / "tests" / "run_micropython.py"
    (tmp_path / "tests" / "run_micropython.py").write_text(runner.read_text())

    def write(text):
        (tmp_path / "tests" / "protocols" / "test_seed.py").write_text(text)
        return "tests/protocols/test_seed.py"

    return write


@pytest.mark.parametrize(
    ("text", "code", "last"),
    [
        ("def test_one():\n    assert 1 + 1 == 2\n", 0, "1 passed, 0 failed"),
        ("def test_one():\n    assert 1 + 1 == 3\n", 1, "0 passed, 1 failed"),
        ("def test_one():\n    pass\ndef test_two():\n    1 // 0\n", 1, "1 passed, 1 failed"),
        ("import typing\ndef test_one():\n    pass\n", 1, "0 passed, 1 failed"),
        ("def test_one(fixture):\n    pass\n", 1, "0 passed, 1 failed"),
        ("match 1:\n    case 1: pass\n", 1, "0 passed, 1 failed"),
        (
            "def test_one():\n    import sys\n    assert sys.implementation.name == 'micropython'\n",
            0,
            "1 passed",
        ),
        ("value = 1\n", 5, "0 passed, 0 failed"),
    ],
)
def test_runner_tells_right_from_wrong(micropython, tmp_path, copy, text, code, last):
    path = copy(text)
    found, output = run(micropython, path, cwd=tmp_path)
    assert (found, output.splitlines()[-1].startswith(last)) == (code, True), output


def test_process_that_dies_is_a_failure(tmp_path, copy):
    copy("import sys\ndef test_one():\n    sys.exit(0)\n")
    done = subprocess.run(
        [sys.executable, tmp_path / "tests" / "run_micropython.py"],
        stdout=subprocess.PIPE, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert done.stdout.splitlines()[-1] == "0 passed, 1 failed"
