"""The MQTT client of ingest: one connection, batches as they come, acknowledged last.

Promises: a message is acknowledged to the broker after its batch is committed
and its answers are handed over; a lost connection, a restarted broker or a
database that does not answer is waited for; one message that breaks us is
logged by its topic and left, the rest goes on.  Trusts the broker with nothing.
"""

import queue
import signal
import socket
import threading
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import structlog
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from cloud.archive import Archive, ArchiveBroken
from cloud.config import Config
from cloud.db import STORE_DOWN, engine
from cloud.ingest.service import Incoming, Ingest, Outgoing
from cloud.keys import Vault
from protocols.errors import Fault
from protocols.wire import topics

CLIENT_ID = "ingest"
MESSAGES_AT_ONCE = 500
POLL_S = 0.1
# A broker that hands over so many before it waits for us (rumqttd 100, mosquitto as it is set) fills the
# other half of its window while we work on this one.
_BURST, _ENOUGH = 3, 50
_LINGER_S = 0.002
_QUEUE_MAX = 10_000
_IN_FLIGHT_MAX = 1000
_WAIT_S = (0.1, 5.0)
_KEEP_ALIVE_S = 30
_LEAVES = [f"{topics.PREFIX}/+/+/{leaf}" for leaf in (topics.STATE, topics.UP)]
# Our own witness comes with QoS 0: its acknowledgement would overtake those of messages that wait for
# their commit, and rumqttd closes a connection that acknowledges out of order.
_SUBSCRIPTIONS = [*((topic, 1) for topic in _LEAVES), (f"{topics.PREFIX}/+/{topics.CLOUD_HEAD}", 0)]
# For what the broker has retained of us, before anything else is done; and how often it is told anew.
_RETAINED_WAIT_S = 1.0
_HEADS_S = 1.0
NOT_NOW = (*STORE_DOWN, OSError, ArchiveBroken)

log = structlog.get_logger("ingest")


class Delivery(NamedTuple):
    """A message with what acknowledges it: its id on one connection."""

    message: Incoming
    connection: int
    mid: int
    qos: int


class Client:
    """Between a broker and an Ingest.  `run` is the loop of the process."""

    def __init__(self, config: Config, ingest: Ingest) -> None:
        self._ingest = ingest
        self._is_demo = config.demo
        self._queue: queue.Queue[Delivery] = queue.Queue(_QUEUE_MAX)
        self._connection = 0
        self._told_connection = 0
        self._subscribed = threading.Event()
        self._retained: dict[int, bytes] = {}
        self.dropped = 0
        """Messages that came while the queue was full; the broker or the device sends them again."""
        self._mqtt = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=config.broker_username or CLIENT_ID,
            clean_session=False,
            manual_ack=True,
        )
        if config.broker_username:
            self._mqtt.username_pw_set(config.broker_username, config.broker_password)
        self._mqtt.max_inflight_messages_set(_IN_FLIGHT_MAX)
        self._mqtt.max_queued_messages_set(_QUEUE_MAX)
        self._mqtt.reconnect_delay_set(1, 5)
        self._mqtt.on_connect = self._on_connect
        self._mqtt.on_disconnect = self._on_disconnect
        self._mqtt.on_message = self._on_message
        self._mqtt.on_subscribe = lambda *_: self._subscribed.set()
        self._mqtt.on_socket_open = _without_delay
        self._mqtt.connect_async(config.broker_host, config.broker_port, _KEEP_ALIVE_S)

    # The network thread: it only notes what happened.

    def _on_connect(self, client: paho.Client, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.warning("broker refuses", reason=str(reason))
            return
        self._connection += 1
        log.info("connected", session=bool(flags.session_present))
        client.subscribe(_SUBSCRIPTIONS)

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        log.info("disconnected", reason=str(reason))

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic.endswith(f"/{topics.CLOUD_HEAD}"):
            if message.retain:
                self._keep_retained(message.topic, bytes(message.payload))
            return
        incoming = Incoming(message.topic, bytes(message.payload))
        try:
            self._queue.put_nowait(Delivery(incoming, self._connection, message.mid, message.qos))
        except queue.Full:
            self.dropped += 1

    def _keep_retained(self, topic: str, payload: bytes) -> None:
        try:
            self._retained[topics.parse_cloud_head(topic)] = payload
        except Fault:
            log.warning("no school", topic=topic)

    # The loop

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        self._mqtt.loop_start()
        try:
            self._start(stop)
            polled_at = told_at = 0.0
            while not stop.is_set():
                self._take(self._next(POLL_S), stop)
                if time.monotonic() - polled_at >= POLL_S:
                    self._attempt(self._poll, stop)
                    polled_at = time.monotonic()
                if time.monotonic() - told_at >= _HEADS_S:
                    self._attempt(self._tell_heads, stop)
                    told_at = time.monotonic()
            with suppress(*NOT_NOW):
                self._tell_heads()
        finally:
            self._mqtt.disconnect()
            self._mqtt.loop_stop()

    def _start(self, stop: threading.Event) -> None:
        """Ask the witnesses before anything else: the database may be older than what devices know."""
        while not stop.is_set() and not self._subscribed.wait(POLL_S):
            pass
        until = time.monotonic() + _RETAINED_WAIT_S

        def begin() -> None:
            if self._is_demo:
                # The embedded broker of a demo forgets what it was to retain.
                self._ingest.start()
                return
            wanted = self._ingest.schools()
            while not wanted <= self._retained.keys() and time.monotonic() < until:
                stop.wait(0.02)
            self._ingest.start(dict(self._retained))

        self._attempt(begin, stop)

    def _tell_heads(self) -> None:
        """Retain where the books stand; all of it at a broker that may have forgotten."""
        connection = self._connection
        heads = self._ingest.heads(everything=connection != self._told_connection)
        self._told_connection = connection
        for topic, payload in heads:
            self._mqtt.publish(topic, payload, qos=1, retain=True)

    def _next(self, wait_s: float) -> list[Delivery]:
        """What has arrived, at most a batch.

        In a burst it waits a moment for the next message until there are enough, since every
        batch costs two waits for the disk; a message that comes alone waits for none.
        """
        batch: list[Delivery] = []
        try:
            batch.append(self._queue.get(timeout=wait_s))
            while len(batch) < MESSAGES_AT_ONCE:
                if _BURST <= len(batch) < _ENOUGH:
                    batch.append(self._queue.get(timeout=_LINGER_S))
                else:
                    batch.append(self._queue.get_nowait())
        except queue.Empty:
            pass
        return batch

    def _take(self, batch: Sequence[Delivery], stop: threading.Event) -> None:
        if not batch:
            return
        if self._attempt(lambda: self._handle(batch), stop):
            self._acknowledge(batch)

    def _handle(self, batch: Sequence[Delivery]) -> None:
        """Take a batch; when it breaks us, take it message by message and leave the one that does."""
        try:
            self._publish(self._ingest.handle([delivery.message for delivery in batch]))
        except NOT_NOW:
            raise
        except Exception as error:  # noqa: BLE001 - one bad message must not stop a school
            if len(batch) > 1:
                for delivery in batch:
                    self._handle([delivery])
                return
            # Where and what kind, not the words: a database's words may repeat a row.
            where = [
                f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
            ]
            log.error("message left", topic=batch[0].message.topic, error=type(error).__name__, where=where)

    def _poll(self) -> None:
        self._publish(self._ingest.poll())

    def _attempt(self, work: Any, stop: threading.Event) -> bool:
        """Do it, and again while the database or the disk does not take it; False when `stop` came first."""
        wait_s, longest_s = _WAIT_S
        while not stop.is_set():
            try:
                work()
            except NOT_NOW as error:
                # The driver's own words: SQLAlchemy's would repeat the parameters, which are data.
                log.error("store is down", error=str(getattr(error, "orig", error)))
                stop.wait(wait_s)
                wait_s = min(2 * wait_s, longest_s)
            else:
                return True
        return False

    def _publish(self, outgoing: Sequence[Outgoing]) -> None:
        for topic, payload in outgoing:
            self._mqtt.publish(topic, payload, qos=1)

    def _acknowledge(self, batch: Sequence[Delivery]) -> None:
        for delivery in batch:
            # An id of an earlier connection may stand for another message now.
            if delivery.qos and delivery.connection == self._connection:
                self._mqtt.ack(delivery.mid, delivery.qos)


def _without_delay(_client: Any, _data: Any, connection: Any) -> None:
    """Nagle's algorithm would hold our small packets back for up to 40 ms, a till's answer among them."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def run(config: Config, stop: threading.Event | None = None) -> None:
    """Be the ingest process until `stop` is set; without one, until SIGTERM or Ctrl-C."""
    if stop is None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_, done=stop: done.set())
    store = engine(config.database_url)
    archive = Archive(config.archive_dir)
    try:
        Client(config, Ingest(store, Vault(config.keys_dir), archive)).run(stop)
    finally:
        archive.close()
        store.dispose()
