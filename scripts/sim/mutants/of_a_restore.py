"""Bugs that only a restore, or a second life of a device, shows."""

from __future__ import annotations

from typing import Any

from cloud.devices import registry
from cloud.devices import service as devices
from cloud.ingest import recovery
from scripts.sim import office
from scripts.sim.mutants import Patches, mutant


@mutant("what came after the backup is not asked of the bank", "restore_announced", "restore_head_lost")
def bank_files_not_imported_again(patches: Patches) -> None:
    """The office forgets the bank's file."""

    def nothing(self: Any) -> None:
        self.bank_is_late = False

    patches.replace(office.Office, "import_bank", nothing)


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
