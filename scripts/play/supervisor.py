"""Starts the processes of a play, starts the dead ones again, and stops them all.

It promises one pid file per living process in the run folder, a line for the terminal when a process has
died, a growing pause for one that dies again and again, and that `stop` returns with no process left. All
of them are started by the thread that calls `start` and `tick`: a leash (leash.py) is tied to that thread,
so it has to be the main one. What the processes are is the caller's business; anything that satisfies
`Child` can be supervised.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

PAUSE_FIRST_S = 0.1
PAUSE_MOST_S = 5.0
STEADY_S = 10.0  # a process that lived this long starts with the first pause again
GRACE_S = 5.0


class Child(Protocol):
    """One process that can be started many times; `name` is also the name of its pid file."""

    name: str

    @property
    def pid(self) -> int | None:
        """The number of the living process, or None."""

    def start(self) -> None:
        """Start the process; only called while it is not alive."""

    def alive(self) -> bool:
        """Whether the process runs now; collects it when it has ended."""

    def ask_to_stop(self) -> None:
        """Ask for an orderly end, without waiting."""

    def kill(self) -> None:
        """End it at once and collect it."""


class ProcessChild:
    """A command of its own, on a leash, in a session of its own (Ctrl-C reaches only the supervisor)."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path, environment: dict[str, str]):
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self.environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the living process, or None."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the command; what it prints is appended to its log file."""
        leash = [sys.executable, "-m", "scripts.play.leash", str(os.getpid())]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                leash + self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )

    def alive(self) -> bool:
        """Whether the command runs now."""
        return self._process is not None and self._process.poll() is None

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        if self._process is None:
            return
        self._process.kill()
        # A signal that ends a play may cut poll() short while it holds its lock; wait() would then never
        # return, so the child is collected past it.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._process.pid, 0)
        self._process = None


@dataclass
class _Care:
    """What the supervisor remembers of one child."""

    child: Child
    started_at: float
    pause_s: float = PAUSE_FIRST_S
    due_at: float | None = None


class Supervisor:
    """Keeps the children of one play alive until it is told to stop."""

    def __init__(
        self, run_folder: Path, *, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ):
        self._run = run_folder
        self._say = say
        self._clock = clock
        self._cares: dict[str, _Care] = {}
        self.restarts: dict[str, int] = {}
        run_folder.mkdir(parents=True, exist_ok=True)

    def start(self, child: Child) -> None:
        """Start a child and keep it alive from now on."""
        self._cares[child.name] = _Care(child, self._clock())
        self._launch(child)

    def tick(self) -> None:
        """Look after every child once: start again those whose pause is over."""
        now = self._clock()
        for care in self._cares.values():
            if care.child.alive():
                continue
            if care.due_at is None:
                self._mourn(care, now)
            elif now >= care.due_at:
                care.due_at, care.started_at = None, now
                self.restarts[care.child.name] = self.restarts.get(care.child.name, 0) + 1
                self._launch(care.child)

    def all_alive(self) -> bool:
        """Whether every child runs now."""
        return all(care.child.alive() for care in self._cares.values())

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Stop every child, the last started first; kills those that do not stop within the grace."""
        children = [care.child for care in reversed(self._cares.values())]
        self._cares.clear()
        for child in children:
            child.ask_to_stop()
        until = self._clock() + grace_s
        while any(child.alive() for child in children) and self._clock() < until:
            time.sleep(0.02)
        for child in children:
            if child.alive():
                child.kill()
            self._pid_file(child).unlink(missing_ok=True)

    def _mourn(self, care: _Care, now: float) -> None:
        if now - care.started_at >= STEADY_S:
            care.pause_s = PAUSE_FIRST_S
        care.due_at = now + care.pause_s
        self._say(f"{care.child.name} has ended unexpectedly and is started again")
        care.pause_s = min(care.pause_s * 2, PAUSE_MOST_S)
        self._pid_file(care.child).unlink(missing_ok=True)

    def _launch(self, child: Child) -> None:
        child.start()
        path = self._pid_file(child)
        beside = path.with_suffix(".new")
        beside.write_text(f"{child.pid}\n", encoding="ascii")
        beside.replace(path)  # whoever reads it finds a number, never half of one

    def _pid_file(self, child: Child) -> Path:
        return self._run / f"{child.name}.pid"
