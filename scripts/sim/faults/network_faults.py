"""Faults of the wires and the broker, and people who sit on them."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from protocols.mac import DeviceKeys
from protocols.wire import envelope, topics
from scripts.sim.faults import fault

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation
    from scripts.sim.terminal import Terminal

_WINDOW_MS = (2_000, 25_000)
# Version and index ahead of a piece's bytes.
_CHUNK_HEAD = 6


def _for_a_while(sim: Simulation, chance: Random, name: str, value: int) -> bool:
    network = sim.network
    setattr(network, name, value)
    sim.heap.after(chance.randrange(*_WINDOW_MS), setattr, network, name, 0)
    return True


@fault("messages are lost")
def message_loss(sim: Simulation, chance: Random) -> bool:
    """One message in three, for a while."""
    return _for_a_while(sim, chance, "loss", chance.choice((100, 330, 800)))


@fault("messages come twice")
def message_double(sim: Simulation, chance: Random) -> bool:
    """The second one seconds later."""
    return _for_a_while(sim, chance, "double", chance.choice((200, 700)))


@fault("messages come late and in another order")
def message_reorder(sim: Simulation, chance: Random) -> bool:
    """Up to twenty seconds late."""
    return _for_a_while(sim, chance, "late", chance.choice((200, 600)))


@fault("messages are held back for weeks and come all at once")
def message_weeks(sim: Simulation, chance: Random) -> bool:
    """Held in this window, let go minutes of running time later, with nights between."""
    _for_a_while(sim, chance, "hold", 300)
    sim.heap.after(chance.randrange(30_000, 200_000), sim.network.release_held)
    return True


@fault("a parent takes money back while a till that holds it is cut off")
def refund_while_offline(sim: Simulation, chance: Random) -> bool:
    """The whole purse is asked for; the child goes on to eat at the till that nobody can reach."""
    tills = [each for each in sim.honest_terminals() if each.runs and not each.is_gate]
    if not tills:
        return False
    till = chance.choice(tills)
    held = {account for account, _total, left in sim.town.granted_in_money(till.serial) if left}
    pupils = [pupil for pupil in sim.town.pupils if pupil.account in held]
    if not pupils:
        return False
    pupil = chance.choice(pupils)
    sim.network.part({till.device})
    sim.heap.after(chance.randrange(*_WINDOW_MS), sim.network.join, {till.device})
    for _ in range(3):
        sim.heap.after(chance.randrange(500, 8_000), sim.people.tap, till, pupil.card)
    return sim.people.take_back(pupil, 1, 1)


@fault("a message of the attacker's own making")
def message_forged(sim: Simulation, chance: Random) -> bool:
    """Well formed, under a key that nobody has."""
    terminal = chance.choice(sim.terminals)
    up = chance.randrange(2) == 0
    kind = chance.choice(_UP if up else _DOWN)
    provision = terminal.provision
    head = envelope.Head(
        kind, provision.school, provision.device, provision.epoch, chance.choice((0, 1, 1, 2, 9)),
        chance.getrandbits(32), chance.getrandbits(20),
    )  # fmt: skip
    body = _forged_body(kind, sim, chance)
    leaf = topics.UP if up else topics.TABLE if kind == envelope.CHUNK else topics.DOWN
    payload = envelope.seal(chance.randbytes(32), head, body)
    sim.network.deliver(up, topics.topic(provision.school, provision.device, leaf), payload, True)
    return True


_UP = (envelope.HELLO, envelope.RECS, envelope.NEED)
_DOWN = (
    envelope.ACK,
    envelope.GRANT,
    envelope.RECALL,
    envelope.TIME,
    envelope.SETTINGS,
    envelope.TABLE,
    envelope.CHUNK,
    envelope.COMMAND,
)


def _forged_body(kind: int, sim: Simulation, chance: Random) -> bytes:
    from protocols.wire import messages

    account = chance.choice(sim.town.pupils).account
    bodies = {
        envelope.ACK: lambda: messages.pack_ack(chance.randrange(1, 40)),
        envelope.GRANT: lambda: messages.pack_rights([messages.Right(account, 0, 49_000)]),
        envelope.RECALL: lambda: messages.pack_rights([messages.Right(account, 0, 100_000)]),
        envelope.NEED: lambda: messages.pack_need(messages.Need(1, account, 0, 1_000)),
    }
    make = bodies.get(kind)
    return make() if make else chance.randbytes(chance.randrange(4, 200))


@fault("pieces of the account table come with wrong bytes under a right MAC")
def table_chunk_corrupted(sim: Simulation, chance: Random) -> bool:
    """The image rots in the cloud, and what was read of it is sealed as ever: only its hash can tell."""

    def damaged(topic: str, payload: bytes) -> bytes:
        head = envelope.peek(payload, envelope.TO_DEVICE)
        if head.type != envelope.CHUNK or chance.randrange(3):
            return payload
        place = head.device, head.epoch
        boards = (each.provision for each in sim.terminals)
        key = next(DeviceKeys(each.key).table for each in boards if (each.device, each.epoch) == place)
        body = bytearray(envelope.open_envelope(key, head, payload, head.school, head.device).body)
        body[chance.randrange(_CHUNK_HEAD, len(body))] ^= 1 << chance.randrange(8)
        return envelope.seal(key, head, bytes(body))

    sim.network.damage = damaged
    sim.heap.after(chance.randrange(*_WINDOW_MS), sim.network.stop_damage)
    if sim.cloud.down:
        sim.heap.after(4_000, sim.cloud.publish_tables)
    sim.cloud.publish_tables()
    return True


def _overheard(sim: Simulation, chance: Random) -> tuple[bool, str, bytes] | None:
    """A message that was once sent, each type as likely as the others."""
    by_type: dict[tuple[bool, int], list[tuple[bool, str, bytes]]] = {}
    for heard in sim.network.heard:
        if len(heard[2]) > 2:
            by_type.setdefault((heard[0], heard[2][2]), []).append(heard)
    return chance.choice(by_type[chance.choice(sorted(by_type))]) if by_type else None


@fault("a true message with some bits turned")
def message_corrupted(sim: Simulation, chance: Random) -> bool:
    """One that was overheard."""
    heard = _overheard(sim, chance)
    if heard is None:
        return False
    up, topic, payload = heard
    changed = bytearray(payload)
    for _ in range(chance.randrange(1, 4)):
        place = chance.randrange(len(changed))
        changed[place] ^= 1 << chance.randrange(8)
    if bytes(changed) == payload:
        return False
    sim.network.deliver(up, topic, bytes(changed), True)
    return True


@fault("a true message once more, much later or on another device's topic")
def message_replayed(sim: Simulation, chance: Random) -> bool:
    """Authentic, so it may be obeyed; totals make it harmless.  On a foreign topic it is forged."""
    if not sim.network.heard:
        return False
    _replay_some(sim, chance)
    sim.heap.after(chance.randrange(8_000, 40_000), _replay_some, sim, chance)
    return True


def _replay_some(sim: Simulation, chance: Random) -> None:
    for _ in range(chance.randrange(4, 30)):
        up, topic, payload = _overheard(sim, chance) or sim.network.heard[0]
        if chance.randrange(3):
            sim.network.deliver(up, topic, payload)
            continue
        parts = topic.split("/")
        other = f"{chance.choice(sim.terminals).device:08x}"
        if parts[3] != other:
            sim.network.deliver(up, "/".join((*parts[:3], other, parts[4])), payload, True)


@fault("a command is held back, power is cut, and it comes after the boot, before TIME and after it")
def command_held_back(sim: Simulation, chance: Random) -> bool:
    """One in four is not held back, and is obeyed."""
    known = {row[0] for row in sim.cloud.select("SELECT label FROM device")}
    found = [each for each in sim.terminals if each.runs and each.link.online and each.label in known]
    if not found or sim.network.held_types or sim.cloud.down:
        return False
    terminal = chance.choice(found)
    sim.cloud.command(
        terminal.label, "open" if terminal.is_gate else "identify", chance.choice(("in", "out"))
    )
    if chance.randrange(4):
        sim.network.held_types = (envelope.COMMAND,)
        sim.heap.after(1_500, _cut_and_let_go, sim, terminal)
    return True


def _cut_and_let_go(sim: Simulation, terminal: Terminal) -> None:
    network = sim.network
    network.held_types = ()
    commands = [each for each in network.kept_back if each[2][2] == envelope.COMMAND]
    network.kept_back = [each for each in network.kept_back if each not in commands]
    terminal.stop()
    # The boot takes some seconds, and TIME some milliseconds more.
    for delay in range(1_500, 9_000, 40):
        for command in commands:
            sim.heap.after(delay, network.deliver, *command)


@fault("one device is cut off")
def partition_device(sim: Simulation, chance: Random) -> bool:
    """From seconds to a good part of a run."""
    return _part(sim, chance, {chance.choice(sim.terminals).device})


@fault("the school's LAN is cut: no device reaches the broker")
def partition_lan(sim: Simulation, chance: Random) -> bool:
    """All devices at once, and all of them know it."""
    return _part(sim, chance, {terminal.device for terminal in sim.terminals})


@fault("the internet is cut between the broker and the cloud: devices are online and nobody answers")
def partition_internet(sim: Simulation, chance: Random) -> bool:
    """Both sides keep what they have for the other, and hand it over when the way is free again."""
    sim.network.is_cloud_cut_off = True
    sim.heap.after(chance.choice((3_000, 20_000, 120_000)), sim.network.join_cloud)
    return True


def _part(sim: Simulation, chance: Random, devices: set[int]) -> bool:
    sim.network.part(devices)
    sim.heap.after(chance.choice((3_000, 20_000, 120_000)), sim.network.join, devices)
    return True


@fault("the broker dies and forgets everything")
def broker_kill(sim: Simulation, chance: Random) -> bool:
    """Also what it had acknowledged."""
    sim.network.stop_broker()
    sim.heap.after(chance.randrange(500, 15_000), sim.network.start_broker)
    return True


@fault("a connection drops for a moment")
def link_drop(sim: Simulation, chance: Random) -> bool:
    """What was on its way is lost."""
    sim.network.break_link(chance.choice(sim.terminals))
    return True
