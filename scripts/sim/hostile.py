"""A till whose key is in the wrong hands: no firmware, only authentic lies.

Its records carry right chains and MACs.  What they say is no truth: the town does not follow them, and the
cloud must give nobody's money for them.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from firmware.hal.board import Provision
from protocols.ledger import record
from protocols.mac import DeviceKeys, Hmac
from protocols.wire import envelope, messages, topics

if TYPE_CHECKING:
    from scripts.sim.simulation import Simulation


class HostileTill:
    """One stolen key of a till that is still open in the cloud."""

    def __init__(self, sim: Simulation, label: str, provision: Provision, chance: Random) -> None:
        self._sim = sim
        self.label = label
        self.is_found = False
        """The office knows, and has closed its epoch."""
        self.provision = provision
        self._keys = DeviceKeys(provision.key)
        self._chain = Hmac(self._keys.chain)
        self._mac = record.genesis(self._keys.chain, provision.device, provision.epoch)
        self._chance = chance
        self._seq = 1
        self._counter = 0
        self._macs = [self._mac]
        self.journal: list[bytes] = []
        """Its records that continue its chain: the cloud may believe no others to be its own."""
        self._say(record.BOOT, 0, 1, 0, 1)
        self._hello()

    def lie(
        self, kind: int, flags: int, account: int, amount: int, aux: int, *, broken: bool = False
    ) -> None:
        """Write one record and send it; `broken`: its place in the chain is wrong."""
        self._say(kind, flags, account, amount, aux, broken=broken)

    def _say(
        self, kind: int, flags: int, account: int, amount: int, aux: int, *, broken: bool = False
    ) -> None:
        now = self._sim.heap.wall_s
        day = (now + 3 * 3600) // 86_400
        before = self._mac
        body = record.pack_body(record.Record(kind, flags, day, self._seq, now, account, amount, aux))
        after = record.next_mac(self._chain, self._chance.randbytes(32) if broken else before, body)
        raw = record.seal(body, after)
        if broken:
            self._send(envelope.RECS, messages.pack_recs(messages.Recs(self._seq, 1, before, after, raw)))
            return
        self.journal.append(raw)
        self._macs.append(after)
        self._mac = after
        self._seq += 1
        self._send_news()

    def _send_news(self) -> None:
        """Everything that the cloud has not taken yet, as far as one message holds it."""
        statement = "SELECT next_seq FROM device_epoch WHERE device_id = ?"
        rows = self._sim.cloud.select(statement, (self.provision.device,))
        if not rows:
            return
        first = rows[0][0]
        last = min(self._seq, first + messages.RECORDS_MAX)
        raw = b"".join(self.journal[first - 1 : last - 1])
        if raw:
            recs = messages.Recs(first, last - first, self._macs[first - 1], self._macs[last - 1], raw)
            self._send(envelope.RECS, messages.pack_recs(recs))

    def _hello(self) -> None:
        nonce = self._chance.randbytes(8)
        hello = messages.Hello(self._seq, 1, 1, self._mac, nonce, 0, 0, 0, 0, messages.BOOKS_UNKNOWN)
        self._send(envelope.HELLO, messages.pack_hello(hello))

    def rights(self, account: int) -> int:
        """What the cloud has given this key of an account's money, and not yet heard of being spent."""
        statement = (
            "SELECT granted - returned - spent + voided FROM spending_right"
            " WHERE device_id = ? AND account_id = ? AND bucket = 0"
        )
        rows = self._sim.cloud.select(statement, (self.provision.device, account))
        return int(rows[0][0]) if rows else 0

    def need(self, account: int, wanted: int) -> None:
        """Ask for rights that no card has asked for."""
        self._send(envelope.NEED, messages.pack_need(messages.Need(self._counter, account, 0, wanted)))

    def _send(self, kind: int, body: bytes) -> None:
        self._counter += 1
        provision = self.provision
        incarnation, number = self._sim.cloud.select("SELECT incarnation, incarnation_id FROM school")[0]
        head = envelope.Head(
            kind, provision.school, provision.device, provision.epoch, incarnation, number, self._counter
        )
        topic = topics.topic(provision.school, provision.device, topics.UP)
        # The thief has a good line: in order, nothing lost.
        self._sim.cloud.hear(topic, envelope.seal(self._keys.up, head, body), False)
