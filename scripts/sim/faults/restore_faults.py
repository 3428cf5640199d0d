"""Restores: announced, with the witness lost, and silent."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from protocols.ledger import record
from protocols.wire import envelope
from scripts.sim.faults import fault
from scripts.sim.faults.branch_faults import victim

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


@fault("the machine goes back to a snapshot, its archive, its witnesses and its broker with it")
def restore_all_lost(sim: Simulation, chance: Random) -> bool:
    """Only the devices know what was."""
    return _restore(sim, chance, announced=False, head_lost=True, machine=True)


_HELD_TRIES = 600


@fault("grants are on their way while the machine goes back, and come when the new life is under way")
def restore_over_held_grants(sim: Simulation, chance: Random) -> bool:
    """The cloud that gave them is no more."""
    if sim.cloud.down or sim.cloud.in_recovery:
        return False
    sim.backups.take()
    sim.network.held_types = (envelope.GRANT, envelope.ANSWER)
    pupils = sim.town.pupils
    for pupil in chance.sample(pupils, min(6, len(pupils))):
        sim.cloud.top_up(sim.town.deposit(pupil.account, sim.town.cap))
    sim.heap.after(2_500, _go_back_over, sim)
    return True


def _go_back_over(sim: Simulation) -> None:
    sim.network.held_types = ()
    if sim.is_healing:
        sim.network.release_kept_back()
        return
    sim.backups.restore(-1, announced=True, head_lost=False, whole_machine=True)
    sim.heap.after(200, _let_go, sim, _HELD_TRIES)


def _let_go(sim: Simulation, tries: int) -> None:
    if tries and (sim.cloud.down or sim.cloud.in_recovery):
        sim.heap.after(200, _let_go, sim, tries - 1)
    else:
        sim.network.release_kept_back()


_SALES = 5
_SALE_MS = 400
_SECOND_MS = 3_300


@fault("a till that sold cut off is lost while the cloud has forgotten what it gave it")
def lost_in_recovery(sim: Simulation, chance: Random) -> bool:
    """Granted after the backup, sold, never sent; the office releases it before anything is read."""
    terminal = victim(sim, chance, is_till=True)
    if terminal is None or sim.cloud.down or sim.cloud.in_recovery:
        return False
    statement = (
        "SELECT r.account_id FROM spending_right r JOIN pupil p ON p.account_id = r.account_id"
        " JOIN school_class c ON c.school_id = p.school_id AND c.class_id = p.class_id"
        " WHERE r.device_id = ? AND r.epoch = ? AND r.bucket = 0 AND c.home_device = r.device_id"
        " ORDER BY r.granted - r.returned - r.spent + r.voided, r.account_id"
    )
    rows = sim.cloud.select(statement, (terminal.device, terminal.provision.epoch))
    if not rows:
        return False
    sim.backups.take()
    cards = {pupil.account: pupil.card for pupil in sim.town.pupils}
    poorest = [row[0] for row in rows[:_SALES]]
    for account in poorest:
        sim.cloud.top_up(sim.town.deposit(account, sim.town.cap))
    sim.heap.after(1_500, _sell_unheard, sim, terminal, [cards[account] for account in poorest])
    return True


def _sell_unheard(sim: Simulation, terminal: Any, cards: list[str]) -> None:
    sim.network.part({terminal.device})
    for number, card in enumerate(cards):
        sim.heap.after(_SALE_MS * number, sim.people.tap, terminal, card)
        # Within three seconds a second tap would be the same one.
        sim.heap.after(_SALE_MS * number + _SECOND_MS, sim.people.tap, terminal, card)
    # A till that is cut off decides at its fixed moment, which is two seconds at most.
    sim.heap.after(_SALE_MS * _SALES + _SECOND_MS + 2_500, _lose, sim, terminal)


def _lose(sim: Simulation, terminal: Any) -> None:
    cloud = sim.cloud
    if sim.is_healing or terminal.is_gone or terminal.is_suspect or cloud.down or cloud.in_recovery:
        sim.network.join({terminal.device})
        return
    # Nobody hears it any more, whatever heals.
    terminal.stop()
    sim.backups.restore(-1, announced=True, head_lost=False, whole_machine=True)
    if sim.cloud.down or not sim.cloud.in_recovery:
        sim.suspects.retire(terminal)
        return
    cloud.import_bank()
    cloud.lose(terminal.label)
    _expose_beyond_release(sim, terminal)
    cloud.release(terminal.label)
    sim.suspects.retire(terminal, is_released=True)
    sim.network.join({terminal.device})


def _expose_beyond_release(sim: Simulation, terminal: Any) -> None:
    """What CAP is more than the purse can set aside is this till's exposure; all of CAP where no row is."""
    statement = (
        "SELECT r.account_id, coalesce(b.amount_minor, 0),"
        " (SELECT sum(max(o.granted, o.journaled) - o.returned - o.spent + o.voided)"
        " FROM spending_right o JOIN device_epoch e ON e.device_id = o.device_id"
        " AND e.epoch = o.epoch WHERE o.account_id = r.account_id AND o.bucket = 0 AND e.status <> 'closed'"
        " AND NOT (o.device_id = r.device_id AND o.epoch = r.epoch)) FROM spending_right r"
        " LEFT JOIN ledger_account a ON a.code = printf('purse:%08x', r.account_id)"
        " LEFT JOIN balance b ON b.ledger_account_id = a.ledger_account_id"
        " WHERE r.device_id = ? AND r.epoch = ? AND r.bucket = ?"
    )
    key = terminal.device, terminal.provision.epoch, record.MONEY
    spare = {row[0]: row[1] - (row[2] or 0) for row in sim.cloud.select(statement, key)}
    for pupil in sim.town.pupils:
        set_aside = max(0, min(sim.town.cap, spare.get(pupil.account, 0)))
        sim.town.exposure[pupil.account] += sim.town.cap - set_aside
