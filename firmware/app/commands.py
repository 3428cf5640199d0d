"""COMMAND: what a person far away wants of this board now, and when it is not obeyed.

Promises: nothing is obeyed before the parent has told this boot the time; a
command counts in one boot, for a few minutes, and once: its number is journaled
before anything follows from it, so that a cut leaves it done or lost, never done
twice.  Leaves the rotor to turnstile.py.
"""

from firmware.hal.board import GATE
from firmware.hal.portal import IN, OUT
from protocols.errors import (
    NOT_CAPABLE,
    WIRE_BEFORE_TIME,
    WIRE_EXPIRED,
    WIRE_NONCE,
    WIRE_OLD_COMMAND,
    Fault,
)
from protocols.ledger import record
from protocols.wire import messages

# A command that would hold for longer is none: its parent's clock was wrong.
LIFE_MAX_MS = 600000
# What a wrap of the chip's milliseconds is at most: a board that slept so long obeys nothing older.
_WRAP_MS = 1 << 30


class Commands:
    """Checks and journals commands; `timekeeper` knows whether TIME came in this boot."""

    def __init__(self, controller, timekeeper) -> None:
        self._controller = controller
        self._timekeeper = timekeeper
        self._clock = controller.clock
        # Milliseconds since this boot's first HELLO, None before it.
        self._passed_ms = None
        self._at = 0

    def said_hello(self) -> None:
        """HELLO went out: the first of a boot is where its commands count from."""
        if self._passed_ms is None:
            self._passed_ms = 0
            self._at = self._clock.uptime()

    def pass_time(self) -> None:
        """Count the milliseconds; asked for at each turn, since the chip's own wrap."""
        if self._passed_ms is None:
            return
        now = self._clock.uptime()
        passed = self._clock.uptime_elapsed(now, self._at)
        self._passed_ms += passed if passed >= 0 else _WRAP_MS
        self._at = now

    def take(self, body: bytes) -> None:
        """Obey the body of a COMMAND; a Fault of the wire says why not."""
        command = messages.unpack_command(body)
        controller = self._controller
        controller.check_unlocked()
        self._check_boot(command)
        self._check_life(command)
        if command.number <= controller.state.command:
            raise Fault(WIRE_OLD_COMMAND, "command %d" % command.number)
        is_open = command.kind == messages.COMMAND_OPEN
        if is_open and controller.provision.kind != GATE:
            raise Fault(NOT_CAPABLE, "command %d" % command.number)
        amount = command.kind + command.argument * record.COMMAND_ARGUMENT
        seq = controller.write(record.NOTE, record.NOTE_COMMAND, amount=amount, aux=command.number)
        # Durable: from here on it can only be lost, never be done again.
        if is_open:
            controller.opening = OUT if command.argument == messages.DIRECTION_OUT else IN
        else:
            controller.panel.identify(seq)

    def _check_boot(self, command) -> None:
        """Fault unless it is meant for this boot, and this boot knows the time."""
        if command.boot_nonce != self._controller.boot_nonce:
            raise Fault(WIRE_NONCE, "command %d" % command.number)
        if not self._timekeeper.is_told:
            raise Fault(WIRE_BEFORE_TIME, "command %d" % command.number)

    def _check_life(self, command) -> None:
        self.pass_time()
        left = -1 if self._passed_ms is None else command.expiry_ms - self._passed_ms
        if not 0 <= left <= LIFE_MAX_MS:
            raise Fault(WIRE_EXPIRED, "command %d" % command.number, "%d ms" % left)
