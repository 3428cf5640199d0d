"""One till that runs: the serving behind a lock, its line, its menu, and the pages that wait for news.

Promises: what must outlive this process is on disk before the line is told; every window sees the same
state, and any number of them changes it one command at a time.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from reader_host.local import words
from reader_host.till import line, serving
from reader_host.till.line import Event, Line
from reader_host.till.menu import Good, Menu
from reader_host.till.serving import Serving

STATE_FILE = "till.json"
VOIDS_FILE = "voids.jsonl"
STATUS_S = 2.0
_WAITERS_MAX = 4


class Health(NamedTuple):
    """What stands in the bar.  Times are UTC seconds by this computer, None where nobody knows them.

    `unsent`: taps and voids that the cloud has not confirmed, one for each whoever paid, and the records that
    waited already when this till began.
    """

    online: bool | None = None
    online_since: int | None = None
    unsent: int = 0
    table: int = 0
    table_since: int | None = None
    reader: str = line.READS


class View(NamedTuple):
    """All that a page may know at one moment."""

    serving: Serving
    health: Health
    is_away: bool
    version: int


class Till:
    """The till of one line.  `controller` is set before `start`."""

    controller: Line

    def __init__(
        self,
        folder: Path,
        menu: Menu,
        *,
        now: Callable[[], int] = lambda: int(time.time()),
        ticks_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
    ) -> None:
        self.menu = menu
        self.now = now
        self._ticks_ms = ticks_ms
        self._folder = folder
        self._news = threading.Condition()
        self._stopped = threading.Event()
        self._waiters = 0
        self._health = Health()
        self._was_away = True
        self._health_version = 1
        self._unsent: list[int] = []
        self._began_at = 0
        self._kept: dict[str, Any] = {}
        self.serving = Serving(words.local_day)
        self._restore()
        self._asker = threading.Thread(target=self._ask, name="till", daemon=True)

    def start(self) -> None:
        """Ask the line how it is from now on."""
        self._asker.start()

    def stop(self) -> None:
        """No more."""
        self._stopped.set()
        with self._news:
            self._news.notify_all()
        self._asker.join(5)

    def take(self, event: Event) -> None:
        """An event of the line, from its thread."""
        with self._news:
            if isinstance(event, line.Status):
                self._follow(event)
            elif isinstance(event, line.Verdict | line.Voided):
                self._unsent += [event.seq] if event.seq else []
            elif isinstance(event, line.ReaderState):
                self._set_health(reader=event.state)
            self.serving.take(event, self._ticks_ms())
            self._carry_out()

    def do(self, act: Callable[[Serving], Any]) -> Any:
        """One command of a page."""
        with self._news:
            self.serving.tick(self._ticks_ms())
            result = act(self.serving)
            self._carry_out()
            return result

    def press(self, good: Good) -> None:
        """One more of a good, if it may be sold now."""
        with self._news:
            if self.is_offered(good):
                self.serving.press(good.number)
                self._carry_out()

    def is_offered(self, good: Good) -> bool:
        """Whether a finger may take one more of it: on sale now, checked, and some left."""
        left = self.left(good)
        is_now = good in self.menu.at(self.minute())
        return is_now and good.is_checked and (left is None or left > 0)

    def left(self, good: Good) -> int | None:
        """Portions that are left after the basket, None where nobody counts."""
        if good.stock is None:
            return None
        taken = self.serving.sold.get(good.number, 0) + self.serving.basket.get(good.number, 0)
        return max(0, good.stock - taken)

    def minute(self) -> int:
        """The minute of the day on this computer's clock."""
        hour, minute = words.clock(self.now()).split(":")
        return int(hour) * 60 + int(minute)

    def look(self, seen: int = 0, wait_s: float = 0) -> View:
        """What there is now; waits up to `wait_s` for a version other than the one that was seen."""
        until = self._ticks_ms() + int(wait_s * 1000)
        with self._news:
            self._waiters += 1
            # A browser that was closed leaves its question behind: the oldest make room.
            is_welcome = self._waiters <= _WAITERS_MAX
            try:
                while True:
                    now = self._ticks_ms()
                    self.serving.tick(now)
                    view = self._view(now)
                    left = until - now
                    if view.version != seen or left <= 0 or self._stopped.is_set() or not is_welcome:
                        return view
                    result = self.serving.result
                    if result is not None and result.until_ms:
                        left = min(left, max(1, result.until_ms - now))
                    self._news.wait(left / 1000)
            finally:
                self._waiters -= 1

    def _view(self, now: int) -> View:
        is_away = self.serving.is_away(now)
        if is_away != self._was_away:
            self._was_away = is_away
            self._health_version += 1
        version = self.serving.version + self._health_version
        return View(self.serving, self._health, is_away, version)

    def _follow(self, status: line.Status) -> None:
        now = self.now()
        if status.online != self._health.online:
            since = None if self._health.online is None else now
            self._set_health(online=status.online, online_since=since)
        if status.table != self._health.table:
            is_known = bool(self._health.table)
            self._set_health(table=status.table, table_since=now if is_known else None)
        self._began_at = self._began_at or status.next
        self._unsent = [seq for seq in self._unsent if seq >= max(status.acked, self._began_at)]
        self._set_health(unsent=len(self._unsent) + max(0, self._began_at - status.acked))

    def _set_health(self, **values: Any) -> None:
        changed = self._health._replace(**values)
        if changed != self._health:
            self._health = changed
            self._health_version += 1

    def _carry_out(self) -> None:
        """Write down what is under way, then tell the line; pages hear of it."""
        orders = self.serving.orders
        if orders:
            self._keep()
        while orders:
            order = orders.pop(0)
            if isinstance(order, serving.RingUp):
                self.controller.ring_up(order.lines)
            elif isinstance(order, serving.TakeBack):
                self._note(order)
                self.controller.take_back(order.seq)
            else:
                self.controller.ask_last()
        self._news.notify_all()
        self._keep()

    def _ask(self) -> None:
        while not self._stopped.wait(STATUS_S):
            self.controller.ask_status()
            with self._news:
                self._news.notify_all()

    # The folder.

    def _keep(self) -> None:
        value = self.serving.kept() | {"day": str(words.local_day(self.now()))}
        if value == self._kept:
            return
        self._kept = value
        path = self._folder / STATE_FILE
        fresh = path.with_suffix(".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    def _restore(self) -> None:
        path = self._folder / STATE_FILE
        if not path.exists():
            return
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            if value["day"] != str(words.local_day(self.now())):
                # Portions are counted anew; what was under way and what is known of the journal stay.
                value["sold"] = []
            self.serving.restore(value)
        except (ValueError, KeyError, TypeError):
            # The journal of the controller has it all; only what the last sale was is forgotten.
            path.replace(path.with_suffix(".broken"))

    def _note(self, order: serving.TakeBack) -> None:
        """Who asks why a sale was taken back finds it here."""
        told = json.dumps({"time": self.now(), "sale": order.seq, "reason": order.reason})
        with open(
            os.open(self._folder / VOIDS_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a"
        ) as file:
            file.write(told + "\n")
