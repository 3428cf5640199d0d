"""The link over MQTT 3.1.1: chumicro-mqtt behind the contract of hal/link.py.

Promises: nothing waits; a refused subscription, a refused password or a broker
that closes at once all end in the same back-off of 1-60 s, spread by the device
id so that a city of boards does not return in one second; both queues are
bounded and count what they dropped.  The birth message and the last will tell
who is online.  Leaves to others what is in the messages, and TLS (a handshake
blocks for 50 ms: never inside the tap loop).
"""

from chumicro_mqtt import MQTTError
from chumicro_mqtt.client import MQTTClient, ProtocolState
from chumicro_timing import ticks

# A message of 1 KiB, its topic and the MQTT header.
_RECEIVE_SIZE = 1280
_INBOUND_MAX = 32
# Above this the broker waits: one read of the socket brings at most a dozen small messages.
_INBOUND_PAUSE = 16
_OUTBOUND_MAX = 8
_KEEP_ALIVE_S = 30
_ACK_TIMEOUT_S = 5

RETRY_FIRST_MS = 1000
RETRY_LAST_MS = 60000
# A connection that held so long was a good one: the back-off starts again from the first.
STABLE_MS = 10000


def retry_delay_ms(attempt: int, spread: int) -> int:
    """Milliseconds before attempt 0, 1, 2...: doubling from 1 s to 60 s, with a quarter of spread either way.

    `spread`: any number of the device's own; the same device and attempt give the same delay.
    """
    base = RETRY_LAST_MS if attempt > 5 else RETRY_FIRST_MS << attempt
    # Fibonacci hashing: neighbouring device ids land far from each other.
    share = (((spread + attempt) * 0x9E3779B1) & 0xFFFFFFFF) >> 22
    return min(RETRY_LAST_MS, base * 3 // 4 + base * share // 2048)


class MqttLink:
    """One connection to one broker, kept up for ever.

    `transport` makes a connector (chumicro_sockets); `hurry` is called
    with the socket after each turn on it, for what a port must set to keep small
    messages from waiting for one another; `birth` and `will` are
    payloads on `state_topic`, retained; `subscriptions` are taken at QoS 1.
    """

    def __init__(
        self,
        *,
        transport,
        hurry,
        client_id,
        spread,
        username,
        password,
        state_topic,
        birth,
        will,
        subscriptions,
    ) -> None:
        self._hurry = hurry
        self._spread = spread
        self._subscriptions = subscriptions
        self._state_topic = state_topic
        self._birth = birth
        self._inbound = []
        self._attempt = 0
        self._retry_at = None
        self._up_since = 0
        self._unconfirmed = 0
        self.connection = 0
        self.dropped_in = 0
        self.dropped_out = 0
        self.failures = 0
        self._client = MQTTClient(
            transport_factory=transport,
            client_id=client_id,
            keep_alive_seconds=_KEEP_ALIVE_S,
            ack_timeout_seconds=_ACK_TIMEOUT_S,
            username=username,
            password=password,
            will_topic=state_topic,
            will_message=will,
            will_qos=1,
            will_retain=True,
            rx_buffer_size=_RECEIVE_SIZE,
            when_disconnected="raise",
            max_tx_queue_size=_OUTBOUND_MAX + 4,
        )
        self._client.on_connect = self._connected
        self._client.on_message = self._message
        self._client.on_oversized = self._oversized

    @property
    def online(self) -> bool:
        """Whether the broker has accepted this connection."""
        return self._client.state == ProtocolState.CONNECTED

    def step(self) -> int:
        """One turn of the connection."""
        now = ticks.ticks_ms()
        client = self._client
        if client.state in (ProtocolState.DISCONNECTED, ProtocolState.FAILED):
            if self._retry_at is not None:
                left = ticks.ticks_diff(self._retry_at, now)
                if left > 0:
                    return left
            self._start(now)
        if len(self._inbound) < _INBOUND_PAUSE:
            self._turn(now)
        if client.state in (ProtocolState.DISCONNECTED, ProtocolState.FAILED):
            return self._failed(now)
        if self._inbound:
            return 0
        due = client.next_deadline(now)
        return 1000 if due is None else max(0, ticks.ticks_diff(due, now))

    def _start(self, now: int) -> None:
        # A subscription that a broker refused is forgotten by the client: name them again each time.
        for topic in self._subscriptions:
            self._client.subscribe(topic, 1)
        self._client.connect()

    def _turn(self, now: int) -> None:
        client = self._client
        try:
            client.handle(now)
        except (MQTTError, OSError, ValueError):
            # ValueError: a topic that is no UTF-8.  Such a stream cannot be trusted any more.
            client.disconnect()
        if client.state == ProtocolState.CONNECTED:
            self._hurry(self.pollable()[0])
        # The back-off is ours: the client's own has no jitter and gives up on a refused password.
        client.hold()

    def _failed(self, now: int) -> int:
        if self._up_since and ticks.ticks_diff(now, self._up_since) > STABLE_MS:
            self._attempt = 0
        self._up_since = 0
        self.failures += 1
        delay = retry_delay_ms(self._attempt, self._spread)
        self._attempt += 1
        self._retry_at = ticks.ticks_add(now, delay)
        return delay

    def _connected(self) -> None:
        self.connection += 1
        self._unconfirmed = 0
        self._up_since = ticks.ticks_ms() or 1
        self._client.publish(self._state_topic, self._birth, qos=1, retain=True)

    def _message(self, topic: str, payload: bytes) -> None:
        if len(self._inbound) >= _INBOUND_MAX:
            self.dropped_in += 1
            return
        self._inbound.append((topic, payload))

    def _oversized(self, size: int, topic) -> None:
        # An empty payload is refused and counted by its length like any other bad message.
        self._message(topic or "", b"")

    def publish(self, topic: str, payload: bytes) -> bool:
        """Hand one message over at QoS 1."""
        if not self.online:
            return False
        if self._unconfirmed >= _OUTBOUND_MAX:
            self.dropped_out += 1
            return False
        try:
            self._client.publish(topic, payload, qos=1, on_publish=self._confirmed)
        except MQTTError:
            self.dropped_out += 1
            return False
        self._unconfirmed += 1
        return True

    def _confirmed(self, topic: str, payload: bytes) -> None:
        if self._unconfirmed:
            self._unconfirmed -= 1

    def receive(self):
        """The oldest message, or None."""
        return self._inbound.pop(0) if self._inbound else None

    def pollable(self) -> tuple:
        """(socket or None, interest): what to sleep on; interest 1 is reading, 2 writing.  For ports only."""
        client = self._client
        holder = client.io_socket
        if holder is None:
            return None, 0
        return getattr(holder, "sock", holder), client.io_interest(ticks.ticks_ms())
