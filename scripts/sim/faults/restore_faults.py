"""Restores: announced, with the witness lost, and silent."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from scripts.sim.faults import fault

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation


def _restore(sim: Simulation, chance: Random, *, announced: bool, head_lost: bool, machine: bool) -> bool:
    place = chance.randrange(8)
    return sim.backups.restore(place, announced=announced, head_lost=head_lost, whole_machine=machine)


@fault("the database is restored from a backup, and everybody knows")
def restore_announced(sim: Simulation, chance: Random) -> bool:
    """The archive is whole."""
    return _restore(sim, chance, announced=True, head_lost=False, machine=False)


@fault("restored, and every witness of the head is lost")
def restore_head_lost(sim: Simulation, chance: Random) -> bool:
    """File and retained message are gone: missing means recovery."""
    return _restore(sim, chance, announced=False, head_lost=True, machine=False)


@fault("the machine goes back to a snapshot and nobody notices")
def restore_silent(sim: Simulation, chance: Random) -> bool:
    """At times with its archive; the broker and the devices know more."""
    return _restore(sim, chance, announced=False, head_lost=False, machine=chance.randrange(2) == 0)
