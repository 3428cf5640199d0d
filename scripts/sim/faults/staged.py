"""Scenes that chance hardly ever plays: each is staged for a seeded bug, in no random plan and no pair.

So a seed means the same school with and without them.  The sound product must pass each as well.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from protocols.ledger import record
from scripts.sim.faults import fault
from scripts.sim.faults.branch_faults import blank_tail, victim

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation
    from scripts.sim.terminal import Terminal
    from scripts.sim.town import Pupil

# Within three seconds a second tap would be the same one.
_MEAL_MS = 3_500
_ROUNDS = 12
_BACKLOG_MS = 4_000
_LOOK_BACK = 12
_TRY_MS, _TRIES = 300, 100
# More than a board writes by itself when it starts: the parent knows of later ones then.
_BLANKED = 4
_OF_MONEY = (record.GRANT, record.RETURN, record.ITEM, record.SALE, record.VOID)
_BASKET = tuple((good, 1) for good in (1, 3))


def _working(sim: Simulation) -> list[Terminal]:
    tills = [each for each in sim.honest_terminals() if each.runs and not each.is_gate]
    return [each for each in tills if each.link.online and not each.controller.locked]


def _guests(sim: Simulation, till: Terminal) -> list[Pupil]:
    """Those who eat at this till on most days."""
    statement = (
        "SELECT p.account_id FROM pupil p JOIN school_class c ON c.school_id = p.school_id"
        " AND c.class_id = p.class_id WHERE c.home_device = ?"
    )
    accounts = {row[0] for row in sim.cloud.select(statement, (till.device,))}
    return [pupil for pupil in sim.town.pupils if pupil.account in accounts]


@fault("a pupil eats a free meal at one till and the same meal at another, and the night comes", staged=True)
def meal_at_two_tills(sim: Simulation, chance: Random) -> bool:
    """The fund pays the first; the second is the parents', however often the evening looks at it."""
    tills = _working(sim)
    if len(tills) < 2:
        return False
    home = chance.choice(tills)
    other = chance.choice([till for till in tills if till is not home])
    entitled = {account for account, _meal in sim.town.entitled}
    pupils = [pupil for pupil in _guests(sim, home) if pupil.account in entitled]
    for pupil in pupils:
        sim.cloud.top_up(sim.town.deposit(pupil.account, sim.town.cap))
        sim.people.tap(home, pupil.card, ())
        sim.heap.after(_MEAL_MS, sim.people.tap, other, pupil.card, ())
    sim.heap.after(2 * _MEAL_MS, sim.people.sleep)
    return bool(pupils)


@fault("the newest records of a till at which nobody eats any more read as erased", staged=True)
def tail_blanked_at_closed_till(sim: Simulation, chance: Random) -> bool:
    """All had arrived and nothing new is written over them: an ACK alone can tell."""
    terminal = victim(sim, chance, is_till=True)
    if terminal is None or not terminal.link.online:
        return False
    journal = terminal.controller.journal
    is_of_money = {raw[0] in _OF_MONEY for raw in terminal.journal[-_BLANKED:]}
    if journal.acked != journal.next_seq or is_of_money != {True}:
        return False
    blank_tail(sim, terminal, _BLANKED).takes_cards = False
    return True


@fault("a till cut off rings up one basket after another, and sends all of them at once", staged=True)
def baskets_in_a_backlog(sim: Simulation, chance: Random) -> bool:
    """A batch takes so many records: one ends in the middle of a basket."""
    tills = [till for till in _working(sim) if _guests(sim, till)]
    if not tills:
        return False
    till = chance.choice(tills)
    guests = _guests(sim, till)
    for pupil in guests:
        sim.cloud.top_up(sim.town.deposit(pupil.account, sim.town.cap))
    sim.scenes += 1
    sim.heap.after(_BACKLOG_MS, _cut_off, sim, till, guests, chance)
    return True


def _cut_off(sim: Simulation, till: Terminal, guests: list[Pupil], chance: Random) -> None:
    sim.network.part({till.device})
    for number in range(_ROUNDS):
        at = _MEAL_MS * (number + 1)
        for place, pupil in enumerate(guests):
            sim.heap.after(at + 100 * place, sim.people.tap, till, pupil.card, _BASKET)
        if chance.randrange(3):
            sim.heap.after(at + _MEAL_MS // 2, _take_back_all, sim, till)
    sim.heap.after(_MEAL_MS * (_ROUNDS + 1), _join, sim, till)


def _take_back_all(sim: Simulation, till: Terminal) -> None:
    """So that the same pupils can buy again."""
    for raw in till.journal[-_LOOK_BACK:]:
        if raw[0] == record.SALE:
            sim.people.void(till, record.unpack(raw).seq)


def _join(sim: Simulation, till: Terminal) -> None:
    sim.network.join({till.device})
    sim.scenes -= 1


@fault("a payout goes out in two parts, the machine forgets it, and a clerk asks for it again", staged=True)
def payout_forgotten(sim: Simulation, chance: Random) -> bool:
    """The archive is lost too: only the bank knows, and nobody has compared anything yet."""
    tills = [till for till in _working(sim) if _guests(sim, till)]
    if not tills or sim.cloud.down or sim.cloud.in_recovery:
        return False
    till = chance.choice(tills)
    pupil = chance.choice(_guests(sim, till))
    sim.cloud.top_up(sim.town.deposit(pupil.account, 2 * sim.town.cap))
    sim.scenes += 1
    sim.heap.after(_BACKLOG_MS, _ask_for_all, sim, till, pupil)
    return True


def _ask_for_all(sim: Simulation, till: Terminal, pupil: Pupil) -> None:
    sim.backups.take()
    sim.network.part({till.device})
    sim.people.take_back(pupil, 1, 1)
    key = list(sim.town.asked_back)[-1]
    sim.heap.after(_BACKLOG_MS, sim.network.join, {till.device})
    sim.heap.after(_BACKLOG_MS, _forget_payout, sim, key, _TRIES)


def _forget_payout(sim: Simulation, key: str, tries: int) -> None:
    parts = [order for order in sim.town.transfers() if order.split(":")[1] == key]
    if len(parts) < 2 and tries:
        sim.heap.after(_TRY_MS, _forget_payout, sim, key, tries - 1)
        return
    sim.backups.restore(-1, announced=True, head_lost=False, whole_machine=True)
    _ask_again(sim, key, _TRIES)


def _ask_again(sim: Simulation, key: str, tries: int) -> None:
    cloud = sim.cloud
    if tries and (cloud.down or cloud.in_recovery or cloud.bank_is_late):
        sim.heap.after(_TRY_MS, _ask_again, sim, key, tries - 1)
        return
    if cloud.payouts_wait:
        cloud.ask_back(key)
    sim.scenes -= 1
