"""The loop of the board: every task gets its turn, then the watchdog gets its meal.

Promises: the watchdog is fed here and nowhere else, after each task has come
back from its turn; a task that hangs starves it.  A task never waits in its
turn: it returns the milliseconds until it wants the next one.  A Fault of a
task is shown once and the board goes on; anything else ends the program, and
the watchdog starts the board anew.  Garbage is collected here, between rounds.
"""

from firmware.app.heap import Heap
from protocols.errors import Fault

_LONGEST_MS = 1000
# After a fault the same task would fail again at once: let the others live.
_AFTER_FAULT_MS = 200


class Supervisor:
    """`tasks`: objects with step() -> milliseconds, in the order of their turns."""

    def __init__(self, tasks, watchdog, panel) -> None:
        self._tasks = tasks
        self._shown = [(0, "")] * len(tasks)
        self._watchdog = watchdog
        self._panel = panel
        self._heap = Heap()

    def step(self) -> int:
        """One turn for each task; the milliseconds that the board may sleep now."""
        wait = _LONGEST_MS
        for index, task in enumerate(self._tasks):
            try:
                wait = min(wait, task.step())
                self._shown[index] = (0, "")
            except Fault as fault:
                wait = min(wait, _AFTER_FAULT_MS)
                self._show(index, fault)
        self._heap.rest()
        self._watchdog.feed()
        return wait

    def _show(self, index: int, fault: Fault) -> None:
        shown = (fault.code, fault.thing)
        if self._shown[index] != shown:
            self._shown[index] = shown
            self._panel.fault(fault.code, fault.thing)
