"""The hand that holds cards to the readers of one board, also when the board goes out in between.

It promises that each tap ends with exactly one verdict of the board, however often the board was killed
meanwhile: after a restart it asks the board for its last operation and either holds the card again, or
takes that operation as the answer, or goes on with the turnstile's rotor. It decides nothing itself. It
talks lines only (reader_host/virtual has their list).
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from protocols.errors import VOID_TWICE
from protocols.ledger.record import NOTE, PASS, PASS_OPENED, PASS_STAGE, SALE, VOID
from scripts.play.day import Tap

PATIENCE_S = 0.25  # how long one look at the board's lines waits before the hand looks round
ASK_AGAIN_S = 5.0  # a question to a board is asked again when it was not answered

Fields = dict[str, str]


class Board(Protocol):
    """What the hand needs of a board. Each start begins a life, told by the event `started life=<n>`."""

    @property
    def events(self) -> "queue.Queue[tuple[str, Fields]]":
        """What it says, life after life."""

    def alive(self) -> bool:
        """Whether its process runs."""

    def send(self, line: str, life: int) -> None:
        """Send one line to the life of that number; lost without a fault when that life is over."""


class BoardGone(Exception):
    """The board ended while the hand waited for it."""


class Stopped(Exception):
    """The play was stopped while the hand waited."""


@dataclass(frozen=True)
class Verdict:
    """The board's answer to a tap. `seq` is 0 when nothing was journaled."""

    kind: str
    refusal: int
    seq: int


@dataclass
class Tally:
    """What one hand has seen; only `repeated` is a result, the rest is for the person who looks on."""

    played: int = 0
    repeated: int = 0
    returns: int = 0
    faults: list[str] = field(default_factory=list)


class Hand:
    """Plays the taps of one board, one after the other."""

    def __init__(
        self,
        name: str,
        board: Board,
        *,
        ticks_ms: Callable[[int], int],
        may_tap: Callable[[], bool] = lambda: True,
        needs_line: bool = True,
        stopped: threading.Event | None = None,
    ):
        """`ticks_ms`: a UTC second as the board's ticks; `may_tap`: whether the cloud's side runs.

        `needs_line`: cards are held only while the board has its line to the cloud, as the rule of the play
        says.
        """
        self.name = name
        self.board = board
        self.tally = Tally()
        self.status: Fields = {}
        self._ticks_ms = ticks_ms
        self._needs_line = needs_line
        self._may_tap = may_tap
        self._stopped = stopped or threading.Event()
        self._seq_known = 0
        self._life = 0
        self._is_ready = False

    def play(self, tap: Tap) -> Verdict:
        """Hold the card of one tap to the reader and see it through, rotor included."""
        verdict = self.show(tap)
        if verdict.kind == "go" and tap.passes:
            self.walk(tap, verdict)
        self.tally.played += 1
        if verdict.kind == "repeat":
            self.tally.repeated += 1
        return verdict

    def show(self, tap: Tap) -> Verdict:
        """Hold the card to the reader until the board has said one verdict on it."""
        verdict = self._verdict(tap)
        self._know(verdict.seq)
        if tap.goods and verdict.kind == "repeat":
            # Nobody else shall pay for it.
            self._send("basket")
        return verdict

    def walk(self, tap: Tap, verdict: Verdict) -> int:
        """Turn the rotor of an open gate; returns the sequence number of the passage's record."""

        def turn() -> None:
            self.clock(tap.at)
            self._send(f"rotor {tap.reader}")

        return self._end_passage(verdict, turn)

    def wait_out(self, tap: Tap, verdict: Verdict, seconds: int) -> int:
        """Let the board's clock run on instead; returns the number of the record that nobody passed."""
        return self._end_passage(verdict, lambda: self.clock(tap.at + seconds))

    def void(self, seq: int, at: int) -> Verdict:
        """Take a sale back as the line's staff does: "voided" with the VOID's seq, or "kept" and why."""
        was_asked = False
        while True:
            try:
                self._until_online()
                self.clock(at)
                self._send(f"void {seq}")
                is_again, was_asked = was_asked, True
                fields = self._await("voided")
            except BoardGone:
                continue
            refusal, number = int(fields["refusal"]), int(fields["seq"])
            if refusal == VOID_TWICE and is_again:
                # The board ended between its record and its answer.
                last = self._ask("last")
                if int(last["type"]) == VOID and int(last["seq"]) > self._seq_known:
                    refusal, number = 0, int(last["seq"])
            self._know(number)
            return Verdict("kept" if refusal else "voided", refusal, number)

    def clock(self, at: int) -> None:
        """Tell the board the time, in UTC seconds; a passage that waited too long ends by that."""
        self._send(f"clock {at} {self._ticks_ms(at)}")

    def finish(self, at: int) -> None:
        """The day is over: let the board's clock run until no passage waits any more."""
        while True:
            try:
                self._until_ready()
                self.clock(at)
                if self._ask("last")["open"] == "0":
                    return
                self._pause()
            except BoardGone:
                continue

    def ask_status(self, timeout_s: float) -> Fields | None:
        """The board's own word on its records and its line; None when it did not answer in time."""
        until = time.monotonic() + timeout_s
        try:
            if not self._is_ready:
                self._await("ready", until)
            self._send("status")
            self.status = self._await("status", until)
        except (BoardGone, TimeoutError):
            return None
        return self.status

    def _verdict(self, tap: Tap) -> Verdict:
        """The answer to the tap: the board's line, or after a restart what its journal says."""
        was_shown = False
        while True:
            try:
                self._until_online()
                if was_shown:
                    answer = self._answered_before(tap)
                    if answer is not None:
                        return answer
                self.clock(tap.at)
                if tap.goods:
                    self._send("basket " + " ".join(f"{good}:{quantity}" for good, quantity in tap.goods))
                self._send(f"card {tap.reader} {tap.credential}")
                was_shown = True
                fields = self._await("verdict")
                return Verdict(fields["kind"], int(fields["refusal"]), int(fields["seq"]))
            except BoardGone:
                continue

    def _answered_before(self, tap: Tap) -> Verdict | None:
        """The verdict that the board journaled before it ended; None when the card must be held again."""
        last = self._ask("last")
        seq, kind = int(last["seq"]), int(last["type"])
        if seq <= self._seq_known or int(last["time"]) != tap.at:
            return None
        if kind == PASS and int(last["flags"]) & PASS_STAGE == PASS_OPENED:
            return Verdict("go", 0, seq)
        if kind == SALE:
            return Verdict("served", 0, seq)
        if kind == NOTE:
            return Verdict("ask", int(last["refusal"]), seq)
        return None

    def _end_passage(self, verdict: Verdict, act: Callable[[], None]) -> int:
        """Act until the board has journaled the end of the passage, also when it restarts in between."""
        was_done = False
        while True:
            try:
                self._until_ready()
                if was_done:
                    last = self._ask("last")
                    if last["open"] != "1" or int(last["seq"]) != verdict.seq:
                        return int(last["seq"])
                was_done = True
                act()
                while True:
                    passage = self._await("passage")
                    if int(passage["of"]) == verdict.seq:
                        return int(passage["seq"])
            except BoardGone:
                was_done = True

    def _until_online(self) -> None:
        """Wait until the board runs, and where it is needed until its line to the cloud works."""
        while True:
            self._until_ready()
            if not self._needs_line:
                return
            if self._may_tap():
                status = self._ask("status")
                if status["online"] == "1" and int(status["table"]) and int(status["settings"]):
                    return
            self._pause()

    def _until_ready(self) -> None:
        """Wait for the first line of the board's present life."""
        while not self._is_ready:
            try:
                self._await("ready")
            except BoardGone:
                self._pause()

    def _ask(self, question: str) -> Fields:
        """Ask the board and wait for the answer; a question and its answer begin with the same word."""
        while True:
            self._send(question)
            try:
                return self._await(question, time.monotonic() + ASK_AGAIN_S)
            except TimeoutError:
                continue

    def _await(self, wanted: str, until: float | None = None) -> Fields:
        """The next line of that name; keeps what the lines before it tell.

        Raises BoardGone when the board ended or started again first, TimeoutError, and Stopped when the
        play ends.
        """
        while True:
            if self._stopped.is_set():
                raise Stopped(self.name)
            # Looked at before the queue, so that the last lines of a dead board are still read.
            was_alive = self.board.alive()
            try:
                name, fields = self.board.events.get(was_alive, PATIENCE_S)
            except queue.Empty:
                if not was_alive:
                    self._is_ready = False
                    raise BoardGone(self.name) from None
                if until is not None and time.monotonic() >= until:
                    raise TimeoutError(f"{self.name} did not say {wanted}") from None
                continue
            self._learn(name, fields)
            if name == wanted:
                return fields
            if name in ("started", "ready"):
                raise BoardGone(self.name)

    def _learn(self, name: str, fields: Fields) -> None:
        """Keep what a line tells beside the answer that was asked for."""
        if name == "started":
            self._life, self._is_ready = int(fields["life"]), False
        elif name == "ready":
            self._is_ready = True
            self.tally.returns += 1
        elif name == "passage":
            self._know(int(fields["seq"]))
        elif name == "fault":
            self.tally.faults.append(" ".join(fields.values()))

    def _send(self, line: str) -> None:
        """A line for the life that the hand knows of, so that a board just started does not get it twice."""
        self.board.send(line, self._life)

    def _know(self, seq: int) -> None:
        self._seq_known = max(self._seq_known, seq)

    def _pause(self) -> None:
        if self._stopped.wait(0.02):
            raise Stopped(self.name)
