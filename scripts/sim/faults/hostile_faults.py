"""Somebody has a till's key: authentic records that lie, and must bring nothing."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from protocols.ledger import basket, record
from scripts.sim.faults import fault
from scripts.sim.hostile import HostileTill

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation


def _thief(sim: Simulation, chance: Random) -> HostileTill:
    # What a cloud that is down misses, the thief's next message brings: it sends all that was not taken.
    if sim.hostile is None or (sim.hostile.is_found and chance.randrange(3)):
        sim.thieves += 1
        label = f"stolen-{sim.thieves}"
        sim.hostile = HostileTill(sim, label, sim.cloud.register(label, "canteen"), chance)
    return sim.hostile


def _account(sim: Simulation, chance: Random) -> int:
    return chance.choice(sim.town.pupils).account


@fault("a stolen till key: sales for a negative price")
def hostile_sale(sim: Simulation, chance: Random) -> bool:
    """Money for a friend's purse."""
    thief = _thief(sim, chance)
    thief.lie(record.SALE, record.SALE_SINGLE, _account(sim, chance), -chance.choice((5_500, 49_999)), 1)
    return True


@fault("a stolen till key: grants that nobody gave, and sales under them")
def hostile_grant(sim: Simulation, chance: Random) -> bool:
    """Everything up to CAP, then a meal at a published price."""
    thief = _thief(sim, chance)
    account = _account(sim, chance)
    thief.lie(record.GRANT, 0, account, 50_000, 0)
    thief.lie(record.SALE, record.SALE_SINGLE, account, 16_000, 2)
    # A thief is found and locked out: what was invented stays reserved until then.
    sim.excuse(account, 50_000)
    return True


@fault("a stolen till key: sales without any right")
def hostile_sale_without_rights(sim: Simulation, chance: Random) -> bool:
    """At a published price."""
    thief = _thief(sim, chance)
    thief.lie(record.SALE, record.SALE_SINGLE, _account(sim, chance), 8_500, 1)
    return True


@fault("a stolen till key: records out of the chain")
def hostile_chain(sim: Simulation, chance: Random) -> bool:
    """A right envelope around a record whose chain is broken."""
    thief = _thief(sim, chance)
    thief.lie(record.SALE, record.SALE_SINGLE, _account(sim, chance), 8_500, 1, broken=True)
    return True


@fault("a stolen till key: voids of sales that were not made there")
def hostile_void(sim: Simulation, chance: Random) -> bool:
    """Of a number that is no sale, of one that does not exist."""
    thief = _thief(sim, chance)
    thief.lie(record.VOID, record.SALE_SINGLE, _account(sim, chance), 8_500, chance.choice((1, 2, 900)))
    return True


# A basket as a thief writes it: the lines of its items, what its sale says it comes to, how many it counts.
_LINES = (basket.Line(3, 2, 5_500), basket.Line(3, 1, 5_500))
_BASKETS = (
    (_LINES, 16_000, 2),
    (_LINES, 11_000, 2),
    (_LINES, 16_500, 1),
    (_LINES, 16_500, 3),
    ((), 16_000, 0),
    ((basket.Line(3, 2, 8_000),), 16_000, 1),
)


@fault("a stolen till key: baskets whose items come to something else")
def hostile_basket(sim: Simulation, chance: Random) -> bool:
    """Under rights that the cloud gives to whoever asks, and never for what is in them."""
    thief = _thief(sim, chance)
    able = [pupil.account for pupil in sim.town.pupils if thief.rights(pupil.account) >= 16_500]
    account = chance.choice(able) if able else _account(sim, chance)
    lines, amount, count = chance.choice(_BASKETS)
    for line in lines:
        thief.lie(record.ITEM, 0, account, line.price, record.item_aux(line.good, line.quantity))
    thief.lie(record.SALE, 0, account, amount, count)
    # The next one has rights.
    for pupil in chance.sample(sim.town.pupils, min(4, len(sim.town.pupils))):
        thief.need(pupil.account, 33_000)
    return True
