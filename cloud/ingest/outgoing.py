"""What goes down to devices: sealed messages, collected in a batch and published after its commit.

Promises: every message is under the receiver's own key with a counter that was
never used; nothing but the online state is retained, and that is not ours.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from cloud.accounting.service import Head
from cloud.devices.service import WIRE_KINDS, day_of
from cloud.ingest.fleet import Device, Fleet
from protocols.wire import envelope, messages, table, topics

CHUNKS_MAX = 16


class Outgoing(NamedTuple):
    """A message to publish with QoS 1."""

    topic: str
    payload: bytes


class Post:
    """Collects the messages of one batch."""

    def __init__(self, conn: Connection, fleet: Fleet, now: int) -> None:
        self._conn = conn
        self._fleet = fleet
        self._now = now
        self.outgoing: list[Outgoing] = []

    def ack(self, device: Device, next_wanted: int, books: bytes) -> None:
        """How far the device's journal is archived and committed once this batch is; `books`: their head."""
        self._send(device, envelope.ACK, messages.pack_ack(next_wanted, books))

    def lock(self, device: Device, reason: int) -> None:
        """Stop for good: this epoch of the device is over."""
        self._send(device, envelope.LOCK, messages.pack_lock(reason))

    def time(self, device: Device, boot_nonce: bytes, flags: int = 0) -> None:
        """The time, for this boot of the device; `flags`: whether a person has confirmed it."""
        told = messages.Time(self._now, day_of(self._now, device.time_zone), boot_nonce, flags)
        self._send(device, envelope.TIME, messages.pack_time(told))

    def command(self, device: Device, boot_nonce: bytes, row: Any, booted_at: int) -> None:
        """A row of device_command for this boot of the device, which began at `booted_at`, UTC seconds."""
        kind, expiry_ms = WIRE_KINDS[row.kind], (row.expires_at - booted_at) * 1000
        body = messages.pack_command(messages.Command(row.number, kind, row.argument, expiry_ms, boot_nonce))
        self._send(device, envelope.COMMAND, body)

    def settings(self, device: Device, settings: messages.Settings) -> None:
        """The settings for the device's kind."""
        self._send(device, envelope.SETTINGS, messages.pack_settings(settings))

    def manifest(self, device: Device, version: int, size: int, rows: int, root: bytes) -> None:
        """A table to fetch."""
        manifest = messages.Manifest(version, rows, size, table.chunk_count(size), root)
        self._send(device, envelope.TABLE, messages.pack_manifest(manifest))

    def chunks(self, device: Device, want: messages.Want, image: bytes) -> None:
        """The chunks that a WANT asks for, as far as the table has them."""
        last = min(want.first + min(want.count, CHUNKS_MAX), table.chunk_count(len(image)))
        for index in range(want.first, last):
            chunk = messages.Chunk(want.version, index, table.chunk(image, index))
            self._send(device, envelope.CHUNK, messages.pack_chunk(chunk))

    def grants(self, device: Device, rows: Sequence[tuple[int, int, int]]) -> None:
        """G totals: (account_id, bucket, total)."""
        for part in _parts(rows):
            self._send(device, envelope.GRANT, messages.pack_rights(part))

    def recall(
        self, device: Device, account_id: int, bucket: int, target: int, granted: int | None = None
    ) -> None:
        """The R total to reach; `granted`: the G total that the device has not journaled yet.

        A till takes over what its table placed at an account's first tap only, and cannot return it before.
        """
        if granted is not None:
            self.grants(device, [(account_id, bucket, granted)])
        self._send(device, envelope.RECALL, messages.pack_rights([(account_id, bucket, target)]))

    def answer(self, device: Device, need: messages.Need, total: int) -> None:
        """The last word on a NEED."""
        answer = messages.Answer(need.number, need.account, need.bucket, total)
        self._send(device, envelope.ANSWER, messages.pack_answer(answer))

    def _send(self, device: Device, kind: int, body: bytes) -> None:
        keys, is_chunk = device.keys, kind == envelope.CHUNK
        head = envelope.Head(
            kind, device.school_id, device.device_id, device.epoch, device.incarnation,
            device.incarnation_id, self._fleet.next_counter(self._conn, device),
        )  # fmt: skip
        leaf = topics.TABLE if is_chunk else topics.DOWN
        payload = envelope.seal(keys.table if is_chunk else keys.down, head, body)
        self.outgoing.append(Outgoing(topics.topic(device.school_id, device.device_id, leaf), payload))


def books_head(head: Head) -> bytes:
    """Where the books stand, as ACK tells it: u32 entries, first 8 bytes of the last one's hash."""
    return head.entry_count.to_bytes(4, "little") + head.hash[:8]


def _parts(rows: Sequence[tuple[int, int, int]]) -> Iterable[Sequence[tuple[int, int, int]]]:
    for start in range(0, len(rows), messages.RIGHTS_MAX):
        yield rows[start : start + messages.RIGHTS_MAX]
