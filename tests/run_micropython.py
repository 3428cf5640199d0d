"""Runs the tests that both interpreters share, file by file, on MicroPython or right here.

    python tests/run_micropython.py                       all of them on MicroPython
    python tests/run_micropython.py tests/protocols/test_money.py
    python tests/run_micropython.py --here                on this CPython
    micropython tests/run_micropython.py FILE...          what the first line starts for each file

A shared test is a plain function `test_*` without arguments that uses plain `assert`, in a file `test_*.py`
under one of FOLDERS.  Promises: prints each failure with its traceback, ends with `N passed, N failed`, exits
with 1 when something failed and 5 when there was nothing to run.  This file is written for both interpreters.
"""

import gc
import os
import sys

FOLDERS = ("tests/protocols", "tests/firmware/app", "tests/firmware/boards", "tests/firmware/drivers/readers")
# A test holds whole flash images in RAM; that the firmware fits a chip is shown by the boards and the bench.
HEAP = "4096k"
IS_MICROPYTHON = sys.implementation.name == "micropython"
ROOT = (__file__.rsplit("/", 1)[0] if "/" in __file__ else ".") + "/.."


def files_of(folder: str) -> list[str]:
    """Paths of all shared test files under the folder, in order of name."""
    found = []
    for name in sorted(os.listdir(folder)):
        path = folder + "/" + name
        if name.startswith("test_") and name.endswith(".py"):
            found.append(path)
        elif "." not in name and name != "__pycache__":
            found += files_of(path)
    return found


def is_folder(path: str) -> bool:
    """Whether there is a folder of that name; a copy of a part of the repository has only some."""
    try:
        return bool(os.stat(path)[0] & 0x4000)
    except OSError:
        return False


def report(error: BaseException) -> None:
    """The traceback, as each interpreter prints it."""
    if IS_MICROPYTHON:
        sys.print_exception(error, sys.stdout)  # type: ignore[attr-defined]
    else:
        import traceback

        traceback.print_exception(error, file=sys.stdout)


def run_file(path: str) -> tuple[int, int]:
    """Import the file and call its tests: (passed, failed).  A file that fails to import is one failure."""
    module_name = path[:-3].replace("/", ".")
    try:
        __import__(module_name)
    except Exception as error:  # noqa: BLE001 - whatever a test file raises is its failure
        print("FAILED", path, "(import)")
        report(error)
        return 0, 1
    module = sys.modules[module_name]
    passed = failed = 0
    for name in sorted(dir(module)):
        test = getattr(module, name)
        if not name.startswith("test_") or not callable(test):
            continue
        gc.collect()
        try:
            test()
            passed += 1
        except Exception as error:  # noqa: BLE001
            print("FAILED", path + "::" + name)
            report(error)
            failed += 1
    return passed, failed


def run_here(paths: list[str]) -> tuple[int, int]:
    """All the files on this interpreter: (passed, failed)."""
    passed = failed = 0
    for path in paths:
        more = run_file(path)
        passed += more[0]
        failed += more[1]
    return passed, failed


def run_on_micropython(paths: list[str], heap: str = HEAP) -> tuple[int, int]:
    """Each file in a MicroPython process of its own: (passed, failed).  One that dies is one failure."""
    import subprocess

    command = os.path.join(os.path.dirname(sys.executable), "micropython")
    if not os.path.exists(command):
        sys.exit("micropython is missing: run scripts/setup --dev")
    passed = failed = 0
    for path in paths:
        done = subprocess.run(
            [command, "-X", "heapsize=" + heap, "tests/run_micropython.py", path],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        lines = done.stdout.rstrip().split("\n")
        words = lines[-1].replace(",", "").split()
        if len(words) == 4 and words[1] == "passed" and done.returncode in (0, 1, 5):
            passed += int(words[0])
            failed += int(words[2])
            lines.pop()
        else:
            lines.append(f"FAILED {path} (MicroPython ended with {done.returncode})")
            failed += 1
        if lines:
            print("\n".join(lines))
    return passed, failed


def main(arguments: list[str]) -> int:
    """The exit code: 0 all passed, 1 something failed, 5 nothing to run."""
    os.chdir(ROOT)
    # The folder of this file would hide the product's packages behind those of the tests.
    sys.path[0] = os.getcwd()
    here = IS_MICROPYTHON or "--here" in arguments
    paths = [each for each in arguments if each != "--here"]
    if not paths:
        for folder in FOLDERS:
            if is_folder(folder):
                paths += files_of(folder)
    passed, failed = run_here(paths) if here else run_on_micropython(paths)
    print(f"{passed} passed, {failed} failed")
    if failed:
        return 1
    return 0 if passed else 5


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
