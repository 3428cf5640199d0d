"""One virtual board: a process of the real firmware, and the pipe that stands for its readers and lights.

Promises: the process is the interpreter itself, so kill() is a power cut; it is
in a session of its own, so Ctrl-C at a terminal reaches only the parent, who
decides; when the parent dies, the board's input ends and it stops.  What it says
comes out of `events`; what it complains of stands in `board.log` of its folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from reader_host.virtual.build import build

HEAP_KB = 256
Event = tuple[str, dict[str, str]]
# What `events` says when the board's process has ended.
ENDED = "ended"
_LOG_SIZE_MAX = 1_000_000


class BoardError(Exception):
    """A board that could not be prepared or is not running."""


class VirtualBoard:
    """A board in a folder that `create` made.  `events`: (name, fields) of each line, as text."""

    def __init__(self, folder: Path, *, heap_kb: int = HEAP_KB) -> None:
        self.folder = Path(folder)
        self.heap_kb = heap_kb
        self.events: queue.Queue[Event] = queue.Queue()
        self._process: subprocess.Popen[bytes] | None = None
        self._readers: list[threading.Thread] = []

    @classmethod
    def create(cls, folder: Path, provision: Mapping[str, object], *, heap_kb: int = HEAP_KB) -> VirtualBoard:
        """Provision a new board: write its record (only its owner may read it) and make its empty flash."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        record = folder / "provision.json"
        with open(os.open(record, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(dict(provision), file)
        board = cls(folder, heap_kb=heap_kb)
        done = subprocess.run(
            board._command("prepare"),
            cwd=build(),
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BoardError(f"{folder}: {(done.stdout + done.stderr).strip()}")
        return board

    def _command(self, action: str) -> list[str]:
        # The wheel's interpreter is a library inside one process of Python: no child stands in between.
        # Its own `-m` would lose the exit code, and looks into the working folder first: that is the build's,
        # and no folder with sources, which would be compiled on the board's heap.
        start = "import sys, micropython_unix; sys.exit(micropython_unix.main())"
        interpreter = [sys.executable, "-I", "-c", start, "-X", f"heapsize={self.heap_kb}k"]
        return [*interpreter, "-m", "firmware.main", action, str(self.folder.resolve())]

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the interpreter; 0 when it does not run."""
        return self._process.pid if self._process is not None and self.alive else 0

    def start(self) -> None:
        """Switch the board on.  It says `ready` when it takes cards."""
        if self.alive:
            raise BoardError(f"{self.folder}: runs already")
        log = self.folder / "board.log"
        mode = "ab" if log.exists() and log.stat().st_size < _LOG_SIZE_MAX else "wb"
        with log.open(mode) as errors:
            process = subprocess.Popen(
                self._command("run"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=build(),
                env=_environment(),
                start_new_session=True,
            )
        self._process = process
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        self._readers.append(reader)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        output = process.stdout
        if output is None:
            return
        with output:
            for raw in output:
                name, fields = parse_line(raw.decode("ascii", "replace"))
                if name:
                    self.events.put((name, fields))
        process.wait()
        self.events.put((ENDED, {"code": str(process.returncode)}))

    def send(self, line: str) -> None:
        """One line to the board, in one write; BoardError when it is gone."""
        process = self._process
        if process is None or process.stdin is None:
            raise BoardError(f"{self.folder}: is not running")
        try:
            process.stdin.write(line.encode("ascii") + b"\n")
            process.stdin.flush()
        except (BrokenPipeError, ValueError) as error:
            raise BoardError(f"{self.folder}: is not running") from error

    def kill(self) -> None:
        """Cut the power: SIGKILL, and wait until the process is gone."""
        if self._process is not None:
            self._process.kill()
            self._end()

    def stop(self, timeout_s: float = 5) -> None:
        """End the input; the board stops by itself, or is killed after the timeout."""
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            _close(process.stdin)
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
        self._end()

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        # With a limit: a signal may have cut poll() short while it held the lock that wait() needs.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        if process.stdin is not None:
            _close(process.stdin)
        for reader in self._readers:
            reader.join(5)
        self._readers.clear()
        self._process = None


def parse_line(line: str) -> Event:
    """(name, fields) of a board's line; bare words of a fault are `code` and `thing`."""
    words = line.split()
    if not words:
        return "", {}
    fields: dict[str, str] = {}
    bare = iter(("code", "thing"))
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if equals:
            fields[name] = value
        else:
            fields[next(bare, "more")] = word
    return words[0], fields


def _close(stream: object) -> None:
    try:
        stream.close()  # type: ignore[attr-defined]
    except OSError:
        # What was still buffered has nobody to read it.
        pass


def _environment() -> dict[str, str]:
    """Only what the interpreter needs: no secret of the parent reaches a board by its environment."""
    return {"MICROPYPATH": ".frozen", "PATH": os.environ.get("PATH", "")}
