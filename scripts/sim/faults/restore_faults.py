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
    sim.scenes += 1
    sim.heap.after(2_500, _go_back_over, sim)
    return True


_TRY_MS = 200
_HELD_TRIES = 600


def _go_back_over(sim: Simulation) -> None:
    sim.network.held_types = ()
    sim.backups.restore(-1, announced=True, head_lost=False, whole_machine=True)
    _let_go(sim, _HELD_TRIES)


def _let_go(sim: Simulation, tries: int) -> None:
    if tries and (sim.cloud.down or sim.cloud.in_recovery):
        sim.heap.after(_TRY_MS, _let_go, sim, tries - 1)
    else:
        sim.network.release_kept_back()
        sim.scenes -= 1


_CARDS = 2
_MEALS = 6
_CARD_MS = 400
# Within three seconds a second tap would be the same one.
_MEAL_MS = 3_300
_LOSE_TRIES = 100
_ELSEWHERE = 16


@fault("a till is lost while the cloud has forgotten what it gave it, and the pupils eat at others")
def lost_in_recovery(sim: Simulation, chance: Random) -> bool:
    """Granted after the backup, sold, forgotten; the office releases it before anything is read.

    In a recovery that has begun already a till is lost at once, as it is.
    """
    terminal = victim(sim, chance, is_till=True)
    if terminal is None or sim.cloud.down:
        return False
    if sim.cloud.in_recovery:
        sim.scenes += 1
        _lose(sim, terminal, {})
        return True
    # The poorest of those who eat elsewhere: after one meal here it is known to hold little of theirs.  Their
    # cards have no limit of a day.
    statement = (
        "SELECT p.account_id FROM pupil p JOIN school_class c ON c.school_id = p.school_id"
        " AND c.class_id = p.class_id JOIN ledger_account a ON a.code = printf('purse:%08x', p.account_id)"
        " JOIN balance b ON b.ledger_account_id = a.ledger_account_id"
        " WHERE c.home_device <> ? ORDER BY b.amount_minor, p.account_id"
    )
    protected = {pupil.account: pupil.card for pupil in sim.town.pupils if pupil.is_protected}
    poorest = [row[0] for row in sim.cloud.select(statement, (terminal.device,)) if row[0] in protected]
    cards = {account: protected[account] for account in poorest[:_CARDS]}
    if not cards:
        return False
    sim.town.paying_nothing |= cards.keys()
    for card in cards.values():
        sim.people.tap(terminal, card)
    sim.scenes += 1
    sim.heap.after(_MEAL_MS, _sell_much, sim, terminal, cards)
    return True


def _sell_much(sim: Simulation, terminal: Any, cards: dict[int, str]) -> None:
    if sim.cloud.down or sim.cloud.in_recovery or terminal.is_gone or terminal.is_suspect:
        _end(sim, cards)
        return
    sim.backups.take()
    for number, (account, card) in enumerate(cards.items()):
        sim.cloud.top_up(sim.town.deposit(account, sim.town.cap))
        for meal in range(_MEALS):
            sim.heap.after(_MEAL_MS * meal + _CARD_MS * (number + 2), sim.people.tap, terminal, card)
    sim.heap.after(_MEAL_MS * _MEALS, _forget_and_lose, sim, terminal, cards)


def _forget_and_lose(sim: Simulation, terminal: Any, cards: dict[int, str]) -> None:
    if terminal.is_gone or terminal.is_suspect:
        _end(sim, cards)
        return
    # Nobody hears it any more.
    sim.network.part({terminal.device})
    terminal.stop()
    sim.backups.restore(-1, announced=True, head_lost=False, whole_machine=True)
    _lose(sim, terminal, cards, _LOSE_TRIES)


def _lose(sim: Simulation, terminal: Any, cards: dict[int, str], tries: int = 0) -> None:
    cloud = sim.cloud
    if cloud.down and tries:
        sim.heap.after(_TRY_MS, _lose, sim, terminal, cards, tries - 1)
        return
    if terminal.is_gone or terminal.is_suspect:
        # Somebody else has missed it meanwhile.
        _end(sim, cards)
        return
    if cloud.down or not cloud.in_recovery:
        sim.suspects.retire(terminal)
        _end(sim, cards)
        return
    cloud.import_bank()
    cloud.lose(terminal.label)
    _expose_beyond_release(sim, terminal)
    cloud.release(terminal.label)
    sim.suspects.retire(terminal, is_released=True)
    sim.network.join({terminal.device})
    _eat_elsewhere(sim, cards, _ELSEWHERE if cards else 0)


def _eat_elsewhere(sim: Simulation, cards: dict[int, str], tries: int) -> None:
    if not tries or sim.is_healing:
        _end(sim, cards)
        return
    for till in sim.terminals:
        if till.runs and not till.is_gate:
            for card in cards.values():
                sim.people.tap(till, card)
    sim.heap.after(_MEAL_MS, _eat_elsewhere, sim, cards, tries - 1)


def _end(sim: Simulation, cards: dict[int, str]) -> None:
    sim.town.paying_nothing -= cards.keys()
    sim.scenes -= 1


def _expose_beyond_release(sim: Simulation, terminal: Any) -> None:
    """What CAP is more than the purse can set aside is this till's exposure; all of CAP where no row is.

    Where it was granted more than once since the backup, so is all that it sold by records that are gone with
    it and with the archive.  So is meal credit that nobody remembers: a release sets nothing aside for it.
    """
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
    sold = sim.suspects.forgotten(terminal)
    left = sim.town.rights_of(terminal.serial)
    for pupil in sim.town.pupils:
        account, cap = pupil.account, sim.town.cap
        gone = sold[account] + left.get((account, record.MONEY), 0)
        set_aside = max(0, min(cap, spare.get(account, 0)))
        sim.town.exposure[account] += max(cap, gone) - set_aside + sim.town.credit_slack
