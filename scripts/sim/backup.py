"""Backups of the simulated cloud, and the ways in which a restore goes wrong.

Promises: a backup is what `sqlite3` would copy; the archive and the registry of enrolments stay where they
are, unless the whole machine goes back to a snapshot.  What the office did since is done again by the office:
the bank's file is read from its start, the menus are published again.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cloud import db
from cloud.archive import Payout
from scripts.sim.cloud import driver, open_database

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation

_KEPT = 4
# A clerk compares the payouts with the bank when there is time.
_CLERK_MS = 20_000


class Backup(NamedTuple):
    """The database of one evening, the archive's files as they were then, and what the office had done."""

    image: bytes
    archive: dict[str, bytes]
    bank_read: int
    menus_read: int


class Backups:
    """The last evenings of a school.  `restores`: how many there were."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._kept: list[Backup] = []
        self.restores = 0
        self._forgotten: dict[str, tuple[int, int]] = {}
        """Orders that the bank carried out and neither books nor archive know any more."""
        self.archive_was_lost = False
        """The machine went back with its archive: returns that it knew are forgotten, and stay reserved."""

    def take(self) -> None:
        """Copy the database."""
        cloud = self._sim.cloud
        with db.reading(cloud.engine) as conn:
            image = driver(conn).serialize()
        files = {path.name: path.read_bytes() for path in cloud.archive.folder.glob("*.kka")}
        backup = Backup(image, files, cloud.bank_read, cloud.menus_read)
        self._kept = [*self._kept[-_KEPT + 1 :], backup]

    def restore(self, place: int, *, announced: bool, head_lost: bool, whole_machine: bool) -> bool:
        """Put one of the kept backups in place of the database; False when there is none."""
        if not self._kept:
            return False
        cloud, backup = self._sim.cloud, self._kept[place % len(self._kept)]
        cloud.stop()
        cloud.engine.dispose()
        cloud.engine = open_database(backup.image)
        folder: Path = cloud.archive.folder
        if whole_machine:
            self.archive_was_lost = True
            shutil.rmtree(folder)
            folder.mkdir()
            for name, data in backup.archive.items():
                (folder / name).write_bytes(data)
        if head_lost:
            cloud.retained = None
        if head_lost or whole_machine:
            for path in folder.glob("*.head"):
                path.unlink()
        # Later backups are of a life that never was.
        self._kept = self._kept[: place % len(self._kept) + 1]
        self.restores += 1
        cloud.bank_is_late = True
        cloud.bank_read, cloud.menus_read = backup.bank_read, backup.menus_read
        self._sim.suspects.expose_unreleased()
        if whole_machine:
            self._sim.suspects.expose_forgotten()
            cloud.payouts_wait = True
            before = self.forgotten_back
            self._forget_payouts()
            for account, minor in (self.forgotten_back - before).items():
                self._sim.town.exposure[account] += minor
        cloud.start(announced=announced)
        self._sim.heap.after(4_000, self.office_again)
        self._sim.heap.after(_CLERK_MS, self.compare_payouts)
        return True

    def _forget_payouts(self) -> None:
        """Compare the bank's transfers with the books and the archive that are left."""
        cloud = self._sim.cloud
        known = {row[0] for row in cloud.select("SELECT external_key FROM entry WHERE kind = 'payout'")}
        for item in cloud.archive.read():
            if isinstance(item, Payout) and item.part_minor:
                known.add(f"payout:{item.external_key}:{item.parts}")
        self._forgotten = {
            order: transfer for order, transfer in self._sim.town.transfers().items() if order not in known
        }

    @property
    def forgotten_back(self) -> Counter[int]:
        """What was paid back and the bank alone names, minor units by account.

        A request that is open again may order the same part again: the bank knows it, and it is booked.
        """
        booked = {
            row[0] for row in self._sim.cloud.select("SELECT external_key FROM entry WHERE kind = 'payout'")
        }
        found: Counter[int] = Counter()
        for order, (account, minor) in self._forgotten.items():
            if order not in booked:
                found[account] += minor
        return found

    def office_again(self) -> None:
        """What people did after the backup is done again."""
        cloud = self._sim.cloud
        if cloud.down:
            self._sim.heap.after(3_000, self.office_again)
            return
        cloud.publish_old_prices()
        cloud.import_bank()

    def compare_payouts(self) -> None:
        """A clerk looks at the payouts that are held, and lets them go on."""
        if not self._sim.cloud.end_forgotten_payouts():
            self._sim.heap.after(3_000, self.compare_payouts)
