"""Faults of one device: power, flash, files, clock."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from protocols.wire import envelope
from scripts.sim.faults import fault
from scripts.sim.flash import PAGE, SECTOR

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation
    from scripts.sim.terminal import Terminal


def running(sim: Simulation, chance: Random) -> Terminal | None:
    """Some board that runs, or None."""
    found = [terminal for terminal in sim.terminals if terminal.runs]
    if not found:
        # The power has just come back for one of them.
        terminal = chance.choice([terminal for terminal in sim.terminals if not terminal.is_gone])
        terminal.boot()
        found = [terminal] if terminal.runs else []
    return chance.choice(found) if found else None


@fault("power goes in the middle of writing a record")
def power_cut(sim: Simulation, chance: Random) -> bool:
    """At some byte of one of the next few operations on flash or files."""
    terminal = running(sim, chance)
    if terminal is None:
        return False
    terminal.power.arm(chance.randrange(4), chance.choice((0, 1000, chance.randrange(1001))))
    return True


@fault("power goes in the middle of erasing a sector of flash")
def power_cut_in_erase(sim: Simulation, chance: Random) -> bool:
    """What is left of the newest sector takes no bytes, so the next record needs the sector behind it, which
    holds what a chip holds that was used for something else before."""
    terminal = running(sim, chance)
    if terminal is None:
        return False
    flash, place = terminal.flash, terminal.next_offset()
    newest = (place - 1) // SECTOR
    flash.stuck |= set(range(place // PAGE, (newest + 1) * SECTOR // PAGE))
    following = (newest + 1) * SECTOR % flash.size
    if flash.bytes[following : following + SECTOR].count(0xFF) == SECTOR:
        flash.bytes[following : following + SECTOR] = chance.randbytes(SECTOR)
    flash.cut_erase_after = chance.choice((0, SECTOR, chance.randrange(SECTOR)))
    return True


@fault("power goes again and again, also while the board starts")
def power_flicker(sim: Simulation, chance: Random) -> bool:
    """Several cuts a few operations apart."""
    terminal = running(sim, chance)
    if terminal is None:
        return False
    terminal.flicker = [(chance.randrange(6), chance.randrange(1001)) for _ in range(chance.randrange(2, 6))]
    terminal.power.arm(*terminal.flicker.pop())
    return True


@fault("the plug is pulled between two writes")
def power_off(sim: Simulation, chance: Random) -> bool:
    """Everything in RAM is gone."""
    terminal = running(sim, chance)
    if terminal is None:
        return False
    terminal.stop()
    return True


@fault("all boards lose power at once")
def power_off_school(sim: Simulation, chance: Random) -> bool:
    """The building is dark for a moment."""
    for terminal in sim.terminals:
        terminal.stop()
    return True


@fault("a page of flash takes no more bytes")
def stuck_page(sim: Simulation, chance: Random) -> bool:
    """The page that is written next; an erase brings it back."""
    terminal = running(sim, chance)
    if terminal is None:
        return False
    place = terminal.next_offset()
    terminal.flash.stuck.add(place // 256 + chance.randrange(2))
    return True


@fault("the device's file system is full")
def device_disk_full(sim: Simulation, chance: Random) -> bool:
    """Tables and checkpoints cannot be written for a while; the journal can."""
    terminal = running(sim, chance)
    if terminal is None:
        return False
    terminal.storage.is_full = True
    sim.heap.after(chance.randrange(2_000, 40_000), setattr, terminal.storage, "is_full", False)
    return True


@fault("a device's clock jumps by seconds, hours or a day")
def clock_jump(sim: Simulation, chance: Random) -> bool:
    """Forwards or back."""
    terminal = running(sim, chance)
    if terminal is None:
        return False
    terminal.clock.jump(chance.choice((-86_400, -3_600, -30, 30, 3_600, 86_000)))
    return True


@fault("a device's clock is a day ahead")
def clock_day_ahead(sim: Simulation, chance: Random) -> bool:
    """It closes a day that is not over."""
    terminal = running(sim, chance)
    if terminal is None:
        return False
    terminal.clock.jump(86_400)
    return True


@fault("a device starts in 1970 and hears no TIME")
def clock_1970(sim: Simulation, chance: Random) -> bool:
    """Restarted while it is cut off."""
    terminal = running(sim, chance)
    if terminal is None:
        return False
    sim.network.part({terminal.device})
    terminal.stop()
    sim.heap.after(chance.randrange(10_000, 60_000), sim.network.join, {terminal.device})
    return True


@fault("the cloud tells a TIME that is weeks ahead")
def clock_of_cloud(sim: Simulation, chance: Random) -> bool:
    """Its machine's clock is wrong for a while, and a board starts just then."""
    terminal = running(sim, chance)
    if terminal is None:
        return False
    sim.cloud.clock_error_s = chance.choice((8, 21, 90)) * 86_400
    terminal.stop()
    sim.heap.after(chance.randrange(10_000, 40_000), setattr, sim.cloud, "clock_error_s", 0)
    return True


@fault("every TIME that was overheard is told again")
def time_replayed(sim: Simulation, chance: Random) -> bool:
    """To all boards, also those that have started anew since."""
    heard = [each for each in sim.network.heard if not each[0] and each[2][2:3] == bytes((envelope.TIME,))]
    for up, topic, payload in heard:
        sim.network.deliver(up, topic, payload)
    return bool(heard)


@fault("one card is held to all tills within seconds")
def card_between_tills(sim: Simulation, chance: Random) -> bool:
    """Twice at each, half of them cut off at times."""
    card = chance.choice(sim.town.pupils).card
    for terminal in sim.terminals:
        if terminal.is_gate or not terminal.runs:
            continue
        sim.people.tap(terminal, card)
        sim.heap.after(3_500, sim.people.tap, terminal, card)
    return True
