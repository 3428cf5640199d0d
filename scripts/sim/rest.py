"""When a school has come to rest: what a healing waits for, so that nothing is judged that is on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.sim import payout_invariants

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation
    from scripts.sim.terminal import Terminal

# A board that knows the time believes no TIME that is a day off; some seconds pass until it hears it.
_REFUSED_STEP_S = 86_390


def acknowledged(sim: Simulation) -> bool:
    """Whether every running board has heard that the cloud has all of its records."""
    for terminal in sim.honest_terminals():
        if not terminal.runs or not terminal.link.online:
            return False
        controller = terminal.controller
        if not controller.locked and controller.journal.acked != controller.journal.next_seq:
            return False
    return not sim.cloud.down


def out_of_recovery(sim: Simulation) -> bool:
    """Whether every journal was read after a restore."""
    return not sim.cloud.down and not sim.cloud.in_recovery


def days_off(terminal: Terminal) -> int:
    """How many days a board that works is ahead of the calendar on the wall, or behind it (negative).

    One day ahead is none: a day that was closed too early goes on under the next.
    """
    if not _works(terminal):
        return 0
    true_day = (terminal.heap.wall_s + 3 * 3600) // 86_400
    day = int(terminal.controller.day(terminal.clock.utc()))
    return 0 if day == true_day + 1 else day - true_day


def asks_for_a_person(terminal: Terminal) -> bool:
    """Whether a working board has a wrong day, or a clock that no TIME may set, of which the office knows."""
    step_s = abs(terminal.heap.wall_s - terminal.clock.utc()) if _works(terminal) else 0
    return bool(days_off(terminal)) or step_s > _REFUSED_STEP_S


def _works(terminal: Terminal) -> bool:
    return bool(terminal.runs and terminal.controller.readable and not terminal.controller.locked)


def settled(sim: Simulation) -> bool:
    """Whether waiting longer would change nothing: all run, all is acknowledged, all tables are in."""
    newest = dict(sim.cloud.select("SELECT device_id, max(version) FROM device_table GROUP BY device_id"))
    for terminal in sim.honest_terminals():
        if not terminal.runs or not terminal.link.online:
            return False
        controller = terminal.controller
        if controller.locked:
            continue
        if controller.journal.acked != controller.journal.next_seq:
            return False
        if controller.accounts.version != newest.get(terminal.device, 0) or controller.state.open_passage:
            return False
    if any(payout_invariants.payouts_have_ended(sim)):
        return False
    # What is meant for a device that is gone waits for ever.
    there = {terminal.device for terminal in sim.honest_terminals()}
    waiting = sim.cloud.select(
        "SELECT device_id FROM downlink WHERE done_at IS NULL UNION SELECT c.device_id FROM device_command c"
        " JOIN device d ON d.device_id = c.device_id AND d.epoch = c.epoch"
        " WHERE c.settled_at IS NULL AND c.kind = 'confirm_day'"
    )
    return not any(row[0] in there for row in waiting) and not sim.cloud.down and not sim.cloud.in_recovery
