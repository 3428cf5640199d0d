"""Says which tap may be played next: boards side by side, each board in order, each pupil in order.

It promises that no tap is given out twice or left out, that the taps of one board come in their order, and
that a tap waits until every earlier tap of the same pupil is done, on whatever board it was. The earliest
tap of all can always be played, so nobody waits for ever. It may be used from many threads.
"""

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable

from scripts.play.day import Tap


class Schedule:
    """The taps that are still to be played."""

    def __init__(self, taps: Iterable[Tap], *, owner: Callable[[Tap], Hashable] = lambda tap: tap.credential):
        """`taps` in the order of time; `owner` says who holds the card of a tap."""
        self._owner = owner
        self._by_device: dict[str, deque[Tap]] = {}
        self._by_owner: dict[Hashable, deque[Tap]] = {}
        self._given: set[int] = set()
        self._changed = threading.Condition()
        self._stopped = False
        for tap in taps:
            self._by_device.setdefault(tap.device, deque()).append(tap)
            self._by_owner.setdefault(owner(tap), deque()).append(tap)

    @property
    def left(self) -> int:
        """How many taps are not done."""
        with self._changed:
            return sum(len(queue) for queue in self._by_device.values())

    def left_on(self, device: str) -> int:
        """How many taps of one board are not done."""
        with self._changed:
            return len(self._by_device.get(device, ()))

    def next(self, device: str, *, timeout_s: float | None = None) -> Tap | None:
        """The next tap of a board, once it may be played; None when there is none left or time is up."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._answer_ready(device), timeout_s)
            queue = self._by_device.get(device)
            if self._stopped or not queue or not self._answer_ready(device):
                return None
            self._given.add(queue[0].line)
            return queue[0]

    def done(self, tap: Tap) -> None:
        """The tap was played to its end; the next one of the same board and of the same pupil may come."""
        with self._changed:
            if tap.line not in self._given:
                raise ValueError(f"line {tap.line} was not given out")
            self._given.discard(tap.line)
            self._by_device[tap.device].popleft()
            self._by_owner[self._owner(tap)].popleft()
            self._changed.notify_all()

    def stop(self) -> None:
        """Give out nothing more; those who wait get None."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _answer_ready(self, device: str) -> bool:
        """Whether the next call for this board need not wait."""
        queue = self._by_device.get(device)
        if not queue:
            return True
        tap = queue[0]
        return tap.line not in self._given and self._by_owner[self._owner(tap)][0] is tap
