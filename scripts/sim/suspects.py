"""Devices whose journal is not the only one of its epoch any more, or has lost a part: clones, rot.

Promises: the world keeps what truly happened on every branch; at a healing point a suspect is taken out of
service and another device takes its place; true sales that no branch could bring into the cloud are listed
one by one as destroyed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from protocols.errors import NOT_IN_MENU
from protocols.ledger import record
from scripts.sim.terminal import Terminal

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation

CLONED, ROLLED_BACK, BLANKED, ROTTEN, LOST, ROTATED = (
    "cloned", "rolled back", "tail blanked", "rotten", "lost", "rotated",
)  # fmt: skip


class Image(NamedTuple):
    """A device at one moment: its flash, its files, and how many records it had written."""

    flash: bytes
    files: dict[str, bytes]
    records: int


def image_of(terminal: Terminal) -> Image:
    """The device as it is now."""
    return Image(terminal.flash.image(), dict(terminal.storage.files), len(terminal.journal))


class Suspects:
    """Every branch of every epoch that ever forked or was damaged in a run."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._known: list[Terminal] = []
        self._released: list[Terminal] = []
        self.destroyed: list[tuple[str, bytes]] = []
        self.suspended: list[tuple[str, bytes]] = []

    def branch(self, terminal: Terminal, image: Image, why: str) -> Terminal:
        """Another piece of hardware goes on from an image of this device, under the same key."""
        sim = self._sim
        name = f"{terminal.name}-{why.split()[0]}"
        other = sim.add_hardware(name, terminal.label, terminal.provision)
        other.flash.load(image.flash)
        other.storage.files = dict(image.files)
        other.journal = terminal.journal[: image.records]
        sim.town.adopt(other.serial, other.journal)
        sim.town.expose(sim.town.cap)
        self.suspect(terminal, why)
        self.suspect(other, why)
        if why != CLONED:
            self.retire(terminal)
        other.boot()
        sim.people.attend(other)
        return other

    def suspect(self, terminal: Terminal, why: str) -> None:
        """From now on this device need not converge."""
        terminal.is_suspect = why
        if terminal.controller is not None and terminal.controller.readable:
            terminal.acked = terminal.controller.journal.acked
        if terminal not in self._known:
            self._known.append(terminal)

    def retire(self, terminal: Terminal, *, is_released: bool = False) -> None:
        """Nobody will ever start it again; `is_released`: what it may owe was set aside, and is exposed by
        who knows how much that was."""
        self.suspect(terminal, terminal.is_suspect or LOST)
        if self._sim.cloud.in_recovery and not is_released:
            # Nobody knows what it was granted after the backup: CAP is what bounds it.
            self._sim.town.expose(self._sim.town.cap)
        if is_released:
            self._released.append(terminal)
        terminal.is_gone = True
        terminal.stop()

    def expose_unreleased(self) -> None:
        """A restore forgets what a release has set aside for a till that nobody could read; once for each."""
        sim = self._sim
        for terminal in tuple(self._released):
            place = terminal.device, terminal.provision.epoch
            known = "SELECT status FROM device_epoch WHERE device_id = ? AND epoch = ?"
            if [row[0] for row in sim.cloud.select(known, place)] == ["closed"]:
                continue
            self._released.remove(terminal)
            statement = (
                "SELECT account_id, max(granted, journaled) - returned - spent + voided FROM spending_right"
                " WHERE device_id = ? AND epoch = ? AND bucket = ?"
            )
            out = {row[0]: row[1] for row in sim.cloud.select(statement, (*place, record.MONEY))}
            sold, left = self.forgotten(terminal), sim.town.rights_of(terminal.serial)
            for pupil in sim.town.pupils:
                gone = sold[pupil.account] + left.get((pupil.account, record.MONEY), 0)
                sim.town.exposure[pupil.account] += max(0, gone - out.get(pupil.account, 0))

    def collect(self) -> None:
        """The engineer's round: suspects go, the same devices come back with new keys."""
        sim = self._sim
        if sim.hostile is not None and not sim.hostile.is_found:
            sim.hostile.is_found = True
            sim.cloud.lose(sim.hostile.label)
        for terminal in sim.honest_terminals():
            if self._begins_too_late(terminal):
                self.suspect(terminal, LOST)
        for terminal in [terminal for terminal in self._known if not terminal.is_gone]:
            self._check_locked(terminal)
            self.retire(terminal)
        replaced = False
        for terminal in self._known:
            if not terminal.is_replaced:
                self.replace(terminal)
                replaced = True
        if replaced:
            sim.cloud.publish_tables()

    def replace(self, terminal: Terminal, *, journal_read: bool = False) -> Terminal:
        """A new board with a new key for the device of this one, whose every branch is out of service."""
        sim = self._sim
        for other in sim.terminals:
            if (
                other.provision.device == terminal.device
                and other.provision.epoch == terminal.provision.epoch
            ):
                other.is_replaced = True
        self.suspect(terminal, terminal.is_suspect or ROTATED)
        if journal_read:
            self._expose_suspended(terminal)
        provision = sim.cloud.new_epoch(terminal.label, journal_read=journal_read)
        if sim.cloud.epochs_waiting(terminal.label) and terminal.serial % 2:
            self.release(terminal.label)
        fresh = sim.add_hardware(f"{terminal.label}-epoch-{provision.epoch}", terminal.label, provision)
        fresh.boot()
        sim.people.attend(fresh)
        return fresh

    def are_told(self, _sim: Simulation) -> bool:
        """Whether each of them that is online has had the time to learn what the cloud holds."""
        there = [terminal for terminal in self._known if not terminal.is_gone]
        return not any(self._is_behind(terminal) or self._is_over(terminal) for terminal in there)

    def _begins_too_late(self, terminal: Terminal) -> bool:
        """Whether what a machine without its archive has lost is overwritten: the office has an alarm."""
        if not self._sim.backups.archive_was_lost or not terminal.runs or not terminal.controller.readable:
            return False
        return terminal.controller.journal.oldest_seq > self._next_seq(terminal)

    def _next_seq(self, terminal: Terminal) -> int:
        """How far the cloud has this journal."""
        statement = "SELECT next_seq FROM device_epoch WHERE device_id = ? AND epoch = ?"
        key = terminal.provision.device, terminal.provision.epoch
        next_seq: int = self._sim.cloud.select(statement, key)[0][0]
        return next_seq

    def _is_over(self, terminal: Terminal) -> bool:
        """Whether this device works in an epoch that is not its newest, and has not locked itself."""
        return terminal.is_replaced and terminal.runs and not terminal.controller.locked

    def _is_behind(self, terminal: Terminal) -> bool:
        """Whether the cloud holds more than this device, which has not locked itself."""
        if not terminal.runs or terminal.is_suspect not in (BLANKED, ROLLED_BACK):
            return False
        return (
            self._next_seq(terminal) > terminal.controller.journal.next_seq and not terminal.controller.locked
        )

    def _check_locked(self, terminal: Terminal) -> None:
        """I5: a device that was told that its epoch is over, or that the cloud holds more than itself, has
        locked itself."""
        if self._is_over(terminal):
            self._sim.complain("I5", f"{terminal.name} goes on, though its epoch is over")
        if self._is_behind(terminal):
            head = terminal.controller.journal.next_seq - 1
            self._sim.complain("I5", f"{terminal.name} goes on behind record {head}, the cloud has more")

    # What no purse has paid

    def count_destroyed(self) -> None:
        """List every true sale that no purse has paid: destroyed, or known to the cloud and in suspense."""
        self.destroyed, self.suspended = [], []
        seen: set[tuple[int, bytes]] = set()
        # After a restore also a sound till's sales may wait in suspense: nobody knows of their grants.
        for terminal in self._sim.terminals if self._sim.backups.restores else self._known:
            paid, known = self._paid(terminal), self._kept(terminal)
            for raw in terminal.journal:
                key = terminal.device, raw
                if raw in paid or key in seen or raw[0] not in (record.SALE, record.VOID):
                    continue
                seen.add(key)
                (self.suspended if raw in known else self.destroyed).append((terminal.name, raw))

    def acknowledged_and_gone(self) -> Iterator[tuple[str, bytes]]:
        """Destroyed records that the cloud had acknowledged to a device whose journal was the only one."""
        acked = {
            terminal.name: terminal.acked
            for terminal in self._known
            if terminal.is_suspect in (LOST, ROTATED)
        }
        for name, raw in self.destroyed:
            if record.unpack(raw).seq < acked.get(name, 0):
                yield name, raw

    def expose_forgotten(self) -> None:
        """The archive went back in time: what devices that are gone sold after that is their exposure.

        So is that of a lost one whose board still stands somewhere: recovery waits for open epochs alone, and
        what it sold is not reserved until it hands its journal over once more.
        """
        for terminal in self._known:
            if not (terminal.is_gone or terminal.is_replaced):
                continue
            for account, minor in self.forgotten(terminal).items():
                self._sim.town.exposure[account] += minor

    def forgotten(self, terminal: Terminal) -> Counter[int]:
        """Account to what a board has sold by records that the cloud does not have, minor units.

        Without meals from a benefit: they take nothing from a purse.
        """
        kept = self._kept(terminal)
        sold: Counter[int] = Counter()
        for raw in terminal.journal:
            if raw[0] == record.SALE and raw not in kept:
                item = record.unpack(raw)
                if item.flags & record.SALE_SOURCE != record.FROM_BENEFIT:
                    sold[item.account] += item.amount
        return sold

    def release(self, label: str) -> None:
        """The office sets aside what it can; what a purse cannot give, though it is out, is exposure.

        So is, up to CAP, what the board holds by voids that are still on their way or lost with it.
        """
        cloud, exposure = self._sim.cloud, self._sim.town.exposure
        out = (
            "SELECT r.account_id, sum(max(r.granted, r.journaled) - r.returned - r.spent + r.voided)"
            " FROM spending_right r JOIN device_epoch e ON e.device_id = r.device_id AND e.epoch = r.epoch"
            " JOIN device d ON d.device_id = r.device_id WHERE d.label = ? AND r.bucket = 0"
            " AND e.status IN ('lost', 'quarantined') GROUP BY r.account_id"
        )
        released = (
            "SELECT r.account_id, sum(r.released) FROM right_release r JOIN device d"
            " ON d.device_id = r.device_id WHERE d.label = ? AND r.bucket = 0 GROUP BY r.account_id"
        )
        held: Counter[int] = Counter()
        for terminal in self._known:
            if terminal.label == label and (terminal.is_gone or terminal.is_replaced):
                held.update(self.forgotten(terminal))
                held.update({key[0]: minor for key, minor in self._sim.town.rights_of(terminal.serial).items()
                             if key[1] == record.MONEY})  # fmt: skip
        reserved, before = dict(cloud.select(out, (label,))), dict(cloud.select(released, (label,)))
        cloud.release(label)
        after = dict(cloud.select(released, (label,)))
        for account, minor in reserved.items():
            needed = max(minor, min(held[account], self._sim.town.cap))
            exposure[account] += max(0, needed - after.get(account, 0) + before.get(account, 0))

    def _expose_suspended(self, terminal: Terminal) -> None:
        """Sales under grants that a restore forgot wait in suspense and are reserved for as long as their
        epoch is open: when it is closed, they are exposure."""
        paid = self._paid(terminal)
        for raw in terminal.journal:
            if raw[0] == record.SALE and raw not in paid:
                item = record.unpack(raw)
                self._sim.town.exposure[item.account] += item.amount

    def _paid(self, terminal: Terminal) -> set[bytes]:
        """Records of this epoch whose money came from, or went back to, their purse, credit or benefit."""
        statement = (
            "SELECT r.raw FROM record r JOIN entry e ON e.device_id = r.device_id AND e.epoch = r.epoch"
            " AND e.seq = r.seq JOIN posting p ON p.entry_id = e.entry_id JOIN ledger_account a"
            " ON a.ledger_account_id = p.ledger_account_id AND (a.code = printf('purse:%08x', r.account_id)"
            " OR a.code = printf('credit:%08x', r.account_id)"
            " OR a.code LIKE printf('benefit:%08x:', r.account_id) || '%')"
            " WHERE r.device_id = ? AND r.epoch = ?"
        )
        return self._raws(terminal, statement)

    def _kept(self, terminal: Terminal) -> set[bytes]:
        """Records of this epoch that the cloud has, in the journal or in a losing branch."""
        kept = self._raws(terminal, "SELECT raw FROM record WHERE device_id = ? AND epoch = ?")
        return kept | self._raws(terminal, "SELECT raw FROM fork_record WHERE device_id = ? AND epoch = ?")

    def _raws(self, terminal: Terminal, statement: str) -> set[bytes]:
        key = terminal.provision.device, terminal.provision.epoch
        return {bytes(row[0]) for row in self._sim.cloud.select(statement, key)}

    def unpaid_minor(self) -> dict[int, int]:
        """Account to what its true sales add up to that its purse has not paid."""
        total: defaultdict[int, int] = defaultdict(int)
        for _name, raw in self.destroyed + self.suspended:
            item = record.unpack(raw)
            if item.flags & record.SALE_SOURCE != record.FROM_BENEFIT:
                total[item.account] += item.amount if item.type == record.SALE else -item.amount
        return total

    def unpriced_minor(self) -> int:
        """True sales at a price that was forgotten with the archive until the office said it again: the purse
        has paid, the caterer waits for a person; less those that were taken back."""
        statement = (
            "SELECT s.device_id, s.raw FROM record s WHERE s.type = ? AND s.refusal = ? AND NOT EXISTS"
            " (SELECT 1 FROM record v WHERE v.device_id = s.device_id AND v.epoch = s.epoch AND v.type = ?"
            " AND v.aux = s.seq AND v.refusal = 0)"
        )
        rows = self._sim.cloud.select(statement, (record.SALE, NOT_IN_MENU, record.VOID))
        true = {(terminal.device, raw) for terminal in self._sim.terminals for raw in terminal.journal}
        return sum(record.unpack(raw).amount for device, raw in rows if (device, bytes(raw)) in true)
