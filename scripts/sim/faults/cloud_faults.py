"""Faults of the cloud: kills at every seam, a torn archive, a full disk, other people's files twice."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from scripts.sim.faults import fault

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation


def _crash(sim: Simulation, point: str) -> bool:
    # A process that is down dies again at its first batch.
    sim.cloud.crash_at = point
    return True


@fault("ingest is killed before the archive is written")
def kill_before_archive(sim: Simulation, chance: Random) -> bool:
    """Nothing of the batch may be left."""
    return _crash(sim, "before_archive")


@fault("ingest is killed between archive and commit")
def kill_before_commit(sim: Simulation, chance: Random) -> bool:
    """The archive has the batch, the database has not."""
    return _crash(sim, "after_archive")


@fault("ingest is killed between commit and publish")
def kill_before_publish(sim: Simulation, chance: Random) -> bool:
    """Nobody is told of what was committed."""
    return _crash(sim, "after_commit")


@fault("ingest is killed while it publishes")
def kill_while_publishing(sim: Simulation, chance: Random) -> bool:
    """Half of the messages are out."""
    return _crash(sim, "while_publishing")


@fault("the machine dies while the archive is written: its last frame is torn")
def archive_torn(sim: Simulation, chance: Random) -> bool:
    """Some of the last bytes never reached the disk."""
    sim.cloud.archive.torn_share = chance.randrange(1, 40)
    return _crash(sim, "torn_archive")


@fault("the cloud's disk is full")
def cloud_disk_full(sim: Simulation, chance: Random) -> bool:
    """The archive takes nothing, so nothing may be acknowledged."""
    sim.cloud.archive.is_full = True
    sim.heap.after(chance.randrange(2_000, 20_000), setattr, sim.cloud.archive, "is_full", False)
    return True


@fault("the bank's file is read again from its first line")
def bank_file_again(sim: Simulation, chance: Random) -> bool:
    """Every reference counts once."""
    if sim.cloud.down:
        sim.cloud.late_lines += sim.town.bank[-60:]
        return True
    sim.cloud.top_up_file(sim.town.bank[-60:])
    return True


@fault("prices change while tills sell by the old ones")
def prices_changed(sim: Simulation, chance: Random) -> bool:
    """A till that is offline sells by the menu that it has, and that was right."""
    sim.cloud.change_prices()
    return True


@fault("new tables while devices still fetch the old ones")
def tables_again(sim: Simulation, chance: Random) -> bool:
    """Placement runs in the middle of trade."""
    if sim.cloud.down:
        sim.heap.after(4_000, sim.cloud.publish_tables)
    sim.cloud.publish_tables()
    return True
