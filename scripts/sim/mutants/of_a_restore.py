"""Bugs that only a restore, or a second life of a device, shows."""

from __future__ import annotations

from typing import Any

from cloud.archive import Archive
from cloud.devices import epochs, registry
from cloud.devices import service as devices
from cloud.ingest import inbox, recovery
from cloud.ingest.fleet import Device
from cloud.payouts import service as payouts
from firmware.app.sync import Sync
from scripts.sim import office
from scripts.sim.mutants import Patches, mutant


@mutant("what came after the backup is not asked of the bank", "restore_announced", "restore_head_lost")
def bank_files_not_imported_again(patches: Patches) -> None:
    """The office forgets the bank's file."""

    def nothing(self: Any) -> None:
        self.bank_is_late = False

    patches.replace(office.Office, "import_bank", nothing)


@mutant("payouts go on by themselves though the archive was lost", "payout_forgotten")
def payouts_go_on_without_archive(patches: Patches) -> None:
    """Nothing holds them until a person has compared them with the bank."""
    patches.replace(payouts, "hold", lambda conn, archive, school_id, why, now: None)


@mutant("a restore opens what was closed after the backup", "key_rotated", "restore_announced")
def closed_epochs_only_in_database(patches: Patches) -> None:
    """The registry outside the database is not read."""
    patches.replace(registry, "read", lambda vault, school_id: iter(()))


@mutant("a restored cloud ends its recovery at once", "restore_silent", "device_lost")
def grants_right_after_restore(patches: Patches) -> None:
    """It grants before it has read the journals."""
    patches.replace(devices, "in_recovery", lambda conn, school_id: False)
    patches.wrap(recovery, "begin", _normal_at_once)


def _normal_at_once(original: Any) -> Any:
    def begin(conn: Any, *others: Any) -> Any:
        counter = original(conn, *others)
        conn.exec_driver_sql("UPDATE school SET mode = 'normal'")
        return counter

    return begin


@mutant("a restored cloud ignores a higher incarnation", "restore_announced", "restore_all_lost")
def higher_incarnation_ignored(patches: Patches) -> None:
    """A HELLO that knows a later parent is a bad message and nothing else."""
    patches.replace(inbox, "is_newer", lambda message: False)


@mutant("a message of an older epoch is taken", "older_board_sells", "link_drop")
def older_epoch_accepted(patches: Patches) -> None:
    """A board of an epoch that is over is answered as one that works."""
    patches.replace(Device, "is_open", property(lambda self: True))


@mutant("a grant from before a restore is obeyed after it", "restore_over_held_grants")
def old_incarnation_accepted(patches: Patches) -> None:
    """A device does not look whether its parent has begun anew."""
    patches.replace(Sync, "_check_incarnation", lambda self, head: None)


@mutant(
    "a device lost in recovery sets aside what is known, not CAP",
    "lost_in_recovery",
)
def lost_in_recovery_releases_what_is_known(patches: Patches) -> None:
    """Though more was granted than a restored database knows."""

    def make(original: Any) -> Any:
        return lambda conn, school_id: original(conn, school_id)._replace(cap_minor=0)

    patches.wrap(epochs, "money_rules", make)


@mutant("no raw archive", "key_rotated", "restore_announced", "device_lost")
def no_raw_archive(patches: Patches) -> None:
    """Nothing outside the database knows the records."""
    patches.replace(Archive, "append", lambda self, items, now: None)
