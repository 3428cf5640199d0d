"""Faults that make a journal lie about its past: copies, old images, blanked tails, rot, and loss."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from protocols.ledger import record
from protocols.mac import DeviceKeys, Hmac
from protocols.wire import envelope, messages, topics
from scripts.sim.faults import fault
from scripts.sim.flash import HEADER, RECORD, SECTOR
from scripts.sim.suspects import BLANKED, CLONED, LOST, ROLLED_BACK, ROTATED, ROTTEN, image_of

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation

_BRANCHES_MAX = 6


def victim(sim: Simulation, chance: Random, *, is_till: bool = False) -> Any:
    """A device that runs and that nothing of this kind has happened to; some always stay sound."""
    sound = sim.honest_terminals()
    if not any(terminal.runs for terminal in sound):
        for terminal in sound[:2]:
            terminal.boot()
    found = [terminal for terminal in sound if terminal.runs and not terminal.controller.locked]
    if len(sound) < 3 or len(found) < 2 or len(sim.terminals) - len(sound) >= 2 * _BRANCHES_MAX:
        return None
    if is_till:
        found = [terminal for terminal in found if not terminal.is_gate]
    return chance.choice(found) if found else None


@fault("a second device with the same flash and key")
def device_cloned(sim: Simulation, chance: Random) -> bool:
    """Both run; the broker throws one out for the other."""
    terminal = victim(sim, chance)
    if terminal is None:
        return False
    sim.suspects.branch(terminal, image_of(terminal), CLONED)
    return True


@fault("a device goes on from an older image of its flash")
def device_rolled_back(sim: Simulation, chance: Random) -> bool:
    """The image is taken now and written back later."""
    terminal = victim(sim, chance)
    if terminal is None:
        return False
    sim.heap.after(chance.randrange(2_000, 30_000), _write_back, sim, terminal, image_of(terminal))
    return True


def _write_back(sim: Simulation, terminal: Any, image: Any) -> None:
    if not terminal.is_gone and not terminal.is_suspect and terminal.runs:
        sim.suspects.branch(terminal, image, ROLLED_BACK)


@fault("the newest records read as erased")
def tail_blanked(sim: Simulation, chance: Random) -> bool:
    """The chain of what is left is valid; only who has seen more can know."""
    terminal = victim(sim, chance)
    if terminal is None:
        return False
    blank_tail(sim, terminal, min(chance.randrange(1, 12), len(terminal.journal) - 1))
    return True


def blank_tail(sim: Simulation, terminal: Any, count: int) -> Any:
    """The board that goes on from this one's flash without its newest records."""
    terminal.stop()
    newest = sorted(terminal.flash.records(), key=lambda each: int.from_bytes(each[1][4:8], "little"))
    for offset, _raw in newest[-count:]:
        terminal.flash.blank(offset, RECORD)
    image = image_of(terminal)
    return sim.suspects.branch(terminal, image._replace(records=image.records - count), BLANKED)


@fault("a bit turns over in a record or in the header of a sector")
def bit_rot(sim: Simulation, chance: Random) -> bool:
    """The device finds it when it sends or when it starts, and locks itself."""
    terminal = victim(sim, chance)
    if terminal is None:
        return False
    acked = terminal.controller.journal.acked
    unsent = [
        offset for offset, raw in terminal.flash.records() if int.from_bytes(raw[4:8], "little") >= acked
    ]
    if not unsent:
        # All was sent: the newest record rots, which the next start finds.
        unsent = [max(terminal.flash.records(), key=lambda each: int.from_bytes(each[1][4:8], "little"))[0]]
    newest = max(terminal.flash.records(), key=lambda each: int.from_bytes(each[1][4:8], "little"))
    if newest[0] in unsent:
        # Nothing stands behind it that could tell rot from a torn write: that record may be forgotten.
        sim.town.may_be_forgotten(terminal.serial, record.unpack(newest[1]))
    place = chance.choice(unsent) + chance.randrange(RECORD)
    if not chance.randrange(4):
        # The header of the newest sector, which only the next start reads.
        place = place // SECTOR * SECTOR + chance.randrange(HEADER)
    terminal.flash.rot(place, chance.randrange(8))
    sim.suspects.suspect(terminal, ROTTEN)
    return True


@fault("a till breaks, its flash is gone, another comes at once")
def device_replaced_without_dump(sim: Simulation, chance: Random) -> bool:
    """What it had not sent is destroyed; what it held stays reserved."""
    terminal = victim(sim, chance)
    if terminal is None:
        return False
    sim.suspects.suspect(terminal, LOST)
    sim.suspects.retire(terminal)
    sim.suspects.replace(terminal)
    return True


@fault("a till breaks, its flash is read out after another has come")
def device_replaced_with_dump(sim: Simulation, chance: Random) -> bool:
    """The old board lives on at the engineer's desk for a while, without cards: its records come late."""
    terminal = victim(sim, chance)
    if terminal is None:
        return False
    sim.suspects.suspect(terminal, LOST)
    terminal.takes_cards = False
    fresh = sim.suspects.replace(terminal)
    fresh.stop()
    sim.heap.after(chance.randrange(10_000, 40_000), _end_of_dump, sim, terminal)
    return True


@fault("the board of an epoch that is over is in use again")
def older_board_sells(sim: Simulation, chance: Random) -> bool:
    """It was taken for broken and another came; then somebody plugs it in, and it sells until it is told."""
    terminal = victim(sim, chance, is_till=True)
    if terminal is None:
        return False
    sim.suspects.suspect(terminal, LOST)
    sim.suspects.replace(terminal)
    return True


def _end_of_dump(sim: Simulation, terminal: Any) -> None:
    if not terminal.is_gone:
        sim.suspects.retire(terminal)


@fault("a device is provisioned anew with another key")
def key_rotated(sim: Simulation, chance: Random) -> bool:
    """Once all that it has written has arrived; else later."""
    terminal = victim(sim, chance)
    if terminal is None:
        return False
    _rotate(sim, terminal, 40)
    return True


def _rotate(sim: Simulation, terminal: Any, tries: int) -> None:
    if terminal.is_gone or terminal.is_suspect or not terminal.runs:
        return
    journal = terminal.controller.journal
    if journal.acked == journal.next_seq and terminal.link.online and not sim.cloud.down:
        terminal.is_gone = True
        terminal.stop()
        sim.suspects.replace(terminal, journal_read=True)
    elif tries:
        sim.heap.after(700, _rotate, sim, terminal, tries - 1)


@fault("a device is lost with all that it had not sent")
def device_lost(sim: Simulation, chance: Random) -> bool:
    """It is never seen again; what it held stays reserved."""
    terminal = victim(sim, chance)
    if terminal is None:
        return False
    sim.suspects.suspect(terminal, LOST)
    sim.suspects.retire(terminal)
    return True


@fault("a board of an older epoch sends its journal from the first record, weeks late")
def older_epoch_speaks(sim: Simulation, chance: Random) -> bool:
    """Authentic, and all of it known."""
    old = [each for each in sim.terminals if each.is_replaced and each.is_suspect in (LOST, ROTATED)]
    if not old:
        terminal = victim(sim, chance)
        if terminal is None:
            return False
        sim.suspects.suspect(terminal, LOST)
        sim.suspects.retire(terminal)
        sim.suspects.replace(terminal)
        old = [terminal]
    sim.heap.after(chance.randrange(8_000, 20_000), speak_again, sim, chance.choice(old))
    return True


def speak_again(sim: Simulation, terminal: Any) -> None:
    """HELLO and the first records of a journal, under the key of its own epoch."""
    provision = terminal.provision
    keys = DeviceKeys(provision.key)
    chain = Hmac(keys.chain)
    first = mac = record.genesis(keys.chain, provision.device, provision.epoch)
    raw = terminal.journal[: messages.RECORDS_MAX]
    for one in raw:
        mac = record.next_mac(chain, mac, one[: record.BODY])
    incarnation, number = sim.cloud.select("SELECT incarnation, incarnation_id FROM school")[0]
    topic = topics.topic(provision.school, provision.device, topics.UP)
    hello = messages.Hello(len(raw) + 1, 1, 1, mac, bytes(8), 0, 0, 0, 0, messages.BOOKS_UNKNOWN)
    recs = messages.Recs(1, len(raw), first, mac, b"".join(raw))
    bodies = (envelope.HELLO, messages.pack_hello(hello)), (envelope.RECS, messages.pack_recs(recs))
    for counter, (kind, body) in enumerate(bodies):
        head = envelope.Head(
            kind, provision.school, provision.device, provision.epoch, incarnation, number, counter
        )
        sim.network.deliver(True, topic, envelope.seal(keys.up, head, body))
