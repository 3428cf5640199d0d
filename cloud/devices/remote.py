"""What a person asks a device to do from far away: open for one passage, show itself, take the right day.

Promises: who, when and why stand before anything is sent; a command is sent again
until the device's record says that it was obeyed, and is given up when its time
is over; a number is never used twice in an epoch.  Leaves the messages to ingest.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.devices import store
from cloud.devices.epochs import EpochRefused
from protocols.ledger.parent import GATE
from protocols.ledger.record import COMMAND_ARGUMENT
from protocols.wire.messages import COMMAND_IDENTIFY, COMMAND_OPEN, DIRECTION_IN, DIRECTION_OUT

CONFIRM_DAY, OPEN, IDENTIFY = "confirm_day", "open", "identify"
WIRE_KINDS = {OPEN: COMMAND_OPEN, IDENTIFY: COMMAND_IDENTIFY}
DIRECTIONS = {"in": DIRECTION_IN, "out": DIRECTION_OUT}
LIFE_S = 30
"""A command to a rotor holds so long from the moment it was asked for."""
_AGAIN_S = {CONFIRM_DAY: 60, OPEN: 3, IDENTIFY: 3}
_NUMBER_MAX = 0xFFFFFFFF
_KINDS = {number: kind for kind, number in WIRE_KINDS.items()}


class Asked(NamedTuple):
    """Who asks for it, and why; both are kept."""

    who: str
    reason: str


class Obeyed(NamedTuple):
    """The record of a device that has taken a command: `amount` and `number` are its amount and aux."""

    device_id: int
    epoch: int
    seq: int
    amount: int
    number: int


def confirm_day(conn: Connection, school_id: int, label: str, asked: Asked, now: int) -> int:
    """A person says that the cloud's day is right for a device: its next TIME may step, and back too.

    EpochRefused when there is no such device, or no reason.  It waits until the device's record comes.
    """
    return _ask(conn, school_id, label, asked, (CONFIRM_DAY, 0, None), now)


def command(
    conn: Connection, school_id: int, label: str, kind: str, asked: Asked, now: int, direction: str = "in"
) -> int:
    """Ask for `open` or `identify`, for LIFE_S seconds from now; the number of the command.

    EpochRefused when there is no such device or reason, or a line should open.
    """
    argument = DIRECTIONS[direction] if kind == OPEN else 0
    return _ask(conn, school_id, label, asked, (kind, argument, now + LIFE_S), now)


def _ask(
    conn: Connection, school_id: int, label: str, asked: Asked, what: tuple[str, int, int | None], now: int
) -> int:
    device = store.device_by_label(conn, school_id, label)
    if device is None:
        raise EpochRefused(f"no device {label}")
    who, reason = asked.who.strip(), asked.reason.strip()
    if not who or not reason:
        raise EpochRefused("a reason is needed, and who asks")
    if what[0] == OPEN and device.kind != GATE:
        raise EpochRefused(f"{label} has no rotor to open")
    number = store.last_command_number(conn, school_id, device.device_id, device.epoch) + 1
    if number > _NUMBER_MAX:
        raise EpochRefused(f"{label} needs a new epoch: its command numbers are used up")
    kind, argument, expires_at = what
    row = (
        school_id, device.device_id, device.epoch, number, kind, argument, who, reason, now, expires_at, now,
    )  # fmt: skip
    store.add_command(conn, row)
    return number


def due(conn: Connection, now: int, limit: int) -> Sequence[Any]:
    """Commands to send now, and those to give up: rows of device_command."""
    return store.commands_due(conn, now, limit)


def were_sent(conn: Connection, rows: Iterable[Any], now: int) -> None:
    """They are sent again after a while, unless the record of the device comes."""
    store.set_commands_sent(conn, [(now + _AGAIN_S[row.kind], row.id) for row in rows])


def give_up(conn: Connection, rows: Iterable[Any], now: int) -> None:
    """Their time is over, or their epoch is; a record that comes later is still taken."""
    store.set_commands_expired(conn, [row.id for row in rows], now)


def obeyed(conn: Connection, school_id: int, found: Iterable[Obeyed], now: int) -> None:
    """Records of commands came; one that nobody here remembers, as after a restore, is kept too."""
    for one in found:
        if store.set_command_obeyed(conn, school_id, one, now):
            continue
        kind = _KINDS.get(one.amount % COMMAND_ARGUMENT)
        if kind is not None and not store.is_command_known(conn, school_id, one):
            argument = one.amount // COMMAND_ARGUMENT
            row = (school_id, one.device_id, one.epoch, one.number, kind, argument, "", "", now, None, now)
            store.add_command(conn, row)
            store.set_command_obeyed(conn, school_id, one, now)


def day_confirmed(conn: Connection, school_id: int, found: Iterable[Obeyed], now: int) -> None:
    """Records of a clock that a person has confirmed came."""
    for one in found:
        store.set_day_confirmed(conn, school_id, one, now)


def commands_of(conn: Connection, school_id: int, device_id: int, limit: int = 20) -> Sequence[Any]:
    """number, kind, argument, who, reason, asked_at, outcome, settled_at, seq, epoch; the latest first."""
    return store.commands_of(conn, school_id, device_id, limit)
