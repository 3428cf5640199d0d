"""A board in a few lines that can die at every step, for tests of the hand.

It promises the lines of the real virtual board and a journal that survives its deaths; a death may fall
before a record, after it, after the verdict's line, before the rotor's record and after it. It starts again
when somebody has looked at it dead a few times. It knows every card as active except those named unknown; a
line sells always.
"""

import queue

from protocols.errors import CARD_UNKNOWN, VOID_TWICE, VOID_UNKNOWN
from protocols.ledger.record import NOTE, PASS, SALE, VOID

OPENED, TURNED, NOT_TURNED = 2, 4, 6
REPEAT_S = 3
LOOKS_UNTIL_START = 2


class Dead(Exception):
    """The power is out."""


class BoardModel:
    """One board; `deaths` are numbers of steps at which its power goes out."""

    def __init__(self, kind="gate", deaths=(), unknown=()):
        self.events: queue.Queue[tuple[str, dict[str, str]]] = queue.Queue()
        self.kind = kind
        self.deaths = set(deaths)
        self.unknown = set(unknown)
        self.journal = []  # (type, flags, time, credential, of)
        self.cards_shown = 0
        self.paid = []  # what each record of the journal was for, "" the good of the hour
        self.basket = ""
        self.step = 0
        self.life = 0
        self._looks = 0
        self._alive = False
        self._now = 0
        self._start()

    def alive(self):
        """Whether the board runs; enough looks at a dead one start it, as a supervisor would."""
        if not self._alive:
            self._looks += 1
            if self._looks >= LOOKS_UNTIL_START:
                self._start()
                return False
        return self._alive

    def send(self, line, life):
        """Take one line of the hand."""
        if not self._alive or life != self.life:
            return
        name, *words = line.split()
        try:
            getattr(self, "_line_" + name)(*words)
        except Dead:
            self._alive = False

    def _start(self):
        self._alive, self._looks = True, 0
        self.basket = ""
        self.life += 1
        self._say("started", life=self.life)
        self._say("ready", device="0000000a", next=len(self.journal) + 1)

    def _may_die(self):
        self.step += 1
        if self.step in self.deaths:
            raise Dead

    def _say(self, name, **fields):
        self.events.put((name, {key: str(value) for key, value in fields.items()}))

    def _append(self, kind, flags, credential="", of=0, basket=""):
        self._may_die()
        self.journal.append((kind, flags, self._now, credential, of))
        self.paid.append(basket)
        self._may_die()
        return len(self.journal)

    def _waiting(self):
        """The sequence number of a passage that still waits, or 0."""
        for seq, (kind, flags, *_) in reversed(list(enumerate(self.journal, 1))):
            if kind == PASS:
                return seq if flags & 6 == OPENED else 0
        return 0

    def _end_passage(self, stage):
        waiting = self._waiting()
        if not waiting:
            return
        direction = self.journal[waiting - 1][1] & 1
        seq = self._append(PASS, stage | direction, of=waiting)
        self._say("passage", seq=seq, stage="turned" if stage == TURNED else "not_turned", of=waiting)
        self._may_die()

    def _line_clock(self, utc, ticks):
        self._now = int(utc)
        waiting = self._waiting()
        if waiting and self._now - self.journal[waiting - 1][2] >= 5:
            self._end_passage(NOT_TURNED)

    def _line_basket(self, *goods):
        self.basket = " ".join(goods)

    def _line_card(self, reader, credential):
        self.cards_shown += 1
        for _, _, at, other, _ in reversed([row for row in self.journal if row[0] in (PASS, SALE)]):
            if other == credential and 0 <= self._now - at <= REPEAT_S:
                self._say("verdict", kind="repeat", refusal=20, seq=0, time=self._now)
                return
        basket, self.basket = self.basket, ""
        if credential in self.unknown:
            seq = self._append(NOTE, 1, credential)
            self._say("verdict", kind="ask", refusal=CARD_UNKNOWN, seq=seq, time=self._now)
        elif self.kind == "gate":
            self._end_passage(NOT_TURNED)
            seq = self._append(PASS, OPENED | (reader == "out"), credential)
            self._say("verdict", kind="go", refusal=0, seq=seq, time=self._now)
        else:
            seq = self._append(SALE, 1, credential, basket=basket)
            self._say("verdict", kind="served", refusal=0, seq=seq, time=self._now)
        self._may_die()

    def _line_void(self, of):
        of = int(of)
        if not 0 < of <= len(self.journal) or self.journal[of - 1][0] != SALE:
            self._say("voided", of=of, refusal=VOID_UNKNOWN, seq=0)
        elif any(row[0] == VOID and row[4] == of for row in self.journal):
            self._say("voided", of=of, refusal=VOID_TWICE, seq=0)
        else:
            seq = self._append(VOID, 1, of=of)
            self._say("voided", of=of, refusal=0, seq=seq)
        self._may_die()

    def _line_rotor(self, direction):
        self._end_passage(TURNED)

    def _line_status(self):
        self._say(
            "status", next=len(self.journal) + 1, acked=len(self.journal) + 1, online=1, table=1, settings=1
        )

    def _line_last(self):
        kinds = (PASS, SALE, VOID, NOTE)
        operations = [(seq, row) for seq, row in enumerate(self.journal, 1) if row[0] in kinds]
        seq, row = operations[-1] if operations else (0, (0, 0, 0, "", 0))
        refusal = CARD_UNKNOWN if row[0] == NOTE else 0
        is_open = int(bool(self._waiting()) and seq == self._waiting())
        self._say("last", seq=seq, type=row[0], flags=row[1], time=row[2], refusal=refusal, open=is_open)
