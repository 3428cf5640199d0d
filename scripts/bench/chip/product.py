"""The product's own tap: the controller of firmware/app on the host port's flash, cards scripted.

Promises that nothing between the card and the light is left out: normal form of the id, keyed reference,
account table, repeated taps, counters, journal with read-back, panel.  Only the network is away (its task has
its turn between taps and never inside one), so a line decides at once with the rights the table has placed.
"""

import gc
import time

from firmware.app.canteen import Canteen
from firmware.app.controller import Controller
from firmware.app.turnstile import Turnstile
from firmware.hal import panel as show
from firmware.hal.board import GATE, Board, Provision
from firmware.hal.portal import IN, Turn
from firmware.hal.reader import Tap
from firmware.ports.host import random_bytes
from firmware.ports.host_flash import FileFlash
from firmware.ports.host_world import WorldClock

# Any key will do; the card set was made with the same one (scripts/bench/tap.py).
_KEY = bytes(range(32))
_BOOT_UTC = 1756600000


class Hand:
    """Reader and rotor in one: what is put in comes out once."""

    dropped = 0
    faults = 0

    def __init__(self) -> None:
        self._taps = []
        self._turns = []

    def put_tap(self, tap: Tap) -> None:
        """A card is shown."""
        self._taps.append(tap)

    def put_turn(self, turn: Turn) -> None:
        """The rotor turns."""
        self._turns.append(turn)

    def next_tap(self):
        """The tap that was put in, or None."""
        return self._taps.pop() if self._taps else None

    def next_turn(self):
        """The turn that was put in, or None."""
        return self._turns.pop() if self._turns else None

    def release(self, direction: str) -> None:
        """Let one person through."""

    def lock(self) -> None:
        """Take it back."""


class Light:
    """The panel: remembers the last verdict, and the first fault, which spoils the bench."""

    def __init__(self) -> None:
        self.kind = ""
        self.faults = []

    def ready(self, device: int, next_seq: int) -> None:
        """The board takes cards."""

    def verdict(self, kind: str, refusal: int, seq: int, time: int) -> None:
        """The light on a tap."""
        self.kind = kind

    def passage(self, seq: int, stage: str, of: int) -> None:
        """The end of a passage."""

    def fault(self, code: int, thing: str) -> None:
        """What is broken."""
        self.faults.append("%d %s" % (code, thing))

    def next_question(self):
        """Nobody asks."""

    def next_basket(self):
        """Nobody rings up."""

    def next_void(self):
        """Nobody takes a sale back."""


class NoLink:
    """A link that is away."""

    online = False


class Product:
    """A gate or a canteen line that is offline.  `flash`: the journal's chip, with its counts."""

    def __init__(self, kind: str, folder: str, storage) -> None:
        self.flash = FileFlash(folder + "/journal.bin")
        self._buffer = bytearray(32)
        self._clock = WorldClock(time)
        self._hand = Hand()
        self._light = Light()
        provision = Provision(school=1, device=2, epoch=1, kind=kind, key=_KEY, reference_key=_KEY)
        board = Board(
            provision=provision,
            flash=self.flash,
            storage=storage,
            clock=self._clock,
            reader=self._hand,
            portal=self._hand,
            panel=self._light,
            link=NoLink(),
            watchdog=None,
            random_bytes=random_bytes,
            wait=None,
        )
        self._controller = Controller(board)
        self._clock.follow(_BOOT_UTC, 0)
        self._controller.boot()
        self._is_gate = kind == GATE
        self._task = Turnstile(self._controller) if self._is_gate else Canteen(self._controller)

    def tap(self, credential: str, utc: int) -> bool:
        """From the card to the light."""
        ticks = (utc & 0xFFFFF) * 1000
        self._clock.follow(utc, ticks)
        self._hand.put_tap(Tap(IN if self._is_gate else "-", credential, utc, ticks))
        self._task.step()
        return self._light.kind in (show.GO, show.SERVED)

    def settle(self) -> None:
        """The quiet moment after it: the rotor turns, a checkpoint goes on to its end."""
        while not self.turn():
            pass

    def turn(self) -> int:
        """What a busy board does between two taps: the rotor turns, a checkpoint goes on by one step."""
        if self._is_gate:
            self._hand.put_turn(Turn(IN, self._clock.utc(), self._clock.ticks()))
            self._task.step()
        return self._controller.step()

    def floor(self, credential: str, offset: int) -> None:
        """What no tap can do without, and nothing else: two HMACs, a look-up, a program and its read-back.

        `offset`: an erased place of the journal's flash that the ring has not come to.
        """
        controller = self._controller
        reference = controller._reference.mac(credential.encode())
        controller.accounts.find(reference[:8])
        mac = controller.journal._chain.mac(controller.journal.head_mac, reference[:24])
        self.flash.program(offset, mac)
        self.flash.read_into(offset, self._buffer)

    def checkpoint(self) -> None:
        """Write all counters down, as every so many sales do."""
        self._controller._begin_checkpoint()
        self._controller.counters.finish()

    def facts(self) -> dict:
        """Bytes of heap that hold the account table, its version, the records written, faults shown."""
        controller = self._controller
        version = controller.accounts.version
        gc.collect()
        before = gc.mem_alloc()
        controller.accounts.close()
        gc.collect()
        return {
            "table_heap": before - gc.mem_alloc(),
            "table_version": version,
            "records": controller.journal.next_seq - 1,
            "faults": self._light.faults,
        }
