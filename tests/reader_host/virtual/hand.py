"""A hand at a real board: it knows what it saw, and asks a restarted board what it missed."""

import queue
import time

import pytest

from protocols.card.credential import card_ref
from protocols.ledger import record
from protocols.wire import messages, table

PRICE = 8500
# 2025-09-01 05:00 UTC, 08:00 in a school three hours ahead.
MORNING = 1756702800
REFERENCE_KEY = bytes([0x22]) * 32
CARDS = [f"a:04{number * 7919:012X}" for number in range(1, 41)]
MENU = (messages.MenuItem(7, 0, 1439, PRICE, 0),)
SETTINGS = messages.Settings(1, 180, 3000, 5000, 5000, 0, 100000, 0, 0xFFFF, 0, MENU)


def account(card):
    """The account of a card."""
    return 0xA0000000 + CARDS.index(card)


def rows(rights=0):
    """The account table of all cards."""
    return [table.Row(card_ref(REFERENCE_KEY, card)[:8], account(card), rights, 0, 0, 0) for card in CARDS]


def is_accepted(last):
    """Whether the last operation is an accepted tap, not the end of the passage before it."""
    is_opened = int(last["flags"]) & record.PASS_STAGE == record.PASS_OPENED
    return int(last["type"]) == record.SALE or (int(last["type"]) == record.PASS and is_opened)


class Hand:
    """A hand that taps: it knows what it saw, and asks a restarted board what it missed."""

    def __init__(self, board):
        self.board = board
        self.utc = MORNING
        self.faults = []
        self.last_seq = 0

    def start(self):
        """Switch on and wait until the board takes cards."""
        self.board.start()
        self.event("ready")
        self.clock()

    def clock(self):
        self.board.send(f"clock {self.utc} {self.utc * 1000}")

    def event(self, *names):
        """The fields of the next event of one of these names."""
        while True:
            try:
                name, fields = self.board.events.get(timeout=30)
            except queue.Empty:
                pytest.fail(f"no {names} from the board")
            if name == "fault":
                self.faults.append(fields)
            if name in names:
                return fields

    def ask(self, question):
        self.board.send(question)
        return self.event(question)

    def settle(self):
        """Wait until the table and the settings are there."""
        for _ in range(1500):
            status = self.ask("status")
            if status["table"] != "0" and status["settings"] != "0":
                return
            time.sleep(0.02)
        pytest.fail(f"table or settings did not come: {status}")

    def restart(self):
        """The power goes and comes."""
        self.board.kill()
        while not self.board.events.empty():
            self.board.events.get()
        self.start()

    def tap(self, card, side="in", cut_after_s=None):
        """One accepted tap, over a power cut if one is wanted: the seq of its record."""
        self.utc += 10
        self.clock()
        self.board.send(f"card {side} {card}")
        if cut_after_s is not None:
            time.sleep(cut_after_s)
            self.restart()
            last = self.ask("last")
            if int(last["time"]) == self.utc and is_accepted(last):
                self.last_seq = int(last["seq"])
                return self.last_seq
            self.board.send(f"card {side} {card}")
        verdict = self.event("verdict")
        assert verdict["kind"] in ("go", "served"), verdict
        self.last_seq = int(verdict["seq"])
        return self.last_seq

    def turn(self, side="in", cut_after_s=None):
        """The rotor turns once, over a power cut if one is wanted."""
        self.board.send(f"rotor {side}")
        if cut_after_s is not None:
            time.sleep(cut_after_s)
            self.restart()
            if self.ask("last")["open"] == "0":
                self.last_seq = int(self.ask("last")["seq"])
                return
            self.board.send(f"rotor {side}")
        self.last_seq = int(self.event("passage")["seq"])


def provision(kind, port):
    return {
        "school": 0x5C4001,
        "device": 0xDE51CE,
        "epoch": 1,
        "kind": kind,
        "key": bytes(range(32)).hex(),
        "reference_key": REFERENCE_KEY.hex(),
        "broker_host": "127.0.0.1",
        "broker_port": port,
        "username": "user",
        "password": "word",
        "world_clock": True,
    }


def all_arrived(hand, peer):
    """Wait until the parent has every record of the board."""
    count = int(hand.ask("status")["next"]) - 1
    peer.wait(lambda: len(peer.records) == count, "all records", 30)
