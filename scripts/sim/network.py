"""The broker and the wires: what is sent may come late, twice, in another order, or not at all.

Promises nothing, as the real one; a partition cuts one device, or all.  Faults set the chances; `heal` sets
them back and lets go of what was held back.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any

from protocols.wire import topics
from scripts.sim.heap import Heap

if TYPE_CHECKING:
    from scripts.sim.terminal import Terminal

_LATENCY_MS = (2, 12)
_CONNECT_MS = (60, 700)
_HELD_MAX = 400
# What a broker keeps for a client that is away (mosquitto, max_queued_messages).
_KEPT_MAX = 1_000

FromDevice = Callable[[str, bytes, bool], None]


class Network:
    """One broker.  `loss`, `double`, `late`: chances in a thousand for each message."""

    def __init__(self, heap: Heap, chance: Random) -> None:
        self._heap = heap
        self._chance = chance
        self.trace: Any = None
        """Hears every message that is sent, for the comparison of two runs."""
        self._plugged: list[Terminal] = []
        self.cloud: FromDevice = lambda topic, payload, forged: None
        self.loss = self.double = self.late = 0
        self.is_down = False
        self.cut_off: set[int] = set()
        self.is_cloud_cut_off = False
        """The internet is away between the broker and ingest: `kept` waits for it, in its order."""
        self.kept: list[tuple[bool, str, bytes]] = []
        self.damage: Callable[[str, bytes], bytes] | None = None
        """What becomes of a message to a device before it is sent."""
        self.held: list[tuple[bool, str, bytes]] = []
        """(to the cloud, topic, payload) of messages that will come weeks later."""
        self.hold = 0
        self.held_types: tuple[int, ...] = ()
        """Types of messages to devices that are all kept back, for whoever asks for them."""
        self.kept_back: list[tuple[bool, str, bytes]] = []
        self.heard: list[tuple[bool, str, bytes]] = []
        """What an eavesdropper remembers, for replays and forgeries."""
        self.lost = self.doubled = self.delayed = 0

    # Connections

    def plug(self, terminal: Terminal) -> None:
        """A board looks for the broker."""
        if terminal not in self._plugged:
            self._plugged.append(terminal)
        self._heap.after(self._chance.randrange(*_CONNECT_MS), self._connect, terminal, terminal.link)

    def unplug(self, terminal: Terminal) -> None:
        """A board is without power: the broker says its last will."""
        if terminal in self._plugged:
            self._plugged.remove(terminal)
            self._say_state(terminal, topics.GONE)

    def _connect(self, terminal: Terminal, link: object) -> None:
        if terminal.link is not link or not terminal.runs or terminal.link.online:
            return
        if self.is_down or terminal.device in self.cut_off:
            self._heap.after(3_000, self._connect, terminal, link)
            return
        for other in self._plugged:
            # A broker keeps one connection for each name: clone and source throw each other out.
            if other is not terminal and other.device == terminal.device and other.link.online:
                other.link.go_down()
                self._heap.after(4_000 + self._chance.randrange(4_000), self._connect, other, other.link)
        terminal.link.come_up()
        self._say_state(terminal, topics.ONLINE)
        terminal.wake(0)

    def _say_state(self, terminal: Terminal, state: bytes) -> None:
        if not self.is_down:
            topic = topics.topic(terminal.provision.school, terminal.device, topics.STATE)
            self._heap.after(self._chance.randrange(*_LATENCY_MS), self.deliver, True, topic, state)

    def tell_states(self) -> None:
        """A cloud that subscribes anew gets the retained states."""
        for terminal in self._plugged:
            if terminal.link.online:
                self._say_state(terminal, topics.ONLINE)

    def break_link(self, terminal: Terminal) -> None:
        """The connection drops and is tried anew."""
        if terminal.link.online:
            terminal.link.go_down()
            self._say_state(terminal, topics.GONE)
            self._heap.after(self._chance.randrange(*_CONNECT_MS), self._connect, terminal, terminal.link)

    def part(self, devices: set[int]) -> None:
        """These devices are cut off until `heal` or `join`."""
        self.cut_off |= devices
        for terminal in list(self._plugged):
            if terminal.device in devices:
                self.break_link(terminal)

    def join(self, devices: set[int]) -> None:
        """These devices are reachable again."""
        self.cut_off -= devices

    def join_cloud(self) -> None:
        """The internet is back: what was kept comes now."""
        self.is_cloud_cut_off = False
        kept, self.kept = self.kept, []
        for up, topic, payload in kept:
            self.deliver(up, topic, payload)

    def stop_broker(self) -> None:
        """Everything that was on its way is lost, acknowledged or not."""
        self.is_down = True
        self.kept = []
        for terminal in list(self._plugged):
            self.break_link(terminal)

    def start_broker(self) -> None:
        """The broker is back, remembering nothing."""
        self.is_down = False

    # Messages

    def to_cloud(self, terminal: Terminal, topic: str, payload: bytes) -> None:
        """A board publishes."""
        self._send(True, topic, payload)

    def to_device(self, topic: str, payload: bytes) -> None:
        """The cloud publishes."""
        self._send(False, topic, payload if self.damage is None else self.damage(topic, payload))

    def _send(self, up: bool, topic: str, payload: bytes) -> None:
        chance = self._chance
        if self.is_down:
            return
        self.trace.update(payload)
        heard = self.heard
        if len(heard) < _HELD_MAX:
            heard.append((up, topic, payload))
        else:
            heard[chance.randrange(_HELD_MAX)] = (up, topic, payload)
        delay = chance.randrange(*_LATENCY_MS)
        if self.loss and chance.randrange(1000) < self.loss:
            self.lost += 1
            return
        if self.held_types and not up and payload[2] in self.held_types:
            self.kept_back.append((up, topic, payload))
            return
        if self.hold and chance.randrange(1000) < self.hold and len(self.held) < _HELD_MAX:
            self.held.append((up, topic, payload))
            return
        if self.double and chance.randrange(1000) < self.double:
            self.doubled += 1
            self._heap.after(delay + chance.randrange(5_000), self.deliver, up, topic, payload)
        if self.late and chance.randrange(1000) < self.late:
            self.delayed += 1
            delay += chance.randrange(20_000)
        self._heap.after(delay, self.deliver, up, topic, payload)

    def deliver(self, up: bool, topic: str, payload: bytes, forged: bool = False) -> None:
        """A message arrives; boards that are not connected miss it."""
        if self.is_down and not forged:
            return
        if self.is_cloud_cut_off and not forged:
            if len(self.kept) < _KEPT_MAX:
                self.kept.append((up, topic, payload))
            return
        if up:
            self.cloud(topic, payload, forged)
            return
        device = int(topic.split("/")[3], 16)
        for terminal in self._plugged:
            if terminal.device == device and terminal.link.online:
                terminal.link.deliver(topic, payload, forged)
                terminal.wake(0)

    def release_held(self) -> None:
        """What was held back for weeks comes now."""
        held, self.held = self.held, []
        for up, topic, payload in held:
            self.deliver(up, topic, payload)

    def release_kept_back(self) -> None:
        """What was kept back by its type comes now."""
        kept, self.kept_back = self.kept_back, []
        for up, topic, payload in kept:
            self.deliver(up, topic, payload)

    def heal(self) -> None:
        """A plain network again; what is held back stays with whoever holds it."""
        self.loss = self.double = self.late = self.hold = 0
        self.held_types = ()
        self.cut_off.clear()
        self.is_down = False
        self.damage = None
        self.join_cloud()

    def stop_damage(self) -> None:
        """Messages are sent as they are."""
        self.damage = None
