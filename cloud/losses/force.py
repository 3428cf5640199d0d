"""Where the block of a card is in force, by the devices' own word, and how much can still be lost elsewhere.

Promises: a device counts as closed when it has said itself, by its HELLO or a record of its journal, that it
works by an account table with the block; what was only sent to it counts for nothing.  Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cloud.formats import is_known_time
from protocols.ledger.record import TABLE

IN_FORCE, TELLING, SILENT, NEVER_SEEN, LOCKED, OUT_OF_SERVICE = (
    "in_force", "telling", "silent", "never_seen", "locked", "out_of_service",
)  # fmt: skip
_SURE = (IN_FORCE, LOCKED)


class Door(NamedTuple):
    """One gate or line and the card.

    `state`: IN_FORCE since `since` (None: the device's clock was not known then), TELLING (online, has not
    answered yet), SILENT since `since`, NEVER_SEEN, LOCKED (it says that it takes no card at all),
    OUT_OF_SERVICE (its key is no longer ours to use: counted nowhere); times are UTC seconds.
    `at_most_minor`: what its rights still allow to buy from the purse, 0 at a gate.
    """

    label: str
    kind: str
    state: str
    since: int | None
    at_most_minor: int = 0

    @property
    def is_closed(self) -> bool:
        """Whether the card is of no use there, as far as the device says so."""
        return self.state in _SURE


class Force(NamedTuple):
    """All devices of a school, those that are waited for first."""

    doors: list[Door]

    @property
    def counted(self) -> list[Door]:
        """Those in service."""
        return [door for door in self.doors if door.state != OUT_OF_SERVICE]

    @property
    def closed(self) -> int:
        """On how many the card is closed."""
        return sum(door.is_closed for door in self.counted)

    @property
    def is_everywhere(self) -> bool:
        """Whether no device in service is waited for; False while there is none."""
        return bool(self.counted) and self.closed == len(self.counted)

    @property
    def at_most_minor(self) -> int:
        """What all devices that are waited for could still sell together."""
        return sum(door.at_most_minor for door in self.counted if not door.is_closed)


def applied(rows: Iterable[Any]) -> dict[tuple[int, int], Any]:
    """(device_id, epoch) to its first record of a table with the block; rows of `store.records`."""
    found: dict[tuple[int, int], Any] = {}
    for row in rows:
        if row.type == TABLE:
            found.setdefault((row.device_id, row.epoch), row)
    return found


def force(
    fleet: Sequence[Any], version: int, tables: Mapping[tuple[int, int], Any], held: Mapping[str, int]
) -> Force:
    """Every device's word about the table `version` and later; `held`: label to rights of the purse."""
    doors = [_door(row, version, tables.get((row.device_id, row.epoch)), held) for row in fleet]
    doors.sort(key=lambda door: (door.is_closed, door.state == OUT_OF_SERVICE, door.label))
    return Force(doors)


def _door(row: Any, version: int, first: Any, held: Mapping[str, int]) -> Door:
    if row.status != "open":
        return Door(row.label, row.kind, OUT_OF_SERVICE, None)
    if row.table_version >= version:
        since = None if first is None else moment(first)
        return Door(row.label, row.kind, IN_FORCE, since)
    at_most = held.get(row.label, 0)
    if row.state.get("locked"):
        return Door(row.label, row.kind, LOCKED, None)
    if row.last_seen_at is None:
        return Door(row.label, row.kind, NEVER_SEEN, None, at_most)
    state = TELLING if row.online else SILENT
    return Door(row.label, row.kind, state, row.last_seen_at, at_most)


def moment(row: Any) -> int:
    """When a record was written; when the cloud learnt of it if the device's clock was not set."""
    at: int = row.time if is_known_time(row.time) else row.received_at
    return at
