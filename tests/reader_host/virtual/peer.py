"""A small cloud for the tests of real boards: one device's parent over a real broker, with the real codecs.

It believes nothing: every record's chain is followed from the genesis, and the
same seq with other bytes fails the test.  It acknowledges, grants what it is
asked for, and serves one table.
"""

from __future__ import annotations

import socket
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from protocols.ids import hex8
from protocols.ledger import record
from protocols.mac import DeviceKeys, Hmac
from protocols.wire import envelope, messages, table, topics


def send_at_once(_client, _data, opened) -> None:
    """TCP_NODELAY: or each answer waits 40 ms for the broker's acknowledgement of the PUBACK before it."""
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Peer:
    """The parent of one device.  `records`: seq -> the 32 bytes; `problems`: what must not happen."""

    def __init__(self, broker_port: int, provision: dict, rows=(), given=None, grants: bool = True) -> None:
        self.school, self.device = provision["school"], provision["device"]
        self.epoch = provision["epoch"]
        key = bytes.fromhex(provision["key"])
        self.keys = DeviceKeys(key)
        self._chain = Hmac(self.keys.chain)
        self._mac = record.genesis(self.keys.chain, self.device, self.epoch)
        self.records: dict[int, bytes] = {}
        self.problems: list[str] = []
        self.hellos: list[messages.Hello] = []
        self.states: list[bytes] = []
        self.needs: list[messages.Need] = []
        self.acknowledges = True
        self.grants = grants
        self.given = given
        # Seconds that this parent's clock is ahead, when it tells the time at all.
        self.ahead_s: int | None = None
        self.table_version = 5
        self.image = table.build(rows, self.table_version)
        self._counter = 0
        self.changed = threading.Condition()
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"peer-{hex8(self.device)}")
        self.client.reconnect_delay_set(1, 1)
        self.client.on_socket_open = send_at_once
        self.client.on_connect = self._connected
        self.client.on_message = self._message
        self.client.on_publish = self._published
        self.client.connect_async("127.0.0.1", broker_port)
        self.client.loop_start()

    def close(self) -> None:
        """Leave."""
        self.client.disconnect()
        self.client.loop_stop()

    def _connected(self, client, _data, _flags, _code, _properties) -> None:
        for leaf in (topics.UP, topics.STATE):
            client.subscribe(topics.topic(self.school, self.device, leaf), 1)

    def _published(self, client, _data, _number, _code, _properties) -> None:
        # The broker has sent its PUBACK and holds what comes next until that is acknowledged: do it at once.
        opened = client.socket()
        if opened is not None:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def seal(self, kind: int, body: bytes) -> bytes:
        """The bytes of a message from this parent."""
        self._counter += 1
        key = self.keys.table if kind == envelope.CHUNK else self.keys.down
        head = envelope.Head(kind, self.school, self.device, self.epoch, 1, 77, self._counter)
        return envelope.seal(key, head, body)

    def send(self, kind: int, body: bytes) -> None:
        """Publish a message to the device."""
        leaf = topics.TABLE if kind == envelope.CHUNK else topics.DOWN
        self.client.publish(topics.topic(self.school, self.device, leaf), self.seal(kind, body), qos=1)

    def raw(self, leaf: str, payload: bytes) -> None:
        """Publish any bytes to the device."""
        self.client.publish(topics.topic(self.school, self.device, leaf), payload, qos=1)

    def _message(self, _client, _data, message) -> None:
        with self.changed:
            if message.topic.endswith("/" + topics.STATE):
                self.states.append(message.payload)
            else:
                self._take(message.payload)
            self.changed.notify_all()

    def _take(self, payload: bytes) -> None:
        head = envelope.peek(payload, envelope.TO_CLOUD)
        body = envelope.open_envelope(self.keys.up, head, payload, self.school, self.device).body
        handlers = {
            envelope.HELLO: self._hello,
            envelope.RECS: self._recs,
            envelope.NEED: self._need,
            envelope.WANT: self._want,
        }
        handlers[head.type](body)

    @property
    def next_wanted(self) -> int:
        """The first seq that has not arrived."""
        return len(self.records) + 1

    def _hello(self, body: bytes) -> None:
        hello = messages.unpack_hello(body)
        self.hellos.append(hello)
        if self.given is not None and hello.settings_version < self.given.version:
            self.send(envelope.SETTINGS, messages.pack_settings(self.given))
        if hello.table_version < self.table_version:
            chunks = table.chunk_count(len(self.image))
            rows = table.Table(_Image(self.image)).rows
            manifest = messages.Manifest(
                self.table_version, rows, len(self.image), chunks, table.root(self.image)
            )
            self.send(envelope.TABLE, messages.pack_manifest(manifest))
        if self.ahead_s is not None:
            utc = int(time.time()) + self.ahead_s
            told = messages.Time(utc, utc // 86400, hello.boot_nonce, 0)
            self.send(envelope.TIME, messages.pack_time(told))
        self._acknowledge()

    def _acknowledge(self) -> None:
        if self.acknowledges:
            self.send(envelope.ACK, messages.pack_ack(self.next_wanted))

    def _recs(self, body: bytes) -> None:
        recs = messages.unpack_recs(body)
        for index in range(recs.count):
            raw = recs.raw[index * record.SIZE : (index + 1) * record.SIZE]
            seq = record.unpack(raw).seq
            if seq in self.records:
                if self.records[seq] != raw:
                    self.problems.append(f"seq {seq} has two faces")
            elif seq == self.next_wanted:
                self._append(seq, raw)
        self._acknowledge()

    def _append(self, seq: int, raw: bytes) -> None:
        after = record.follow(self._chain, self._mac, raw)
        if not after:
            self.problems.append(f"seq {seq} breaks the chain")
        self._mac = after
        self.records[seq] = raw

    def _need(self, body: bytes) -> None:
        need = messages.unpack_need(body)
        self.needs.append(need)
        total = self.granted_total(need.account)
        if self.grants:
            total += need.wanted
        answer = messages.Answer(need.number, need.account, need.bucket, total)
        self.send(envelope.ANSWER, messages.pack_answer(answer))

    def granted_total(self, account: int) -> int:
        """The highest G total of an account that the device has journaled."""
        return max([0, *(item.amount for item in self.of(record.GRANT) if item.account == account)])

    def _want(self, body: bytes) -> None:
        want = messages.unpack_want(body)
        for index in range(want.first, want.first + want.count):
            chunk = messages.Chunk(want.version, index, table.chunk(self.image, index))
            self.send(envelope.CHUNK, messages.pack_chunk(chunk))

    def of(self, *kinds: int) -> list[record.Record]:
        """The records of some types, in order."""
        found = (record.unpack(raw) for _seq, raw in sorted(self.records.items()))
        return [item for item in found if item.type in kinds]

    def wait(self, condition, what: str, timeout_s: float = 10) -> None:
        """Wait until the condition holds; the test fails when it does not."""
        with self.changed:
            assert self.changed.wait_for(condition, timeout_s), f"waited in vain for {what}"


class _Image:
    """A table image as a file."""

    def __init__(self, image: bytes) -> None:
        self._image = image
        self._at = 0

    def seek(self, offset: int) -> None:
        self._at = offset

    def readinto(self, buffer) -> int:
        piece = self._image[self._at : self._at + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)
