"""One physical device: its flash, its files, its power, and the real firmware on top of them.

Promises: `journal` lists every record that truly became durable in this flash, in order, whatever the
firmware or the cloud believe; a light that says OK is compared with it at once (I8).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from firmware.app.canteen import Canteen
from firmware.app.controller import Controller
from firmware.app.supervisor import Supervisor
from firmware.app.sync import Sync
from firmware.app.turnstile import Turnstile
from firmware.hal.board import GATE, Board, Provision
from firmware.hal.panel import ASK, GO, SERVED
from protocols.ledger import record
from protocols.wire import envelope, messages
from scripts.sim.crash import CRASH, described
from scripts.sim.flash import Hang, SimFlash
from scripts.sim.heap import Heap, Ticket
from scripts.sim.parts import SimClock, SimLink, SimPanel, SimPortal, SimReader, SimWatchdog
from scripts.sim.power import Power, PowerCut
from scripts.sim.storage import SimStorage

if TYPE_CHECKING:
    from scripts.sim.network import Network

SECTORS = 24
# A board with nothing to do looks around so often; anything that happens to it wakes it before.
_QUIET_MS = 15_000
_TURNS_MAX = 4_000
_REBOOT_MS = 1_500

Complain = Callable[[str, str], None]


class Terminal:
    """`name` for people, `device` in the protocol: a clone and its source share it."""

    def __init__(
        self,
        name: str,
        provision: Provision,
        heap: Heap,
        network: Network,
        chance: Random,
        complain: Complain,
        sectors: int = SECTORS,
    ) -> None:
        self.name = name
        self.provision = provision
        self.heap = heap
        self.network = network
        self.chance = chance
        self.complain = complain
        self.power = Power()
        self.flash = SimFlash(sectors, self.power)
        self.flash.told = self._durable
        self.storage = SimStorage(self.power)
        self.journal: list[bytes] = []
        self.faults: dict[int, int] = {}
        self.boots = 0
        self._powered_from = -1
        self._powered_ms = 0
        self.serial = 0
        """Which piece of hardware this is: a clone has the same `device` and another serial."""
        self.follow: Callable[[Terminal, bytes], None] = lambda terminal, raw: None
        self.is_gone = False
        """Lost, broken or replaced: nobody will ever start it again."""
        self.is_suspect = ""
        """What was done to it, when its journal is not the only one of its epoch any more, or is damaged."""
        self.is_replaced = False
        self.acked = 0
        """Up to where its parent had acknowledged it when it was last seen: this must live for ever."""
        self.takes_cards = True
        self.label = name
        self.decided: Callable[[Terminal], None] = lambda terminal: None
        """A light is on, for whoever stands in the line."""
        self.next_person: Ticket | None = None
        self.sent_away = 0
        """People in a row that were refused."""
        self._table_version = 0
        self.flicker: list[tuple[int, int]] = []
        """Cuts that still come, each at the next boot: (operations, share)."""
        self._wake_at = -1
        self._turn_due: Ticket | None = None
        self._loop: Supervisor | None = None
        self.controller: Any = None
        self.clock = SimClock(heap)
        self.link = SimLink(self, network)
        self.reader = SimReader(self)
        self.portal = SimPortal(self)
        self.panel = SimPanel(self)

    @property
    def device(self) -> int:
        """Its number in the protocol."""
        return self.provision.device

    @property
    def is_gate(self) -> bool:
        """Whether it is a gate and no canteen line."""
        return self.provision.kind == GATE

    @property
    def runs(self) -> bool:
        """Whether the firmware runs now."""
        return self._loop is not None

    # Power

    def boot(self) -> None:
        """Power is on: start the firmware from flash, as after any cut."""
        if self.is_gone or self._loop is not None:
            return
        self.power.restore()
        if self.flicker:
            self.power.arm(*self.flicker.pop())
        self.boots += 1
        self._powered_from = self.heap.wall_ms
        self.clock = SimClock(self.heap)
        self.link = SimLink(self, self.network)
        self.reader = SimReader(self)
        self.portal = SimPortal(self)
        self.panel = SimPanel(self)
        board = Board(
            provision=self.provision, flash=self.flash, storage=self.storage, clock=self.clock,
            reader=self.reader, portal=self.portal if self.is_gate else None, panel=self.panel,
            link=self.link, watchdog=SimWatchdog(), random_bytes=self.chance.randbytes, wait=None,
        )  # fmt: skip
        self.flash.reads = 0
        try:
            self.controller = controller = Controller(board)
            controller.boot()
            task: Any = Turnstile(controller) if self.is_gate else Canteen(controller)
            task.resume()
            self._loop = Supervisor((task, Sync(controller), controller), board.watchdog, self.panel)
        except PowerCut:
            self._stopped()
            return
        except Hang:
            self.complain("I5", f"{self.name} never ends its boot")
            self._stopped()
            return
        except Exception as error:  # noqa: BLE001 - as above
            self.complain(CRASH, f"{self.name}: its boot ended with {described(error)}")
            self._stopped()
            return
        self.network.plug(self)
        self.wake(0)

    def stop(self) -> None:
        """Pull the plug between two operations."""
        if self._loop is not None:
            self.power.turn_off()
            self._stopped()

    def heal(self) -> None:
        """No trouble is planned any more, and a board without power starts."""
        self.power.disarm()
        self.flash.cut_erase_after = -1
        self.flicker = []
        self.storage.is_full = False
        self.boot()

    def powered_ms(self) -> int:
        """For how long it had power, nights included."""
        running = self.heap.wall_ms - self._powered_from if self._powered_from >= 0 else 0
        return self._powered_ms + running

    def _stopped(self) -> None:
        self._powered_ms = self.powered_ms()
        self._powered_from = -1
        self._loop = None
        self.link.go_down()
        self.network.unplug(self)
        if not self.is_gone:
            self.heap.after(_REBOOT_MS + self.chance.randrange(4000), self.boot)

    # Turns

    def wake(self, delay_ms: int) -> None:
        """Give the board a turn, unless one is due before that."""
        at = self.heap.run_ms + delay_ms
        if self._wake_at < 0 or at < self._wake_at:
            self._wake_at = at
            if self._turn_due is not None:
                self._turn_due.call_off()
            self._turn_due = self.heap.after(delay_ms, self._turn)

    def _turn(self) -> None:
        self._wake_at = -1
        loop = self._loop
        if loop is None:
            return
        try:
            self.flash.reads = 0
            wait = 0
            turns = 0
            while wait <= 0:
                wait = loop.step()
                turns += 1
                if turns > _TURNS_MAX:
                    self.complain("I5", f"{self.name} never comes to rest")
                    break
        except PowerCut:
            self._stopped()
            return
        except Hang:
            self.complain("I5", f"{self.name} never ends its turn")
            self._stopped()
            return
        except Exception as error:  # noqa: BLE001 - on a board whatever it is ends in the watchdog
            self.complain(CRASH, f"{self.name}: the firmware ended with {described(error)}")
            self._stopped()
            return
        self._watch_table()
        self.wake(_QUIET_MS if wait >= 1000 and self._is_quiet() else max(1, wait))

    def _watch_table(self) -> None:
        """An older table never comes back while a newer one is in force; without its journal a board knows
        neither, and takes no card."""
        if not self.controller.readable:
            return
        version = self.controller.accounts.version
        if 0 < version < self._table_version:
            self.complain("I5", f"{self.name} went back to table {version} from {self._table_version}")
        self._table_version = max(version, self._table_version)

    def _is_quiet(self) -> bool:
        """Whether nothing is due: a quiet board need not look around each second."""
        journal = self.controller.journal
        return (
            self.link.online and journal.acked >= journal.next_seq and not self.controller.counters.is_merging
        )

    # What it does to the world

    def _durable(self, raw: bytes) -> None:
        self.journal.append(raw)
        self.follow(self, raw)

    def is_shown(self, kind: str, refusal: int, seq: int) -> None:
        """A light is on: I8, an OK has its record in flash."""
        if kind in (GO, SERVED):
            wanted = record.PASS if kind == GO else record.SALE
            if not self._has_record(seq, wanted):
                self.complain("I8", f"{self.name} shows {kind} for record {seq}, which is not in flash")
            elif kind == SERVED and not self._is_rung_up(seq):
                self.complain("I8", f"{self.name} shows served for record {seq}, not all of what was rung up")
            self.sent_away = 0
        elif kind == ASK:
            self.sent_away += 1
        self.decided(self)

    def is_voided(self, of: int, refusal: int, seq: int) -> None:
        """The cashier is told that a sale was taken back: I8, the VOID stands in flash."""
        if not refusal and not self._has_record(seq, record.VOID):
            self.complain("I8", f"{self.name} says that sale {of} is void by record {seq}, not in flash")

    def is_released(self, direction: str) -> None:
        """The rotor is free: I8, its passage stands in flash."""
        for raw in reversed(self.journal[-4:]):
            item = record.unpack(raw)
            if item.type == record.PASS and item.flags & record.PASS_STAGE == record.PASS_OPENED:
                return
        if self.controller is not None and self._loop is not None:
            self.complain("I8", f"{self.name} released the rotor {direction} without a record")

    def is_identified(self, seq: int) -> None:
        """It blinks by a command: I8, the command stands in flash."""
        if not self._has_record(seq, record.NOTE):
            self.complain("I8", f"{self.name} blinks for record {seq}, which is not in flash")

    def _has_record(self, seq: int, kind: int) -> bool:
        for raw in reversed(self.journal[-4:]):
            item = record.unpack(raw)
            if item.seq == seq and item.type == kind:
                return True
        return False

    def _is_rung_up(self, seq: int) -> bool:
        """Whether flash holds, right ahead of this sale, exactly the goods that were rung up for it."""
        rung_up = self.panel.taken or ()
        goods = rung_up if sum(quantity for _good, quantity in rung_up) > 1 else ()
        tail = [record.unpack(raw) for raw in self.journal[-len(goods) - 2 :]]
        while tail and tail[-1].seq > seq:
            tail.pop()
        items = [(item.aux & 0xFFFF, item.aux >> 16) for item in tail[-len(goods) - 1 : -1]]
        is_single = bool(tail[-1].flags & record.SALE_SINGLE)
        return is_single is not bool(goods) and (is_single or tuple(items) == goods)

    def next_offset(self) -> int:
        """Where the next record will go, seen from outside: behind the last byte that is not erased."""
        newest, place = -1, 64
        for start in range(0, self.flash.size, 4096):
            ordinal = int.from_bytes(self.flash.bytes[start + 16 : start + 20], "little")
            if self.flash.bytes[start : start + 4] == b"KKJ1" and ordinal > newest:
                newest = ordinal
                used = len(bytes(self.flash.bytes[start : start + 4096]).rstrip(b"\xff"))
                place = start + (used + 31) // 32 * 32
        return min(place, self.flash.size - 32)

    # Commands, forgeries (I12)

    def is_void(self, payload: bytes) -> bool:
        """Whether this authentic COMMAND may change nothing, by what truly happened to this board.

        One of a newer incarnation tells of that, whatever it asks for.
        """
        if envelope.peek(payload, envelope.TO_DEVICE).incarnation > self.controller.state.incarnation:
            return False
        command = messages.unpack_command(payload[30 : -envelope.MAC_SIZE])
        items = (record.unpack(raw) for raw in self.journal if raw[0] == record.NOTE)
        taken = max((item.aux for item in items if item.flags == record.NOTE_COMMAND), default=0)
        passed_ms = self.heap.run_ms - self.link.hello_ms
        return (
            command.boot_nonce != self.controller.boot_nonce
            or not self.link.knows_time
            or passed_ms > command.expiry_ms
            or command.number <= taken
        )

    def state_before_forgery(self, payload: bytes) -> tuple[Any, ...]:
        """Everything of this board that a message could change."""
        controller = self.controller
        return (
            payload[2],
            self.flash.changes, controller.journal.next_seq, controller.journal.acked, controller.locked,
            self.storage.files.get("settings"), controller.accounts.version, controller.settings.current,
            controller.clock.utc() - self.heap.wall_s, controller.answered_number, controller.state.pack(),
        )  # fmt: skip

    def compare_after_forgery(self, before: tuple[Any, ...]) -> None:
        """I12: a message without a valid MAC, or a command that is void, changed nothing."""
        after = self.state_before_forgery(bytes((0, 0, before[0])))
        if after != before:
            self.complain("I12", f"{self.name} obeyed a forged or void message of type {before[0]}")
