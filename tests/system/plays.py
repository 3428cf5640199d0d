"""Running `klasskart demo` as a person would, for the tests of the whole way.

It promises a command in a session of its own with its output in files, and that what was started ends with
the test. It looks at the database only to know how far a play is.
"""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCHOOL_1 = ROOT / "examples" / "school-1"
SCHOOL_15 = ROOT.parent / "shared" / "data" / "school-15"
PATIENCE_S = 120
PROCESSES = ("gate-1", "gate-2", "line-1", "line-2", "broker", "ingest", "worker", "web")


def big_school() -> Path:
    """The real school's files; they lie beside the repository, in CI too."""
    assert SCHOOL_15.is_dir(), f"{SCHOOL_15} is missing: the whole way is checked with a real school's day"
    return SCHOOL_15


class Command:
    """One `klasskart demo ...`, started at once. `data` is its data folder."""

    def __init__(self, folder: Path, *arguments: str):
        self.data = folder / "data"
        self.out, self.error = folder / "out.txt", folder / "error.txt"
        command = [sys.executable, str(ROOT / "scripts" / "klasskart.py"), "demo", "--data", str(self.data)]
        with self.out.open("w") as out, self.error.open("w") as error:
            self.process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=error,
                start_new_session=True,
                env={**os.environ, "COLUMNS": "60"},
            )

    def wait(self) -> int:
        """The exit code."""
        return self.process.wait(PATIENCE_S)

    def result(self) -> dict[str, float]:
        """The JSON object it printed."""
        text = self.out.read_text(encoding="utf-8")
        assert text.startswith("{"), f"no result; standard error: {self.complaints()}"
        return json.loads(text)

    def complaints(self) -> str:
        """What it said on standard error."""
        return self.error.read_text(encoding="utf-8")

    def pid_of(self, name: str) -> int:
        """The number of one of its processes, as its pid file says."""
        path = self.data / "run" / f"{name}.pid"
        found: list[int] = []

        def is_there() -> bool:
            # The file of a dead process goes, that of a new one comes whole.
            with contextlib.suppress(FileNotFoundError):
                found.append(int(path.read_text(encoding="ascii")))
            return bool(found)

        self.until(is_there, f"a process {name}")
        return found[0]

    def pids(self) -> dict[str, int]:
        """The numbers of all its processes, once all of them run."""
        return {name: self.pid_of(name) for name in PROCESSES}

    def records(self) -> int:
        """How many records of operations the cloud has by now."""
        try:
            with contextlib.closing(
                sqlite3.connect(f"file:{self.data / 'cloud.db'}?mode=ro", uri=True)
            ) as store:
                return store.execute("SELECT count(*) FROM record WHERE type IN (6, 8, 12)").fetchone()[0]
        except sqlite3.OperationalError:
            return 0  # not made yet

    def until(self, is_true, what: str) -> None:
        """Wait for something, as long as the command runs."""
        deadline = time.monotonic() + PATIENCE_S
        while not is_true():
            assert self.process.poll() is None, f"it ended before {what}: {self.complaints()}"
            assert time.monotonic() < deadline, f"waited in vain for {what}: {self.complaints()}"
            time.sleep(0.005)

    def end(self) -> None:
        """End it whatever it does; its children end with it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def kill(pid: int) -> None:
    """kill -9, by number."""
    os.kill(pid, signal.SIGKILL)


def is_running(pid: int) -> bool:
    """Whether a process of that number lives; one that only waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
