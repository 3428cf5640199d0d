"""The stand behind the panel: a thread for each board holds the cards, others watch what the cloud learns.

It promises that a page never waits for a board, that taps of one board come one after the other, and that a
trail ends by itself when nothing more can come or after `PATIENCE_S`. The light and the record are what the
board said on its lines; books and message are what the cloud tells a demo (cloud_side.py).
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial

from scripts.play.day import Tap
from scripts.play.hand import Hand, Stopped, Verdict
from scripts.play.panel.cloud_side import CloudSide
from scripts.play.panel.trail import Choice, Trail, Trails

PATIENCE_S = 30.0
LOOK_EVERY_S = 0.04
NOBODY_AFTER_MS = 10_000  # a message that is not there by then: nobody is to be told
PASSAGE_TIMEOUT_S = 6  # the school's setting is 5 s; the clock is moved by a little more


class Stand:
    """Boards, ready to have cards held to them. `hands` by the label of their device."""

    def __init__(self, hands: Mapping[str, Hand], cloud: CloudSide, stopped: threading.Event):
        self._hands = hands
        self._cloud = cloud
        self._stopped = stopped
        self.trails = Trails()
        self._work: dict[str, queue.Queue[Trail]] = {label: queue.Queue() for label in hands}
        self._watched: queue.Queue[tuple[Trail, int, int]] = queue.Queue()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to hold cards."""
        for label in self._hands:
            self._run(f"hand of {label}", partial(self._hold_cards, label))

    def tap(self, choice: Choice, who: str) -> Trail:
        """Hold a card as chosen; returns at once with the trail to follow."""
        trail = self.trails.open(choice, who)
        self._work[choice.device].put(trail)
        return trail

    def join(self, timeout_s: float) -> None:
        """Wait for the threads after `stopped` was set."""
        for thread in self._threads:
            thread.join(timeout_s)

    def _run(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _hold_cards(self, label: str) -> None:
        while not self._stopped.is_set():
            try:
                trail = self._work[label].get(timeout=0.2)
            except queue.Empty:
                continue
            try:
                self._hold(self._hands[label], trail)
            except Stopped:
                return

    def _hold(self, hand: Hand, trail: Trail) -> None:
        """One tap: light and record by the board's lines, then somebody follows it into the cloud."""
        choice, number = trail.choice, trail.number
        self.trails.restart(number)
        if choice.undoes:
            self._take_back(hand, trail)
            return
        tap = Tap(
            number,
            choice.at,
            choice.device,
            choice.reader,
            choice.credential,
            passes=False,
            goods=choice.goods,
        )
        verdict = hand.show(tap)
        self.trails.reach(number, "light", "done", verdict=verdict.kind, refusal=verdict.refusal)
        if verdict.kind == "repeat":
            self._leave_empty(number, "repeat")
            return
        self.trails.reach(number, "record", "done", seq=verdict.seq, at=choice.at)
        self._run(f"trail {number}", lambda: self._follow(trail, verdict))
        if verdict.kind == "go":
            self._end_passage(hand, trail, tap, verdict)

    def _take_back(self, hand: Hand, trail: Trail) -> None:
        """The staff asks the board to take a sale back; no card is held and no light goes on."""
        choice, number = trail.choice, trail.number
        answer = hand.void(choice.undoes, choice.at)
        self.trails.reach(number, "light", "done", verdict=answer.kind, refusal=answer.refusal)
        if answer.refusal:
            self._leave_empty(number, "kept")
            return
        self.trails.reach(number, "record", "done", seq=answer.seq, at=choice.at)
        self._run(f"trail {number}", lambda: self._follow(trail, answer))

    def _leave_empty(self, number: int, reason: str) -> None:
        for name in ("record", "books", "message"):
            self.trails.reach(number, name, "none", timed=False, reason=reason)
        self.trails.close(number)

    def _end_passage(self, hand: Hand, trail: Trail, tap: Tap, verdict: Verdict) -> None:
        """Turn the rotor, or let the board's clock run until it gives up waiting."""
        if trail.choice.walks:
            passage = hand.walk(tap, verdict)
        else:
            passage = hand.wait_out(tap, verdict, PASSAGE_TIMEOUT_S)
        stage = "turned" if trail.choice.walks else "not_turned"
        self.trails.reach(trail.number, "record", "done", stage=stage, passage_seq=passage)

    def _follow(self, trail: Trail, verdict: Verdict) -> None:
        """Watch the cloud until it has told all about this tap."""
        until = time.monotonic() + PATIENCE_S
        number = trail.number
        while not self._stopped.wait(LOOK_EVERY_S) and time.monotonic() < until:
            now = self.trails.get(number)
            if now is None:
                return
            seq = verdict.seq
            if verdict.kind == "go":
                passage = now.stations["record"].facts.get("passage_seq")
                if not isinstance(passage, int):
                    continue
                seq = passage or verdict.seq
            if self._see(number, trail.choice.device, seq):
                break
        self.trails.close(number)

    def _see(self, number: int, device: str, seq: int) -> bool:
        """One look at the cloud; True when nothing more is to come."""
        seen = self._cloud.trace(device, seq)
        if seen is None:
            return False
        self.trails.reach(number, "books", "done", entries=seen.entries)
        if not seen.is_told:
            self.trails.reach(number, "message", "none", timed=False, reason="no_event")
            return True
        if seen.is_sent:
            self.trails.reach(number, "message", "done", messages=seen.messages)
            return True
        books = self.trails.get(number)
        known_ms = books.stations["books"].ms if books else None
        if known_ms is not None and self.trails.elapsed_ms(number) - known_ms > NOBODY_AFTER_MS:
            self.trails.reach(number, "message", "none", timed=False, reason="no_adult")
            return True
        return False
