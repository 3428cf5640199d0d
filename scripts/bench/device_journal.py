"""A device's journal kept in memory, and the messages in which the device would send it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from protocols.ledger import record
from protocols.mac import DeviceKeys, Hmac
from protocols.wire import envelope, messages, topics


class Message(NamedTuple):
    """One MQTT message of a device, with the seqs of the records it holds: `first` to before `after`."""

    topic: str
    payload: bytes
    device: int
    first: int
    after: int

    @property
    def records(self) -> int:
        """How many records it holds."""
        return self.after - self.first


class DeviceJournal:
    """Records of one device in one epoch, in a valid chain.

    `provision`: as cloud.devices.service.register gives it; `day`: days since 1970-01-01 in school time, of
    all records.  The device has not heard of an incarnation yet.
    """

    def __init__(self, provision: dict[str, Any], *, day: int) -> None:
        self.school: int = provision["school"]
        self.device: int = provision["device"]
        self.epoch: int = provision["epoch"]
        self.keys = DeviceKeys(bytes.fromhex(provision["key"]))
        self.items: list[record.Record] = []
        self._day = day
        self._chain = Hmac(self.keys.chain)
        self._first = record.genesis(self.keys.chain, self.device, self.epoch)
        self._counter = 0

    def write(
        self, kind: int, flags: int, time: int, *, account: int = 0, amount: int = 0, aux: int = 0
    ) -> int:
        """Append one record and return its seq."""
        seq = len(self.items) + 1
        self.items.append(record.Record(kind, flags, self._day, seq, time, account, amount, aux))
        return seq

    def hello(self) -> Message:
        """What the device says when it connects, before anything of the journal was sent."""
        told = messages.Hello(1, 1, 1, self._first, bytes(8), 1, 1, 80_000, 0, messages.BOOKS_UNKNOWN)
        return self._sealed(envelope.HELLO, messages.pack_hello(told), 1, 1)

    def batches(self) -> Iterator[tuple[int, Message]]:
        """(time of the last record, RECS message) for every 20 records, in their order."""
        mac = self._first
        for start in range(0, len(self.items), messages.RECORDS_MAX):
            part = self.items[start : start + messages.RECORDS_MAX]
            before, raw = mac, b""
            for item in part:
                body = record.pack_body(item)
                mac = record.next_mac(self._chain, mac, body)
                raw += record.seal(body, mac)
            recs = messages.Recs(part[0].seq, len(part), before, mac, raw)
            yield (
                part[-1].time,
                self._sealed(envelope.RECS, messages.pack_recs(recs), part[0].seq, part[-1].seq + 1),
            )

    def acknowledged(self, payload: bytes) -> int:
        """next_wanted of an ACK to this device, 0 for any other message."""
        head = envelope.peek(payload, envelope.TO_DEVICE)
        if head.type != envelope.ACK:
            return 0
        opened = envelope.open_envelope(self.keys.down, head, payload, self.school, self.device)
        acked: int = messages.unpack_ack(opened.body).next_wanted
        return acked

    def _sealed(self, kind: int, body: bytes, first: int, after: int) -> Message:
        self._counter += 1
        head = envelope.Head(kind, self.school, self.device, self.epoch, 0, 0, self._counter)
        payload = envelope.seal(self.keys.up, head, body)
        return Message(topics.topic(self.school, self.device, topics.UP), payload, self.device, first, after)
