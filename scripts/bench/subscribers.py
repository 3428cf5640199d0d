"""The rivals of ingest that listen to the same stream, each a process of its own.

    python -m scripts.bench.subscribers drop PORT MESSAGES
    python -m scripts.bench.subscribers tutorial PORT MESSAGES DATABASE

`drop` acknowledges every message by hand and forgets it: what the MQTT client alone can do.  `tutorial`
inserts and commits each record inside on_message, and writes nothing but the record: no check, no books, no
message.  Both print `ready` when they are subscribed, and the monotonic clock when they have handled so many
messages.
"""

from __future__ import annotations

import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from cloud import db
from protocols.ledger.record import SIZE
from protocols.wire import topics
from scripts.bench.stage import without_delay

HOST = "127.0.0.1"
TOPIC = f"{topics.PREFIX}/+/+/{topics.UP}"
# Where the records of a RECS message begin: behind the envelope's header and that of the message.
_ENVELOPE, _RECS, _MAC = 30, 69, 16
_BODY = struct.Struct("<BBHIIIiI")
_INSERT = "INSERT INTO record VALUES (?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"

Handle = Callable[[mqtt.Client, mqtt.MQTTMessage], None]


def drop(client: mqtt.Client, message: mqtt.MQTTMessage) -> None:
    """Acknowledge and forget."""
    client.ack(message.mid, message.qos)


def tutorial(database: str) -> Handle:
    """A handler that inserts and commits record by record."""
    # The product's own engine, so that a commit is as durable here.
    connection: Any = db.engine(f"sqlite:///{database}").raw_connection().driver_connection

    def handle(_client: mqtt.Client, message: mqtt.MQTTMessage) -> None:
        school_id, device_id, _leaf = topics.parse(message.topic)
        raw = message.payload[_ENVELOPE + _RECS : -_MAC]
        for start in range(0, len(raw), SIZE):
            kind, flags, day, seq, moment, account, amount, aux = _BODY.unpack_from(raw, start)
            row = (school_id, device_id, seq, kind, flags, day, moment, account, amount, aux)
            connection.execute("BEGIN")
            connection.execute(_INSERT, (*row, raw[start : start + SIZE], int(time.time())))
            connection.execute("COMMIT")

    return handle


def listen(port: int, expected: int, handle: Handle, *, manual: bool) -> None:
    """Handle `expected` messages, then print when that was."""
    done = threading.Event()
    count = 0

    def on_connect(client: mqtt.Client, *_rest: Any) -> None:
        client.subscribe(TOPIC, qos=1)

    def on_subscribe(*_rest: Any) -> None:
        print("ready", flush=True)

    def on_message(client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        nonlocal count
        handle(client, message)
        count += 1
        if count == expected:
            print(time.monotonic(), flush=True)
            done.set()

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="bench-rival", manual_ack=manual)
    client.on_connect, client.on_subscribe, client.on_message = on_connect, on_subscribe, on_message
    client.on_socket_open = without_delay
    client.connect(HOST, port)
    client.loop_start()
    done.wait()
    client.disconnect()
    client.loop_stop()


def main(way: str, port: str, expected: str, *database: str) -> None:
    """Run one rival until it has handled its messages."""
    if way == "drop":
        listen(int(port), int(expected), drop, manual=True)
    else:
        listen(int(port), int(expected), tutorial(database[0]), manual=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
